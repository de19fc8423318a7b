// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in with a password and a second factor, and proving both again (*step-up*).
//!
//! ```text
//! start    directory (view)   signin_start    OPAQUE's answer, salt, parameters, the sealed state
//! finish   no database        signin_state    opens the state: whom to charge the try to
//!          no database        signin_verify   checks OPAQUE's proof; says which home to enter
//!          home               signin_finish   second factor, address, device; opens the session
//! ```
//!
//! Step-up is the same with `stepup_…`, for the session that asks; it ends with another token for that session.
//!
//! An unknown address takes the same way as a known one: one lookup, OPAQUE over a record that no password opens, a salt and
//! parameters derived from the pepper, a state of the same length; and fails where a wrong password fails. Whatever is wrong,
//! the caller hears [`SigninError::InvalidCredentials`].
//!
//! Each state serves once: the home remembers those that let somebody in until they would have expired anyway.

use keyring::email::EmailHash;
use keyring::password::server::{RegistrationRecord, ServerLoginState};
use keyring::{EmailKey, EmailSalt, KdfParams, SystemRng};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::arrival::{AddressKey, Arrival, Proof, ProvenAccount, SignedIn, SteppedUp};
use crate::device::{DeviceInfo, DeviceToken, Place};
use crate::failure::{Failure, fails};
use crate::passkey::CopiedPasskey;
use crate::second_factor::{SecondFactor, open_totp};
use crate::service::{Identity, in_directory, same};
use crate::session::AuthenticatedSession;
use crate::state::{ExchangeId, Packer, SIGN_IN, STEP_UP, Unpacker};
use crate::{AccountId, DeviceId, MethodId, backup_codes, random};

/// What a client gets to prove a password with.
#[derive(Debug)]
pub struct SigninStarted {
    /// To be sent back with the finish.
    pub state: String,
    /// OPAQUE's credential response.
    pub opaque_response: Vec<u8>,
    /// The salt of the address's key.
    pub email_salt: EmailSalt,
    /// How to hash the password.
    pub kdf: KdfParams,
}

/// An opened state: whom somebody wants to sign in as.
pub struct SigninState {
    /// The device or the session that began it, when it is no stranger to the account; else zeros.
    known: [u8; 16],
    exchange: ExchangeId,
    email_index: [u8; 32],
    is_known: bool,
    account: AccountId,
    home: TenantId,
    method: MethodId,
    opaque: Zeroizing<Vec<u8>>,
}

impl SigninState {
    /// What the try is charged to ([`crate::Attempts::finish`] with [`crate::Try::SignIn`]).
    pub fn email_index(&self) -> &[u8; 32] {
        &self.email_index
    }

    /// The device or session that the account knows, when one began it: then the try is charged to that alone
    /// ([`crate::Attempts::finish_known`]).
    pub fn known(&self) -> Option<&[u8; 16]> {
        (self.known != [0; 16]).then_some(&self.known)
    }

    /// Names the exchange whose finish this is.
    pub fn exchange(&self) -> &[u8; 16] {
        &self.exchange
    }
}

/// The password was right; the second factor is not checked yet.
pub struct ProvenPassword {
    exchange: ExchangeId,
    email_index: [u8; 32],
    account: AccountId,
    home: TenantId,
    method: MethodId,
    expires_at: i64,
}

impl ProvenPassword {
    /// Whose password it was.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The home to enter.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// What it proves together with the second factor.
    fn proof(&self) -> Proof {
        Proof {
            account: self.account,
            home: self.home,
            method: self.method,
            exchange: Some((self.exchange, self.expires_at)),
            is_address_known: true,
            vouched_by: None,
        }
    }
}

/// What a client sends beside OPAQUE's proof.
pub struct SigninFinish {
    /// The second factor.
    pub factor: SecondFactor,
    /// The key of the address; used for this request only.
    pub email_key: EmailKey,
    /// How the device names itself.
    pub device: DeviceInfo,
    /// What the device got when it was new, if it ever was.
    pub device_token: Option<DeviceToken>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigninError {
    /// OPAQUE's request is not one.
    #[error("the field {0} is not valid")]
    Field(&'static str),
    /// Something is wrong: address, password, second factor, an exchange that is over or was used. It is not said what.
    #[error("the email address, the password or the code is wrong")]
    InvalidCredentials,
    /// Everything is right, and those who run the platform have suspended the account.
    #[error("this account is suspended")]
    Suspended,
    /// The passkey is right and its count of signatures went back. Whoever asks hears that the credentials are not valid;
    /// the owner is told ([`Identity::note_copied_passkey`]).
    #[error("the passkey's count of signatures went back")]
    Copied(Box<CopiedPasskey>),
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fails!(SigninError);

impl Identity {
    /// Answers whoever wants to sign in. In a view of the directory. `known` is the device that
    /// [`known_device`](Self::known_device) recognised.
    ///
    /// # Errors
    /// [`SigninError::Field`] when the request is none; never anything about the account.
    pub async fn signin_start(
        &self,
        tx: &mut ReadTx,
        email: &EmailHash,
        known: Option<DeviceId>,
        opaque_request: &[u8],
    ) -> Result<SigninStarted, SigninError> {
        in_directory(tx)?;
        let index = *self.blind_index(email).as_bytes();
        let unknown = (self.email_salt(email), self.kdf_of_unknown(email));
        let known = known.map_or([0; 16], |device| *device.as_bytes());
        let row: Option<LoginRow> = tx
            .query_opt(
                "SELECT email_index, account, home, method, opaque_record, kdf_memory, kdf_passes, kdf_lanes, email_salt
                 FROM password_login WHERE email_index = $1 AND state = 'live'",
                params![&index],
            )
            .await?;
        self.challenge(tx.now(), index, row, unknown, opaque_request, SIGN_IN, &known)
    }

    /// Opens the state of a sign-in.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when it expired or is none.
    pub fn signin_state(&self, now_ms: i64, state: &str) -> Result<SigninState, SigninError> {
        let bytes = self.states.open(SIGN_IN, now_ms, state).map_err(|_| SigninError::InvalidCredentials)?;
        let mut fields = Unpacker::new(&bytes);
        unpack(&mut fields).ok_or(SigninError::InvalidCredentials)
    }

    /// Checks OPAQUE's proof.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] for a wrong password and for an unknown address.
    pub fn signin_verify(
        &self,
        now_ms: i64,
        state: SigninState,
        opaque_finalization: &[u8],
    ) -> Result<ProvenPassword, SigninError> {
        let opaque =
            ServerLoginState::from_bytes(&state.opaque).map_err(|_| SigninError::InvalidCredentials)?;
        let proven = opaque.finish(opaque_finalization).is_ok();
        if !(proven & state.is_known) {
            return Err(SigninError::InvalidCredentials);
        }
        Ok(ProvenPassword {
            exchange: state.exchange,
            email_index: state.email_index,
            account: state.account,
            home: state.home,
            method: state.method,
            expires_at: now_ms + self.settings.signin_ms(),
        })
    }

    /// Checks the rest and opens the session. In a transaction of [`ProvenPassword::home`]; drop it on any error. Send
    /// the letter after the commit.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`].
    pub async fn signin_finish(
        &self,
        tx: &mut WriteTx,
        proven: &ProvenPassword,
        finish: &SigninFinish,
        place: &Place,
    ) -> Result<SignedIn, SigninError> {
        let account = self.prove(tx, proven, &finish.factor, &finish.email_key).await?;
        let arrival = Arrival {
            device: finish.device.clone(),
            device_token: finish.device_token.clone(),
            place: place.clone(),
        };
        self.arrive(tx, &proven.proof(), account, &arrival).await
    }

    /// Answers a session that wants to prove itself again. In a view of the directory. A start is a guess here too: charge it
    /// to the session ([`crate::Attempts::start_known`]).
    ///
    /// # Errors
    /// As [`signin_start`](Self::signin_start); [`SigninError::InvalidCredentials`] when the account has no password.
    pub async fn stepup_start(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
        opaque_request: &[u8],
    ) -> Result<SigninStarted, SigninError> {
        in_directory(tx)?;
        let row: Option<LoginRow> = tx
            .query_opt(
                "SELECT email_index, account, home, method, opaque_record, kdf_memory, kdf_passes, kdf_lanes, email_salt
                 FROM password_login WHERE account = $1 AND state = 'live'",
                params![session.account().uuid()],
            )
            .await?;
        let row = row.ok_or(SigninError::InvalidCredentials)?;
        let index = row.0;
        let nothing = (EmailSalt::from_bytes([0; 16]), self.settings.kdf);
        self.challenge(tx.now(), index, Some(row), nothing, opaque_request, STEP_UP, session.id().as_bytes())
    }

    /// Opens the state of a step-up for the session that started it.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when it expired, is none, or is another session's.
    pub fn stepup_state(
        &self,
        now_ms: i64,
        session: &AuthenticatedSession,
        state: &str,
    ) -> Result<SigninState, SigninError> {
        let bytes = self.states.open(STEP_UP, now_ms, state).map_err(|_| SigninError::InvalidCredentials)?;
        let mut fields = Unpacker::new(&bytes);
        let state = unpack(&mut fields).ok_or(SigninError::InvalidCredentials)?;
        if !same(&state.known, session.id().as_bytes()) || state.account != session.account() {
            return Err(SigninError::InvalidCredentials);
        }
        Ok(state)
    }

    /// Checks the rest; the session is fresh, and has another token. In a transaction of the session's home; the password
    /// was checked by [`signin_verify`](Self::signin_verify). Drop the transaction on any error.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`], also when the session ended meanwhile.
    pub async fn stepup_finish(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        proven: &ProvenPassword,
        factor: &SecondFactor,
        email_key: &EmailKey,
    ) -> Result<SteppedUp, SigninError> {
        if proven.account != session.account() || proven.home != session.home() {
            return Err(SigninError::InvalidCredentials);
        }
        let account = self.prove(tx, proven, factor, email_key).await?;
        self.renew(tx, session, &proven.proof(), &account).await
    }

    #[allow(clippy::too_many_arguments, reason = "sign-in and step-up differ in each of them")]
    fn challenge(
        &self,
        now: i64,
        index: [u8; 32],
        row: Option<LoginRow>,
        unknown: (EmailSalt, KdfParams),
        opaque_request: &[u8],
        purpose: &'static str,
        known: &[u8; 16],
    ) -> Result<SigninStarted, SigninError> {
        let is_known = row.is_some();
        let (_, account, home, method, record, memory, passes, lanes, salt) = row.unwrap_or_else(|| {
            let (salt, kdf) = unknown;
            let kdf = [kdf.memory_kib(), kdf.passes(), kdf.lanes()].map(i64::from);
            let [memory, passes, lanes] = kdf;
            let id = Uuid::nil();
            (index, id, id, id, self.nobody.clone(), memory, passes, lanes, *salt.as_bytes())
        });
        let damaged = || Failure::Damaged("password record");
        let record = RegistrationRecord::from_bytes(&record).map_err(|_| damaged())?;
        let (opaque, opaque_response) = self
            .opaque
            .login_start(Some(&record), &index, opaque_request, &mut SystemRng)
            .map_err(|_| SigninError::Field("opaque_request"))?;
        let number = |n: i64| u32::try_from(n).map_err(|_| damaged());
        let kdf =
            KdfParams::checked(number(memory)?, number(passes)?, number(lanes)?).map_err(|_| damaged())?;
        let state = Packer::default()
            .put(known)
            .put(&random::bytes::<16>())
            .put(&index)
            .number(is_known.into())
            .put(account.as_bytes())
            .put(home.as_bytes())
            .put(method.as_bytes())
            .put(&opaque.to_bytes())
            .finish();
        Ok(SigninStarted {
            state: self.states.seal(purpose, now + self.settings.signin_ms(), &state),
            opaque_response,
            email_salt: EmailSalt::from_bytes(salt),
            kdf,
        })
    }

    /// What sign-in and step-up share in the home: the account is the address's, the second factor is right.
    async fn prove(
        &self,
        tx: &mut WriteTx,
        proven: &ProvenPassword,
        factor: &SecondFactor,
        email_key: &EmailKey,
    ) -> Result<ProvenAccount, SigninError> {
        let account = self.proven_account(tx, &proven.proof(), AddressKey::Sent(email_key)).await?;
        let Some(totp) = account.totp.as_ref().filter(|_| same(&account.email_index, &proven.email_index))
        else {
            return Err(SigninError::InvalidCredentials);
        };
        let is_right = match factor {
            SecondFactor::Totp(code) => {
                let keys = self.custody.tenant(tx).await?;
                let secret = open_totp(&keys, proven.account, totp)?;
                match secret.step_of(code, tx.now()) {
                    Some(step) => spend_step(tx, proven.account, step).await?,
                    None => false,
                }
            }
            SecondFactor::BackupCode(lookup) => backup_codes::spend(tx, &self.lookup_index(lookup)).await?,
        };
        if is_right { Ok(account) } else { Err(SigninError::InvalidCredentials) }
    }
}

/// Uses an exchange up. Of two that come at once with the same state, the database lets one through.
pub(crate) async fn spend_exchange(
    tx: &mut WriteTx,
    exchange: &ExchangeId,
    expires_at: i64,
) -> Result<bool, Failure> {
    Ok(tx.execute(SPEND_EXCHANGE, params![exchange, expires_at]).await? == 1)
}

/// Changes a row when the exchange was not used up before.
pub(crate) const SPEND_EXCHANGE: &str =
    "INSERT INTO spent_state (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Uses a step of the authenticator up, with all before it.
pub(crate) async fn spend_step(tx: &mut WriteTx, account: AccountId, step: i64) -> Result<bool, Failure> {
    let spent = tx
        .execute(
            "UPDATE account SET totp_last_step = $1 WHERE id = $2 AND totp_last_step < $1",
            params![step, account.uuid()],
        )
        .await?;
    Ok(spent == 1)
}

/// Index, account, home, method, OPAQUE's record, three parameters of Argon2id, the salt of the address's key.
type LoginRow = ([u8; 32], Uuid, Uuid, Uuid, Vec<u8>, i64, i64, i64, [u8; 16]);

fn unpack(fields: &mut Unpacker<'_>) -> Option<SigninState> {
    Some(SigninState {
        known: fields.take()?,
        exchange: fields.take()?,
        email_index: fields.take()?,
        is_known: fields.number()? == 1,
        account: AccountId::from_uuid(Uuid::from_bytes(fields.take()?)),
        home: TenantId::from_uuid(Uuid::from_bytes(fields.take()?)),
        method: MethodId::from_uuid(Uuid::from_bytes(fields.take()?)),
        opaque: Zeroizing::new(fields.rest().to_vec()),
    })
}
