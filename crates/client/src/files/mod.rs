// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files: a collection of kind `files`, an item a file. Every account has one, and may have others of any name.
//!
//! The item's id follows from the file's name and the collection's key, so a name is found with one request, and means nothing
//! to the server. The item's sealed content ([`Content`]) says what the file is called, how long it is and when it was
//! changed; up to 64 KiB it holds the bytes too, in one request. Longer files are sealed by chunks
//! ([`keyring::file`]) and sent in parts, a few at a time; an upload that broke off goes on where it was.
//!
//! In a collection that was shared, each file is signed by who wrote it ([`keyring::authorship`]).
//!
//! Folders are parts of names: an empty one is not kept, and a file and a folder cannot have one name ([`NameTaken`]). What the server can see of a file is its sealed
//! size, and when it changes.

#[cfg(target_family = "wasm")]
mod browser;
pub(crate) mod collection;
mod content;
mod cutter;
pub(crate) mod disk;
mod download;
mod names;
mod path;
mod repeated;
#[cfg(not(target_family = "wasm"))]
mod sync;
mod tree;
mod upload;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use keyring::{Authorship, CollectionKeys, Sealed, SystemRng};
use protocol::objects::{Item, PutItem};
use protocol::sharing::{Permission, Share};
use protocol::{Code, CollectionId, ItemId, TenantId, UploadId};
use reqwest::StatusCode;

use crate::client::objects::Expected;
use crate::client::opened::{Opened, authorship_place};
use crate::client::{RequestError, is_status};
use crate::place;
use crate::sharing::{KnownAccount, SharingError};
use crate::trust::Trust;

#[cfg(target_family = "wasm")]
pub use browser::Source as FileSource;
use collection::Source;
pub use collection::{
    CollectionName, DEFAULT_NAME, NamedCollection, NotAName, collections, create_collection,
    rename_collection,
};
pub(crate) use collection::{OpenCollection, open_keys};
pub use content::{Content, MAX_INLINE, StoredFile};
pub use download::{GetError, Got, Overwrite, Sink};
pub(crate) use download::{open_span, opener, spans, target_within};
pub use names::Names;
pub use path::{NameTaken, PathError, RemotePath};
pub(crate) use path::{check_free, is_folder};
#[cfg(not(target_family = "wasm"))]
pub use sync::{LeftOut, SyncConflict, SyncError, SyncOptions, SyncReport, SyncState};
pub use tree::{LocalFile, Tree};
pub use upload::{Put, PutError, Resume};
pub use versions::{FileVersion, RevertError};

/// Told of bytes that were moved.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Files of an account: its own, those of a collection that it named, or what somebody shares with it.
pub struct Drive {
    account: Opened,
    source: Source,
    trust: Arc<Trust>,
    collection: RwLock<Option<Arc<OpenCollection>>>,
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
    /// Whether another version has taken its place.
    pub(crate) is_earlier: bool,
    /// The number of the change that stored it: by that its key is found.
    pub(crate) sequence: u64,
    /// Who wrote it, by their proven word: the account's number. Nobody is named in a collection that was never shared.
    pub author: Option<String>,
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
        let account = account.into();
        let trust = Arc::new(Trust::at_first_sight(&account.client));
        Self::open_files(account, trust).await
    }

    /// The same, believing what `trust` believes.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn open_files(account: impl Into<Opened>, trust: Arc<Trust>) -> Result<Self, DriveError> {
        Self::opened_by(account.into(), trust, Source::Files, None).await
    }

    /// Opens a collection of files that the account named.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn open_named(
        account: impl Into<Opened>,
        trust: Arc<Trust>,
        collection: CollectionId,
    ) -> Result<Self, DriveError> {
        Self::opened_by(account.into(), trust, Source::Named(collection), None).await
    }

    /// Opens a collection of files that somebody shares.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn open_shared(
        account: impl Into<Opened>,
        trust: Arc<Trust>,
        share: Share,
        owner: Arc<KnownAccount>,
    ) -> Result<Self, DriveError> {
        let account = account.into();
        let client = account.client.within(share.home);
        let account = Opened { client, home: share.home, ..account };
        Self::opened_by(account, trust, Source::Shared(Box::new(share)), Some(owner)).await
    }

    async fn opened_by(
        account: Opened,
        trust: Arc<Trust>,
        source: Source,
        owner: Option<Arc<KnownAccount>>,
    ) -> Result<Self, DriveError> {
        let open = source.load(&account, &trust, owner).await?;
        Ok(Drive { account, source, trust, collection: RwLock::new(open.map(Arc::new)) })
    }

    /// Reads the collection anew: somebody gave it another key.
    pub(crate) async fn reload(&self) -> Result<(), DriveError> {
        let open = self.source.load(&self.account, &self.trust, None).await?;
        *self.collection.write().unwrap_or_else(PoisonError::into_inner) = open.map(Arc::new);
        Ok(())
    }

    /// The collection, once there is one.
    pub fn collection(&self) -> Option<CollectionId> {
        self.current().map(|collection| collection.id)
    }

    /// What the collection is called, once there is one.
    pub fn name(&self) -> Option<String> {
        self.current().map(|collection| collection.name.clone())
    }

    /// Whether these are the account's own files, and not those of another collection.
    pub fn is_default(&self) -> bool {
        matches!(self.source, Source::Files)
    }

    /// Whether somebody else shares these files.
    pub fn is_shared(&self) -> bool {
        matches!(self.source, Source::Shared(_))
    }

    /// Whether files may be changed here.
    pub fn is_writable(&self) -> bool {
        self.current().is_none_or(|open| open.permission == Permission::Write)
    }

    pub(crate) fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    pub(crate) fn current(&self) -> Option<Arc<OpenCollection>> {
        self.collection.read().unwrap_or_else(PoisonError::into_inner).clone()
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
        let Some(mut open) = self.current() else { return Ok(()) };
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
            open = self.open_for(open, &page.items).await?;
            for item in page.items {
                if item.deleted {
                    index.files.retain(|_, entry| entry.item != item.id);
                    index.removed.insert(item.id, item.version);
                    continue;
                }
                index.removed.remove(&item.id);
                match self.open_item(&open, &item).await? {
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

    /// The collection with the keys of these items: read anew when one of them may have been written under a key that came since.
    async fn open_for(
        &self,
        open: Arc<OpenCollection>,
        items: &[Item],
    ) -> Result<Arc<OpenCollection>, DriveError> {
        let is_later = items.iter().any(|item| {
            let is_newest = std::ptr::eq(open.keys.at(item.sequence), open.keys.newest());
            item.sequence > open.sequence && !item.deleted && is_newest && !self.opens(&open, item)
        });
        if is_later {
            self.reload().await?;
            return self.opened();
        }
        Ok(open)
    }

    /// Whether an item's content opens, whatever it says.
    fn opens(&self, open: &OpenCollection, item: &Item) -> bool {
        let place = place::content(self.account.home, open.id, item.version);
        let key = open.keys.at(item.sequence).item_key(&place::item(item.id));
        Sealed::parse(item.sealed.as_slice().to_vec()).is_ok_and(|sealed| key.open(&sealed, &place).is_ok())
    }

    /// The file of this name; `None` when there is none.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn find_file(&self, path: &RemotePath) -> Result<Option<Entry>, DriveError> {
        let Some(open) = self.current() else { return Ok(None) };
        let id = place::item_id(open.keys.for_names().item_id_for_name(path.as_str()));
        let Some(item) = self.account.client.item(open.id, id).await? else { return Ok(None) };
        let open = self.open_for(open, std::slice::from_ref(&item)).await?;
        match self.open_item(&open, &item).await? {
            Ok(entry) => Ok(Some(entry)),
            Err(why) => Err(DriveError::Damaged(item.id, why)),
        }
    }

    /// Removes a file, if it is still this version.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn remove(&self, entry: &Entry) -> Result<(), DriveError> {
        let Some(open) = self.current() else { return Ok(()) };
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
        let mut open = self.opened()?;
        let item = open.keys.for_names().item_id_for_name(&content.path);
        let id = place::item_id(item);
        let content = content.to_bytes().map_err(|why| DriveError::Damaged(id, why))?;
        for _ in 0..MAX_TRIES {
            let version = match expected {
                Expected::Absent => 1,
                Expected::Version(version) => version.saturating_add(1),
            };
            let put = self.sealed(&open, item, version, &content, upload);
            match self.account.client.put_item(open.id, id, expected, &put).await {
                Ok(stored) if stored.version == version => return Ok(version),
                // A server of a release that did not know what it was sealed for: it has to be stored again.
                Ok(stored) => expected = Expected::Version(stored.version),
                Err(error) if error.is(Code::KeyOutdated) => {
                    self.reload().await?;
                    // What was uploaded is sealed under the old key: all of it comes again.
                    if upload.is_some() {
                        return Err(DriveError::KeyOutdated);
                    }
                    open = self.opened()?;
                }
                Err(error) if error.is(Code::Conflict) => match &error {
                    RequestError::Refused(problem) => match &problem.current {
                        // A removed item is not there: nobody's change is lost.
                        Some(current) if overwrite || (current.deleted && expected == Expected::Absent) => {
                            expected = Expected::Version(current.version);
                        }
                        _ => return Err(error.into()),
                    },
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(DriveError::Busy)
    }

    /// An item's content, sealed for a version of it, and signed where that is needed.
    fn sealed(
        &self,
        open: &OpenCollection,
        item: keyring::ItemId,
        version: u64,
        content: &[u8],
        upload: Option<UploadId>,
    ) -> PutItem {
        let home = self.account.home;
        let place = place::content(home, open.id, version);
        let sealed = open.keys.newest().item_key(&item).seal(content, &place, &mut SystemRng);
        let generation = open.keys.generation();
        let signature = (generation > 1 || self.is_shared())
            .then(|| self.account.signed(home, open.id, item, version, sealed.as_bytes()));
        PutItem { sealed: sealed.into_bytes().into(), generation, signature, upload, version: Some(version) }
    }

    /// Opens an item, and proves who wrote it where that has to be said.
    async fn open_item(
        &self,
        open: &OpenCollection,
        item: &Item,
    ) -> Result<Result<Entry, DamagedItem>, DriveError> {
        let mut entry = match open_item(&open.keys, self.account.home, open.id, item) {
            Ok(entry) => entry,
            Err(why) => return Ok(Err(why)),
        };
        if item.author.is_none() && !open.keys.is_signed(item.sequence) {
            return Ok(Ok(entry));
        }
        let Some(author) = &item.author else { return Ok(Err(DamagedItem::Unsigned)) };
        let mut known = self.trust.account_of(author.account).await;
        // It may have made new keys since it was looked up.
        if known.as_ref().is_ok_and(|known| known.key_version() < author.key_version) {
            known = self.trust.account_again(author.account).await;
        }
        let known = match known {
            Err(SharingError::Request(error)) if error.is(Code::NotFound) => {
                return Ok(Err(DamagedItem::Unsigned));
            }
            known => known?,
        };
        let place = place::item(item.id);
        let place = authorship_place(author.account, self.account.home, open.id, place, item.version);
        let is_signed = known.keys_of(author.key_version).is_some_and(|keys| {
            Authorship::from_bytes(author.signature.as_slice())
                .is_ok_and(|signature| signature.is_of(keys, item.sealed.as_slice(), &place))
        });
        if !is_signed {
            return Ok(Err(DamagedItem::Unsigned));
        }
        entry.author = Some(known.number.clone());
        Ok(Ok(entry))
    }

    pub(crate) fn opened(&self) -> Result<Arc<OpenCollection>, DriveError> {
        self.current().ok_or(DriveError::NoCollection)
    }

    /// The item that a file of this name is.
    fn item_of(&self, path: &RemotePath) -> Result<ItemId, DriveError> {
        Ok(place::item_id(self.opened()?.keys.for_names().item_id_for_name(path.as_str())))
    }

    /// Seals what this device keeps about the drive, names among it.
    fn seal_local(&self, bytes: &[u8]) -> Result<Vec<u8>, DriveError> {
        let open = self.opened()?;
        let place = place::content(self.account.home, open.id, 0);
        Ok(open.keys.newest().item_key(&LOCAL).seal(bytes, &place, &mut SystemRng).into_bytes())
    }

    fn open_local(&self, bytes: Vec<u8>) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        let open = self.opened().ok()?;
        let place = place::content(self.account.home, open.id, 0);
        let sealed = Sealed::parse(bytes).ok()?;
        open.keys.newest_first().find_map(|key| key.item_key(&LOCAL).open(&sealed, &place).ok())
    }

    /// Makes the collection if there is none.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn ensure(&mut self) -> Result<(), DriveError> {
        if self.current().is_some() {
            return Ok(());
        }
        // The id follows from the home. So of two devices that make the collection at the same moment one is refused, and
        // takes the other's: neither puts files where nobody looks. One that was deleted leaves its id behind.
        for earlier in 0..collection::MAX_COLLECTIONS {
            let id = place::files_collection(self.account.home, earlier);
            match collection::create(&self.account, id, DEFAULT_NAME).await {
                Ok(()) => {}
                Err(error) if error.is(Code::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            self.reload().await?;
            if self.current().is_some() {
                return Ok(());
            }
        }
        Err(DriveError::Busy)
    }
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Drive({:?})", self.collection())
    }
}

/// Opens an item as a file of the collection with these keys. Who wrote it is not looked at.
pub(crate) fn open_item(
    keys: &CollectionKeys,
    home: TenantId,
    collection: CollectionId,
    item: &Item,
) -> Result<Entry, DamagedItem> {
    let id = place::item(item.id);
    let sealed = Sealed::parse(item.sealed.as_slice().to_vec())?;
    let place = place::content(home, collection, item.version);
    let content = Content::from_bytes(&keys.at(item.sequence).item_key(&id).open(&sealed, &place)?)?;
    let path = RemotePath::stored(&content.path)?;
    if keys.for_names().item_id_for_name(path.as_str()) != id {
        return Err(DamagedItem::Name);
    }
    if content.file.as_ref().map(|file| file.id) != item.file.as_ref().map(|file| file.id) {
        return Err(DamagedItem::File);
    }
    let sealed_size = item.file.as_ref().map(|file| file.size);
    Ok(Entry {
        item: item.id,
        version: item.version,
        path,
        content,
        is_earlier: false,
        sequence: item.sequence,
        author: None,
        stored_at: item.changed_at,
        sealed_size,
    })
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
    /// What it is called cannot be read.
    #[error("the collection's description cannot be read: it was damaged, or written by a newer release")]
    Description,
    /// Somebody gave the collection another key meanwhile.
    #[error("the files have another key now, since somebody was let out: try again")]
    KeyOutdated,
    /// Who shares or wrote something is not to be believed.
    #[error(transparent)]
    Trust(Box<SharingError>),
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

impl From<SharingError> for DriveError {
    fn from(error: SharingError) -> Self {
        match error {
            SharingError::Request(error) => DriveError::Request(error),
            SharingError::Drive(error) => error,
            error => DriveError::Trust(Box::new(error)),
        }
    }
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
    /// Nobody is shown to have written it.
    #[error("nobody who is known signed it, and in a collection that was shared somebody must have")]
    Unsigned,
    /// Another sealed file belongs to it than it says.
    #[error("another sealed file was put in its place")]
    File,
}

/// As what a device seals what it keeps about the drive: no file's item has this id either.
const LOCAL: keyring::ItemId = keyring::ItemId::from_bytes([1; 16]);
/// Items of a page: at most 256 KiB each.
const PAGE: u32 = 200;
const MAX_TRIES: usize = 5;
