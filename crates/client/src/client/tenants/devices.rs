// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of a tenant.

use protocol::tenants::devices::{NewTenantDevice, TenantDevice, TenantDeviceChange, TenantDevices};
use protocol::{TenantDeviceId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// A page of the devices that one may see, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_devices(
        &self,
        tenant: TenantId,
        after: Option<TenantDeviceId>,
    ) -> Result<TenantDevices, RequestError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.get(&format!("/api/v1/tenants/{tenant}/devices?limit=200{after}")).await
    }

    /// The device with this id of its own, if one may see it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn find_tenant_device(
        &self,
        tenant: TenantId,
        external_id: &str,
    ) -> Result<Option<TenantDevice>, RequestError> {
        let id: String = external_id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found: TenantDevices =
            self.get(&format!("/api/v1/tenants/{tenant}/devices?external_id={id}")).await?;
        Ok(found.devices.into_iter().next())
    }

    /// Registers a device.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn register_tenant_device(
        &self,
        tenant: TenantId,
        new: &NewTenantDevice,
    ) -> Result<TenantDevice, RequestError> {
        self.post(&format!("/api/v1/tenants/{tenant}/devices"), new).await
    }

    /// A device.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_device(
        &self,
        tenant: TenantId,
        device: TenantDeviceId,
    ) -> Result<TenantDevice, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/devices/{device}")).await
    }

    /// Names a device, or assigns it to another organisation.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_tenant_device(
        &self,
        tenant: TenantId,
        device: TenantDeviceId,
        change: &TenantDeviceChange,
    ) -> Result<TenantDevice, RequestError> {
        self.fetch(
            Call::new(Method::PATCH, &format!("/api/v1/tenants/{tenant}/devices/{device}")).json(change)?,
        )
        .await
    }

    /// Removes a device.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_tenant_device(
        &self,
        tenant: TenantId,
        device: TenantDeviceId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/tenants/{tenant}/devices/{device}"))).await
    }
}
