// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The recovery key: 256 random bits on paper, which let their holder in alone.
//!
//! ```text
//! version(1) ‖ key(32) ‖ checksum(2)       in Crockford's base 32, fourteen groups of four
//!
//! key ──HKDF "recovery-key/lookup"──▶ Lookup           the server finds the account by it
//!     └─Argon2id with the method's salt──▶ MethodSecret ──▶ MethodKeyPair    which unlocks
//! ```
//!
//! The checksum tells a slip of the pen from a key that was replaced or belongs to another account, before anything is
//! sent.

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::codes::is_separator;
use crate::crockford;
use crate::kdf::{KdfError, KdfParams};
use crate::method::{Lookup, MethodSalt, MethodSecret};
use crate::secret::{framed, secret};

secret!(
    /// A recovery key. Made on a client, shown once.
    pub RecoveryKey
);

impl RecoveryKey {
    /// Makes a new recovery key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::random(rng)
    }

    /// Reads a key as typed: in either case, with or without dashes and spaces, O for 0, I and L for 1.
    ///
    /// # Errors
    /// Says what is wrong with the typing. None of it says anything about a right key.
    pub fn parse(typed: &str) -> Result<Self, RecoveryKeyError> {
        let symbols = typed.chars().filter(|c| !is_separator(*c));
        let mut bytes = Zeroizing::new([0; BYTES]);
        let mut found = 0;
        for symbol in symbols {
            let value = Zeroizing::new(
                crockford::decode(symbol).ok_or(RecoveryKeyError::Symbol { group: found / GROUP + 1 })?,
            );
            // Eight symbols fill five bytes.
            for bit in (0..5).rev() {
                let place = 5 * found + 4 - bit;
                if let Some(byte) = bytes.get_mut(place / 8) {
                    *byte |= ((*value >> bit) as u8 & 1) << (7 - place % 8);
                }
            }
            found += 1;
        }
        if found != SYMBOLS {
            return Err(RecoveryKeyError::Length { found });
        }
        let (&version, rest) = bytes.split_first().ok_or(RecoveryKeyError::Length { found })?;
        let (key, sum) = rest.split_first_chunk::<32>().ok_or(RecoveryKeyError::Length { found })?;
        if checksum(version, key) != *sum {
            return Err(RecoveryKeyError::Checksum);
        }
        if version != VERSION {
            return Err(RecoveryKeyError::UnknownVersion(version));
        }
        Self::from_slice(key).ok_or(RecoveryKeyError::Length { found })
    }

    /// The key as shown: fourteen groups of four, with dashes between.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.expose());
        bytes.extend_from_slice(&checksum(VERSION, self.expose()));
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + SYMBOLS / GROUP));
        for five in bytes.chunks_exact(5) {
            let bits = Zeroizing::new(five.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)));
            let mut symbols: [char; 2 * GROUP] = crockford::encode(*bits);
            for group in symbols.chunks(GROUP) {
                if !text.is_empty() {
                    text.push('-');
                }
                text.extend(group);
            }
            symbols.zeroize();
        }
        text
    }

    /// What the server finds the account by. The key has 256 bits: nobody guesses it, so this needs no slow hash.
    pub fn lookup(&self) -> Lookup {
        Lookup::derived(self.expose(), &[], "recovery-key/lookup", &[])
    }

    /// What the key unlocks with: `Argon2id(key, salt)`.
    ///
    /// # Errors
    /// When the machine lacks the memory that `params` ask for.
    pub fn method_secret(&self, salt: &MethodSalt, params: KdfParams) -> Result<MethodSecret, KdfError> {
        MethodSecret::slow(self.expose(), salt, params)
    }
}

/// Why the text is not a recovery key. Each is a mistake of typing: a key that reads well and lets nobody in is
/// another's, or was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// Too few or too many letters and digits.
    #[error("a recovery key has 56 letters and digits in groups of four; this has {found}")]
    Length {
        /// How many there are, without dashes and spaces.
        found: usize,
    },
    /// A character that no recovery key has.
    #[error("group {group} of the recovery key has a character that does not occur in one")]
    Symbol {
        /// The group of four that it is in, from 1.
        group: usize,
    },
    /// The letters do not fit together.
    #[error(
        "the recovery key has a typing error: its letters do not fit together; compare it with the paper"
    )]
    Checksum,
    /// Made by a newer Bailiwick.
    #[error("a recovery key of the unknown version {0}")]
    UnknownVersion(u8),
}

fn checksum(version: u8, key: &[u8; 32]) -> [u8; 2] {
    let covered = Zeroizing::new(framed("recovery-key/checksum", &[&[version], key]));
    let [a, b, ..] = <[u8; 32]>::from(Sha256::digest(covered.as_slice()));
    [a, b]
}

const VERSION: u8 = 1;
const BYTES: usize = 1 + 32 + 2;
const SYMBOLS: usize = 56;
const GROUP: usize = 4;
