// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys.

use serde::{Deserialize, Serialize};

use crate::methods::NewUnlocking;
use crate::signin::Unlocking;
use crate::{AccountId, Bytes, MethodId, Secret, TenantId};

/// `POST /api/v1/api-keys`, with a fresh proof: a key that the client has made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// The login method that it is to be: drawn by the client, which sealed the master key for it.
    pub id: MethodId,
    /// Its name, at most 64 visible characters.
    pub label: String,
    /// The half that authenticates (`bwk_…`), as it will be sent. The server keeps a hash.
    pub auth: Secret,
    /// What it may be used for: names of actions, at least one.
    pub scopes: Vec<String>,
    /// From where: addresses or networks (`192.0.2.0/24`), at most 64. Absent: from the address that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// Until when; absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// How it unlocks, with a slow hash; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocking: Option<NewUnlocking>,
}

/// The answer to [`NewApiKey`], and one of [`ApiKeys`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiKey {
    /// The login method that it is.
    pub id: MethodId,
    /// What it is called where the key itself must not stand.
    pub public_id: String,
    /// Its name.
    pub label: String,
    /// `active` or `expired`; one that was revoked is gone.
    pub status: String,
    /// Whether it unlocks.
    pub unlocks: bool,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// From where.
    pub networks: Vec<String>,
    /// Where it was refused, the newest first.
    pub refused: Vec<RefusedNetwork>,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used, to the minute.
    pub last_used_at: Option<i64>,
    /// Until when it is good.
    pub expires_at: Option<i64>,
    /// When somebody reported to have found it.
    pub reported_at: Option<i64>,
}

/// A network from which an API key was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RefusedNetwork {
    /// The network: an address of IPv4, a /64 of IPv6.
    pub network: String,
    /// `pending` until its owner has decided, or `denied`.
    pub state: String,
    /// When it was seen first.
    pub first_seen_at: i64,
    /// When it was seen last, to the minute.
    pub last_seen_at: i64,
    /// In how many minutes it was seen.
    pub times: u64,
}

/// `GET /api/v1/api-keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiKeys {
    /// The keys, the oldest first.
    pub api_keys: Vec<ApiKey>,
}

/// `POST /api/v1/api-keys/{api_key}/approve` and `…/deny`, with a fresh proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyNetwork {
    /// An address, or a network (`192.0.2.0/24`).
    pub network: String,
}

/// `GET /api/v1/api-key`, shown by the key itself: what a program needs to work with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OwnApiKey {
    /// The login method that it is.
    pub id: MethodId,
    /// Its name.
    pub label: String,
    /// The account.
    pub account: AccountId,
    /// Its number, for people.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The public identity keys.
    pub identity: Bytes<4096>,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// Until when it is good.
    pub expires_at: Option<i64>,
    /// How it unlocks, if it does.
    pub unlocking: Option<Unlocking>,
}

/// `POST /api/v1/api-keys/report`: a key was found where it should not be. Anybody may say so; the answer is the same
/// whether or not there is such a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyReport {
    /// The key as it was found, or its authenticating half: it is revoked at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// Its public name, for who found only that: its owner is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_id: Option<String>,
    /// The home that the named key is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<TenantId>,
}
