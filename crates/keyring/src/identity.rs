// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The keys by which accounts know each other.
//!
//! From the master key comes the account key, and from that the identity keys: X-Wing to receive with, Ed25519 to
//! sign with. The public halves are published. A client pins those it has seen; when they change, an
//! [`IdentityRotation`] signed by the old ones shows that the account itself changed them. Without one the client
//! warns, and shows the [`Fingerprint`] for two people to compare.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::crockford;
pub use crate::hybrid::KeyError;
use crate::hybrid::{KeyPair, PublicKey, Seed};
use crate::id::AccountId;
use crate::master::MasterKey;
use crate::sealed::{Context, OpenError, Sealed, SealingKey};
use crate::secret::{REDACTED, framed, secret};

secret!(
    /// The key over an account's data; comes from its master key and changes with it.
    pub AccountKey
);

impl MasterKey {
    /// The account key that this master key stands for.
    pub fn account_key(&self) -> AccountKey {
        AccountKey::derived(self.expose(), &[], "account", &[])
    }
}

impl AccountKey {
    /// The account's identity keys of a version. Versions count from 1; each has keys of its own.
    pub fn identity_keys(&self, version: u32) -> IdentityKeys {
        let version = version.to_be_bytes();
        let receiving = Seed::derived(self.expose(), &[], "identity/receiving", &[&version]);
        let signing = Seed::derived(self.expose(), &[], "identity/signing", &[&version]);
        let signing = SigningKey::from_bytes(signing.expose());
        IdentityKeys { receiving: KeyPair::from_seed(receiving), signing: Box::new(signing) }
    }

    /// Seals the account key before this one, as a rotation of the master key does: what others sealed to the identity
    /// keys until then opens until they seal it anew.
    ///
    /// Nobody gets anything new by that: who has this key has the account, and the key before opens nothing that is
    /// sealed from then on.
    pub fn seal_former(
        &self,
        former: &AccountKey,
        place: &FormerAccountKeyPlace,
        rng: &mut impl CryptoRng,
    ) -> Sealed {
        self.sealing_former().seal(former.expose(), &place.context(), rng)
    }

    /// Opens the account key before this one.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] for another account, version or key, or changed bytes.
    pub fn open_former(
        &self,
        sealed: &Sealed,
        place: &FormerAccountKeyPlace,
    ) -> Result<AccountKey, OpenError> {
        let key = self.sealing_former().open(sealed, &place.context())?;
        AccountKey::from_slice(&key).ok_or(OpenError::WrongKeyOrContext)
    }

    fn sealing_former(&self) -> SealingKey {
        SealingKey::derived(self.expose(), &[], "former-account-key", &[])
    }
}

/// Whose former account key it is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FormerAccountKeyPlace {
    /// The account.
    pub account: AccountId,
    /// The version of the master key that the former account key stands for.
    pub key_version: u32,
}

impl FormerAccountKeyPlace {
    fn context(&self) -> Context {
        Context::new("former-account-key", self.account).version(self.key_version.into())
    }
}

/// The private identity keys of an account.
#[derive(Clone)]
pub struct IdentityKeys {
    receiving: KeyPair,
    signing: Box<SigningKey>,
}

impl IdentityKeys {
    /// The public halves.
    pub fn public(&self) -> IdentityPublicKeys {
        IdentityPublicKeys {
            signing: self.signing.verifying_key(),
            receiving: self.receiving.public().clone(),
        }
    }

    pub(crate) fn receiving(&self) -> &KeyPair {
        &self.receiving
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for IdentityKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKeys({REDACTED})")
    }
}

/// The public identity keys of an account, as published.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityPublicKeys {
    signing: VerifyingKey,
    receiving: PublicKey,
}

impl IdentityPublicKeys {
    /// How many bytes they have: a version byte, the Ed25519 key, the X-Wing key.
    pub const LEN: usize = 1 + ED25519 + PublicKey::LEN;

    /// The bytes to publish.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.signing.as_bytes());
        bytes.extend(self.receiving.to_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// Says why the bytes are not such keys.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (&version, rest) = bytes.split_first().ok_or(KeyError::WrongLength)?;
        if version != VERSION {
            return Err(KeyError::UnknownVersion(version));
        }
        let (signing, receiving) = rest.split_first_chunk::<ED25519>().ok_or(KeyError::WrongLength)?;
        let receiving = PublicKey::from_bytes(receiving)?;
        let signing = VerifyingKey::from_bytes(signing).map_err(|_| KeyError::Invalid)?;
        if signing.is_weak() {
            return Err(KeyError::Invalid);
        }
        Ok(Self { signing, receiving })
    }

    /// What two people compare to be sure that these are the other's keys.
    pub fn fingerprint(&self, account: &AccountId) -> Fingerprint {
        let digest = Sha256::digest(framed("fingerprint", &[account.as_bytes(), &self.to_bytes()]));
        let mut short = [0; 20];
        for (to, from) in short.iter_mut().zip(digest) {
            *to = from;
        }
        Fingerprint(short)
    }

    pub(crate) fn receiving(&self) -> &PublicKey {
        &self.receiving
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        self.signing.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// What the log says of a version of an account's keys: the subject of its record. `acc_…/keys/<version>/<SHA-256>`.
pub fn keys_subject(account: &AccountId, key_version: u32, keys: &IdentityPublicKeys) -> String {
    let mut subject = "acc_".to_owned();
    let hex = |subject: &mut String, bytes: &[u8]| {
        use fmt::Write as _;
        for byte in bytes {
            let _ = write!(subject, "{byte:02x}");
        }
    };
    hex(&mut subject, account.as_bytes());
    subject.push_str(&format!("/keys/{key_version}/"));
    hex(&mut subject, &Sha256::digest(keys.to_bytes()));
    subject
}

impl fmt::Debug for IdentityPublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityPublicKeys(Ed25519, X-Wing)")
    }
}

/// 160 bits of a hash over an account and its public keys. `Display` shows eight groups of four characters:
/// `7GQ2-M0XF-…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, bytes) in self.0.chunks(5).enumerate() {
            let bits = bytes.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
            let [a, b, c, d, e, f_, g, h] = crockford::encode::<8>(bits);
            let dash = if group == 0 { "" } else { "-" };
            write!(f, "{dash}{a}{b}{c}{d}-{e}{f_}{g}{h}")?;
        }
        Ok(())
    }
}

/// A statement that an account's identity keys have changed, signed by the old keys and by the new.
///
/// ```text
/// version(1) ‖ key version(4) ‖ new public keys(1249) ‖ signature by the old(64) ‖ signature by the new(64)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRotation {
    key_version: u32,
    new: IdentityPublicKeys,
    by_old: [u8; SIGNATURE],
    by_new: [u8; SIGNATURE],
}

impl IdentityRotation {
    /// How many bytes it has.
    pub const LEN: usize = 1 + 4 + IdentityPublicKeys::LEN + 2 * SIGNATURE;

    /// States that the account's keys of `key_version` are `new`, and follow `old`.
    pub fn sign(account: &AccountId, key_version: u32, old: &IdentityKeys, new: &IdentityKeys) -> Self {
        let statement = Self::statement(account, key_version, &old.public(), &new.public());
        Self { key_version, new: new.public(), by_old: old.sign(&statement), by_new: new.sign(&statement) }
    }

    /// Checks the statement against the keys that the account had before, and gives those it has now.
    ///
    /// # Errors
    /// When it was not signed by both, or is about another account or other old keys.
    pub fn verify(
        &self,
        account: &AccountId,
        old: &IdentityPublicKeys,
    ) -> Result<(u32, &IdentityPublicKeys), IdentityRotationError> {
        let statement = Self::statement(account, self.key_version, old, &self.new);
        if old.verifies(&statement, &self.by_old) && self.new.verifies(&statement, &self.by_new) {
            Ok((self.key_version, &self.new))
        } else {
            Err(IdentityRotationError::NotSigned)
        }
    }

    /// The keys that the statement is about. Says nothing about its signatures.
    pub fn new_keys(&self) -> &IdentityPublicKeys {
        &self.new
    }

    /// The bytes to publish.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.key_version.to_be_bytes());
        bytes.extend(self.new.to_bytes());
        bytes.extend_from_slice(&self.by_old);
        bytes.extend_from_slice(&self.by_new);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave. Says nothing about its signatures.
    ///
    /// # Errors
    /// Says why the bytes are not such a statement.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityRotationError> {
        let (&version, rest) = bytes.split_first().ok_or(IdentityRotationError::WrongLength)?;
        if version != VERSION {
            return Err(IdentityRotationError::UnknownVersion(version));
        }
        if bytes.len() != Self::LEN {
            return Err(IdentityRotationError::WrongLength);
        }
        let (key_version, rest) = rest.split_first_chunk::<4>().ok_or(IdentityRotationError::WrongLength)?;
        let (new, rest) =
            rest.split_at_checked(IdentityPublicKeys::LEN).ok_or(IdentityRotationError::WrongLength)?;
        let (by_old, rest) =
            rest.split_first_chunk::<SIGNATURE>().ok_or(IdentityRotationError::WrongLength)?;
        let (by_new, _) = rest.split_first_chunk::<SIGNATURE>().ok_or(IdentityRotationError::WrongLength)?;
        Ok(Self {
            key_version: u32::from_be_bytes(*key_version),
            new: IdentityPublicKeys::from_bytes(new)?,
            by_old: *by_old,
            by_new: *by_new,
        })
    }

    fn statement(
        account: &AccountId,
        key_version: u32,
        old: &IdentityPublicKeys,
        new: &IdentityPublicKeys,
    ) -> Vec<u8> {
        let key_version = key_version.to_be_bytes();
        framed("identity-rotation", &[account.as_bytes(), &key_version, &old.to_bytes(), &new.to_bytes()])
    }
}

/// Why a rotation statement was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRotationError {
    /// Made by a newer Bailiwick.
    #[error("an identity rotation of the unknown version {0}")]
    UnknownVersion(u8),
    /// Too short or too long.
    #[error("an identity rotation of the wrong length")]
    WrongLength,
    /// The new keys in it are not keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The old keys, or the new, did not sign this for this account.
    #[error("the identity rotation is not signed by the account's keys")]
    NotSigned,
}

pub(crate) const SIGNATURE: usize = 64;
const ED25519: usize = 32;
const VERSION: u8 = 1;
