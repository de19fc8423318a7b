// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The spool: a file with the lines that have no record yet, one JSON object a line.
//!
//! A line is handed to the operating system before its answer leaves: it outlives the process, however that ends. A file is of one
//! process, which holds a lock on it, and of one round; it goes when the round's records are committed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::batch::SaltedLine;

/// A file of lines.
pub(super) struct Spool {
    id: Uuid,
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
    len: u64,
    buffer: Vec<u8>,
}

impl Spool {
    /// A new file in the folder, which is made when it is not there.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let id = Uuid::now_v7();
        let path = folder.join(format!("{}.{SUFFIX}", id.simple()));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        file.lock()?;
        Ok(Spool { id, path, file, len: 0, buffer: Vec::new() })
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes a line, in one piece.
    pub(super) fn write(&mut self, line: &SaltedLine<'_>) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        self.len += self.buffer.len() as u64;
        self.file.write_all(&self.buffer)
    }

    /// All its lines are recorded.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// A file that a server left which is no more, with its lines. It is locked until it is removed.
pub(super) struct Left {
    pub(super) id: Uuid,
    path: PathBuf,
    file: File,
}

impl Left {
    /// Takes it over; `None` when its server lives, or another one took it.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(id) = name.parse() else { return Ok(None) };
        let file = match OpenOptions::new().read(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match file.try_lock() {
            // Whoever had the lock before has recorded it, and removed it.
            Ok(()) if path.exists() => Ok(Some(Left { id, path: path.to_owned(), file })),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Hands over each line. The last may have been cut off when the process ended: its answer had not left.
    pub(super) fn read(&self, mut each: impl FnMut(&SaltedLine<'_>)) -> io::Result<u64> {
        let mut lines = BufReader::new(&self.file);
        let (mut line, mut unreadable) = (Vec::new(), 0);
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(unreadable);
            }
            if line.last() != Some(&b'\n') {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(line) => each(&line),
                Err(_) => unreadable += 1,
            }
        }
    }

    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// The files in the folder: those of live servers among them.
pub(super) fn left_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
    paths.sort();
    Ok(paths)
}

const SUFFIX: &str = "spool";
