// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Consents: what somebody allowed a client before, so that they need not be asked again, and can take it back.

use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use super::{ClientId, Provider, ProviderError, ScopeSet};

/// A consent.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The client.
    pub client: ClientId,
    /// The scopes that it may have.
    pub scope: ScopeSet,
    /// Since when, in Unix milliseconds.
    pub given_at: i64,
}

impl Provider {
    /// What this account allows the clients of this tenant, the oldest first.
    pub async fn consents(&self, tx: &mut ReadTx, account: Uuid) -> Result<Vec<Consent>, ProviderError> {
        let rows: Vec<(Uuid, String, i64)> = tx
            .query(
                "SELECT client, scope, given_at FROM oauth_consent WHERE account = $1 ORDER BY given_at, client",
                params![&account],
            )
            .await?;
        let read = |(client, scope, given_at): (Uuid, String, i64)| {
            let scope = scope.parse().map_err(|_| ProviderError::Unreadable("a consent"))?;
            Ok(Consent { client: ClientId::from_uuid(client), scope, given_at })
        };
        rows.into_iter().map(read).collect()
    }

    /// What this account allows this client; nothing if it was never asked.
    pub async fn consent(
        &self,
        tx: &mut ReadTx,
        account: Uuid,
        client: ClientId,
    ) -> Result<ScopeSet, ProviderError> {
        let row: Option<(String,)> = tx
            .query_opt(
                "SELECT scope FROM oauth_consent WHERE account = $1 AND client = $2",
                params![&account, &client],
            )
            .await?;
        let scope = row.map(|(scope,)| scope).unwrap_or_default();
        scope.parse().map_err(|_| ProviderError::Unreadable("a consent"))
    }

    /// Notes a consent, beside what was allowed before.
    pub async fn give_consent(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        client: ClientId,
        scope: &ScopeSet,
    ) -> Result<(), ProviderError> {
        let both = self.consent(tx, account, client).await?.or(scope).to_string();
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE oauth_consent SET scope = $3 WHERE account = $1 AND client = $2",
                params![&account, &client, &both],
            )
            .await?;
        if changed == 0 {
            tx.execute(
                "INSERT INTO oauth_consent (account, client, scope, given_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING",
                params![&account, &client, &both, now],
            )
            .await?;
        }
        Ok(())
    }

    /// Takes a consent back: the client's tokens for this account end at once. Says whether there was any.
    pub async fn take_back(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        client: ClientId,
    ) -> Result<bool, ProviderError> {
        let now = tx.now();
        let taken = tx
            .execute(
                "DELETE FROM oauth_consent WHERE account = $1 AND client = $2",
                params![&account, &client],
            )
            .await?;
        let ended = tx
            .execute(
                "UPDATE oauth_grant SET ended_at = $3 WHERE account = $1 AND client = $2 AND ended_at IS NULL",
                params![&account, &client, now],
            )
            .await?;
        Ok(taken + ended > 0)
    }
}
