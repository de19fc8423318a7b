// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Stores for tests: the embedded engine in a temporary folder and, when the environment has
//! `BAILIWICK_TEST_PG` (a superuser's address), a fresh PostgreSQL database with an owner role and a login role.

use std::sync::Arc;

use crate::{Config, Door, Engine, ManualClock, Migration, OpenError, Store};

/// A store on one of the engines, with a clock that tests move.
pub struct TestStore {
    /// `sqlite` or `postgres`.
    pub name: &'static str,
    /// The open store.
    pub store: Store,
    /// Its door.
    pub door: Door,
    /// Its clock, at 2026-01-01 to begin with.
    pub clock: Arc<ManualClock>,
    /// How it was opened: to open it again.
    pub config: Config,
    /// The data folder, also for tests on PostgreSQL that need one.
    pub folder: tempfile::TempDir,
}

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

/// A store on each engine that can run here, with the rooms' migrations applied.
pub async fn engines(rooms: &[&[Migration]]) -> Result<Vec<TestStore>, OpenError> {
    let mut stores = vec![sqlite(rooms).await?];
    if let Ok(superuser) = std::env::var("BAILIWICK_TEST_PG") {
        stores.push(postgres(rooms, &superuser).await?);
    }
    Ok(stores)
}

/// A store on the embedded engine.
pub async fn sqlite(rooms: &[&[Migration]]) -> Result<TestStore, OpenError> {
    let folder = folder()?;
    let config = Config { engine: Engine::Sqlite { folder: folder.path().join("data"), open_files: 16 } };
    open("sqlite", config, folder, rooms).await
}

/// A store on a fresh database of the PostgreSQL server at `superuser`.
pub async fn postgres(rooms: &[&[Migration]], superuser: &str) -> Result<TestStore, OpenError> {
    let (url, migration_url) = fresh_database(superuser).await?;
    let config =
        Config { engine: Engine::Postgres { url, migration_url: Some(migration_url), connections: 8 } };
    open("postgres", config, folder()?, rooms).await
}

/// Makes a database with its two roles; returns the login role's and the owner role's address.
pub async fn fresh_database(superuser: &str) -> Result<(String, String), OpenError> {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let config: tokio_postgres::Config =
        superuser.parse().map_err(|error: tokio_postgres::Error| OpenError::Address(error.to_string()))?;
    let (client, connection) =
        config.connect(tokio_postgres::NoTls).await.map_err(crate::StoreError::from)?;
    tokio::spawn(connection);
    for sql in [
        format!("CREATE ROLE {name}_owner LOGIN PASSWORD 'owner'"),
        format!("CREATE ROLE {name}_app LOGIN PASSWORD 'app'"),
        format!("CREATE DATABASE {name} OWNER {name}_owner"),
    ] {
        client.batch_execute(&sql).await.map_err(crate::StoreError::from)?;
    }
    let place = match (config.get_hosts().first(), config.get_ports().first()) {
        (Some(tokio_postgres::config::Host::Unix(path)), port) => {
            format!("host={} port={}", path.display(), port.unwrap_or(&5432))
        }
        (Some(tokio_postgres::config::Host::Tcp(host)), port) => {
            format!("host={host} port={}", port.unwrap_or(&5432))
        }
        (None, _) => return Err(OpenError::Address("BAILIWICK_TEST_PG names no host".into())),
    };
    Ok((
        format!("{place} dbname={name} user={name}_app password=app"),
        format!("{place} dbname={name} user={name}_owner password=owner"),
    ))
}

fn folder() -> Result<tempfile::TempDir, OpenError> {
    tempfile::tempdir().map_err(|source| OpenError::Folder { path: std::env::temp_dir(), source })
}

async fn open(
    name: &'static str,
    config: Config,
    folder: tempfile::TempDir,
    rooms: &[&[Migration]],
) -> Result<TestStore, OpenError> {
    let clock = Arc::new(ManualClock::at(START));
    let (store, door) = Store::open(&config, rooms, clock.clone()).await?;
    Ok(TestStore { name, store, door, clock, config, folder })
}
