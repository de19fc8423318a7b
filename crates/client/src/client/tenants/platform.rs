// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants, for the platform's people.

use protocol::TenantId;
use protocol::tenants::platform::{ListedTenants, Suspension};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// A page of all tenants, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn listed_tenants(&self, after: Option<TenantId>) -> Result<ListedTenants, RequestError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.get(&format!("/api/v1/platform/tenants?limit=200{after}")).await
    }

    /// Suspends a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn suspend_tenant(
        &self,
        tenant: TenantId,
        suspension: &Suspension,
    ) -> Result<(), RequestError> {
        self.done(
            Call::new(Method::PUT, &format!("/api/v1/platform/tenants/{tenant}/suspension"))
                .json(suspension)?,
        )
        .await
    }

    /// Ends the suspension of a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn resume_tenant(&self, tenant: TenantId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/platform/tenants/{tenant}/suspension"))).await
    }
}
