// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Telling clients that somebody is signed out (OpenID Connect Back-Channel Logout 1.0).
//!
//! A grant of a client that wants to be told is written down in the platform's database before its first token is issued. Whether it
//! still lives is looked up, as for its tokens; once it does not, the client is due to be told, until it has taken the message or too
//! many tries have failed. A note of a grant that never came to be harms nobody: its `sid` is in no token.

use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use super::token::LOGOUT_TOKEN;
use super::{ClientAddress, ClientId, GrantId, Provider, ProviderError};
use crate::SigningAlgorithm;

/// How often a client is tried to be told. The pauses double from [`LOGOUT_PAUSE_MS`]: the last try is half a day after the first.
pub const LOGOUT_TRIES: i64 = 12;
/// The pause after the first try, in milliseconds.
pub const LOGOUT_PAUSE_MS: i64 = 20_000;
/// How long after its note a grant is there, if it ever will be, in milliseconds.
const SETTLED_MS: i64 = 2_000;
/// How long a logout token is good, in seconds.
const LIFETIME: i64 = 120;

/// A grant whose client wants to be told when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The grant: the `sid` of its ID tokens.
    pub grant: GrantId,
    /// The client, in its tenant.
    pub client: ClientAddress,
    /// Whose grant it is.
    pub account: Uuid,
}

/// One whose client is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// What has ended.
    pub watched: Watched,
    /// How often it was tried.
    pub tries: i64,
    due_at: i64,
}

type Row = (GrantId, TenantId, ClientId, Uuid);

fn watched((grant, tenant, client, account): Row) -> Watched {
    Watched { grant, client: ClientAddress { tenant, client }, account }
}

impl Provider {
    /// Notes a grant that is about to begin. In the directory.
    pub async fn watch(&self, tx: &mut WriteTx, watched: &Watched) -> Result<(), StoreError> {
        let Watched { grant, client, account } = watched;
        let now = tx.now();
        tx.execute(
            "INSERT INTO oauth_logout (grant_id, customer, client, account, noted_at, tries) \
             VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING",
            params![grant, &client.tenant, &client.client, account, now],
        )
        .await?;
        Ok(())
    }

    /// Those that were not found to have ended, by id, after `after`; at most `limit`. In the directory.
    pub async fn watched(
        &self,
        tx: &mut ReadTx,
        after: GrantId,
        limit: u32,
    ) -> Result<Vec<Watched>, StoreError> {
        let sql = "SELECT grant_id, customer, client, account FROM oauth_logout \
                   WHERE due_at IS NULL AND grant_id > $1 AND noted_at <= $3 ORDER BY grant_id LIMIT $2";
        let settled = tx.now() - SETTLED_MS;
        let rows: Vec<Row> = tx.query(sql, params![&after, i64::from(limit), settled]).await?;
        Ok(rows.into_iter().map(watched).collect())
    }

    /// Those of one account that were not found to have ended. In the directory.
    pub async fn watched_of(
        &self,
        tx: &mut ReadTx,
        account: Uuid,
        limit: u32,
    ) -> Result<Vec<Watched>, StoreError> {
        let sql = "SELECT grant_id, customer, client, account FROM oauth_logout \
                   WHERE due_at IS NULL AND account = $1 AND noted_at <= $3 ORDER BY grant_id LIMIT $2";
        let settled = tx.now() - SETTLED_MS;
        let rows: Vec<Row> = tx.query(sql, params![&account, i64::from(limit), settled]).await?;
        Ok(rows.into_iter().map(watched).collect())
    }

    /// Notes that a grant was found to have ended: its client is to be told at once. In the directory.
    pub async fn has_ended(&self, tx: &mut WriteTx, grant: GrantId) -> Result<(), StoreError> {
        let now = tx.now();
        tx.execute(
            "UPDATE oauth_logout SET due_at = $2 WHERE grant_id = $1 AND due_at IS NULL",
            params![&grant, now],
        )
        .await?;
        Ok(())
    }

    /// Whose time to be told has come, at most `limit`, and so many of one tenant. In the directory.
    pub async fn due(&self, tx: &mut ReadTx, limit: u32, of_one: u32) -> Result<Vec<Due>, StoreError> {
        let now = tx.now();
        let sql = "SELECT grant_id, customer, client, account, tries, due_at FROM (\
                     SELECT grant_id, customer, client, account, tries, due_at, \
                       row_number() OVER (PARTITION BY customer ORDER BY due_at, grant_id) AS place \
                     FROM oauth_logout WHERE due_at <= $1) AS due \
                   WHERE place <= $3 ORDER BY due_at, grant_id LIMIT $2";
        let rows: Vec<(GrantId, TenantId, ClientId, Uuid, i64, i64)> =
            tx.query(sql, params![now, i64::from(limit), i64::from(of_one)]).await?;
        let due = |(grant, tenant, client, account, tries, due_at)| Due {
            watched: watched((grant, tenant, client, account)),
            tries,
            due_at,
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// Takes the next try at one, so that no other server does; false when another one has it. In the directory.
    pub async fn take_try(&self, tx: &mut WriteTx, due: &Due) -> Result<bool, StoreError> {
        let doublings = u32::try_from(due.tries.clamp(0, LOGOUT_TRIES)).unwrap_or(0);
        let next = tx.now().saturating_add(LOGOUT_PAUSE_MS.saturating_mul(1 << doublings));
        let taken = tx
            .execute(
                "UPDATE oauth_logout SET due_at = $3, tries = tries + 1 WHERE grant_id = $1 AND due_at = $2",
                params![&due.watched.grant, due.due_at, next],
            )
            .await?;
        Ok(taken == 1)
    }

    /// Forgets one: its client was told, or need not be. In the directory.
    pub async fn unwatch(&self, tx: &mut WriteTx, grant: GrantId) -> Result<(), StoreError> {
        tx.execute("DELETE FROM oauth_logout WHERE grant_id = $1", params![&grant]).await?;
        Ok(())
    }

    /// What a client is told: that this grant's person is signed out of it (section 2.4).
    ///
    /// # Errors
    /// [`ProviderError::Issue`].
    pub fn issue_logout_token(
        &self,
        now: i64,
        algorithm: SigningAlgorithm,
        watched: &Watched,
    ) -> Result<String, ProviderError> {
        let iat = now.div_euclid(1_000);
        let claims = serde_json::json!({
            "iss": self.issuer,
            "aud": watched.client.to_string(),
            "sub": format!("acc_{}", watched.account.simple()),
            "sid": watched.grant.to_string(),
            "iat": iat,
            "exp": iat.saturating_add(LIFETIME),
            "jti": Uuid::new_v4().simple().to_string(),
            "events": { EVENT: {} },
        });
        Ok(self.signing.sign_token(now, algorithm, LOGOUT_TOKEN, &claims)?)
    }
}

/// What a logout token says has happened.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
