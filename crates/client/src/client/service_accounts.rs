// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Service accounts of a tenant, their keys, and support grants.

use protocol::service_accounts::{
    MadeServiceKey, NewServiceAccount, NewServiceKey, ServiceAccount, ServiceAccountChange, ServiceAccounts,
    ServiceKeys,
};
use protocol::support::{NewSupportGrant, SupportGrant, SupportGrants};
use protocol::{ServiceAccountId, ServiceKeyId, SupportGrantId, TenantId};
use reqwest::Method;

use super::{Call, Client, RequestError};

impl Client {
    /// The service accounts of a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn service_accounts(&self, tenant: TenantId) -> Result<ServiceAccounts, RequestError> {
        self.get(&accounts(tenant)).await
    }

    /// Makes a service account.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn create_service_account(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<ServiceAccount, RequestError> {
        self.post(&accounts(tenant), &NewServiceAccount { name: name.to_owned() }).await
    }

    /// Suspends a service account (`suspended`), or ends that (`live`).
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn set_service_account_state(
        &self,
        tenant: TenantId,
        account: ServiceAccountId,
        state: &str,
    ) -> Result<(), RequestError> {
        let change = ServiceAccountChange { state: state.to_owned() };
        self.done(Call::new(Method::PATCH, &format!("{}/{account}", accounts(tenant))).json(&change)?).await
    }

    /// Deletes a service account.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn delete_service_account(
        &self,
        tenant: TenantId,
        account: ServiceAccountId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("{}/{account}", accounts(tenant)))).await
    }

    /// The keys of a service account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn service_keys(
        &self,
        tenant: TenantId,
        account: ServiceAccountId,
    ) -> Result<ServiceKeys, RequestError> {
        self.get(&keys(tenant, account)).await
    }

    /// Makes a key of a service account. It is shown this once.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn create_service_key(
        &self,
        tenant: TenantId,
        account: ServiceAccountId,
        new: &NewServiceKey,
    ) -> Result<MadeServiceKey, RequestError> {
        self.post(&keys(tenant, account), new).await
    }

    /// Revokes a key of a service account.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn revoke_service_key(
        &self,
        tenant: TenantId,
        account: ServiceAccountId,
        key: ServiceKeyId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("{}/{key}", keys(tenant, account)))).await
    }

    /// The support grants of a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn support_grants(&self, tenant: TenantId) -> Result<SupportGrants, RequestError> {
        self.get(&support(tenant)).await
    }

    /// Lets an operator of the platform in.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn create_support_grant(
        &self,
        tenant: TenantId,
        new: &NewSupportGrant,
    ) -> Result<SupportGrant, RequestError> {
        self.post(&support(tenant), new).await
    }

    /// Ends a support grant.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn end_support_grant(
        &self,
        tenant: TenantId,
        grant: SupportGrantId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("{}/{grant}", support(tenant)))).await
    }
}

fn accounts(tenant: TenantId) -> String {
    format!("/api/v1/tenants/{tenant}/service-accounts")
}

fn keys(tenant: TenantId, account: ServiceAccountId) -> String {
    format!("{}/{account}/keys", accounts(tenant))
}

fn support(tenant: TenantId) -> String {
    format!("/api/v1/tenants/{tenant}/support-grants")
}
