// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: login methods of programs.
//!
//! A key is `bwk_…` and has two halves ([`keyring::ApiKey`]). The one that is sent says which home to look in, where its row is
//! found by SHA-256 of its secret: it has 256 bits, so the check is one lookup and no slow hash. The one that
//! unlocks never comes here. A key is the row of its login method and one beside it; when either is gone, so is the key,
//! at once and for every server.
//!
//! What a thief of a key meets:
//!
//! - **Scopes** and an **expiry**, which the key never outgrows.
//! - **Networks.** A key is used from the networks that its owner approved; by default that is where it was made.
//!   From anywhere else it is refused, and the owner is told once for each network ([`address`]). The address opens with what
//!   the thief has just shown, so nothing that the thief controls keeps the letter back.
//! - **Reports.** Whoever finds a key may report it; one that is shown is revoked by that ([`report`]).

mod address;
mod create;
mod report;

use std::net::IpAddr;

use keyring::{ApiKeyAuth, MethodKind};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

pub use address::{AddressState, RefusedKey, SeenNetwork};
pub use create::{ApiKey, NewApiKey, Scopes, ScopesError};
pub use report::{Reported, ReportedKey};

use crate::account::ChangeError;
use crate::failure::{Failure, fails};
use crate::letter::{Letter, Message};
use crate::lookup::MethodLookup;
use crate::method::LoginMethod;
use crate::network::Network;
use crate::service::{Identity, in_home};
use crate::{AccountId, MethodId};

/// A live API key: proof that its authenticating half was shown, from an address where it may be used. Made by
/// [`Identity::authenticate_key`] alone.
#[derive(Clone, Debug)]
pub struct AuthenticatedKey {
    method: MethodId,
    account: AccountId,
    home: TenantId,
    scopes: String,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    /// It was reported by its public name, and its owner has not been told.
    report_untold: bool,
    is_suspended: bool,
    from: IpAddr,
    /// Opens the owner's address.
    lookup: MethodLookup,
}

impl AuthenticatedKey {
    /// The login method that it is; the name of the key in lists and records.
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// Whose it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's home.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// What it may be used for: names with spaces between them.
    pub fn scopes(&self) -> &str {
        &self.scopes
    }

    /// Until when, in milliseconds since the Unix epoch; for ever if there is no such time.
    pub fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }

    /// Whether its account is suspended.
    pub fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// Whether its use is to be written down ([`Identity::touch_key`]): once a minute is often enough.
    pub fn needs_touch(&self, now_ms: i64) -> bool {
        self.report_untold || self.last_used_at.is_none_or(|at| now_ms - at >= TOUCH_EVERY)
    }
}

/// Why a key lets nobody in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// There is no such key, or it was revoked.
    #[error("there is no such API key, or it was revoked")]
    Unknown,
    /// Its time is over.
    #[error("the API key has expired")]
    Expired,
    /// Nobody approved that it is used from there. To be noted by [`Identity::note_refused_key`].
    #[error("the API key may not be used from this address")]
    Address(Box<RefusedKey>),
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fails!(ApiKeyError);

/// As [`select_key`] reads it.
type KeyRow = (
    Uuid,
    Uuid,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The statement that finds a key by one of its unique columns, as long as its login method is there.
macro_rules! select_key {
    ($column:literal) => {
        concat!(
            "SELECT api_key.method, api_key.account, api_key.scopes, api_key.networks, api_key.expires_at,
                    api_key.refused_at, api_key.reported_at, api_key.report_told_at, login_method.last_used_at,
                    account.suspended_at
             FROM api_key JOIN login_method ON login_method.id = api_key.method
             LEFT JOIN account ON account.id = api_key.account
             WHERE api_key.",
            $column,
            " = $1"
        )
    };
}

impl Identity {
    /// Who shows this key, from this address. In a view of [`ApiKeyAuth::home`].
    ///
    /// # Errors
    /// [`ApiKeyError::Unknown`], [`ApiKeyError::Expired`] and [`ApiKeyError::Address`]. A home that does not exist is the
    /// caller's to answer as [`ApiKeyError::Unknown`].
    pub async fn authenticate_key(
        &self,
        tx: &mut ReadTx,
        auth: &ApiKeyAuth,
        from: IpAddr,
    ) -> Result<AuthenticatedKey, ApiKeyError> {
        in_home(tx, home_of(auth))?;
        let row: Option<KeyRow> =
            tx.query_opt(select_key!("secret_hash"), params![&auth.auth_hash()]).await?;
        self.living_key(tx, row, lookup_of(auth), from).await
    }

    /// The same key, when it still lives and may still be used from there. In a transaction of its home.
    ///
    /// # Errors
    /// As [`authenticate_key`](Self::authenticate_key).
    pub async fn key_again(
        &self,
        tx: &mut ReadTx,
        key: &AuthenticatedKey,
    ) -> Result<AuthenticatedKey, ApiKeyError> {
        in_home(tx, key.home)?;
        let row: Option<KeyRow> = tx.query_opt(select_key!("method"), params![key.method.uuid()]).await?;
        self.living_key(tx, row, key.lookup.clone(), key.from).await
    }

    async fn living_key(
        &self,
        tx: &mut ReadTx,
        row: Option<KeyRow>,
        lookup: MethodLookup,
        from: IpAddr,
    ) -> Result<AuthenticatedKey, ApiKeyError> {
        let (
            method,
            account,
            scopes,
            networks,
            expires_at,
            refused_at,
            reported_at,
            told_at,
            last_used_at,
            suspended_at,
        ) = row.ok_or(ApiKeyError::Unknown)?;
        if expires_at.is_some_and(|end| tx.now() >= end) {
            return Err(ApiKeyError::Expired);
        }
        let method = MethodId::from_uuid(method);
        let account = AccountId::from_uuid(account);
        let home = tx.tenant();
        if !address::allows(&networks, from)? {
            let refused =
                RefusedKey { method, account, home, network: Network::of(from), lookup, is_new: true };
            return Err(ApiKeyError::Address(Box::new(refused.seen_before(tx, refused_at).await?)));
        }
        let report_untold = reported_at.is_some() && told_at.is_none();
        Ok(AuthenticatedKey {
            method,
            account,
            home,
            scopes,
            expires_at,
            last_used_at,
            report_untold,
            is_suspended: suspended_at.is_some(),
            from,
            lookup,
        })
    }

    /// Writes down that the key was used. Worth it only when [`AuthenticatedKey::needs_touch`]. Send the letter after the
    /// commit: the key was reported while nothing that opens its owner's address was at hand.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn touch_key(
        &self,
        tx: &mut WriteTx,
        key: &AuthenticatedKey,
    ) -> Result<Option<Letter>, Failure> {
        in_home(tx, key.home)?;
        let now = tx.now();
        tx.execute(
            "UPDATE login_method SET last_used_at = $1
             WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)",
            params![now, key.method.uuid()],
        )
        .await?;
        if !key.report_untold {
            return Ok(None);
        }
        let told = tx
            .execute(
                "UPDATE api_key SET report_told_at = $1
                 WHERE method = $2 AND reported_at IS NOT NULL AND report_told_at IS NULL",
                params![now, key.method.uuid()],
            )
            .await?;
        if told != 1 {
            return Ok(None);
        }
        self.letter_to_owner(tx, key.account, key.method, &key.lookup, |label| Message::ApiKeyReported {
            label,
            key: key.method,
            revoked: false,
        })
        .await
    }

    /// The key as its bearer may see it: with the master key sealed to it, if it unlocks. In a view of its home.
    ///
    /// # Errors
    /// [`ChangeError::Gone`] when it was revoked meanwhile.
    pub async fn own_key(
        &self,
        tx: &mut ReadTx,
        key: &AuthenticatedKey,
    ) -> Result<(LoginMethod, crate::Account), ChangeError> {
        in_home(tx, key.home)?;
        let method = self.login_method(tx, key.method).await?.ok_or(ChangeError::Gone)?;
        let account = self.account_in(tx, key.account).await?;
        Ok((method, account))
    }

    /// A letter to the key's owner, whose address opens with what was shown. None when it does not open: that is
    /// nothing that the one who shows the key can bring about.
    async fn letter_to_owner(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
        method: MethodId,
        lookup: &MethodLookup,
        message: impl FnOnce(String) -> Message,
    ) -> Result<Option<Letter>, Failure> {
        type Row = (String, Option<Vec<u8>>, Option<Vec<u8>>, Option<[u8; 32]>);
        let row: Option<Row> = tx
            .query_opt(
                "SELECT login_method.label, login_method.address, account.sealed_email, account.email_index
                 FROM login_method JOIN account ON account.id = $2
                 WHERE login_method.id = $1 AND account.deleted_at IS NULL",
                params![method.uuid(), account.uuid()],
            )
            .await?;
        let Some((label, Some(address), Some(sealed), Some(index))) = row else { return Ok(None) };
        let Some(email_key) = lookup.open_email_key(account, method, address) else { return Ok(None) };
        let keys = self.custody.tenant(tx).await?;
        let email = self.open_stored_address(&keys, account, &sealed, &email_key, &index)?;
        let letter = |email| Letter::new(email, &self.settings.service_name, tx.now(), message(label));
        Ok(email.map(letter))
    }
}

/// The home that a key names. Anybody may write any home into one: it says where to look, and nothing more.
pub fn home_of(auth: &ApiKeyAuth) -> TenantId {
    TenantId::from_uuid(Uuid::from_bytes(*auth.home().as_bytes()))
}

/// What the key of its owner's address is sealed under.
fn lookup_of(auth: &ApiKeyAuth) -> MethodLookup {
    MethodLookup::new(MethodKind::ApiKey, auth.lookup())
}

/// Milliseconds.
const TOUCH_EVERY: i64 = 60_000;
