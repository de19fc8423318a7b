// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a customer's tenant, shared by role and organisation.
//!
//! What may be done in one is decided by the roles that are held at its organisation. Who can open what is in it is said by
//! its protection, which is chosen when it is made and never changes.

use serde::{Deserialize, Serialize};

use crate::objects::{Author, FormerKey, ItemSignature};
use crate::{AccountId, Bytes, CollectionId, ItemId, OrganisationId};

/// The most bytes that the content of an item of a tenant's collection may have.
pub const MAX_CONTENT: usize = 255 * 1024;

/// Who can open what is in a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Those alone to whom a holder of the collection's key has granted it. The server stores what it cannot read.
    EndToEnd,
    /// The server, under a key of the tenant, for whom the tenant's policies allow.
    ServerSealed,
}

/// `POST /api/v1/tenants/{tenant}/collections`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTenantCollection {
    /// Who can open what is in it: for as long as it is there.
    pub protection: Protection,
    /// The organisation that it lies in; the tenant as a whole when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
    /// Its name, of 1 to 200 characters, for one that is server-sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the client made, for one that is end-to-end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<NewEndToEnd>,
}

/// What a client makes a collection of that is end-to-end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewEndToEnd {
    /// The collection's id: made of tenant, protection, account, salt and the check of its first key.
    pub id: CollectionId,
    /// 16 random bytes.
    pub salt: Bytes<16>,
    /// The check of its first key.
    pub first_key: Bytes<32>,
    /// Its name, sealed.
    pub sealed_meta: Bytes<16384>,
    /// Its key, for whoever makes it.
    pub grant: KeyGrant,
}

/// A collection's key for somebody.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyGrant {
    /// The account that gets the key.
    pub account: AccountId,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of one's own identity keys signed it.
    pub own_key_version: u32,
    /// The key, sealed to the account and signed.
    pub grant: Bytes<4096>,
    /// The tag under the key itself, by which other holders know that a holder granted it.
    pub tag: Bytes<32>,
}

/// A collection of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantCollection {
    /// The collection. Its id is made of tenant, `protection`, `created_by`, `salt` and `first_key`: hold them against it.
    pub id: CollectionId,
    /// Who can open what is in it.
    pub protection: Protection,
    /// The organisation that it lies in.
    pub organisation: OrganisationId,
    /// Who made it: `acc_…`, `sva_…`.
    pub created_by: String,
    /// 16 random bytes.
    pub salt: Bytes<16>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The number of its last change.
    pub sequence: u64,
    /// For one that is server-sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_sealed: Option<ServerSealed>,
    /// For one that is end-to-end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<EndToEnd>,
}

/// What a collection is beside that which is server-sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServerSealed {
    /// Its name.
    pub name: String,
    /// What clients make items' ids of their names with, so that the ids tell nothing to who has no access.
    pub names: Bytes<32>,
}

/// What a collection is beside that which is end-to-end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EndToEnd {
    /// The check of its first key.
    pub first_key: Bytes<32>,
    /// Which of its keys is in use, from 1.
    pub generation: u32,
    /// The keys before it, the first one first: each opens with the one after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_keys: Vec<FormerKey>,
    /// Its name, sealed under the key in use.
    pub sealed_meta: Bytes<16384>,
    /// The key in use, for oneself; absent for who waits for a holder to admit them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantedKey>,
}

/// A collection's key, as somebody was granted it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GrantedKey {
    /// For which of the account's identity keys the grant is.
    pub key_version: u32,
    /// Who granted it.
    pub sharer: AccountId,
    /// Which of that account's identity keys signed it.
    pub sharer_key_version: u32,
    /// The key, sealed and signed.
    pub grant: Bytes<4096>,
}

/// `GET /api/v1/tenants/{tenant}/collections`: those that one may read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantCollections {
    /// The collections, by id.
    pub collections: Vec<TenantCollection>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<CollectionId>,
}

/// An item of a tenant's collection, or the tombstone of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantItem {
    /// The item.
    pub id: ItemId,
    /// Counts up with each change; also its `ETag`.
    pub version: u64,
    /// Its change's number in the collection.
    pub sequence: u64,
    /// When it was last changed, in milliseconds since the Unix epoch.
    pub changed_at: i64,
    /// Whether it was removed.
    #[serde(default)]
    pub deleted: bool,
    /// Its name, where the server opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its content, where the server opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Bytes<261_120>>,
    /// Name and content, sealed, where the collection is end-to-end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Bytes<262_144>>,
    /// Who wrote it, by their own word, where the collection is end-to-end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
}

/// `PUT /api/v1/tenants/{tenant}/collections/{tenant_collection}/items/{tenant_item}`, with `If-Match: "version"` or
/// `If-None-Match: *`: `name` and `content` for a collection that is server-sealed, the others for one that is end-to-end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutTenantItem {
    /// Its name: 1 to 400 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Bytes<261_120>>,
    /// Name and content, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Bytes<262_144>>,
    /// Which of the collection's keys it is sealed under. One that is not in use is refused with `key_outdated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The writer's word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ItemSignature>,
}

/// `GET /api/v1/tenants/{tenant}/collections/{tenant_collection}/changes`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantChanges {
    /// Items changed after the given sequence, oldest change first, each in its current version.
    pub items: Vec<TenantItem>,
    /// What to pass as `after` next.
    pub next: u64,
    /// Whether there are more now.
    pub more: bool,
}

/// `GET /api/v1/tenants/{tenant}/collections/{tenant_collection}/grants`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyHolders {
    /// Who has the key in use.
    pub holders: Vec<KeyHolder>,
    /// Members whose roles entitle them to read the collection, and who have no grant of its key: at most 200.
    pub waiting: Vec<Waiting>,
    /// Whether a holder is no longer entitled: nothing is written until the collection has its next key.
    pub rekey_due: bool,
}

/// Who has a collection's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyHolder {
    /// The account.
    pub account: AccountId,
    /// Its number; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
    /// Whether its roles entitle it still.
    pub is_entitled: bool,
    /// The key, as it was granted.
    pub granted: GrantedKey,
    /// The tag under the key itself.
    pub tag: Bytes<32>,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// Who waits for a collection's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Waiting {
    /// The account.
    pub account: AccountId,
    /// Its number; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
}

/// `PUT /api/v1/tenants/{tenant}/collections/{tenant_collection}/grants/{account}`: grants the key to a member whose roles entitle
/// them to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutKeyGrant {
    /// Which of the collection's keys it is: the one in use.
    pub generation: u32,
    /// The grant.
    pub grant: KeyGrant,
}

/// `POST /api/v1/tenants/{tenant}/collections/{tenant_collection}/next-key`: what is written from now on is sealed under another
/// key, which those have to whom it is granted here, and nobody else. All of it happens, or nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NextTenantKey {
    /// The generation of the key until now.
    pub from_generation: u32,
    /// The number of the last change under it.
    pub last_change: u64,
    /// The key until now, sealed under the new one.
    pub former_key: Bytes<1024>,
    /// The name, sealed under the new key.
    pub sealed_meta: Bytes<16384>,
    /// Who gets the new key: oneself, and holders of the one until now who are entitled.
    pub grants: Vec<KeyGrant>,
}
