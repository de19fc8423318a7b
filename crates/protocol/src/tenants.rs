// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants. What is in one has a module of its own for each thing.

pub mod collections;
pub mod decisions;
pub mod devices;
pub mod grants;
pub mod invitations;
pub mod members;
pub mod organisations;
pub mod plain_passwords;
pub mod platform;
pub mod policies;
pub mod roles;
pub mod teams;

use serde::{Deserialize, Serialize};

use crate::TenantId;

/// `POST /api/v1/tenants`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name: 1 to 200 characters.
    pub name: String,
    /// How the tenant's people see its first owner: 1 to 200 characters.
    pub label: String,
    /// Where its data is to lie; the server's own region if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A customer's tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// `live`, `suspended`, or `closing`: to be deleted at `delete_at`.
    pub state: String,
    /// Where its data lies.
    pub region: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it will be deleted, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_at: Option<i64>,
}

/// `GET /api/v1/tenants`: the tenants that one is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Tenants {
    /// The tenants, in the order in which one joined them.
    pub tenants: Vec<Tenant>,
    /// Those that one is in and suspended there, which show nothing of themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspended_in: Vec<TenantId>,
}

/// `PATCH /api/v1/tenants/{tenant}`: changes what is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// Its name: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
