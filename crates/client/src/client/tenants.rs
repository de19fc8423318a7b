// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants. What is in one has a module of its own for each thing.

mod collections;
mod decisions;
mod devices;
mod grants;
mod invitations;
mod members;
mod organisations;
mod plain_passwords;
mod platform;
mod policies;
mod roles;
mod teams;

use protocol::TenantId;
use protocol::tenants::{NewTenant, Tenant, TenantChange, Tenants};
use reqwest::Method;

use super::{Call, Client, RequestError};

impl Client {
    /// Founds a tenant, as its first owner.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_tenant(&self, new: &NewTenant) -> Result<Tenant, RequestError> {
        self.post("/api/v1/tenants", new).await
    }

    /// The tenants that the account is in.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenants(&self) -> Result<Tenants, RequestError> {
        self.get("/api/v1/tenants").await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant(&self, tenant: TenantId) -> Result<Tenant, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}")).await
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_tenant(
        &self,
        tenant: TenantId,
        change: &TenantChange,
    ) -> Result<Tenant, RequestError> {
        self.fetch(Call::new(Method::PATCH, &format!("/api/v1/tenants/{tenant}")).json(change)?).await
    }

    /// Has a tenant deleted, once the time is over in which that can be taken back.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_tenant(&self, tenant: TenantId) -> Result<Tenant, RequestError> {
        self.fetch(Call::new(Method::DELETE, &format!("/api/v1/tenants/{tenant}"))).await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn restore_tenant(&self, tenant: TenantId) -> Result<Tenant, RequestError> {
        self.fetch(Call::new(Method::POST, &format!("/api/v1/tenants/{tenant}/restore"))).await
    }
}
