// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Invitations to a tenant.

use protocol::tenants::Tenant;
use protocol::tenants::invitations::{Invitations, Join, MadeInvitation, NewInvitation};
use protocol::{InvitationId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// A page of the invitations, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn invitations(
        &self,
        tenant: TenantId,
        after: Option<InvitationId>,
    ) -> Result<Invitations, RequestError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.get(&format!("/api/v1/tenants/{tenant}/invitations?limit=200{after}")).await
    }

    /// Invites somebody.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_invitation(
        &self,
        tenant: TenantId,
        new: &NewInvitation,
    ) -> Result<MadeInvitation, RequestError> {
        self.post(&format!("/api/v1/tenants/{tenant}/invitations"), new).await
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn revoke_invitation(
        &self,
        tenant: TenantId,
        invitation: InvitationId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/tenants/{tenant}/invitations/{invitation}")))
            .await
    }

    /// Becomes a member by an invitation.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn join_tenant(&self, join: &Join) -> Result<Tenant, RequestError> {
        self.post("/api/v1/invitations/join", join).await
    }
}
