// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finding an account without its address: what a login method shows in place of one.
//!
//! A recovery key, a passkey and an API key each have a value that the client shows at sign-in and that the server keeps
//! nowhere ([`MethodLookup`]). Two things hang on it:
//!
//! - The directory finds the account by its HMAC under the pepper (`login_lookup`). An API key says itself where its home
//!   is, and has no row there.
//! - The method keeps the key of its account's address sealed under it: so the owner is told of a sign-in for which
//!   nobody typed an address, and the server cannot read the address at any other time.
//!
//! A method is added in the directory first and then in its home, and taken away in the opposite order. What a crash
//! leaves is a row of the directory that names a method which is not there: it lets nobody in, and the sweep takes it
//! away ([`Identity::listed_methods`], [`Identity::unmatched_methods`]).

use keyring::{AddressSeal, EmailKey, Lookup, MethodKind, Sealed, SystemRng};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::account::ChangeError;
use crate::failure::Failure;
use crate::password::{SETTLE_AFTER_MS, SWITCH_WITHIN_MS};
use crate::service::{Identity, in_directory};
use crate::session::AuthenticatedSession;
use crate::signup::SignupError;
use crate::{AccountId, MethodId};

/// The value that a method shows at sign-in to be found by. Does not print, and is kept nowhere.
#[derive(Clone)]
pub struct MethodLookup {
    kind: MethodKind,
    lookup: Lookup,
}

impl MethodLookup {
    /// What a client shows of a method of this kind: [`keyring::RecoveryKey::lookup`], [`keyring::UserHandle::lookup`],
    /// [`keyring::ApiKeyAuth::lookup`].
    pub fn new(kind: MethodKind, lookup: Lookup) -> Self {
        Self { kind, lookup }
    }

    /// Of which kind of method it is.
    pub fn kind(&self) -> MethodKind {
        self.kind
    }

    pub(crate) fn seal_email_key(&self, account: AccountId, method: MethodId, key: &EmailKey) -> Vec<u8> {
        let (account, method) = (account.into(), keyring::MethodId::from_bytes(*method.as_bytes()));
        AddressSeal::of(&self.lookup).seal(key, &account, &method, &mut SystemRng).into_bytes()
    }

    pub(crate) fn open_email_key(
        &self,
        account: AccountId,
        method: MethodId,
        sealed: Vec<u8>,
    ) -> Option<EmailKey> {
        let (account, method) = (account.into(), keyring::MethodId::from_bytes(*method.as_bytes()));
        let sealed = Sealed::parse(sealed).ok()?;
        AddressSeal::of(&self.lookup).open(&sealed, &account, &method).ok()
    }
}

impl std::fmt::Debug for MethodLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MethodLookup({}, ***REDACTED***)", self.kind.as_str())
    }
}

/// Whose method a lookup value is. It proves as much as the value does: a recovery key's is the key's owner's alone, a
/// passkey's takes an assertion too.
#[derive(Clone, Debug)]
pub struct FoundMethod {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// The method.
    pub method: MethodId,
}

/// What the directory lists of an account's methods.
#[derive(Clone, Debug)]
pub struct ListedMethods {
    /// Those that a lookup value finds.
    pub others: Vec<MethodId>,
    /// The password, unless it was revoked or is being changed.
    pub password: Option<MethodId>,
}

/// What a crash between directory and home left.
#[derive(Clone, Debug)]
pub struct UnmatchedMethods {
    /// Lookup values of methods that the home does not have: to be forgotten.
    pub lookups: Vec<MethodId>,
    /// The password, when the home does not have it any more: to be forgotten as revoked.
    pub password: Option<MethodId>,
    /// Whether the home has a password that the directory does not name: to be settled.
    pub has_unnamed_password: bool,
}

/// A lookup value whose place in the directory is taken, for the method that is about to be added.
pub struct ReservedLookup {
    pub(crate) lookup: MethodLookup,
    /// Until when the home may follow; the sweep comes later than that.
    pub(crate) until: i64,
}

impl ReservedLookup {
    /// For an API key, which needs no place in the directory.
    pub fn not_in_directory(lookup: MethodLookup) -> Self {
        Self { lookup, until: i64::MAX }
    }
}

impl Identity {
    /// Takes a place in the directory for a method that is about to be added. In the directory; commit, then go on with
    /// [`add_method`](Self::add_method) in the home.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`]; [`ChangeError::Taken`] when the value is another method's already.
    pub async fn reserve_lookup(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        method: MethodId,
        lookup: MethodLookup,
    ) -> Result<ReservedLookup, ChangeError> {
        in_directory(tx)?;
        let now = tx.now();
        if !session.is_fresh(now) {
            return Err(ChangeError::StepUpRequired);
        }
        if self.take_lookup(tx, session.account(), session.home(), method, &lookup).await? {
            Ok(ReservedLookup { lookup, until: now + SWITCH_WITHIN_MS })
        } else {
            Err(ChangeError::Taken)
        }
    }

    /// Takes the place of the first method of an account that is being founded, or finds that the same sign-up took it before.
    pub(crate) async fn reserve_first_lookup(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        home: TenantId,
        method: MethodId,
        lookup: &MethodLookup,
    ) -> Result<(), SignupError> {
        if self.take_lookup(tx, account, home, method, lookup).await? {
            return Ok(());
        }
        let before = self.find_by_lookup(tx, lookup).await?;
        match before.is_some_and(|before| before.account == account && before.method == method) {
            true => Ok(()),
            false => Err(SignupError::Restart),
        }
    }

    async fn take_lookup(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        home: TenantId,
        method: MethodId,
        lookup: &MethodLookup,
    ) -> Result<bool, Failure> {
        let now = tx.now();
        let taken = tx
            .execute(
                "INSERT INTO login_lookup (lookup_index, account, home, method, kind, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                params![
                    &self.method_index(lookup),
                    account.uuid(),
                    home.uuid(),
                    method.uuid(),
                    lookup.kind.as_str(),
                    now,
                ],
            )
            .await?;
        Ok(taken == 1)
    }

    /// Whose method shows this value. In a view of the directory; the home decides whether the method is still there.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn find_by_lookup(
        &self,
        tx: &mut ReadTx,
        lookup: &MethodLookup,
    ) -> Result<Option<FoundMethod>, Failure> {
        in_directory(tx)?;
        let row: Option<(Uuid, Uuid, Uuid)> = tx
            .query_opt(
                "SELECT account, home, method FROM login_lookup WHERE lookup_index = $1 AND kind = $2",
                params![&self.method_index(lookup), lookup.kind.as_str()],
            )
            .await?;
        Ok(row.map(|(account, home, method)| FoundMethod {
            account: AccountId::from_uuid(account),
            home: TenantId::from_uuid(home),
            method: MethodId::from_uuid(method),
        }))
    }

    /// Takes a revoked method out of the directory. In the directory, after the home has let it go.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn forget_lookup(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        method: MethodId,
    ) -> Result<(), Failure> {
        in_directory(tx)?;
        tx.execute(
            "DELETE FROM login_lookup WHERE account = $1 AND method = $2",
            params![account.uuid(), method.uuid()],
        )
        .await?;
        Ok(())
    }

    /// What the directory lists of an account, except what is being changed. In a view of the directory; for the sweep.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn listed_methods(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
    ) -> Result<ListedMethods, Failure> {
        in_directory(tx)?;
        let before = tx.now() - SETTLE_AFTER_MS;
        let rows: Vec<(Uuid,)> = tx
            .query(
                "SELECT method FROM login_lookup WHERE account = $1 AND created_at < $2 ORDER BY method",
                params![account.uuid(), before],
            )
            .await?;
        let password: Option<(Uuid, String)> = tx
            .query_opt(
                "SELECT method, state FROM password_login WHERE account = $1 AND changed_at < $2",
                params![account.uuid(), before],
            )
            .await?;
        Ok(ListedMethods {
            others: rows.into_iter().map(|(method,)| MethodId::from_uuid(method)).collect(),
            password: password
                .filter(|(_, state)| state == "live")
                .map(|(method, _)| MethodId::from_uuid(method)),
        })
    }

    /// What directory and home do not agree about. In a view of the home, after the directory was read; for the sweep.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn unmatched_methods(
        &self,
        tx: &mut ReadTx,
        listed: &ListedMethods,
    ) -> Result<UnmatchedMethods, Failure> {
        let before = tx.now() - SETTLE_AFTER_MS;
        let rows: Vec<(Uuid, String, i64)> =
            tx.query("SELECT id, kind, created_at FROM login_method", params![]).await?;
        let has = |method: &MethodId| rows.iter().any(|(id, ..)| id == method.uuid());
        let is_unnamed = |(id, kind, created_at): &(Uuid, String, i64)| {
            listed.password.is_some_and(|named| named.uuid() != id)
                && kind == MethodKind::Password.as_str()
                && *created_at < before
        };
        Ok(UnmatchedMethods {
            lookups: listed.others.iter().copied().filter(|method| !has(method)).collect(),
            password: listed.password.filter(|method| !has(method)),
            has_unnamed_password: rows.iter().any(is_unnamed),
        })
    }

    /// HMAC-SHA256 of the value under the pepper; what tries with it are charged to, too.
    pub fn method_index(&self, lookup: &MethodLookup) -> [u8; 32] {
        self.keyed("method-lookup", &[lookup.kind.as_str().as_bytes(), lookup.lookup.expose()])
    }
}
