// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealed bytes: what may be stored anywhere, because only its key opens it, and only in its place.
//!
//! ```text
//! version(1) ‖ suite(1) ‖ salt(32) ‖ commitment(32) ‖ ciphertext ‖ tag(16)
//! ```
//!
//! From the key and the fresh random salt, HKDF-SHA256 gives a message key, used for this message alone (so the
//! nonce is constant), and the commitment. The commitment is checked before opening, so one ciphertext never opens
//! under two keys. The associated data is the version, the suite and the [`Context`]: purpose, owner, object and
//! version. Bytes moved to another place do not open.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::id::Owner;
use crate::secret::{derive, framed, secret};

/// Ciphertext with what is needed to recognise its key. Holds nothing secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// How many bytes sealing adds.
    pub const OVERHEAD: usize = 2 + SALT + COMMITMENT + TAG;

    /// Accepts bytes that look like a sealed value of a version and suite that this code can open.
    ///
    /// # Errors
    /// [`OpenError::Truncated`], [`OpenError::UnknownVersion`] or [`OpenError::UnknownSuite`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, OpenError> {
        let bytes = bytes.into();
        Parts::of(&bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to store.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

secret!(
    /// A key that seals and opens [`Sealed`] values.
    ///
    /// The purposes in this crate have key types of their own, which bind the right context by themselves. This one
    /// is for purposes of the caller's.
    pub SealingKey
);

impl SealingKey {
    /// Makes a new random key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::random(rng)
    }

    /// Seals `plaintext` for one place.
    pub fn seal(&self, plaintext: &[u8], context: &Context, rng: &mut impl CryptoRng) -> Sealed {
        let mut salt = [0; SALT];
        rng.fill_bytes(&mut salt);
        let (cipher, commitment) = self.message_key(&salt);

        let mut bytes = Vec::with_capacity(plaintext.len() + Sealed::OVERHEAD);
        bytes.extend_from_slice(&[VERSION, SUITE]);
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(commitment.as_slice());
        encrypt_onto(&cipher, &[0; 12].into(), &context.associated_data(), plaintext, &mut bytes);
        Sealed(bytes)
    }

    /// Opens what was sealed under this key for this place.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] also when the bytes were changed: the three cannot be told apart.
    pub fn open(&self, sealed: &Sealed, context: &Context) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let parts = Parts::of(&sealed.0)?;
        let (cipher, commitment) = self.message_key(parts.salt);
        if !bool::from(commitment.as_slice().ct_eq(parts.commitment)) {
            return Err(OpenError::WrongKeyOrContext);
        }
        decrypt(&cipher, &[0; 12].into(), &context.associated_data(), parts.ciphertext, parts.tag)
            .ok_or(OpenError::WrongKeyOrContext)
    }

    fn message_key(&self, salt: &[u8]) -> (ChaCha20Poly1305, [u8; COMMITMENT]) {
        let mut key = Zeroizing::new([0; 32]);
        let mut commitment = [0; COMMITMENT];
        derive(self.expose(), salt, "sealed/key", &[&[VERSION, SUITE]], key.as_mut_slice());
        derive(self.expose(), salt, "sealed/commitment", &[&[VERSION, SUITE]], &mut commitment);
        (ChaCha20Poly1305::new((&*key).into()), commitment)
    }
}

/// The place that a sealed value belongs to: purpose, owner, object, version.
///
/// ```
/// use keyring::{AccountId, sealed::Context};
/// let account = AccountId::from([7; 16]);
/// let context = Context::new("settings", account).object(b"theme").version(3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    purpose: String,
    owner: Owner,
    object: Vec<Vec<u8>>,
    version: u64,
}

impl Context {
    /// A purpose (`bailiwick/v1/` is put before it) and whose value it is.
    pub fn new(purpose: &str, owner: impl Into<Owner>) -> Self {
        Self { purpose: purpose.to_owned(), owner: owner.into(), object: Vec::new(), version: 0 }
    }

    /// Which object of the owner's. Called again, it names a part of that object.
    #[must_use]
    pub fn object(mut self, object: impl AsRef<[u8]>) -> Self {
        self.object.push(object.as_ref().to_vec());
        self
    }

    /// Which version of the object, so that an old one does not pass for a new one.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// The length-prefixed list: label, owner, version, objects.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let owner = self.owner.to_bytes();
        let version = self.version.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![&owner, &version];
        parts.extend(self.object.iter().map(Vec::as_slice));
        framed(&self.purpose, &parts)
    }

    fn associated_data(&self) -> Vec<u8> {
        let mut data = vec![VERSION, SUITE];
        data.extend_from_slice(&self.to_bytes());
        data
    }
}

/// Why sealed bytes did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer Bailiwick, or not a sealed value at all.
    #[error("sealed bytes of the unknown version {0}")]
    UnknownVersion(u8),
    /// A suite that this code does not open.
    #[error("sealed bytes of the unknown cipher suite {0}")]
    UnknownSuite(u8),
    /// Shorter (or, where the length is fixed, other) than its format allows.
    #[error("sealed bytes of the wrong length")]
    Truncated,
    /// Another key, another place, or changed bytes.
    #[error("sealed bytes do not open: wrong key, wrong place, or changed")]
    WrongKeyOrContext,
}

/// Encrypts `plaintext` onto the end of `bytes`, followed by its tag.
pub(crate) fn encrypt_onto<C: AeadInOut>(
    cipher: &C,
    nonce: &chacha20poly1305::aead::Nonce<C>,
    associated_data: &[u8],
    plaintext: &[u8],
    bytes: &mut Vec<u8>,
) {
    let start = bytes.len();
    bytes.extend_from_slice(plaintext);
    let (_, body) = bytes.split_at_mut(start);
    #[allow(clippy::expect_used, reason = "ChaCha20-Poly1305 refuses only messages beyond 256 GiB")]
    let tag =
        cipher.encrypt_inout_detached(nonce, associated_data, body.into()).expect("a message under 256 GiB");
    bytes.extend_from_slice(&tag);
}

/// Decrypts into memory that is erased when dropped.
pub(crate) fn decrypt<C: AeadInOut>(
    cipher: &C,
    nonce: &chacha20poly1305::aead::Nonce<C>,
    associated_data: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let tag = tag.try_into().ok()?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    cipher.decrypt_inout_detached(nonce, associated_data, plaintext.as_mut_slice().into(), tag).ok()?;
    Some(plaintext)
}

struct Parts<'a> {
    salt: &'a [u8],
    commitment: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, OpenError> {
        let (&version, rest) = bytes.split_first().ok_or(OpenError::Truncated)?;
        if version != VERSION {
            return Err(OpenError::UnknownVersion(version));
        }
        let (&suite, rest) = rest.split_first().ok_or(OpenError::Truncated)?;
        if suite != SUITE {
            return Err(OpenError::UnknownSuite(suite));
        }
        let (salt, rest) = rest.split_at_checked(SALT).ok_or(OpenError::Truncated)?;
        let (commitment, rest) = rest.split_at_checked(COMMITMENT).ok_or(OpenError::Truncated)?;
        let body = rest.len().checked_sub(TAG).ok_or(OpenError::Truncated)?;
        let (ciphertext, tag) = rest.split_at_checked(body).ok_or(OpenError::Truncated)?;
        Ok(Self { salt, commitment, ciphertext, tag })
    }
}

const VERSION: u8 = 1;
/// ChaCha20-Poly1305. Suite 2, AES-256-GCM, is the server's; suite 3, XChaCha20-Poly1305 in chunks, is a file's.
const SUITE: u8 = 1;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
const TAG: usize = 16;
