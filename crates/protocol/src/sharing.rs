// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing collections, and the directory of public identity keys that it stands on.

use serde::{Deserialize, Serialize};

use crate::log::LogEntry;
use crate::objects::FormerKey;
use crate::{AccountId, Bytes, CollectionId, TenantId};

/// `GET /api/v1/accounts/{number}/keys`: every version of an account's public identity keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccountKeys {
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub account_number: String,
    /// The versions, the first one first; the last one is in use.
    pub keys: Vec<PublishedKeys>,
}

/// One version of an account's public identity keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PublishedKeys {
    /// Counts master keys, from 1.
    pub key_version: u32,
    /// The keys.
    pub keys: Bytes<4096>,
    /// What the keys before these signed; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Bytes<4096>>,
    /// The record of the platform's log whose subject names account, version and hash of the keys. It is proved by the log's
    /// tiles against its checkpoint.
    pub entry: LogEntry,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read what is there.
    Read,
    /// Change items and files too.
    Write,
}

/// `PUT /api/v1/collections/{collection}/members/{account}`: lets an account have the collection, changes what it may do, or
/// renews its grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// The account's number, as it was looked up in the key directory.
    pub account_number: String,
    /// Which of the collection's keys is granted: its newest.
    pub generation: u32,
    /// For which of the account's identity keys the grant is: its newest.
    pub key_version: u32,
    /// Which of one's own identity keys signed it.
    pub own_key_version: u32,
    /// What the account may do.
    pub permission: Permission,
    /// The collection's key, sealed to the account and signed.
    pub grant: Bytes<4096>,
}

/// `POST /api/v1/collections/{collection}/next-key`: what is written from now on is sealed under another key. Who is removed does
/// not get it. All of it happens, or nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NextKey {
    /// The generation of the key until now.
    pub from_generation: u32,
    /// The version of its sealed key.
    pub from_key_version: u64,
    /// The number of the last change under it.
    pub last_change: u64,
    /// The new key, sealed under the account key.
    pub sealed_key: Bytes<1024>,
    /// The key until now, sealed under the new one.
    pub former_key: Bytes<1024>,
    /// The description, sealed under the new key.
    pub sealed_meta: Bytes<16384>,
    /// Who may not read any more.
    #[serde(default)]
    pub remove: Vec<AccountId>,
    /// All members who stay, each with a grant of the new key.
    #[serde(default)]
    pub keep: Vec<Admitted>,
    /// Who is let in now.
    #[serde(default)]
    pub add: Vec<Admitted>,
}

/// Somebody who gets a collection's new key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Admitted {
    /// The account.
    pub account: AccountId,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of one's own identity keys signed it.
    pub own_key_version: u32,
    /// What the account may do.
    pub permission: Permission,
    /// The new key, sealed to the account and signed.
    pub grant: Bytes<4096>,
}

/// `GET /api/v1/collections/{collection}/members`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Members {
    /// Who has the collection beside its owner.
    pub members: Vec<Member>,
}

/// Who has a collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Its number; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of the owner's identity keys signed it.
    pub own_key_version: u32,
    /// What it may do.
    pub permission: Permission,
    /// The grant: by its signature the owner knows that it was they who let the member in.
    pub grant: Bytes<4096>,
    /// Since when.
    pub created_at: i64,
}

/// `GET /api/v1/shares`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Shares {
    /// What others share with one, the newest first.
    pub shares: Vec<Share>,
}

/// A collection of somebody else's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Share {
    /// The home in which it lies.
    pub home: TenantId,
    /// The collection.
    pub collection: CollectionId,
    /// Who shares it.
    pub owner: AccountId,
    /// That account's number; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_number: Option<String>,
    /// What one may do there.
    pub permission: Permission,
    /// Since when.
    pub created_at: i64,
}

/// `GET /api/v1/shares/{home}/collections/{collection}`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SharedCollection {
    /// The collection.
    pub id: CollectionId,
    /// What it holds.
    pub kind: String,
    /// Who made it and shares it.
    pub owner: AccountId,
    /// Which of the owner's identity keys signed the grant.
    pub owner_key_version: u32,
    /// For which of one's own identity keys the grant is.
    pub key_version: u32,
    /// What one may do there.
    pub permission: Permission,
    /// Which of the collection's keys is granted, from 1.
    pub generation: u32,
    /// The collection's key, for oneself.
    pub grant: Bytes<4096>,
    /// The keys before it, the first one first: each opens with the one after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_keys: Vec<FormerKey>,
    /// Its description, sealed under the newest key.
    pub sealed_meta: Bytes<16384>,
    /// The number of its last change.
    pub sequence: u64,
}
