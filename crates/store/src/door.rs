// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opening a store, and the door to its transactions.

use std::path::PathBuf;
use std::sync::Arc;

use crate::news::{IsNews, News};
use crate::postgres::{Address, Postgres};
use crate::record::Entry;
use crate::sequencer::Backlog;
use crate::sqlite::{Sqlite, SqliteReader, SqliteWriter};
use crate::{Clock, Migration, OpenError, ReadTx, StoreError, TenantId, Undecided, WriteTx};

/// Which engine, and where.
#[derive(Clone, Debug)]
pub enum Engine {
    /// The embedded engine: SQLite files in a folder.
    Sqlite {
        /// The data folder; made when it is not there.
        folder: PathBuf,
        /// How many tenants' files are open at once, the least recently used closing first. Each takes about 300 KiB
        /// and six file descriptors.
        open_files: usize,
    },
    /// PostgreSQL 15 or newer.
    Postgres {
        /// The login role's address. It owns nothing and cannot bypass row-level security.
        url: String,
        /// The owner role's address: with it, migrations are applied at start.
        migration_url: Option<String>,
        /// The most connections that are open at once.
        connections: usize,
    },
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which engine, and where.
    pub engine: Engine,
}

/// An open store, for what needs no transaction. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<EngineHandle>,
    clock: Arc<dyn Clock>,
    pub(crate) backlog: Arc<Backlog>,
}

enum EngineHandle {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// The one way to a transaction. Whoever holds it decides who enters: it cannot be cloned.
///
/// ```compile_fail
/// fn two(door: store::Door) -> (store::Door, store::Door) {
///     (door.clone(), door) // error: a door cannot be copied
/// }
/// ```
pub struct Door(Store);

impl Store {
    /// Opens the engine and brings the platform's database to this release. `rooms` are the migrations of each room,
    /// in the order in which they build on one another; the store's own come first.
    pub async fn open(
        config: &Config,
        rooms: &[&[Migration]],
        clock: Arc<dyn Clock>,
    ) -> Result<(Store, Door), OpenError> {
        let migrations = Self::migrations(rooms);
        let engine = match &config.engine {
            Engine::Sqlite { folder, open_files } => {
                EngineHandle::Sqlite(Sqlite::open(folder, migrations, *open_files).await?)
            }
            Engine::Postgres { url, migration_url, connections } => {
                let address = Address {
                    url: url.clone(),
                    migration_url: migration_url.clone(),
                    connections: *connections,
                };
                EngineHandle::Postgres(Postgres::open(&address, &migrations).await?)
            }
        };
        let store = Store { engine: Arc::new(engine), clock, backlog: Arc::default() };
        Ok((store.clone(), Door(store)))
    }

    /// Brings a PostgreSQL database to this release as its owner role, giving the login role its rights.
    pub async fn migrate(owner_url: &str, login_url: &str, rooms: &[&[Migration]]) -> Result<(), OpenError> {
        crate::postgres::migrate(owner_url, login_url, &Self::migrations(rooms)).await
    }

    /// Whether PostgreSQL can be reached at this address, by a role that the server may use; and how many migrations it lacks.
    pub async fn judge(login_url: &str, rooms: &[&[Migration]]) -> Result<usize, OpenError> {
        crate::postgres::judge(login_url, &Self::migrations(rooms)).await
    }

    fn migrations(rooms: &[&[Migration]]) -> Vec<Migration> {
        crate::record::MIGRATIONS.iter().chain(rooms.iter().copied().flatten()).copied().collect()
    }

    /// The clock that transactions take their time from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether the database answers.
    pub async fn is_ready(&self) -> Result<(), StoreError> {
        let mut tx = self.begin_read(TenantId::PLATFORM).await?;
        tx.query_one::<(i64,)>("SELECT count(*) FROM checkpoint WHERE size < 0", &[]).await.map(|_| ())
    }

    /// Every tenant that has a file of its own; `None` on PostgreSQL, where the directory knows.
    pub async fn tenant_files(&self) -> Result<Option<Vec<TenantId>>, StoreError> {
        match &*self.engine {
            EngineHandle::Sqlite(sqlite) => sqlite.tenants().await.map(Some),
            EngineHandle::Postgres(_) => Ok(None),
        }
    }

    /// Tenants whose files were not closed in order when the process before this one ended; `None` on PostgreSQL.
    pub async fn not_closed(&self) -> Result<Option<Vec<TenantId>>, StoreError> {
        match &*self.engine {
            EngineHandle::Sqlite(sqlite) => sqlite.not_closed().await.map(Some),
            EngineHandle::Postgres(_) => Ok(None),
        }
    }

    /// The path of a tenant's file; `None` on PostgreSQL.
    pub fn tenant_file(&self, tenant: TenantId) -> Option<PathBuf> {
        match &*self.engine {
            EngineHandle::Sqlite(sqlite) => Some(sqlite.path(tenant)),
            EngineHandle::Postgres(_) => None,
        }
    }

    /// Says which records are [`News`]. Once, before the first transaction.
    pub fn announce(&self, is_news: IsNews) {
        self.backlog.announcer.announce(is_news);
    }

    /// Hears news from now on, whichever process committed them, as long as this one [listens](Self::listen).
    pub fn hear(&self) -> tokio::sync::broadcast::Receiver<News> {
        self.backlog.announcer.hear()
    }

    /// Whether nothing is heard now.
    pub fn is_deaf(&self) -> bool {
        self.backlog.announcer.is_deaf()
    }

    /// Listens to what other processes commit, until it is dropped. On SQLite there are none.
    pub async fn listen(&self) {
        match &*self.engine {
            EngineHandle::Sqlite(_) => std::future::pending().await,
            EngineHandle::Postgres(postgres) => postgres.listen(&self.backlog.announcer).await,
        }
    }

    /// Closes what is open. Transactions that are under way fail.
    pub async fn close(&self) {
        match &*self.engine {
            EngineHandle::Sqlite(sqlite) => sqlite.close().await,
            EngineHandle::Postgres(postgres) => postgres.close(),
        }
    }

    pub(crate) async fn begin_read(&self, tenant: TenantId) -> Result<ReadTx, StoreError> {
        match &*self.engine {
            EngineHandle::Sqlite(sqlite) => {
                let reader = SqliteReader::begin(sqlite.file(tenant).await?).await?;
                Ok(ReadTx::sqlite(tenant, self.clock.now_ms(), reader))
            }
            EngineHandle::Postgres(postgres) => {
                Ok(ReadTx::postgres(tenant, self.clock.now_ms(), postgres.begin(tenant, true).await?))
            }
        }
    }

    pub(crate) async fn begin_write(&self, tenant: TenantId, entry: Entry) -> Result<WriteTx, StoreError> {
        let backlog = Arc::clone(&self.backlog);
        match &*self.engine {
            EngineHandle::Sqlite(sqlite) => {
                let writer = SqliteWriter::begin(sqlite.file(tenant).await?).await?;
                Ok(WriteTx::sqlite(tenant, self.clock.now_ms(), writer, entry, backlog))
            }
            EngineHandle::Postgres(postgres) => {
                let view =
                    ReadTx::postgres(tenant, self.clock.now_ms(), postgres.begin(tenant, false).await?);
                Ok(WriteTx::postgres(view, entry, backlog))
            }
        }
    }
}

impl Door {
    /// A view of the tenant's rows.
    pub async fn read(&self, tenant: TenantId) -> Result<ReadTx, StoreError> {
        self.0.begin_read(tenant).await
    }

    /// A transaction on the tenant's rows, by whom and for what `entry` says.
    pub async fn write(&self, tenant: TenantId, entry: Entry) -> Result<WriteTx, StoreError> {
        self.0.begin_write(tenant, entry).await
    }

    /// A transaction on the tenant's rows for a decision that depends on them.
    pub async fn begin(&self, tenant: TenantId) -> Result<Undecided, StoreError> {
        self.0.begin_write(tenant, Entry::default()).await.map(Undecided::new)
    }

    /// Makes the place for a new tenant's rows. Does nothing when it is there.
    pub async fn create_tenant(&self, tenant: TenantId) -> Result<(), StoreError> {
        match &*self.0.engine {
            EngineHandle::Sqlite(sqlite) => sqlite.create(tenant).await,
            EngineHandle::Postgres(_) => Ok(()),
        }
    }

    /// Removes the place of a tenant whose founding was never finished. On PostgreSQL it has no rows to remove, since
    /// founding writes them in one transaction.
    pub async fn drop_tenant(&self, tenant: TenantId) -> Result<(), StoreError> {
        match &*self.0.engine {
            EngineHandle::Sqlite(sqlite) => sqlite.remove(tenant).await,
            EngineHandle::Postgres(_) => Ok(()),
        }
    }

    /// The store behind the door.
    pub fn store(&self) -> &Store {
        &self.0
    }
}
