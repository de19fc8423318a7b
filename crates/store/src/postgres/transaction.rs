// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One transaction, inside one tenant.
//!
//! Round trips are what a transaction costs here, and each message that the server answers by itself. So a transaction
//! begins with its first statements: `BEGIN`, the tenant and the statements leave in one packet, and so do the last
//! statements and `COMMIT`.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use futures::TryStreamExt as _;
use futures::future::{join, join_all};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::value;
use crate::transaction::{Answer, Sql};
use crate::{Param, StoreError, TenantId, Value};

/// A transaction. Dropped without a commit, it is rolled back.
pub(crate) struct PgTransaction {
    client: Option<Object>,
    tenant: TenantId,
    kind: Kind,
    begun: AtomicBool,
    /// What leaves with the next statements, before them.
    deferred: Vec<Deferred>,
}

/// A statement whose outcome nobody waits for, with its parameters.
type Deferred = (&'static str, Vec<Value>);

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Changes.
    Write,
    /// Reads that see the same.
    Read,
    /// What goes in one packet, which ends the transaction too.
    ReadOnce,
    /// Nothing more.
    Ended,
}

impl PgTransaction {
    /// A transaction that will see `tenant`'s rows.
    pub(super) fn new(client: Object, tenant: TenantId, read_only: bool) -> Self {
        let kind = if read_only { Kind::Read } else { Kind::Write };
        let begun = AtomicBool::new(false);
        PgTransaction { client: Some(client), tenant, kind, begun, deferred: Vec::new() }
    }

    /// Lets the next call be the last: the transaction ends in the same packet.
    pub(crate) fn once(mut self) -> Self {
        if self.kind == Kind::Read && !self.begun.load(Ordering::Relaxed) {
            self.kind = Kind::ReadOnce;
        }
        self
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(super) fn client(&self) -> Result<&Object, StoreError> {
        self.client.as_ref().ok_or_else(|| StoreError::Engine("the transaction has ended".into()))
    }

    /// Sends `statements`, beginning the transaction in the same packet when it has not begun.
    pub(super) async fn first<T>(
        &self,
        client: &Object,
        statements: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        if self.begun.load(Ordering::Relaxed) {
            return Ok(statements.await?);
        }
        let begin = match self.kind {
            Kind::Write => "BEGIN",
            Kind::Read | Kind::ReadOnce => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Kind::Ended => return Err(StoreError::Engine("the view was for one look".into())),
        };
        // A UUID's digits and nothing else. The setting ends with the transaction.
        let begin = format!("{begin}; SET LOCAL bailiwick.tenant = '{}'", self.tenant.uuid());
        // From here on there is something to roll back, even when the caller goes away.
        self.begun.store(true, Ordering::Relaxed);
        // Polled in this order, so sent in this order: no statement runs without its tenant. When `BEGIN` fails, so do
        // they: the tables are empty for who has no tenant.
        let (begun, done) = join(client.batch_execute(&begin), statements).await;
        begun?;
        Ok(done?)
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<Statement, StoreError> {
        Ok(self.client()?.prepare_cached(sql).await?)
    }

    /// Lets a statement leave with those that follow.
    pub(crate) fn defer(&mut self, (sql, params): Sql<'_>) {
        self.deferred.push((sql, params.iter().map(|param| param.to_value()).collect()));
    }

    /// Runs statements one after the other, all in one packet. After one that fails nothing more is done.
    pub(crate) async fn run(&mut self, statements: &[Sql<'_>]) -> Result<Vec<Answer>, StoreError> {
        let deferred = std::mem::take(&mut self.deferred);
        if deferred.is_empty() {
            return self.send(statements).await;
        }
        let params = borrowed(&deferred);
        let before = deferred.iter().zip(&params).map(|((sql, _), params)| (*sql, params.as_slice()));
        let all: Vec<Sql<'_>> = before.chain(statements.iter().copied()).collect();
        let mut answers = self.send(&all).await?;
        Ok(answers.split_off(deferred.len()))
    }

    async fn send(&mut self, statements: &[Sql<'_>]) -> Result<Vec<Answer>, StoreError> {
        let client = self.client()?;
        let prepared = self.prepare_each(statements).await?;
        let all = join_all(prepared.iter().map(|(statement, params)| answer(client, statement, params)));
        if self.kind != Kind::ReadOnce {
            // The first error is the reason of those that follow.
            let answered = async { Ok(all.await) };
            return self.first(client, answered).await?.into_iter().collect();
        }
        let answered = async {
            let (answers, ended) = join(all, client.batch_execute("COMMIT")).await;
            ended.map(|()| answers)
        };
        let answers = self.first(client, answered).await?;
        // Nothing is left to roll back.
        self.kind = Kind::Ended;
        self.begun.store(false, Ordering::Relaxed);
        answers.into_iter().collect()
    }

    /// Runs a last statement and `COMMIT`, in one packet.
    pub(crate) async fn commit_with(mut self, last: Sql<'_>) -> Result<(), StoreError> {
        {
            let params = borrowed(&self.deferred);
            let before =
                self.deferred.iter().zip(&params).map(|((sql, _), params)| (*sql, params.as_slice()));
            let statements: Vec<Sql<'_>> = before.chain([last]).collect();
            let client = self.client()?;
            let prepared = self.prepare_each(&statements).await?;
            let all = join_all(prepared.iter().map(|(statement, params)| answer(client, statement, params)));
            let ending = async {
                let (answers, committed) = join(all, client.batch_execute("COMMIT")).await;
                Ok((answers, committed))
            };
            let (answers, committed) = self.first(client, ending).await?;
            // After a failed statement COMMIT rolls back without an error: the statements decide.
            answers.into_iter().collect::<Result<Vec<_>, _>>()?;
            committed?;
        }
        self.client = None;
        Ok(())
    }

    /// Lets the connection go after a commit that somebody else sent.
    pub(super) fn ended(mut self) {
        self.client = None;
    }

    async fn prepare_each<'a>(
        &self,
        statements: &[Sql<'a>],
    ) -> Result<Vec<(Statement, &'a [Param<'a>])>, StoreError> {
        let mut prepared = Vec::with_capacity(statements.len());
        for (sql, params) in statements {
            prepared.push((self.prepare(sql).await?, *params));
        }
        Ok(prepared)
    }
}

async fn answer(client: &Object, statement: &Statement, params: &[Param<'_>]) -> Result<Answer, StoreError> {
    let rows = client.query_raw(statement, dynamic(params)).await?;
    futures::pin_mut!(rows);
    let mut read = Vec::new();
    while let Some(row) = rows.try_next().await? {
        read.push(value::row(&row)?);
    }
    Ok(Answer { rows: read, changed: rows.rows_affected().unwrap_or(0) })
}

impl Drop for PgTransaction {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if !self.begun.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Nobody can roll back for us: the connection goes, and with it what it holds open.
            drop(Object::take(client));
            return;
        };
        runtime.spawn(async move {
            if client.batch_execute("ROLLBACK").await.is_err() {
                drop(Object::take(client));
            }
        });
    }
}

fn borrowed(deferred: &[Deferred]) -> Vec<Vec<Param<'_>>> {
    deferred.iter().map(|(_, values)| values.iter().map(Param::from).collect()).collect()
}

pub(super) fn dynamic<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}
