// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up with a passkey: no password, no second factor, no codes.

use keyring::{Email, EmailKey, EmailSalt, MasterKey, MethodSecret, SystemRng};
use protocol::passkeys::{
    CreatedCredential, PasskeySignUpFinish, PasskeySignUpStart, PasskeySignUpStarted, PasskeySignedUp,
};
use protocol::signin::{Device, Session};

use super::Client;
use super::passkey::{Authenticator, Created, PasskeyError, evaluation, unlocking_by};
use super::signin::{NO_ACCOUNT, SignInError, Unlocked, email_key, email_salt};

/// A sign-up with a passkey between its two requests.
///
/// The passkey is then the only way into the account: offer a recovery key
/// ([`add_recovery_key`](Unlocked::add_recovery_key)) or another passkey at once.
pub struct PasskeySignUp {
    client: Client,
    email: Email,
    email_salt: EmailSalt,
    email_key: EmailKey,
    started: PasskeySignUpStarted,
}

impl PasskeySignUp {
    /// Asks for an account.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub async fn start(client: &Client, email: &str) -> Result<Self, PasskeyError> {
        let email = Email::parse(email).map_err(SignInError::from)?;
        let email_salt = email_salt(client, &email).await?;
        let email_key = email_key(&email, email_salt).await?;
        let request = PasskeySignUpStart {
            email_hash: (*email.hash().as_bytes()).into(),
            email_key: (*email_key.expose()).into(),
            sealed_email: email_key.seal(&email, &NO_ACCOUNT, &mut SystemRng).into_bytes().into(),
        };
        let started: PasskeySignUpStarted = client.post("/api/v1/signup/passkey/start", &request).await?;
        client.check(&started.options.rp.id, &started.options.extensions)?;
        Ok(PasskeySignUp { client: client.clone(), email, email_salt, email_key, started })
    }

    /// Whether a code was mailed that [`finish`](Self::finish) needs.
    pub fn code_required(&self) -> bool {
        self.started.code_required
    }

    /// Makes the passkey and the account: its master key, which the passkey opens, and its identity. The client acts with
    /// its first session from then on. `label` is what the owner calls the passkey.
    ///
    /// # Errors
    /// [`PasskeyError::CannotUnlock`] when the authenticator has no PRF; otherwise [`PasskeyError`].
    pub async fn finish(
        self,
        authenticator: &impl Authenticator,
        label: &str,
        code: Option<String>,
        device: Device,
    ) -> Result<(Unlocked, Session), PasskeyError> {
        let PasskeySignUp { client, email, email_salt, email_key, started } = self;
        let mut options = started.options;
        // Pickers show it; the server does not write it.
        email.as_str().clone_into(&mut options.user.name);
        email.as_str().clone_into(&mut options.user.display_name);
        let Created { id, client_data_json, attestation_object, has_prf, prf } =
            authenticator.create(&options).await?;
        let prf = match prf {
            None if has_prf => authenticator.get(&evaluation(&options, &id)).await?.prf,
            prf => prf,
        };
        let prf = prf.ok_or(PasskeyError::CannotUnlock)?;
        let secret = MethodSecret::of_passkey(&prf)?;

        let master = MasterKey::generate(&mut SystemRng);
        let finish = PasskeySignUpFinish {
            state: started.state,
            code,
            label: label.to_owned(),
            credential: CreatedCredential {
                client_data_json: client_data_json.into(),
                attestation_object: attestation_object.into(),
            },
            unlocking: unlocking_by(&secret, &master, started.account, started.method, 1),
            identity: master.account_key().identity_keys(1).public().to_bytes().into(),
            email_key: (*email_key.expose()).into(),
            device,
        };
        let PasskeySignedUp { account_number, session } =
            client.post("/api/v1/signup/passkey/finish", &finish).await?;
        if session.account != started.account || session.home != started.home {
            return Err(SignInError::AnotherAccount.into());
        }
        client.set_token(Some(session.token.clone()));
        let account = Unlocked {
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
        };
        Ok((account, session))
    }
}
