// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who wrote an item of a shared collection.
//!
//! ```text
//! version(1) ‖ Ed25519 signature(64)
//! ```
//!
//! Everybody who reads a collection has its key, and so could write with it if the server let them. The signature is made by
//! the identity key of whoever writes, over the item's place and version, the writer, and the hash of the sealed bytes.
//! So nobody writes under another's name, and nothing that was signed passes for another version or another item.
//!
//! It is not a proof to third parties of what was written: they see sealed bytes.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::collection::ItemPlace;
use crate::id::{AccountId, ItemId};
use crate::identity::{IdentityKeys, IdentityPublicKeys, SIGNATURE};
use crate::sealed::Context;
use crate::secret::framed;

/// A writer's word for a version of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Authorship([u8; SIGNATURE]);

/// Which account writes which version of which item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthorshipPlace {
    /// Who writes.
    pub author: AccountId,
    /// The item.
    pub item: ItemId,
    /// Where its content belongs, and which version it is.
    pub content: ItemPlace,
}

impl Authorship {
    /// How many bytes it has.
    pub const LEN: usize = 1 + SIGNATURE;

    /// Signs the sealed content of an item.
    pub fn sign(author: &IdentityKeys, sealed: &[u8], place: &AuthorshipPlace) -> Self {
        Self(author.sign(&place.statement(&author.public(), sealed)))
    }

    /// Whether the author signed just this.
    #[must_use]
    pub fn is_of(&self, author: &IdentityPublicKeys, sealed: &[u8], place: &AuthorshipPlace) -> bool {
        author.verifies(&place.statement(author, sealed), &self.0)
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [VERSION; Self::LEN];
        for (to, from) in bytes.iter_mut().skip(1).zip(self.0) {
            *to = from;
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave. Says nothing about the signature.
    ///
    /// # Errors
    /// Says why the bytes are no authorship.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AuthorshipError> {
        let (&version, signature) = bytes.split_first().ok_or(AuthorshipError::WrongLength)?;
        if version != VERSION {
            return Err(AuthorshipError::UnknownVersion(version));
        }
        signature.try_into().map(Self).map_err(|_| AuthorshipError::WrongLength)
    }
}

impl fmt::Debug for Authorship {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorship({} bytes)", Self::LEN)
    }
}

impl AuthorshipPlace {
    fn statement(&self, author: &IdentityPublicKeys, sealed: &[u8]) -> Vec<u8> {
        let place = Context::new("authorship", self.content.owner)
            .object(self.content.collection.as_bytes())
            .object(self.item.as_bytes())
            .object(self.author.as_bytes())
            .version(self.content.version);
        let hash = Sha256::digest(sealed);
        framed("authorship/signature", &[&place.to_bytes(), &author.to_bytes(), hash.as_slice()])
    }
}

/// Why an authorship was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorshipError {
    /// Made by a newer Bailiwick.
    #[error("an authorship of the unknown version {0}")]
    UnknownVersion(u8),
    /// Too short or too long.
    #[error("an authorship of the wrong length")]
    WrongLength,
}

const VERSION: u8 = 1;
