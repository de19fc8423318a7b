// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device remembers of a server, so that it notices when something is rolled back or replaced.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use keyring::IdentityPublicKeys;
use protocol::service::Service;
use protocol::tenants::collections::Protection;
use protocol::{AccountId, CollectionId, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::profile::ProfileError;
use crate::sharing::{KnownAccount, SharingError};
use crate::tenant_drive::TenantDriveError;

/// What is known of a server from before: the key of its logs, the newest checkpoints that were verified, and which
/// keys the accounts had that signed in here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// The name of the platform's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_origin: Option<String>,
    /// The key of its logs, as a vkey (C2SP signed-note).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_public_key: Option<String>,
    /// The newest verified checkpoint of each log, as the signed note that it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checkpoints: BTreeMap<String, String>,
    /// The keys of accounts that signed in here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<AccountId, AccountPins>,
    /// The keys of other accounts, by their numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, OtherPins>,
    /// The keys of collections that had more than one, or that others share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collections: BTreeMap<CollectionId, CollectionPins>,
    /// The collections of tenants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenant_collections: BTreeMap<CollectionId, TenantCollectionPins>,
    /// The number of the newest change that was seen of each collection of files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<CollectionId, u64>,
}

/// A list of files that is older than one that was seen before: a backup was put back, or what came since is kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error(
    "the server shows an older list of files than this device saw before (change {shown}; it saw change {seen}): a backup was put \
     back, or what came since is kept back. `bailiwick verify` checks the history"
)]
pub(crate) struct OlderList {
    /// The newest change that was seen.
    seen: u64,
    /// The newest that is shown now.
    shown: u64,
}

/// What is known of a tenant's collection from before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantCollectionPins {
    /// The tenant.
    pub tenant: TenantId,
    /// Who can open what is in it.
    pub protection: Protection,
    /// The highest generation of its key that was seen.
    pub generation: u32,
    /// SHA-256 of its name, base64url, once it could be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl TenantCollectionPins {
    /// What is to be remembered of a collection as it is now.
    pub fn new(tenant: TenantId, protection: Protection, generation: u32, name: Option<&str>) -> Self {
        TenantCollectionPins { tenant, protection, generation, name: name.map(name_digest) }
    }
}

/// What is known of a collection's key from before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionPins {
    /// The highest generation that was seen.
    pub generation: u32,
    /// For a collection that another shares: the newest of the owner's identity keys that signed a grant.
    #[serde(default)]
    pub owner_key_version: u32,
}

/// How a master key that is newer than the one seen before came to be.
#[derive(Clone, Copy, Debug)]
pub enum Newer<'a> {
    /// This device made it from the one before.
    MadeHere,
    /// The account's keys as the key directory proves them, each version signed by the one before it.
    Proven(&'a KnownAccount),
    /// Nobody said.
    Unproven,
}

/// What is known of another account's keys from before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPins {
    /// The account.
    pub account: AccountId,
    /// The newest version of its keys that was seen.
    pub key_version: u32,
    /// SHA-256 of those keys, base64url.
    pub keys: String,
}

/// What is known of an account's keys from before. Nothing secret: hashes of public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPins {
    /// The highest version of its master key that was seen.
    pub master_key_version: u32,
    /// SHA-256 of its public identity keys by the version of the master key, base64url: the newest 256.
    pub identities: BTreeMap<u32, String>,
}

/// Pins of a program that keeps them in its own way, as a browser does. What looks at several things at the same time shares it.
pub struct PinStore {
    pins: Mutex<Pins>,
    keep: Box<dyn Fn(&Pins) + Send + Sync>,
}

impl PinStore {
    /// Begins with what was kept; `keep` is told of every change.
    pub fn new(pins: Pins, keep: impl Fn(&Pins) + Send + Sync + 'static) -> Self {
        PinStore { pins: Mutex::new(pins), keep: Box::new(keep) }
    }

    /// What is pinned now.
    pub fn pins(&self) -> Pins {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what was seen since [`pins`](Self::pins). What somebody else saw meanwhile stays: of each log the longer one, as both
    /// were found to be continuations of what was pinned before.
    pub fn put(&self, mut seen: Pins) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        for (origin, note) in &pins.checkpoints {
            let is_older = seen.checkpoints.get(origin).is_none_or(|seen| size_of(seen) < size_of(note));
            if is_older {
                seen.checkpoints.insert(origin.clone(), note.clone());
            }
        }
        let before = std::mem::take(&mut *pins);
        seen.log_origin = seen.log_origin.or(before.log_origin);
        seen.log_public_key = seen.log_public_key.or(before.log_public_key);
        take_missing(&mut seen.accounts, before.accounts);
        take_missing(&mut seen.others, before.others);
        take_missing(&mut seen.collections, before.collections);
        take_missing(&mut seen.tenant_collections, before.tenant_collections);
        for (collection, sequence) in before.sequences {
            seen.see_sequence(collection, sequence);
        }
        *pins = seen;
        (self.keep)(&pins);
    }
}

impl std::fmt::Debug for PinStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pins().fmt(f)
    }
}

fn take_missing<K: Ord, V>(seen: &mut BTreeMap<K, V>, before: BTreeMap<K, V>) {
    for (key, value) in before {
        seen.entry(key).or_insert(value);
    }
}

/// The size that a checkpoint speaks of: its second line (C2SP tlog-checkpoint).
fn size_of(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

impl Pins {
    /// Takes the server's log key on its first use, and refuses another one ever after.
    ///
    /// # Errors
    /// [`ProfileError::LogKeyChanged`].
    pub fn check(&mut self, service: &Service) -> Result<(), ProfileError> {
        let known = (self.log_origin.as_ref(), self.log_public_key.as_ref());
        match known {
            (Some(origin), Some(key)) if *origin == service.log_origin && *key == service.log_public_key => {
                Ok(())
            }
            (None, None) => {
                self.log_origin = Some(service.log_origin.clone());
                self.log_public_key = Some(service.log_public_key.clone());
                Ok(())
            }
            _ => Err(ProfileError::LogKeyChanged),
        }
    }

    /// Whether an account was seen with an older master key than this: then [`check_account`](Self::check_account) wants the newer
    /// one proven.
    pub fn has_older(&self, account: AccountId, master_key_version: u32) -> bool {
        let known = self.accounts.get(&account);
        known.is_some_and(|known| (1..master_key_version).contains(&known.master_key_version))
    }

    /// Takes the keys with which an account is shown, and refuses what is older than was seen before, other keys for the same
    /// version, and newer ones that do not follow from those that were seen.
    ///
    /// # Errors
    /// [`ProfileError::KeyRolledBack`], [`ProfileError::IdentityChanged`], [`ProfileError::NotProven`].
    pub fn check_account(
        &mut self,
        account: AccountId,
        master_key_version: u32,
        identity: &IdentityPublicKeys,
        newer: Newer<'_>,
    ) -> Result<(), ProfileError> {
        let is_newer = self.has_older(account, master_key_version);
        let known = self.accounts.entry(account).or_default();
        if master_key_version < known.master_key_version {
            let (seen, shown) = (known.master_key_version, master_key_version);
            return Err(ProfileError::KeyRolledBack { seen, shown });
        }
        let digest = digest(identity);
        if known.identities.get(&master_key_version).is_some_and(|seen| *seen != digest) {
            return Err(ProfileError::IdentityChanged { version: master_key_version });
        }
        if is_newer {
            let follows = match newer {
                Newer::MadeHere => true,
                Newer::Unproven => false,
                Newer::Proven(proven) => {
                    let seen = known.identities.iter().all(|(version, seen)| {
                        proven.keys_of(*version).is_some_and(|keys| self::digest(keys) == *seen)
                    });
                    proven.account == account
                        && seen
                        && proven.keys_of(master_key_version).is_some_and(|keys| keys == identity)
                }
            };
            if !follows {
                let (seen, shown) = (known.master_key_version, master_key_version);
                return Err(ProfileError::NotProven { seen, shown });
            }
        }
        known.master_key_version = master_key_version;
        known.identities.insert(master_key_version, digest);
        while known.identities.len() > MAX_IDENTITIES {
            known.identities.pop_first();
        }
        Ok(())
    }

    /// Takes the key with which a collection is shown, and refuses what is older than was seen before.
    ///
    /// # Errors
    /// [`SharingError::KeyRolledBack`].
    pub(crate) fn check_collection(
        &mut self,
        collection: CollectionId,
        shown: CollectionPins,
    ) -> Result<(), SharingError> {
        let seen = self.collections.get(&collection).copied().unwrap_or_default();
        if shown.generation < seen.generation || shown.owner_key_version < seen.owner_key_version {
            return Err(SharingError::KeyRolledBack);
        }
        // A first key of one's own has nothing before it.
        if shown.generation > 1 || shown.owner_key_version > 0 {
            self.collections.insert(collection, shown);
        }
        while self.collections.len() > MAX_COLLECTIONS {
            self.collections.pop_first();
        }
        Ok(())
    }

    /// Takes a tenant's collection as it is shown, and refuses one whose protection was lowered, or an older key of it.
    ///
    /// # Errors
    /// [`TenantDriveError::Protection`], [`SharingError::KeyRolledBack`].
    pub(crate) fn check_tenant_collection(
        &mut self,
        collection: CollectionId,
        shown: TenantCollectionPins,
    ) -> Result<(), TenantDriveError> {
        let seen = self.tenant_collections.get(&collection);
        if seen.is_some_and(|seen| seen.protection != shown.protection) {
            return Err(TenantDriveError::Protection(collection));
        }
        if seen.is_some_and(|seen| shown.generation < seen.generation) {
            return Err(SharingError::KeyRolledBack.into());
        }
        // Who was let out no longer learns the name; it stays known.
        let name = shown.name.clone().or_else(|| seen.and_then(|seen| seen.name.clone()));
        self.tenant_collections.insert(collection, TenantCollectionPins { name, ..shown });
        while self.tenant_collections.len() > MAX_COLLECTIONS {
            self.tenant_collections.pop_first();
        }
        Ok(())
    }

    /// Takes the number of a collection's newest change, and says when a later one was seen before, which stays.
    pub(crate) fn see_sequence(&mut self, collection: CollectionId, shown: u64) -> Option<OlderList> {
        let seen = self.sequences.get(&collection).copied().unwrap_or_default();
        if shown < seen {
            return Some(OlderList { seen, shown });
        }
        if shown > seen {
            self.sequences.insert(collection, shown);
        }
        while self.sequences.len() > MAX_COLLECTIONS {
            self.sequences.pop_first();
        }
        None
    }

    /// Whether an end-to-end collection of this name was seen in the tenant.
    pub(crate) fn knows_end_to_end(&self, tenant: TenantId, name: &str) -> bool {
        let digest = name_digest(name);
        self.tenant_collections.values().any(|seen| {
            seen.tenant == tenant
                && seen.protection == Protection::EndToEnd
                && seen.name.as_ref() == Some(&digest)
        })
    }

    /// Forgets what is known of an account's keys: the next ones are taken as they come.
    pub fn forget_account(&mut self, account: AccountId) {
        self.accounts.remove(&account);
    }
}

/// One rotation a day fills this in the better part of a year.
const MAX_IDENTITIES: usize = 256;
/// More collections than these are believed as they come.
const MAX_COLLECTIONS: usize = 10_000;

fn name_digest(name: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(name))
}

fn digest(keys: &IdentityPublicKeys) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(keys.to_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_was_seen_at_the_same_time_is_all_kept_and_no_log_becomes_shorter() {
        let kept = Arc::new(Mutex::new(Pins::default()));
        let store = {
            let kept = Arc::clone(&kept);
            PinStore::new(Pins::default(), move |pins| *kept.lock().unwrap() = pins.clone())
        };
        let note = |size: u64| format!("log.example\n{size}\nroot\n\n— signature\n");
        let (mut one, mut other) = (store.pins(), store.pins());
        one.checkpoints.insert("log.example".to_owned(), note(9));
        one.log_origin = Some("log.example".to_owned());
        let account = AccountId::from_uuid(uuid::Uuid::from_u128(7));
        other.checkpoints.insert("log.example".to_owned(), note(5));
        other.accounts.insert(account, AccountPins { master_key_version: 2, ..AccountPins::default() });
        let collection = CollectionId::from_bytes([7; 16]);
        assert_eq!(one.see_sequence(collection, 9), None);
        assert_eq!(other.see_sequence(collection, 5), None);
        store.put(one);
        store.put(other);
        let pins = store.pins();
        assert_eq!(pins.checkpoints["log.example"], note(9));
        assert_eq!(pins.log_origin.as_deref(), Some("log.example"));
        assert!(pins.accounts.contains_key(&account));
        assert_eq!(pins.sequences[&collection], 9);
        assert_eq!(*kept.lock().unwrap(), pins);
    }

    #[test]
    fn a_list_that_is_older_than_it_was_is_told_and_does_not_become_the_newest() {
        let (mut pins, collection) = (Pins::default(), CollectionId::from_bytes([7; 16]));
        for (shown, is_older) in [(4, false), (4, false), (6, false), (5, true), (0, true), (6, false)] {
            assert_eq!(pins.see_sequence(collection, shown).is_some(), is_older, "{shown}");
        }
        assert_eq!(pins.sequences[&collection], 6);
        assert_eq!(pins.see_sequence(CollectionId::from_bytes([8; 16]), 1), None, "another collection");
    }
}
