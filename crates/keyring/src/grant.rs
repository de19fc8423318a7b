// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing a collection: its key, sealed to another account and signed by whoever shares.
//!
//! ```text
//! version(1) ‖ signature(64) ‖ the key sealed to the recipient(1170)
//! ```
//!
//! The seal binds sharer, recipient, collection and key version; the signature covers all of that and the sealed
//! bytes. So nobody but the recipient learns the key, nobody else can have sent it, and nobody can pass another's
//! grant off as their own. Both sides must be sure of the other's keys first: [`crate::identity`].

use std::fmt;

use rand_core::CryptoRng;

use crate::collection::CollectionKey;
use crate::hybrid;
use crate::id::{AccountId, CollectionId};
use crate::identity::{IdentityKeys, IdentityPublicKeys, SIGNATURE};
use crate::sealed::{Context, OpenError};
use crate::secret::framed;

/// A collection's key for another account.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    signature: [u8; SIGNATURE],
    sealed: Vec<u8>,
}

/// Who shares which key of what with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantPlace {
    /// The account that shares, and signs.
    pub sharer: AccountId,
    /// The account that receives.
    pub recipient: AccountId,
    /// The collection.
    pub collection: CollectionId,
    /// Which of the collection's keys it is, from 1: its generation.
    pub key_version: u32,
}

impl Grant {
    /// How many bytes it has.
    pub const LEN: usize = 1 + SIGNATURE + hybrid::OVERHEAD + 32;

    /// Shares a collection's key.
    pub fn issue(
        key: &CollectionKey,
        sharer: &IdentityKeys,
        recipient: &IdentityPublicKeys,
        place: &GrantPlace,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let from = sharer.public();
        let sealed = recipient.receiving().seal(key.expose(), &place.context(&from), rng);
        let signature = sharer.sign(&place.statement(&from, recipient, &sealed));
        Self { signature, sealed }
    }

    /// Whether the sharer signed exactly this: what an owner asks of a member's grant before the member gets another key.
    #[must_use]
    pub fn is_of(
        &self,
        sharer: &IdentityPublicKeys,
        recipient: &IdentityPublicKeys,
        place: &GrantPlace,
    ) -> bool {
        sharer.verifies(&place.statement(sharer, recipient, &self.sealed), &self.signature)
    }

    /// Checks who shares, and opens the key.
    ///
    /// # Errors
    /// [`GrantError::NotSigned`] when the sharer did not sign exactly this, [`GrantError::Sealed`] when the key does
    /// not open.
    pub fn open(
        &self,
        recipient: &IdentityKeys,
        sharer: &IdentityPublicKeys,
        place: &GrantPlace,
    ) -> Result<CollectionKey, GrantError> {
        if !self.is_of(sharer, &recipient.public(), place) {
            return Err(GrantError::NotSigned);
        }
        let key = recipient.receiving().open(&self.sealed, &place.context(sharer))?;
        CollectionKey::from_slice(&key).ok_or(GrantError::Sealed(OpenError::WrongKeyOrContext))
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.signature);
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave. Says nothing about its signature.
    ///
    /// # Errors
    /// Says why the bytes are not a grant.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GrantError> {
        let (&version, rest) = bytes.split_first().ok_or(GrantError::WrongLength)?;
        if version != VERSION {
            return Err(GrantError::UnknownVersion(version));
        }
        if bytes.len() != Self::LEN {
            return Err(GrantError::WrongLength);
        }
        let (signature, sealed) = rest.split_first_chunk::<SIGNATURE>().ok_or(GrantError::WrongLength)?;
        hybrid::split(sealed)?;
        Ok(Self { signature: *signature, sealed: sealed.to_vec() })
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({} bytes)", Self::LEN)
    }
}

impl GrantPlace {
    fn context(&self, sharer: &IdentityPublicKeys) -> Context {
        Context::new("grant", self.recipient)
            .object(self.collection.as_bytes())
            .object(self.sharer.as_bytes())
            .object(sharer.to_bytes())
            .version(self.key_version.into())
    }

    fn statement(
        &self,
        sharer: &IdentityPublicKeys,
        recipient: &IdentityPublicKeys,
        sealed: &[u8],
    ) -> Vec<u8> {
        framed("grant/signature", &[&self.context(sharer).to_bytes(), &recipient.to_bytes(), sealed])
    }
}

/// Why a grant was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Made by a newer Bailiwick.
    #[error("a grant of the unknown version {0}")]
    UnknownVersion(u8),
    /// Too short or too long.
    #[error("a grant of the wrong length")]
    WrongLength,
    /// Not signed by the sharer for this recipient, collection and version.
    #[error("the grant is not signed by the account that is said to share")]
    NotSigned,
    /// The key within does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
}

const VERSION: u8 = 1;
