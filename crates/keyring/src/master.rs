// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The master key of an account.
//!
//! 32 random bytes, made on a client, sealed to the public key of every login method that unlocks. Rotating it needs
//! only those public keys, so nobody re-enters a password or touches a passkey; and because each public key is
//! tagged under the master key, a server cannot add one of its own.

use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::hybrid;
use crate::id::{AccountId, MethodId};
use crate::method::{MethodKeyPair, MethodKind, MethodPublicKey};
use crate::sealed::{Context, OpenError};
use crate::secret::{mac, secret};

secret!(
    /// The key over everything of an account. Never leaves the client unsealed.
    pub MasterKey
);

impl MasterKey {
    /// Makes a new master key: at sign-up and at rotation, never at sign-in.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::random(rng)
    }

    /// Seals the master key to a login method.
    pub fn seal_to(
        &self,
        method: &MethodPublicKey,
        place: &MasterKeyPlace,
        rng: &mut impl CryptoRng,
    ) -> SealedMasterKey {
        SealedMasterKey(method.key().seal(self.expose(), &place.context(), rng))
    }

    /// Vouches for a login method's public key.
    pub fn authenticate_method(
        &self,
        account: &AccountId,
        method: &MethodId,
        kind: MethodKind,
        public_key: &MethodPublicKey,
    ) -> MethodTag {
        let key = MethodAuthKey::derived(self.expose(), &[], "method-auth", &[]);
        MethodTag(mac(
            key.expose(),
            "method-auth",
            &[account.as_bytes(), method.as_bytes(), kind.as_str().as_bytes(), &public_key.to_bytes()],
        ))
    }

    /// Checks that this account's master key vouched for a public key. A method that fails is not the account's:
    /// never seal to it, and tell the person.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify_method(
        &self,
        account: &AccountId,
        method: &MethodId,
        kind: MethodKind,
        public_key: &MethodPublicKey,
        tag: &MethodTag,
    ) -> Result<(), UnknownMethod> {
        let expected = self.authenticate_method(account, method, kind, public_key);
        if bool::from(expected.0.as_slice().ct_eq(tag.0.as_slice())) { Ok(()) } else { Err(UnknownMethod) }
    }
}

secret!(
    /// The key that vouches for login methods.
    MethodAuthKey
);

/// Which master key is sealed to which method of whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MasterKeyPlace {
    /// The account.
    pub account: AccountId,
    /// Its login method.
    pub method: MethodId,
    /// Counts rotations of the master key, from 1.
    pub key_version: u32,
}

impl MasterKeyPlace {
    fn context(&self) -> Context {
        Context::new("master-key", self.account)
            .object(self.method.as_bytes())
            .version(self.key_version.into())
    }
}

/// A master key, sealed to one login method.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedMasterKey(Vec<u8>);

impl SealedMasterKey {
    /// How many bytes it has.
    pub const LEN: usize = hybrid::OVERHEAD + 32;

    /// Accepts bytes of the right form.
    ///
    /// # Errors
    /// Any of [`OpenError`] but the last.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, OpenError> {
        let bytes = bytes.into();
        hybrid::split(&bytes)?;
        if bytes.len() != Self::LEN {
            return Err(OpenError::Truncated);
        }
        Ok(Self(bytes))
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Opens the master key with the method it was sealed to.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] for another method, another place, or changed bytes.
    pub fn open(&self, method: &MethodKeyPair, place: &MasterKeyPlace) -> Result<MasterKey, OpenError> {
        let key = method.key_pair().open(&self.0, &place.context())?;
        MasterKey::from_slice(&key).ok_or(OpenError::WrongKeyOrContext)
    }
}

impl fmt::Debug for SealedMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedMasterKey({} bytes)", self.0.len())
    }
}

/// The master key's word that a public key belongs to a login method of the account.
#[derive(Clone, Copy, Debug)]
pub struct MethodTag([u8; 32]);

impl MethodTag {
    /// Takes a stored tag.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The master key never vouched for this public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the public key of a login method is not vouched for by this account")]
pub struct UnknownMethod;
