// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether everything is in an export that should be, and opens.
//!
//! The history says which items were written and which were deleted, and how often: an item that it knows of and that is
//! not there, or is older than the history, is found without any key. With the export's key every item and every file is
//! opened, to its last chunk, and held against the hash that its owner sealed with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Write};

use keyring::{CollectionKeys, MasterKey, Sealed};
use protocol::ItemId;
use protocol::log::LogEntry;
use protocol::objects::{Collection, Item};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::lines::read_lines;
use super::read::Export;
use super::{COLLECTIONS, ExportError, ExportKey, RECORDS};
use crate::files::disk;
use crate::place;

/// What was checked of an export's contents, and what is wrong with them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Contents {
    /// Collections.
    pub collections: u64,
    /// Items.
    pub items: u64,
    /// Sealed files of items: contents over 256 KiB.
    pub blobs: u64,
    /// Whether everything was opened: without the key only its presence and its size are checked.
    pub opened: bool,
    /// How many records of the history were held against the items. `None` when the history does not tell, since a
    /// collection was deleted.
    pub history: Option<u64>,
    /// What is wrong.
    pub findings: Vec<ContentFinding>,
    #[serde(skip)]
    versions: BTreeMap<ItemId, u64>,
}

/// One thing that is wrong with an export's contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContentFinding {
    /// `missing`, `outdated`, `wrong_size`, `unreadable`.
    pub kind: &'static str,
    /// The file's name where it is known, otherwise the item or the file of the export.
    pub what: String,
    /// The same in words.
    pub text: String,
}

impl fmt::Display for ContentFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.text.contains(&self.what) {
            write!(f, "{}: ", self.what)?;
        }
        f.write_str(&self.text)
    }
}

impl Contents {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn found(&mut self, kind: &'static str, what: impl ToString, text: impl ToString) {
        self.findings.push(ContentFinding { kind, what: what.to_string(), text: text.to_string() });
    }
}

impl Export {
    /// Checks that every item and every file is there, and with the key that they open.
    ///
    /// # Errors
    /// [`ExportError`]: the key is not this export's, or the export cannot be read at all.
    pub fn check_contents(&self, key: Option<&ExportKey>) -> Result<Contents, ExportError> {
        let master = key.map(|key| self.master_key(key)).transpose()?;
        let mut contents = Contents { opened: master.is_some(), ..Contents::default() };
        for collection in read_lines::<Collection>(&self.folder.join(COLLECTIONS))? {
            match collection {
                Ok(collection) => self.check_collection(master.as_ref(), &collection, &mut contents),
                Err(error) => contents.found("unreadable", COLLECTIONS, error),
            }
        }
        self.check_history(&mut contents)?;
        Ok(contents)
    }

    fn check_collection(&self, master: Option<&MasterKey>, collection: &Collection, contents: &mut Contents) {
        contents.collections += 1;
        let keys = match master.map(|master| self.open_collection(master, collection)) {
            Some(Ok((keys, _))) => Some(keys),
            Some(Err(error)) => return contents.found("unreadable", collection.id, error),
            None => None,
        };
        let items = match self.items(collection.id) {
            Ok(items) => items,
            Err(error) => return contents.found("missing", collection.id, error),
        };
        for item in items {
            match item {
                Ok(item) => self.check_item(keys.as_ref(), collection, &item, contents),
                Err(error) => contents.found("unreadable", collection.id, error),
            }
        }
    }

    fn check_item(
        &self,
        keys: Option<&CollectionKeys>,
        collection: &Collection,
        item: &Item,
        contents: &mut Contents,
    ) {
        contents.items += 1;
        contents.versions.insert(item.id, item.version);
        if let Some(file) = &item.file {
            contents.blobs += 1;
            let path = self.file(file.id);
            match fs::metadata(&path) {
                Ok(found) if found.len() == file.size => {}
                Ok(found) => {
                    let text = format!("{} has {} bytes, not {}", path.display(), found.len(), file.size);
                    return contents.found("wrong_size", item.id, text);
                }
                Err(error) => {
                    let text = format!("{}: {}", path.display(), disk::said(&error));
                    return contents.found("missing", item.id, text);
                }
            }
        }
        let Some(keys) = keys else {
            if let Err(error) = Sealed::parse(item.sealed.as_slice().to_vec()) {
                contents.found("unreadable", item.id, error);
            }
            return;
        };
        if collection.kind == "files" {
            match crate::files::open_item(keys, self.manifest.home, collection.id, item) {
                Ok(entry) => {
                    let mut hash = Hashing(Sha256::new());
                    match self.write_file(keys, &entry, &mut hash) {
                        Err(error) => contents.found("unreadable", &entry.path, error),
                        Ok(()) if hash.0.finalize().as_slice() == entry.content.sha256.as_slice() => {}
                        Ok(()) => {
                            contents.found(
                                "unreadable",
                                &entry.path,
                                "its bytes are not those that were put",
                            );
                        }
                    }
                }
                Err(why) => contents.found("unreadable", item.id, why),
            }
        } else {
            let place = place::content(self.manifest.home, collection.id, item.version);
            let key = keys.at(item.sequence);
            let opened = Sealed::parse(item.sealed.as_slice().to_vec())
                .and_then(|sealed| key.item_key(&place::item(item.id)).open(&sealed, &place));
            if let Err(error) = opened {
                contents.found("unreadable", item.id, error);
            }
        }
    }

    /// Holds the items against what the history says of them. Whether that is the history that was logged is for
    /// [`verify`](Self::verify) to tell.
    fn check_history(&self, contents: &mut Contents) -> Result<(), ExportError> {
        // Each write and each deletion of an item is a record, and makes a version.
        let mut changes: BTreeMap<ItemId, u64> = BTreeMap::new();
        let (mut gone, mut gone_later) = (BTreeSet::new(), BTreeSet::new());
        for entry in read_lines::<LogEntry>(&self.folder.join("log").join(RECORDS))? {
            let LogEntry { number, record: Some(record), .. } = entry? else { continue };
            if record.action == "collection.delete" {
                return Ok(());
            }
            let is_deletion = record.action == "item.delete";
            if !is_deletion && record.action != "item.write" {
                continue;
            }
            let Ok(item) = record.subject.parse::<ItemId>() else { continue };
            if number >= self.manifest.listed_after {
                // Written while the export was made, it may be there or not; deleted, it may be gone.
                if is_deletion {
                    gone_later.insert(item);
                }
                continue;
            }
            *changes.entry(item).or_default() += 1;
            if is_deletion {
                gone.insert(item);
            } else {
                gone.remove(&item);
            }
        }
        contents.history = Some(self.manifest.listed_after);
        for (item, changes) in changes {
            match contents.versions.get(&item) {
                None if !gone.contains(&item) && !gone_later.contains(&item) => {
                    let text = format!("the history says that {item} was written, and it is not there");
                    contents.found("missing", item, text);
                }
                Some(version) if *version < changes => {
                    let text = format!("{item} is there in version {version}, the history has {changes}");
                    contents.found("outdated", item, text);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Takes bytes for their hash alone.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
