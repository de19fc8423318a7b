// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Transactions: what a decision opens and a record closes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::news::{Committed, NOTIFY, News};
use crate::postgres::PgTransaction;
use crate::record::{Entry, MAX_DETAILS, Record, RecordId, header_of, leaf_of};
use crate::sequencer::{Backlog, Folded};
use crate::sqlite::{SqliteReader, SqliteWriter};
use crate::{FromRow, Param, Row, StoreError, TenantId, params};

/// A statement and its parameters, `$1` the first. It never mentions a tenant.
pub type Sql<'a> = (&'static str, &'a [Param<'a>]);

/// What a statement answered.
#[derive(Debug)]
pub struct Answer {
    pub(crate) rows: Vec<Row>,
    pub(crate) changed: u64,
}

impl Answer {
    /// The rows that it returned.
    pub fn rows<R: FromRow>(self) -> Result<Vec<R>, StoreError> {
        self.rows.into_iter().map(R::from_row).collect()
    }

    /// The first row, if it returned one.
    pub fn first<R: FromRow>(self) -> Result<Option<R>, StoreError> {
        self.rows.into_iter().next().map(R::from_row).transpose()
    }

    /// How many rows it changed.
    pub fn changed(&self) -> u64 {
        self.changed
    }
}

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

    /// The view for one look: one statement, or several [`together`](Self::together). On PostgreSQL it then ends with that
    /// look, in the same packet.
    #[must_use]
    pub fn once(self) -> Self {
        let ReadTx { tenant, now, engine } = self;
        let engine = match engine {
            Engine::Postgres(transaction) => Engine::Postgres(transaction.once()),
            engine => engine,
        };
        ReadTx { tenant, now, engine }
    }

    /// Runs a statement and reads every row that it returns. `sql` uses `$1`, `$2`, … and never
    /// mentions a tenant.
    pub async fn query<R: FromRow>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Vec<R>, StoreError> {
        self.run(sql, params).await?.rows()
    }

    /// Runs a statement and reads its first row, if it returns one.
    pub async fn query_opt<R: FromRow>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Option<R>, StoreError> {
        self.run(sql, params).await?.first()
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

    /// Runs statements that do not need one another's answers, one after the other; on PostgreSQL that is one round trip for
    /// all. Each sees what those before it did. When one fails, those after it do nothing, and the transaction can only be
    /// dropped.
    pub async fn together<const N: usize>(
        &mut self,
        statements: [Sql<'_>; N],
    ) -> Result<[Answer; N], StoreError> {
        let unanswered = |_| StoreError::Engine("a statement was not answered".into());
        <[Answer; N]>::try_from(self.run_all(&statements).await?).map_err(unanswered)
    }

    async fn run_all(&mut self, statements: &[Sql<'_>]) -> Result<Vec<Answer>, StoreError> {
        match &mut self.engine {
            Engine::SqliteRead(reader) => {
                statements.iter().map(|(sql, params)| reader.run(sql, params)).collect()
            }
            Engine::SqliteWrite(writer) => {
                statements.iter().map(|(sql, params)| writer.run(sql, params)).collect()
            }
            Engine::Postgres(transaction) => transaction.run(statements).await,
        }
    }

    async fn run(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Answer, StoreError> {
        let [answer] = self.together([(sql, params)]).await?;
        Ok(answer)
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
    record: RecordId,
    entry: Entry,
    backlog: Arc<Backlog>,
}

const INSERT_RECORD: &str =
    "INSERT INTO record (id, at, actor, via, action, subject, request, corrects, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const INSERT_UNNUMBERED: &str = "INSERT INTO unnumbered (record, leaf) VALUES ($1, $2)";

/// Both in one statement, which only PostgreSQL has.
const INSERT_BOTH: &str = "WITH written AS (
       INSERT INTO record (id, at, actor, via, action, subject, request, corrects, details)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9))
     INSERT INTO unnumbered (record, leaf) VALUES ($1, $10)";

/// A transaction that nobody may write with yet: what the decision itself reads is read in it. From [`Door::begin`](crate::Door::begin).
pub struct Undecided(WriteTx);

impl Undecided {
    pub(crate) fn new(tx: WriteTx) -> Self {
        Undecided(tx)
    }

    /// The transaction, by whom and for what `entry` says.
    pub fn admit(self, entry: Entry) -> WriteTx {
        WriteTx { entry, ..self.0 }
    }
}

impl Deref for Undecided {
    type Target = ReadTx;

    fn deref(&self) -> &ReadTx {
        &self.0.view
    }
}

impl DerefMut for Undecided {
    fn deref_mut(&mut self) -> &mut ReadTx {
        &mut self.0.view
    }
}

impl WriteTx {
    pub(crate) fn sqlite(
        tenant: TenantId,
        now: i64,
        writer: SqliteWriter,
        entry: Entry,
        backlog: Arc<Backlog>,
    ) -> Self {
        let view = ReadTx { tenant, now, engine: Engine::SqliteWrite(writer) };
        WriteTx { view, record: record_id(now), entry, backlog }
    }

    pub(crate) fn postgres(view: ReadTx, entry: Entry, backlog: Arc<Backlog>) -> Self {
        WriteTx { record: record_id(view.now), view, entry, backlog }
    }

    /// The id that the record of this transaction will have, for rows that name it.
    pub fn record_id(&self) -> RecordId {
        self.record
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub async fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        Ok(self.run(sql, params).await?.changed)
    }

    /// Runs a statement whose outcome decides nothing. On PostgreSQL it leaves with the statements that follow, at the latest
    /// with the record, and when it fails so do they.
    pub async fn defer(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<(), StoreError> {
        match &mut self.view.engine {
            Engine::Postgres(transaction) => transaction.defer((sql, params)),
            Engine::SqliteRead(_) | Engine::SqliteWrite(_) => drop(self.run(sql, params).await?),
        }
        Ok(())
    }

    /// Makes the changes and their record durable, together. When it fails, neither is there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another transaction changed the same rows first;
    /// [`StoreError::Full`] when the disk is full. After [`StoreError::Unavailable`] it is unknown whether
    /// the commit happened, as with any database.
    pub async fn commit(self, record: Record) -> Result<RecordId, StoreError> {
        let WriteTx { view, record: id, entry, backlog } = self;
        let tenant = view.tenant;
        let Record { subject, details, corrects } = record;
        if details.len() > MAX_DETAILS {
            let why = format!("a record's details have {} bytes, of at most {MAX_DETAILS}", details.len());
            return Err(StoreError::Engine(why));
        }
        let header = header_of(tenant, id, view.now, entry, subject, corrects);
        // What the log will commit to is settled here, in the transaction that it is about.
        let leaf = leaf_of(&header, &details)?;
        let insert = params![
            &id,
            view.now,
            &header.actor,
            &header.via,
            &header.action,
            &header.subject,
            &header.request,
            header.corrects.as_ref(),
            &details,
            leaf.as_bytes(),
        ];
        let news = backlog.announcer.is_news(&header.action, &header.subject).then(|| Committed {
            tenant,
            actor: header.actor.clone(),
            action: header.action.clone(),
            subject: header.subject.clone(),
        });
        match view.engine {
            Engine::SqliteRead(_) => return Err(StoreError::Engine("a view cannot be committed".into())),
            Engine::SqliteWrite(writer) => {
                writer.run(INSERT_RECORD, insert)?;
                writer.run(INSERT_UNNUMBERED, params![&id, leaf.as_bytes()])?;
                match news {
                    None => writer.commit().await?,
                    Some(news) => commit_and_tell(writer, news, Arc::clone(&backlog)).await?,
                }
            }
            Engine::Postgres(mut transaction) => {
                if let Some(news) = news {
                    transaction.defer((NOTIFY, params![&news.to_text()]));
                }
                transaction.commit_with((INSERT_BOTH, insert)).await?;
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
        let statements: Vec<Sql<'_>> = each.iter().map(|params| (sql, params.as_slice())).collect();
        let answers = self.view.run_all(&statements).await?;
        Ok(answers.iter().map(Answer::changed).collect())
    }

    /// Takes the lock under which a tenant's records are numbered and then reads; `None` when another server has the lock.
    pub(crate) async fn begin_numbering(
        &mut self,
        reads: [Sql<'_>; 2],
    ) -> Result<Option<[Answer; 2]>, StoreError> {
        match &mut self.view.engine {
            // The file's writer is the lock.
            Engine::SqliteRead(_) | Engine::SqliteWrite(_) => self.together(reads).await.map(Some),
            Engine::Postgres(transaction) => transaction.begin_numbering(reads).await,
        }
    }

    /// Ends the sequencer's own transaction: it only numbers what was recorded before.
    pub(crate) async fn end_numbering(self, folded: &Folded, checkpoint: Sql<'_>) -> Result<(), StoreError> {
        match self.view.engine {
            Engine::SqliteRead(_) => Err(StoreError::Engine("a view cannot be committed".into())),
            Engine::SqliteWrite(writer) => {
                for leaf in &folded.leaves {
                    writer.run(INSERT_LEAF, params![leaf.number, &leaf.record, &leaf.hash])?;
                    writer.run(DEQUEUE, params![&leaf.record])?;
                }
                for node in &folded.nodes {
                    writer.run(INSERT_SUBTREE, params![node.level, node.number, &node.hash])?;
                }
                writer.run(checkpoint.0, checkpoint.1)?;
                writer.commit().await
            }
            Engine::Postgres(transaction) => transaction.end_numbering(folded, checkpoint).await,
        }
    }
}

/// To its end, even when whoever asked for the change leaves: what is durable is told.
async fn commit_and_tell(
    writer: SqliteWriter,
    news: Committed,
    backlog: Arc<Backlog>,
) -> Result<(), StoreError> {
    let committed = tokio::spawn(async move {
        writer.commit().await?;
        backlog.announcer.tell(News::Committed(news));
        Ok(())
    });
    committed.await.unwrap_or_else(|error| Err(StoreError::Engine(error.to_string())))
}

const INSERT_LEAF: &str = "INSERT INTO leaf (number, record, hash) VALUES ($1, $2, $3)";
const INSERT_SUBTREE: &str = "INSERT INTO subtree (level, number, hash) VALUES ($1, $2, $3)";
const DEQUEUE: &str = "DELETE FROM unnumbered WHERE record = $1";

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
