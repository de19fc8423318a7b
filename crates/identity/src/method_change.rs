// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Adding, naming and revoking login methods.
//!
//! ```text
//! add      directory   reserve_lookup   the value that it is found by is taken (not for API keys)
//!          home        add_method       the method is there, and the owner is told
//! revoke   home        revoke_method    method and sessions are gone, and the owner is told
//!          directory   forget_method    so is the way to find it
//! ```
//!
//! Each asks for a fresh session, shown by its own token. A crash between the two steps leaves a row of the directory
//! that names a method which is not there; see [`crate::lookup`].
//!
//! One method that a person signs in with and that unlocks must stay: without it the account's data would be lost. API keys
//! do not count.

use keyring::MethodKind;
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::account::ChangeError;
use crate::device::is_visible;
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::lookup::ReservedLookup;
use crate::method::{self, LoginMethod, Unlocking};
use crate::service::{Identity, in_directory, in_home};
use crate::session::AuthenticatedSession;
use crate::{AccountId, MethodId};

/// What a method is called by its owner: up to 64 visible characters, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MethodLabel(String);

impl MethodLabel {
    /// A name such as `key in the safe`.
    ///
    /// # Errors
    /// When it is longer, or has characters that are not shown or that reorder others.
    pub fn new(text: &str) -> Result<Self, MethodLabelError> {
        let text = text.trim();
        if text.chars().count() > 64 || !text.chars().all(is_visible) {
            return Err(MethodLabelError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot name a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a login method has at most 64 visible characters")]
pub struct MethodLabelError;

/// A method that is to be added; its kind is that of the value that it is found by.
pub struct NewMethod {
    /// Its id, drawn by whoever sealed the master key to it.
    pub id: MethodId,
    /// Its name.
    pub label: MethodLabel,
    /// How it unlocks, if it does.
    pub unlocking: Option<Unlocking>,
}

/// A method that the home has let go.
#[derive(Debug)]
pub struct RevokedMethod {
    /// Whose.
    pub account: AccountId,
    /// The account's home.
    pub home: TenantId,
    /// The method.
    pub method: MethodId,
    /// What it was.
    pub kind: MethodKind,
    /// The mail to send after the commit.
    pub letter: Letter,
}

impl Identity {
    /// Adds a method. In the home, after its place in the directory was taken; a method's own rows go into the same
    /// transaction. Send the letter after the commit.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`]; [`ChangeError::Restart`] when too much time has passed since the directory;
    /// [`ChangeError::Conflict`] when the master key was rotated meanwhile; [`ChangeError::TooManyMethods`];
    /// [`ChangeError::Taken`]; [`ChangeError::Gone`].
    pub async fn add_method(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        new: &NewMethod,
        reserved: &ReservedLookup,
    ) -> Result<Letter, ChangeError> {
        let now = tx.now();
        let (email, email_key) = self.right_to_change(tx, session).await?;
        if now >= reserved.until {
            return Err(ChangeError::Restart);
        }
        // From here on the account's row is locked: two additions do not pass the bound together.
        match &new.unlocking {
            Some(unlocking) => {
                let version = unlocking.master_key_version;
                self.at_version(tx, session, version, version).await?;
            }
            None => self.lock_account(tx, session).await?,
        }
        if method::all(tx).await?.len() >= MOST_METHODS {
            return Err(ChangeError::TooManyMethods);
        }
        let kind = reserved.lookup.kind();
        let (unlocking, slow_hash) =
            (new.unlocking.as_ref(), new.unlocking.as_ref().and_then(|unlocking| unlocking.slow_hash));
        let added = tx
            .execute(
                "INSERT INTO login_method (id, kind, label, public_key, sealed_master_key, tag, master_key_version,
                                           salt, kdf_memory, kdf_passes, kdf_lanes, address, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
                params![
                    new.id.uuid(),
                    kind.as_str(),
                    new.label.as_str(),
                    unlocking.map(|unlocking| unlocking.public_key.to_bytes()).as_ref(),
                    unlocking.map(|unlocking| unlocking.sealed_master_key.as_bytes()),
                    unlocking.map(|unlocking| unlocking.tag.as_bytes()),
                    unlocking.map(|unlocking| i64::from(unlocking.master_key_version)),
                    slow_hash.as_ref().map(|hash| hash.salt.as_bytes()),
                    slow_hash.map(|hash| i64::from(hash.kdf.memory_kib())),
                    slow_hash.map(|hash| i64::from(hash.kdf.passes())),
                    slow_hash.map(|hash| i64::from(hash.kdf.lanes())),
                    &reserved.lookup.seal_email_key(session.account(), new.id, &email_key),
                    now,
                ],
            )
            .await?;
        if added != 1 {
            return Err(ChangeError::Taken);
        }
        let message = Message::MethodAdded { kind, label: new.label.0.clone() };
        Ok(Letter::new(email, &self.settings.service_name, now, message))
    }

    /// Gives a method another name. In the home. Send the letter after the commit.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`], [`ChangeError::NoSuchMethod`], [`ChangeError::Gone`].
    pub async fn rename_method(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        method: MethodId,
        label: &MethodLabel,
    ) -> Result<Letter, ChangeError> {
        let (email, _) = self.right_to_change(tx, session).await?;
        let before = self.login_method(tx, method).await?.ok_or(ChangeError::NoSuchMethod)?;
        tx.execute(
            "UPDATE login_method SET label = $1 WHERE id = $2",
            params![label.as_str(), method.uuid()],
        )
        .await?;
        let message =
            Message::MethodRenamed { kind: before.kind, from: before.label, to: label.as_str().to_owned() };
        Ok(Letter::new(email, &self.settings.service_name, tx.now(), message))
    }

    /// Takes a method away, with every session that it opened: the asking one too, when it is one of them. `password` is the
    /// password that the directory names ([`live_password`](Self::live_password)): one that it does not name, which a crash
    /// left, lets nobody in and so does not count. In the home; commit, then go on with
    /// [`forget_method`](Self::forget_method) in the directory.
    ///
    /// # Errors
    /// [`ChangeError::LastMethod`], [`ChangeError::StepUpRequired`], [`ChangeError::NoSuchMethod`],
    /// [`ChangeError::Gone`].
    pub async fn revoke_method(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        method: MethodId,
        password: Option<MethodId>,
    ) -> Result<RevokedMethod, ChangeError> {
        let (email, _) = self.right_to_change(tx, session).await?;
        // Of two that revoke each other's last resort at once, the second sees what the first left.
        self.lock_account(tx, session).await?;
        let methods = method::all(tx).await?;
        let revoked =
            methods.iter().find(|other| other.id == method).ok_or(ChangeError::NoSuchMethod)?.clone();
        let stays = |other: &&LoginMethod| {
            other.id != method
                && LoginMethod::is_interactive(other.kind)
                && other.unlocking.is_some()
                && (other.kind != MethodKind::Password || password == Some(other.id))
        };
        if LoginMethod::is_interactive(revoked.kind) && !methods.iter().any(|other| stays(&other)) {
            return Err(ChangeError::LastMethod);
        }
        self.remove_method(tx, method).await?;
        let message = Message::MethodRevoked { kind: revoked.kind, label: revoked.label };
        Ok(RevokedMethod {
            account: session.account(),
            home: session.home(),
            method,
            kind: revoked.kind,
            letter: Letter::new(email, &self.settings.service_name, tx.now(), message),
        })
    }

    /// The password that the directory names, unless it was revoked. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn live_password(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Option<MethodId>, Failure> {
        in_directory(tx)?;
        let row: Option<(Uuid,)> = tx
            .query_opt(
                "SELECT method FROM password_login WHERE account = $1 AND state = 'live'",
                params![session.account().uuid()],
            )
            .await?;
        Ok(row.map(|(method,)| MethodId::from_uuid(method)))
    }

    /// Takes a method's rows away, and ends what it opened.
    pub(crate) async fn remove_method(&self, tx: &mut WriteTx, method: MethodId) -> Result<(), Failure> {
        let now = tx.now();
        tx.execute(
            "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL WHERE method = $2 AND ended_at IS NULL",
            params![now, method.uuid()],
        )
        .await?;
        for statement in [
            "DELETE FROM login_method WHERE id = $1",
            "DELETE FROM passkey WHERE method = $1",
            "DELETE FROM provided_identity WHERE method = $1",
            "DELETE FROM api_key WHERE method = $1",
            "DELETE FROM api_key_address WHERE method = $1",
        ] {
            tx.execute(statement, params![method.uuid()]).await?;
        }
        Ok(())
    }

    /// Nobody finds the revoked method any more. In the directory. The address of a revoked password stays taken, for its
    /// owner to set a new one.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn forget_method(&self, tx: &mut WriteTx, revoked: &RevokedMethod) -> Result<(), Failure> {
        in_directory(tx)?;
        if revoked.kind != MethodKind::Password {
            return self.forget_lookup(tx, revoked.account, revoked.method).await;
        }
        self.forget_password(tx, revoked.account, revoked.method).await
    }

    /// Nobody signs in with this password any more. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn forget_password(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        method: MethodId,
    ) -> Result<(), Failure> {
        in_directory(tx)?;
        let now = tx.now();
        tx.execute(
            "UPDATE password_login SET state = 'none', opaque_record = $1, changed_at = $2
             WHERE account = $3 AND method = $4 AND state = 'live'",
            params![&Vec::new(), now, account.uuid(), method.uuid()],
        )
        .await?;
        Ok(())
    }

    /// Locks the account's row for a change that does not rest on the master key's version.
    pub(crate) async fn lock_account(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
    ) -> Result<(), ChangeError> {
        in_home(tx, session.home())?;
        let now = tx.now();
        let locked = tx
            .execute(
                "UPDATE account SET changed_at = $1 WHERE id = $2 AND deleted_at IS NULL",
                params![now, session.account().uuid()],
            )
            .await?;
        if locked == 1 { Ok(()) } else { Err(ChangeError::Gone) }
    }
}

/// The most login methods that an account has, so that all of them fit into one rotation of the master key.
const MOST_METHODS: usize = 64;
