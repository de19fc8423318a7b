// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up and in with a password that never leaves this process.
//!
//! Signing in is two proofs: the server checks its half, and only then gives out the sealed master key; the client is in
//! only when that opens, and when the key vouches for the method and the identity that the server shows.

use keyring::{
    BackupCode, Email, EmailKey, EmailSalt, KdfError, MasterKey, MethodKeyPair, MethodKind, MethodPublicKey,
    MethodTag, Password, SealedMasterKey, SystemRng,
};
use protocol::signin::{
    Device, EmailSaltRequest, ImportedSignInStart, SecondFactor, Session, SignInFinish, SignInStart,
    SignInStarted, SignUpFinish, SignUpStart, SignUpStarted, SignedUp,
};
use protocol::{AccountId, DeviceId, Secret, SessionId, TenantId};
use zeroize::Zeroizing;

use super::account::Proof;
use super::{Client, RequestError};
use crate::place;

/// A session on an account, with the master key.
#[derive(Clone)]
pub struct Unlocked {
    /// Acts with the session.
    pub client: Client,
    /// The account.
    pub account: AccountId,
    /// Its number, for people.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The session.
    pub session: SessionId,
    /// The device.
    pub device: DeviceId,
    /// The key over everything.
    pub master: MasterKey,
    /// Which version of it this is.
    pub master_key_version: u32,
    /// The address, with which changes are asked for.
    pub email: Email,
    /// The salt of the address's key.
    pub email_salt: EmailSalt,
}

impl Unlocked {
    /// The account's public identity keys, as its master key makes them.
    pub fn identity(&self) -> keyring::IdentityPublicKeys {
        self.master.account_key().identity_keys(self.master_key_version).public()
    }

    /// What others see of these keys, to be compared by two people.
    pub fn fingerprint(&self) -> keyring::Fingerprint {
        self.identity().fingerprint(&crate::place::account(self.account))
    }
}

impl std::fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unlocked({})", self.account)
    }
}

/// A sign-up between its two requests.
pub struct SignUp {
    client: Client,
    email: Email,
    email_salt: EmailSalt,
    email_key: EmailKey,
    password: Password,
    registration: keyring::password::Registration,
    started: SignUpStarted,
}

impl SignUp {
    /// Asks for an account.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn start(client: &Client, email: &str, password: &str) -> Result<Self, SignInError> {
        let (made, request) = SignUpMade::new(client, email, password).await?;
        made.started(client, client.post("/api/v1/signup/start", &request).await?)
    }

    /// Comes in for the first time to an account that was carried over from another system: **shows the server the
    /// password**, once. Only when the person says so. Goes on as a sign-up, with the same password.
    ///
    /// # Errors
    /// [`SignInError`]; `invalid_credentials` also when there is no such account, or somebody came in already.
    pub async fn start_imported(client: &Client, email: &str, password: &str) -> Result<Self, SignInError> {
        let (made, request) = SignUpMade::new(client, email, password).await?;
        let request = ImportedSignInStart {
            password: Secret::from(password.to_owned()),
            email_hash: request.email_hash,
            email_key: request.email_key,
            sealed_email: request.sealed_email,
            opaque_request: request.opaque_request,
        };
        made.started(client, client.post("/api/v1/signin/imported/start", &request).await?)
    }

    /// Whether a code was mailed that [`finish`](Self::finish) needs.
    pub fn code_required(&self) -> bool {
        self.started.code_required
    }

    /// Makes the account: its master key, its identity, its backup codes. The client acts with its first session from
    /// then on.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn finish(self, code: Option<String>, device: Device) -> Result<NewAccount, SignInError> {
        let SignUp { client, email, email_salt, email_key, password, registration, started } = self;
        let kdf = place::kdf(started.kdf)?;
        let response = started.opaque_response.clone().into_vec();
        let registered = slow(move || registration.finish(&response, kdf, &mut SystemRng))
            .await?
            .map_err(SignInError::from)?;
        drop(password);

        let account = place::account(started.account);
        let method = place::method(started.method);
        let keys = registered.secret.key_pair();
        let public_key = keys.public_key();
        let master = MasterKey::generate(&mut SystemRng);
        let sealed_master_key = master.seal_to(
            &public_key,
            &place::master_key(started.account, started.method, 1),
            &mut SystemRng,
        );
        let tag = master.authenticate_method(&account, &method, MethodKind::Password, &public_key);
        let identity = master.account_key().identity_keys(1).public();
        let codes = BackupCode::generate_all(&mut SystemRng);

        let finish = SignUpFinish {
            state: started.state,
            code,
            opaque_upload: registered.upload.into(),
            email_key: (*email_key.expose()).into(),
            kdf: started.kdf,
            public_key: public_key.to_bytes().into(),
            sealed_master_key: sealed_master_key.as_bytes().into(),
            method_tag: (*tag.as_bytes()).into(),
            identity: identity.to_bytes().into(),
            backup_codes: backup_code_lookups(&codes, &email_salt),
            device,
        };
        let SignedUp { account_number, totp_secret, totp_uri, session } =
            client.post("/api/v1/signup/finish", &finish).await?;
        if session.account != started.account || session.home != started.home {
            return Err(SignInError::AnotherAccount);
        }
        client.set_token(Some(session.token.clone()));
        Ok(NewAccount {
            account: Unlocked {
                client,
                account: session.account,
                number: account_number,
                home: session.home,
                session: session.id,
                device: session.device,
                master,
                master_key_version: 1,
                email,
                email_salt,
            },
            totp_secret,
            totp_uri,
            backup_codes: codes.iter().map(BackupCode::to_text).collect(),
            session,
        })
    }
}

/// What a sign-up makes before its first request.
struct SignUpMade {
    email: Email,
    email_salt: EmailSalt,
    email_key: EmailKey,
    password: Password,
    registration: keyring::password::Registration,
}

impl SignUpMade {
    async fn new(client: &Client, email: &str, password: &str) -> Result<(Self, SignUpStart), SignInError> {
        let email = Email::parse(email)?;
        let password = Password::new(password)?;
        let email_salt = email_salt(client, &email).await?;
        let email_key = email_key(&email, email_salt).await?;
        let (registration, opaque_request) =
            keyring::password::Registration::start(&password, &mut SystemRng)?;
        let request = SignUpStart {
            email_hash: (*email.hash().as_bytes()).into(),
            email_key: (*email_key.expose()).into(),
            sealed_email: email_key.seal(&email, &NO_ACCOUNT, &mut SystemRng).into_bytes().into(),
            opaque_request: opaque_request.into(),
        };
        Ok((SignUpMade { email, email_salt, email_key, password, registration }, request))
    }

    fn started(self, client: &Client, started: SignUpStarted) -> Result<SignUp, SignInError> {
        let SignUpMade { email, email_salt, email_key, password, registration } = self;
        place::kdf(started.kdf)?;
        Ok(SignUp { client: client.clone(), email, email_salt, email_key, password, registration, started })
    }
}

/// A new account, with what is shown to its owner once.
pub struct NewAccount {
    /// The account, signed in.
    pub account: Unlocked,
    /// The secret of the authenticator app, base32.
    pub totp_secret: Secret,
    /// The same as an `otpauth:` URI.
    pub totp_uri: Secret,
    /// The backup codes.
    pub backup_codes: Vec<Zeroizing<String>>,
    /// The first session.
    pub session: Session,
}

/// A sign-in whose password is proven; the second factor is still to come.
pub struct SignIn {
    client: Client,
    email: Email,
    email_salt: EmailSalt,
    state: String,
    proven: keyring::password::LoginFinished,
}

impl SignIn {
    /// Proves the password. Runs the slow hash: about a second. `device_token` is what an earlier sign-in on this device
    /// got, if any: who shows it does not wait for strangers' guesses.
    ///
    /// # Errors
    /// [`SignInError::WrongPassword`] also when there is no such account.
    pub async fn start(
        client: &Client,
        email: &str,
        password: &str,
        device_token: Option<Secret>,
    ) -> Result<Self, SignInError> {
        let email = Email::parse(email)?;
        let password = Password::new(password)?;
        let (login, opaque_request) = keyring::password::Login::start(&password, &mut SystemRng)?;
        let started: SignInStarted = client
            .post(
                "/api/v1/signin/password/start",
                &SignInStart {
                    email_hash: (*email.hash().as_bytes()).into(),
                    device_token,
                    opaque_request: opaque_request.into(),
                },
            )
            .await?;
        let email_salt = started.email_salt.to_array().map(EmailSalt::from_bytes);
        let email_salt = email_salt.ok_or(SignInError::Malformed("the email salt"))?;
        let proven = prove(login, &started).await?;
        Ok(SignIn { client: client.clone(), email, email_salt, state: started.state, proven })
    }

    /// Gives the second factor, and opens the master key. The client acts with the new session from then on.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn finish(self, proof: Proof, device: Device) -> Result<SignedIn, SignInError> {
        let SignIn { client, email, email_salt, state, proven } = self;
        let email_key = email_key(&email, email_salt).await?;
        let signed_in: protocol::signin::SignedIn = client
            .post(
                "/api/v1/signin/password/finish",
                &SignInFinish {
                    state,
                    opaque_finalization: proven.finalization.into(),
                    email_key: (*email_key.expose()).into(),
                    second_factor: proof.second_factor(&email_salt)?,
                    device,
                },
            )
            .await?;
        let keys = proven.secret.key_pair();
        unlock(client, signed_in, &keys, MethodKind::Password, Some((email, email_salt)))
    }
}

/// The client's half of every sign-in: the master key opens with the method's secret, and vouches for the method and for the
/// identity that the server shows. The client acts with the new session from then on. `typed` is the address, where somebody
/// typed it.
///
/// # Errors
/// [`SignInError`].
pub(crate) fn unlock(
    client: Client,
    signed_in: protocol::signin::SignedIn,
    keys: &MethodKeyPair,
    kind: MethodKind,
    typed: Option<(Email, EmailSalt)>,
) -> Result<SignedIn, SignInError> {
    let session = signed_in.session;
    let (email, email_salt) = match typed {
        Some(typed) => typed,
        None => shown_address(signed_in.address)?,
    };
    let unlocking = signed_in.unlocking.ok_or(SignInError::Malformed("the sealed master key"))?;
    let sealed = SealedMasterKey::parse(unlocking.sealed_master_key.into_vec())?;
    let place = place::master_key(session.account, signed_in.method, unlocking.master_key_version);
    let master = sealed.open(keys, &place)?;

    let public_key = MethodPublicKey::from_bytes(unlocking.public_key.as_slice())
        .ok()
        .filter(|shown| *shown == keys.public_key())
        .ok_or(SignInError::NotVouchedFor)?;
    let tag = unlocking.method_tag.to_array().map(MethodTag::from_bytes);
    let tag = tag.ok_or(SignInError::Malformed("the method's tag"))?;
    master
        .verify_method(
            &place::account(session.account),
            &place::method(signed_in.method),
            kind,
            &public_key,
            &tag,
        )
        .map_err(|_| SignInError::NotVouchedFor)?;
    let account = Unlocked {
        client,
        account: session.account,
        number: signed_in.account_number,
        home: session.home,
        session: session.id,
        device: session.device,
        master,
        master_key_version: unlocking.master_key_version,
        email,
        email_salt,
    };
    if account.identity().to_bytes() != signed_in.identity.as_slice() {
        return Err(SignInError::AnotherIdentity);
    }
    account.client.set_token(Some(session.token.clone()));
    Ok(SignedIn {
        account,
        new_device: signed_in.new_device,
        backup_codes_left: signed_in.backup_codes_left,
        session,
    })
}

/// The address that the server shows to a client to which nobody typed it. Should it lie, its letters go astray, as they
/// would anyway.
fn shown_address(shown: Option<protocol::signin::Address>) -> Result<(Email, EmailSalt), SignInError> {
    let shown = shown.ok_or(SignInError::Malformed("the address"))?;
    let salt = shown.email_salt.to_array().map(EmailSalt::from_bytes);
    Ok((Email::parse(shown.email.expose())?, salt.ok_or(SignInError::Malformed("the email salt"))?))
}

/// What signing in gives.
pub struct SignedIn {
    /// The account, signed in.
    pub account: Unlocked,
    /// Whether this device had not signed in before.
    pub new_device: bool,
    /// How many backup codes are left.
    pub backup_codes_left: u32,
    /// The session.
    pub session: Session,
}

/// Why a sign-up or sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The address is not one.
    #[error(transparent)]
    Email(#[from] keyring::email::EmailError),
    /// The server asks for a hash that is too cheap or too dear, or there is no memory for it.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// Wrong password, or no such account.
    #[error("the email address or the password is wrong")]
    WrongPassword,
    /// The password cannot be used, or the protocol failed.
    #[error(transparent)]
    Password(keyring::password::PasswordError),
    /// The backup code is not one.
    #[error(transparent)]
    BackupCode(#[from] keyring::codes::CodeError),
    /// The master key did not open.
    #[error("the server's answer does not open with this password: {0}")]
    Unlock(#[from] keyring::OpenError),
    /// An API key without the half that unlocks.
    #[error("this API key does not unlock: it opens nothing that is sealed")]
    DoesNotUnlock,
    /// The account did not vouch for the method that the server shows.
    #[error(
        "the server shows a login method that this account never vouched for: do not go on, and tell the operator"
    )]
    NotVouchedFor,
    /// The identity keys are not this account's.
    #[error("the server shows other identity keys than this account's: do not go on, and tell the operator")]
    AnotherIdentity,
    /// The answer is about another account than was asked for.
    #[error(
        "the server answered about another account than it announced: do not go on, and tell the operator"
    )]
    AnotherAccount,
    /// A part of the answer has the wrong form.
    #[error("{0} in the server's answer cannot be read")]
    Malformed(&'static str),
    /// The computation was stopped.
    #[error("the sign-in was interrupted")]
    Interrupted,
}

impl From<keyring::password::PasswordError> for SignInError {
    fn from(error: keyring::password::PasswordError) -> Self {
        match error {
            keyring::password::PasswordError::WrongPassword => SignInError::WrongPassword,
            error => SignInError::Password(error),
        }
    }
}

/// This machine, as it names itself to the server, with the token by which an earlier sign-in knows it.
pub fn this_device(token: Option<Secret>) -> Device {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(64).collect();
    let name = if name.is_empty() { "a computer".to_owned() } else { name };
    Device { token, name, platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH) }
}

/// Runs OPAQUE's last step off the async threads, with parameters that were checked.
pub(crate) async fn prove(
    login: keyring::password::Login,
    started: &SignInStarted,
) -> Result<keyring::password::LoginFinished, SignInError> {
    let kdf = place::kdf(started.kdf)?;
    let response = started.opaque_response.clone().into_vec();
    Ok(slow(move || login.finish(&response, kdf, &mut SystemRng)).await??)
}

/// The salt of an address's key, which only the server can derive.
pub(super) async fn email_salt(client: &Client, email: &Email) -> Result<EmailSalt, SignInError> {
    let request = EmailSaltRequest { email_hash: (*email.hash().as_bytes()).into() };
    let answer: protocol::signin::EmailSalt = client.post("/api/v1/signup/salt", &request).await?;
    answer.email_salt.to_array().map(EmailSalt::from_bytes).ok_or(SignInError::Malformed("the email salt"))
}

/// The key of an address; a tenth of a second of work.
pub(crate) async fn email_key(email: &Email, salt: EmailSalt) -> Result<EmailKey, SignInError> {
    let email = email.clone();
    Ok(slow(move || EmailKey::derive(&email, &salt)).await??)
}

pub(crate) async fn slow<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SignInError> {
    crate::pause::off_thread(work).await.ok_or(SignInError::Interrupted)
}

/// What the server may see of backup codes.
pub(crate) fn backup_code_lookups(codes: &[BackupCode], salt: &EmailSalt) -> Vec<protocol::Bytes<32>> {
    codes.iter().map(|code| (*backup_code_lookup(code, salt).expose()).into()).collect()
}

/// A backup code's lookup value is bound to the salt of the account's address: the only thing random per account that a
/// client knows both at sign-up and when it signs in, before the server says which account that is.
fn backup_code_lookup(code: &BackupCode, salt: &EmailSalt) -> keyring::Lookup {
    code.lookup(&keyring::AccountId::from_bytes(*salt.as_bytes()))
}

impl Proof {
    pub(crate) fn second_factor(&self, salt: &EmailSalt) -> Result<SecondFactor, keyring::codes::CodeError> {
        Ok(match self {
            Proof::Totp(code) => SecondFactor::Totp(code.clone()),
            Proof::BackupCode(code) => {
                let code = BackupCode::parse(code.expose())?;
                SecondFactor::BackupCode((*backup_code_lookup(&code, salt).expose()).into())
            }
        })
    }
}

/// For whom the address is sealed while there is no account yet.
pub(super) const NO_ACCOUNT: keyring::AccountId = keyring::AccountId::from_bytes([0; 16]);
