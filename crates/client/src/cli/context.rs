// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every command needs: the profile, the server, the account.

use std::path::PathBuf;
use std::sync::OnceLock;

use keyring::ApiKey;
use protocol::service::Service;
use protocol::{Code, CollectionId, Secret, TenantId};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::api_keys::not_a_key;
use super::failure::Failure;
use super::methods::ask_recovery_key;
use super::prompt::{self, ProofArgs};
use super::{ApiKeyArgs, Globals};
use crate::client::account::AccountError;
use crate::client::api_keys::open_by_api_key;
use crate::client::opened::Opened;
use crate::client::signin::{SignInError, Unlocked};
use crate::client::{Client, Options};
use crate::files::{Drive, disk};
use crate::keychain::Keychain;
use crate::output::Output;
use crate::pins::OlderList;
use crate::profile::{Profile, Stored};

/// A command under way.
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) profile: Profile,
    globals: Globals,
    /// The file with the API key to work with.
    api_key_file: Option<PathBuf>,
    /// An account that is read without being kept.
    opened: Option<Opened>,
    /// How to say in which tenant the command works: nothing, where it is the only one.
    tenant: OnceLock<String>,
    /// Set once it was said that an API key is there and does not matter.
    key_passed_over: OnceLock<()>,
    /// That the list which the command works on is older than it was.
    older_list: OnceLock<OlderList>,
}

impl Context {
    pub(crate) fn new(mut globals: Globals) -> Result<Self, Failure> {
        // An empty variable is no server.
        globals.server = globals.server.filter(|server| !server.is_empty());
        let folder = match &globals.config_dir {
            Some(folder) if !folder.as_os_str().is_empty() => folder.clone(),
            _ => Profile::default_folder()?,
        };
        let keychain = match std::env::var(KEYCHAIN) {
            Ok(text) if !text.is_empty() => {
                text.parse::<Keychain>().map_err(|error| Failure::usage(error.to_string()))?
            }
            _ => Keychain::Auto,
        };
        let (output, profile) = (Output::new(globals.json), Profile::at(folder).with_keychain(keychain));
        Ok(Context {
            output,
            profile,
            globals,
            api_key_file: None,
            opened: None,
            tenant: OnceLock::new(),
            key_passed_over: OnceLock::new(),
            older_list: OnceLock::new(),
        })
    }

    /// The same, working with the API key of this file, if one is named.
    pub(crate) fn by_key(self, key: ApiKeyArgs) -> Self {
        Context { api_key_file: key.api_key_file, ..self }
    }

    /// Remembers that the command works in this tenant, and whether it was named.
    pub(crate) fn work_in(&self, tenant: TenantId, is_named: bool) {
        let _ = self.tenant.set(if is_named { format!(" --tenant {tenant}") } else { String::new() });
    }

    /// The same failure, with how to learn why where a tenant refused.
    pub(crate) fn hinted(&self, failure: Failure) -> Failure {
        match self.tenant.get() {
            Some(tenant) => failure.asking_why(tenant),
            None => failure,
        }
    }

    /// Works with this account from now on, and not with this device's.
    pub(crate) fn open(&mut self, account: Opened) {
        self.opened = Some(account);
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
        let no_session = || {
            let failure = Failure::not_signed_in();
            if self.has_api_key() { failure.saying(KEY_WITHOUT_SESSION) } else { failure }
        };
        let stored = self.profile.stored()?.ok_or_else(no_session)?;
        let token = self.profile.token()?.ok_or_else(no_session)?;
        if self.has_api_key() && self.key_passed_over.set(()).is_ok() {
            self.output.note("An API key cannot do this: it is done with this device's session.");
        }
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
        if self.opened.is_some() {
            let text = "a public computer reads the account's own files, and does nothing else";
            return Err(Failure::usage(text));
        }
        let (client, _) = self.client()?;
        Ok(self.profile.unlock(&client).await?)
    }

    /// The account's own files: with the API key that was given, or with this device's session.
    pub(crate) async fn drive(&self) -> Result<Drive, Failure> {
        let opened = self.opened().await?;
        let trust = self.trust(&opened.client);
        Ok(Drive::open_files(opened, trust).await?)
    }

    /// Whether somebody reads here on a public computer.
    pub(crate) fn is_public(&self) -> bool {
        self.opened.is_some()
    }

    /// The account with its data open: the one that is open already, or by the API key that was given, or by this device's
    /// session.
    pub(crate) async fn opened(&self) -> Result<Opened, Failure> {
        if let Some(opened) = &self.opened {
            return Ok(opened.clone());
        }
        Ok(match self.api_key()? {
            Some(key) => open_by_api_key(&self.key_client(&key)?, &key).await?,
            None => Opened::from(&self.account().await?),
        })
    }

    /// The server with whatever may read, and the home to read of: the API key that was given, or this device's session.
    pub(crate) fn reader(&self) -> Result<(Client, TenantId), Failure> {
        match self.api_key()? {
            Some(key) => {
                let home = TenantId::from_bytes(key.auth().home().into());
                Ok((self.key_client(&key)?, home))
            }
            None => self.client().map(|(client, stored)| (client, stored.home)),
        }
    }

    /// The API key that was given, if one was: the file's, or the environment's.
    pub(crate) fn api_key(&self) -> Result<Option<ApiKey>, Failure> {
        let text = match &self.api_key_file {
            Some(path) => Some(Zeroizing::new(std::fs::read_to_string(path).map_err(|error| {
                Failure::failed("api_key_file", format!("{}: {}", path.display(), disk::said(&error)))
            })?)),
            None => std::env::var(API_KEY).ok().map(Zeroizing::new),
        };
        let text = text.filter(|text| !text.trim().is_empty());
        text.map(|text| text.trim().parse().map_err(not_a_key)).transpose()
    }

    fn has_api_key(&self) -> bool {
        self.api_key_file.is_some() || std::env::var_os(API_KEY).is_some_and(|key| !key.is_empty())
    }

    /// The server, acting with the API key. A key does not say of which server it is: it must be named, so that the key is
    /// not shown to another.
    pub(crate) fn key_client(&self, key: &ApiKey) -> Result<Client, Failure> {
        let server = self.globals.server.as_deref();
        let server = server.ok_or_else(|| {
            Failure::usage("an API key needs its server named: give --server or set BAILIWICK_SERVER")
        })?;
        let client = self.connect(server)?;
        client.use_api_key(key);
        Ok(client)
    }

    /// Remembers the newest change that the server acknowledged, so that `verify` knows what has to be in the history.
    ///
    /// What an API key changed is not this device's: its session may be another account's.
    pub(crate) fn remember_change(&self, client: &Client) -> Result<(), Failure> {
        self.see_lists(client, client.sequences())?;
        match client.last_change().filter(|_| !self.has_api_key()) {
            Some(request) => Ok(self.profile.keep_last_change(Some(&request))?),
            None => Ok(()),
        }
    }

    /// Holds the list of a drive's files, as it was when the drive was opened, against what this device saw of it before. An older
    /// one is shown all the same, with a warning: what is in it is what the server has.
    pub(super) fn hold_against_seen(&self, drive: &Drive) -> Result<(), Failure> {
        let Some(open) = drive.current() else { return Ok(()) };
        if let Some(older) = self.see_lists(&drive.account().client, [(open.id, open.sequence)])?
            && self.older_list.set(older).is_ok()
        {
            self.output.warn(&older.to_string());
        }
        Ok(())
    }

    /// Remembers the numbers of collections' newest changes, and says which was later before.
    fn see_lists(
        &self,
        client: &Client,
        lists: impl IntoIterator<Item = (CollectionId, u64)>,
    ) -> Result<Option<OlderList>, Failure> {
        // A public computer keeps nothing.
        if self.is_public() {
            return Ok(None);
        }
        let mut pins = self.profile.pins(client.server())?;
        let mut older = None;
        for (collection, sequence) in lists {
            older = pins.see_sequence(collection, sequence).or(older);
        }
        // What cannot be kept is seen anew by the next command.
        let _ = self.profile.keep_pins(client.server(), &pins);
        Ok(older)
    }

    /// The result of a command, with what a program has to know of the list that it comes from.
    pub(super) fn with_list(&self, mut document: Value) -> Value {
        if let (Some(older), Some(fields)) = (self.older_list.get(), document.as_object_mut()) {
            fields.insert("older_list".to_owned(), json!(older));
        }
        document
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

/// Whether the half of the device's key is in the system's keychain: `off`, `auto` or `on`.
const KEYCHAIN: &str = "BAILIWICK_KEYCHAIN";
/// Where a program finds its API key.
const API_KEY: &str = "BAILIWICK_API_KEY";
/// Said to a program that has a key alone.
const KEY_WITHOUT_SESSION: &str =
    "an API key cannot do this, whatever its scopes: it takes a session; sign in with `bailiwick login`";
