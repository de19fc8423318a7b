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
//! Files are compared by their bytes. A local one is not read again only when the last run knew its bytes, and neither its
//! size nor any of its times is another, the one that nobody can set among them.
//!
//! The state is sealed under the collection's key: the profile's folder alone tells no names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::stream::{self, StreamExt};

use self::known::{Known, Same, file_name, has_content, is_unchanged};
pub use self::report::{LeftOut, SyncConflict, SyncReport};
use super::download::target_within;
use super::{
    Drive, DriveError, Entry, GetError, Got, Index, LocalFile, Overwrite, PathError, Progress, PutError,
    RemotePath, Resume, Tree, disk, is_folder,
};

mod known;
mod report;

/// In which direction, and whether what is gone is removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncOptions {
    /// Brings the remote files here, instead of the local ones there.
    pub pull: bool,
    /// Removes what was synchronised before and is gone on the side that is copied from.
    pub delete: bool,
}

/// What is remembered of a local folder and its remote one.
#[derive(Debug)]
pub struct SyncState {
    file: PathBuf,
    known: Known,
    index: Index,
}

impl SyncState {
    /// The state of this pair of folders, kept in `within`.
    ///
    /// # Errors
    /// [`SyncError`].
    pub fn load(drive: &Drive, within: &Path, local: &Path, remote: &RemotePath) -> Result<Self, SyncError> {
        let local = std::path::absolute(local).map_err(|error| SyncError::Local(local.to_owned(), error))?;
        let file = within.join(file_name(drive, &local, remote));
        let known = Known::read(drive, &file)?;
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
        let now = SystemTime::now();
        drive.refresh(&mut self.index).await?;
        if let Some((item, why)) = self.index.damaged.first() {
            return Err(DriveError::Damaged(*item, why.clone()).into());
        }
        let root = local.to_owned();
        let tree = tokio::task::spawn_blocking(move || Tree::walk(&root))
            .await
            .map_err(|_| PutError::Interrupted)?
            .map_err(|error| SyncError::Local(local.to_owned(), error))?;
        self.known.refuse_rollback(&self.index, drive, remote, options.pull)?;
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
            now,
            report,
        };
        let done = if options.pull {
            run.pull(&mut self.known, &self.index, options.delete, progress).await
        } else {
            run.push(&mut self.known, &mut self.index, options.delete, resume, progress).await
        };
        let report = run.report;
        self.known.write(drive, &self.file)?;
        done.map(|()| report)
    }
}

struct Run<'a> {
    drive: &'a Drive,
    local: &'a Path,
    remote: &'a RemotePath,
    files: BTreeMap<String, LocalFile>,
    tree: &'a Tree,
    /// When it began: before it looked at any file.
    now: SystemTime,
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
        let mut failed = None;
        let mut differing = self.files.clone();
        for (name, entry, is_same) in self.compared(known, index).await {
            let Some(file) = self.files.get(&name) else { continue };
            let is_as_known = known.files.get(&name).is_some_and(|same| same.is_still(entry));
            match is_same {
                Ok(true) => {
                    known.files.insert(name.clone(), Same::of(entry, file, self.now));
                    if file.has_mode_of(entry) {
                        self.report.unchanged += 1;
                        differing.remove(&name);
                    }
                }
                Ok(false) if is_as_known => {}
                Ok(false) => {
                    let (copy, kept) = self.keep_beside(&name, entry, progress).await?;
                    self.report.conflicts.push(SyncConflict { path: name, kept_as: copy.clone() });
                    differing.insert(copy, kept);
                }
                Err(error) => {
                    failed = failed.or(Some(error));
                    differing.remove(&name);
                }
            }
        }

        let (drive, remote) = (self.drive, self.remote);
        let mut results = stream::iter(&differing)
            .map(|(name, file)| async move {
                let path = remote.join(name)?;
                let sent = drive.put_unless_same(file, &path, Some(index), Some(resume), progress).await?;
                Ok::<_, SyncError>((name, file, path, sent))
            })
            .buffer_unordered(FILES_IN_FLIGHT);
        while let Some(result) = results.next().await {
            match result {
                Ok((name, _, _, Some(sent))) => {
                    self.report.copied.push(name.clone());
                    let same = Same::new(sent.version, sent.sha256, &sent.file, self.now);
                    known.files.insert(name.clone(), same);
                }
                Ok((name, file, path, None)) => {
                    self.report.unchanged += 1;
                    if let Some(entry) = index.files.get(&path) {
                        known.files.insert(name.clone(), Same::of(entry, file, self.now));
                    }
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The local files that there are there as well, and whether they have the same bytes.
    async fn compared<'i>(
        &self,
        known: &Known,
        index: &'i Index,
    ) -> Vec<(String, &'i Entry, Result<bool, SyncError>)> {
        let mut pairs = Vec::new();
        for (name, file) in &self.files {
            // A name that is none is told when the file is put.
            if let Some(entry) = self.remote.join(name).ok().and_then(|path| index.files.get(&path)) {
                pairs.push((name, file, entry));
            }
        }
        stream::iter(pairs)
            .map(|(name, file, entry)| async move {
                (name.clone(), entry, has_content(file, entry, known.files.get(name)).await)
            })
            .buffered(FILES_IN_FLIGHT)
            .collect()
            .await
    }

    /// Fetches what others changed since to beside the local file, before that replaces it.
    async fn keep_beside(
        &self,
        name: &str,
        entry: &Entry,
        progress: Progress<'_>,
    ) -> Result<(String, LocalFile), SyncError> {
        let copy = conflict_name(name, entry.version);
        match self.drive.get_within(entry, self.local, &copy, Overwrite::No, progress).await {
            Ok(_) | Err(GetError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let path = self.local.join(&copy);
        let kept = LocalFile::at(&path).map_err(|error| SyncError::Local(path, error))?;
        Ok((copy, kept))
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
            self.remove_here(known, &entries).await?;
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
                if has_content(file, entry, known.files.get(*name)).await? {
                    known.files.insert((*name).to_owned(), Same::of(entry, file, self.now));
                    self.report.unchanged += 1;
                    continue;
                }
                if !is_unchanged(file, known.files.get(*name)).await {
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
            known.files.insert((*name).to_owned(), Same::written(entry));
            match got {
                Got::Written => self.report.copied.push((*name).to_owned()),
                Got::Unchanged => self.report.unchanged += 1,
            }
        }
        Ok(())
    }

    /// Removes here what was removed there, unless it was changed here since.
    async fn remove_here(&mut self, known: &mut Known, entries: &[(&str, &Entry)]) -> Result<(), SyncError> {
        let there: BTreeSet<&str> = entries.iter().map(|(name, _)| *name).collect();
        let names = known.files.keys().filter(|name| !there.contains(name.as_str()));
        let gone: Vec<String> = names.cloned().collect();
        for name in gone {
            let Some(file) = self.files.get(&name) else {
                known.files.remove(&name);
                continue;
            };
            if is_unchanged(file, known.files.get(&name)).await {
                std::fs::remove_file(&file.path)
                    .map_err(|error| SyncError::Local(file.path.clone(), error))?;
                remove_empty_folders(self.local, &file.path);
                self.files.remove(&name);
                known.files.remove(&name);
                self.report.removed.push(name);
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
    #[error("{}: {}", .0.display(), disk::said(.1))]
    Local(PathBuf, io::Error),
    /// The state cannot be read or written.
    #[error("the state of the synchronisation in {} cannot be used: {}", .0.display(), disk::said(.1))]
    State(PathBuf, io::Error),
}

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
