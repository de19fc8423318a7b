// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The root key as a file that only its owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use store::{ReadTx, params};
use zeroize::Zeroizing;

use super::{RootKey, RootKeyError, RootKeyId, RootKeys};
use crate::key::{Key, fill_random};

impl RootKeys {
    /// The root key file at `path`, made at the first start. The transaction, one of the platform, says whether this
    /// is the first start and which key is needed.
    ///
    /// # Errors
    /// [`RootKeyError::Missing`] when there is no file but the database has sealed keys, [`RootKeyError::Wrong`] when
    /// the file holds another key, and whatever [`RootKeys::load`] finds wrong with the file.
    pub async fn file(path: impl Into<PathBuf>, tx: &mut ReadTx) -> Result<Self, RootKeyError> {
        let path = path.into();
        let needed: Vec<(String,)> = tx.query(Self::NEEDED, params![]).await?;
        if let Some(keys) = Self::load_needed(&path, needed)? {
            return Ok(keys);
        }
        match Self::create(&path) {
            // Another server starting now was first: its key is the one.
            Err(RootKeyError::Exists(_)) => {
                Self::load(&path)?.ok_or_else(|| io_error(&path)(io::ErrorKind::NotFound.into()))
            }
            created => created,
        }
    }

    /// Which root keys a platform's database needs: their ids.
    pub const NEEDED: &'static str = "SELECT root_key_id FROM tenant_key WHERE sealed IS NOT NULL
         UNION SELECT root_key_id FROM server_secret";

    /// Reads a root key file and holds it against what a database [needs](Self::NEEDED); `None` when there is no file and none is
    /// needed yet. Makes nothing.
    ///
    /// # Errors
    /// As [`RootKeys::file`].
    pub fn load_needed(path: &Path, needed: Vec<(String,)>) -> Result<Option<Self>, RootKeyError> {
        let keys = Self::load(path)?;
        let lacking = needed.into_iter().find(|(id,)| !keys.as_ref().is_some_and(|keys| keys.opens(id)));
        let path = path.to_owned();
        match (keys, lacking) {
            (keys, None) => Ok(keys),
            (Some(_), Some((needed,))) => Err(RootKeyError::Wrong { path, needed }),
            (None, Some((needed,))) => Err(RootKeyError::Missing { path, needed }),
        }
    }

    /// Reads a root key file; `None` when there is no file.
    ///
    /// # Errors
    /// When others than its owner can read it, when it is damaged, or when it cannot be read.
    pub fn load(path: &Path) -> Result<Option<Self>, RootKeyError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error(path))?,
        };
        refuse_exposed(path, &file)?;
        let mut text = Zeroizing::new(String::with_capacity(LONGEST));
        let read = file.take(LONGEST as u64).read_to_string(&mut text);
        read.map_err(io_error(path))?;
        let damaged = |(line, why)| RootKeyError::Damaged { path: path.to_owned(), line, why };
        let keys = Self::parse(&text, false).map_err(damaged)?;
        Ok(Some(Self { file: Some(path.to_owned()), ..keys }))
    }

    /// Makes a root key file with one new random key, which only its owner can read. It is on the disk when this
    /// returns.
    ///
    /// # Errors
    /// [`RootKeyError::Exists`]: a file is never overwritten.
    pub fn create(path: &Path) -> Result<Self, RootKeyError> {
        let keys = Self { file: Some(path.to_owned()), ..Self::generate() };
        let beside = keys.write_beside(path)?;
        // A link appears whole or not at all, and never in place of another file.
        let linked = fs::hard_link(&beside, path);
        let removed = fs::remove_file(&beside);
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RootKeyError::Exists(path.to_owned()));
            }
            linked => linked.and(removed).and_then(|()| sync_folder(path)).map_err(io_error(path))?,
        }
        Ok(keys)
    }

    /// Puts a new random key first in an existing file; the older ones stay and go on opening. The file is replaced
    /// whole, and is on the disk when this returns.
    ///
    /// # Errors
    /// As [`RootKeys::load`].
    pub fn renew(path: &Path) -> Result<Self, RootKeyError> {
        let old = Self::load_there(path)?;
        let mut older = vec![old.current];
        older.extend(old.older);
        let keys = Self { current: RootKey::new(Key::random()), older, file: old.file };
        keys.replace(path)?;
        Ok(keys)
    }

    /// Puts a new random key last in an existing file: it opens, and seals nothing until [`RootKeys::switch`]. So every
    /// server can have it before anything stands under it. Returns its id.
    ///
    /// # Errors
    /// As [`RootKeys::load`].
    pub fn add(path: &Path) -> Result<RootKeyId, RootKeyError> {
        let mut keys = Self::load_there(path)?;
        let new = RootKey::new(Key::random());
        let id = new.id.clone();
        keys.older.push(new);
        keys.replace(path)?;
        Ok(id)
    }

    /// Puts the key with this id first in the file, so that it seals from now on.
    ///
    /// # Errors
    /// [`RootKeyError::NoSuchKey`]; else as [`RootKeys::load`].
    pub fn switch(path: &Path, id: &str) -> Result<(), RootKeyError> {
        let mut keys = Self::load_there(path)?;
        if keys.current.id.as_str() == id {
            return Ok(());
        }
        let missing = || RootKeyError::NoSuchKey { path: path.to_owned(), id: id.to_owned() };
        let place = keys.older.iter().position(|key| key.id.as_str() == id).ok_or_else(missing)?;
        let before = std::mem::replace(&mut keys.current, keys.older.remove(place));
        keys.older.insert(0, before);
        keys.replace(path)
    }

    fn load_there(path: &Path) -> Result<Self, RootKeyError> {
        Self::load(path)?.ok_or_else(|| io_error(path)(io::ErrorKind::NotFound.into()))
    }

    fn replace(&self, path: &Path) -> Result<(), RootKeyError> {
        let beside = self.write_beside(path)?;
        fs::rename(&beside, path).and_then(|()| sync_folder(path)).map_err(io_error(path))
    }

    /// Writes the lines to a new file in the same folder, synced.
    fn write_beside(&self, path: &Path) -> Result<PathBuf, RootKeyError> {
        let mut suffix = [0; 8];
        fill_random(&mut suffix);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", data_encoding::HEXLOWER.encode(&suffix)));
        let beside = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside).map_err(io_error(path))?;
        let written = file.write_all(self.to_lines().as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // What is left would be half a key under a name that nothing reads.
            let _ = fs::remove_file(&beside);
            return Err(io_error(path)(error));
        }
        Ok(beside)
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), RootKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(io_error(path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(RootKeyError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File) -> Result<(), RootKeyError> {
    Ok(())
}

/// A new name is only durable when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> RootKeyError + '_ {
    |source| RootKeyError::Io { path: path.to_owned(), source }
}

/// A root key file has a line of 78 bytes for each key.
const LONGEST: usize = 64 * 1024;
