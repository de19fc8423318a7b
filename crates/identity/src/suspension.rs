// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Suspension of an account by those who run the platform.
//!
//! It stands in the account's own row, which every session and every API key is read with: so it holds from the next request
//! on, on every server, and ends nothing that would have to be made anew after it. What a suspended account may, the
//! policies say: nothing. A sign-in and a step-up go as far as both factors, so that only the owner learns of it.

use store::{ReadTx, WriteTx, params};

use crate::AccountId;
use crate::failure::Failure;
use crate::service::Identity;

impl Identity {
    /// Since when the account is suspended, in milliseconds since the Unix epoch. In a view of its home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn suspended_since(&self, tx: &mut ReadTx, account: AccountId) -> Result<Option<i64>, Failure> {
        let row: Option<(Option<i64>,)> =
            tx.query_opt("SELECT suspended_at FROM account WHERE id = $1", params![account.uuid()]).await?;
        Ok(row.and_then(|(since,)| since))
    }

    /// Suspends the account, from its next request on. In a transaction of its home. `false` when it was suspended, or is
    /// not there.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn suspend(&self, tx: &mut WriteTx, account: AccountId) -> Result<bool, Failure> {
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE account SET suspended_at = $1
                 WHERE id = $2 AND suspended_at IS NULL AND deleted_at IS NULL",
                params![now, account.uuid()],
            )
            .await?;
        Ok(changed == 1)
    }

    /// Ends the suspension. In a transaction of the account's home. `false` when it was not suspended.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn resume(&self, tx: &mut WriteTx, account: AccountId) -> Result<bool, Failure> {
        let changed = tx
            .execute(
                "UPDATE account SET suspended_at = NULL WHERE id = $1 AND suspended_at IS NOT NULL",
                params![account.uuid()],
            )
            .await?;
        Ok(changed == 1)
    }
}
