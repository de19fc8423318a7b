// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members of a tenant.

use protocol::tenants::members::{MemberChange, TenantMember, TenantMembers, Transfer};
use protocol::{AccountId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// A page of the members, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_members(
        &self,
        tenant: TenantId,
        after: Option<AccountId>,
    ) -> Result<TenantMembers, RequestError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.get(&format!("/api/v1/tenants/{tenant}/members?limit=200{after}")).await
    }

    /// A member.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_member(
        &self,
        tenant: TenantId,
        account: AccountId,
    ) -> Result<TenantMember, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/members/{account}")).await
    }

    /// Labels a member, suspends them, or ends that.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_tenant_member(
        &self,
        tenant: TenantId,
        account: AccountId,
        change: &MemberChange,
    ) -> Result<TenantMember, RequestError> {
        self.fetch(
            Call::new(Method::PATCH, &format!("/api/v1/tenants/{tenant}/members/{account}")).json(change)?,
        )
        .await
    }

    /// Takes a member out.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn remove_tenant_member(
        &self,
        tenant: TenantId,
        account: AccountId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/tenants/{tenant}/members/{account}"))).await
    }

    /// Leaves a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn leave_tenant(&self, tenant: TenantId) -> Result<(), RequestError> {
        self.done(Call::new(Method::POST, &format!("/api/v1/tenants/{tenant}/leave"))).await
    }

    /// Makes a member the owner in one's own place.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn transfer_tenant(&self, tenant: TenantId, transfer: &Transfer) -> Result<(), RequestError> {
        self.done(Call::new(Method::POST, &format!("/api/v1/tenants/{tenant}/transfer")).json(transfer)?)
            .await
    }
}
