// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets in memory, and how one is derived from another.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a secret prints instead of itself.
pub(crate) const REDACTED: &str = "***REDACTED***";

/// Declares a secret of 32 bytes: on the heap so that moving it leaves no copy, erased when dropped, compared in
/// constant time, never printed.
macro_rules! secret {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        $vis struct $name(Box<zeroize::Zeroizing<[u8; 32]>>);

        #[allow(dead_code, reason = "not every secret is generated, taken in and given out")]
        impl $name {
            /// Takes over 32 bytes that are this secret already.
            $vis fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Box::new(zeroize::Zeroizing::new(bytes)))
            }

            /// Takes over bytes that should be 32.
            pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
                let mut secret = Box::new(zeroize::Zeroizing::new([0; 32]));
                if bytes.len() != secret.len() {
                    return None;
                }
                secret.copy_from_slice(bytes);
                Some(Self(secret))
            }

            /// The secret itself. Keep it out of logs, errors and anything that is stored in clear.
            $vis fn expose(&self) -> &[u8; 32] {
                &self.0
            }

            /// Derives it from other secret bytes.
            pub(crate) fn derived(from: &[u8], salt: &[u8], label: &str, parts: &[&[u8]]) -> Self {
                let mut secret = Box::new(zeroize::Zeroizing::new([0; 32]));
                crate::secret::derive(from, salt, label, parts, secret.as_mut_slice());
                Self(secret)
            }

            /// Draws it at random.
            pub(crate) fn random(rng: &mut impl rand_core::CryptoRng) -> Self {
                let mut secret = Box::new(zeroize::Zeroizing::new([0; 32]));
                rng.fill_bytes(secret.as_mut_slice());
                Self(secret)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                subtle::ConstantTimeEq::ct_eq(self.expose().as_slice(), other.expose().as_slice()).into()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&format_args!("{}", crate::secret::REDACTED)).finish()
            }
        }
    };
}
pub(crate) use secret;

/// Declares a salt of 16 bytes. Salts are stored and sent in clear.
macro_rules! salt {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        ///
        /// It is not secret.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $name([u8; 16]);

        impl $name {
            /// Draws a new salt.
            $vis fn generate(rng: &mut impl rand_core::CryptoRng) -> Self {
                let mut salt = [0; 16];
                rng.fill_bytes(&mut salt);
                Self(salt)
            }

            /// Takes a stored salt.
            $vis const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The salt.
            $vis const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
    };
}
pub(crate) use salt;

/// HKDF-SHA256 (RFC 5869) of `from`; `info` is the framed list of the label and its parts.
pub(crate) fn derive(from: &[u8], salt: &[u8], label: &str, parts: &[&[u8]], out: &mut [u8]) {
    #[allow(
        clippy::expect_used,
        reason = "HKDF-SHA256 gives up to 8160 bytes; nothing here asks for more than 64"
    )]
    Hkdf::<Sha256>::new(Some(salt), from).expand(&framed(label, parts), out).expect("a short output");
}

/// HMAC-SHA256 over the framed list of the label and its parts.
pub(crate) fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let message = Zeroizing::new(framed(label, parts));
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(&message);
    mac.finalize().into_bytes().into()
}

/// `bailiwick/v1/<label>` and the parts, each after its length as four bytes, big-endian: two different lists
/// never give the same bytes.
pub(crate) fn framed(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    const PREFIX: &str = "bailiwick/v1/";
    let size = 4 + PREFIX.len() + label.len() + parts.iter().map(|part| 4 + part.len()).sum::<usize>();
    let mut list = Vec::with_capacity(size);
    list.extend_from_slice(&length(PREFIX.len() + label.len()));
    list.extend_from_slice(PREFIX.as_bytes());
    list.extend_from_slice(label.as_bytes());
    for part in parts {
        list.extend_from_slice(&length(part.len()));
        list.extend_from_slice(part);
    }
    list
}

fn length(length: usize) -> [u8; 4] {
    #[allow(
        clippy::expect_used,
        reason = "the parts are ids, labels, keys and names that were checked before"
    )]
    u32::try_from(length).expect("a part under 4 GiB").to_be_bytes()
}
