// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong between a statement and the disk.

use std::path::PathBuf;

/// Why a store could not be opened. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process holds the data folder.
    #[error("the data folder {0} is in use by another server; stop it first, or choose another folder")]
    InUse(PathBuf),
    /// The data folder cannot be made, read or written.
    #[error("the data folder {path} cannot be used: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The database address cannot be understood.
    #[error("the database address is not usable: {0}")]
    Address(String),
    /// The login role could read across tenants or rewrite history.
    #[error("the database role {role:?} must not be used by the server: {why}")]
    UnsafeRole {
        /// The role that the server logged in as.
        role: String,
        /// What it could do.
        why: String,
    },
    /// The login role lacks rights.
    #[error(
        "the database role {role:?} may not use the table {table}; run `bailiwick migrate` with the owner role's address, \
         which gives it its rights"
    )]
    LacksRights {
        /// The role that the server logged in as.
        role: String,
        /// The first table of those that it may not use.
        table: String,
    },
    /// The login role may not look into the schema that the tables are in, so that none is there for it.
    #[error(
        "the database role {0:?} may not use the schema public; as the owner role, run: GRANT USAGE ON SCHEMA public TO {0:?}"
    )]
    LacksSchema(String),
    /// The database lacks migrations and this process may not apply them.
    #[error("the database lacks {0} migration(s); run `bailiwick migrate` with the owner role's address")]
    NotMigrated(usize),
    /// The database was migrated by a newer release.
    #[error("the database has migration {0:?}, which this release does not know; use the newer release")]
    Newer(String),
    /// The server's PostgreSQL is too old.
    #[error("PostgreSQL 15 or newer is needed; this is {0}")]
    TooOld(String),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a transaction or a statement in it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such tenant on this engine.
    #[error("no such tenant")]
    NoTenant,
    /// A key is taken, or another transaction changed the same rows first.
    #[error("the row conflicts with another: {0}")]
    Conflict(String),
    /// The transaction could not start within its bound; try again.
    #[error("the database is busy")]
    Busy,
    /// The disk (or the quota of the database) is full.
    #[error("the disk is full: nothing was written")]
    Full,
    /// The database file is damaged.
    #[error("the database file {0} is damaged; restore it from a backup")]
    Corrupt(String),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The engine refused the statement: a right is missing or a trigger said no.
    #[error("the database refused: {0}")]
    Refused(String),
    /// A returned column is not what the code expects.
    #[error("column {column} is not {expected}")]
    Shape {
        /// The column's place, from 0.
        column: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// Anything else, as the engine says it.
    #[error("database: {0}")]
    Engine(String),
    /// The operating system failed us.
    #[error("input/output: {0}")]
    Io(#[from] std::io::Error),
}

impl StoreError {
    /// Whether the same call may succeed when it is simply made again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::ConstraintViolation) => {
                let text = error.to_string();
                if text.contains("append-only") { Self::Refused(text) } else { Self::Conflict(text) }
            }
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy,
            Some(Code::DiskFull) => Self::Full,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Corrupt(error.to_string()),
            Some(Code::AuthorizationForStatementDenied | Code::ReadOnly) => Self::Refused(error.to_string()),
            _ => Self::Engine(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState as State;
        let Some(db) = error.as_db_error() else {
            return Self::Unavailable(with_causes(&error));
        };
        let text = db.message().to_owned();
        match db.code() {
            code if *code == State::UNIQUE_VIOLATION
                || *code == State::T_R_SERIALIZATION_FAILURE
                || *code == State::T_R_DEADLOCK_DETECTED
                || *code == State::FOREIGN_KEY_VIOLATION =>
            {
                Self::Conflict(text)
            }
            code if *code == State::INSUFFICIENT_PRIVILEGE || *code == State::RAISE_EXCEPTION => {
                Self::Refused(text)
            }
            code if *code == State::DISK_FULL => Self::Full,
            code if *code == State::DATA_CORRUPTED || *code == State::INDEX_CORRUPTED => Self::Corrupt(text),
            code if *code == State::ADMIN_SHUTDOWN
                || *code == State::CRASH_SHUTDOWN
                || *code == State::CANNOT_CONNECT_NOW
                || *code == State::TOO_MANY_CONNECTIONS =>
            {
                Self::Unavailable(text)
            }
            _ => Self::Engine(text),
        }
    }
}

/// What an error says, and what caused it: who cannot connect is told no more than that, and the reason is behind it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut said, mut cause) = (error.to_string(), error.source());
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = inner.source();
    }
    said
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Timeout(_) => Self::Busy,
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
