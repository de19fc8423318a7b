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

mod found;
mod passkey;
mod provided;
mod state;

use keyring::email::EmailHash;
use keyring::password::server::RegistrationRecord;
use keyring::{
    BackupCode, Email, EmailKey, EmailSalt, IdentityPublicKeys, KdfParams, Lookup, MethodPublicKey,
    MethodTag, Sealed, SealedMasterKey, SystemRng,
};
use store::{ReadTx, TenantId, params};
use zeroize::Zeroizing;

pub use self::found::{NewTotp, ReservedSignup, SignedUp};
pub use self::passkey::{PasskeySignupFinish, PasskeySignupStart, PasskeySignupStarted};
pub use self::provided::ProvidedSignup;
pub use self::state::SignupState;
use self::state::{FirstMethod, MailCode};
use crate::device::DeviceInfo;
use crate::failure::{Failure, fails};
use crate::letter::{Letter, Message};
use crate::lookup::MethodLookup;
use crate::method_change::MethodLabel;
use crate::provided::ProvidedIdentity;
use crate::service::{Identity, in_directory};
use crate::state::SIGN_UP;
use crate::webauthn::{CeremonyError, Condition, Credential};
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

/// What a client's first message says of its address, checked.
pub(crate) struct StartAddress {
    pub(crate) index: [u8; 32],
    email: Email,
    email_salt: EmailSalt,
    sealed_email: Sealed,
}

impl StartAddress {
    /// Whether there is an account with it.
    async fn is_taken(&self, tx: &mut ReadTx) -> Result<bool, Failure> {
        let taken: Option<(i64,)> = tx
            .query_opt("SELECT created_at FROM password_login WHERE email_index = $1", params![&self.index])
            .await?;
        Ok(taken.is_some())
    }
}

/// A client's first message, when it wants a password.
pub(crate) struct StartFields {
    pub(crate) address: StartAddress,
    opaque_response: Vec<u8>,
}

/// A sign-up that was begun.
struct Begun {
    state: String,
    account: AccountId,
    home: TenantId,
    method: MethodId,
    letter: Option<Letter>,
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

/// A sign-up in which everything holds; not yet stored.
pub struct Signup {
    state: SignupState,
    /// The address, sealed for the account.
    sealed_email: Sealed,
    email: Email,
    made: MadeMethod,
    keys: NewKeys,
}

/// What is particular to the first method.
enum MadeMethod {
    Provider { identity: ProvidedIdentity, label: MethodLabel },
    Password { record: Box<RegistrationRecord>, backup_codes: Vec<[u8; 32]> },
    Passkey { credential: Credential, condition: Condition, lookup: MethodLookup, label: MethodLabel },
}

/// What the client made of the account, by whatever method it will be entered.
struct NewKeys {
    /// How the first method unlocks, unless another provider lets in.
    unlocking: Option<NewUnlocking>,
    identity_public: IdentityPublicKeys,
    email_key: EmailKey,
    device: DeviceInfo,
}

/// The master key, sealed to the first method.
#[derive(Clone)]
struct NewUnlocking {
    public_key: MethodPublicKey,
    sealed_master_key: SealedMasterKey,
    tag: MethodTag,
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
    /// This server has no name that passkeys could be bound to.
    #[error("this server takes no passkeys: it is not reached by a domain")]
    PasskeysOff,
    /// The authenticator's answer is not as it was asked for.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
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
        let is_taken = fields.address.is_taken(tx).await?;
        Ok(self.signup_started(tx.now(), fields, is_taken, false))
    }

    /// Checks what can be checked of a first message without a database.
    pub(crate) fn start_fields(&self, request: &SignupStart) -> Result<StartFields, SignupError> {
        let address = self.start_address(&request.email_hash, &request.email_key, &request.sealed_email)?;
        let opaque_response = self
            .opaque
            .registration_response(&request.opaque_request, &address.index)
            .map_err(|_| SignupError::Field("opaque_request"))?;
        Ok(StartFields { address, opaque_response })
    }

    fn start_address(
        &self,
        email_hash: &EmailHash,
        email_key: &EmailKey,
        sealed_email: &Sealed,
    ) -> Result<StartAddress, SignupError> {
        let index = *self.blind_index(email_hash).as_bytes();
        let email = self
            .open_address(sealed_email, email_key, NO_ACCOUNT, &index)
            .ok_or(SignupError::Field("sealed_email"))?;
        let email_salt = self.email_salt(email_hash);
        Ok(StartAddress { index, email, email_salt, sealed_email: sealed_email.clone() })
    }

    pub(crate) fn signup_started(
        &self,
        now: i64,
        fields: StartFields,
        is_taken: bool,
        is_import: bool,
    ) -> SignupStarted {
        let kdf = self.settings.kdf;
        let Begun { state, account, home, method, letter } =
            self.begin_signup(now, fields.address, FirstMethod::Password(kdf), is_taken, is_import);
        SignupStarted {
            state,
            account,
            home,
            method,
            opaque_response: fields.opaque_response,
            kdf,
            needs_code: self.settings.mail_required,
            letter,
        }
    }

    /// Draws the ids of the account to be, seals what is known of it, and writes the letter that its address gets.
    fn begin_signup(
        &self,
        now: i64,
        address: StartAddress,
        first: FirstMethod,
        is_taken: bool,
        is_import: bool,
    ) -> Begun {
        let code = Zeroizing::new(random::six_digits());
        let (account, method, home) = (AccountId::random(), MethodId::random(), TenantId::random());
        let state = SignupState {
            email_index: address.index,
            account,
            home,
            method,
            email_salt: *address.email_salt.as_bytes(),
            code: self.settings.mail_required.then(|| MailCode::of(&code)),
            is_import,
            first,
            sealed_email: address.sealed_email,
        };
        let letter = self.settings.mail_required.then(|| {
            // The code of a taken address is never told to anybody.
            let message = if is_taken { Message::AlreadyRegistered } else { Message::Code(code) };
            Letter::new(address.email, &self.settings.service_name, now, message)
        });
        let state = self.states.seal(SIGN_UP, now + self.settings.signup_ms(), &state.pack());
        Begun { state, account, home, method, letter }
    }

    /// Opens the state of a sign-up.
    ///
    /// # Errors
    /// [`SignupError::Restart`].
    pub fn signup_state(&self, now_ms: i64, state: &str) -> Result<SignupState, SignupError> {
        let bytes = self.states.open(SIGN_UP, now_ms, state).map_err(|_| SignupError::Restart)?;
        SignupState::unpack(&bytes).ok_or(SignupError::Restart)
    }

    /// Checks everything that can be checked without a database.
    ///
    /// # Errors
    /// [`SignupError::WrongCode`], and [`SignupError::Field`] naming the field; [`SignupError::Restart`] for a state that
    /// is about another method.
    pub fn signup_verify(&self, state: SignupState, finish: SignupFinish) -> Result<Signup, SignupError> {
        if !matches!(state.first, FirstMethod::Password(_)) {
            return Err(SignupError::Restart);
        }
        let record = RegistrationRecord::from_upload(&finish.opaque_record)
            .map_err(|_| SignupError::Field("opaque_record"))?;
        let record = Box::new(record);
        let backup_codes =
            self.backup_code_indices(&finish.backup_codes).ok_or(SignupError::Field("backup_codes"))?;
        let unlocking = NewUnlocking {
            public_key: finish.public_key,
            sealed_master_key: finish.sealed_master_key,
            tag: finish.tag,
        };
        let keys = NewKeys {
            unlocking: Some(unlocking),
            identity_public: finish.identity_public,
            email_key: finish.email_key,
            device: finish.device,
        };
        let made = MadeMethod::Password { record, backup_codes };
        self.verified(state, finish.code.as_deref(), made, keys)
    }

    /// Checks the code and the address.
    fn verified(
        &self,
        state: SignupState,
        code: Option<&String>,
        made: MadeMethod,
        keys: NewKeys,
    ) -> Result<Signup, SignupError> {
        if state.code.as_ref().is_some_and(|expected| !expected.is(code.map_or("", |code| code.as_str()))) {
            return Err(SignupError::WrongCode);
        }
        let email = self
            .open_address(&state.sealed_email, &keys.email_key, NO_ACCOUNT, &state.email_index)
            .ok_or(SignupError::Field("email_key"))?;
        let sealed_email = keys.email_key.seal(&email, &state.account.into(), &mut SystemRng);
        Ok(Signup { state, sealed_email, email, made, keys })
    }

    /// What is stored of an account's backup codes, when they are as many as they should be and all different.
    pub(crate) fn backup_code_indices(&self, codes: &[Lookup]) -> Option<Vec<[u8; 32]>> {
        let mut indices: Vec<_> = codes.iter().map(|code| self.lookup_index(code)).collect();
        indices.sort_unstable();
        indices.dedup();
        (codes.len() == BackupCode::COUNT && indices.len() == BackupCode::COUNT).then_some(indices)
    }
}
