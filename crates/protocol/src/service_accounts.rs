// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Service accounts of a customer's tenant, and their keys.

use serde::{Deserialize, Serialize};

use crate::{Secret, ServiceAccountId, ServiceKeyId};

/// `GET /api/v1/tenants/{tenant}/service-accounts`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServiceAccounts {
    /// The service accounts, the oldest first.
    pub service_accounts: Vec<ServiceAccount>,
}

/// A service account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// `live` or `suspended`.
    pub state: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Who made it: `acc_…` or `sva_…`.
    pub created_by: String,
}

/// `POST /api/v1/tenants/{tenant}/service-accounts`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewServiceAccount {
    /// Its name: 1 to 200 characters.
    pub name: String,
}

/// `PATCH /api/v1/tenants/{tenant}/service-accounts/{service_account}`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ServiceAccountChange {
    /// `live` or `suspended`.
    pub state: String,
}

/// `GET /api/v1/tenants/{tenant}/service-accounts/{service_account}/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServiceKeys {
    /// The keys, the oldest first.
    pub keys: Vec<ServiceKey>,
}

/// A key of a service account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServiceKey {
    /// Its id.
    pub id: ServiceKeyId,
    /// Its name.
    pub label: String,
    /// What it may be used for at the most: names of actions, or `*` for whatever the account may.
    pub scopes: Vec<String>,
    /// From where it may be used; from everywhere if there are none.
    pub networks: Vec<String>,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
}

/// `POST /api/v1/tenants/{tenant}/service-accounts/{service_account}/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewServiceKey {
    /// Its name: 1 to 200 characters.
    pub label: String,
    /// What it may be used for at the most: names of actions, or `*` for whatever the account may.
    pub scopes: Vec<String>,
    /// From where it may be used, up to 64 networks; from everywhere if there are none.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Until when, in milliseconds since the Unix epoch; until it is revoked if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// A key that was made: the one time that it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MadeServiceKey {
    /// What is listed of it.
    #[serde(flatten)]
    pub listed: ServiceKey,
    /// The key: `bwv_…`.
    pub key: Secret,
}
