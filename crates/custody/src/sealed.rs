// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealed bytes of the server: suite 2 of the layout that clients use too.
//!
//! ```text
//! version(1) ‖ suite(1) ‖ salt(32) ‖ commitment(32) ‖ ciphertext ‖ tag(16)
//! ```
//!
//! From the key and the fresh random salt, HKDF-SHA256 gives a message key, used for this message alone (so the nonce
//! is constant), and the commitment. The commitment is checked before opening, so one ciphertext never opens under
//! two keys. The associated data is the version, the suite and the length-prefixed list of purpose and context.
//! Suite 2 is AES-256-GCM: the server has the instructions for it.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::key::{Key, derive, fill_random, framed};

/// How many bytes sealing adds.
pub const OVERHEAD: usize = 2 + SALT + COMMITMENT + TAG;

/// Why sealed bytes did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Written by a newer Bailiwick, or not a sealed value at all.
    #[error("sealed bytes of the unknown version {0}")]
    UnknownVersion(u8),
    /// A suite that the server does not open.
    #[error("sealed bytes of the unknown cipher suite {0}")]
    UnknownSuite(u8),
    /// Shorter (or, where the length is fixed, other) than the format allows.
    #[error("sealed bytes of the wrong length")]
    Truncated,
    /// Another key, another place, or changed bytes: the three cannot be told apart.
    #[error("sealed bytes do not open: wrong key, wrong place, or changed")]
    WrongKeyOrContext,
}

pub(crate) fn seal(key: &Key, purpose: &str, context: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
    let mut salt = [0; SALT];
    fill_random(&mut salt);
    seal_with_salt(key, purpose, context, plaintext, &salt)
}

fn seal_with_salt(
    key: &Key,
    purpose: &str,
    context: &[&[u8]],
    plaintext: &[u8],
    salt: &[u8; SALT],
) -> Vec<u8> {
    let (cipher, commitment) = message_key(key, salt);
    let mut bytes = Vec::with_capacity(plaintext.len() + OVERHEAD);
    bytes.extend_from_slice(&[VERSION, SUITE]);
    bytes.extend_from_slice(salt);
    bytes.extend_from_slice(&commitment);
    let start = bytes.len();
    bytes.extend_from_slice(plaintext);
    let (_, body) = bytes.split_at_mut(start);
    #[allow(clippy::expect_used, reason = "AES-GCM refuses only messages beyond 64 GiB")]
    let tag = cipher
        .encrypt_inout_detached(&[0; 12].into(), &associated_data(purpose, context), body.into())
        .expect("a message under 64 GiB");
    bytes.extend_from_slice(&tag);
    bytes
}

pub(crate) fn open(
    key: &Key,
    purpose: &str,
    context: &[&[u8]],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let parts = Parts::of(sealed)?;
    let (cipher, commitment) = message_key(key, parts.salt);
    if !bool::from(commitment.as_slice().ct_eq(parts.commitment)) {
        return Err(SealError::WrongKeyOrContext);
    }
    let tag = parts.tag.try_into().map_err(|_| SealError::Truncated)?;
    let mut plaintext = Zeroizing::new(parts.ciphertext.to_vec());
    cipher
        .decrypt_inout_detached(
            &[0; 12].into(),
            &associated_data(purpose, context),
            plaintext.as_mut_slice().into(),
            tag,
        )
        .map_err(|_| SealError::WrongKeyOrContext)?;
    Ok(plaintext)
}

fn message_key(key: &Key, salt: &[u8]) -> (Aes256Gcm, [u8; COMMITMENT]) {
    let mut message_key = Zeroizing::new([0; 32]);
    let mut commitment = [0; COMMITMENT];
    derive(key.expose(), salt, "sealed/key", &[&[VERSION, SUITE]], message_key.as_mut_slice());
    derive(key.expose(), salt, "sealed/commitment", &[&[VERSION, SUITE]], &mut commitment);
    (Aes256Gcm::new((&*message_key).into()), commitment)
}

fn associated_data(purpose: &str, context: &[&[u8]]) -> Vec<u8> {
    let mut data = vec![VERSION, SUITE];
    data.extend_from_slice(&framed(purpose, context));
    data
}

struct Parts<'a> {
    salt: &'a [u8],
    commitment: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, SealError> {
        let (&version, rest) = bytes.split_first().ok_or(SealError::Truncated)?;
        if version != VERSION {
            return Err(SealError::UnknownVersion(version));
        }
        let (&suite, rest) = rest.split_first().ok_or(SealError::Truncated)?;
        if suite != SUITE {
            return Err(SealError::UnknownSuite(suite));
        }
        let (salt, rest) = rest.split_at_checked(SALT).ok_or(SealError::Truncated)?;
        let (commitment, rest) = rest.split_at_checked(COMMITMENT).ok_or(SealError::Truncated)?;
        let body = rest.len().checked_sub(TAG).ok_or(SealError::Truncated)?;
        let (ciphertext, tag) = rest.split_at_checked(body).ok_or(SealError::Truncated)?;
        Ok(Self { salt, commitment, ciphertext, tag })
    }
}

const VERSION: u8 = 1;
/// AES-256-GCM. Suite 1, ChaCha20-Poly1305, is the clients'.
const SUITE: u8 = 2;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_independent_implementation_seals_the_same_bytes() {
        let lines =
            include_str!("../tests/vectors/suite-2.txt").lines().filter(|line| !line.starts_with('#'));
        let mut vectors = 0;
        for line in lines {
            let [key, salt, purpose, context, plaintext, sealed] =
                line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap();
            let key = Key::from_slice(&hex(key)).unwrap();
            let context: Vec<Vec<u8>> = context.split(',').filter(|part| !part.is_empty()).map(hex).collect();
            let context: Vec<&[u8]> = context.iter().map(Vec::as_slice).collect();
            let ours =
                seal_with_salt(&key, purpose, &context, &hex(plaintext), &hex(salt).try_into().unwrap());
            assert_eq!(HEXLOWER.encode(&ours), sealed);
            assert_eq!(*open(&key, purpose, &context, &ours).unwrap(), hex(plaintext));
            vectors += 1;
        }
        assert_eq!(vectors, 2);
    }

    #[test]
    fn no_changed_byte_and_no_missing_one_goes_unnoticed() {
        let key = Key::random();
        let sealed = seal(&key, "purpose", &[b"row"], b"secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, "purpose", &[b"row"], &changed).is_err(), "byte {at}");
            assert!(open(&key, "purpose", &[b"row"], &sealed[..at]).is_err(), "length {at}");
        }
    }

    #[test]
    fn another_place_purpose_or_key_does_not_open() {
        let key = Key::random();
        let sealed = seal(&key, "purpose", &[b"ab", b"c"], b"secret");
        let wrong = Err(SealError::WrongKeyOrContext);
        assert_eq!(open(&key, "purpose", &[b"a", b"bc"], &sealed), wrong);
        assert_eq!(open(&key, "purpose", &[b"ab"], &sealed), wrong);
        assert_eq!(open(&key, "other", &[b"ab", b"c"], &sealed), wrong);
        assert_eq!(open(&Key::random(), "purpose", &[b"ab", b"c"], &sealed), wrong);
    }

    #[test]
    fn other_versions_and_suites_are_named() {
        let key = Key::random();
        let mut sealed = seal(&key, "purpose", &[], b"secret");
        sealed[1] = 1;
        assert_eq!(open(&key, "purpose", &[], &sealed), Err(SealError::UnknownSuite(1)));
        sealed[0] = 9;
        assert_eq!(open(&key, "purpose", &[], &sealed), Err(SealError::UnknownVersion(9)));
        assert_eq!(open(&key, "purpose", &[], &[]), Err(SealError::Truncated));
    }
}
