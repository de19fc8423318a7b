// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account, its sessions and devices, and what changes it.

use keyring::{
    BackupCode, CollectionKey, FormerAccountKeyPlace, IdentityRotation, MasterKey, MethodKind, OpenError,
    Password, Sealed, SystemRng,
};
use protocol::account::{
    AccessToken, Account, BackupCodes, Devices, MasterKeyRotation, PasswordChangeFinish, PasswordChangeStart,
    PasswordChangeStarted, RotatedCollection, RotatedMethod, ServerHalf, Sessions, TotpFinish, TotpStarted,
};
use protocol::signin::{SignInStarted, StepUpFinish, StepUpStart, SteppedUp};
use protocol::{DeviceId, Secret, SessionId};
use reqwest::Method;
use zeroize::Zeroizing;

use super::signin::{SignInError, Unlocked, backup_code_lookups, email_key, prove, slow};
use super::{Call, Client, RequestError};
use crate::place;

/// What proves beside the password that it is the owner.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The six digits that the authenticator app shows.
    Totp(Secret),
    /// A backup code, as typed.
    BackupCode(Secret),
}

impl Client {
    /// What the service says of itself.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn service(&self) -> Result<protocol::service::Service, RequestError> {
        self.get("/.well-known/bailiwick").await
    }

    /// The account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn account(&self) -> Result<Account, RequestError> {
        self.get("/api/v1/account").await
    }

    /// The live sessions.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn sessions(&self) -> Result<Sessions, RequestError> {
        self.get("/api/v1/sessions").await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn end_session(&self, session: SessionId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/sessions/{session}"))).await
    }

    /// Ends every other session.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn end_other_sessions(&self) -> Result<(), RequestError> {
        self.done(Call::new(Method::POST, "/api/v1/sessions/end-others")).await
    }

    /// The devices that signed in.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn devices(&self) -> Result<Devices, RequestError> {
        self.get("/api/v1/devices").await
    }

    /// Signs a device out: all its sessions end.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn end_device(&self, device: DeviceId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/devices/{device}"))).await
    }

    /// The server's half of the key of what this session's device keeps.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn server_half(&self) -> Result<keyring::ServerHalf, RequestError> {
        let ServerHalf { server_half } = self.get("/api/v1/session/server-half").await?;
        let half = server_half.to_array().ok_or(RequestError::Malformed {
            what: "the server's half of this device's key",
            error: "it has not 32 bytes".to_owned(),
        })?;
        Ok(keyring::ServerHalf::from_bytes(half))
    }

    /// Ends this session.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn sign_out(&self) -> Result<(), RequestError> {
        self.done(Call::new(Method::POST, "/api/v1/signout")).await?;
        self.set_token(None);
        Ok(())
    }

    /// An access token for this session.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn access_token(&self) -> Result<AccessToken, RequestError> {
        super::read_json(self.send(Call::new(Method::POST, "/api/v1/tokens")).await?).await
    }

    /// What is stored, of how much.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn usage(&self) -> Result<protocol::objects::Usage, RequestError> {
        self.get("/api/v1/usage").await
    }
}

impl Unlocked {
    /// Proves once more who is there, so that the account may be changed. The session's token is another afterwards:
    /// the client acts with it, and it is returned to be kept.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn step_up(&self, password: &str, proof: &Proof) -> Result<Secret, AccountError> {
        let password = Password::new(password).map_err(SignInError::from)?;
        let (login, opaque_request) =
            keyring::password::Login::start(&password, &mut SystemRng).map_err(SignInError::from)?;
        let started: SignInStarted = self
            .client
            .post("/api/v1/step-up/start", &StepUpStart { opaque_request: opaque_request.into() })
            .await?;
        let proven = prove(login, &started).await?;
        let email_key = email_key(&self.email, self.email_salt).await?;
        let second_factor = proof.second_factor(&self.email_salt).map_err(SignInError::from)?;
        let stepped_up: SteppedUp = self
            .client
            .post(
                "/api/v1/step-up/finish",
                &StepUpFinish {
                    state: started.state,
                    opaque_finalization: proven.finalization.into(),
                    second_factor,
                    email_key: (*email_key.expose()).into(),
                },
            )
            .await?;
        self.client.set_token(Some(stepped_up.token.clone()));
        Ok(stepped_up.token)
    }

    /// Whether this is the account's password, as OPAQUE shows the client before anything else is sent. Counts as a
    /// try to sign in.
    ///
    /// # Errors
    /// [`AccountError`]: for a wrong password as when signing in.
    pub async fn prove_password(&self, password: &str) -> Result<(), AccountError> {
        let password = Password::new(password).map_err(SignInError::from)?;
        let (login, opaque_request) =
            keyring::password::Login::start(&password, &mut SystemRng).map_err(SignInError::from)?;
        let start = StepUpStart { opaque_request: opaque_request.into() };
        let started: SignInStarted = self.client.post("/api/v1/step-up/start", &start).await?;
        prove(login, &started).await?;
        Ok(())
    }

    /// Changes the password. Every other session ends.
    ///
    /// # Errors
    /// [`AccountError`]; the server asks for a fresh proof first ([`step_up`](Self::step_up)).
    pub async fn change_password(&self, new: &str) -> Result<(), AccountError> {
        let new = Password::new(new).map_err(SignInError::from)?;
        let (registration, opaque_request) =
            keyring::password::Registration::start(&new, &mut SystemRng).map_err(SignInError::from)?;
        let started: PasswordChangeStarted = self
            .client
            .post(
                "/api/v1/account/password/start",
                &PasswordChangeStart { opaque_request: opaque_request.into() },
            )
            .await?;
        let kdf = place::kdf(started.kdf).map_err(SignInError::from)?;
        let response = started.opaque_response.clone().into_vec();
        let registered = slow(move || registration.finish(&response, kdf, &mut SystemRng))
            .await?
            .map_err(SignInError::from)?;
        let public_key = registered.secret.key_pair().public_key();
        let place = place::master_key(self.account, started.method, self.master_key_version);
        let tag = self.master.authenticate_method(
            &place::account(self.account),
            &place::method(started.method),
            MethodKind::Password,
            &public_key,
        );
        let finish = PasswordChangeFinish {
            state: started.state,
            opaque_upload: registered.upload.into(),
            kdf: started.kdf,
            public_key: public_key.to_bytes().into(),
            sealed_master_key: self.master.seal_to(&public_key, &place, &mut SystemRng).as_bytes().into(),
            method_tag: (*tag.as_bytes()).into(),
            master_key_version: self.master_key_version,
        };
        Ok(self
            .client
            .done(Call::new(Method::POST, "/api/v1/account/password/finish").json(&finish)?)
            .await?)
    }

    /// Replaces all backup codes: the new ones, to be shown once.
    ///
    /// # Errors
    /// As [`change_password`](Self::change_password).
    pub async fn replace_backup_codes(&self) -> Result<Vec<Zeroizing<String>>, AccountError> {
        let codes = BackupCode::generate_all(&mut SystemRng);
        let body = BackupCodes { backup_codes: backup_code_lookups(&codes, &self.email_salt) };
        self.client.done(Call::new(Method::PUT, "/api/v1/account/backup-codes").json(&body)?).await?;
        Ok(codes.iter().map(BackupCode::to_text).collect())
    }

    /// Asks for a new secret for the authenticator app. It takes over with [`finish_totp`](Self::finish_totp).
    ///
    /// # Errors
    /// As [`change_password`](Self::change_password).
    pub async fn start_totp(&self) -> Result<TotpStarted, AccountError> {
        let call = Call::new(Method::POST, "/api/v1/account/totp/start");
        Ok(super::read_json(self.client.send(call).await?).await?)
    }

    /// Shows a code of the new secret, which then takes over.
    ///
    /// # Errors
    /// As [`change_password`](Self::change_password).
    pub async fn finish_totp(&self, started: &TotpStarted, code: Secret) -> Result<(), AccountError> {
        let body = TotpFinish { state: started.state.clone(), code };
        Ok(self.client.done(Call::new(Method::POST, "/api/v1/account/totp/finish").json(&body)?).await?)
    }

    /// Makes a new master key, and seals with it everything that stood on the old one. Every other session ends. No
    /// login method has to be used for it; each must be one that the old key vouched for.
    ///
    /// # Errors
    /// [`AccountError::NotVouchedFor`] when the server shows a method that the account does not know; otherwise as
    /// [`change_password`](Self::change_password).
    pub async fn rotate_master_key(&self) -> Result<Unlocked, AccountError> {
        let account = place::account(self.account);
        let next = self.master_key_version.saturating_add(1);
        let master = MasterKey::generate(&mut SystemRng);

        let mut methods = Vec::new();
        for method in self.vouched_methods().await? {
            // A method that does not unlock has nothing to be sealed anew.
            let Some((kind, public_key)) = self.vouched(&method)? else { continue };
            let id = place::method(method.id);
            let place = place::master_key(self.account, method.id, next);
            methods.push(RotatedMethod {
                id: method.id,
                sealed_master_key: master.seal_to(&public_key, &place, &mut SystemRng).as_bytes().into(),
                tag: (*master.authenticate_method(&account, &id, kind, &public_key).as_bytes()).into(),
            });
        }

        let (old_key, new_key) = (self.master.account_key(), master.account_key());
        let mut collections = Vec::new();
        for collection in self.client.collections().await? {
            let sealed = Sealed::parse(collection.sealed_key.into_vec())?;
            let (generation, version) = (collection.generation, collection.key_version);
            let place = place::collection_key(self.account, collection.id, generation, version);
            let key = CollectionKey::open(&old_key, &sealed, &place)?;
            let place = place::collection_key(self.account, collection.id, generation, version + 1);
            collections.push(RotatedCollection {
                id: collection.id,
                from_key_version: version,
                sealed_key: key.seal(&new_key, &place, &mut SystemRng).into_bytes().into(),
            });
        }

        let old_identity = old_key.identity_keys(self.master_key_version);
        let rotation = IdentityRotation::sign(&account, next, &old_identity, &new_key.identity_keys(next));
        let body = MasterKeyRotation {
            from_version: self.master_key_version,
            methods,
            collections,
            identity_rotation: rotation.to_bytes().into(),
            former_account_key: new_key
                .seal_former(
                    &old_key,
                    &FormerAccountKeyPlace { account, key_version: self.master_key_version },
                    &mut SystemRng,
                )
                .into_bytes()
                .into(),
        };
        self.client.done(Call::new(Method::POST, "/api/v1/account/master-key").json(&body)?).await?;
        Ok(Unlocked { master, master_key_version: next, ..self.clone() })
    }

    /// Deletes the account and everything that it stored. Its records stay.
    ///
    /// # Errors
    /// As [`change_password`](Self::change_password).
    pub async fn delete_account(&self) -> Result<(), AccountError> {
        self.client.done(Call::new(Method::DELETE, "/api/v1/account")).await?;
        self.client.set_token(None);
        Ok(())
    }
}

/// Why the account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The password or the second factor was not accepted, or the new password cannot be used.
    #[error(transparent)]
    Proof(#[from] SignInError),
    /// A key of the account does not open.
    #[error("a key of this account does not open: {0}")]
    Key(#[from] OpenError),
    /// The server shows a login method that the account does not know.
    #[error(
        "the server shows a login method that this account never vouched for: do not go on, and tell the operator"
    )]
    NotVouchedFor,
}
