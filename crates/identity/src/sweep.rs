// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finishing or undoing what a crash left between the directory and a home.
//!
//! A worker calls this at the start and then now and again; every step may be repeated, by several servers at once.
//!
//! | the directory lists | look in the home | then |
//! |---|---|---|
//! | [`unfinished_signups`](Identity::unfinished_signups) | [`is_founded`](Identity::is_founded) (a home that is not there is not founded) | founded: [`finish_signup`](Identity::finish_signup) in the directory; else [`undo_signup`](Identity::undo_signup), and if that says yes, drop the tenant |
//! | [`unsettled_passwords`](Identity::unsettled_passwords) | [`settle_password`](Identity::settle_password) | [`password_settled`](Identity::password_settled) in the directory |
//! | [`unfinished_deletions`](Identity::unfinished_deletions) | [`delete_home`](Identity::delete_home) | [`delete_finish`](Identity::delete_finish) in the directory |
//! | [`homes`](Identity::homes) | [`sweep_home`](Identity::sweep_home) | |

use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::directory::make_live;
use crate::failure::Failure;
use crate::password::SETTLE_AFTER_MS;
use crate::service::{Identity, in_directory};
use crate::{AccountId, MethodId};

/// An account in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
}

/// A password that was switched and perhaps not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsettledPassword {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// The method that the directory names.
    pub method: MethodId,
}

impl Identity {
    /// Sign-ups that began so long ago that nobody can still be finishing them. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn unfinished_signups(&self, tx: &mut ReadTx, limit: u32) -> Result<Vec<Entry>, Failure> {
        let before = tx.now() - self.settings.signup_ms() - GRACE_MS;
        self.entries(tx, "founding", before, limit).await
    }

    /// Deletions that began a while ago and did not end. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn unfinished_deletions(&self, tx: &mut ReadTx, limit: u32) -> Result<Vec<Entry>, Failure> {
        let before = tx.now() - GRACE_MS;
        self.entries(tx, "deleting", before, limit).await
    }

    /// Live accounts in the order of their ids, after this one; for workers that visit every home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn homes(
        &self,
        tx: &mut ReadTx,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Entry>, Failure> {
        in_directory(tx)?;
        let after = after.unwrap_or(AccountId::from_uuid(Uuid::nil()));
        let rows: Vec<(Uuid, Uuid)> = tx
            .query(
                "SELECT account, home FROM account_directory
                 WHERE account > $1 AND state = 'live' ORDER BY account LIMIT $2",
                params![after.uuid(), i64::from(limit)],
            )
            .await?;
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Whether the home has its account. In a view of the home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn is_founded(&self, tx: &mut ReadTx, account: AccountId) -> Result<bool, Failure> {
        let found: Option<(i64,)> =
            tx.query_opt("SELECT created_at FROM account WHERE id = $1", params![account.uuid()]).await?;
        Ok(found.is_some())
    }

    /// Makes an account live whose home is founded. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn finish_signup(&self, tx: &mut WriteTx, account: AccountId) -> Result<bool, Failure> {
        in_directory(tx)?;
        make_live(tx, account).await
    }

    /// Frees the address and the number of a sign-up without a home. In the directory. When it says no, the
    /// account is live after all, and its home must stay.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn undo_signup(&self, tx: &mut WriteTx, account: AccountId) -> Result<bool, Failure> {
        in_directory(tx)?;
        let undone = tx
            .execute(
                "DELETE FROM account_directory WHERE account = $1 AND state = 'founding'",
                params![account.uuid()],
            )
            .await?;
        if undone == 1 {
            tx.execute(
                "DELETE FROM password_login WHERE account = $1 AND state = 'pending'",
                params![account.uuid()],
            )
            .await?;
            tx.execute("DELETE FROM login_lookup WHERE account = $1", params![account.uuid()]).await?;
        }
        Ok(undone == 1)
    }

    /// Passwords that were switched long enough ago to be settled. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn unsettled_passwords(
        &self,
        tx: &mut ReadTx,
        limit: u32,
    ) -> Result<Vec<UnsettledPassword>, Failure> {
        in_directory(tx)?;
        let before = tx.now() - SETTLE_AFTER_MS;
        let rows: Vec<(Uuid, Uuid, Uuid)> = tx
            .query(
                "SELECT account, home, method FROM password_login
                 WHERE unsettled_since < $1 ORDER BY unsettled_since LIMIT $2",
                params![before, i64::from(limit)],
            )
            .await?;
        let unsettled = |(account, home, method)| UnsettledPassword {
            account: AccountId::from_uuid(account),
            home: TenantId::from_uuid(home),
            method: MethodId::from_uuid(method),
        };
        Ok(rows.into_iter().map(unsettled).collect())
    }

    /// Writes down that the home was settled. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn password_settled(
        &self,
        tx: &mut WriteTx,
        settled: &UnsettledPassword,
    ) -> Result<(), Failure> {
        in_directory(tx)?;
        tx.execute(
            "UPDATE password_login SET unsettled_since = NULL WHERE account = $1 AND method = $2",
            params![settled.account.uuid(), settled.method.uuid()],
        )
        .await?;
        Ok(())
    }

    /// Forgets what a home no longer needs: exchanges that are over, and sessions and devices that ended long ago. In
    /// the home. Returns how many rows changed or went.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn sweep_home(&self, tx: &mut WriteTx) -> Result<u64, Failure> {
        let now = tx.now();
        let (kept_since, used_since) = (now - self.settings.keep_ended_ms(), now - self.settings.idle_ms());
        let mut gone = tx
            .execute(
                "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL
                 WHERE ended_at IS NULL AND (expires_at <= $1 OR last_used_at <= $2)",
                params![now, used_since],
            )
            .await?;
        gone += tx.execute("DELETE FROM spent_state WHERE expires_at <= $1", params![now]).await?;
        let kept = now - crate::ANSWERS_KEPT_MS;
        gone += tx.execute("DELETE FROM answered WHERE created_at <= $1", params![kept]).await?;
        gone += tx.execute("DELETE FROM session WHERE ended_at < $1", params![kept_since]).await?;
        gone += tx.execute("DELETE FROM device WHERE ended_at < $1", params![kept_since]).await?;
        gone +=
            tx.execute("DELETE FROM api_key_address WHERE last_seen_at < $1", params![kept_since]).await?;
        Ok(gone)
    }

    async fn entries(
        &self,
        tx: &mut ReadTx,
        state: &str,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Entry>, Failure> {
        in_directory(tx)?;
        let rows: Vec<(Uuid, Uuid)> = tx
            .query(
                "SELECT account, home FROM account_directory
                 WHERE state = $1 AND changed_at < $2 ORDER BY changed_at LIMIT $3",
                params![state, before, i64::from(limit)],
            )
            .await?;
        Ok(rows.into_iter().map(entry).collect())
    }
}

fn entry((account, home): (Uuid, Uuid)) -> Entry {
    Entry { account: AccountId::from_uuid(account), home: TenantId::from_uuid(home) }
}

/// How much longer than its time an exchange may take because it is being worked on.
const GRACE_MS: i64 = 60_000;
