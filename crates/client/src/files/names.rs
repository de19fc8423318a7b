// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The names of a drive's files, as this device saw them last: so that one question tells whether a name is free, and the
//! history can be shown with names, without fetching every item again.
//!
//! Sealed under the collection's key, as the names are on the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{ItemId, UploadId};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::path::{NameTaken, RemotePath, check_free};
use super::{Drive, DriveError, PAGE, disk, open_item};
use crate::client::is_status;

/// The names of a drive's files, those of removed ones among them.
#[derive(Debug)]
pub struct Names {
    file: PathBuf,
    kept: Kept,
    files: BTreeMap<RemotePath, ItemId>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    v: u32,
    sequence: u64,
    items: BTreeMap<ItemId, Name>,
    /// Whose bytes an upload brought, as far as this device has seen.
    uploads: BTreeMap<UploadId, ItemId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Name {
    path: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
}

impl Names {
    /// The names that were kept in `file`, brought up to what the server has now. What cannot be read is made anew.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn current(drive: &Drive, file: &Path) -> Result<Self, DriveError> {
        let mut names = Self::kept(drive, file);
        names.refresh(drive).await?;
        let live = names.kept.items.iter().filter(|(_, name)| !name.removed);
        names.files =
            live.filter_map(|(item, name)| Some((RemotePath::stored(&name.path).ok()?, *item))).collect();
        Ok(names)
    }

    /// Keeps what removed files were called, for the history: the server does not give that any more.
    pub fn note_removed<'a>(drive: &Drive, file: &Path, paths: impl IntoIterator<Item = &'a RemotePath>) {
        let mut names = Self::kept(drive, file);
        for path in paths {
            if let Ok(item) = drive.item_of(path) {
                names.kept.items.insert(item, Name { path: path.as_str().to_owned(), removed: true });
            }
        }
        names.store(drive);
    }

    fn kept(drive: &Drive, file: &Path) -> Self {
        let kept = std::fs::read(file)
            .ok()
            .and_then(|sealed| drive.open_local(sealed))
            .and_then(|kept| serde_json::from_slice::<Kept>(&kept).ok())
            .filter(|kept| kept.v == VERSION)
            .unwrap_or_default();
        Names { file: file.to_owned(), kept, files: BTreeMap::new() }
    }

    /// What stands in the way of a file of this name, if anything does.
    ///
    /// # Errors
    /// [`NameTaken`].
    pub fn check_free(&self, path: &RemotePath) -> Result<(), NameTaken> {
        check_free(&self.files, path)
    }

    /// What an item is called, or was when it was removed.
    pub fn of(&self, item: ItemId) -> Option<&str> {
        self.kept.items.get(&item).map(|name| name.path.as_str())
    }

    /// What the item is called that an upload became the file of.
    pub fn of_upload(&self, upload: UploadId) -> Option<&str> {
        self.of(*self.kept.uploads.get(&upload)?)
    }

    async fn refresh(&mut self, drive: &Drive) -> Result<(), DriveError> {
        let Some(open) = drive.current() else { return Ok(()) };
        let before = self.kept.sequence;
        let mut anew = before == 0;
        loop {
            let page = match drive.account.client.changes(open.id, self.kept.sequence, anew, PAGE).await {
                // What was removed that long ago the server has forgotten: from the beginning.
                Err(error) if is_status(&error, StatusCode::GONE) && !anew => {
                    anew = true;
                    self.kept = Kept::default();
                    continue;
                }
                page => page?,
            };
            let open = drive.open_for(Arc::clone(&open), &page.items).await?;
            for item in page.items {
                if item.deleted {
                    if let Some(name) = self.kept.items.get_mut(&item.id) {
                        name.removed = true;
                    }
                } else if let Ok(entry) = open_item(&open.keys, drive.account.home, open.id, &item) {
                    let name = Name { path: entry.path.as_str().to_owned(), removed: false };
                    self.kept.items.insert(item.id, name);
                    self.kept.uploads.extend(item.file.map(|file| (file.id, item.id)));
                }
            }
            let went_on = page.next > self.kept.sequence;
            self.kept.sequence = self.kept.sequence.max(page.next);
            if !page.more || !went_on {
                break;
            }
        }
        if self.kept.items.len() > MAX_NAMES {
            self.kept.items.retain(|_, name| !name.removed);
        }
        if self.kept.uploads.len() > MAX_NAMES {
            let Kept { items, uploads, .. } = &mut self.kept;
            uploads.retain(|_, item| items.contains_key(item));
            while uploads.len() > MAX_NAMES {
                uploads.pop_first();
            }
        }
        if self.kept.sequence > before {
            self.store(drive);
        }
        Ok(())
    }

    /// Keeps the names. Where that cannot be, they are fetched again next time.
    fn store(&mut self, drive: &Drive) {
        self.kept.v = VERSION;
        let Ok(json) = serde_json::to_vec(&self.kept) else { return };
        if let Ok(sealed) = drive.seal_local(&json) {
            let _ = self.file.parent().map(disk::private_folder);
            let _ = disk::write_private(&self.file, &sealed);
        }
    }
}

const VERSION: u32 = 2;
/// With more names or uploads than these, those of removed files are forgotten.
const MAX_NAMES: usize = 100_000;
