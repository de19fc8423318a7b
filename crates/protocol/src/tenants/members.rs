// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members of a customer's tenant.

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// A member.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantMember {
    /// The account.
    pub account: AccountId,
    /// How the tenant's people see them.
    pub label: String,
    /// `live` or `suspended`.
    pub state: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub joined_at: i64,
}

/// `GET /api/v1/tenants/{tenant}/members`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantMembers {
    /// The members, by account.
    pub members: Vec<TenantMember>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AccountId>,
}

/// `PATCH /api/v1/tenants/{tenant}/members/{account}`: changes what is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MemberChange {
    /// How the tenant's people see them: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `suspended` suspends them at once, `live` ends that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why they are suspended, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /api/v1/tenants/{tenant}/transfer`: makes a member the owner in one's own place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The member.
    pub to: AccountId,
}
