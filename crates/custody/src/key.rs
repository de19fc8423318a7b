// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A secret of 32 bytes, and how another is derived from it.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 32 secret bytes: on the heap so that moving them leaves no copy, erased when dropped, without `Debug`.
#[derive(Clone)]
pub(crate) struct Key(Box<Zeroizing<[u8; 32]>>);

impl Key {
    pub(crate) fn random() -> Self {
        let mut key = Self::zeroed();
        fill_random(key.0.as_mut_slice());
        key
    }

    /// Takes 32 bytes, or nothing.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::zeroed();
        if bytes.len() != key.0.len() {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key below this one that belongs to the label and its parts.
    pub(crate) fn derive(&self, label: &str, parts: &[&[u8]]) -> Self {
        let mut key = Self::zeroed();
        derive(self.expose(), &[], label, parts, key.0.as_mut_slice());
        key
    }

    fn zeroed() -> Self {
        Self(Box::new(Zeroizing::new([0; 32])))
    }
}

/// HKDF-SHA256 (RFC 5869) of `from`; `info` is the framed list of the label and its parts.
pub(crate) fn derive(from: &[u8], salt: &[u8], label: &str, parts: &[&[u8]], out: &mut [u8]) {
    #[allow(
        clippy::expect_used,
        reason = "HKDF-SHA256 gives up to 8160 bytes; nothing here asks for more than 32"
    )]
    Hkdf::<Sha256>::new(Some(salt), from).expand(&framed(label, parts), out).expect("a short output");
}

/// `bailiwick/v1/<label>` and the parts, each after its length as four bytes, big-endian: two different lists never
/// give the same bytes.
pub(crate) fn framed(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    const PREFIX: &str = "bailiwick/v1/";
    let mut list = Vec::new();
    list.extend_from_slice(&length(PREFIX.len() + label.len()));
    list.extend_from_slice(PREFIX.as_bytes());
    list.extend_from_slice(label.as_bytes());
    for part in parts {
        list.extend_from_slice(&length(part.len()));
        list.extend_from_slice(part);
    }
    list
}

/// Fills the bytes from the operating system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    #[allow(
        clippy::expect_used,
        reason = "without randomness no key may be made; there is nothing to fall back on"
    )]
    getrandom::fill(bytes).expect("the operating system's random generator");
}

fn length(length: usize) -> [u8; 4] {
    #[allow(clippy::expect_used, reason = "the parts are ids, labels and names that were bounded before")]
    u32::try_from(length).expect("a part under 4 GiB").to_be_bytes()
}
