// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Verifying the history of an export, and opening its files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use keyring::{CollectionKeys, MasterKey, SealedMasterKey};
use protocol::log::LogEntry;
use protocol::objects::{Collection, Item};
use protocol::{CollectionId, UploadId};
use serde::Serialize;
use zeroize::Zeroizing;

use super::lines::{read_json, read_lines};
use super::{
    COLLECTIONS, ExportError, ExportKey, MANIFEST, Manifest, RECORDS, Unreadable, VERSION, VERSIONS,
};
use crate::files::disk::NewFile;
use crate::files::{CollectionName, Entry, GetError, Progress, is_folder};
use crate::pins::Pins;
use crate::place;
use crate::verify::{Age, Check, LogIdentity, Verified, VerifyError, add_leaves};

/// An export that is at hand.
#[derive(Debug)]
pub struct Export {
    pub(super) folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Export {
    /// Opens the export in `folder`.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn at(folder: &Path) -> Result<Self, ExportError> {
        let manifest: Manifest = read_json(&folder.join(MANIFEST))?;
        if manifest.version != VERSION {
            return Err(ExportError::Version(manifest.version));
        }
        Ok(Export { folder: folder.to_owned(), manifest })
    }

    /// The log that it carries, as it says itself: whoever made the export may have made the key.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn log(&self) -> Result<LogIdentity, VerifyError> {
        let manifest = &self.manifest;
        LogIdentity::of_tenant(&manifest.log_origin, &manifest.log_public_key, manifest.home)
    }

    /// Verifies the history that it carries.
    ///
    /// # Errors
    /// [`ExportError`] when it cannot be verified; what is wrong with it is in [`Verified`].
    pub fn verify(&self, log: &LogIdentity, pins: &Pins) -> Result<Verified, ExportError> {
        let root = self.folder.join("log");
        let path = root.join("checkpoint");
        let note = fs::read_to_string(&path).map_err(|error| ExportError::Local(path, error))?;
        let mut check = Check::new(log, note, pins, Age::Any);
        for (index, tile) in check.tiles(0, check.size) {
            let nodes = fs::read(root.join(tile.to_string())).ok().and_then(|bytes| tile.decode(&bytes).ok());
            check.nodes.insert(index, nodes.unwrap_or_default());
        }
        let mut page: Vec<LogEntry> = Vec::new();
        let mut records = read_lines::<LogEntry>(&root.join(RECORDS))?.peekable();
        let mut from = 0;
        while from < check.size {
            let to = check.size.min(from + 256);
            // What is out of its order ends up with the page that it follows, and is found there.
            while let Some(entry) =
                records.next_if(|entry| entry.as_ref().map_or(true, |entry| entry.number < to))
            {
                page.push(entry?);
            }
            let mut leaves = BTreeMap::new();
            for tile in check.leaf_tiles(from, to) {
                add_leaves(&mut leaves, tile, &fs::read(root.join(tile.to_string())).unwrap_or_default());
            }
            check.push(&page, leaves);
            page.clear();
            from = to;
        }
        Ok(check.finish())
    }

    /// Opens everything that is a file, and writes it to below `target`. What does not open is noted, and the others are
    /// opened all the same.
    ///
    /// # Errors
    /// [`ExportError`]: the key is not this export's, or `target` cannot be written.
    pub fn open(
        &self,
        key: &ExportKey,
        target: &Path,
        progress: Progress<'_>,
    ) -> Result<Opened, ExportError> {
        let master = self.master_key(key)?;
        fs::create_dir_all(target).map_err(|error| ExportError::Local(target.to_owned(), error))?;
        let mut opened = Opened::default();
        for collection in read_lines::<Collection>(&self.folder.join(COLLECTIONS))? {
            let collection = match collection {
                Ok(collection) if collection.kind != "files" => continue,
                Ok(collection) => collection,
                Err(error) => {
                    opened.unreadable.push(Unreadable::new(COLLECTIONS, error));
                    continue;
                }
            };
            match self.open_collection(&master, &collection) {
                Ok((keys, items)) => {
                    let items: Vec<_> = items.collect();
                    let target = self.target_of(&keys, &collection, target);
                    std::fs::create_dir_all(&target)
                        .map_err(|error| ExportError::Local(target.clone(), error))?;
                    self.open_items(&keys, &collection, items, &target, &mut opened, progress)?;
                    self.open_versions(&keys, &collection, &target, &mut opened, progress)?;
                }
                Err(error) => opened.unreadable.push(Unreadable::new(collection.id, error)),
            }
        }
        Ok(opened)
    }

    /// The account's own files lie at the top; other collections lie beside, each in a folder of its name.
    fn target_of(&self, keys: &CollectionKeys, collection: &Collection, target: &Path) -> PathBuf {
        let home = self.manifest.home;
        if crate::files::collection::is_default(home, collection.id) {
            return target.to_owned();
        }
        let meta = collection.sealed_meta.as_slice();
        let name = crate::files::collection::description(keys, home, collection.id, meta)
            .ok()
            .and_then(|described| described.name.parse::<CollectionName>().ok());
        let name = name.map_or_else(|| collection.id.to_string(), |name| name.to_string());
        target.join(format!("{name} (collection)"))
    }

    fn open_items(
        &self,
        keys: &CollectionKeys,
        collection: &Collection,
        items: Vec<Result<Item, ExportError>>,
        target: &Path,
        opened: &mut Opened,
        progress: Progress<'_>,
    ) -> Result<(), ExportError> {
        let mut entries = BTreeMap::new();
        for item in items {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    opened.unreadable.push(Unreadable::new(format!("items of {}", collection.id), error));
                    continue;
                }
            };
            match crate::files::open_item(keys, self.manifest.home, collection.id, &item) {
                Ok(entry) => {
                    entries.insert(entry.path.clone(), entry);
                }
                Err(why) => opened.unreadable.push(Unreadable::new(item.id, why)),
            }
        }
        for entry in entries.values() {
            // Early releases kept a file and a folder of one name. No disk can: the file stands beside.
            let beside = if is_folder(&entries, &entry.path) { " (file)" } else { "" };
            match self.open_file(keys, entry, target, beside, progress) {
                Ok(()) => opened.files += 1,
                Err(ExportError::Local(path, error)) if error.kind() == io::ErrorKind::StorageFull => {
                    return Err(ExportError::Local(path, error));
                }
                Err(error) => opened.unreadable.push(Unreadable::new(&entry.path, error)),
            }
        }
        Ok(())
    }

    /// Versions that were replaced lie in a folder of their own, each with its number.
    fn open_versions(
        &self,
        keys: &CollectionKeys,
        collection: &Collection,
        target: &Path,
        opened: &mut Opened,
        progress: Progress<'_>,
    ) -> Result<(), ExportError> {
        let path = self.folder.join(VERSIONS).join(format!("{}.ndjson", collection.id));
        if !path.exists() {
            return Ok(());
        }
        let target = target.join("(earlier versions)");
        for item in read_lines::<Item>(&path)? {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    opened.unreadable.push(Unreadable::new(format!("versions of {}", collection.id), error));
                    continue;
                }
            };
            let entry = match crate::files::open_item(keys, self.manifest.home, collection.id, &item) {
                Ok(entry) => entry,
                Err(why) => {
                    opened.unreadable.push(Unreadable::new(item.id, why));
                    continue;
                }
            };
            let beside = format!(" (version {})", entry.version);
            let written =
                fs::create_dir_all(&target).map_err(|error| ExportError::Local(target.clone(), error));
            match written.and_then(|()| self.open_file(keys, &entry, &target, &beside, progress)) {
                Ok(()) => opened.versions += 1,
                Err(ExportError::Local(path, error)) if error.kind() == io::ErrorKind::StorageFull => {
                    return Err(ExportError::Local(path, error));
                }
                Err(error) => opened.unreadable.push(Unreadable::new(&entry.path, error)),
            }
        }
        Ok(())
    }

    /// A collection's keys, and its items.
    pub(super) fn open_collection(
        &self,
        master: &MasterKey,
        collection: &Collection,
    ) -> Result<(CollectionKeys, impl Iterator<Item = Result<Item, ExportError>> + use<>), ExportError> {
        let (account, home) = (self.manifest.account, self.manifest.home);
        let keys = crate::files::open_keys(&master.account_key(), account, home, collection)
            .map_err(ExportError::DoesNotOpen)?;
        Ok((keys, self.items(collection.id)?))
    }

    /// The items of a collection, sealed.
    pub(super) fn items(
        &self,
        collection: CollectionId,
    ) -> Result<impl Iterator<Item = Result<Item, ExportError>> + use<>, ExportError> {
        read_lines::<Item>(&self.folder.join("items").join(format!("{collection}.ndjson")))
    }

    pub(super) fn master_key(&self, key: &ExportKey) -> Result<MasterKey, ExportError> {
        let manifest = &self.manifest;
        let sealed = SealedMasterKey::parse(manifest.sealed_master_key.as_slice())
            .map_err(ExportError::DoesNotOpen)?;
        let place = place::master_key(manifest.account, manifest.method, manifest.master_key_version);
        sealed.open(&key.secret()?.key_pair(), &place).map_err(ExportError::DoesNotOpen)
    }

    fn open_file(
        &self,
        keys: &CollectionKeys,
        entry: &Entry,
        target: &Path,
        beside: &str,
        progress: Progress<'_>,
    ) -> Result<(), ExportError> {
        let target = crate::files::target_within(target, &format!("{}{beside}", entry.path))?;
        let failed = |error| ExportError::Local(target.clone(), error);
        if fs::symlink_metadata(&target).is_ok() {
            return Err(GetError::Exists(target).into());
        }
        let mut new = NewFile::create(&target).map_err(failed)?;
        self.write_file(keys, entry, &mut new)?;
        progress(entry.content.size);
        new.finish(entry.content.mode.or(Some(0o600)), entry.content.modified_ms).map_err(failed)
    }

    /// Gives the bytes of a file to `sink`.
    pub(super) fn write_file(
        &self,
        keys: &CollectionKeys,
        entry: &Entry,
        sink: &mut dyn Write,
    ) -> Result<(), ExportError> {
        if let Some(data) = &entry.content.data {
            return Ok(sink.write_all(data.as_slice()).map_err(GetError::Write)?);
        }
        let Some(file) = &entry.content.file else { return Ok(()) };
        let key = keys.at(entry.sequence).item_key(&place::item(entry.item));
        let opener = crate::files::opener(&key, entry)?;
        let path = self.file(file.id);
        let mut sealed = File::open(&path).map_err(|error| ExportError::Local(path.clone(), error))?;
        let mut bytes = Zeroizing::new(Vec::new());
        for span in crate::files::spans(&opener) {
            bytes.resize(usize::try_from(span.sealed.end - span.sealed.start).unwrap_or_default(), 0);
            sealed
                .seek(SeekFrom::Start(span.sealed.start))
                .and_then(|_| sealed.read_exact(&mut bytes))
                .map_err(|error| ExportError::Local(path.clone(), error))?;
            crate::files::open_span(&opener, &span, &mut bytes, sink)?;
        }
        Ok(())
    }

    /// Where the sealed bytes of a file are.
    pub(super) fn file(&self, upload: UploadId) -> PathBuf {
        self.folder.join("files").join(upload.to_string())
    }
}

/// What opening an export came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Opened {
    /// How many files were written.
    pub files: u64,
    /// How many earlier versions of them were.
    pub versions: u64,
    /// What does not open, or could not be written.
    pub unreadable: Vec<Unreadable>,
}
