// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bringing a local folder and a remote one together, in one direction at a time.
//!
//! A run remembers what each file was like when both sides were the same. With that the next run can tell which side
//! changed: if only the side that is copied to did, that change is copied over like any other difference would be, but if
//! **both** did, the other side's content is kept first, as a local file `name (conflict, version N).ext`. Nothing is
//! lost without a trace, and what is removed was synchronised before.
//!
//! A server cannot make files go by leaving them out: what is removed here has a tombstone there, newer than the version
//! that was synchronised; a list that is merely shorter, or older than one that was seen, is refused.
//!
//! The state is sealed under the collection's key: the profile's folder alone tells no names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::download::target_within;
use super::upload::hash_of;
use super::{
    Drive, DriveError, Entry, GetError, Got, Index, LocalFile, Overwrite, PathError, Progress, Put, PutError,
    RemotePath, Resume, Tree, disk, is_folder,
};
use crate::output::harmless;

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
    /// What is left out, and why: links, devices, empty folders, names that cannot be used here.
    pub skipped: Vec<LeftOut>,
    /// What could not be read, and why: whether there are files in it nobody knows.
    pub unreadable: Vec<LeftOut>,
    /// The remote side's state that was seen.
    pub sequence: u64,
}

/// Something that was not synchronised.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// What.
    pub path: String,
    /// Why.
    pub reason: String,
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
                harmless(&conflict.path),
                harmless(&conflict.kept_as)
            ));
        }
        for left_out in &self.skipped {
            text.push_str(&format!("Left out {}: {}.\n", harmless(&left_out.path), left_out.reason));
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
    /// The remote side's state that was seen.
    #[serde(default)]
    sequence: u64,
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
        if let Some(collection) = drive.collection().filter(|_| !drive.is_default()) {
            hash.update([0]);
            hash.update(collection.as_bytes());
        }
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

    /// Forgets what was remembered: the next run compares everything anew, and removes nothing.
    pub fn start_over(&mut self) {
        self.known = Known::default();
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
        self.refuse_rollback(drive, remote, options.pull)?;
        self.known.sequence = self.index.sequence;
        let left_out =
            |(path, reason): (PathBuf, String)| LeftOut { path: path.to_string_lossy().into_owned(), reason };
        let report = SyncReport {
            sequence: self.index.sequence,
            skipped: tree.skipped.iter().cloned().map(left_out).collect(),
            unreadable: tree.unreadable.iter().cloned().map(left_out).collect(),
            ..SyncReport::default()
        };
        let mut run = Run {
            drive,
            local,
            remote,
            files: tree.files.iter().map(|file| (file.name.as_str().to_owned(), file.clone())).collect(),
            tree: &tree,
            report,
        };
        let done = if options.pull {
            run.pull(&mut self.known, &self.index, options.delete, progress).await
        } else {
            run.push(&mut self.known, &mut self.index, options.delete, resume, progress).await
        };
        let report = run.report;
        self.store(drive)?;
        done.map(|()| report)
    }

    /// Versions and sequences only grow: an older one than was seen here is an old copy that the server passes off as the
    /// newest. And what is not there any more was removed by somebody: `pull` believes that of a tombstone alone, which
    /// is newer than what it saw.
    fn refuse_rollback(&self, drive: &Drive, remote: &RemotePath, pull: bool) -> Result<(), SyncError> {
        let (seen, shown) = (self.known.sequence, self.index.sequence);
        if shown < seen {
            return Err(SyncError::ListRolledBack { seen, shown });
        }
        for (name, same) in &self.known.files {
            let path = remote.join(name)?;
            let shown = match self.index.files.get(&path) {
                Some(entry) => entry.version,
                None => match self.index.removed.get(&drive.item_of(&path)?) {
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
    tree: &'a Tree,
    report: SyncReport,
}

impl Run<'_> {
    async fn push(
        &mut self,
        known: &mut Known,
        index: &mut Index,
        delete: bool,
        resume: &Resume,
        progress: Progress<'_>,
    ) -> Result<(), SyncError> {
        // First, so that a folder can take the name of a file that is gone.
        self.remove_there(known, index, delete).await?;
        let index = &*index;
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
        Ok(())
    }

    /// Removes there what is gone here, unless somebody changed it since.
    async fn remove_there(
        &mut self,
        known: &mut Known,
        index: &mut Index,
        delete: bool,
    ) -> Result<(), SyncError> {
        let names = known.files.keys().filter(|name| !self.files.contains_key(*name));
        let gone: Vec<String> = names.cloned().collect();
        for name in gone {
            let path = self.remote.join(&name)?;
            if RemotePath::parse(&name).is_ok_and(|name| self.tree.may_hide(&name)) {
                continue;
            }
            let seen = known.files.get(&name).map(|same| same.version);
            match index.files.get(&path) {
                None => {
                    known.files.remove(&name);
                }
                Some(entry) if delete && seen == Some(entry.version) => {
                    self.drive.remove(entry).await?;
                    index.removed.insert(entry.item, entry.version.saturating_add(1));
                    index.files.remove(&path);
                    known.files.remove(&name);
                    self.report.removed.push(name);
                }
                Some(_) => {}
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
        let mut entries: Vec<(&str, &Entry)> = index
            .files
            .iter()
            .filter_map(|(path, entry)| path.within(self.remote).map(|name| (name, entry)))
            .collect();
        if delete {
            // First, so that a folder can take the name of a file that is gone.
            self.remove_here(known, &entries)?;
        }
        // Releases before this one kept a file and a folder of one name. No disk can.
        entries.retain(|(name, entry)| {
            let is_both = is_folder(&index.files, &entry.path);
            if is_both {
                let reason = "it is a folder as well: get it by its own name".to_owned();
                self.report.skipped.push(LeftOut { path: (*name).to_owned(), reason });
            }
            !is_both
        });
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
        Ok(())
    }

    /// Removes here what was removed there, unless it was changed here since.
    fn remove_here(&mut self, known: &mut Known, entries: &[(&str, &Entry)]) -> Result<(), SyncError> {
        let there: BTreeSet<&str> = entries.iter().map(|(name, _)| *name).collect();
        let names = known.files.keys().filter(|name| !there.contains(name.as_str()));
        let gone: Vec<String> = names.cloned().collect();
        for name in gone {
            match self.files.get(&name) {
                Some(file) if is_unchanged(file, known.files.get(&name)) => {
                    std::fs::remove_file(&file.path)
                        .map_err(|error| SyncError::Local(file.path.clone(), error))?;
                    remove_empty_folders(self.local, &file.path);
                    self.files.remove(&name);
                    known.files.remove(&name);
                    self.report.removed.push(name);
                }
                Some(_) => {}
                None => {
                    known.files.remove(&name);
                }
            }
        }
        Ok(())
    }
}

/// Removes the folders that a removed file was the last in, up to `root`.
fn remove_empty_folders(root: &Path, file: &Path) {
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != root && folder.starts_with(root)) {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
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
         and nothing was changed; `bailiwick verify` and `bailiwick log` tell more. If that is as it should be, \
         --start-over compares everything anew"
    )]
    RolledBack {
        /// The file.
        name: String,
        /// The version that was seen.
        seen: u64,
        /// The version that is shown now.
        shown: u64,
    },
    /// The server shows an older state of the files than it showed before.
    #[error(
        "the server shows the files as they were at change {shown}, and has shown change {seen} here before: they were \
         rolled back, and nothing was changed; `bailiwick verify` and `bailiwick log` tell more. If that is as it should \
         be, --start-over compares everything anew"
    )]
    ListRolledBack {
        /// The state that was seen.
        seen: u64,
        /// The state that is shown now.
        shown: u64,
    },
    /// The server leaves a file out that was synchronised, and does not say that it was removed.
    #[error(
        "the server does not show {0} any more, and nobody removed it: its list is not complete, and nothing was \
         changed; `bailiwick log` tells more. If that is as it should be, --start-over compares everything anew, and \
         keeps what is here"
    )]
    Vanished(String),
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
