// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The embedded engine: a SQLite file for each tenant.
//!
//! Statements run where they are asked, since a read of a warm page takes microseconds; what waits
//! for the disk (opening a file, the commit's `fdatasync`) runs on the blocking pool. Writers of one
//! tenant take turns; those that come close together share one commit ([`writer`]).

mod file;
mod readers;
mod statement;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use file::File;
pub use file::{copy_database, read_copy};
pub(crate) use readers::SqliteReader;
pub(crate) use statement::run;
pub(crate) use writer::SqliteWriter;

use crate::{Migration, OpenError, StoreError, TenantId};

/// The data folder with its files, the most recently used of them open.
pub(crate) struct Sqlite {
    folder: PathBuf,
    migrations: Vec<Migration>,
    limit: usize,
    open: Mutex<Open>,
    /// Held while the process lives, so that a second one refuses to start on the same folder.
    _lock: std::fs::File,
}

#[derive(Default)]
struct Open {
    slots: HashMap<TenantId, Slot>,
    /// Counts uses: what was used last has the highest number.
    tick: u64,
}

struct Slot {
    file: Arc<tokio::sync::OnceCell<Arc<File>>>,
    used: u64,
    /// Whether it has let go of its caches since it was used.
    is_trimmed: bool,
}

/// So many files keep what they have in memory: pages and prepared statements. The others are open and have them no more.
const WARM: usize = 64;

impl Sqlite {
    /// Opens the data folder, making it when it is not there.
    pub(crate) async fn open(
        folder: &Path,
        migrations: Vec<Migration>,
        limit: usize,
    ) -> Result<Self, OpenError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { path, source }
        };
        make_private_folder(folder).map_err(at(folder))?;
        make_private_folder(&folder.join("tenants")).map_err(at(folder))?;
        let lock_path = folder.join("lock");
        let lock = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(OpenError::InUse(folder.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => return Err(at(&lock_path)(source)),
        }
        let sqlite =
            Sqlite { folder: folder.to_owned(), migrations, limit, open: Mutex::default(), _lock: lock };
        sqlite.create(TenantId::PLATFORM).await?;
        Ok(sqlite)
    }

    /// The tenant's open file; opened, and migrated to this release, when it is not open yet.
    pub(crate) async fn file(&self, tenant: TenantId) -> Result<Arc<File>, StoreError> {
        self.file_or_make(tenant, false).await
    }

    /// Makes the tenant's file. Does nothing when it is there.
    pub(crate) async fn create(&self, tenant: TenantId) -> Result<(), StoreError> {
        self.file_or_make(tenant, true).await.map(|_| ())
    }

    async fn file_or_make(&self, tenant: TenantId, make: bool) -> Result<Arc<File>, StoreError> {
        let Taken { file: cell, evicted, cooled } = self.slot(tenant);
        if !evicted.is_empty() || cooled.is_some() {
            // The last handle checkpoints the file and waits for the disk.
            drop(tokio::task::spawn_blocking(move || {
                drop(evicted);
                if let Some(file) = cooled {
                    file.trim();
                }
            }));
        }
        let opened = cell
            .get_or_try_init(|| async {
                let path = self.path(tenant);
                let migrations: Vec<_> = self
                    .migrations
                    .iter()
                    .filter(|migration| migration.applies_to(tenant))
                    .copied()
                    .collect();
                blocking(move || File::open(&path, &migrations, make)).await.map(Arc::new)
            })
            .await;
        match opened {
            Ok(file) => Ok(Arc::clone(file)),
            Err(error) => {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                if open.slots.get(&tenant).is_some_and(|slot| !slot.file.initialized()) {
                    open.slots.remove(&tenant);
                }
                Err(error)
            }
        }
    }

    /// The place of the tenant's file among the open ones, and what others had to give up for it.
    fn slot(&self, tenant: TenantId) -> Taken {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.tick += 1;
        let Open { slots: open, tick } = &mut *open;
        let tick = *tick;
        if let Some(slot) = open.get_mut(&tenant) {
            (slot.used, slot.is_trimmed) = (tick, false);
            return Taken { file: Arc::clone(&slot.file), evicted: Vec::new(), cooled: None };
        }
        let mut evicted = Vec::new();
        while open.len() >= self.limit {
            let idle = open
                .iter()
                .filter(|(id, slot)| **id != TenantId::PLATFORM && slot.is_idle())
                .min_by_key(|(_, slot)| slot.used)
                .map(|(id, _)| *id);
            let Some(idle) = idle else { break };
            evicted.extend(open.remove(&idle));
        }
        let cooled = (open.len() >= WARM)
            .then(|| {
                open.iter_mut()
                    .filter(|(id, slot)| **id != TenantId::PLATFORM && !slot.is_trimmed)
                    .min_by_key(|(_, slot)| slot.used)
            })
            .flatten()
            .and_then(|(_, slot)| {
                slot.is_trimmed = true;
                slot.file.get().cloned()
            });
        let file = Arc::<tokio::sync::OnceCell<Arc<File>>>::default();
        open.insert(tenant, Slot { file: Arc::clone(&file), used: tick, is_trimmed: false });
        Taken { file, evicted, cooled }
    }

    /// Removes the file of a tenant whose founding was never finished.
    pub(crate) async fn remove(&self, tenant: TenantId) -> Result<(), StoreError> {
        let slot = self.open.lock().unwrap_or_else(PoisonError::into_inner).slots.remove(&tenant);
        let path = self.path(tenant);
        blocking(move || {
            drop(slot);
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                match std::fs::remove_file(&name) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    /// Every tenant that has a file, the platform aside.
    pub(crate) async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let folder = self.folder.join("tenants");
        blocking(move || {
            let mut tenants = Vec::new();
            for shard in std::fs::read_dir(folder)? {
                for entry in std::fs::read_dir(shard?.path())? {
                    let name = entry?.file_name();
                    let id = name.to_str().and_then(|name| name.strip_suffix(".db"));
                    tenants.extend(id.and_then(|id| id.parse::<TenantId>().ok()));
                }
            }
            Ok(tenants)
        })
        .await
    }

    /// Tenants with a write-ahead log beside their file: closing a file takes it away.
    pub(crate) async fn not_closed(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut tenants = self.tenants().await?;
        tenants.retain(|tenant| {
            let mut log = self.path(*tenant).into_os_string();
            log.push("-wal");
            Path::new(&log).exists()
        });
        Ok(tenants)
    }

    /// Where a tenant's rows are.
    pub(crate) fn path(&self, tenant: TenantId) -> PathBuf {
        self.folder.join(tenant_path(tenant))
    }

    /// Closes every file, checkpointing it.
    pub(crate) async fn close(&self) {
        let slots = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::task::spawn_blocking(move || drop(slots)).await;
    }
}

/// A place among the open files.
struct Taken {
    file: Arc<tokio::sync::OnceCell<Arc<File>>>,
    /// Those that are to be closed for it.
    evicted: Vec<Slot>,
    /// The one that is to let go of its caches.
    cooled: Option<Arc<File>>,
}

impl Slot {
    /// Whether nobody but this cache holds the file.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.file) == 1
            && self.file.get().is_some_and(|file| Arc::strong_count(file) == 1 && file.is_idle())
    }
}

/// Where a tenant's rows are, below a data folder. Tenants are spread over 256 folders by the last byte of their id.
pub fn tenant_path(tenant: TenantId) -> PathBuf {
    if tenant == TenantId::PLATFORM {
        return "platform.db".into();
    }
    let [.., last] = tenant.as_bytes();
    Path::new("tenants").join(format!("{last:02x}")).join(format!("{tenant}.db"))
}

/// Runs what waits for the disk on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Engine(format!("a database task ended early: {error}"))),
    }
}

/// Makes a folder that only its owner can enter, and makes its entry durable.
pub(crate) fn make_private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
