// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plain passwords of a tenant's members, for old clients.

use protocol::tenants::plain_passwords::{
    ImportedPlainPassword, NewPlainPassword, PlainPassword, PlainPasswordSetting, PlainPasswords,
};
use protocol::{AccountId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// Whether the tenant allows plain passwords, and a page of those of its members, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn plain_passwords(
        &self,
        tenant: TenantId,
        after: Option<AccountId>,
    ) -> Result<PlainPasswords, RequestError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.get(&format!("/api/v1/tenants/{tenant}/plain-passwords?limit=200{after}")).await
    }

    /// Says whether the tenant allows plain passwords.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn allow_plain_passwords(&self, tenant: TenantId, allowed: bool) -> Result<(), RequestError> {
        let path = format!("/api/v1/tenants/{tenant}/plain-passwords");
        self.done(Call::new(Method::PUT, &path).json(&PlainPasswordSetting { allowed })?).await
    }

    /// Imports the hash of a member's password at another system.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn import_plain_password(
        &self,
        tenant: TenantId,
        account: AccountId,
        imported: &ImportedPlainPassword,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::PUT, &of_member(tenant, account)).json(imported)?).await
    }

    /// Takes a member's plain password away.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn remove_plain_password(
        &self,
        tenant: TenantId,
        account: AccountId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &of_member(tenant, account))).await
    }

    /// One's own plain password, without the password.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn own_plain_password(&self, tenant: TenantId) -> Result<PlainPassword, RequestError> {
        self.get(&own(tenant)).await
    }

    /// Sets one's own plain password. The server sees it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_own_plain_password(
        &self,
        tenant: TenantId,
        new: &NewPlainPassword,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::PUT, &own(tenant)).json(new)?).await
    }

    /// Takes one's own plain password away.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn remove_own_plain_password(&self, tenant: TenantId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &own(tenant))).await
    }
}

fn own(tenant: TenantId) -> String {
    format!("/api/v1/tenants/{tenant}/plain-password")
}

fn of_member(tenant: TenantId, account: AccountId) -> String {
    format!("/api/v1/tenants/{tenant}/members/{account}/plain-password")
}
