// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants as the platform's people see them: that they are there, and nothing of what is in them.

use serde::{Deserialize, Serialize};

use crate::TenantId;

/// A tenant, as the directory lists it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedTenant {
    /// Its id.
    pub id: TenantId,
    /// `founding`, `live`, `suspended`, `closing` or `gone`.
    pub state: String,
    /// Where its data lies.
    pub region: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// `GET /api/v1/platform/tenants`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedTenants {
    /// The tenants, by id.
    pub tenants: Vec<ListedTenant>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TenantId>,
}

/// `PUT /api/v1/platform/tenants/{tenant}/suspension`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Why: 1 to 200 characters. The tenant's people read it in their history, once the suspension is over.
    pub reason: String,
}
