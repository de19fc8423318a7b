// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is in a local folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, FileState};
use super::path::RemotePath;

/// A local file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// What it is called within the folder.
    pub name: RemotePath,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size: u64,
    /// When it was changed, in Unix milliseconds.
    pub modified_ms: Option<i64>,
    /// Its permissions.
    pub mode: Option<u32>,
    pub(crate) state: Option<FileState>,
}

/// Everything in a local folder.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The files, by name.
    pub files: Vec<LocalFile>,
    /// What is left out, and why: links, devices, empty folders, names that are not text.
    pub skipped: Vec<(PathBuf, String)>,
    /// What cannot be read, and why. There may be files in it.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The names of what was left out or cannot be read: nobody can say that it is gone.
    unseen: Vec<RemotePath>,
}

impl LocalFile {
    /// The file at `path`, which may be a link to one.
    ///
    /// # Errors
    /// When it is not there or not a file.
    pub fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = RemotePath::parse(name).unwrap_or_default();
        Ok(Self::of(path.to_owned(), name, &metadata))
    }

    pub(super) fn of(path: PathBuf, name: RemotePath, metadata: &fs::Metadata) -> Self {
        LocalFile {
            name,
            path,
            size: metadata.len(),
            modified_ms: disk::modified_ms(metadata),
            mode: disk::mode(metadata),
            state: FileState::of(metadata),
        }
    }
}

impl Tree {
    /// One file.
    pub fn of(file: LocalFile) -> Self {
        Tree { files: vec![file], ..Tree::default() }
    }

    /// Walks the folder `root`, which may be a link to one. Links within are left out: they may lead anywhere, and
    /// around in circles. A folder within that cannot be read is noted, and the others are walked all the same.
    ///
    /// # Errors
    /// When `root` cannot be read.
    pub fn walk(root: &Path) -> io::Result<Self> {
        let mut tree = Tree::default();
        let mut folders = vec![(root.to_owned(), RemotePath::ROOT)];
        while let Some((folder, name)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if name.is_root() => return Err(error),
                Err(error) => {
                    tree.cannot_read(folder, name, &error);
                    continue;
                }
                Ok(entries) => entries,
            };
            let mut is_empty = true;
            for entry in entries {
                match entry {
                    Ok(entry) => is_empty &= !tree.add(&entry, &name, &mut folders),
                    Err(error) => {
                        tree.cannot_read(folder.clone(), name.clone(), &error);
                        is_empty = false;
                        break;
                    }
                }
            }
            if is_empty && !name.is_root() {
                tree.skipped.push((folder, "it is an empty folder".to_owned()));
            }
        }
        tree.files.sort_by(|a, b| a.name.cmp(&b.name));
        tree.skipped.sort();
        tree.unreadable.sort();
        Ok(tree)
    }

    /// Whether `name` may be there although it is not among the files.
    pub fn may_hide(&self, name: &RemotePath) -> bool {
        self.unseen.iter().any(|unseen| unseen == name || name.within(unseen).is_some())
    }

    /// Takes what is in a folder; whether it counts as something.
    fn add(
        &mut self,
        entry: &fs::DirEntry,
        name: &RemotePath,
        folders: &mut Vec<(PathBuf, RemotePath)>,
    ) -> bool {
        let path = entry.path();
        let name = match entry.file_name().to_str().map(|part| name.join(part)) {
            Some(Ok(name)) => name,
            Some(Err(error)) => {
                self.skipped.push((path, error.to_string()));
                return true;
            }
            None => {
                self.skipped.push((path, "its name is not UTF-8".to_owned()));
                return true;
            }
        };
        if name.name().starts_with(".bailiwick-") && name.name().ends_with(".tmp") {
            return false;
        }
        let why = match fs::symlink_metadata(&path) {
            // It went while the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                self.cannot_read(path, name, &error);
                return true;
            }
            Ok(metadata) if metadata.is_dir() => {
                folders.push((path, name));
                return true;
            }
            Ok(metadata) if metadata.is_file() => {
                self.files.push(LocalFile::of(path, name, &metadata));
                return true;
            }
            Ok(metadata) if metadata.is_symlink() => "it is a link",
            Ok(_) => "it is neither a file nor a folder",
        };
        self.skipped.push((path, why.to_owned()));
        self.unseen.push(name);
        true
    }

    fn cannot_read(&mut self, path: PathBuf, name: RemotePath, error: &io::Error) {
        self.unreadable.push((path, disk::said(error)));
        self.unseen.push(name);
    }
}
