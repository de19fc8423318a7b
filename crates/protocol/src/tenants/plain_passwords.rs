// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plain passwords: for old clients, in tenants that allow them.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Secret};

/// `GET /api/v1/tenants/{tenant}/plain-passwords`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlainPasswords {
    /// Since when the tenant allows them, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_since: Option<i64>,
    /// Those of its members, by account.
    pub plain_passwords: Vec<PlainPassword>,
    /// After which the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AccountId>,
}

/// Somebody's plain password, without the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlainPassword {
    /// The member.
    pub account: AccountId,
    /// Their name at old clients.
    pub name: String,
    /// Who set it: the member, or who imported its hash.
    pub set_by: AccountId,
    /// Since when, in milliseconds since the Unix epoch.
    pub set_at: i64,
    /// When it was last used, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<i64>,
    /// Whether it is held against a hash of another system still: the first use replaces that.
    pub imported: bool,
}

/// `PUT /api/v1/tenants/{tenant}/plain-passwords`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlainPasswordSetting {
    /// Whether the tenant allows plain passwords.
    pub allowed: bool,
}

/// `PUT /api/v1/tenants/{tenant}/plain-password`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPlainPassword {
    /// The name at old clients: 1 to 254 bytes, without spaces around. Compared without regard to case.
    pub name: String,
    /// The password: 12 to 1024 bytes. The server sees it, now and whenever it is used.
    pub password: Secret,
}

/// `PUT /api/v1/tenants/{tenant}/members/{account}/plain-password`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportedPlainPassword {
    /// The name at old clients.
    pub name: String,
    /// The hash that another system kept: Argon2 in PHC form, or bcrypt (`$2a$`, `$2b$`, `$2y$`).
    pub hash: Secret,
}
