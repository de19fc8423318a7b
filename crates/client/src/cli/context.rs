// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every command needs: the profile, the server, the account.

use protocol::service::Service;
use protocol::{Code, Secret};
use zeroize::Zeroizing;

use super::Globals;
use super::failure::Failure;
use super::methods::ask_recovery_key;
use super::prompt::{self, ProofArgs};
use crate::client::account::AccountError;
use crate::client::signin::{SignInError, Unlocked};
use crate::client::{Client, Options};
use crate::files::Drive;
use crate::output::Output;
use crate::profile::{Profile, Stored};

/// A command under way.
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) profile: Profile,
    globals: Globals,
}

impl Context {
    pub(crate) fn new(mut globals: Globals) -> Result<Self, Failure> {
        // An empty variable is no server.
        globals.server = globals.server.filter(|server| !server.is_empty());
        let folder = match &globals.config_dir {
            Some(folder) if !folder.as_os_str().is_empty() => folder.clone(),
            _ => Profile::default_folder()?,
        };
        Ok(Context { output: Output::new(globals.json), profile: Profile::at(folder), globals })
    }

    /// The server that was named, or the one that this device is signed in to; nobody is signed in on it yet.
    pub(crate) fn visitor(&self) -> Result<Client, Failure> {
        let server = match &self.globals.server {
            Some(server) => server.clone(),
            None => match self.profile.stored()? {
                Some(stored) => stored.server,
                None => return Err(Failure::usage("which server? Give --server or set BAILIWICK_SERVER")),
            },
        };
        self.connect(&server)
    }

    /// The server with this device's session.
    pub(crate) fn client(&self) -> Result<(Client, Stored), Failure> {
        let stored = self.profile.stored()?.ok_or_else(Failure::not_signed_in)?;
        let token = self.profile.token()?.ok_or_else(Failure::not_signed_in)?;
        let client = self.connect(self.globals.server.as_deref().unwrap_or(&stored.server))?;
        if client.server() != stored.server {
            // The session's token must never go to another server than the one that gave it.
            return Err(Failure::usage(format!(
                "this device is signed in to {}, not to {}: sign in there with another --config-dir",
                stored.server,
                client.server()
            )));
        }
        client.set_token(Some(token));
        Ok((client, stored))
    }

    /// The account with its master key.
    pub(crate) async fn account(&self) -> Result<Unlocked, Failure> {
        let (client, _) = self.client()?;
        Ok(self.profile.unlock(&client).await?)
    }

    /// The account's files.
    pub(crate) async fn drive(&self) -> Result<Drive, Failure> {
        Ok(Drive::open(&self.account().await?).await?)
    }

    /// Remembers the newest change that the server acknowledged, so that `verify` knows what has to be in the history.
    pub(crate) fn remember_change(&self, client: &Client) -> Result<(), Failure> {
        match client.last_change() {
            Some(request) => Ok(self.profile.keep_last_change(Some(&request))?),
            None => Ok(()),
        }
    }

    /// What the server says of itself, held against what it said before.
    pub(crate) async fn service(&self, client: &Client) -> Result<Service, Failure> {
        let service = client.service().await?;
        let mut pins = self.profile.pins(client.server())?;
        pins.check(&service)?;
        self.profile.keep_pins(client.server(), &pins)?;
        Ok(service)
    }

    /// Runs a change of the account; if the server asks for a fresh proof, asks for it and runs it again.
    pub(crate) async fn with_proof<T>(
        &self,
        account: &Unlocked,
        arguments: &ProofArgs,
        password: Option<Zeroizing<String>>,
        change: impl AsyncFn() -> Result<T, AccountError>,
    ) -> Result<T, Failure> {
        let refused = match change().await {
            Err(AccountError::Request(error) | AccountError::Proof(SignInError::Request(error)))
                if error.is(Code::StepUpRequired) =>
            {
                Failure::from(error)
            }
            other => return Ok(other?),
        };
        if arguments.recovery_key_stdin {
            self.prove_by_recovery_key(account, &ask_recovery_key(true, self.output)?).await?;
            return Ok(change().await?);
        }
        let is_given = password.is_some() || arguments.password_stdin;
        if (!is_given || arguments.proof().is_none()) && prompt::must_ask(self.output, "").is_err() {
            let text = "this needs a fresh proof: give --password-stdin, and --otp or --backup-code; or \
                        --recovery-key-stdin";
            return Err(refused.saying(text));
        }
        self.output.note("This needs a fresh proof that it is you.");
        let password = match password {
            Some(password) => password,
            None => {
                let question = "Password (or a recovery key): ";
                let typed = prompt::password(arguments.password_stdin, question, self.output)?;
                if !arguments.password_stdin
                    && let Ok(key) = keyring::RecoveryKey::parse(&typed)
                {
                    self.prove_by_recovery_key(account, &key).await?;
                    return Ok(change().await?);
                }
                typed
            }
        };
        let proof = arguments.proof_or_ask(self.output)?;
        let token: Secret = account.step_up(&password, &proof).await?;
        self.profile.keep_token(&token)?;
        Ok(change().await?)
    }

    /// Makes the session fresh by a recovery key.
    pub(crate) async fn prove_by_recovery_key(
        &self,
        account: &Unlocked,
        key: &keyring::RecoveryKey,
    ) -> Result<(), Failure> {
        let token = account.step_up_with_recovery_key(key).await.map_err(|error| match error {
            AccountError::Request(error) if error.is(Code::InvalidCredentials) => Failure::from(error)
                .saying("this recovery key is not one of this account: it was replaced or revoked"),
            other => other.into(),
        })?;
        Ok(self.profile.keep_token(&token)?)
    }

    fn connect(&self, server: &str) -> Result<Client, Failure> {
        let options =
            Options { ca_file: self.globals.ca_file.clone(), insecure_http: self.globals.insecure_http };
        Ok(Client::new(server, &options)?)
    }
}
