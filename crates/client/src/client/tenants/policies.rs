// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's own policies.

use protocol::TenantId;
use protocol::tenants::policies::{
    NewPolicies, PolicyCheck, PolicyText, PolicyTrial, PolicyVersion, PolicyVersions, RestorePolicies,
};
use reqwest::Method;
use reqwest::header::IF_MATCH;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// The policies that decide now; version 0 while the tenant has none of its own.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn policies(&self, tenant: TenantId) -> Result<PolicyVersion, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/policies")).await
    }

    /// Everything that is wrong with policies.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn check_policies(&self, tenant: TenantId, text: &str) -> Result<PolicyCheck, RequestError> {
        let text = PolicyText { text: text.to_owned() };
        self.post(&format!("/api/v1/tenants/{tenant}/policies/check"), &text).await
    }

    /// What would change for whom if these policies were put.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn try_policies(&self, tenant: TenantId, text: &str) -> Result<PolicyTrial, RequestError> {
        let text = PolicyText { text: text.to_owned() };
        self.post(&format!("/api/v1/tenants/{tenant}/policies/try"), &text).await
    }

    /// Puts the version after `after`; refused with [`Code::Conflict`](protocol::Code::Conflict) when that is not the newest.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn put_policies(
        &self,
        tenant: TenantId,
        after: u64,
        new: &NewPolicies,
    ) -> Result<PolicyVersion, RequestError> {
        let path = format!("/api/v1/tenants/{tenant}/policies");
        self.fetch(Call::new(Method::PUT, &path).header(IF_MATCH, &format!("\"{after}\"")).json(new)?).await
    }

    /// A page of the versions before `before`, the newest first.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn policy_versions(
        &self,
        tenant: TenantId,
        before: Option<u64>,
    ) -> Result<PolicyVersions, RequestError> {
        let before = before.map_or_else(String::new, |before| format!("&before={before}"));
        self.get(&format!("/api/v1/tenants/{tenant}/policies/versions?limit=200{before}")).await
    }

    /// One version.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn policy_version(
        &self,
        tenant: TenantId,
        version: u64,
    ) -> Result<PolicyVersion, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/policies/versions/{version}")).await
    }

    /// Brings a version back, as the one after `after`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn restore_policies(
        &self,
        tenant: TenantId,
        version: u64,
        after: u64,
        note: Option<&str>,
    ) -> Result<PolicyVersion, RequestError> {
        let path = format!("/api/v1/tenants/{tenant}/policies/versions/{version}/restore");
        let note = RestorePolicies { note: note.map(str::to_owned) };
        self.fetch(Call::new(Method::POST, &path).header(IF_MATCH, &format!("\"{after}\"")).json(&note)?)
            .await
    }
}
