// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is remembered of two folders that were the same, sealed under the collection's key.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SyncError;
use crate::files::upload::hash_of;
use crate::files::{Drive, Entry, Index, LocalFile, RemotePath, disk};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    v: u32,
    /// The remote side's state that was seen.
    #[serde(default)]
    pub(super) sequence: u64,
    /// Files, when both sides were last the same.
    pub(super) files: BTreeMap<String, Same>,
}

impl Known {
    /// What the file says. State that cannot be read is as good as none: everything is compared anew.
    pub(super) fn read(drive: &Drive, file: &Path) -> Result<Self, SyncError> {
        match std::fs::read(file) {
            Ok(sealed) => Ok(drive
                .open_local(sealed)
                .and_then(|known| serde_json::from_slice::<Known>(&known).ok())
                .filter(|known| known.v == VERSION)
                .unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(SyncError::State(file.to_owned(), error)),
        }
    }

    pub(super) fn write(&mut self, drive: &Drive, file: &Path) -> Result<(), SyncError> {
        self.v = VERSION;
        let failed = |error| SyncError::State(file.to_owned(), error);
        let json = serde_json::to_vec(&self).map_err(|error| failed(error.into()))?;
        let sealed = drive.seal_local(&json)?;
        if let Some(folder) = file.parent() {
            disk::private_folder(folder).map_err(failed)?;
        }
        disk::write_private(file, &sealed).map_err(failed)
    }

    /// Versions and sequences only grow: an older one than was seen here is an old copy that the server passes off as the
    /// newest. And what is not there any more was removed by somebody: `pull` believes that of a tombstone alone, which
    /// is newer than what it saw.
    pub(super) fn refuse_rollback(
        &self,
        index: &Index,
        drive: &Drive,
        remote: &RemotePath,
        pull: bool,
    ) -> Result<(), SyncError> {
        let (seen, shown) = (self.sequence, index.sequence);
        if shown < seen {
            return Err(SyncError::ListRolledBack { seen, shown });
        }
        for (name, same) in &self.files {
            let path = remote.join(name)?;
            let shown = match index.files.get(&path) {
                Some(entry) => entry.version,
                None => match index.removed.get(&drive.item_of(&path)?) {
                    Some(tombstone) => tombstone.saturating_sub(1),
                    None if pull => return Err(SyncError::Vanished(name.clone())),
                    None => continue,
                },
            };
            if shown < same.version {
                return Err(SyncError::RolledBack { name: name.clone(), seen: same.version, shown });
            }
        }
        Ok(())
    }
}

/// What the file of a pair of folders is called: no name is told by it.
pub(super) fn file_name(drive: &Drive, local: &Path, remote: &RemotePath) -> String {
    let mut hash = Sha256::new();
    hash.update(drive.account().account.as_bytes());
    hash.update(remote.as_str().as_bytes());
    hash.update([0]);
    hash.update(local.as_os_str().as_encoded_bytes());
    if let Some(collection) = drive.collection().filter(|_| !drive.is_default()) {
        hash.update([0]);
        hash.update(collection.as_bytes());
    }
    let name = data_encoding::HEXLOWER.encode(hash.finalize().get(..16).unwrap_or_default());
    format!("{name}.sealed")
}

/// A file, when both sides were the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Same {
    pub(super) version: u64,
    pub(super) sha256: protocol::Bytes<32>,
    pub(super) size: u64,
    pub(super) modified_ms: Option<i64>,
}

impl Same {
    pub(super) fn of(entry: &Entry) -> Self {
        Same {
            version: entry.version,
            sha256: entry.content.sha256.clone(),
            size: entry.content.size,
            modified_ms: entry.content.modified_ms,
        }
    }
}

/// Whether a local file is what it was when both sides were the same.
pub(super) fn is_unchanged(file: &LocalFile, same: Option<&Same>) -> bool {
    let Some(same) = same else { return false };
    if same.size != file.size {
        return false;
    }
    let is_untouched = same.modified_ms.is_some() && same.modified_ms == file.modified_ms;
    is_untouched || hash_of(&file.path).is_ok_and(|hash| hash.as_slice() == same.sha256.as_slice())
}

const VERSION: u32 = 1;
