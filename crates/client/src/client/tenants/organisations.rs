// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Organisations of a tenant.

use protocol::tenants::organisations::{NewOrganisation, Organisation, OrganisationChange, Organisations};
use protocol::{OrganisationId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// Every organisation of the tenant, the topmost first.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn organisations(&self, tenant: TenantId) -> Result<Organisations, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/organisations")).await
    }

    /// Makes an organisation.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_organisation(
        &self,
        tenant: TenantId,
        new: &NewOrganisation,
    ) -> Result<Organisation, RequestError> {
        self.post(&format!("/api/v1/tenants/{tenant}/organisations"), new).await
    }

    /// Names an organisation, or moves it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_organisation(
        &self,
        tenant: TenantId,
        organisation: OrganisationId,
        change: &OrganisationChange,
    ) -> Result<Organisation, RequestError> {
        self.fetch(
            Call::new(Method::PATCH, &format!("/api/v1/tenants/{tenant}/organisations/{organisation}"))
                .json(change)?,
        )
        .await
    }

    /// Deletes an organisation that nothing lies in.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_organisation(
        &self,
        tenant: TenantId,
        organisation: OrganisationId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(
            Method::DELETE,
            &format!("/api/v1/tenants/{tenant}/organisations/{organisation}"),
        ))
        .await
    }
}
