// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accounts, for the platform's administrators.

use protocol::AccountId;
use protocol::accounts::{AccountStanding, AccountSuspension};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// Whether an account is suspended.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn account_standing(&self, account: AccountId) -> Result<AccountStanding, RequestError> {
        self.get(&format!("/api/v1/platform/accounts/{account}")).await
    }

    /// Suspends an account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn suspend_account(
        &self,
        account: AccountId,
        suspension: &AccountSuspension,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/platform/accounts/{account}/suspension");
        self.done(Call::new(Method::PUT, &path).json(suspension)?).await
    }

    /// Ends the suspension of an account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn resume_account(&self, account: AccountId) -> Result<(), RequestError> {
        let path = format!("/api/v1/platform/accounts/{account}/suspension");
        self.done(Call::new(Method::DELETE, &path)).await
    }
}
