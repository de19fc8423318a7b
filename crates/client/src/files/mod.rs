// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An account's files: a collection of kind `files`, an item a file.
//!
//! The item's id follows from the file's name and the collection's key, so a name is found with one request, and means nothing
//! to the server. The item's sealed content ([`Content`]) says what the file is called, how long it is and when it was
//! changed; up to 64 KiB it holds the bytes too, in one request. Longer files are sealed by chunks
//! ([`keyring::file`]) and sent in parts, a few at a time; an upload that broke off goes on where it was.
//!
//! Folders are parts of names: an empty one is not kept, and a file and a folder cannot have one name ([`NameTaken`]). What the server can see of a file is its sealed
//! size, and when it changes.

mod content;
pub(crate) mod disk;
mod download;
mod names;
mod path;
mod repeated;
mod sync;
mod tree;
mod upload;

use std::collections::{BTreeMap, HashMap};

use keyring::{CollectionKey, Sealed, SystemRng};
use protocol::objects::{Collection, Item, NewCollection, PutItem};
use protocol::{Code, CollectionId, ItemId, UploadId};
use reqwest::StatusCode;

use crate::client::objects::Expected;
use crate::client::opened::Opened;
use crate::client::{RequestError, is_status};
use crate::place;

pub use content::{Content, MAX_INLINE, StoredFile};
pub use download::{GetError, Got, Overwrite, Sink};
pub(crate) use download::{open_span, opener, spans, target_within};
pub use names::Names;
pub use path::{NameTaken, PathError, RemotePath};
pub(crate) use path::{check_free, is_folder};
pub use sync::{LeftOut, SyncConflict, SyncError, SyncOptions, SyncReport, SyncState};
pub use tree::{LocalFile, Tree};
pub use upload::{Put, PutError, Resume};

/// Told of bytes that were moved.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// An account's files.
pub struct Drive {
    account: Opened,
    collection: Option<OpenCollection>,
}

/// A collection whose key is at hand.
struct OpenCollection {
    id: CollectionId,
    key: CollectionKey,
}

/// A file of a drive.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its item.
    pub item: ItemId,
    /// The item's version.
    pub version: u64,
    /// Its name.
    pub path: RemotePath,
    /// What it is.
    pub content: Content,
    /// When it was stored, in Unix milliseconds, as the server says.
    pub stored_at: i64,
    /// The size of its sealed file, if it has one.
    pub sealed_size: Option<u64>,
}

/// All files of a drive at one moment.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// The files, by name.
    pub files: BTreeMap<RemotePath, Entry>,
    /// Versions of removed files, by item.
    pub removed: HashMap<ItemId, u64>,
    /// Items that do not open as what they should be, and why.
    pub damaged: Vec<(ItemId, DamagedItem)>,
    /// The sequence that this is the state at.
    pub sequence: u64,
}

impl Drive {
    /// Opens the account's files. The collection is made when the first file is put into it.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn open(account: impl Into<Opened>) -> Result<Self, DriveError> {
        let mut drive = Drive { account: account.into(), collection: None };
        drive.find().await?;
        Ok(drive)
    }

    /// A collection whose key is known, such as one that somebody shares.
    pub(crate) fn of(account: Opened, id: CollectionId, key: CollectionKey) -> Self {
        Drive { account, collection: Some(OpenCollection { id, key }) }
    }

    /// The key of this collection, if it is the drive's.
    pub(crate) fn key_of(&self, collection: CollectionId) -> Option<&CollectionKey> {
        self.collection.as_ref().filter(|open| open.id == collection).map(|open| &open.key)
    }

    /// The collection, once there is one.
    pub fn collection(&self) -> Option<CollectionId> {
        self.collection.as_ref().map(|collection| collection.id)
    }

    /// The account whose files these are.
    pub fn account(&self) -> &Opened {
        &self.account
    }

    /// All files, by name.
    ///
    /// # Errors
    /// [`DriveError`]; an item that does not open is one too.
    pub async fn list(&self) -> Result<Vec<Entry>, DriveError> {
        let index = self.index().await?;
        match index.damaged.first() {
            Some((item, why)) => Err(DriveError::Damaged(*item, why.clone())),
            None => Ok(index.files.into_values().collect()),
        }
    }

    /// All files, and what is left of others.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn index(&self) -> Result<Index, DriveError> {
        let mut index = Index::default();
        self.refresh(&mut index).await?;
        Ok(index)
    }

    /// Brings an index up to what the server has now.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn refresh(&self, index: &mut Index) -> Result<(), DriveError> {
        let Some(open) = &self.collection else { return Ok(()) };
        let mut anew = index.sequence == 0;
        loop {
            let page = match self.account.client.changes(open.id, index.sequence, anew, PAGE).await {
                // What was removed that long ago the server has forgotten: from the beginning.
                Err(error) if is_status(&error, StatusCode::GONE) && !anew => {
                    anew = true;
                    *index = Index::default();
                    continue;
                }
                page => page?,
            };
            for item in page.items {
                if item.deleted {
                    index.files.retain(|_, entry| entry.item != item.id);
                    index.removed.insert(item.id, item.version);
                    continue;
                }
                index.removed.remove(&item.id);
                match self.open_item(open, &item) {
                    Ok(entry) => {
                        index.files.insert(entry.path.clone(), entry);
                    }
                    Err(why) => index.damaged.push((item.id, why)),
                }
            }
            let went_on = page.next > index.sequence;
            index.sequence = index.sequence.max(page.next);
            if !page.more || !went_on {
                return Ok(());
            }
        }
    }

    /// The file of this name; `None` when there is none.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn find_file(&self, path: &RemotePath) -> Result<Option<Entry>, DriveError> {
        let Some(open) = &self.collection else { return Ok(None) };
        let id = place::item_id(open.key.item_id_for_name(path.as_str()));
        match self.account.client.item(open.id, id).await? {
            Some(item) => {
                let entry = self.open_item(open, &item).map_err(|why| DriveError::Damaged(item.id, why))?;
                Ok(Some(entry))
            }
            None => Ok(None),
        }
    }

    /// Removes a file, if it is still this version.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn remove(&self, entry: &Entry) -> Result<(), DriveError> {
        let Some(open) = &self.collection else { return Ok(()) };
        Ok(self.account.client.delete_item(open.id, entry.item, entry.version).await?)
    }

    /// Seals a description of a file and stores it as the item's next version.
    async fn store(
        &self,
        content: &Content,
        mut expected: Expected,
        upload: Option<UploadId>,
        overwrite: bool,
    ) -> Result<u64, DriveError> {
        let open = self.opened()?;
        let item = open.key.item_id_for_name(&content.path);
        let (key, id) = (open.key.item_key(&item), place::item_id(item));
        let content = content.to_bytes().map_err(|why| DriveError::Damaged(id, why))?;
        for _ in 0..MAX_TRIES {
            let version = match expected {
                Expected::Absent => 1,
                Expected::Version(version) => version.saturating_add(1),
            };
            let place = place::content(self.account.home, open.id, version);
            let sealed = key.seal(&content, &place, &mut SystemRng).into_bytes().into();
            let put = PutItem { sealed, upload };
            match self.account.client.put_item(open.id, id, expected, &put).await {
                Ok(stored) if stored.version == version => return Ok(version),
                // It took a removed item's place, whose versions go on: sealed for another, it has to be stored again.
                Ok(stored) => expected = Expected::Version(stored.version),
                Err(error) if overwrite && error.is(Code::Conflict) => match &error {
                    RequestError::Refused(problem) => match &problem.current {
                        Some(current) => expected = Expected::Version(current.version),
                        None => return Err(error.into()),
                    },
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(DriveError::Busy)
    }

    fn open_item(&self, open: &OpenCollection, item: &Item) -> Result<Entry, DamagedItem> {
        let place = place::content(self.account.home, open.id, item.version);
        open_item(&open.key, &place, item)
    }

    fn opened(&self) -> Result<&OpenCollection, DriveError> {
        self.collection.as_ref().ok_or(DriveError::NoCollection)
    }

    /// The item that a file of this name is.
    fn item_of(&self, path: &RemotePath) -> Result<ItemId, DriveError> {
        Ok(place::item_id(self.opened()?.key.item_id_for_name(path.as_str())))
    }

    /// Seals what this device keeps about the drive, names among it.
    fn seal_local(&self, bytes: &[u8]) -> Result<Vec<u8>, DriveError> {
        let open = self.opened()?;
        let place = place::content(self.account.home, open.id, 0);
        Ok(open.key.item_key(&LOCAL).seal(bytes, &place, &mut SystemRng).into_bytes())
    }

    fn open_local(&self, bytes: Vec<u8>) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        let open = self.opened().ok()?;
        let place = place::content(self.account.home, open.id, 0);
        open.key.item_key(&LOCAL).open(&Sealed::parse(bytes).ok()?, &place).ok()
    }

    /// Makes the collection if there is none.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn ensure(&mut self) -> Result<(), DriveError> {
        if self.collection.is_some() {
            return Ok(());
        }
        // The id follows from the home. So of two devices that make the collection at the same moment one is refused, and
        // takes the other's: neither puts files where nobody looks. One that was deleted leaves its id behind.
        for earlier in 0..MAX_COLLECTIONS {
            match self.create(place::files_collection(self.account.home, earlier)).await {
                Ok(()) => {}
                Err(error) if error.is(Code::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            self.find().await?;
            if self.collection.is_some() {
                return Ok(());
            }
        }
        Err(DriveError::Busy)
    }

    async fn create(&self, id: CollectionId) -> Result<(), RequestError> {
        let key = CollectionKey::generate(&mut SystemRng);
        let place = place::collection_key(self.account.account, id, 1);
        let sealed_key = key.seal(&self.account.key, &place, &mut SystemRng);
        let place = place::content(self.account.home, id, 0);
        let sealed_meta = key.item_key(&META).seal(DESCRIPTION, &place, &mut SystemRng);
        let new = NewCollection {
            id,
            kind: KIND.to_owned(),
            sealed_key: sealed_key.into_bytes().into(),
            sealed_meta: sealed_meta.into_bytes().into(),
        };
        self.account.client.create_collection(&new).await?;
        Ok(())
    }

    async fn find(&mut self) -> Result<(), DriveError> {
        let mut candidates: Vec<Collection> = self.account.client.collections().await?;
        candidates.retain(|collection| collection.kind == KIND);
        candidates.sort_by_key(|collection| (collection.created_at, collection.id));
        let Some(collection) = candidates.into_iter().next() else { return Ok(()) };
        let sealed = Sealed::parse(collection.sealed_key.into_vec())?;
        let place = place::collection_key(self.account.account, collection.id, collection.key_version);
        let key = CollectionKey::open(&self.account.key, &sealed, &place)?;
        self.collection = Some(OpenCollection { id: collection.id, key });
        Ok(())
    }
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Drive({:?})", self.collection())
    }
}

/// Opens an item as a file of the collection with this key.
pub(crate) fn open_item(
    key: &CollectionKey,
    place: &keyring::ItemPlace,
    item: &Item,
) -> Result<Entry, DamagedItem> {
    let id = place::item(item.id);
    let sealed = Sealed::parse(item.sealed.as_slice().to_vec())?;
    let content = Content::from_bytes(&key.item_key(&id).open(&sealed, place)?)?;
    let path = RemotePath::stored(&content.path)?;
    if key.item_id_for_name(path.as_str()) != id {
        return Err(DamagedItem::Name);
    }
    if content.file.as_ref().map(|file| file.id) != item.file.as_ref().map(|file| file.id) {
        return Err(DamagedItem::File);
    }
    let sealed_size = item.file.as_ref().map(|file| file.size);
    Ok(Entry { item: item.id, version: item.version, path, content, stored_at: item.changed_at, sealed_size })
}

/// Why an account's files cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The collection's key does not open.
    #[error("the key of the files does not open: {0}")]
    Key(#[from] keyring::OpenError),
    /// An item does not open as the file that it should be.
    #[error("{0} was changed or damaged: {1}")]
    Damaged(ItemId, DamagedItem),
    /// Others keep changing the file.
    #[error("the file is being changed by others all the time; try again")]
    Busy,
    /// There is nothing yet.
    #[error("nothing was put yet")]
    NoCollection,
}

/// What is wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamagedItem {
    /// It does not open under its collection's key, in this place and version.
    #[error(transparent)]
    Sealed(#[from] keyring::OpenError),
    /// It was written by a newer release.
    #[error("it was written by a newer release (version {0}): update this program")]
    Version(u32),
    /// What is in it is not a file's description.
    #[error("it does not describe a file")]
    Format,
    /// Its name is not one.
    #[error("its name is not acceptable: {0}")]
    Path(#[from] PathError),
    /// It lies under another name's id.
    #[error("it lies in another file's place")]
    Name,
    /// Another sealed file belongs to it than it says.
    #[error("another sealed file was put in its place")]
    File,
}

/// What the collection's own description is sealed as: no file's item has this id.
const META: keyring::ItemId = keyring::ItemId::from_bytes([0; 16]);
/// As what a device seals what it keeps about the drive: no file's item has this id either.
const LOCAL: keyring::ItemId = keyring::ItemId::from_bytes([1; 16]);
const DESCRIPTION: &[u8] = br#"{"v":1,"name":"Files"}"#;
const KIND: &str = "files";
/// Items of a page: at most 256 KiB each.
const PAGE: u32 = 200;
const MAX_TRIES: usize = 5;
/// So often somebody may delete the whole collection.
const MAX_COLLECTIONS: u32 = 100;
