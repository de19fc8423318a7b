// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of files: the account's own files, others that it named, and those that others share.
//!
//! The account's files are the collection whose id follows from its home. Others have random ids, and a name in their sealed
//! description, which the server does not see.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use keyring::{CollectionKey, CollectionKeys, FormerKey, Sealed, SystemRng};
use protocol::objects::{Collection, Description, NewCollection};
use protocol::sharing::{Permission, Share};
use protocol::{CollectionId, TenantId, objects};
use serde::{Deserialize, Serialize};

use super::DriveError;
use crate::client::RequestError;
use crate::client::opened::Opened;
use crate::pins::CollectionPins;
use crate::place;
use crate::sharing::{self, KnownAccount};
use crate::trust::Trust;

/// A collection whose keys are at hand.
pub(crate) struct OpenCollection {
    pub(crate) id: CollectionId,
    pub(crate) keys: CollectionKeys,
    pub(crate) name: String,
    /// The version of the sealed key; 0 in a share, which has a grant instead.
    pub(crate) key_version: u64,
    /// The number of its last change when it was read.
    pub(crate) sequence: u64,
    pub(crate) permission: Permission,
}

impl OpenCollection {
    /// Opens a collection of the account's own.
    pub(crate) async fn own(
        account: &Opened,
        trust: &Trust,
        collection: Collection,
    ) -> Result<Self, DriveError> {
        let keys = own_keys(account, &collection)?;
        let pins = CollectionPins { generation: keys.generation(), owner_key_version: 0 };
        trust.see_collection(collection.id, pins).await?;
        Ok(OpenCollection {
            id: collection.id,
            name: own_name(&keys, account.home, &collection)?,
            keys,
            key_version: collection.key_version,
            sequence: collection.sequence,
            permission: Permission::Write,
        })
    }
}

/// Which collection a drive works on: what it is opened by again, once it has another key.
pub(super) enum Source {
    /// The account's files.
    Files,
    /// A collection that it named.
    Named(CollectionId),
    /// One that somebody shares.
    Shared(Box<Share>),
}

impl Source {
    /// Opens the collection as it is now; `None` when there is none yet. `owner` is whose it is, where that was just looked up.
    pub(super) async fn load(
        &self,
        account: &Opened,
        trust: &Trust,
        owner: Option<Arc<KnownAccount>>,
    ) -> Result<Option<OpenCollection>, DriveError> {
        let collection = match self {
            Source::Files => {
                let mut candidates = account.client.collections().await?;
                candidates.retain(|one| one.kind == KIND && is_default(account.home, one.id));
                candidates.sort_by_key(|one| (one.created_at, one.id));
                match candidates.into_iter().next() {
                    Some(collection) => collection,
                    None => return Ok(None),
                }
            }
            Source::Named(id) => account.client.collection(*id).await?,
            Source::Shared(share) => {
                let owner = match owner {
                    Some(owner) => owner,
                    // It may have made new keys since.
                    None => trust.account_again(share.owner).await?,
                };
                return Ok(Some(sharing::open_shared(account, trust, share, &owner).await?));
            }
        };
        OpenCollection::own(account, trust, collection).await.map(Some)
    }
}

/// A collection of files of the account's.
#[derive(Clone, Debug)]
pub struct NamedCollection {
    /// Its id.
    pub id: CollectionId,
    /// What it is called.
    pub name: String,
    /// Whether it is the account's own files, where files go that are put nowhere else.
    pub is_default: bool,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// Which of its keys is in use, from 1.
    pub generation: u32,
    /// How many versions before the current one it keeps of each file.
    pub kept_versions: u32,
}

/// What a collection may be called: 1 to 64 characters, neither a path nor an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionName(String);

impl CollectionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollectionName {
    type Err = NotAName;

    fn from_str(name: &str) -> Result<Self, NotAName> {
        let is_name = (1..=MAX_NAME).contains(&name.chars().count())
            && name.trim() == name
            && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'))
            && ![".", ".."].contains(&name)
            && name.parse::<CollectionId>().is_err();
        if is_name { Ok(CollectionName(name.to_owned())) } else { Err(NotAName) }
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It cannot be the name of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a collection's name has 1 to {MAX_NAME} characters, no slashes, and no space at its ends")]
pub struct NotAName;

/// The account's collections of files, the account's own files first, then by name.
///
/// # Errors
/// [`DriveError`]; a collection that does not open is one too.
pub async fn collections(account: &Opened) -> Result<Vec<NamedCollection>, DriveError> {
    let mut named = Vec::new();
    for collection in account.client.collections().await?.into_iter().filter(|one| one.kind == KIND) {
        let keys = own_keys(account, &collection)?;
        named.push(NamedCollection {
            id: collection.id,
            name: own_name(&keys, account.home, &collection)?,
            is_default: is_default(account.home, collection.id),
            created_at: collection.created_at,
            generation: keys.generation(),
            kept_versions: collection.kept_versions,
        });
    }
    named.sort_by(|one, other| (!one.is_default, &one.name).cmp(&(!other.is_default, &other.name)));
    Ok(named)
}

/// Makes a collection of files.
///
/// # Errors
/// [`DriveError`]. Whether the name is free is for the caller to ask ([`collections`]).
pub async fn create_collection(account: &Opened, name: &CollectionName) -> Result<CollectionId, DriveError> {
    let id = CollectionId::random();
    create(account, id, name.as_str()).await?;
    Ok(id)
}

/// Gives a collection another name.
///
/// # Errors
/// [`DriveError`].
pub async fn rename_collection(
    account: &Opened,
    id: CollectionId,
    name: &CollectionName,
) -> Result<(), DriveError> {
    let keys = own_keys(account, &account.client.collection(id).await?)?;
    let sealed_meta = sealed_description(&keys, account.home, id, name.as_str());
    let description = Description { generation: keys.generation(), sealed_meta: sealed_meta.into() };
    Ok(account.client.describe_collection(id, &description).await?)
}

/// Makes a collection of files with this id.
pub(super) async fn create(account: &Opened, id: CollectionId, name: &str) -> Result<(), RequestError> {
    let key = CollectionKey::generate(&mut SystemRng);
    let place = place::collection_key(account.account, id, 1, 1);
    let sealed_key = key.seal(&account.key, &place, &mut SystemRng);
    let keys = CollectionKeys::first(key);
    let new = NewCollection {
        id,
        kind: KIND.to_owned(),
        sealed_key: sealed_key.into_bytes().into(),
        sealed_meta: sealed_description(&keys, account.home, id, name).into(),
        kept_versions: KEPT_VERSIONS,
    };
    account.client.create_collection(&new).await.map(drop)
}

/// The keys of a collection of the account's own.
fn own_keys(account: &Opened, collection: &Collection) -> Result<CollectionKeys, keyring::OpenError> {
    open_keys(&account.key, account.account, account.home, collection)
}

/// The keys of a collection, opened with its owner's account key.
pub(crate) fn open_keys(
    account_key: &keyring::AccountKey,
    owner: protocol::AccountId,
    home: TenantId,
    collection: &Collection,
) -> Result<CollectionKeys, keyring::OpenError> {
    let sealed = Sealed::parse(collection.sealed_key.as_slice().to_vec())?;
    let (generation, version) = (collection.generation, collection.key_version);
    let place = place::collection_key(owner, collection.id, generation, version);
    let newest = CollectionKey::open(account_key, &sealed, &place)?;
    open_former(newest, generation, home, collection.id, &collection.former_keys)
}

/// All keys, from the newest.
pub(crate) fn open_former(
    newest: CollectionKey,
    generation: u32,
    home: TenantId,
    collection: CollectionId,
    former: &[objects::FormerKey],
) -> Result<CollectionKeys, keyring::OpenError> {
    let former: Vec<FormerKey> = former
        .iter()
        .map(|one| {
            let sealed = Sealed::parse(one.sealed_key.as_slice().to_vec())?;
            Ok(FormerKey { last_change: one.last_change, sealed })
        })
        .collect::<Result<_, keyring::OpenError>>()?;
    CollectionKeys::open(newest, generation, &place::former_keys(home, collection), &former)
}

/// What a collection's sealed description says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Described {
    v: u32,
    pub(crate) name: String,
}

/// What a collection of the account's own is called. One whose description does not open keeps its files: it is called by its
/// id.
fn own_name(keys: &CollectionKeys, home: TenantId, collection: &Collection) -> Result<String, DriveError> {
    if is_default(home, collection.id) {
        return Ok(DEFAULT_NAME.to_owned());
    }
    match description(keys, home, collection.id, collection.sealed_meta.as_slice()) {
        Err(DriveError::Key(_)) => Ok(collection.id.to_string()),
        described => Ok(described?.name),
    }
}

pub(crate) fn description(
    keys: &CollectionKeys,
    home: TenantId,
    collection: CollectionId,
    sealed: &[u8],
) -> Result<Described, DriveError> {
    let sealed = Sealed::parse(sealed.to_vec())?;
    let place = place::content(home, collection, 0);
    let json = keys.newest().item_key(&META).open(&sealed, &place)?;
    let described: Described = serde_json::from_slice(&json).map_err(|_| DriveError::Description)?;
    if described.v == DESCRIPTION_VERSION { Ok(described) } else { Err(DriveError::Description) }
}

pub(crate) fn sealed_description(
    keys: &CollectionKeys,
    home: TenantId,
    collection: CollectionId,
    name: &str,
) -> Vec<u8> {
    let described = Described { v: DESCRIPTION_VERSION, name: name.to_owned() };
    let json = serde_json::to_vec(&described).unwrap_or_default();
    let place = place::content(home, collection, 0);
    keys.newest().item_key(&META).seal(&json, &place, &mut SystemRng).into_bytes()
}

/// Whether this is the collection of a home's own files. After it was deleted another takes its place.
pub(crate) fn is_default(home: TenantId, id: CollectionId) -> bool {
    (0..MAX_COLLECTIONS).any(|earlier| place::files_collection(home, earlier) == id)
}

/// What the collection's own description is sealed as: no file's item has this id.
const META: keyring::ItemId = keyring::ItemId::from_bytes([0; 16]);
const DESCRIPTION_VERSION: u32 = 1;
/// What the account's own files are called.
pub const DEFAULT_NAME: &str = "Files";
const KIND: &str = "files";
/// How many versions before the current one a new collection of files keeps.
const KEPT_VERSIONS: u32 = 10;
const MAX_NAME: usize = 64;
/// So often somebody may delete the whole collection.
pub(super) const MAX_COLLECTIONS: u32 = 100;
