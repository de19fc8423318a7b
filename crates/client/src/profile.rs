// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device keeps between two commands.
//!
//! ```text
//! profile.json    which account on which server: nothing secret
//! session         the session's token
//! local-half      half of the key of …
//! keys.sealed     … the master key and the address, sealed under the split key (`keyring::split`)
//! device          the token by which the server knows this device again
//! pins.json       servers' log keys and checkpoints, as they were seen last
//! names.sealed  the names of the files, sealed
//! last-change   the newest change that the server acknowledged, until it is seen in the history
//! accounts/     of each account on each server: how far broken-off uploads are, what a synchronised folder was like
//! ```
//!
//! Where the operating system has a keychain, the half of the split key is there and not in a file ([`Keychain`]).
//!
//! The other half of the split key is on the server, and is given only to this device's live session. Once that
//! session is ended, here or anywhere, the folder opens nothing, however often it was copied. Passwords, secrets of
//! authenticator apps and backup codes are never in it. The folder is for its owner alone (0700, files 0600).
//!
//! What is remembered of an account's files is sealed under its collections' keys, which follow from its master key: so it
//! outlives the session, says nothing without the account, and is of use as soon as the same account signs in again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use keyring::{Email, EmailSalt, LocalHalf, MasterKey, Sealed, ServerHalf, SplitKey, SystemRng};
use protocol::{AccountId, Bytes, DeviceId, Secret, SessionId, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::client::federation::LockedSession;
use crate::client::signin::Unlocked;
use crate::client::{Client, RequestError};
use crate::files::disk;
use crate::keychain::{Entry, KeyPlace, Keychain, KeychainError};
use crate::pins::Pins;
use crate::place;

/// The folder of a device's profile.
#[derive(Clone, Debug)]
pub struct Profile {
    folder: PathBuf,
    keychain: Keychain,
}

/// Which account a profile is signed in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    version: u32,
    /// The server's address.
    pub server: String,
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The session.
    pub session: SessionId,
    /// The device.
    pub device: DeviceId,
    /// The version of the master key that is kept.
    pub master_key_version: u32,
    /// Where this device's half of the split key is.
    #[serde(default)]
    pub key_kept_in: KeyPlace,
    /// Whether nothing that this device keeps opens the account's data: another provider let its owner in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_locked: bool,
}

impl Stored {
    fn entry(&self) -> Entry {
        Entry::of(&self.server, &self.device)
    }
}

impl Profile {
    /// The profile in this folder, whether or not it is there yet. All that it keeps is in the folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Profile { folder: folder.into(), keychain: Keychain::Off }
    }

    /// The same, with the operating system's keychain for the device's half of the split key from the next
    /// [`keep`](Self::keep) on.
    #[must_use]
    pub fn with_keychain(self, keychain: Keychain) -> Self {
        Profile { keychain, ..self }
    }

    /// Where profiles are when nobody says: `$XDG_CONFIG_HOME/bailiwick`, or `~/.config/bailiwick`.
    ///
    /// # Errors
    /// [`ProfileError::NoHome`].
    pub fn default_folder() -> Result<PathBuf, ProfileError> {
        let configured =
            std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        configured
            .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
            .map(|config| config.join("bailiwick"))
            .ok_or(ProfileError::NoHome)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which account it is signed in to, if any.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn stored(&self) -> Result<Option<Stored>, ProfileError> {
        let Some(bytes) = self.read(PROFILE)? else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| self.damaged(PROFILE))?;
        if stored.version == VERSION { Ok(Some(stored)) } else { Err(ProfileError::Version(stored.version)) }
    }

    /// The session's token.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn token(&self) -> Result<Option<Secret>, ProfileError> {
        self.secret(SESSION)
    }

    /// Keeps the session's new token.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn keep_token(&self, token: &Secret) -> Result<(), ProfileError> {
        self.write(SESSION, token.expose().as_bytes())
    }

    /// The token by which the server knows this device again.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn device_token(&self) -> Result<Option<Secret>, ProfileError> {
        self.secret(DEVICE)
    }

    /// Keeps the token by which the server knows this device again.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn keep_device_token(&self, token: &Secret) -> Result<(), ProfileError> {
        self.write(DEVICE, token.expose().as_bytes())
    }

    /// Whether a session could be kept as it is to be kept. To be asked before one begins.
    ///
    /// # Errors
    /// [`ProfileError::Keychain`] where the keychain is to be used in any case, and cannot be.
    pub fn can_keep(&self) -> Result<(), ProfileError> {
        match self.keychain {
            Keychain::On => Entry::is_usable().map_err(ProfileError::Keychain),
            Keychain::Off | Keychain::Auto => Ok(()),
        }
    }

    /// Keeps a session, and its keys under the split key. Says why the device's half is in a file, when the keychain was to
    /// be used where there is one and was not.
    ///
    /// # Errors
    /// [`ProfileError`]; of these [`ProfileError::Keychain`] where the keychain was to be used in any case.
    pub fn keep(
        &self,
        account: &Unlocked,
        server_half: &ServerHalf,
    ) -> Result<Option<KeychainError>, ProfileError> {
        let token = account.client.token().ok_or(ProfileError::NotSignedIn)?;
        let (local, _) = SplitKey::generate(&mut SystemRng);
        let split = SplitKey::join(
            &local,
            server_half,
            &place::account(account.account),
            &place::device(account.device),
        );
        let sealed = split.seal(&device_secrets(account), &mut SystemRng);
        let server = account.client.server();
        let (key_kept_in, why_not) = match self.keychain {
            Keychain::Off => (KeyPlace::File, None),
            wanted => match (Entry::of(server, &account.device).put(local.expose()), wanted) {
                (Ok(()), _) => (KeyPlace::Keychain, None),
                (Err(error), Keychain::On) => return Err(ProfileError::Keychain(error)),
                (Err(error), _) => (KeyPlace::File, Some(error)),
            },
        };
        let stored = Stored {
            version: VERSION,
            key_kept_in,
            server: server.to_owned(),
            account: account.account,
            number: account.number.clone(),
            home: account.home,
            session: account.session,
            device: account.device,
            master_key_version: account.master_key_version,
            is_locked: false,
        };
        let json = serde_json::to_vec_pretty(&stored).map_err(|_| self.damaged(PROFILE))?;
        match key_kept_in {
            KeyPlace::File => self.write(LOCAL_HALF, local.expose())?,
            KeyPlace::Keychain => self.remove(LOCAL_HALF)?,
        }
        self.write(KEYS, sealed.as_bytes())?;
        self.write(SESSION, token.expose().as_bytes())?;
        self.write(PROFILE, &json)?;
        Ok(why_not)
    }

    /// Keeps a session that opens nothing.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn keep_locked(&self, session: &LockedSession, token: &Secret) -> Result<(), ProfileError> {
        let stored = Stored {
            version: VERSION,
            key_kept_in: KeyPlace::File,
            server: session.server.clone(),
            account: session.account,
            number: session.number.clone(),
            home: session.home,
            session: session.session,
            device: session.device,
            master_key_version: 0,
            is_locked: true,
        };
        let json = serde_json::to_vec_pretty(&stored).map_err(|_| self.damaged(PROFILE))?;
        self.write(SESSION, token.expose().as_bytes())?;
        self.write(PROFILE, &json)
    }

    /// Opens what this device kept of an account with the server's half that a new session got, when it is this device's: another
    /// provider let its owner in again. `client` acts with the new session.
    pub async fn reopen(
        &self,
        client: &Client,
        session: &LockedSession,
        server_half: &Bytes<32>,
    ) -> Option<Unlocked> {
        let stored = self.stored().ok()??;
        let is_its_own = stored.account == session.account
            && stored.device == session.device
            && stored.server == client.server();
        if !is_its_own || stored.is_locked {
            return None;
        }
        let server = server_half.to_array().map(ServerHalf::from_bytes)?;
        let mut account = self.opened_with(client, stored, &server).await.ok()?;
        account.session = session.session;
        Some(account)
    }

    /// Opens the master key with the server's half of the split key. `client` acts with this profile's session.
    ///
    /// # Errors
    /// [`ProfileError`]; once the session has ended, the server's refusal.
    pub async fn unlock(&self, client: &Client) -> Result<Unlocked, ProfileError> {
        let stored = self.stored()?.ok_or(ProfileError::NotSignedIn)?;
        if stored.is_locked {
            return Err(ProfileError::Locked);
        }
        let server = client.server_half().await?;
        self.opened_with(client, stored, &server).await
    }

    async fn opened_with(
        &self,
        client: &Client,
        stored: Stored,
        server: &ServerHalf,
    ) -> Result<Unlocked, ProfileError> {
        let local = self.local_half(&stored).await?;
        let sealed = self.read(KEYS)?.ok_or(ProfileError::NotSignedIn)?;
        let sealed = Sealed::parse(sealed.to_vec()).map_err(|_| self.damaged(KEYS))?;
        let split =
            SplitKey::join(&local, server, &place::account(stored.account), &place::device(stored.device));
        let secrets = split.open(&sealed).map_err(|_| ProfileError::DoesNotOpen)?;
        let (master, email_salt, email) = read_device_secrets(&secrets).ok_or_else(|| self.damaged(KEYS))?;
        Ok(Unlocked {
            client: client.clone(),
            account: stored.account,
            number: stored.number,
            home: stored.home,
            session: stored.session,
            device: stored.device,
            master,
            master_key_version: stored.master_key_version,
            email,
            email_salt,
        })
    }

    async fn local_half(&self, stored: &Stored) -> Result<LocalHalf, ProfileError> {
        if stored.key_kept_in == KeyPlace::Keychain {
            let entry = stored.entry();
            // Somebody may be asked to open it, and takes their time.
            let got = tokio::task::spawn_blocking(move || entry.get()).await;
            let got = got.unwrap_or_else(|_| Err(KeychainError::Failed("interrupted".to_owned())));
            let half = got.map_err(ProfileError::Keychain)?.ok_or(ProfileError::NotInKeychain)?;
            return Ok(LocalHalf::from_bytes(*half));
        }
        let local = self.read(LOCAL_HALF)?.ok_or(ProfileError::NotSignedIn)?;
        let local: [u8; 32] = local.as_slice().try_into().map_err(|_| self.damaged(LOCAL_HALF))?;
        Ok(LocalHalf::from_bytes(local))
    }

    /// Forgets the session and its keys. What is known of servers stays, by what the device is known, and what is remembered of
    /// accounts' files.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn forget(&self) -> Result<(), ProfileError> {
        // Without the other half it opens nothing: that a keychain does not let go of it keeps nobody signed in.
        if let Ok(Some(stored)) = self.stored()
            && stored.key_kept_in == KeyPlace::Keychain
        {
            let _ = stored.entry().remove();
        }
        for name in [KEYS, LOCAL_HALF, SESSION, NAMES, LAST_CHANGE, PROFILE] {
            self.remove(name)?;
        }
        // Earlier builds kept the last two here, and uploads in plain.
        for name in [COLLECTIONS, UPLOADS, SYNC] {
            let _ = fs::remove_dir_all(self.folder.join(name));
        }
        Ok(())
    }

    /// The same, and forgets what is remembered of the account's files.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn forget_account(&self) -> Result<(), ProfileError> {
        if let Ok(Some(stored)) = self.stored() {
            let _ = fs::remove_dir_all(self.remembered(&stored.server, stored.account));
        }
        self.forget()
    }

    /// The request of the newest change that the server acknowledged to this device, and that was not seen in the history.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn last_change(&self) -> Result<Option<String>, ProfileError> {
        let Some(bytes) = self.read(LAST_CHANGE)? else { return Ok(None) };
        Ok(std::str::from_utf8(&bytes).ok().map(|request| request.trim().to_owned()))
    }

    /// Keeps the request of the newest acknowledged change; `None` once it was seen in the history.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn keep_last_change(&self, request: Option<&str>) -> Result<(), ProfileError> {
        match request {
            Some(request) => self.write(LAST_CHANGE, request.as_bytes()),
            None => self.remove(LAST_CHANGE),
        }
    }

    /// What is known of a server from before.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn pins(&self, server: &str) -> Result<Pins, ProfileError> {
        Ok(self.all_pins()?.remove(server).unwrap_or_default())
    }

    /// Everything that is known of any server.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn all_pins(&self) -> Result<BTreeMap<String, Pins>, ProfileError> {
        match self.read(PINS)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| self.damaged(PINS)),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Keeps what is known of a server now.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn keep_pins(&self, server: &str, pins: &Pins) -> Result<(), ProfileError> {
        let mut all = self.all_pins()?;
        if all.get(server) == Some(pins) {
            return Ok(());
        }
        all.insert(server.to_owned(), pins.clone());
        let json = serde_json::to_vec_pretty(&all).map_err(|_| self.damaged(PINS))?;
        self.write(PINS, &json)
    }

    /// Where the names of the account's files are remembered, sealed.
    pub fn names(&self) -> PathBuf {
        self.folder.join(NAMES)
    }

    /// Where the names of the files of another collection are.
    pub fn names_of(&self, collection: protocol::CollectionId) -> PathBuf {
        self.folder.join(COLLECTIONS).join(collection.to_string())
    }

    /// Where an account's uploads to a server are remembered that broke off.
    pub fn uploads(&self, server: &str, account: AccountId) -> PathBuf {
        self.remembered(server, account).join(UPLOADS)
    }

    /// Where the state of an account's synchronised folders is, of those on this server.
    pub fn sync(&self, server: &str, account: AccountId) -> PathBuf {
        self.remembered(server, account).join(SYNC)
    }

    /// The folder's name tells neither: the account may be signed out.
    fn remembered(&self, server: &str, account: AccountId) -> PathBuf {
        let hash = Sha256::new().chain_update(server).chain_update([0]).chain_update(account.as_bytes());
        let name = HEXLOWER.encode(hash.finalize().get(..16).unwrap_or_default());
        self.folder.join(ACCOUNTS).join(name)
    }

    fn secret(&self, name: &str) -> Result<Option<Secret>, ProfileError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| self.damaged(name))?.trim();
        Ok(Some(Secret::from(text.to_owned())))
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, ProfileError> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ProfileError::Io(path, error)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ProfileError> {
        let path = self.folder.join(name);
        disk::private_folder(&self.folder)
            .and_then(|()| disk::write_private(&path, bytes))
            .map_err(|error| ProfileError::Io(path, error))
    }

    fn remove(&self, name: &str) -> Result<(), ProfileError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ProfileError::Io(path, error)),
            _ => Ok(()),
        }
    }

    fn damaged(&self, name: &str) -> ProfileError {
        ProfileError::Damaged(self.folder.join(name))
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Nobody is signed in.
    #[error("not signed in: run `bailiwick login`, or `bailiwick signup` for a new account")]
    NotSignedIn,
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Another provider let somebody in, and nothing here opens the account's data.
    #[error(
        "you are signed in through another provider, which opens none of your own data: `bailiwick login --recovery-key`, \
         or `login --pair`, does"
    )]
    Locked,
    /// The keys do not open with the server's half.
    #[error("the keys that this device keeps do not open any more: sign in again with `bailiwick login`")]
    DoesNotOpen,
    /// The keychain does not give or take what it should.
    #[error("{0}: open it, or set BAILIWICK_KEYCHAIN=off, which keeps the key in a file, and sign in again")]
    Keychain(KeychainError),
    /// The keychain does not have the half.
    #[error(
        "this computer's keychain does not have the key of this device: sign in again with `bailiwick login`"
    )]
    NotInKeychain,
    /// The server's log key is not the one it had.
    #[error(
        "the server signs its history with another key than before. Somebody may have rewritten the history or taken \
         the server's place: ask the operator. Only if the key was changed on purpose, accept it with \
         `bailiwick verify --trust-new-key`"
    )]
    LogKeyChanged,
    /// The server gives out an older master key than it did before.
    #[error(
        "the server gives out version {shown} of this account's master key, and version {seen} was seen here before: it \
         was rolled back to a key that had been replaced, and what is sealed with it may be read by whoever has the old \
         one. Nothing was kept: ask the operator. Only if a backup was restored on purpose, accept it with \
         `bailiwick login --accept-older-key`"
    )]
    KeyRolledBack {
        /// The newest version that was seen here.
        seen: u32,
        /// The version that is shown now.
        shown: u32,
    },
    /// The server shows other identity keys than before, for the same version of the master key.
    #[error(
        "the server shows other identity keys for version {version} of this account's master key than were seen here \
         before: somebody put another key in its place. Do not go on, and tell the operator"
    )]
    IdentityChanged {
        /// The version.
        version: u32,
    },
    /// A newer master key that the key directory does not show to follow from the one that was seen.
    #[error(
        "the server gives out version {shown} of this account's master key, and version {seen} was seen here before: that the \
         account itself replaced it is not proven by its key directory. Try again in a moment; if it stays so, do not go on, \
         and tell the operator"
    )]
    NotProven {
        /// The newest version that was seen here.
        seen: u32,
        /// The version that is shown now.
        shown: u32,
    },
    /// There is no home folder.
    #[error("there is no home folder to keep the profile in: set BAILIWICK_CONFIG_DIR")]
    NoHome,
    /// Written by a newer release.
    #[error("the profile was written by a newer release (version {0}): update this program")]
    Version(u32),
    /// A file of the profile cannot be read as what it should be.
    #[error("{} is damaged: sign in again with `bailiwick login`", .0.display())]
    Damaged(PathBuf),
    /// A file of the profile cannot be read or written.
    #[error("{}: {}", .0.display(), disk::said(.1))]
    Io(PathBuf, io::Error),
}

/// `version(1) ‖ master key(32) ‖ email salt(16) ‖ address`
fn device_secrets(account: &Unlocked) -> Zeroizing<Vec<u8>> {
    let email = account.email.as_str().as_bytes();
    let mut secrets = Zeroizing::new(Vec::with_capacity(1 + 32 + 16 + email.len()));
    secrets.push(SECRETS_VERSION);
    secrets.extend_from_slice(account.master.expose());
    secrets.extend_from_slice(account.email_salt.as_bytes());
    secrets.extend_from_slice(email);
    secrets
}

fn read_device_secrets(secrets: &[u8]) -> Option<(MasterKey, EmailSalt, Email)> {
    let (&SECRETS_VERSION, rest) = secrets.split_first()? else { return None };
    let (master, rest) = rest.split_first_chunk::<32>()?;
    let (salt, email) = rest.split_first_chunk::<16>()?;
    let email = Email::parse(std::str::from_utf8(email).ok()?).ok()?;
    Some((MasterKey::from_bytes(*master), EmailSalt::from_bytes(*salt), email))
}

const VERSION: u32 = 1;
const SECRETS_VERSION: u8 = 1;
const PROFILE: &str = "profile.json";
const SESSION: &str = "session";
const LOCAL_HALF: &str = "local-half";
const KEYS: &str = "keys.sealed";
const DEVICE: &str = "device";
const PINS: &str = "pins.json";
const LAST_CHANGE: &str = "last-change";
const NAMES: &str = "names.sealed";
/// Names of files in other collections than the account's own files.
const COLLECTIONS: &str = "collections";
const ACCOUNTS: &str = "accounts";
const UPLOADS: &str = "uploads";
const SYNC: &str = "sync";
