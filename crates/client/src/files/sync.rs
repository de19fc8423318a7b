// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bringing a local folder and a remote one together, in one direction at a time.
//!
//! A run remembers what each file was like when both sides were the same. With that the next run can tell which side
//! changed: if only the side that is copied to did, that change is copied over like any other difference would be, but if
//! **both** did, the other side's content is kept first, as a local file `name (conflict, version N).ext`. Nothing is
//! lost without a trace, and what is removed was synchronised before.
//!
//! The state is sealed under the collection's key: the profile's folder alone tells no names.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::download::target_within;
use super::upload::hash_of;
use super::{
    Drive, DriveError, Entry, GetError, Got, Index, LocalFile, Overwrite, PathError, Progress, Put, PutError,
    RemotePath, Resume, Tree, disk,
};

/// In which direction, and whether what is gone is removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncOptions {
    /// Brings the remote files here, instead of the local ones there.
    pub pull: bool,
    /// Removes what was synchronised before and is gone on the side that is copied from.
    pub delete: bool,
}

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SyncReport {
    /// Files that were copied.
    pub copied: Vec<String>,
    /// Files that were the same.
    pub unchanged: u64,
    /// Files that were removed.
    pub removed: Vec<String>,
    /// Files that both sides had changed, and where the other side's content was kept.
    pub conflicts: Vec<SyncConflict>,
    /// The remote side's state that was seen.
    pub sequence: u64,
}

/// A file that both sides had changed.
#[derive(Clone, Debug, Serialize)]
pub struct SyncConflict {
    /// The file.
    pub path: String,
    /// The local file with the content that would have been lost.
    pub kept_as: String,
}

impl SyncReport {
    /// The same for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for conflict in &self.conflicts {
            text.push_str(&format!(
                "Both sides changed {}: the other is in {}.\n",
                conflict.path, conflict.kept_as
            ));
        }
        text.push_str(&format!(
            "Copied {}, unchanged {}, removed {}, conflicts {}.",
            self.copied.len(),
            self.unchanged,
            self.removed.len(),
            self.conflicts.len()
        ));
        text
    }
}

/// What is remembered of a local folder and its remote one.
#[derive(Debug)]
pub struct SyncState {
    file: PathBuf,
    known: Known,
    index: Index,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    v: u32,
    /// Files, when both sides were last the same.
    files: BTreeMap<String, Same>,
}

/// A file, when both sides were the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Same {
    version: u64,
    sha256: protocol::Bytes<32>,
    size: u64,
    modified_ms: Option<i64>,
}

impl SyncState {
    /// The state of this pair of folders, kept in `within`.
    ///
    /// # Errors
    /// [`SyncError`].
    pub fn load(drive: &Drive, within: &Path, local: &Path, remote: &RemotePath) -> Result<Self, SyncError> {
        let local = std::path::absolute(local).map_err(|error| SyncError::Local(local.to_owned(), error))?;
        let mut hash = Sha256::new();
        hash.update(drive.account().account.as_bytes());
        hash.update(remote.as_str().as_bytes());
        hash.update([0]);
        hash.update(local.as_os_str().as_encoded_bytes());
        let name = data_encoding::HEXLOWER.encode(hash.finalize().get(..16).unwrap_or_default());
        let file = within.join(format!("{name}.sealed"));
        let known = match std::fs::read(&file) {
            Ok(sealed) => drive
                .open_local(sealed)
                .and_then(|known| serde_json::from_slice::<Known>(&known).ok())
                .filter(|known| known.v == VERSION)
                // State that cannot be read is as good as none: everything is compared anew.
                .unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Known::default(),
            Err(error) => return Err(SyncError::State(file, error)),
        };
        Ok(SyncState { file, known, index: Index::default() })
    }

    /// Synchronises once.
    ///
    /// # Errors
    /// [`SyncError`]; what was done until then is remembered.
    pub async fn run(
        &mut self,
        drive: &Drive,
        local: &Path,
        remote: &RemotePath,
        options: SyncOptions,
        resume: &Resume,
        progress: Progress<'_>,
    ) -> Result<SyncReport, SyncError> {
        if options.pull {
            std::fs::create_dir_all(local).map_err(|error| SyncError::Local(local.to_owned(), error))?;
        }
        drive.refresh(&mut self.index).await?;
        if let Some((item, why)) = self.index.damaged.first() {
            return Err(DriveError::Damaged(*item, why.clone()).into());
        }
        let root = local.to_owned();
        let tree = tokio::task::spawn_blocking(move || Tree::walk(&root))
            .await
            .map_err(|_| PutError::Interrupted)?
            .map_err(|error| SyncError::Local(local.to_owned(), error))?;
        self.refuse_rollback(remote)?;
        let mut run = Run {
            drive,
            local,
            remote,
            files: tree.files.into_iter().map(|file| (file.name.as_str().to_owned(), file)).collect(),
            report: SyncReport { sequence: self.index.sequence, ..SyncReport::default() },
        };
        let done = if options.pull {
            run.pull(&mut self.known, &self.index, options.delete, progress).await
        } else {
            run.push(&mut self.known, &self.index, options.delete, resume, progress).await
        };
        let report = run.report;
        self.store(drive)?;
        done.map(|()| report)
    }

    /// Versions only grow: an older one than was seen here is an old copy that the server passes off as the newest.
    fn refuse_rollback(&self, remote: &RemotePath) -> Result<(), SyncError> {
        for (path, entry) in &self.index.files {
            let Some(name) = path.within(remote) else { continue };
            if let Some(same) = self.known.files.get(name).filter(|same| same.version > entry.version) {
                return Err(SyncError::RolledBack {
                    name: name.to_owned(),
                    seen: same.version,
                    shown: entry.version,
                });
            }
        }
        Ok(())
    }

    fn store(&mut self, drive: &Drive) -> Result<(), SyncError> {
        self.known.v = VERSION;
        let failed = |error| SyncError::State(self.file.clone(), error);
        let json = serde_json::to_vec(&self.known).map_err(|error| failed(error.into()))?;
        let sealed = drive.seal_local(&json)?;
        if let Some(folder) = self.file.parent() {
            disk::private_folder(folder).map_err(failed)?;
        }
        disk::write_private(&self.file, &sealed).map_err(failed)
    }
}

struct Run<'a> {
    drive: &'a Drive,
    local: &'a Path,
    remote: &'a RemotePath,
    files: BTreeMap<String, LocalFile>,
    report: SyncReport,
}

impl Run<'_> {
    async fn push(
        &mut self,
        known: &mut Known,
        index: &Index,
        delete: bool,
        resume: &Resume,
        progress: Progress<'_>,
    ) -> Result<(), SyncError> {
        // What others changed since is fetched beside the local file before that replaces it.
        let mut also = Vec::new();
        for (name, file) in &self.files {
            let path = self.remote.join(name)?;
            let Some(entry) = index.files.get(&path) else { continue };
            let is_known = known.files.get(name).is_some_and(|same| same.version == entry.version);
            if is_known || has_content(file, entry).await? {
                continue;
            }
            let copy = conflict_name(name, entry.version);
            let got = self.drive.get_within(entry, self.local, &copy, Overwrite::No, progress).await;
            match got {
                Ok(_) | Err(GetError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let kept = LocalFile::at(&self.local.join(&copy))
                .map_err(|error| SyncError::Local(self.local.join(&copy), error))?;
            self.report.conflicts.push(SyncConflict { path: name.clone(), kept_as: copy.clone() });
            also.push((copy, kept));
        }
        self.files.extend(also);

        let (drive, remote) = (self.drive, self.remote);
        let mut results = stream::iter(&self.files)
            .map(|(name, file)| async move {
                let path = remote.join(name)?;
                let put = drive.put_file(file, &path, Some(index), Some(resume), progress).await?;
                Ok::<_, SyncError>((name, file, path, put))
            })
            .buffer_unordered(FILES_IN_FLIGHT);
        let mut failed = None;
        let mut changed = Vec::new();
        while let Some(result) = results.next().await {
            match result {
                Ok((name, _, path, Put::Unchanged)) => {
                    self.report.unchanged += 1;
                    if let Some(entry) = index.files.get(&path) {
                        known.files.insert(name.clone(), Same::of(entry));
                    }
                }
                Ok((name, file, _, Put::Stored { version })) => changed.push((name, file, version)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        drop(results);
        for (name, file, version) in changed {
            self.report.copied.push(name.clone());
            let sha256 = hash_of(&file.path)?.into();
            let same = Same { version, sha256, size: file.size, modified_ms: file.modified_ms };
            known.files.insert(name.clone(), same);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let gone: Vec<String> =
            known.files.keys().filter(|name| !self.files.contains_key(*name)).cloned().collect();
        for name in gone {
            let entry = index.files.get(&self.remote.join(&name)?);
            let is_same = entry
                .filter(|entry| known.files.get(&name).is_some_and(|same| same.version == entry.version));
            match (entry, is_same) {
                (None, _) => {
                    known.files.remove(&name);
                }
                (_, Some(entry)) if delete => {
                    self.drive.remove(entry).await?;
                    known.files.remove(&name);
                    self.report.removed.push(name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn pull(
        &mut self,
        known: &mut Known,
        index: &Index,
        delete: bool,
        progress: Progress<'_>,
    ) -> Result<(), SyncError> {
        let entries: Vec<(&str, &Entry)> = index
            .files
            .iter()
            .filter_map(|(path, entry)| path.within(self.remote).map(|name| (name, entry)))
            .collect();
        for (name, entry) in &entries {
            if let Some(file) = self.files.get(*name) {
                if has_content(file, entry).await? {
                    known.files.insert((*name).to_owned(), Same::of(entry));
                    self.report.unchanged += 1;
                    continue;
                }
                if !is_unchanged(file, known.files.get(*name)) {
                    let copy = conflict_name(name, known.files.get(*name).map_or(0, |same| same.version));
                    let target = target_within(self.local, &copy)?;
                    if std::fs::symlink_metadata(&target).is_ok() {
                        return Err(GetError::Exists(target).into());
                    }
                    std::fs::rename(&file.path, &target).map_err(|error| SyncError::Local(target, error))?;
                    self.report.conflicts.push(SyncConflict { path: (*name).to_owned(), kept_as: copy });
                }
            }
            let got = self.drive.get_within(entry, self.local, name, Overwrite::Yes, progress).await?;
            known.files.insert((*name).to_owned(), Same::of(entry));
            match got {
                Got::Written => self.report.copied.push((*name).to_owned()),
                Got::Unchanged => self.report.unchanged += 1,
            }
        }
        if delete {
            let gone: Vec<String> = known
                .files
                .keys()
                .filter(|name| !entries.iter().any(|(there, _)| there == *name))
                .cloned()
                .collect();
            for name in gone {
                match self.files.get(&name) {
                    Some(file) if is_unchanged(file, known.files.get(&name)) => {
                        std::fs::remove_file(&file.path)
                            .map_err(|error| SyncError::Local(file.path.clone(), error))?;
                        known.files.remove(&name);
                        self.report.removed.push(name);
                    }
                    Some(_) => {}
                    None => {
                        known.files.remove(&name);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Same {
    fn of(entry: &Entry) -> Self {
        Same {
            version: entry.version,
            sha256: entry.content.sha256.clone(),
            size: entry.content.size,
            modified_ms: entry.content.modified_ms,
        }
    }
}

/// Whether a local file is what it was when both sides were the same.
fn is_unchanged(file: &LocalFile, same: Option<&Same>) -> bool {
    let Some(same) = same else { return false };
    if same.size != file.size {
        return false;
    }
    let is_untouched = same.modified_ms.is_some() && same.modified_ms == file.modified_ms;
    is_untouched || hash_of(&file.path).is_ok_and(|hash| hash.as_slice() == same.sha256.as_slice())
}

/// Whether a local file has an entry's content.
async fn has_content(file: &LocalFile, entry: &Entry) -> Result<bool, SyncError> {
    if entry.content.size != file.size {
        return Ok(false);
    }
    if entry.looks_like(file.size, file.modified_ms, None) {
        return Ok(true);
    }
    let path = file.path.clone();
    let hash =
        tokio::task::spawn_blocking(move || hash_of(&path)).await.map_err(|_| PutError::Interrupted)??;
    Ok(hash.as_slice() == entry.content.sha256.as_slice())
}

/// `a/b.txt` -> `a/b (conflict, version 3).txt`
fn conflict_name(name: &str, version: u64) -> String {
    let (folder, file) = match name.rsplit_once('/') {
        Some((folder, file)) => (Some(folder), file),
        None => (None, name),
    };
    let file = match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => {
            format!("{stem} (conflict, version {version}).{extension}")
        }
        _ => format!("{file} (conflict, version {version})"),
    };
    folder.map_or(file.clone(), |folder| format!("{folder}/{file}"))
}

/// Why two folders were not brought together.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The server shows an older version of a file than it showed before.
    #[error(
        "the server shows version {shown} of {name}, and has shown version {seen} here before: it was rolled back, \
         and nothing was changed; `bailiwick verify` and `bailiwick log` tell more"
    )]
    RolledBack {
        /// The file.
        name: String,
        /// The version that was seen.
        seen: u64,
        /// The version that is shown now.
        shown: u64,
    },
    /// The server or the drive.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// A file was not put.
    #[error(transparent)]
    Put(#[from] PutError),
    /// A file was not got.
    #[error(transparent)]
    Get(#[from] GetError),
    /// A name that cannot be a remote one.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The local folder cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    Local(PathBuf, io::Error),
    /// The state cannot be read or written.
    #[error("the state of the synchronisation in {} cannot be used: {}", .0.display(), .1)]
    State(PathBuf, io::Error),
}

const VERSION: u32 = 1;
const FILES_IN_FLIGHT: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_keeps_its_folder_and_its_kind() {
        assert_eq!(conflict_name("a/b.txt", 3), "a/b (conflict, version 3).txt");
        assert_eq!(conflict_name(".profile", 1), ".profile (conflict, version 1)");
        assert_eq!(conflict_name("Makefile", 2), "Makefile (conflict, version 2)");
    }
}
