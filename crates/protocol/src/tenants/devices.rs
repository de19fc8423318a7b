// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of a customer's tenant.

use serde::{Deserialize, Serialize};

use crate::{OrganisationId, TenantDeviceId};

/// `POST /api/v1/tenants/{tenant}/devices`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTenantDevice {
    /// Its own id, such as a DevEUI or a serial number: 1 to 128 visible ASCII characters. Case does not matter.
    pub external_id: String,
    /// Its name: 1 to 200 characters.
    pub name: String,
    /// The organisation that it is assigned to.
    pub organisation: OrganisationId,
}

/// `PATCH /api/v1/tenants/{tenant}/devices/{tenant_device}`: changes what is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TenantDeviceChange {
    /// Its name: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The organisation that it is to be assigned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
}

/// A device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantDevice {
    /// Its id here.
    pub id: TenantDeviceId,
    /// Its own id.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// The organisation that it is assigned to.
    pub organisation: OrganisationId,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// `GET /api/v1/tenants/{tenant}/devices`: those that one may see.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantDevices {
    /// The devices, by id.
    pub devices: Vec<TenantDevice>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TenantDeviceId>,
}
