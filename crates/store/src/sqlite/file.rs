// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One tenant's file: how it is opened, guarded and brought up to date.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, Authorization};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Mutex;

use super::make_private_folder;
use super::readers::Readers;
use super::writer::Writer;
use crate::{Migration, StoreError};

/// An open file: one connection that writes, and those that read beside it.
pub(crate) struct File {
    pub(crate) writer: Arc<Mutex<Writer>>,
    /// How many wait for the writer's turn.
    pub(crate) waiting: AtomicUsize,
    pub(crate) readers: Readers,
}

/// Tables that nothing may change or remove from, whatever SQL arrives.
const HISTORY: [&str; 4] = ["record", "leaf", "subtree", "checkpoint"];

impl File {
    /// Opens the file and applies the migrations that it lacks. Waits for the disk.
    pub(crate) fn open(path: &Path, migrations: &[Migration], make: bool) -> Result<File, StoreError> {
        if make {
            if let Some(folder) = path.parent() {
                make_private_folder(folder)?;
            }
        } else if !path.exists() {
            return Err(StoreError::NoTenant);
        }
        // The directory is opened so, once at each start, and it is there already: damage is told now rather than when a page is
        // needed.
        let checked = make && path.metadata().is_ok_and(|file| (1..=CHECKED).contains(&file.len()));
        let mut writer = Self::connect(path, make).map_err(|error| Self::named(path, error))?;
        if checked {
            check(&writer).map_err(|error| Self::named(path, error))?;
        }
        migrate(&writer, migrations).map_err(|error| Self::named(path, error))?;
        guard(&mut writer)?;
        Ok(File {
            writer: Arc::new(Mutex::new(Writer::new(writer))),
            waiting: AtomicUsize::new(0),
            readers: Readers::open(path)?,
        })
    }

    fn connect(path: &Path, make: bool) -> Result<Connection, StoreError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if make {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
            make_private_file(path)?;
        }
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Without this, INSERT OR REPLACE goes past the triggers that refuse DELETE.
        connection.pragma_update(None, "recursive_triggers", true)?;
        // What is removed is overwritten: keys that were shredded are gone from free pages too.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // 64 pages: a few hundred files are open at once.
        connection.pragma_update(None, "cache_size", -256)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        // Else what stands beside a partial index is planned anew with each value that is bound, which takes longer than running it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    }

    /// Lets go of cached pages and prepared statements, where nobody is at work.
    pub(crate) fn trim(&self) {
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.trim();
        }
        self.readers.trim();
    }

    /// Whether no transaction is open on the file.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.writer) == 1
            && self.readers.are_idle()
            && self.writer.try_lock().is_ok_and(|writer| writer.is_idle())
    }

    fn named(path: &Path, error: StoreError) -> StoreError {
        match error {
            StoreError::Corrupt(_) => StoreError::Corrupt(path.display().to_string()),
            other => other,
        }
    }
}

/// Opens a connection that only reads. Waits for the disk.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let mut reader = File::connect(path, false).map_err(|error| File::named(path, error))?;
    reader.pragma_update(None, "query_only", true)?;
    guard(&mut reader)?;
    Ok(reader)
}

/// The largest file that is read through when it is opened to be kept, in bytes: a fraction of a second.
const CHECKED: u64 = 64 << 20;

fn check(connection: &Connection) -> Result<(), StoreError> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Corrupt(said)) }
}

pub(super) fn trim(connection: &Connection) {
    connection.flush_prepared_statement_cache();
    let _ = connection.release_memory();
}

/// Makes the file before SQLite does, so that nobody else can read it even for a moment.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(|_| ())
}

/// Denies, on a connection that is ready to serve, what no operation needs: changes to the history,
/// to the schema, to the settings, and other files.
fn guard(connection: &mut Connection) -> Result<(), StoreError> {
    connection.authorizer(Some(|context: rusqlite::hooks::AuthContext<'_>| match context.action {
        AuthAction::Delete { table_name } | AuthAction::Update { table_name, .. }
            if HISTORY.contains(&table_name) =>
        {
            Authorization::Deny
        }
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }))?;
    Ok(())
}

/// Applies what is missing, each migration in a transaction of its own. `BEGIN IMMEDIATE` lets one
/// process at a time do it.
fn migrate(connection: &Connection, migrations: &[Migration]) -> Result<(), StoreError> {
    if connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'migration'", [], |row| row.get(0))
        == Ok(0_i64)
    {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS migration (name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name)) STRICT;",
        )?;
    }
    let mut applied: Vec<String> = connection
        .prepare("SELECT name FROM migration")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if let Some(unknown) =
        applied.iter().find(|name| migrations.iter().all(|migration| migration.name != **name))
    {
        return Err(StoreError::Refused(format!(
            "it has migration {unknown:?}, which this release does not know; use the newer release"
        )));
    }
    let missing: Vec<_> =
        migrations.iter().filter(|migration| !applied.iter().any(|name| name == migration.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    // All in one transaction: a tenant's file is made whole or not at all, and with one wait for the disk.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = (|| {
        for migration in missing {
            connection.execute_batch(&migration.sqlite())?;
            let number = i64::try_from(applied.len()).unwrap_or(i64::MAX);
            connection
                .execute("INSERT INTO migration (name, number) VALUES (?1, ?2)", (migration.name, number))?;
            applied.push(migration.name.to_owned());
        }
        Ok(())
    })();
    connection.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    result
}

/// Copies a database file as it stands at one moment, also while a server writes to it (SQLite's online backup). Waits
/// for the disk.
pub fn copy_database(from: &Path, to: &Path) -> Result<(), StoreError> {
    if let Some(folder) = to.parent() {
        make_private_folder(folder)?;
    }
    make_private_file(to)?;
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(std::time::Duration::from_secs(10))?;
    let mut target = Connection::open(to)?;
    let backup = rusqlite::backup::Backup::new(&source, &mut target)?;
    backup.run_to_completion(1_024, std::time::Duration::ZERO, None)?;
    drop(backup);
    drop(target);
    std::fs::File::open(to)?.sync_all()?;
    Ok(())
}

/// Reads a copy of a database file, aside from any open store. Waits for the disk.
pub fn read_copy<R: crate::FromRow>(
    copy: &Path,
    sql: &str,
    params: &[crate::Param<'_>],
) -> Result<Vec<R>, StoreError> {
    let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    super::run(&connection, sql, params)?.rows()
}
