// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up.
//!
//! ```text
//! start    directory (view)   signup_start    ids, OPAQUE's answer, the sealed state; a code goes out by mail
//! finish   no database        signup_state    opens the state: whom to charge the try to
//!          no database        signup_verify   checks the code and everything that the client made
//!          directory          signup_reserve  the address and the number are taken, 'founding'
//!          home (new)         signup_found    keys, account, method, backup codes, device, session: all or nothing
//!          directory          signup_live     'live': from now on the account can be signed in to
//! ```
//!
//! A crash before `signup_found` leaves a reservation without a home; after it, an account that only lacks the word
//! 'live', and whose second factor nobody was shown. [`Identity::unfinished_signups`] finds both, and the sweep undoes
//! them. Until then the same client may finish again with the same state. A state is used up once the account is live.
//!
//! Where addresses must be proved, a taken address gets the same answer and another letter, and its code is one that
//! nobody was told. Where they need not be, whether an address is taken cannot be hidden from who signs up with
//! it: [`SignupError::AccountExists`].

use custody::TenantKeys;
use keyring::email::EmailHash;
use keyring::password::server::RegistrationRecord;
use keyring::{
    AccountNumber, BackupCode, Email, EmailKey, EmailSalt, IdentityPublicKeys, KdfParams, Lookup, MethodKind,
    MethodPublicKey, MethodTag, Sealed, SealedMasterKey, SystemRng,
};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::device::{self, DeviceInfo, Place};
use crate::directory::{make_live, reserve_number};
use crate::failure::{Failure, fails};
use crate::imported;
use crate::letter::{Letter, Message};
use crate::second_factor::{TOTP_SEED, TotpSecret, open_totp};
use crate::service::{Identity, in_directory, in_home, mac, same};
use crate::session::NewSession;
use crate::state::{Packer, SIGN_UP, Unpacker};
use crate::{AccountId, MethodId, random};

/// For whom a client seals its address when it starts to sign up: there is no account yet. It is opened in memory
/// and not kept.
pub const NO_ACCOUNT: keyring::AccountId = keyring::AccountId::from_bytes([0; 16]);

/// What a client sends first.
pub struct SignupStart {
    /// SHA-256 of the address.
    pub email_hash: EmailHash,
    /// The key, by the salt of [`Identity::email_salt`], that opens [`sealed_email`](Self::sealed_email); used for this request only.
    pub email_key: EmailKey,
    /// The address, sealed for [`NO_ACCOUNT`]; the server seals it anew for the account that will be.
    pub sealed_email: Sealed,
    /// OPAQUE's registration request.
    pub opaque_request: Vec<u8>,
}

/// What the client gets.
#[derive(Debug)]
pub struct SignupStarted {
    /// To be sent back with the finish.
    pub state: String,
    /// The account to be.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its password method.
    pub method: MethodId,
    /// OPAQUE's registration response.
    pub opaque_response: Vec<u8>,
    /// How to hash the password.
    pub kdf: KdfParams,
    /// Whether the finish needs the code that was sent to the address.
    pub needs_code: bool,
    /// The mail to send; not part of the answer.
    pub letter: Option<Letter>,
}

/// What a client's first message says, checked.
pub(crate) struct StartFields {
    pub(crate) index: [u8; 32],
    email: Email,
    email_salt: EmailSalt,
    sealed_email: Sealed,
    opaque_response: Vec<u8>,
}

/// What a client sends to finish: everything about the account that only it can make.
#[derive(Clone)]
pub struct SignupFinish {
    /// The code from the mail, where one is needed.
    pub code: Option<Zeroizing<String>>,
    /// OPAQUE's registration record.
    pub opaque_record: Vec<u8>,
    /// The method's public key.
    pub public_key: MethodPublicKey,
    /// The master key, sealed to it for version 1.
    pub sealed_master_key: SealedMasterKey,
    /// The master key's word for the method.
    pub tag: MethodTag,
    /// The lookup values of [`BackupCode::COUNT`] backup codes.
    pub backup_codes: Vec<Lookup>,
    /// The public identity keys of version 1.
    pub identity_public: IdentityPublicKeys,
    /// The key that opens the address again; used for this request only.
    pub email_key: EmailKey,
    /// The device that signs up.
    pub device: DeviceInfo,
}

/// An opened state: who is being signed up.
pub struct SignupState {
    pub(crate) email_index: [u8; 32],
    account: AccountId,
    home: TenantId,
    method: MethodId,
    email_salt: [u8; 16],
    kdf: KdfParams,
    /// The key and the value of the code's keyed hash.
    code: Option<([u8; 32], [u8; 32])>,
    /// Whether the password of somebody who was imported was shown.
    is_import: bool,
    /// As the client sent it.
    sealed_email: Sealed,
}

impl SignupState {
    /// What the try is charged to ([`crate::Attempts::finish`] with [`crate::Try::SignUp`]).
    pub fn email_index(&self) -> &[u8; 32] {
        &self.email_index
    }

    /// Names the exchange whose finish this is.
    pub fn exchange(&self) -> &[u8; 16] {
        self.account.as_bytes()
    }
}

/// A sign-up in which everything holds; not yet stored.
pub struct Signup {
    state: SignupState,
    /// The address, sealed for the account.
    sealed_email: Sealed,
    email: Email,
    record: RegistrationRecord,
    finish: SignupFinish,
}

impl Signup {
    /// The account to be.
    pub fn account(&self) -> AccountId {
        self.state.account
    }

    /// Its home, to be founded.
    pub fn home(&self) -> TenantId {
        self.state.home
    }
}

/// A sign-up whose address and number are taken.
pub struct ReservedSignup {
    signup: Signup,
    number: AccountNumber,
    /// When the account was made, where it comes from elsewhere.
    created_at: Option<i64>,
}

impl ReservedSignup {
    /// The account to be.
    pub fn account(&self) -> AccountId {
        self.signup.account()
    }

    /// Its home, to be founded.
    pub fn home(&self) -> TenantId {
        self.signup.home()
    }
}

/// A new account, for whoever signed up.
pub struct SignedUp {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its number, for people.
    pub number: AccountNumber,
    /// The secret of the authenticator app, shown this once.
    pub totp: TotpSecret,
    /// The same as an `otpauth://` address.
    pub totp_uri: Zeroizing<String>,
    /// The first session.
    pub session: NewSession,
    /// The mail to send when the account is live; not part of the answer.
    pub letter: Option<Letter>,
}

/// Why a sign-up does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignupError {
    /// A field is not what it should be.
    #[error("the field {0} is not valid")]
    Field(&'static str),
    /// The state has expired, or is none: start again.
    #[error("the sign-up took too long or was not started here; start again")]
    Restart,
    /// The code is missing or wrong.
    #[error("the code is not the one in the mail")]
    WrongCode,
    /// There is an account with this address. Told only where addresses need not be proved, or to who proved it.
    #[error("there is an account with this address already")]
    AccountExists,
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fails!(SignupError);

impl Identity {
    /// Answers whoever wants an account. In a view of the directory.
    ///
    /// # Errors
    /// [`SignupError::Field`] when the address does not open, is not the one of the hash, or OPAQUE's request is none.
    pub async fn signup_start(
        &self,
        tx: &mut ReadTx,
        request: &SignupStart,
    ) -> Result<SignupStarted, SignupError> {
        in_directory(tx)?;
        let fields = self.start_fields(request)?;
        let taken: Option<(i64,)> = tx
            .query_opt("SELECT created_at FROM password_login WHERE email_index = $1", params![&fields.index])
            .await?;
        Ok(self.signup_started(tx.now(), fields, taken.is_some(), false))
    }

    /// Checks what can be checked of a first message without a database.
    pub(crate) fn start_fields(&self, request: &SignupStart) -> Result<StartFields, SignupError> {
        let index = *self.blind_index(&request.email_hash).as_bytes();
        let email = self
            .open_address(&request.sealed_email, &request.email_key, NO_ACCOUNT, &index)
            .ok_or(SignupError::Field("sealed_email"))?;
        let opaque_response = self
            .opaque
            .registration_response(&request.opaque_request, &index)
            .map_err(|_| SignupError::Field("opaque_request"))?;
        Ok(StartFields {
            index,
            email,
            email_salt: self.email_salt(&request.email_hash),
            sealed_email: request.sealed_email.clone(),
            opaque_response,
        })
    }

    pub(crate) fn signup_started(
        &self,
        now: i64,
        fields: StartFields,
        is_taken: bool,
        is_import: bool,
    ) -> SignupStarted {
        let code = Zeroizing::new(random::six_digits());
        let code_key: [u8; 32] = random::bytes();
        let (account, method, home) = (AccountId::random(), MethodId::random(), TenantId::random());
        let kdf = self.settings.kdf;
        let state = Packer::default()
            .put(&fields.index)
            .put(account.as_bytes())
            .put(home.as_bytes())
            .put(method.as_bytes())
            .put(fields.email_salt.as_bytes())
            .number(kdf.memory_kib().into())
            .number(kdf.passes().into())
            .number(kdf.lanes().into())
            .number(self.settings.mail_required.into())
            .number(is_import.into())
            .put(&code_key)
            .put(&mac(&code_key, "mail-code", &[code.as_bytes()]))
            .put(fields.sealed_email.as_bytes())
            .finish();
        let letter = self.settings.mail_required.then(|| {
            // The code of a taken address is never told to anybody.
            let message = if is_taken { Message::AlreadyRegistered } else { Message::Code(code) };
            Letter::new(fields.email, &self.settings.service_name, now, message)
        });
        SignupStarted {
            state: self.states.seal(SIGN_UP, now + self.settings.signup_ms(), &state),
            account,
            home,
            method,
            opaque_response: fields.opaque_response,
            kdf,
            needs_code: self.settings.mail_required,
            letter,
        }
    }

    /// Opens the state of a sign-up.
    ///
    /// # Errors
    /// [`SignupError::Restart`].
    pub fn signup_state(&self, now_ms: i64, state: &str) -> Result<SignupState, SignupError> {
        let bytes = self.states.open(SIGN_UP, now_ms, state).map_err(|_| SignupError::Restart)?;
        unpack(&bytes).ok_or(SignupError::Restart)
    }

    /// Checks everything that can be checked without a database.
    ///
    /// # Errors
    /// [`SignupError::WrongCode`], and [`SignupError::Field`] naming the field.
    pub fn signup_verify(&self, state: SignupState, finish: SignupFinish) -> Result<Signup, SignupError> {
        if let Some((key, expected)) = &state.code {
            let typed = finish.code.as_deref().map_or("", |code| code.trim());
            if !same(&mac(key, "mail-code", &[typed.as_bytes()]), expected) {
                return Err(SignupError::WrongCode);
            }
        }
        let record = RegistrationRecord::from_upload(&finish.opaque_record)
            .map_err(|_| SignupError::Field("opaque_record"))?;
        let email = self
            .open_address(&state.sealed_email, &finish.email_key, NO_ACCOUNT, &state.email_index)
            .ok_or(SignupError::Field("email_key"))?;
        let sealed_email = finish.email_key.seal(&email, &state.account.into(), &mut SystemRng);
        self.backup_code_indices(&finish.backup_codes).ok_or(SignupError::Field("backup_codes"))?;
        Ok(Signup { state, sealed_email, email, record, finish })
    }

    /// Takes the address and an account number, in the directory. Commit before going on.
    ///
    /// # Errors
    /// [`SignupError::AccountExists`].
    pub async fn signup_reserve(
        &self,
        tx: &mut WriteTx,
        signup: Signup,
    ) -> Result<ReservedSignup, SignupError> {
        in_directory(tx)?;
        let state = &signup.state;
        let now = tx.now();
        tx.execute(
            "INSERT INTO password_login (email_index, account, home, method, opaque_record, kdf_memory, kdf_passes,
                                         kdf_lanes, email_salt, state, created_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $10, $11)
             ON CONFLICT DO NOTHING",
            params![
                &state.email_index,
                state.account.uuid(),
                state.home.uuid(),
                state.method.uuid(),
                &signup.record.to_bytes(),
                i64::from(state.kdf.memory_kib()),
                i64::from(state.kdf.passes()),
                i64::from(state.kdf.lanes()),
                &state.email_salt,
                now,
                now,
            ],
        )
        .await?;
        // Whose reservation stands: this one, or the same request's from before a crash?
        let standing: Option<(Uuid, Vec<u8>, String)> = tx
            .query_opt(
                "SELECT account, opaque_record, state FROM password_login WHERE email_index = $1",
                params![&state.email_index],
            )
            .await?;
        let own = (*state.account.uuid(), signup.record.to_bytes(), "pending".to_owned());
        if standing != Some(own) {
            return Err(SignupError::AccountExists);
        }
        let waiting = match (imported::waiting(tx, &state.email_index).await?, state.is_import) {
            // Who shows neither the old password nor a code of that address is not known to be who was imported.
            (Some(_), false) if state.code.is_none() => return Err(SignupError::AccountExists),
            (None, true) => return Err(SignupError::Restart),
            (waiting, _) => waiting,
        };
        let number = waiting.as_ref().map(|waiting| waiting.number);
        let number = reserve_number(tx, state.account, state.home, number).await?;
        Ok(ReservedSignup { signup, number, created_at: waiting.and_then(|waiting| waiting.created_at) })
    }

    /// Founds the home: its keys, the account with its method and codes, the first device and session. In the new home's first
    /// transaction; commit before going on.
    ///
    /// # Errors
    /// [`SignupError::AccountExists`] when somebody else's account is there, which takes a forged state.
    pub async fn signup_found(
        &self,
        tx: &mut WriteTx,
        reserved: &ReservedSignup,
        place: &Place,
    ) -> Result<SignedUp, SignupError> {
        let (state, finish) = (&reserved.signup.state, &reserved.signup.finish);
        in_home(tx, state.home)?;
        let keys = self.custody.tenant_or_new(tx).await?;
        let now = tx.now();
        if let Some(totp) = self.founded_before(tx, &keys, &reserved.signup).await? {
            let seen = device::see(self, tx, &state.email_index, None, &finish.device, place).await?;
            let session =
                self.begin_session(tx, state.account, state.method, seen, place, &finish.email_key).await?;
            return Ok(self.signed_up(reserved, totp, session, now, place));
        }

        let totp = TotpSecret::generate();
        let sealed_email = self.seal_address(&keys, state.account, &reserved.signup.sealed_email);
        let sealed_totp = keys.seal(TOTP_SEED, &[state.account.as_bytes()], totp.expose());
        tx.execute(
            "INSERT INTO account (id, number, email_index, sealed_email, totp, totp_last_step, master_key_version,
                                  identity_public, created_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, 0, 1, $6, $7, $8)",
            params![
                state.account.uuid(),
                reserved.number.as_str(),
                &state.email_index,
                &sealed_email,
                &sealed_totp,
                &finish.identity_public.to_bytes(),
                reserved.created_at.unwrap_or(now),
                now,
            ],
        )
        .await?;
        tx.execute(
            "INSERT INTO login_method (id, kind, label, public_key, sealed_master_key, tag, master_key_version,
                                       created_at, last_used_at)
             VALUES ($1, $2, '', $3, $4, $5, 1, $6, $7)",
            params![
                state.method.uuid(),
                MethodKind::Password.as_str(),
                &finish.public_key.to_bytes(),
                finish.sealed_master_key.as_bytes(),
                finish.tag.as_bytes(),
                now,
                now,
            ],
        )
        .await?;
        let codes =
            self.backup_code_indices(&finish.backup_codes).ok_or(SignupError::Field("backup_codes"))?;
        crate::backup_codes::store(tx, &codes).await?;
        let seen = device::see(self, tx, &state.email_index, None, &finish.device, place).await?;
        let session =
            self.begin_session(tx, state.account, state.method, seen, place, &finish.email_key).await?;
        Ok(self.signed_up(reserved, totp, session, now, place))
    }

    /// Whether this very request founded the home before a crash; if so, the authenticator's secret, which nobody was told.
    async fn founded_before(
        &self,
        tx: &mut WriteTx,
        keys: &TenantKeys,
        signup: &Signup,
    ) -> Result<Option<TotpSecret>, SignupError> {
        let Some((account, Some(totp))) =
            tx.query_opt::<(Uuid, Option<Vec<u8>>)>("SELECT id, totp FROM account", params![]).await?
        else {
            return Ok(None);
        };
        let method: Option<(Vec<u8>,)> = tx
            .query_opt(
                "SELECT sealed_master_key FROM login_method WHERE id = $1",
                params![signup.state.method.uuid()],
            )
            .await?;
        // Sealing draws at random, so equal bytes are the same request.
        let is_same =
            method.is_some_and(|(sealed,)| same(&sealed, signup.finish.sealed_master_key.as_bytes()));
        if account != *signup.state.account.uuid() || !is_same {
            return Err(SignupError::AccountExists);
        }
        Ok(Some(open_totp(keys, signup.state.account, &totp)?))
    }

    fn signed_up(
        &self,
        reserved: &ReservedSignup,
        totp: TotpSecret,
        session: NewSession,
        now: i64,
        place: &Place,
    ) -> SignedUp {
        let signup = &reserved.signup;
        let letter = signup.state.is_import.then(|| {
            let (device, place) = (signup.finish.device.label(), place.as_str().to_owned());
            let message = Message::ImportedSignedIn { device, place, session: session.id };
            Letter::new(signup.email.clone(), &self.settings.service_name, now, message)
        });
        SignedUp {
            account: reserved.account(),
            home: reserved.home(),
            number: reserved.number,
            totp_uri: totp.uri(&self.settings.service_name, reserved.number.as_str()),
            totp,
            session,
            letter,
        }
    }

    /// Lets the account be signed in to and publishes its keys, in the directory. Commit with a record about what it
    /// returns, and answer the client after that.
    ///
    /// # Errors
    /// [`SignupError::Restart`] when the sweep undid the sign-up because it took too long.
    pub async fn signup_live(
        &self,
        tx: &mut WriteTx,
        reserved: &ReservedSignup,
    ) -> Result<String, SignupError> {
        in_directory(tx)?;
        let account = reserved.account();
        if !make_live(tx, account).await? {
            return Err(SignupError::Restart);
        }
        let keys = &reserved.signup.finish.identity_public;
        let published = self.publish_keys(tx, account, 1, keys, None).await?;
        Ok(published.unwrap_or_else(|| account.to_string()))
    }

    /// What is stored of an account's backup codes, when they are as many as they should be and all different.
    pub(crate) fn backup_code_indices(&self, codes: &[Lookup]) -> Option<Vec<[u8; 32]>> {
        let mut indices: Vec<_> = codes.iter().map(|code| self.lookup_index(code)).collect();
        indices.sort_unstable();
        indices.dedup();
        (codes.len() == BackupCode::COUNT && indices.len() == BackupCode::COUNT).then_some(indices)
    }
}

fn unpack(bytes: &[u8]) -> Option<SignupState> {
    let mut fields = Unpacker::new(bytes);
    let email_index = fields.take()?;
    let account = AccountId::from_uuid(Uuid::from_bytes(fields.take()?));
    let home = TenantId::from_uuid(Uuid::from_bytes(fields.take()?));
    let method = MethodId::from_uuid(Uuid::from_bytes(fields.take()?));
    let email_salt = fields.take()?;
    let mut number = || fields.number().and_then(|number| u32::try_from(number).ok());
    let kdf = KdfParams::checked(number()?, number()?, number()?).ok()?;
    let (needs_code, is_import) = (number()? == 1, number()? == 1);
    let (key, hash) = (fields.take()?, fields.take()?);
    let sealed_email = Sealed::parse(fields.rest()).ok()?;
    Some(SignupState {
        email_index,
        account,
        home,
        method,
        email_salt,
        kdf,
        code: needs_code.then_some((key, hash)),
        is_import,
        sealed_email,
    })
}
