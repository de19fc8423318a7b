// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is in a local folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk;
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
}

/// Everything in a local folder.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The files, by name.
    pub files: Vec<LocalFile>,
    /// What is left out, and why: links, devices, names that are not text.
    pub skipped: Vec<(PathBuf, String)>,
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

    fn of(path: PathBuf, name: RemotePath, metadata: &fs::Metadata) -> Self {
        LocalFile {
            name,
            path,
            size: metadata.len(),
            modified_ms: disk::modified_ms(metadata),
            mode: disk::mode(metadata),
        }
    }
}

impl Tree {
    /// Walks the folder `root`, which may be a link to one. Links within are left out: they may lead anywhere, and
    /// around in circles.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn walk(root: &Path) -> io::Result<Self> {
        let mut tree = Tree::default();
        let mut folders = vec![(root.to_owned(), RemotePath::ROOT)];
        while let Some((folder, name)) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let path = entry.path();
                let named = entry.file_name().to_str().map(|part| name.join(part));
                let name = match named {
                    Some(Ok(name)) => name,
                    Some(Err(error)) => {
                        tree.skipped.push((path, error.to_string()));
                        continue;
                    }
                    None => {
                        tree.skipped.push((path, "its name is not UTF-8".to_owned()));
                        continue;
                    }
                };
                if name.name().starts_with(".bailiwick-") && name.name().ends_with(".tmp") {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path)?;
                if metadata.is_dir() {
                    folders.push((path, name));
                } else if metadata.is_file() {
                    tree.files.push(LocalFile::of(path, name, &metadata));
                } else if metadata.is_symlink() {
                    tree.skipped.push((path, "it is a link".to_owned()));
                } else {
                    tree.skipped.push((path, "it is neither a file nor a folder".to_owned()));
                }
            }
        }
        tree.files.sort_by(|a, b| a.name.cmp(&b.name));
        tree.skipped.sort();
        Ok(tree)
    }
}
