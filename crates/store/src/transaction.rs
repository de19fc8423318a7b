// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Transactions: what a decision opens and a record closes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::postgres::PgTransaction;
use crate::record::{Entry, Record, RecordId};
use crate::sequencer::Backlog;
use crate::sqlite::{SqliteReader, SqliteWriter};
use crate::{FromRow, Param, Row, StoreError, TenantId, params};

/// A consistent view of one tenant's rows.
pub struct ReadTx {
    tenant: TenantId,
    now: i64,
    engine: Engine,
}

#[allow(
    clippy::large_enum_variant,
    reason = "a transaction is moved a few times and lives briefly: a box would cost more"
)]
enum Engine {
    SqliteRead(SqliteReader),
    SqliteWrite(SqliteWriter),
    Postgres(PgTransaction),
}

impl ReadTx {
    pub(crate) fn sqlite(tenant: TenantId, now: i64, reader: SqliteReader) -> Self {
        ReadTx { tenant, now, engine: Engine::SqliteRead(reader) }
    }

    pub(crate) fn postgres(tenant: TenantId, now: i64, transaction: PgTransaction) -> Self {
        ReadTx { tenant, now, engine: Engine::Postgres(transaction) }
    }

    /// Whose rows this transaction sees.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The time at which the transaction began, in milliseconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Runs a statement and reads every row that it returns. `sql` uses `$1`, `$2`, … and never
    /// mentions a tenant.
    pub async fn query<R: FromRow>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Vec<R>, StoreError> {
        self.rows(sql, params).await?.into_iter().map(R::from_row).collect()
    }

    /// Runs a statement and reads its first row, if it returns one.
    pub async fn query_opt<R: FromRow>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Option<R>, StoreError> {
        self.rows(sql, params).await?.into_iter().next().map(R::from_row).transpose()
    }

    /// Runs a statement that always returns a row, and reads it.
    pub async fn query_one<R: FromRow>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<R, StoreError> {
        self.query_opt(sql, params)
            .await?
            .ok_or_else(|| StoreError::Engine("a statement returned no row".into()))
    }

    async fn rows(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        match &self.engine {
            Engine::SqliteRead(reader) => reader.run(sql, params).map(|(rows, _)| rows),
            Engine::SqliteWrite(writer) => writer.run(sql, params).map(|(rows, _)| rows),
            Engine::Postgres(transaction) => transaction.query(sql, params).await,
        }
    }
}

/// A transaction that may change one tenant's rows. It ends with [`WriteTx::commit`], which takes
/// the record of what was done; dropped before that, it is as if it had never been.
///
/// There is no way to a transaction but through a [`crate::Door`], and none to a commit but with a record:
///
/// ```compile_fail
/// async fn quietly(tx: store::WriteTx) {
///     tx.commit().await; // error: this method takes a record
/// }
/// ```
pub struct WriteTx {
    view: ReadTx,
    entry: Entry,
    backlog: Arc<Backlog>,
}

const INSERT_RECORD: &str =
    "INSERT INTO record (id, at, actor, via, action, subject, request, corrects, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const INSERT_UNNUMBERED: &str = "INSERT INTO unnumbered (record) VALUES ($1)";

impl WriteTx {
    pub(crate) fn sqlite(
        tenant: TenantId,
        now: i64,
        writer: SqliteWriter,
        entry: Entry,
        backlog: Arc<Backlog>,
    ) -> Self {
        WriteTx { view: ReadTx { tenant, now, engine: Engine::SqliteWrite(writer) }, entry, backlog }
    }

    pub(crate) fn postgres(view: ReadTx, entry: Entry, backlog: Arc<Backlog>) -> Self {
        WriteTx { view, entry, backlog }
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub async fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        match &self.view.engine {
            Engine::SqliteRead(reader) => reader.run(sql, params).map(|(_, changed)| changed),
            Engine::SqliteWrite(writer) => writer.run(sql, params).map(|(_, changed)| changed),
            Engine::Postgres(transaction) => transaction.execute(sql, params).await,
        }
    }

    /// Makes the changes and their record durable, together. When it fails, neither is there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another transaction changed the same rows first;
    /// [`StoreError::Full`] when the disk is full. After [`StoreError::Unavailable`] it is unknown whether
    /// the commit happened, as with any database.
    pub async fn commit(self, record: Record) -> Result<RecordId, StoreError> {
        let WriteTx { view, entry, backlog } = self;
        let tenant = view.tenant;
        let id = record_id(view.now);
        let insert = params![
            &id,
            view.now,
            &entry.actor,
            &entry.via,
            &entry.action,
            &record.subject,
            &entry.request,
            record.corrects.as_ref(),
            &record.details,
        ];
        match view.engine {
            Engine::SqliteRead(_) => return Err(StoreError::Engine("a view cannot be committed".into())),
            Engine::SqliteWrite(writer) => {
                writer.run(INSERT_RECORD, insert)?;
                writer.run(INSERT_UNNUMBERED, params![&id])?;
                writer.commit().await?;
            }
            Engine::Postgres(transaction) => {
                transaction.commit_with((INSERT_RECORD, insert), (INSERT_UNNUMBERED, params![&id])).await?;
            }
        }
        backlog.add(tenant);
        Ok(id)
    }

    /// Runs a statement once for each list of parameters; on PostgreSQL all of them in flight at once. Returns how many
    /// rows each changed.
    pub async fn execute_each(
        &mut self,
        sql: &'static str,
        each: &[Vec<Param<'_>>],
    ) -> Result<Vec<u64>, StoreError> {
        match &self.view.engine {
            Engine::SqliteRead(_) => Err(StoreError::Engine("a view cannot be changed".into())),
            Engine::SqliteWrite(writer) => {
                each.iter().map(|params| writer.run(sql, params).map(|(_, changed)| changed)).collect()
            }
            Engine::Postgres(transaction) => transaction.execute_each(sql, each).await,
        }
    }

    /// Takes the lock under which a tenant's records are numbered; `false` when another server holds it.
    pub(crate) async fn lock_numbering(&mut self) -> Result<bool, StoreError> {
        match &self.view.engine {
            // The file's writer is the lock.
            Engine::SqliteRead(_) | Engine::SqliteWrite(_) => Ok(true),
            Engine::Postgres(transaction) => transaction.try_lock().await,
        }
    }

    /// Ends the sequencer's own transaction: it only numbers what was recorded before.
    pub(crate) async fn commit_numbering(self) -> Result<(), StoreError> {
        match self.view.engine {
            Engine::SqliteRead(_) => Err(StoreError::Engine("a view cannot be committed".into())),
            Engine::SqliteWrite(writer) => writer.commit().await,
            Engine::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl Deref for WriteTx {
    type Target = ReadTx;

    fn deref(&self) -> &ReadTx {
        &self.view
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut ReadTx {
        &mut self.view
    }
}

/// A UUID version 7 (RFC 9562, section 5.7) of this time.
fn record_id(now_ms: i64) -> RecordId {
    let [r0, r1, r2, r3, r4, r5, _, r7, _, r9, r10, r11, ..] = uuid::Uuid::new_v4().into_bytes();
    let random = [r0, r1, r2, r3, r4, r5, r7, r9, r10, r11];
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now_ms).unwrap_or(0), &random).into_uuid()
}
