// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Teams of a customer's tenant.

use serde::{Deserialize, Serialize};

use crate::{AccountId, TeamId};

/// `POST /api/v1/tenants/{tenant}/teams`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// Its name: 1 to 200 characters.
    pub name: String,
}

/// `PATCH /api/v1/tenants/{tenant}/teams/{team}`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TeamChange {
    /// Its name: 1 to 200 characters.
    pub name: String,
}

/// A team.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name.
    pub name: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// `GET /api/v1/tenants/{tenant}/teams`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Teams {
    /// The teams, the oldest first.
    pub teams: Vec<Team>,
}

/// `GET /api/v1/tenants/{tenant}/teams/{team}/members`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TeamMembers {
    /// The accounts, in order.
    pub members: Vec<AccountId>,
}
