// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: what each derives from its secret.
//!
//! ```text
//! MethodSecret ──HKDF "method/lookup"──▶ Lookup          the server may see it, and stores it keyed
//!              └─HKDF "method/unlock"──▶ MethodKeyPair   the master key is sealed to its public key
//! ```
//!
//! Knowing the lookup value, or the public key, says nothing about the unlocking half.

use std::fmt;

use zeroize::Zeroizing;

pub use crate::hybrid::KeyError;
use crate::hybrid::{KeyPair, PublicKey, Seed};
use crate::kdf::{KdfError, KdfParams};
use crate::secret::{REDACTED, salt, secret};

/// The root secret of one login method: OPAQUE's export key, a passkey's PRF output, the hash of a recovery key.
#[derive(Clone)]
pub struct MethodSecret(Zeroizing<Vec<u8>>);

impl MethodSecret {
    /// Accepts 32 to 64 bytes that are not all zero (a broken authenticator's output).
    ///
    /// # Errors
    /// Says which of the two it is.
    pub fn from_bytes(root: &[u8]) -> Result<Self, MethodSecretError> {
        if !(32..=64).contains(&root.len()) {
            return Err(MethodSecretError::WrongLength);
        }
        if root.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(MethodSecretError::AllZero);
        }
        Ok(Self(Zeroizing::new(root.to_vec())))
    }

    /// OPAQUE's export key, which is the output of a hash.
    pub(crate) fn of_password(export_key: &[u8; 64]) -> Self {
        Self(Zeroizing::new(export_key.to_vec()))
    }

    /// What Argon2id makes of a method's own secret.
    pub(crate) fn slow(secret: &[u8], salt: &MethodSalt, params: KdfParams) -> Result<Self, KdfError> {
        let mut root = Zeroizing::new(vec![0; 32]);
        params.hash(secret, salt.as_bytes(), &mut root)?;
        Ok(Self(root))
    }

    /// What the server may see, to recognise the method by.
    pub fn lookup(&self) -> Lookup {
        Lookup::derived(&self.0, &[], "method/lookup", &[])
    }

    /// The method's key pair, the same every time.
    pub fn key_pair(&self) -> MethodKeyPair {
        MethodKeyPair(KeyPair::from_seed(Seed::derived(&self.0, &[], "method/unlock", &[])))
    }
}

impl fmt::Debug for MethodSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MethodSecret({REDACTED})")
    }
}

/// Why bytes were refused as a method's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodSecretError {
    /// Shorter than 32 or longer than 64 bytes.
    #[error("a login method's secret has 32 to 64 bytes")]
    WrongLength,
    /// Zeros only.
    #[error("a login method's secret is all zero")]
    AllZero,
}

salt!(
    /// The salt of a login method whose secret goes through Argon2id.
    pub MethodSalt
);

secret!(
    /// The half of a method's (or a backup code's) secret that the server may see, to find and check it by.
    ///
    /// Knowing it proves something, so it does not print; the server stores it only under its pepper, as
    /// [`Pepper::lookup_index`](crate::email::Pepper::lookup_index).
    pub Lookup
);

/// The key pair of one login method, grown from its secret. Opens the master key
/// ([`SealedMasterKey::open`](crate::SealedMasterKey::open)).
#[derive(Clone)]
pub struct MethodKeyPair(KeyPair);

impl MethodKeyPair {
    /// The public half, which the server keeps.
    pub fn public_key(&self) -> MethodPublicKey {
        MethodPublicKey(self.0.public().clone())
    }

    pub(crate) fn key_pair(&self) -> &KeyPair {
        &self.0
    }
}

impl fmt::Debug for MethodKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MethodKeyPair({REDACTED})")
    }
}

/// The public key of one login method. Before sealing anything to one that came from a server, check its tag
/// ([`MasterKey::verify_method`](crate::MasterKey::verify_method)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodPublicKey(PublicKey);

impl MethodPublicKey {
    /// How many bytes it has: a version byte and an X-Wing key.
    pub const LEN: usize = 1 + PublicKey::LEN;

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.0.to_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// Says why the bytes are not such a key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.split_first() {
            Some((&VERSION, key)) => PublicKey::from_bytes(key).map(Self),
            Some((&version, _)) => Err(KeyError::UnknownVersion(version)),
            None => Err(KeyError::WrongLength),
        }
    }

    pub(crate) fn key(&self) -> &PublicKey {
        &self.0
    }
}

/// The kinds of login methods. The kind is part of what a [`MethodTag`](crate::MethodTag) vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// A password, through OPAQUE.
    Password,
    /// A passkey whose PRF output unlocks.
    Passkey,
    /// A recovery key on paper.
    RecoveryKey,
    /// An API key.
    ApiKey,
    /// Another identity provider, which says who somebody is. It never unlocks.
    Provider,
}

impl MethodKind {
    /// Its name in formats, which never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            MethodKind::Password => "password",
            MethodKind::Passkey => "passkey",
            MethodKind::RecoveryKey => "recovery-key",
            MethodKind::ApiKey => "api-key",
            MethodKind::Provider => "provider",
        }
    }
}

const VERSION: u8 = 1;
