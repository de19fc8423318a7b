// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opening the account's data in a session that lives already: after another provider let somebody in, which opens nothing.
//!
//! It is a fresh proof of a method of the account's own, and what the method opens. The session goes on as what it is: who came by a
//! tenant's provider is still who came by it.

use keyring::{Email, EmailSalt, MethodKeyPair, MethodKind, MethodSecret, Password, RecoveryKey, SystemRng};
use protocol::account::Account;
use protocol::passkeys::{PasskeyStarted, PasskeyStepUp};
use protocol::signin::{
    RecoveryStepUp, Session, SignInStarted, SlowHash, StepUpFinish, StepUpStart, SteppedUp, Unlocking,
};
use reqwest::Method;

use super::account::Proof;
use super::passkey::{Authenticator, PasskeyError, credential};
use super::signin::{SignInError, SignedIn, email_key, email_salt, prove, slow, unlock};
use super::{Call, Client, RequestError, read_json};
use crate::place;

/// A session that lives, whose account's data are not open.
pub struct Closed {
    client: Client,
    account: Account,
}

/// The same, once the password was proved.
pub struct PasswordProved {
    closed: Closed,
    email: Email,
    email_salt: EmailSalt,
    state: String,
    proven: keyring::password::LoginFinished,
}

impl Closed {
    /// The session that the client acts with.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn of(client: &Client) -> Result<Self, RequestError> {
        Ok(Closed { account: client.account().await?, client: client.clone() })
    }

    /// Proves the password. Runs the slow hash: about a second.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn prove_password(self, email: &str, password: &str) -> Result<PasswordProved, SignInError> {
        let (email, password) = (Email::parse(email)?, Password::new(password)?);
        let (login, opaque_request) = keyring::password::Login::start(&password, &mut SystemRng)?;
        let start = StepUpStart { opaque_request: opaque_request.into() };
        let started: SignInStarted = self.client.post("/api/v1/step-up/start", &start).await?;
        let email_salt = email_salt(&self.client, &email).await?;
        let proven = prove(login, &started).await?;
        Ok(PasswordProved { closed: self, email, email_salt, state: started.state, proven })
    }

    /// Opens the data with a recovery key.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn open_with_recovery_key(self, key: &RecoveryKey) -> Result<SignedIn, SignInError> {
        let body = RecoveryStepUp { lookup: (*key.lookup().expose()).into() };
        let stepped_up: SteppedUp = self.client.post("/api/v1/step-up/recovery-key", &body).await?;
        let keys = recovery_keys(stepped_up.unlocking.as_ref(), key).await?;
        self.open(stepped_up, &keys, MethodKind::RecoveryKey, None).await
    }

    /// Opens the data with a passkey; `None` when this one only says who is there.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub async fn open_with_passkey(
        self,
        authenticator: &impl Authenticator,
    ) -> Result<Option<SignedIn>, PasskeyError> {
        let start = Call::new(Method::POST, "/api/v1/step-up/passkey/start");
        let started: PasskeyStarted = read_json(self.client.send(start).await?).await?;
        self.client.check(&started.options.rp_id, &started.options.extensions)?;
        let shown = authenticator.get(&started.options).await?;
        let secret = shown.prf.as_deref().map(|prf| MethodSecret::of_passkey(prf)).transpose()?;
        let finish = PasskeyStepUp { state: started.state, credential: credential(shown) };
        let stepped_up: SteppedUp = self.client.post("/api/v1/step-up/passkey/finish", &finish).await?;
        let (Some(secret), true) = (secret, stepped_up.unlocking.is_some()) else {
            self.client.set_token(Some(stepped_up.token));
            return Ok(None);
        };
        Ok(Some(self.open(stepped_up, &secret.key_pair(), MethodKind::Passkey, None).await?))
    }

    async fn open(
        self,
        stepped_up: SteppedUp,
        keys: &MethodKeyPair,
        kind: MethodKind,
        typed: Option<(Email, EmailSalt)>,
    ) -> Result<SignedIn, SignInError> {
        let Closed { client, account } = self;
        client.set_token(Some(stepped_up.token.clone()));
        let sessions = client.sessions().await?.sessions;
        let current = sessions.into_iter().find(|session| session.id == account.session);
        let current = current.ok_or(SignInError::Malformed("the list of sessions"))?;
        let session = Session {
            token: stepped_up.token,
            id: account.session,
            account: account.id,
            home: account.home,
            device: current.device,
            device_token: None,
            expires_at: current.expires_at,
            fresh_until: stepped_up.fresh_until,
            server_half: Vec::new().into(),
        };
        let signed_in = protocol::signin::SignedIn {
            account_number: account.number,
            method: stepped_up.method,
            method_kind: kind.as_str().to_owned(),
            unlocking: stepped_up.unlocking,
            identity: account.identity,
            new_device: false,
            backup_codes_left: account.backup_codes_left,
            address: stepped_up.address,
            session,
        };
        unlock(client, signed_in, keys, kind, typed)
    }
}

impl PasswordProved {
    /// Gives the second factor, and opens the data.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn open(self, proof: Proof) -> Result<SignedIn, SignInError> {
        let PasswordProved { closed, email, email_salt, state, proven } = self;
        let email_key = email_key(&email, EmailSalt::from_bytes(*email_salt.as_bytes())).await?;
        let finish = StepUpFinish {
            state,
            opaque_finalization: proven.finalization.into(),
            second_factor: proof.second_factor(&email_salt)?,
            email_key: (*email_key.expose()).into(),
        };
        let stepped_up: SteppedUp = closed.client.post("/api/v1/step-up/finish", &finish).await?;
        let keys = proven.secret.key_pair();
        closed.open(stepped_up, &keys, MethodKind::Password, Some((email, email_salt))).await
    }
}

/// The key pair of a recovery key, hashed as the server says, which may not be cheap to guess.
pub(super) async fn recovery_keys(
    unlocking: Option<&Unlocking>,
    key: &RecoveryKey,
) -> Result<MethodKeyPair, SignInError> {
    let hash: Option<&SlowHash> = unlocking.and_then(|unlocking| unlocking.slow_hash.as_ref());
    let hash = hash.ok_or(SignInError::Malformed("how to hash the recovery key"))?;
    let salt = hash.salt.to_array().map(keyring::MethodSalt::from_bytes);
    let salt = salt.ok_or(SignInError::Malformed("the method's salt"))?;
    let (kdf, key) = (place::kdf(hash.kdf)?, key.clone());
    Ok(slow(move || key.method_secret(&salt, kdf)).await??.key_pair())
}
