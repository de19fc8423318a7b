// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Roles of a tenant.

use protocol::tenants::roles::{NewRole, Role, RoleChange, Roles};
use protocol::{RoleId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// The built-in roles, then the tenant's own.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn roles(&self, tenant: TenantId) -> Result<Roles, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/roles")).await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_role(&self, tenant: TenantId, new: &NewRole) -> Result<Role, RequestError> {
        self.post(&format!("/api/v1/tenants/{tenant}/roles"), new).await
    }

    /// Changes a role for all who hold it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_role(
        &self,
        tenant: TenantId,
        role: RoleId,
        change: &RoleChange,
    ) -> Result<Role, RequestError> {
        self.fetch(Call::new(Method::PATCH, &format!("/api/v1/tenants/{tenant}/roles/{role}")).json(change)?)
            .await
    }

    /// Deletes a role, and takes it from all who hold it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_role(&self, tenant: TenantId, role: RoleId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/tenants/{tenant}/roles/{role}"))).await
    }
}
