// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changing the password: a new login method takes the place of the old.
//!
//! ```text
//! start    directory    password_named     which method it replaces
//!          home (view)  password_start     OPAQUE's answer, the id of the new method, the sealed state
//! finish   home         password_prepare   the new method stands beside the old; other sessions end
//!          directory    password_switch    record, parameters and method change in one row
//!          home         password_settle    the old method goes, and with it every session that it opened
//! ```
//!
//! The old password need not be known, nor be there: whoever came in by a recovery key or a passkey has proved enough, and this
//! is how they get a password again.
//!
//! A crash after `password_prepare` leaves a method that nothing points to; after `password_switch`, an old
//! method that nobody can sign in with. [`Identity::settle_password`] takes away whatever the directory does not name; the
//! sweep calls it for each account that [`Identity::unsettled_passwords`] lists, and for every home in its turn.
//!
//! A switch comes within [`SWITCH_WITHIN_MS`] of its preparation or not at all, and the sweep takes away only what is older
//! than that: so a method that is about to be switched to is never swept.

use keyring::password::server::RegistrationRecord;
use keyring::{KdfParams, MethodKind, MethodPublicKey, MethodTag, SealedMasterKey};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::account::ChangeError;
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::service::{Identity, in_directory, in_home, same};
use crate::session::AuthenticatedSession;
use crate::signin::spend_exchange;
use crate::state::{ExchangeId, PASSWORD, Packer, Unpacker};
use crate::{AccountId, MethodId, random};

/// What a client gets to register the new password with.
#[derive(Debug)]
pub struct PasswordStarted {
    /// To be sent back with the finish.
    pub state: String,
    /// The method to be.
    pub method: MethodId,
    /// OPAQUE's registration response.
    pub opaque_response: Vec<u8>,
    /// How to hash the new password.
    pub kdf: KdfParams,
}

/// What a client sends to finish.
pub struct PasswordFinish {
    /// OPAQUE's registration record.
    pub opaque_record: Vec<u8>,
    /// The new method's public key.
    pub public_key: MethodPublicKey,
    /// The master key, sealed to it.
    pub sealed_master_key: SealedMasterKey,
    /// The master key's word for it.
    pub tag: MethodTag,
    /// Which master key that is.
    pub master_key_version: u32,
}

/// A new password that waits for the directory.
pub struct PreparedPassword {
    account: AccountId,
    home: TenantId,
    old: MethodId,
    new: MethodId,
    record: RegistrationRecord,
    kdf: KdfParams,
    prepared_at: i64,
    letter: Letter,
}

impl Identity {
    /// Which method the password of the session's account is, or was before it was revoked. In a view of the directory.
    ///
    /// # Errors
    /// [`ChangeError::Gone`].
    pub async fn password_named(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<MethodId, ChangeError> {
        in_directory(tx)?;
        let row: Option<(Uuid,)> = tx
            .query_opt(
                "SELECT method FROM password_login WHERE account = $1 AND state IN ('live', 'none')",
                params![session.account().uuid()],
            )
            .await?;
        row.map(|(method,)| MethodId::from_uuid(method)).ok_or(ChangeError::Gone)
    }

    /// Answers a session that wants another password in the place of `old`. In a view of the home.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`]; [`ChangeError::NoSecondFactor`] when the account, which was signed up with a passkey, has
    /// no authenticator app yet; [`ChangeError::Field`] when OPAQUE's request is none; [`ChangeError::Gone`].
    pub async fn password_start(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
        old: MethodId,
        opaque_request: &[u8],
    ) -> Result<PasswordStarted, ChangeError> {
        in_home(tx, session.home())?;
        if !session.is_fresh(tx.now()) {
            return Err(ChangeError::StepUpRequired);
        }
        type Row = (Option<[u8; 32]>, Option<Vec<u8>>);
        let row: Option<Row> = tx
            .query_opt(
                "SELECT email_index, totp FROM account WHERE id = $1 AND deleted_at IS NULL",
                params![session.account().uuid()],
            )
            .await?;
        let Some((Some(index), totp)) = row else { return Err(ChangeError::Gone) };
        if totp.is_none() {
            return Err(ChangeError::NoSecondFactor);
        }
        let opaque_response = self
            .opaque
            .registration_response(opaque_request, &index)
            .map_err(|_| ChangeError::Field("opaque_request"))?;
        let (new, kdf) = (MethodId::random(), self.settings.kdf);
        let state = Packer::default()
            .put(&random::bytes::<16>())
            .put(session.id().as_bytes())
            .put(old.as_bytes())
            .put(new.as_bytes())
            .number(kdf.memory_kib().into())
            .number(kdf.passes().into())
            .number(kdf.lanes().into())
            .finish();
        let state = self.states.seal(PASSWORD, tx.now() + self.settings.change_ms(), &state);
        Ok(PasswordStarted { state, method: new, opaque_response, kdf })
    }

    /// Stands the new method beside the old, and ends the other sessions. In the home; commit before going on.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`], [`ChangeError::Restart`], [`ChangeError::Field`], [`ChangeError::Gone`], and
    /// [`ChangeError::Conflict`] when the master key was rotated meanwhile.
    pub async fn password_prepare(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        state: &str,
        finish: &PasswordFinish,
    ) -> Result<PreparedPassword, ChangeError> {
        in_home(tx, session.home())?;
        let now = tx.now();
        let bytes = self.states.open(PASSWORD, now, state).map_err(|_| ChangeError::Restart)?;
        let state = unpack(&bytes).ok_or(ChangeError::Restart)?;
        if !same(&state.session, session.id().as_bytes()) {
            return Err(ChangeError::Restart);
        }
        let email = self.address_for_change(tx, session).await?;
        let record = RegistrationRecord::from_upload(&finish.opaque_record)
            .map_err(|_| ChangeError::Field("opaque_record"))?;
        if !spend_exchange(tx, &state.exchange, now + self.settings.change_ms()).await? {
            return Err(ChangeError::Restart);
        }
        self.at_version(tx, session, finish.master_key_version, finish.master_key_version).await?;
        tx
            .execute(
                "INSERT INTO login_method (id, kind, label, public_key, sealed_master_key, tag, master_key_version,
                                           created_at, last_used_at)
                 VALUES ($1, $2, COALESCE((SELECT label FROM login_method WHERE id = $3), ''), $4, $5, $6, $7, $8, $9)",
                params![
                    state.new.uuid(),
                    MethodKind::Password.as_str(),
                    state.old.uuid(),
                    &finish.public_key.to_bytes(),
                    finish.sealed_master_key.as_bytes(),
                    finish.tag.as_bytes(),
                    i64::from(finish.master_key_version),
                    now,
                    now,
                ],
            )
            .await?;
        self.end_other_sessions(tx, session).await?;
        Ok(PreparedPassword {
            account: session.account(),
            home: session.home(),
            old: state.old,
            new: state.new,
            record,
            kdf: state.kdf,
            prepared_at: now,
            letter: Letter::new(email, &self.settings.service_name, now, Message::PasswordChanged),
        })
    }

    /// From now on the new password signs in, and the old does not. In the directory; commit before going on.
    ///
    /// # Errors
    /// [`ChangeError::Restart`] when the password was changed from elsewhere meanwhile, or too much time has passed.
    pub async fn password_switch(
        &self,
        tx: &mut WriteTx,
        prepared: &PreparedPassword,
    ) -> Result<(), ChangeError> {
        in_directory(tx)?;
        let now = tx.now();
        if now >= prepared.prepared_at + SWITCH_WITHIN_MS {
            return Err(ChangeError::Restart);
        }
        let switched = tx
            .execute(
                "UPDATE password_login
                 SET method = $1, opaque_record = $2, kdf_memory = $3, kdf_passes = $4, kdf_lanes = $5,
                     changed_at = $6, unsettled_since = $7, state = 'live'
                 WHERE account = $8 AND method = $9 AND state IN ('live', 'none')",
                params![
                    prepared.new.uuid(),
                    &prepared.record.to_bytes(),
                    i64::from(prepared.kdf.memory_kib()),
                    i64::from(prepared.kdf.passes()),
                    i64::from(prepared.kdf.lanes()),
                    now,
                    now,
                    prepared.account.uuid(),
                    prepared.old.uuid(),
                ],
            )
            .await?;
        if switched == 1 { Ok(()) } else { Err(ChangeError::Restart) }
    }

    /// Takes the old method away, with every session but the asking one. In the home. Send the letter after the commit.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn password_settle(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        prepared: PreparedPassword,
    ) -> Result<Letter, Failure> {
        in_home(tx, prepared.home)?;
        // The session that changed the password lives on, by the method that it made.
        self.move_session(tx, session, prepared.old, prepared.new).await?;
        self.end_other_sessions(tx, session).await?;
        tx.execute("DELETE FROM login_method WHERE id = $1", params![prepared.old.uuid()]).await?;
        Ok(prepared.letter)
    }

    /// Takes away the password methods that the directory does not name and that no change in progress can still
    /// switch to, with the sessions that they opened. In the home; for the sweep.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn settle_password(&self, tx: &mut WriteTx, named: MethodId) -> Result<u64, Failure> {
        let (now, before) = (tx.now(), tx.now() - SETTLE_AFTER_MS);
        let kind = MethodKind::Password.as_str();
        // Without the named method nothing may go: the directory was not read after this home.
        let is_there: Option<(i64,)> =
            tx.query_opt("SELECT created_at FROM login_method WHERE id = $1", params![named.uuid()]).await?;
        if is_there.is_none() {
            return Ok(0);
        }
        tx.execute(
            "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL
             WHERE ended_at IS NULL AND method IN (
                 SELECT id FROM login_method WHERE kind = $2 AND id <> $3 AND created_at < $4)",
            params![now, kind, named.uuid(), before],
        )
        .await?;
        let gone = tx
            .execute(
                "DELETE FROM login_method WHERE kind = $1 AND id <> $2 AND created_at < $3",
                params![kind, named.uuid(), before],
            )
            .await?;
        Ok(gone)
    }
}

struct State {
    exchange: ExchangeId,
    session: [u8; 16],
    old: MethodId,
    new: MethodId,
    kdf: KdfParams,
}

fn unpack(bytes: &[u8]) -> Option<State> {
    let mut fields = Unpacker::new(bytes);
    let (exchange, session) = (fields.take()?, fields.take()?);
    let old = MethodId::from_uuid(Uuid::from_bytes(fields.take()?));
    let new = MethodId::from_uuid(Uuid::from_bytes(fields.take()?));
    let mut number = || fields.number().and_then(|number| u32::try_from(number).ok());
    let kdf = KdfParams::checked(number()?, number()?, number()?).ok()?;
    Some(State { exchange, session, old, new, kdf })
}

/// How long after its preparation a password may be switched to.
pub const SWITCH_WITHIN_MS: i64 = 5 * 60_000;
/// How old a method that the directory does not name must be before the sweep takes it away. The difference
/// is room for servers whose clocks disagree.
pub(crate) const SETTLE_AFTER_MS: i64 = SWITCH_WITHIN_MS + 10 * 60_000;
