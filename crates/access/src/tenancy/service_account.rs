// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Service accounts: programs of a tenant's. They hold roles as members do, and show a key instead of signing in.
//!
//! A key says itself in which tenant it is looked up, and is looked up with each request: revoking one, suspending or deleting
//! its account is one write, and final everywhere. The server keeps a hash of it. What a key says it may be used for is a
//! ceiling over the roles of its account, and grants nothing.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use store::{ReadTx, TenantId, TenantKind, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::caller::Service;
use crate::scopes::Scopes;
use crate::standing::Stamp;
use crate::tenancy::{MemberState, Name, ServiceAccountId, ServiceKeyId, Tenancy, TenancyError};

/// How many service accounts a tenant has at most.
pub const MAX_SERVICE_ACCOUNTS: i64 = 1_000;
/// How many keys a service account has at most.
pub const MAX_SERVICE_KEYS: i64 = 16;
/// How often the use of a key is written down, in milliseconds.
const TOUCH_EVERY: i64 = 60_000;

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: Name,
    /// How it is.
    pub state: MemberState,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// Who made it, as records name them.
    pub created_by: String,
}

/// A key of a service account, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceKey {
    /// Its id.
    pub id: ServiceKeyId,
    /// Its name.
    pub label: Name,
    /// What it may be used for at the most.
    pub scopes: Scopes,
    /// From where: networks, with spaces between them; everywhere if empty.
    pub networks: String,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// Until when, in Unix milliseconds; until it is revoked if `None`.
    pub expires_at: Option<i64>,
    /// When it was last used, to the minute, in Unix milliseconds.
    pub last_used_at: Option<i64>,
}

/// A key to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewServiceKey<'a> {
    /// Its name.
    pub label: &'a Name,
    /// What it may be used for at the most.
    pub scopes: Scopes,
    /// From where: networks, with spaces between them; everywhere if empty.
    pub networks: &'a str,
    /// Until when, in Unix milliseconds.
    pub expires_at: Option<i64>,
}

/// A service account that has shown a live key.
#[derive(Clone, Debug)]
pub struct AuthenticatedService {
    /// Which, and with which key.
    pub service: Service,
    /// What the key may be used for at the most.
    pub scopes: Scopes,
    /// From where the key may be used; everywhere if empty.
    pub networks: String,
    last_used_at: Option<i64>,
}

/// What a service account shows: `bwv_` and base64url of the tenant's id and 32 secret bytes. Does not print.
#[derive(Clone)]
pub struct ServiceToken {
    tenant: TenantId,
    secret: Box<Zeroizing<[u8; 32]>>,
}

/// The text is not a service account's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the key of a service account")]
pub struct ServiceTokenError;

impl ServiceToken {
    /// How such keys begin.
    pub const PREFIX: &'static str = "bwv_";

    fn new(tenant: TenantId, secret: [u8; 32]) -> Self {
        ServiceToken { tenant, secret: Box::new(Zeroizing::new(secret)) }
    }

    /// The tenant to look in. Anybody may write any tenant here: it says where to look, and nothing more.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The text, to give to whoever runs the program.
    pub fn expose(&self) -> Zeroizing<String> {
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.tenant.as_bytes().iter().chain(self.secret.iter()).copied().collect());
        Zeroizing::new(format!("{}{}", Self::PREFIX, BASE64URL_NOPAD.encode(&bytes)))
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_slice()).into()
    }
}

impl FromStr for ServiceToken {
    type Err = ServiceTokenError;

    fn from_str(text: &str) -> Result<Self, ServiceTokenError> {
        let encoded =
            text.strip_prefix(Self::PREFIX).filter(|rest| rest.len() == 64).ok_or(ServiceTokenError)?;
        let bytes =
            Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| ServiceTokenError)?);
        let (tenant, secret) = bytes.split_first_chunk::<16>().ok_or(ServiceTokenError)?;
        let tenant = TenantId::from_uuid(Uuid::from_bytes(*tenant));
        if tenant.kind() != TenantKind::Customer {
            return Err(ServiceTokenError);
        }
        Ok(Self::new(tenant, secret.try_into().map_err(|_| ServiceTokenError)?))
    }
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceToken(***REDACTED***)")
    }
}

impl AuthenticatedService {
    /// Whether its use is to be written down ([`Tenancy::touch_service_key`]): once a minute is often enough.
    pub fn needs_touch(&self, now_ms: i64) -> bool {
        self.last_used_at.is_none_or(|at| now_ms - at >= TOUCH_EVERY)
    }
}

type KeyRow = (Uuid, Vec<u8>, String, String, i64, Option<i64>, Option<i64>);
type ShownRow = (Uuid, Uuid, String, String, Option<i64>, Option<i64>);

impl Tenancy {
    /// The service accounts, the oldest first.
    pub async fn service_accounts(&self, tx: &mut ReadTx) -> Result<Vec<ServiceAccount>, TenancyError> {
        let keys = self.keys(tx).await?;
        let rows: Vec<(Uuid, String, Vec<u8>, i64, String)> = tx
            .query(
                "SELECT id, state, sealed_name, created_at, created_by FROM service_account \
                 ORDER BY created_at, id",
                params![],
            )
            .await?;
        let open = |(id, state, sealed, created_at, created_by): (Uuid, String, Vec<u8>, i64, String)| {
            Ok(ServiceAccount {
                id: ServiceAccountId::from_uuid(id),
                name: Name::open(&keys, id, &sealed)?,
                state: state.parse()?,
                created_at,
                created_by,
            })
        };
        rows.into_iter().map(open).collect()
    }

    /// Makes a service account, which holds no role yet.
    ///
    /// # Errors
    /// [`TenancyError::TooMany`].
    pub async fn create_service_account(
        &self,
        tx: &mut WriteTx,
        name: &Name,
        by: &str,
    ) -> Result<ServiceAccount, TenancyError> {
        Stamp::People.renew(tx).await?;
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM service_account", params![]).await?;
        if count >= MAX_SERVICE_ACCOUNTS {
            return Err(TenancyError::TooMany("a tenant has at most 1,000 service accounts"));
        }
        let (id, now) = (ServiceAccountId::random(), tx.now());
        let sealed = name.seal(&self.keys(tx).await?, *id.uuid());
        tx.execute(
            "INSERT INTO service_account (id, state, sealed_name, created_at, created_by, changed_at) \
             VALUES ($1, 'live', $2, $3, $4, $3)",
            params![&id, &sealed, now, by],
        )
        .await?;
        Ok(ServiceAccount {
            id,
            name: name.clone(),
            state: MemberState::Live,
            created_at: now,
            created_by: by.to_owned(),
        })
    }

    /// Suspends a service account at once, or ends that.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn set_service_account_state(
        &self,
        tx: &mut WriteTx,
        id: ServiceAccountId,
        state: MemberState,
    ) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE service_account SET state = $2, changed_at = $3 WHERE id = $1",
                params![&id, state.name(), now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Deletes a service account at once, with its keys and its roles.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn delete_service_account(
        &self,
        tx: &mut WriteTx,
        id: ServiceAccountId,
    ) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        if tx.execute("DELETE FROM service_account WHERE id = $1", params![&id]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        tx.execute("DELETE FROM service_key WHERE account = $1", params![&id]).await?;
        tx.execute("DELETE FROM role_grant WHERE holder = $1", params![&id]).await?;
        Ok(())
    }

    /// The keys of a service account, the oldest first.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn service_keys(
        &self,
        tx: &mut ReadTx,
        account: ServiceAccountId,
    ) -> Result<Vec<ServiceKey>, TenancyError> {
        require_account(tx, account).await?;
        let keys = self.keys(tx).await?;
        let rows: Vec<KeyRow> = tx
            .query(
                "SELECT id, sealed_label, scopes, networks, created_at, expires_at, last_used_at \
                 FROM service_key WHERE account = $1 ORDER BY created_at, id",
                params![&account],
            )
            .await?;
        let mut listed = Vec::with_capacity(rows.len());
        for (id, sealed, scopes, networks, created_at, expires_at, last_used_at) in rows {
            listed.push(ServiceKey {
                id: ServiceKeyId::from_uuid(id),
                label: Name::open(&keys, id, &sealed)?,
                scopes: stored_scopes(&scopes),
                networks,
                created_at,
                expires_at,
                last_used_at,
            });
        }
        Ok(listed)
    }

    /// Makes a key of a service account. It is shown once: the server keeps a hash.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`], [`TenancyError::TooMany`], [`TenancyError::Invalid`] for an end that is past.
    pub async fn create_service_key(
        &self,
        tx: &mut WriteTx,
        account: ServiceAccountId,
        new: &NewServiceKey<'_>,
        secret: [u8; 32],
        by: &str,
    ) -> Result<(ServiceKey, ServiceToken), TenancyError> {
        require_account(tx, account).await?;
        let now = tx.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(TenancyError::invalid("expires_at", "it is past"));
        }
        let (count,): (i64,) =
            tx.query_one("SELECT count(*) FROM service_key WHERE account = $1", params![&account]).await?;
        if count >= MAX_SERVICE_KEYS {
            return Err(TenancyError::TooMany("a service account has at most 16 keys"));
        }
        let token = ServiceToken::new(tx.tenant(), secret);
        let id = ServiceKeyId::random();
        let sealed = new.label.seal(&self.keys(tx).await?, *id.uuid());
        tx.execute(
            "INSERT INTO service_key \
               (id, account, hash, sealed_label, scopes, networks, created_at, created_by, expires_at, last_used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)",
            params![
                &id,
                &account,
                token.hash().as_slice(),
                &sealed,
                &new.scopes.to_string(),
                new.networks,
                now,
                by,
                new.expires_at,
            ],
        )
        .await?;
        let key = ServiceKey {
            id,
            label: new.label.clone(),
            scopes: new.scopes,
            networks: new.networks.to_owned(),
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        Ok((key, token))
    }

    /// Revokes a key of a service account at once.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn revoke_service_key(
        &self,
        tx: &mut WriteTx,
        account: ServiceAccountId,
        key: ServiceKeyId,
    ) -> Result<(), TenancyError> {
        let deleted = tx
            .execute("DELETE FROM service_key WHERE id = $1 AND account = $2", params![&key, &account])
            .await?;
        if deleted == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Whether there is such a service account.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn require_service_account(
        &self,
        tx: &mut ReadTx,
        account: ServiceAccountId,
    ) -> Result<(), TenancyError> {
        require_account(tx, account).await
    }

    /// Whose key this is. In the tenant that it names.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for one that is not there, was revoked or has expired.
    pub async fn authenticate_service(
        &self,
        tx: &mut ReadTx,
        token: &ServiceToken,
    ) -> Result<AuthenticatedService, TenancyError> {
        if token.tenant != tx.tenant() {
            return Err(TenancyError::NotFound);
        }
        let row: Option<ShownRow> = tx
            .query_opt(
                "SELECT id, account, scopes, networks, expires_at, last_used_at FROM service_key WHERE hash = $1",
                params![token.hash().as_slice()],
            )
            .await?;
        let (key, account, scopes, networks, expires_at, last_used_at) = row.ok_or(TenancyError::NotFound)?;
        if expires_at.is_some_and(|end| end <= tx.now()) {
            return Err(TenancyError::NotFound);
        }
        Ok(AuthenticatedService {
            service: Service { tenant: tx.tenant(), account, key, by_client: false },
            scopes: stored_scopes(&scopes),
            networks,
            last_used_at,
        })
    }

    /// Whether a key that was shown is still there, in the transaction that it opened.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn service_key_again(&self, tx: &mut ReadTx, shown: &Service) -> Result<(), TenancyError> {
        let now = tx.now();
        let found: Option<(i64,)> = tx
            .query_opt(
                "SELECT 1 FROM service_key WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)",
                params![&shown.key, now],
            )
            .await?;
        found.map(drop).ok_or(TenancyError::NotFound)
    }

    /// Writes down that a key was used.
    pub async fn touch_service_key(
        &self,
        tx: &mut WriteTx,
        used: &AuthenticatedService,
    ) -> Result<(), TenancyError> {
        let now = tx.now();
        tx.execute("UPDATE service_key SET last_used_at = $2 WHERE id = $1", params![&used.service.key, now])
            .await?;
        Ok(())
    }
}

async fn require_account(tx: &mut ReadTx, account: ServiceAccountId) -> Result<(), TenancyError> {
    let found: Option<(i64,)> =
        tx.query_opt("SELECT 1 FROM service_account WHERE id = $1", params![&account]).await?;
    found.map(drop).ok_or(TenancyError::NotFound)
}

/// An action that this release does not know allows nothing.
fn stored_scopes(names: &str) -> Scopes {
    if names == "*" {
        return Scopes::ALL;
    }
    names.split_ascii_whitespace().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_says_where_to_look_and_does_not_print() {
        let token = ServiceToken::new(TenantId::customer(), [7; 32]);
        let read: ServiceToken = token.expose().parse().unwrap();
        assert_eq!((read.tenant(), read.hash()), (token.tenant(), token.hash()));
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
        // A home has no service accounts, and neither has the platform.
        for tenant in [TenantId::random(), TenantId::PLATFORM] {
            let other = ServiceToken::new(tenant, [7; 32]).expose();
            assert_eq!(other.parse::<ServiceToken>().err(), Some(ServiceTokenError));
        }
        for bad in ["", "bwv_", &token.expose()[..67], &format!("{}A", *token.expose())] {
            assert!(bad.parse::<ServiceToken>().is_err(), "{bad}");
        }
    }
}
