// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The connections that read a tenant's file, beside the one that writes: one, and others as long as several read at the same
//! moment.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::file::{self, File};
use super::writer::TURN;
use super::{blocking, statement};
use crate::transaction::Answer;
use crate::{Param, StoreError};

/// So many read one file at the same moment: more than one for each thread that runs requests would wait for one another.
const MOST: usize = 4;

/// Those of one file.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
    most: usize,
}

impl Readers {
    /// Opens the first. Waits for the disk.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let most = available_parallelism().map_or(1, usize::from).min(MOST);
        let first = file::reader(path)?;
        Ok(Readers {
            path: path.to_owned(),
            idle: Mutex::new(vec![first]),
            turns: Arc::new(Semaphore::new(most)),
            most,
        })
    }

    /// Waits for a turn; opens another connection where all are at work.
    async fn take(&self) -> Result<(Connection, OwnedSemaphorePermit), StoreError> {
        let turns = Arc::clone(&self.turns);
        let turn = match Arc::clone(&turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => tokio::time::timeout(TURN, turns.acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(StoreError::Busy)?,
        };
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let path = self.path.clone();
                blocking(move || file::reader(&path)).await?
            }
        };
        Ok((connection, turn))
    }

    /// Whether nobody reads.
    pub(crate) fn are_idle(&self) -> bool {
        self.turns.available_permits() == self.most
    }

    /// Closes all but one of those that are not at work, which lets go of what it cached.
    pub(crate) fn trim(&self) {
        let mut idle = self.idle();
        let kept = idle.len().min(1);
        let others = idle.split_off(kept);
        if let Some(first) = idle.first() {
            file::trim(first);
        }
        drop(idle);
        drop(others);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read transaction on a tenant's file: one consistent view, beside the writer.
pub(crate) struct SqliteReader {
    /// There until it is dropped.
    connection: Option<Connection>,
    file: Arc<File>,
    // Given back after the connection.
    _turn: OwnedSemaphorePermit,
}

impl SqliteReader {
    pub(crate) async fn begin(file: Arc<File>) -> Result<Self, StoreError> {
        let (connection, turn) = file.readers.take().await?;
        let begun = statement::control(&connection, "BEGIN DEFERRED");
        let reader = SqliteReader { connection: Some(connection), file, _turn: turn };
        begun.map(|()| reader)
    }

    pub(crate) fn run(&self, sql: &str, params: &[Param<'_>]) -> Result<Answer, StoreError> {
        let connection = self.connection.as_ref().ok_or(StoreError::Busy)?;
        super::run(connection, sql, params)
    }
}

impl Drop for SqliteReader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = statement::control(&connection, "ROLLBACK");
            self.file.readers.idle().push(connection);
        }
    }
}
