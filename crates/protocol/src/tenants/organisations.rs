// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Organisations of a customer's tenant.

use serde::{Deserialize, Serialize};

use crate::OrganisationId;

/// `POST /api/v1/tenants/{tenant}/organisations`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewOrganisation {
    /// Its name: 1 to 200 characters.
    pub name: String,
    /// The organisation that it lies in; the tenant as a whole if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<OrganisationId>,
}

/// `PATCH /api/v1/tenants/{tenant}/organisations/{organisation}`: changes what is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrganisationChange {
    /// Its name: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The organisation that it is to lie in, with all that is below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<OrganisationId>,
}

/// An organisation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// The one that it lies in; absent for the tenant as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<OrganisationId>,
    /// Its name.
    pub name: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// `GET /api/v1/tenants/{tenant}/organisations`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Organisations {
    /// Every organisation, the topmost first.
    pub organisations: Vec<Organisation>,
}
