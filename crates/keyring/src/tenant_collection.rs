// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant: what their ids say, and who holds their key.
//!
//! ```text
//! CollectionId = the first 16 bytes of SHA-256(tenant, protection, who made it, salt, check of the first key)
//! ```
//!
//! A collection of a tenant is either **end-to-end**, and then only those open it to whom a holder has granted its key, or
//! **server-sealed**, and then the server opens it for whom the tenant's policies allow. The [`Founding`] says which, and the
//! collection's id is made of it: whoever knows the id knows the protection, and a server that says something else is
//! found out by recomputing it. All that is sealed or signed for the collection is bound to its id, and so to the
//! protection.
//!
//! The founding of an end-to-end collection also holds a check of its **first key**. Each key opens the one before it
//! ([`generations`](crate::generations)), so whoever opens them down to the first and finds the check right knows that the
//! newest was made by somebody who held the key, and not by the server.
//!
//! Who admits somebody to an end-to-end collection signs the [`Grant`](crate::Grant), and **tags** it under the key itself
//! ([`CollectionKey::holder_tag`]). Roles in a tenant are the server's word. The tag is not: before a holder gives anybody the
//! next key it checks that a holder let them in.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::collection::CollectionKey;
use crate::grant::GrantPlace;
use crate::id::{CollectionId, TenantId};
use crate::secret::{derive, framed, mac, secret};

/// Who can open a collection of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Those alone to whom a holder of its key has granted it.
    EndToEnd,
    /// The server, under a key of the tenant, for whom the tenant's policies allow.
    ServerSealed,
}

/// What a tenant's collection was made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Founding<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// Who can open it.
    pub protection: Protection,
    /// Who made it, as records name them: `acc_…`, `sva_…`.
    pub created_by: &'a str,
    /// 16 random bytes.
    pub salt: [u8; 16],
    /// The check of its first key ([`CollectionKey::check`]), for one that is end-to-end.
    pub first_key: Option<[u8; 32]>,
}

impl Protection {
    /// The protection as it is written: `end_to_end`, `server_sealed`.
    pub const fn name(self) -> &'static str {
        match self {
            Protection::EndToEnd => "end_to_end",
            Protection::ServerSealed => "server_sealed",
        }
    }
}

impl Founding<'_> {
    /// The id of what was made so. It has the form of a UUID of version 8.
    pub fn id(&self) -> CollectionId {
        let first_key: &[u8] = self.first_key.as_ref().map_or(&[], <[u8; 32]>::as_slice);
        let parts: [&[u8]; 5] = [
            self.tenant.as_bytes(),
            self.protection.name().as_bytes(),
            self.created_by.as_bytes(),
            &self.salt,
            first_key,
        ];
        let digest: [u8; 32] = Sha256::digest(framed("tenant-collection/id", &parts)).into();
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = digest;
        CollectionId::from([a, b, c, d, e, f, g & 0x0f | 0x80, h, i & 0x3f | 0x80, j, k, l, m, n, o, p])
    }
}

impl CollectionKey {
    /// What a founding says of the collection's first key: it tells the key, and nobody learns it from that.
    pub fn check(&self) -> [u8; 32] {
        let mut check = [0; 32];
        derive(self.expose(), &[], "tenant-collection/first-key", &[], &mut check);
        check
    }

    /// A holder's word that this grant of the key was made by somebody who holds it.
    pub fn holder_tag(&self, place: &GrantPlace, grant: &[u8]) -> [u8; 32] {
        let key = HolderTagKey::derived(self.expose(), &[], "tenant-collection/holder", &[]);
        let parts: [&[u8]; 5] = [
            place.collection.as_bytes(),
            &place.key_version.to_be_bytes(),
            place.sharer.as_bytes(),
            place.recipient.as_bytes(),
            grant,
        ];
        mac(key.expose(), "tenant-collection/holder", &parts)
    }

    /// Whether a holder of this key made the grant.
    #[must_use]
    pub fn is_holders(&self, place: &GrantPlace, grant: &[u8], tag: &[u8]) -> bool {
        self.holder_tag(place, grant).as_slice().ct_eq(tag).into()
    }
}

secret!(
    /// The key that tags grants.
    HolderTagKey
);

/// What an item of a tenant's collection says: its name and its content. Sealed as one.
///
/// ```text
/// version(1) ‖ length of the name(2) ‖ name ‖ content
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ItemContent {
    /// Its name, of at most [`MAX_ITEM_NAME`] bytes.
    pub name: String,
    /// Its content.
    pub content: Zeroizing<Vec<u8>>,
}

/// The longest name of an item, in bytes.
pub const MAX_ITEM_NAME: usize = 400;

impl ItemContent {
    /// The bytes to seal.
    ///
    /// # Errors
    /// [`ItemContentError::Name`] for a name that is empty or too long.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ItemContentError> {
        let length = u16::try_from(self.name.len()).map_err(|_| ItemContentError::Name)?;
        if !(1..=MAX_ITEM_NAME).contains(&self.name.len()) {
            return Err(ItemContentError::Name);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(3 + self.name.len() + self.content.len()));
        bytes.push(VERSION);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&self.content);
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// Says why the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ItemContentError> {
        let (&version, rest) = bytes.split_first().ok_or(ItemContentError::WrongLength)?;
        if version != VERSION {
            return Err(ItemContentError::UnknownVersion(version));
        }
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(ItemContentError::WrongLength)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (name, content) = rest.split_at_checked(length).ok_or(ItemContentError::WrongLength)?;
        let name = std::str::from_utf8(name).map_err(|_| ItemContentError::Name)?;
        if !(1..=MAX_ITEM_NAME).contains(&name.len()) {
            return Err(ItemContentError::Name);
        }
        Ok(Self { name: name.to_owned(), content: Zeroizing::new(content.to_vec()) })
    }
}

impl std::fmt::Debug for ItemContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ItemContent({} bytes)", self.content.len())
    }
}

/// Why bytes are not an item's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemContentError {
    /// Made by a newer Bailiwick.
    #[error("an item's content of the unknown version {0}")]
    UnknownVersion(u8),
    /// Too short.
    #[error("an item's content of the wrong length")]
    WrongLength,
    /// Its name is empty, too long, or no text.
    #[error("an item's name has 1 to {MAX_ITEM_NAME} bytes of UTF-8")]
    Name,
}

const VERSION: u8 = 1;
