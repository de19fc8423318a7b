// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Transactions on a tenant's file, and how writers share the wait for the disk.
//!
//! Write transactions of one file form a *group*. The first begins it; each later one is a savepoint in it. A transaction
//! that is ready queues for the file again behind the writers that already wait; whoever comes to the front first commits
//! the whole group, with one `fdatasync`, and the others find it done. Who is alone commits at once. A change is
//! acknowledged only after that commit. If the group's commit fails, every member fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::OwnedMutexGuard;

use super::{File, blocking, statement};
use crate::transaction::Answer;
use crate::{Param, StoreError};

/// How long a transaction waits for its turn before it answers [`StoreError::Busy`].
pub(super) const TURN: Duration = Duration::from_secs(10);

/// A commit that lately took less than this runs where it is asked: handing it to another thread would take longer. A disk
/// that is waited for takes many times as long.
const IN_PLACE: Duration = Duration::from_micros(150);

/// The connection that writes, and the group that is open on it.
pub(crate) struct Writer {
    connection: Connection,
    group: Option<Group>,
    /// What commits took lately: at once as long as a long one, and shorter again after several short ones.
    commits_take: Duration,
}

/// The transactions that will be made durable together; set once the commit has been tried.
type Group = Arc<OnceLock<Result<(), String>>>;

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        Writer { connection, group: None, commits_take: Duration::MAX }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.group.is_none()
    }

    pub(crate) fn trim(&mut self) {
        if self.is_idle() {
            super::file::trim(&self.connection);
        }
    }

    /// Joins the open group, or opens one. Says whether the change is a savepoint in a group of others.
    fn join(&mut self) -> Result<bool, StoreError> {
        if self.group.is_some() && self.connection.is_autocommit() {
            // A full disk or a failed read ends the engine's transaction behind our back.
            self.settle(Err("the engine gave the group up".into()));
        }
        if self.group.is_some() {
            statement::control(&self.connection, "SAVEPOINT change")?;
            return Ok(true);
        }
        statement::control(&self.connection, "BEGIN IMMEDIATE")?;
        self.group = Some(Group::default());
        Ok(false)
    }

    /// Undoes the change that has the turn. When the engine has already given the whole group up there is nothing left to undo.
    fn undo(&mut self, is_nested: bool) {
        if is_nested {
            let _ = statement::control(&self.connection, "ROLLBACK TO change");
            let _ = statement::control(&self.connection, "RELEASE change");
        } else {
            let _ = statement::control(&self.connection, "ROLLBACK");
            self.settle(Err("rolled back".into()));
        }
    }

    /// Commits the group. Waits for the disk.
    fn commit(&mut self) {
        let begun = Instant::now();
        let outcome = if self.connection.is_autocommit() {
            Err("the engine gave the group up".to_owned())
        } else {
            statement::control(&self.connection, "COMMIT").map_err(|error| {
                let _ = statement::control(&self.connection, "ROLLBACK");
                error.to_string()
            })
        };
        let took = begun.elapsed();
        let lately =
            if self.commits_take == Duration::MAX { took } else { (self.commits_take * 7 + took) / 8 };
        self.commits_take = lately.max(took);
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
    is_nested: bool,
    file: Arc<File>,
}

/// Counts one that waits for a file's turn, for as long as it is there.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(all: &'a AtomicUsize) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Waiting(all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SqliteWriter {
    pub(crate) async fn begin(file: Arc<File>) -> Result<Self, StoreError> {
        let mut turn = match Arc::clone(&file.writer).try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _waiting = Waiting::among(&file.waiting);
                tokio::time::timeout(TURN, Arc::clone(&file.writer).lock_owned())
                    .await
                    .map_err(|_| StoreError::Busy)?
            }
        };
        let is_nested = turn.join()?;
        Ok(SqliteWriter { turn: Some(turn), is_nested, file })
    }

    pub(crate) fn run(&self, sql: &str, params: &[Param<'_>]) -> Result<Answer, StoreError> {
        match &self.turn {
            // A full disk ends the engine's transaction; nothing may then run outside of one.
            Some(turn) if turn.connection.is_autocommit() => Err(StoreError::Full),
            Some(turn) => super::run(&turn.connection, sql, params),
            None => Err(StoreError::Engine("the transaction has ended".into())),
        }
    }

    /// Makes the change durable. Goes on to its end even when the caller stops waiting for it.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let Some(mut turn) = self.turn.take() else {
            return Err(StoreError::Engine("the transaction has ended".into()));
        };
        let Some(group) = turn.group.clone() else {
            return Err(StoreError::Engine("the transaction has no group".into()));
        };
        if self.is_nested
            && let Err(error) = statement::control(&turn.connection, "RELEASE change")
        {
            self.turn = Some(turn);
            return Err(error);
        }
        if self.file.waiting.load(Ordering::Relaxed) == 0 {
            // Nobody would join.
            if turn.commits_take < IN_PLACE {
                turn.commit();
            } else {
                // A task of the blocking pool runs to its end, whoever still waits for it.
                blocking(move || {
                    turn.commit();
                    Ok(())
                })
                .await?;
            }
            return outcome(&group);
        }
        let writer = Arc::clone(&self.file.writer);
        // A waiting writer that takes its turn before us joins the group; so queue behind it.
        drop(turn);
        let ended = tokio::spawn(async move {
            let mut turn = writer.lock_owned().await;
            if group.get().is_none() {
                blocking(move || {
                    turn.commit();
                    Ok(())
                })
                .await?;
            }
            outcome(&group)
        });
        match ended.await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Engine(format!("the commit ended early: {error}"))),
        }
    }
}

fn outcome(group: &Group) -> Result<(), StoreError> {
    match group.get() {
        Some(Ok(())) => Ok(()),
        Some(Err(reason)) if reason.contains("full") => Err(StoreError::Full),
        Some(Err(reason)) => Err(StoreError::Engine(reason.clone())),
        None => Err(StoreError::Engine("the group was not committed".into())),
    }
}

impl Drop for SqliteWriter {
    fn drop(&mut self) {
        if let Some(mut turn) = self.turn.take() {
            turn.undo(self.is_nested);
        }
    }
}
