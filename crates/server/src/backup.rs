// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Backups of the embedded engine: a consistent copy of every database file, taken while the server runs, and of
//! every blob. PostgreSQL has tools of its own (`pg_dump`, base backups); there, the blobs are what is copied.
//!
//! A tenant's file is copied before its blobs, and a blob is only removed some time after nothing names it
//! (`deleted_blobs_kept_hours`): so every blob that a copied file names is in a backup that took no longer than that. One that
//! took longer says so. The root key is not in it: it belongs elsewhere.
//!
//! A change of password goes through the home and the directory. A copy of the one from before it and of the other from
//! after it would let nobody in, so homes whose password changed meanwhile are copied again, and the directory after them,
//! until none did.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use objects::Blobs;
use serde_json::json;
use store::{Clock as _, StoreError, SystemClock, TenantId};

use crate::config::{Config, ConfigError};
use crate::output::Answer;
use crate::start::{self, BLOBS, StartError};

/// Marks a folder as a whole backup. Written last.
const COMPLETE: &str = "backup-complete";

/// What a backup copies.
#[derive(Clone, Copy)]
pub(crate) struct What {
    pub(crate) databases: bool,
    pub(crate) blobs: bool,
}

pub(crate) async fn backup(config: Config, to: PathBuf, what: What) -> Result<Answer, StartError> {
    config.check()?;
    let embedded = config.database_url.is_empty();
    if !embedded && what.databases {
        return Err(refused(
            "database_url",
            "PostgreSQL is backed up by its own tools (pg_dump, base backups): run them first, then this with \
             --blobs-only"
                .into(),
        ));
    }
    if to.exists() {
        return Err(refused("to", format!("{} exists already; name a folder to make", to.display())));
    }
    if embedded {
        require_data(&config)?;
    }
    fs::create_dir_all(&to).map_err(io_error)?;
    let began = SystemClock.now_ms();
    let mut databases = 0;
    if what.databases {
        let (data, to) = (config.data.clone(), to.clone());
        databases = blocking(move || copy_databases(&data, &to)).await?;
    }
    let mut blobs = 0;
    if what.blobs {
        blobs = start::blobs(&config).await?.copy_to(&Blobs::folder(&to.join(BLOBS))?).await?;
    }
    let took_ms = SystemClock.now_ms().saturating_sub(began);
    let is_late = what.blobs && took_ms > config.deleted_blobs_kept_ms();
    fs::write(to.join(COMPLETE), env!("CARGO_PKG_VERSION")).map_err(io_error)?;
    sync(&to).map_err(io_error)?;
    let document = json!({
        "backup": to.display().to_string(),
        "databases": databases,
        "blob_parts": blobs,
        "root_key": config.root_key_path().display().to_string(),
        "may_lack_deleted_files": is_late,
    });
    let mut lines = vec![format!(
        "{databases} databases and {blobs} blob parts are in {}; keep the root key ({}) elsewhere",
        to.display(),
        config.root_key_path().display()
    )];
    if is_late {
        lines.push(format!(
            "warning: it took longer than deleted_blobs_kept_hours ({}): files that were deleted or replaced meanwhile may be named in \
             it and missing; set it to more on the server, and make another backup",
            config.deleted_blobs_kept_hours
        ));
    }
    Ok(Answer::of_lines(lines, document))
}

/// Refuses a data folder in which no server has ever run.
pub(crate) fn require_data(config: &Config) -> Result<(), StartError> {
    if config.data.join(PLATFORM).exists() {
        return Ok(());
    }
    Err(refused("data", format!("there is no server's data in {}", config.data.display())))
}

/// The directory's file in the data folder.
const PLATFORM: &str = "platform.db";

/// Homes whose password was changed since then.
const CHANGED: &str = "SELECT DISTINCT home FROM password_login WHERE changed_at >= $1";

/// How often the directory is copied again before the backup gives up on a server that is too busy with passwords.
const ROUNDS: u32 = 20;

fn copy_databases(data: &Path, to: &Path) -> Result<u64, StartError> {
    let mut since = SystemClock.now_ms();
    let mut copied = 0;
    for path in tenant_files(data).map_err(io_error)? {
        store::copy_database(&path, &to.join(path.strip_prefix(data).unwrap_or(&path)))?;
        copied += 1;
    }
    for _ in 0..ROUNDS {
        let began = SystemClock.now_ms();
        let directory = to.join(PLATFORM);
        store::copy_database(&data.join(PLATFORM), &directory)?;
        let changed: Vec<(TenantId,)> = store::read_copy(&directory, CHANGED, store::params![since])?;
        if changed.is_empty() {
            return Ok(copied + 1);
        }
        for (home,) in changed {
            let file = store::tenant_path(home);
            store::copy_database(&data.join(&file), &to.join(&file))?;
        }
        since = began;
    }
    Err(StoreError::Busy.into())
}

pub(crate) async fn restore(config: Config, from: PathBuf) -> Result<Answer, StartError> {
    if !from.join(COMPLETE).exists() {
        return Err(refused("from", format!("{} is not a complete backup", from.display())));
    }
    if config.data.exists() {
        return Err(refused(
            "data",
            format!("{} exists already; a backup is restored into a new folder", config.data.display()),
        ));
    }
    // Blobs that do not belong in the data folder go first: it is whole when it is there.
    let apart = !config.blobs.is_empty();
    let mut files = 0;
    if apart && from.join(BLOBS).exists() {
        files += Blobs::folder(&from.join(BLOBS))?.copy_to(&start::blobs(&config).await?).await?;
    }
    let to = config.data.clone();
    files += blocking(move || put_back(&from, &to, apart).map_err(io_error)).await?;
    let data = config.data.display();
    let document = json!({ "data": data.to_string(), "files": files });
    Ok(Answer::new(format!("{files} files are back in {data}"), document))
}

/// Copies a backup to the data folder, under another name until it is whole.
fn put_back(from: &Path, data: &Path, without_blobs: bool) -> io::Result<u64> {
    let mut partial = data.to_owned().into_os_string();
    partial.push(".restoring");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    let mut files = 0;
    make(&partial)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name != COMPLETE && !(without_blobs && name == BLOBS) {
            files += copy(&from.join(&name), &partial.join(&name))?;
        }
    }
    sync(&partial)?;
    fs::rename(&partial, data)?;
    Ok(files)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Engine(error.to_string()).into()),
    }
}

fn refused(setting: &'static str, why: String) -> StartError {
    ConfigError::Refused { setting, why }.into()
}

fn io_error(error: io::Error) -> StartError {
    StoreError::Io(error).into()
}

/// Every tenant's database.
fn tenant_files(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for shard in fs::read_dir(data.join("tenants"))? {
        for file in fs::read_dir(shard?.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "db") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// Copies a file, or every file below a folder, and says how many they were.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        fs::File::open(to)?.sync_all()?;
        return Ok(1);
    }
    make(to)?;
    let mut copied = 0;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copied += copy(&from.join(&name), &to.join(&name))?;
    }
    sync(to)?;
    Ok(copied)
}

/// Makes a folder, private to its owner.
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}
