// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing collections, and the directory of public identity keys that it stands on.

use serde::{Deserialize, Serialize};

use crate::log::LogEntry;
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

/// `PUT /api/v1/collections/{collection}/members/{account}`: lets an account read the collection, or renews its grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// The account's number, as it was looked up in the key directory.
    pub account_number: String,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of one's own identity keys signed it.
    pub own_key_version: u32,
    /// The collection's key, sealed to the account and signed.
    pub grant: Bytes<4096>,
}

/// `GET /api/v1/collections/{collection}/members`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Members {
    /// Who reads the collection beside its owner.
    pub members: Vec<Member>,
}

/// Who reads a collection.
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
    /// The collection's key, for oneself.
    pub grant: Bytes<4096>,
    /// Its description, sealed.
    pub sealed_meta: Bytes<16384>,
    /// The number of its last change.
    pub sequence: u64,
}
