// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Support grants: an operator of the platform, let into a customer's tenant for a time.

use serde::{Deserialize, Serialize};

use crate::{AccountId, SupportGrantId};

/// `GET /api/v1/tenants/{tenant}/support-grants`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SupportGrants {
    /// The grants, the newest first, at most 200.
    pub support_grants: Vec<SupportGrant>,
}

/// A support grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SupportGrant {
    /// Its id.
    pub id: SupportGrantId,
    /// The operator.
    pub operator: AccountId,
    /// What it opens at the most: names of actions.
    pub actions: Vec<String>,
    /// Why.
    pub reason: String,
    /// `live`, `ended` or `expired`.
    pub status: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub granted_at: i64,
    /// Who gave it.
    pub granted_by: String,
    /// Until when.
    pub ends_at: i64,
    /// When it was ended before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
}

/// `POST /api/v1/tenants/{tenant}/support-grants`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSupportGrant {
    /// The operator's account number, as they say it.
    pub operator_number: String,
    /// What it is to open at the most: names of actions that support may do; all of those if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Why: 1 to 200 characters.
    pub reason: String,
    /// Until when, in milliseconds since the Unix epoch, at most 30 days away.
    pub ends_at: i64,
}
