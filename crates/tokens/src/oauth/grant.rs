// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Grants: what somebody allowed a client, and what its tokens hang on.
//!
//! A grant begins with a code, which is good once and for a minute. A code that is shown twice was stolen, by whoever came
//! first or second: the grant ends, and with it every token that hangs on it (OAuth 2.1, section 4.1.3). The same holds of a
//! refresh token: each is good once and is replaced by the next (section 4.3.1). A grant keeps the hash of the newest one
//! alone; that an older one is ours, its tag tells.
//!
//! A grant is one row. Its terms are sealed under the tenant's key with its id: nobody who can write the database alone
//! makes one.

use serde::{Deserialize, Serialize};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use super::pkce::Challenge;
use super::secret::{Shown, code_parts, new_code, new_refresh, refresh_grant, refresh_hash, same};
use super::{ClientId, GrantId, ProofKey, Provider, ProviderError, ScopeSet};

/// How long a code is good, in milliseconds.
pub const CODE_MS: i64 = 60_000;
/// How long a refresh token is good when it is not used, in milliseconds.
pub const REFRESH_IDLE_MS: i64 = 30 * DAY_MS;
/// How long a grant is good at the most, in milliseconds.
pub const GRANT_MS: i64 = 365 * DAY_MS;
const DAY_MS: i64 = 24 * 60 * 60_000;

/// A grant as it is in its tenant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The client.
    pub client: ClientId,
    /// What was allowed.
    pub terms: GrantTerms,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// The key that its refresh tokens are bound to: a public client's (RFC 9449, section 5).
    pub refresh_key: Option<ProofKey>,
}

/// What was allowed, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantTerms {
    /// The account that consented.
    #[serde(with = "super::as_text")]
    pub account: Uuid,
    /// Its home.
    #[serde(with = "super::as_text")]
    pub home: TenantId,
    /// The session that it consented in.
    #[serde(with = "super::as_text")]
    pub session: Uuid,
    /// The login method that opened that session.
    #[serde(with = "super::as_text")]
    pub method: Uuid,
    /// Whether it goes on when the session has ended.
    pub offline: bool,
    /// What the client may ask tokens for.
    pub scope: ScopeSet,
    /// Whom the tokens are for.
    pub resource: String,
    /// When the account last proved who it is, in Unix seconds.
    pub auth_time: i64,
    /// The client's word for its request, which the ID token repeats.
    pub nonce: Option<String>,
    /// What the code is bound to; nothing when there was none.
    pub code: Option<CodeTerms>,
    /// The agent, of a grant that a token was exchanged for.
    pub agent: Option<Agent>,
    /// The tenant whose provider vouched for the account, when one did.
    #[serde(default, with = "super::as_text::option")]
    pub came_by: Option<Uuid>,
    /// When the plain password was set that the account came by, in Unix milliseconds: the grant lives as long as that password does,
    /// and hangs on no session and no method.
    #[serde(default)]
    pub by_password: Option<i64>,
}

/// What a code is bound to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeTerms {
    /// The proof that its client will show.
    pub challenge: Challenge,
    /// Where the browser was sent back to.
    pub redirect_uri: String,
    /// The key that its client said it would show (`dpop_jkt`, RFC 9449, section 10).
    pub key: Option<String>,
}

/// What an agent may do for somebody, and until when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// What for, in words.
    pub purpose: Option<String>,
    /// Until when, in Unix milliseconds.
    pub ends_at: i64,
}

/// A code or a refresh token that was shown to its end.
#[derive(Debug)]
pub enum Taken {
    /// It was good, and is used up.
    Good(Box<Grant>),
    /// It was used before: end the grant.
    Again(GrantId),
}

/// Client, parent, sealed terms, `created_at`, `code_hash`, `code_used_at`, `refresh_hash`, `refresh_key`, `expires_at`, `ended_at`.
type Row = (
    Uuid,
    Option<Uuid>,
    Vec<u8>,
    i64,
    Option<Vec<u8>>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i64,
    Option<i64>,
);

/// A grant's row, opened.
struct Stored {
    grant: Grant,
    parent: Option<GrantId>,
    code_hash: Option<Vec<u8>>,
    code_used_at: Option<i64>,
    refresh_hash: Option<Vec<u8>>,
    expires_at: i64,
    ended_at: Option<i64>,
}

impl Provider {
    /// Notes what somebody allowed a client, under a new id. With a code when the terms say what it is bound to; without, the grant
    /// begins at once.
    pub async fn begin(
        &self,
        tx: &mut WriteTx,
        id: GrantId,
        client: ClientId,
        terms: &GrantTerms,
        parent: Option<GrantId>,
    ) -> Result<Option<Shown>, ProviderError> {
        let now = tx.now();
        // What is over is forgotten by the way; a stolen token of it is then one that nobody knows.
        tx.execute("DELETE FROM oauth_grant WHERE expires_at < $1", params![now.saturating_sub(DAY_MS)])
            .await?;
        let code = terms.code.as_ref().map(|_| new_code(id));
        let expires_at = match (&code, &terms.agent) {
            (Some(_), _) => now.saturating_add(CODE_MS),
            (None, Some(agent)) => agent.ends_at,
            (None, None) => now.saturating_add(REFRESH_IDLE_MS),
        };
        let plain = serde_json::to_vec(terms).map_err(|_| ProviderError::Unreadable("a grant"))?;
        let sealed = self.keys(tx).await?.seal(GRANT, &[id.as_bytes(), client.as_bytes()], &plain);
        tx.execute(
            "INSERT INTO oauth_grant (id, client, account, parent, sealed, created_at, code_hash, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                &id,
                &client,
                &terms.account,
                parent.as_ref(),
                &sealed,
                now,
                code.as_ref().map(|(_, hash)| hash),
                expires_at,
            ],
        )
        .await?;
        Ok(code.map(|(code, _)| code))
    }

    /// The grant that a code is for, when the code may be shown by this client with this proof; not used up yet.
    ///
    /// # Errors
    /// [`ProviderError::Grant`].
    pub async fn code_grant(
        &self,
        tx: &mut ReadTx,
        client: ClientId,
        code: &str,
        verifier: &str,
        redirect_uri: Option<&str>,
        key: Option<ProofKey>,
    ) -> Result<Taken, ProviderError> {
        let (id, hash) = code_parts(code).ok_or(NO_CODE)?;
        let stored = self.stored(tx, id).await?.ok_or(NO_CODE)?;
        let is_the_one = stored.code_hash.as_deref().is_some_and(|kept| same(kept, &hash));
        if !is_the_one || stored.grant.client != client {
            return Err(NO_CODE);
        }
        // Whoever shows it again, with or without the proof: it went astray.
        if stored.code_used_at.is_some() {
            return Ok(Taken::Again(id));
        }
        let terms = stored.grant.terms.code.as_ref().ok_or(NO_CODE)?;
        if redirect_uri.is_some_and(|uri| uri != terms.redirect_uri) {
            return Err(ProviderError::Grant("the code is for another redirect_uri"));
        }
        if !terms.challenge.is_of(verifier) {
            return Err(ProviderError::Grant("the code_verifier is not the one that was announced"));
        }
        let is_its_key = |text: &str| ProofKey::parse(text) == key;
        if !terms.key.as_deref().is_none_or(is_its_key) {
            return Err(ProviderError::Grant("the code is bound to a key, and the proof of that is missing"));
        }
        if stored.ended_at.is_some() || tx.now() >= stored.expires_at {
            return Err(NO_CODE);
        }
        Ok(Taken::Good(Box::new(stored.grant)))
    }

    /// Uses a code up, in the transaction that its grant's tokens come of; false when somebody else was faster.
    pub async fn use_code(&self, tx: &mut WriteTx, grant: GrantId) -> Result<bool, ProviderError> {
        let now = tx.now();
        let used = tx
            .execute(
                "UPDATE oauth_grant SET code_used_at = $2, expires_at = $3 \
                 WHERE id = $1 AND code_used_at IS NULL AND ended_at IS NULL",
                params![&grant, now, now.saturating_add(REFRESH_IDLE_MS)],
            )
            .await?;
        Ok(used == 1)
    }

    /// The grant that a refresh token is for, when this client may show it; not used up yet.
    ///
    /// # Errors
    /// [`ProviderError::Grant`].
    pub async fn refresh_grant(
        &self,
        tx: &mut ReadTx,
        client: ClientId,
        token: &str,
    ) -> Result<Taken, ProviderError> {
        let id = refresh_grant(token).ok_or(NO_REFRESH)?;
        let key = self.keys(tx).await?.derive(REFRESH_TAG);
        let hash = refresh_hash(&key, token).ok_or(NO_REFRESH)?;
        let stored = self.stored(tx, id).await?.ok_or(NO_REFRESH)?;
        if stored.grant.client != client || stored.ended_at.is_some() || tx.now() >= stored.expires_at {
            return Err(NO_REFRESH);
        }
        match stored.refresh_hash {
            Some(kept) if same(&kept, &hash) => Ok(Taken::Good(Box::new(stored.grant))),
            // It was issued by us, and is not the newest.
            Some(_) => Ok(Taken::Again(id)),
            None => Err(NO_REFRESH),
        }
    }

    /// Replaces a grant's refresh token: `before` is what was shown, or nothing for the first one, which may be bound to a key with
    /// all that follow ([`Grant::refresh_key`]). `None` when another one was made meanwhile.
    pub async fn next_refresh(
        &self,
        tx: &mut WriteTx,
        grant: &Grant,
        before: Option<&str>,
    ) -> Result<Option<Shown>, ProviderError> {
        let key = self.keys(tx).await?.derive(REFRESH_TAG);
        let (token, hash) = new_refresh(&key, grant.id);
        let before = before.and_then(|token| refresh_hash(&key, token));
        let now = tx.now();
        let expires_at = now.saturating_add(REFRESH_IDLE_MS).min(grant.created_at.saturating_add(GRANT_MS));
        let bound_to = grant.refresh_key.map(|key| key.as_bytes().to_vec());
        let replaced = match &before {
            Some(before) => {
                tx.execute(
                    "UPDATE oauth_grant SET refresh_hash = $2, expires_at = $3 \
                     WHERE id = $1 AND refresh_hash = $4 AND ended_at IS NULL",
                    params![&grant.id, &hash, expires_at, before],
                )
                .await?
            }
            None => {
                tx.execute(
                    "UPDATE oauth_grant SET refresh_hash = $2, expires_at = $3, refresh_key = $4 \
                     WHERE id = $1 AND refresh_hash IS NULL AND ended_at IS NULL",
                    params![&grant.id, &hash, expires_at, bound_to.as_ref()],
                )
                .await?
            }
        };
        Ok((replaced == 1).then_some(token))
    }

    /// A grant that lives, with the one that it came of.
    ///
    /// # Errors
    /// [`ProviderError::Revoked`].
    pub async fn live_grant(&self, tx: &mut ReadTx, id: GrantId) -> Result<Grant, ProviderError> {
        let now = tx.now();
        let stored = self.stored(tx, id).await?.ok_or(ProviderError::Revoked)?;
        let is_live = |stored: &Stored| stored.ended_at.is_none() && now < stored.expires_at;
        if !is_live(&stored) {
            return Err(ProviderError::Revoked);
        }
        if let Some(parent) = stored.parent {
            let parent = self.stored(tx, parent).await?.ok_or(ProviderError::Revoked)?;
            if !is_live(&parent) {
                return Err(ProviderError::Revoked);
            }
        }
        Ok(stored.grant)
    }

    /// Ends a grant, and with it all tokens that hang on it; false when it had ended.
    pub async fn end(&self, tx: &mut WriteTx, id: GrantId) -> Result<bool, ProviderError> {
        let now = tx.now();
        let ended = tx
            .execute(
                "UPDATE oauth_grant SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL",
                params![&id, now],
            )
            .await?;
        Ok(ended == 1)
    }

    /// The keys of the transaction's tenant.
    pub(super) async fn keys(&self, tx: &mut ReadTx) -> Result<custody::TenantKeys, ProviderError> {
        Ok(self.custody.tenant(tx).await?)
    }

    async fn stored(&self, tx: &mut ReadTx, id: GrantId) -> Result<Option<Stored>, ProviderError> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT client, parent, sealed, created_at, code_hash, code_used_at, refresh_hash, refresh_key, expires_at, ended_at \
                 FROM oauth_grant WHERE id = $1",
                params![&id],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (
            client,
            parent,
            sealed,
            created_at,
            code_hash,
            code_used_at,
            refresh_hash,
            bound,
            expires_at,
            ended_at,
        ) = row;
        let unreadable = ProviderError::Unreadable("a grant");
        let opened = self.keys(tx).await?.open(GRANT, &[id.as_bytes(), client.as_bytes()], &sealed);
        let Ok(opened) = opened else { return Err(unreadable) };
        let Ok(terms) = serde_json::from_slice(&opened) else { return Err(unreadable) };
        // What is no key is one that nobody has.
        let key_of = |bytes: Vec<u8>| ProofKey::from_bytes(bytes.try_into().unwrap_or_default());
        let refresh_key = bound.map(key_of);
        let grant = Grant { id, client: ClientId::from_uuid(client), terms, created_at, refresh_key };
        let parent = parent.map(GrantId::from_uuid);
        Ok(Some(Stored { grant, parent, code_hash, code_used_at, refresh_hash, expires_at, ended_at }))
    }
}

/// Whatever is wrong with a code: which it is, is not said.
const NO_CODE: ProviderError = ProviderError::Grant("the code is unknown, over, or another client's");
const NO_REFRESH: ProviderError =
    ProviderError::Grant("the refresh token is unknown, over, or another client's");
/// What a grant's terms are sealed as, with its id and its client.
const GRANT: &str = "tokens/grant";
/// What the tags of refresh tokens are made with.
const REFRESH_TAG: &str = "tokens/refresh";
