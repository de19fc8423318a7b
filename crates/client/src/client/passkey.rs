// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys, with whatever authenticator a front end has.
//!
//! The command line has none. A front end that has one (a browser's, a phone's, a security key's) gives it as an
//! [`Authenticator`]; what is asked of it is checked here, and what unlocks stays here: the output of its PRF is never sent.

use std::fmt;

use keyring::method::MethodSecretError;
use keyring::passkey::PRF_INPUT;
use keyring::{MasterKey, MethodKind, MethodSecret, SystemRng};
use protocol::methods::NewUnlocking;
use protocol::passkeys::{
    CreatedCredential, CreationOptions, CredentialDescriptor, Extensions, PasskeyAddFinish,
    PasskeyAddStarted, PasskeySignIn, PasskeyStarted, PasskeyStepUp, RequestOptions, ShownCredential,
};
use protocol::signin::{Device, Session, SteppedUp};
use protocol::{AccountId, Bytes, MethodId, Secret};
use rand_core::Rng as _;
use reqwest::Method;
use zeroize::Zeroizing;

pub use super::passkey_signup::PasskeySignUp;
use super::signin::{SignInError, SignedIn, Unlocked, unlock};
use super::{Call, Client, RequestError, read_json};
use crate::place;

/// An authenticator that a front end can ask. It verifies its user, and answers only for the domain in the options: that the
/// domain is the server's was checked before.
pub trait Authenticator {
    /// Makes a passkey (`navigator.credentials.create`).
    ///
    /// # Errors
    /// [`AuthenticatorError`].
    fn create(
        &self,
        options: &CreationOptions,
    ) -> impl Future<Output = Result<Created, AuthenticatorError>> + Send;

    /// Shows a passkey (`navigator.credentials.get`).
    ///
    /// # Errors
    /// [`AuthenticatorError`].
    fn get(&self, options: &RequestOptions)
    -> impl Future<Output = Result<Shown, AuthenticatorError>> + Send;
}

/// What an authenticator made.
pub struct Created {
    /// The credential's `rawId`.
    pub id: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data_json: Vec<u8>,
    /// `response.attestationObject`.
    pub attestation_object: Vec<u8>,
    /// `prf.enabled` of the extensions' results.
    pub has_prf: bool,
    /// `prf.results.first`, from authenticators that evaluate while they make.
    pub prf: Option<Zeroizing<Vec<u8>>>,
}

/// What an authenticator showed.
pub struct Shown {
    /// The credential's `rawId`.
    pub id: Vec<u8>,
    /// `response.userHandle`.
    pub user_handle: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data_json: Vec<u8>,
    /// `response.authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `response.signature`.
    pub signature: Vec<u8>,
    /// `prf.results.first` of the extensions' results.
    pub prf: Option<Zeroizing<Vec<u8>>>,
}

/// Why an authenticator gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorError {
    /// The person said no, did not answer in time, or has no passkey for this service (`NotAllowedError`).
    #[error("no passkey was given: it was refused, took too long, or there is none for this service")]
    NotAllowed,
    /// It holds a passkey of this account already (`InvalidStateError`).
    #[error("this authenticator already holds a passkey of the account")]
    AlreadyThere,
    /// Something else.
    #[error("the authenticator failed: {0}")]
    Failed(String),
}

/// A passkey that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddedPasskey {
    /// The login method.
    pub id: MethodId,
    /// Whether it opens the account's data too. One without PRF signs in and leaves them locked.
    pub unlocks: bool,
}

/// What a passkey opened.
pub enum SignedInByPasskey {
    /// The account, signed in and unlocked.
    Unlocked(Box<SignedIn>),
    /// A session whose data stay locked.
    Locked(Box<LockedSession>),
}

/// A session without the master key: the passkey that opened it has no PRF, or this front end cannot ask it.
///
/// Its [`Display`](fmt::Display) says to people what that means.
#[derive(Debug)]
pub struct LockedSession {
    /// Acts with the session.
    pub client: Client,
    /// The account's number, for people.
    pub number: String,
    /// The session.
    pub session: Session,
    /// Whether this device had not signed in before.
    pub new_device: bool,
}

impl fmt::Display for LockedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "signed in, but your data stay locked until you unlock with your password, a recovery key or a paired device: \
             this passkey cannot open them",
        )
    }
}

impl Client {
    /// Signs in with a passkey. Nobody types an address. The client acts with the new session from then on.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub async fn sign_in_with_passkey(
        &self,
        authenticator: &impl Authenticator,
        device: Device,
    ) -> Result<SignedInByPasskey, PasskeyError> {
        let started: PasskeyStarted =
            read_json(self.send(Call::new(Method::POST, "/api/v1/signin/passkey/start")).await?).await?;
        self.check(&started.options.rp_id, &started.options.extensions)?;
        let shown = authenticator.get(&started.options).await?;
        let prf = shown.prf.as_deref().map(|prf| MethodSecret::of_passkey(prf)).transpose()?;
        let finish = PasskeySignIn {
            state: started.state,
            user_handle: shown.user_handle.as_slice().into(),
            credential: credential(shown),
            device,
        };
        let signed_in: protocol::signin::SignedIn =
            self.post("/api/v1/signin/passkey/finish", &finish).await?;
        let (Some(secret), true) = (prf, signed_in.unlocking.is_some()) else {
            self.set_token(Some(signed_in.session.token.clone()));
            return Ok(SignedInByPasskey::Locked(Box::new(LockedSession {
                client: self.clone(),
                number: signed_in.account_number,
                session: signed_in.session,
                new_device: signed_in.new_device,
            })));
        };
        let account = unlock(self.clone(), signed_in, &secret.key_pair(), MethodKind::Passkey, None)?;
        Ok(SignedInByPasskey::Unlocked(Box::new(account)))
    }

    /// Proves again who is there with one of the account's passkeys. The client acts with the session's new token from then on,
    /// which is to be kept in place of the old.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub async fn step_up_with_passkey(
        &self,
        authenticator: &impl Authenticator,
    ) -> Result<Secret, PasskeyError> {
        let started: PasskeyStarted =
            read_json(self.send(Call::new(Method::POST, "/api/v1/step-up/passkey/start")).await?).await?;
        self.check(&started.options.rp_id, &started.options.extensions)?;
        let shown = authenticator.get(&started.options).await?;
        let finish = PasskeyStepUp { state: started.state, credential: credential(shown) };
        let SteppedUp { token, .. } = self.post("/api/v1/step-up/passkey/finish", &finish).await?;
        self.set_token(Some(token.clone()));
        Ok(token)
    }

    /// A server asks for passkeys of its own domain, and for the PRF at the one input that there is.
    pub(super) fn check(&self, domain: &str, extensions: &Extensions) -> Result<(), PasskeyError> {
        if !self.belongs_to(domain) {
            let (domain, server) = (domain.to_owned(), self.server().to_owned());
            return Err(PasskeyError::AnotherDomain { domain, server });
        }
        if extensions.prf.eval.first.as_slice() != PRF_INPUT {
            return Err(PasskeyError::AnotherSecret);
        }
        Ok(())
    }
}

impl Unlocked {
    /// Adds a passkey to the account. It unlocks when the authenticator has a PRF; one that does not evaluate it while making
    /// the passkey is asked once more.
    ///
    /// # Errors
    /// [`PasskeyError`]; the server asks for a fresh proof first ([`step_up`](Self::step_up)).
    pub async fn add_passkey(
        &self,
        authenticator: &impl Authenticator,
        label: &str,
    ) -> Result<AddedPasskey, PasskeyError> {
        let client = &self.client;
        let started: PasskeyAddStarted =
            read_json(client.send(Call::new(Method::POST, "/api/v1/account/passkeys/start")).await?).await?;
        let options = started.options;
        client.check(&options.rp.id, &options.extensions)?;
        let created = authenticator.create(&options).await?;
        let prf = match created.prf {
            None if created.has_prf => authenticator.get(&evaluation(&options, &created.id)).await?.prf,
            prf => prf,
        };
        let secret = prf.as_deref().map(|prf| MethodSecret::of_passkey(prf)).transpose()?;
        let version = self.master_key_version;
        let unlocking =
            secret.map(|secret| unlocking_by(&secret, &self.master, self.account, started.method, version));
        let unlocks = unlocking.is_some();
        let finish = PasskeyAddFinish {
            state: started.state,
            label: label.to_owned(),
            credential: CreatedCredential {
                client_data_json: created.client_data_json.into(),
                attestation_object: created.attestation_object.into(),
            },
            unlocking,
        };
        client.done(Call::new(Method::POST, "/api/v1/account/passkeys/finish").json(&finish)?).await?;
        Ok(AddedPasskey { id: started.method, unlocks })
    }
}

/// The master key of this version, sealed to a passkey, which it vouches for.
pub(super) fn unlocking_by(
    secret: &MethodSecret,
    master: &MasterKey,
    account: AccountId,
    method: MethodId,
    version: u32,
) -> NewUnlocking {
    let public_key = secret.key_pair().public_key();
    let place = place::master_key(account, method, version);
    let (account, method) = (place::account(account), place::method(method));
    let tag = master.authenticate_method(&account, &method, MethodKind::Passkey, &public_key);
    NewUnlocking {
        sealed_master_key: master.seal_to(&public_key, &place, &mut SystemRng).as_bytes().into(),
        public_key: public_key.to_bytes().into(),
        method_tag: (*tag.as_bytes()).into(),
        master_key_version: version,
        slow_hash: None,
    }
}

/// What asks a new passkey for its PRF alone: nobody checks the signature.
pub(super) fn evaluation(options: &CreationOptions, id: &[u8]) -> RequestOptions {
    let mut challenge = [0; 32];
    SystemRng.fill_bytes(&mut challenge);
    RequestOptions {
        challenge: challenge.into(),
        timeout: options.timeout,
        rp_id: options.rp.id.clone(),
        allow_credentials: vec![CredentialDescriptor { r#type: "public-key".to_owned(), id: id.into() }],
        user_verification: options.authenticator_selection.user_verification.clone(),
        extensions: options.extensions.clone(),
    }
}

pub(super) fn credential(shown: Shown) -> ShownCredential {
    ShownCredential {
        id: Bytes::from(shown.id),
        client_data_json: shown.client_data_json.into(),
        authenticator_data: shown.authenticator_data.into(),
        signature: shown.signature.into(),
    }
}

/// Why a passkey was not added or let nobody in.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The authenticator gave nothing.
    #[error(transparent)]
    Authenticator(#[from] AuthenticatorError),
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The account did not open.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The authenticator's PRF is broken: what it gives would be no secret.
    #[error("the authenticator gives no usable secret ({0}): use another one")]
    BrokenPrf(#[from] MethodSecretError),
    /// The authenticator has no PRF, and the passkey would be the only way into a new account.
    #[error(
        "this authenticator cannot keep what opens an account: sign up with another one, or with a password"
    )]
    CannotUnlock,
    /// The server asks for a passkey of somebody else's domain.
    #[error("{server} asks for a passkey of {domain}, which is not its own domain: do not go on")]
    AnotherDomain {
        /// The domain.
        domain: String,
        /// The server.
        server: String,
    },
    /// The server asks for another output of the PRF than the one that unlocks this account.
    #[error(
        "the server asks the authenticator for another secret than this account's: do not go on, and tell the operator"
    )]
    AnotherSecret,
}
