// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writing files so that they appear whole or not at all, and only where they should.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A file under another name, which takes its own name when it is complete, and is gone when it is dropped before.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    kept: bool,
    written: u64,
    syncing: Option<Syncing>,
}

/// Bytes of a file after which what was written so far goes to the disk, while more is written: else all of it waits for the end.
const SYNCED_EVERY: u64 = 16 << 20;

/// A thread that brings a file's bytes to the disk whenever it is asked.
#[derive(Debug)]
struct Syncing {
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Syncing {
    fn of(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (ask, asked) = sync_channel(1);
        let thread = thread::Builder::new().name("sync".into()).spawn(move || {
            // What fails here fails at the end too, where it is told.
            while asked.recv().is_ok() && file.sync_data().is_ok() {}
        })?;
        Ok(Syncing { ask, thread })
    }

    /// Asks for what is there now; whoever is asked already is not asked twice.
    fn ask(&self) {
        let _ = self.ask.try_send(());
    }

    fn end(self) {
        drop(self.ask);
        let _ = self.thread.join();
    }
}

impl NewFile {
    /// Begins to write `target`. Nobody else may read it until it is finished.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let folder =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut random = [0; 8];
        rand_core::Rng::fill_bytes(&mut keyring::SystemRng, &mut random);
        let temporary = folder.join(format!(".bailiwick-{}.tmp", HEXLOWER.encode(&random)));
        let file = private_options().write(true).create_new(true).open(&temporary)?;
        Ok(NewFile { file, temporary, target: target.to_owned(), kept: false, written: 0, syncing: None })
    }

    /// Makes it the target, on disk for good. What is there of that name is replaced; a link is, not what it leads to.
    pub(crate) fn finish(mut self, mode: Option<u32>, modified_ms: Option<i64>) -> io::Result<()> {
        if let Some(mode) = mode {
            set_mode(&self.file, mode)?;
        }
        if let Some(modified) = modified_ms.and_then(time) {
            self.file.set_modified(modified)?;
        }
        if let Some(syncing) = self.syncing.take() {
            syncing.end();
        }
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.kept = true;
        sync_folder(&self.target);
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        let before = self.written / SYNCED_EVERY;
        self.written += taken as u64;
        if self.written / SYNCED_EVERY > before {
            if self.syncing.is_none() {
                self.syncing = Some(Syncing::of(&self.file)?);
            }
            self.syncing.as_ref().into_iter().for_each(Syncing::ask);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = NewFile::create(path)?;
    new.write_all(bytes)?;
    new.finish(None, None)
}

/// Makes a folder that only its owner can enter, or closes one that is there.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return restrict(path);
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A file of the owner's alone that has no name any more: gone when closed, whatever happens.
pub(crate) fn anonymous(folder: &Path) -> io::Result<File> {
    let mut random = [0; 8];
    rand_core::Rng::fill_bytes(&mut keyring::SystemRng, &mut random);
    let path = folder.join(format!(".bailiwick-{}.tmp", HEXLOWER.encode(&random)));
    let file = private_options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Makes the folders `parts` below `root`, one by one, and refuses to go through anything that is not a folder itself: a link
/// may lead out of `root`.
pub(crate) fn folders_within(root: &Path, parts: &[&str]) -> io::Result<PathBuf> {
    let mut path = root.to_owned();
    for part in parts {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let text = format!("{} is not a folder: links are not followed", path.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&path)?.is_dir() {
                        return Err(error);
                    }
                }
                made => made?,
            },
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

/// What the operating system said of a local file, for a person.
pub(crate) fn said(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let known = match error.kind() {
        // What we say ourselves is said well.
        _ if error.raw_os_error().is_none() && error.get_ref().is_some() => return error.to_string(),
        Kind::NotFound => "there is no such file or folder",
        Kind::PermissionDenied => "this user may not read or write it",
        Kind::AlreadyExists => "it is there already",
        Kind::IsADirectory => "it is a folder",
        Kind::NotADirectory => "a part of the path is not a folder",
        Kind::DirectoryNotEmpty => "the folder is not empty",
        Kind::StorageFull => "the disk is full",
        Kind::QuotaExceeded => "this user has no room left on the disk",
        Kind::FileTooLarge => "it is too large for this disk",
        Kind::ReadOnlyFilesystem => "the disk can only be read",
        Kind::InvalidFilename => "the name is too long, or cannot be used here",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    // "Input/output error (os error 5)"
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Which file it is, and when anything about it was last changed: what nobody can set. A file's size and its time of change prove
/// nothing, since `touch -d`, `cp -p` and tar set that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    /// `st_ctime`: whole seconds since 1970, and nanoseconds.
    changed_s: i64,
    changed_ns: i64,
}

impl FileState {
    /// `None` where the system has no such thing.
    #[cfg(unix)]
    pub(crate) fn of(metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &fs::Metadata) -> Option<Self> {
        None
    }

    /// Whether a change from `now` on shows: a file system's clock ticks coarsely, and within a tick two changes look like one.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok());
        now.is_some_and(|now| now.saturating_sub(self.changed_s) > TICK_S)
    }
}

/// When a file was changed, in Unix milliseconds.
pub(crate) fn modified_ms(metadata: &fs::Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).ok(),
        Err(before) => i64::try_from(before.duration().as_millis()).ok().map(|ms| -ms),
    }
}

/// A file's permissions, where there are such.
#[cfg(unix)]
pub(crate) fn mode(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & PERMISSIONS)
}

#[cfg(not(unix))]
pub(crate) fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}

fn time(ms: i64) -> Option<SystemTime> {
    let span = Duration::from_millis(ms.unsigned_abs());
    if ms >= 0 { UNIX_EPOCH.checked_add(span) } else { UNIX_EPOCH.checked_sub(span) }
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode & PERMISSIONS))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

fn private_options() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "other systems know no such permissions"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a rename last. Some file systems refuse to flush a folder; the file itself is safe then all the same.
fn sync_folder(target: &Path) {
    let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// No file system's clock ticks more coarsely, in seconds.
#[cfg(not(target_family = "wasm"))]
const TICK_S: i64 = 2;

/// Never set-user-id and the like.
#[cfg(unix)]
const PERMISSIONS: u32 = 0o777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_with_a_file_is_said_in_words() {
        let missing = fs::read("/nowhere/at/all").unwrap_err();
        assert_eq!(said(&missing), "there is no such file or folder");
        let unusual = io::Error::from_raw_os_error(5);
        assert!(unusual.to_string().contains("os error") && !said(&unusual).contains("os error"));
        assert_eq!(said(&io::Error::other("it is not what it was")), "it is not what it was");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_written_to_or_replaced_is_told_whatever_its_times_say() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        let state = |path: &Path| FileState::of(&fs::metadata(path).unwrap());
        let write = |path: &Path, content: &str| {
            fs::write(path, content).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        };
        write(&path, "one");
        let before = state(&path);
        assert!(before.is_some() && before == state(&path));
        let is_told = |_| {
            write(&path, "two");
            state(&path) != before
        };
        assert!((0..1_000_000).any(is_told), "as soon as the clock ticked");

        write(&other, "one");
        let before = state(&path);
        fs::rename(&other, &path).unwrap();
        assert_ne!(state(&path), before);
    }

    #[test]
    fn a_file_that_was_changed_a_moment_ago_may_change_unseen() {
        let state = FileState { device: 1, inode: 2, changed_s: 1_000, changed_ns: 999_999_999 };
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!state.is_settled(at(1_000)) && !state.is_settled(at(1_002)));
        assert!(state.is_settled(at(1_003)));
        assert!(!state.is_settled(at(0)), "nor one of the future");
    }
}
