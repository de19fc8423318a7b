// SPDX-License-Identifier: Apache-2.0 OR MIT
//! As much of CBOR (RFC 8949) as authenticators write: definite lengths, no tags, no floats (CTAP 2.2, section 8, "Message
//! Encoding"). What is not asked for is stepped over, to a bounded depth. Longer forms than needed are read as well: some
//! clients write them, and nothing here rests on there being one way to write a thing.

/// Reads one value after the other. Whatever is not as expected is `None`.
#[derive(Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// How many pairs the map has that begins here.
    pub(super) fn map(&mut self) -> Option<u64> {
        self.head_of(MAP)
    }

    /// An integer of either sign that fits.
    pub(super) fn integer(&mut self) -> Option<i64> {
        match self.head()? {
            (UNSIGNED, value) => i64::try_from(value).ok(),
            // RFC 8949, section 3.1: −1 minus the value.
            (NEGATIVE, value) => i64::try_from(value).ok().map(|value| -1 - value),
            _ => None,
        }
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.head_of(BYTES)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.head_of(TEXT)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// Steps over one value, whatever it is.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (major, value) = self.head()?;
        match major {
            UNSIGNED | NEGATIVE => {}
            BYTES | TEXT => drop(self.take(value)?),
            ARRAY | MAP => {
                // Each value is at least a byte, so a count that is a lie ends with the bytes.
                let values = if major == MAP { value.checked_mul(2)? } else { value };
                for _ in 0..values {
                    self.skip_within(depth)?;
                }
            }
            SIMPLE if (FALSE..=UNDEFINED).contains(&value) => {}
            _ => return None,
        }
        Some(())
    }

    fn head_of(&mut self, major: u8) -> Option<u64> {
        self.head().filter(|(found, _)| *found == major).map(|(_, value)| value)
    }

    /// The major type and the value of the next head.
    fn head(&mut self) -> Option<(u8, u64)> {
        let [first] = self.array()?;
        let value = match first & 0x1f {
            value @ 0..=23 => u64::from(value),
            24 => u64::from(self.array::<1>().map(u8::from_be_bytes)?),
            25 => u64::from(self.array().map(u16::from_be_bytes)?),
            26 => u64::from(self.array().map(u32::from_be_bytes)?),
            27 => self.array().map(u64::from_be_bytes)?,
            _ => return None,
        };
        Some((first >> 5, value))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;
/// The simple values `false`, `true`, `null` and `undefined` are 20 to 23.
const FALSE: u64 = 20;
const UNDEFINED: u64 = 23;
/// CTAP allows four levels; attestation statements of others have been seen with more.
const DEEPEST: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(bytes: &[u8]) -> Option<usize> {
        let mut reader = Reader::new(bytes);
        reader.skip().map(|()| reader.rest().len())
    }

    #[test]
    fn values_are_read_as_rfc_8949_appendix_a_writes_them() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x17], 23),
            (&[0x18, 0x18], 24),
            (&[0x19, 0x03, 0xe8], 1_000),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], 1_000_000),
            (&[0x20], -1),
            (&[0x39, 0x03, 0xe7], -1_000),
            (&[0x39, 0x01, 0x00], -257),
        ] {
            assert_eq!(Reader::new(bytes).integer(), Some(value));
        }
        assert_eq!(Reader::new(&[0x44, 1, 2, 3, 4]).bytes(), Some(&[1, 2, 3, 4][..]));
        assert_eq!(Reader::new(&[0x64, b'I', b'E', b'T', b'F']).text(), Some("IETF"));
        assert_eq!(skipped(&[0xa1, 0x61, b'a', 0x82, 0x01, 0xf5, 0x07]), Some(1));
    }

    #[test]
    fn open_ends_tags_floats_and_lies_are_refused() {
        for bytes in [
            &[0x9f, 0xff][..],
            &[0x5f, 0xff],
            &[0xc0, 0x00],
            &[0xf9, 0x00, 0x00],
            &[0x44, 1, 2],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[],
        ] {
            assert_eq!(skipped(bytes), None, "{bytes:02x?}");
        }
        assert_eq!(Reader::new(&[0x62, 0xff, 0xff]).text(), None);
        assert_eq!(Reader::new(&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).integer(), None);
    }

    #[test]
    fn nesting_and_counts_that_lie_end_soon() {
        assert_eq!(skipped(&[0x81; 10_000]), None);
        assert_eq!(skipped(&[0x9b, 0, 0, 1, 0, 0, 0, 0, 0]), None);
    }
}
