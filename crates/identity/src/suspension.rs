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

/// That an account is suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Since when, in milliseconds since the Unix epoch.
    pub since: i64,
    /// Why; `None` when that was not kept.
    pub reason: Option<String>,
}

impl Identity {
    /// Whether the account is suspended, since when and why. In a view of its home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn suspension(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
    ) -> Result<Option<Suspension>, Failure> {
        let row: Option<(Option<i64>, Option<Vec<u8>>)> = tx
            .query_opt(
                "SELECT suspended_at, sealed_suspension_reason FROM account WHERE id = $1",
                params![account.uuid()],
            )
            .await?;
        let Some((Some(since), sealed)) = row else { return Ok(None) };
        let Some(sealed) = sealed else { return Ok(Some(Suspension { since, reason: None })) };
        let keys = self.custody.tenant(tx).await?;
        let reason = keys
            .open(REASON, &[account.as_bytes()], &sealed)
            .ok()
            .and_then(|reason| String::from_utf8(reason.to_vec()).ok())
            .ok_or(Failure::Damaged("suspension's reason"))?;
        Ok(Some(Suspension { since, reason: Some(reason) }))
    }

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
    pub async fn suspend(&self, tx: &mut WriteTx, account: AccountId, reason: &str) -> Result<bool, Failure> {
        let keys = self.custody.tenant(tx).await?;
        let (now, sealed) = (tx.now(), keys.seal(REASON, &[account.as_bytes()], reason.as_bytes()));
        let changed = tx
            .execute(
                "UPDATE account SET suspended_at = $1, sealed_suspension_reason = $2
                 WHERE id = $3 AND suspended_at IS NULL AND deleted_at IS NULL",
                params![now, &sealed, account.uuid()],
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
                "UPDATE account SET suspended_at = NULL, sealed_suspension_reason = NULL
                 WHERE id = $1 AND suspended_at IS NOT NULL",
                params![account.uuid()],
            )
            .await?;
        Ok(changed == 1)
    }
}

/// What a reason is sealed as, with the account.
const REASON: &str = "identity/suspension-reason";
