// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account itself: reading it, what every change of it asks for, and its deletion.
//!
//! ```text
//! delete   home (view)  delete_start    the session is fresh, the address opens: a letter to send at the end
//!          directory    delete_begin    'deleting', and nobody signs in any more
//!          home         delete_home     sessions, methods, codes, devices and keys are gone; records stay
//!          directory    delete_finish   'deleted'; the number is never given again
//! ```
//!
//! A crash in between leaves an account that nobody can sign in to; the sweep goes on from 'deleting'.

use custody::KeyError;
use keyring::{AccountNumber, Email, EmailKey, IdentityPublicKeys};
use store::{ReadTx, TenantId, WriteTx, params};

use crate::failure::{Failure, fails};
use crate::letter::{Letter, Message};
use crate::service::{Identity, in_directory, in_home};
use crate::session::AuthenticatedSession;
use crate::{AccountId, backup_codes};

/// An account, for its owner.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its number, for people.
    pub number: AccountNumber,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Counts rotations of the master key, from 1.
    pub master_key_version: u32,
    /// Its public identity keys.
    pub identity_public: IdentityPublicKeys,
    /// How many backup codes are left.
    pub backup_codes_left: u32,
}

/// Why something about an account was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The session proved both factors too long ago.
    #[error("prove your password and code again first")]
    StepUpRequired,
    /// A field is not what it should be.
    #[error("the field {0} is not valid")]
    Field(&'static str),
    /// The state has expired, is none, is another session's, or was used.
    #[error("the change took too long or was not started by this session; start again")]
    Restart,
    /// The code of the new authenticator is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// A password needs a second factor, and the account has none.
    #[error("a password needs a second factor: set an authenticator app up first")]
    NoSecondFactor,
    /// Something else changed first: read again and start again.
    #[error("the account was changed meanwhile; the master key has version {current}")]
    Conflict {
        /// The master key's version now.
        current: u32,
    },
    /// Something of this id, or found by this value, is there already.
    #[error("there is a login method with this id or key already")]
    Taken,
    /// The account has as many login methods as it may.
    #[error("the account has as many login methods as it may have: revoke one first")]
    TooManyMethods,
    /// There is no such login method.
    #[error("there is no such login method")]
    NoSuchMethod,
    /// Nobody could sign in and open the data any more.
    #[error("this is the last login method that opens the account's data: add another one first")]
    LastMethod,
    /// The account is no longer there.
    #[error("the account is gone")]
    Gone,
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fails!(ChangeError);

/// A deletion whose right was checked.
#[derive(Debug)]
pub struct Deletion {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// The mail to send when it is done.
    pub letter: Letter,
}

impl Identity {
    /// The session's account.
    ///
    /// # Errors
    /// [`ChangeError::Gone`] when it was deleted meanwhile.
    pub async fn account(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Account, ChangeError> {
        in_home(tx, session.home())?;
        self.account_in(tx, session.account()).await
    }

    /// Under what the directory finds the account's address; `None` when it has none. In its home.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn email_index(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
    ) -> Result<Option<[u8; 32]>, Failure> {
        let row: Option<(Option<[u8; 32]>,)> = tx
            .query_opt(
                "SELECT email_index FROM account WHERE id = $1 AND deleted_at IS NULL",
                params![account.uuid()],
            )
            .await?;
        Ok(row.and_then(|(index,)| index))
    }

    /// An account, for whoever proved to be it. In its home.
    pub(crate) async fn account_in(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
    ) -> Result<Account, ChangeError> {
        let row: Option<(String, i64, i64, Vec<u8>)> = tx
            .query_opt(
                "SELECT number, created_at, master_key_version, identity_public
                 FROM account WHERE id = $1 AND deleted_at IS NULL",
                params![account.uuid()],
            )
            .await?;
        let (number, created_at, version, identity_public) = row.ok_or(ChangeError::Gone)?;
        let damaged = || Failure::Damaged("account");
        Ok(Account {
            id: account,
            number: AccountNumber::parse(&number).map_err(|_| damaged())?,
            created_at,
            master_key_version: u32::try_from(version).map_err(|_| damaged())?,
            identity_public: IdentityPublicKeys::from_bytes(&identity_public).map_err(|_| damaged())?,
            backup_codes_left: backup_codes::left(tx).await?,
        })
    }

    /// Checks that the session may delete its account. In a view of the home.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`], [`ChangeError::Gone`].
    pub async fn delete_start(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Deletion, ChangeError> {
        let email = self.address_for_change(tx, session).await?;
        let letter = Letter::new(email, &self.settings.service_name, tx.now(), Message::AccountDeleted);
        Ok(Deletion { account: session.account(), home: session.home(), letter })
    }

    /// Nobody signs in to the account from now on. In the directory; commit before going on.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn delete_begin(&self, tx: &mut WriteTx, deletion: &Deletion) -> Result<(), Failure> {
        in_directory(tx)?;
        let now = tx.now();
        crate::imported::forget(tx, deletion.account).await?;
        for statement in
            ["DELETE FROM password_login WHERE account = $1", "DELETE FROM login_lookup WHERE account = $1"]
        {
            tx.execute(statement, params![deletion.account.uuid()]).await?;
        }
        tx.execute(
            "UPDATE account_directory SET state = 'deleting', changed_at = $1 WHERE account = $2 AND state = 'live'",
            params![now, deletion.account.uuid()],
        )
        .await?;
        Ok(())
    }

    /// Takes away everything that lets anybody in or opens anything: sessions, methods, codes, devices, the address, the
    /// second factor, kept answers and the home's keys. Records stay, and what was sealed in them says nothing any more. In the home;
    /// may be repeated.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn delete_home(&self, tx: &mut WriteTx, account: AccountId) -> Result<(), Failure> {
        let now = tx.now();
        tx.execute(
            "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL WHERE ended_at IS NULL OR server_half IS NOT NULL",
            params![now],
        )
        .await?;
        for statement in [
            "DELETE FROM login_method",
            "DELETE FROM passkey",
            "DELETE FROM provided_identity",
            "DELETE FROM api_key",
            "DELETE FROM api_key_address",
            "DELETE FROM backup_code",
            "DELETE FROM device",
            "DELETE FROM answered",
            "DELETE FROM former_account_key",
        ] {
            tx.execute(statement, params![]).await?;
        }
        tx.execute(
            "UPDATE account SET email_index = NULL, sealed_email = NULL, totp = NULL, deleted_at = $1
             WHERE id = $2 AND deleted_at IS NULL",
            params![now, account.uuid()],
        )
        .await?;
        match self.custody.shred_tenant(tx).await {
            Ok(()) | Err(KeyError::Destroyed | KeyError::NoKey) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The account is deleted. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn delete_finish(&self, tx: &mut WriteTx, account: AccountId) -> Result<(), Failure> {
        in_directory(tx)?;
        let now = tx.now();
        tx.execute(
            "UPDATE account_directory SET state = 'deleted', changed_at = $1 WHERE account = $2 AND state = 'deleting'",
            params![now, account.uuid()],
        )
        .await?;
        Ok(())
    }

    /// What every change of methods and keys asks for: a fresh session, shown by its own token. Opens the address in
    /// memory, so that the owner hears of the change whoever made it.
    pub(crate) async fn address_for_change(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Email, ChangeError> {
        Ok(self.right_to_change(tx, session).await?.0)
    }

    /// As [`address_for_change`](Self::address_for_change), with the key of the address: a new method keeps that too.
    pub(crate) async fn right_to_change(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<(Email, EmailKey), ChangeError> {
        in_home(tx, session.home())?;
        if !session.is_fresh(tx.now()) {
            return Err(ChangeError::StepUpRequired);
        }
        type Row = (Option<Vec<u8>>, Option<[u8; 32]>, Option<Vec<u8>>);
        let row: Option<Row> = tx
            .query_opt(
                "SELECT account.sealed_email, account.email_index, session.email_key
                 FROM account JOIN session ON session.account = account.id
                 WHERE account.id = $1 AND account.deleted_at IS NULL AND session.id = $2",
                params![session.account().uuid(), session.id().uuid()],
            )
            .await?;
        let Some((Some(sealed), Some(index), email_key)) = row else { return Err(ChangeError::Gone) };
        // Not there: the session ended, was renewed under another token, or was shown by an access token.
        let email_key =
            email_key.and_then(|key| session.email_key(key)).ok_or(ChangeError::StepUpRequired)?;
        let keys = self.custody.tenant(tx).await?;
        let email = self.open_stored_address(&keys, session.account(), &sealed, &email_key, &index)?;
        Ok((email.ok_or(Failure::Damaged("address"))?, email_key))
    }

    /// Locks the account's row for a change that rests on this version of the master key.
    pub(crate) async fn at_version(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        version: u32,
        next: u32,
    ) -> Result<(), ChangeError> {
        let now = tx.now();
        let locked = tx
            .execute(
                "UPDATE account SET master_key_version = $1, changed_at = $2
                 WHERE id = $3 AND master_key_version = $4 AND deleted_at IS NULL",
                params![i64::from(next), now, session.account().uuid(), i64::from(version)],
            )
            .await?;
        if locked == 1 {
            return Ok(());
        }
        let current: Option<(i64,)> = tx
            .query_opt(
                "SELECT master_key_version FROM account WHERE id = $1 AND deleted_at IS NULL",
                params![session.account().uuid()],
            )
            .await?;
        let (current,) = current.ok_or(ChangeError::Gone)?;
        Err(ChangeError::Conflict {
            current: u32::try_from(current).map_err(|_| Failure::Damaged("account"))?,
        })
    }
}
