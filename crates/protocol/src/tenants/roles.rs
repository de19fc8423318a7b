// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Roles: the built-in ones, and those that a tenant made for itself.

use serde::{Deserialize, Serialize};

/// `POST /api/v1/tenants/{tenant}/roles`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Its name: 1 to 200 characters.
    pub name: String,
    /// What it may: names of actions, such as `device.read`.
    pub actions: Vec<String>,
}

/// `PATCH /api/v1/tenants/{tenant}/roles/{role}`: changes what is given, for all who hold the role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoleChange {
    /// Its name: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may: names of actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Role {
    /// What it is given by: a built-in role's name, or `rol_…`.
    pub role: String,
    /// Its name.
    pub name: String,
    /// Whether every tenant has it.
    pub is_built_in: bool,
    /// Whether it is held in the whole tenant only.
    pub is_tenant_wide: bool,
    /// What it may.
    pub actions: Vec<String>,
    /// Since when, in milliseconds since the Unix epoch; absent for a built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
}

/// `GET /api/v1/tenants/{tenant}/roles`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Roles {
    /// The built-in roles, then the tenant's own, the oldest first.
    pub roles: Vec<Role>,
}
