// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The operating system's keychain, for the half of a device's split key that the device keeps.
//!
//! | system | keychain |
//! |---|---|
//! | Linux and other free desktops | the Secret Service of the session's D-Bus (GNOME Keyring, KWallet, KeePassXC) |
//! | macOS | the login keychain |
//! | Windows | the Credential Manager |
//!
//! It opens when its owner signs in to the computer, and a copy of the profile's folder does not have it. A server or a
//! container has none: there the half is in a file that only its owner may read, and the commands say so.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Whether the keychain is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keychain {
    /// Never: the half is in a file.
    #[default]
    Off,
    /// Where there is one that is open; else in a file.
    Auto,
    /// Always: without one, nobody is signed in.
    On,
}

impl FromStr for Keychain {
    type Err = NoSuchSetting;

    fn from_str(text: &str) -> Result<Self, NoSuchSetting> {
        match text {
            "off" => Ok(Keychain::Off),
            "auto" => Ok(Keychain::Auto),
            "on" => Ok(Keychain::On),
            _ => Err(NoSuchSetting),
        }
    }
}

/// It is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("BAILIWICK_KEYCHAIN is `off`, `auto` or `on`")]
pub struct NoSuchSetting;

/// Where a device keeps its half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// In a file of the profile.
    #[default]
    File,
    /// In the operating system's keychain.
    Keychain,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyPlace::File => "in a file that only you may read",
            KeyPlace::Keychain => "in this computer's keychain",
        })
    }
}

/// Why the keychain did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// There is none.
    #[error("this computer has no keychain")]
    Missing,
    /// It is there, and is not open.
    #[error("the keychain is locked")]
    Locked,
    /// Something else, in the words of the system.
    #[error("the keychain failed: {0}")]
    Failed(String),
}

/// One secret in the keychain: of one device, on one server.
#[cfg_attr(
    target_family = "wasm",
    expect(dead_code, reason = "a browser has no keychain that is asked by them")
)]
pub(crate) struct Entry {
    server: String,
    device: String,
}

impl Entry {
    pub(crate) fn of(server: &str, device: &impl ToString) -> Self {
        Entry { server: server.to_owned(), device: device.to_string() }
    }

    /// Whether there is a keychain, and it is open.
    pub(crate) fn is_usable() -> Result<(), KeychainError> {
        system::probe()
    }

    /// Puts it there, in place of what was there before. Asks nobody to open the keychain.
    pub(crate) fn put(&self, secret: &[u8; 32]) -> Result<(), KeychainError> {
        system::put(self, &Zeroizing::new(HEXLOWER.encode(secret)))
    }

    /// Takes it out, if it is there. The system may ask its user to open the keychain.
    pub(crate) fn get(&self) -> Result<Option<Zeroizing<[u8; 32]>>, KeychainError> {
        let Some(text) = system::get(self)? else { return Ok(None) };
        let mut secret = Zeroizing::new([0; 32]);
        let decoded = HEXLOWER.decode(&text).map(Zeroizing::new);
        let decoded = decoded.ok().filter(|decoded| decoded.len() == secret.len());
        let decoded = decoded.ok_or_else(|| KeychainError::Failed("it gives something else".to_owned()))?;
        secret.copy_from_slice(&decoded);
        Ok(Some(secret))
    }

    /// Removes it.
    pub(crate) fn remove(&self) -> Result<(), KeychainError> {
        system::remove(self)
    }
}

/// The Secret Service. libdbus is linked in: a computer without D-Bus runs this program all the same.
#[cfg(all(unix, not(target_os = "macos")))]
mod system {
    use std::collections::HashMap;

    use dbus_secret_service::{EncryptionType, Error, SecretService};
    use zeroize::Zeroizing;

    use super::{Entry, KeychainError};

    pub(super) fn probe() -> Result<(), KeychainError> {
        match connect()?.get_default_collection()?.is_locked()? {
            true => Err(KeychainError::Locked),
            false => Ok(()),
        }
    }

    pub(super) fn put(entry: &Entry, text: &str) -> Result<(), KeychainError> {
        let service = connect()?;
        let collection = service.get_default_collection()?;
        if collection.is_locked()? {
            return Err(KeychainError::Locked);
        }
        let label = format!("Bailiwick: the key of this device on {}", entry.server);
        collection.create_item(&label, attributes(entry), text.as_bytes(), true, "text/plain")?;
        Ok(())
    }

    pub(super) fn get(entry: &Entry) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        let service = connect()?;
        let found = service.search_items(attributes(entry))?;
        let Some(item) = found.unlocked.first().or_else(|| found.locked.first()) else { return Ok(None) };
        if item.is_locked()? {
            item.unlock()?;
        }
        Ok(Some(Zeroizing::new(item.get_secret()?)))
    }

    pub(super) fn remove(entry: &Entry) -> Result<(), KeychainError> {
        let service = connect()?;
        let found = service.search_items(attributes(entry))?;
        for item in found.unlocked.iter().chain(&found.locked) {
            item.delete()?;
        }
        Ok(())
    }

    /// What is asked for stays on this computer, between processes of one user: any of them could ask for it as well, so
    /// that sealing it on the way would keep it from nobody.
    fn connect() -> Result<SecretService, KeychainError> {
        SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, PROMPT_SECONDS).map_err(
            |error| {
                match error {
                    // Without a bus there is nobody on it.
                    Error::Dbus(_) => KeychainError::Missing,
                    other => other.into(),
                }
            },
        )
    }

    fn attributes(entry: &Entry) -> HashMap<&str, &str> {
        [("application", "bailiwick"), ("server", &entry.server), ("device", &entry.device)].into()
    }

    impl From<Error> for KeychainError {
        fn from(error: Error) -> Self {
            match error {
                Error::Unavailable | Error::NoResult => KeychainError::Missing,
                Error::Locked | Error::Prompt => KeychainError::Locked,
                other => KeychainError::Failed(other.to_string()),
            }
        }
    }

    /// How long somebody may take to open the keychain.
    const PROMPT_SECONDS: u64 = 60;
}

/// The login keychain, and the Credential Manager.
#[cfg(any(target_os = "macos", windows))]
mod system {
    #[cfg(target_os = "macos")]
    use apple_native_keyring_store::keychain::Store;
    use keyring_core::Error;
    use keyring_core::api::CredentialStoreApi as _;
    #[cfg(windows)]
    use windows_native_keyring_store::Store;
    use zeroize::Zeroizing;

    use super::{Entry, KeychainError};

    pub(super) fn probe() -> Result<(), KeychainError> {
        Store::new()?;
        Ok(())
    }

    pub(super) fn put(entry: &Entry, text: &str) -> Result<(), KeychainError> {
        Ok(of(entry)?.set_secret(text.as_bytes())?)
    }

    pub(super) fn get(entry: &Entry) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        match of(entry)?.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn remove(entry: &Entry) -> Result<(), KeychainError> {
        match of(entry)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn of(entry: &Entry) -> Result<keyring_core::Entry, KeychainError> {
        Ok(Store::new()?.build("bailiwick", &format!("{} {}", entry.device, entry.server), None)?)
    }

    impl From<Error> for KeychainError {
        fn from(error: Error) -> Self {
            match error {
                Error::NoStorageAccess(_) => KeychainError::Locked,
                other => KeychainError::Failed(other.to_string()),
            }
        }
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use zeroize::Zeroizing;

    use super::{Entry, KeychainError};

    pub(super) fn probe() -> Result<(), KeychainError> {
        Err(KeychainError::Missing)
    }

    pub(super) fn put(_: &Entry, _: &str) -> Result<(), KeychainError> {
        Err(KeychainError::Missing)
    }

    pub(super) fn get(_: &Entry) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        Err(KeychainError::Missing)
    }

    pub(super) fn remove(_: &Entry) -> Result<(), KeychainError> {
        Err(KeychainError::Missing)
    }
}
