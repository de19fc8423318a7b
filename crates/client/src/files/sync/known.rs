// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is remembered of two folders that were the same, sealed under the collection's key: so it outlives the session, and
//! opens for the same account alone.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SyncError;
use crate::files::disk::{self, FileState};
use crate::files::{Drive, Entry, Index, LocalFile, RemotePath};

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
    size: u64,
    modified_ms: Option<i64>,
    /// The local file's, if every later change of it shows.
    #[serde(default)]
    state: Option<FileState>,
}

impl Same {
    /// A local file with what an entry says, as it was found before it was read, by a run that began at `now`.
    pub(super) fn of(entry: &Entry, file: &LocalFile, now: SystemTime) -> Self {
        Same::new(entry.version, entry.content.sha256.clone(), file, now)
    }

    /// A local file with these bytes, which are an item's of this version.
    pub(super) fn new(version: u64, sha256: protocol::Bytes<32>, file: &LocalFile, now: SystemTime) -> Self {
        let state = file.state.filter(|state| state.is_settled(now));
        Same { version, sha256, size: file.size, modified_ms: file.modified_ms, state }
    }

    /// An entry that was just written here. The next run reads the file once.
    pub(super) fn written(entry: &Entry) -> Self {
        Same {
            version: entry.version,
            sha256: entry.content.sha256.clone(),
            size: entry.content.size,
            modified_ms: entry.content.modified_ms,
            state: None,
        }
    }

    /// Whether the remote side is what it was.
    pub(super) fn is_still(&self, entry: &Entry) -> bool {
        self.version == entry.version && self.sha256 == entry.content.sha256
    }

    /// Whether nobody can have written to the local file since, so that it need not be read.
    fn is_untouched(&self, file: &LocalFile) -> bool {
        self.state.is_some()
            && self.state == file.state
            && self.size == file.size
            && self.modified_ms == file.modified_ms
    }
}

/// Whether a local file has an entry's bytes.
pub(super) async fn has_content(
    file: &LocalFile,
    entry: &Entry,
    same: Option<&Same>,
) -> Result<bool, SyncError> {
    match same.filter(|same| same.is_untouched(file)) {
        Some(same) => Ok(same.sha256 == entry.content.sha256),
        None => Ok(file.has_bytes(entry.content.size, &entry.content.sha256).await?),
    }
}

/// Whether a local file is what it was when both sides were the same.
pub(super) async fn is_unchanged(file: &LocalFile, same: Option<&Same>) -> bool {
    let Some(same) = same else { return false };
    same.is_untouched(file) || file.has_bytes(same.size, &same.sha256).await.unwrap_or(false)
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_believed_to_be_what_it_was_only_when_every_change_of_it_shows() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&path, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let file = LocalFile::at(&path).unwrap();
        let now = SystemTime::now();
        let later = now + Duration::from_secs(60);
        let same = |now| Same::new(1, [0_u8; 32].into(), &file, now);

        assert!(same(later).is_untouched(&file));
        assert!(!same(now).is_untouched(&file), "it may change within the same tick of the clock");
        let other = LocalFile { modified_ms: file.modified_ms, ..LocalFile::at(&other).unwrap() };
        assert!(!same(later).is_untouched(&other), "size and time of change prove nothing");

        let mut json = serde_json::to_value(same(later)).unwrap();
        json.as_object_mut().unwrap().remove("state").unwrap();
        let older: Same = serde_json::from_value(json).unwrap();
        assert!(
            !older.is_untouched(&LocalFile { state: None, ..file.clone() }),
            "as older releases wrote it"
        );
    }
}
