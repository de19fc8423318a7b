// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Transactions on a tenant's file, and how writers share the wait for the disk.
//!
//! Each write transaction is a savepoint inside a *group*. A transaction that is ready releases its
//! savepoint and queues for the file again behind the writers that already wait; whoever comes to the
//! front first commits the whole group, with one `fdatasync`, and the others find it done. A change is
//! acknowledged only after that commit. If the group's commit fails, every member fails.

use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{File, blocking};
use crate::{Param, Row, StoreError};

/// How long a transaction waits for its turn before it answers [`StoreError::Busy`].
const TURN: std::time::Duration = std::time::Duration::from_secs(10);

/// The connection that writes, and the group that is open on it.
pub(crate) struct Writer {
    connection: Connection,
    group: Option<Group>,
}

/// The transactions that will be made durable together; set once the commit has been tried.
type Group = Arc<OnceLock<Result<(), String>>>;

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        Writer { connection, group: None }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.group.is_none()
    }

    /// Joins the open group, or opens one.
    fn join(&mut self) -> Result<(), StoreError> {
        if self.group.is_some() && self.connection.is_autocommit() {
            // A full disk or a failed read ends the engine's transaction behind our back.
            self.settle(Err("the engine gave the group up".into()));
        }
        if self.group.is_none() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.group = Some(Group::default());
        }
        let begun = self.connection.execute_batch("SAVEPOINT change");
        if begun.is_err() {
            self.abandon_if_empty();
        }
        Ok(begun?)
    }

    /// Ends a group that nobody waits for: it holds no change.
    fn abandon_if_empty(&mut self) {
        if self.group.as_ref().is_some_and(|group| Arc::strong_count(group) == 1) {
            let _ = self.connection.execute_batch("ROLLBACK");
            self.settle(Err("rolled back".into()));
        }
    }

    /// Commits the group. Waits for the disk.
    fn commit(&mut self) {
        let outcome = if self.connection.is_autocommit() {
            Err("the engine gave the group up".to_owned())
        } else {
            self.connection.execute_batch("COMMIT").map_err(|error| {
                let _ = self.connection.execute_batch("ROLLBACK");
                error.to_string()
            })
        };
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Result<(), String>) {
        if let Some(group) = self.group.take() {
            let _ = group.set(outcome);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.group.is_some() {
            self.commit();
        }
    }
}

/// A write transaction on a tenant's file.
pub(crate) struct SqliteWriter {
    /// `None` only while the end of the transaction is under way.
    turn: Option<OwnedMutexGuard<Writer>>,
    writer: Arc<Mutex<Writer>>,
    _file: Arc<File>,
}

impl SqliteWriter {
    pub(crate) async fn begin(file: Arc<File>) -> Result<Self, StoreError> {
        let writer = Arc::clone(&file.writer);
        let mut turn = tokio::time::timeout(TURN, Arc::clone(&writer).lock_owned())
            .await
            .map_err(|_| StoreError::Busy)?;
        turn.join()?;
        Ok(SqliteWriter { turn: Some(turn), writer, _file: file })
    }

    pub(crate) fn run(&self, sql: &str, params: &[Param<'_>]) -> Result<(Vec<Row>, u64), StoreError> {
        match &self.turn {
            // A full disk ends the engine's transaction; nothing may then run outside of one.
            Some(turn) if turn.connection.is_autocommit() => Err(StoreError::Full),
            Some(turn) => super::run(&turn.connection, sql, params),
            None => Err(StoreError::Engine("the transaction has ended".into())),
        }
    }

    /// Makes the change durable. Goes on to its end even when the caller stops waiting for it.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let Some(turn) = self.turn.take() else {
            return Err(StoreError::Engine("the transaction has ended".into()));
        };
        if let Err(error) = turn.connection.execute_batch("RELEASE change") {
            self.turn = Some(turn);
            return Err(error.into());
        }
        let Some(group) = turn.group.clone() else {
            return Err(StoreError::Engine("the transaction has no group".into()));
        };
        let writer = Arc::clone(&self.writer);
        // A waiting writer that takes its turn before us joins the group; so queue behind it.
        drop(turn);
        let ended = tokio::spawn(async move {
            let mut turn = writer.lock_owned().await;
            if let Some(outcome) = group.get() {
                return outcome.clone().map_err(commit_failed);
            }
            blocking(move || {
                turn.commit();
                Ok(())
            })
            .await?;
            group
                .get()
                .cloned()
                .unwrap_or_else(|| Err("the group was not committed".into()))
                .map_err(commit_failed)
        });
        match ended.await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Engine(format!("the commit ended early: {error}"))),
        }
    }
}

fn commit_failed(reason: String) -> StoreError {
    if reason.contains("full") { StoreError::Full } else { StoreError::Engine(reason) }
}

impl Drop for SqliteWriter {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        // When the engine has already given the whole group up there is nothing left to undo.
        let _ = turn.connection.execute_batch("ROLLBACK TO change; RELEASE change");
        turn.abandon_if_empty();
    }
}

/// A read transaction on a tenant's file: one consistent view, beside the writer.
pub(crate) struct SqliteReader {
    connection: OwnedMutexGuard<Connection>,
    _file: Arc<File>,
}

impl SqliteReader {
    pub(crate) async fn begin(file: Arc<File>) -> Result<Self, StoreError> {
        let connection = tokio::time::timeout(TURN, Arc::clone(&file.reader).lock_owned())
            .await
            .map_err(|_| StoreError::Busy)?;
        connection.execute_batch("BEGIN DEFERRED")?;
        Ok(SqliteReader { connection, _file: file })
    }

    pub(crate) fn run(&self, sql: &str, params: &[Param<'_>]) -> Result<(Vec<Row>, u64), StoreError> {
        super::run(&self.connection, sql, params)
    }
}

impl Drop for SqliteReader {
    fn drop(&mut self) {
        let _ = self.connection.execute_batch("ROLLBACK");
    }
}
