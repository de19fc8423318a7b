// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One transaction, inside one tenant.
//!
//! Round trips are what a transaction costs here. So it begins with its first statement: `BEGIN`, the tenant and the
//! statement leave in one packet, and so do the last statements and `COMMIT`.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use futures::future::{join3, try_join_all};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::value;
use crate::{Param, Row, StoreError, TenantId};

const SET_TENANT: &str = "SELECT set_config('bailiwick.tenant', $1, true)";

/// A transaction. Dropped without a commit, it is rolled back.
pub(crate) struct PgTransaction {
    client: Option<Object>,
    tenant: String,
    begin: &'static str,
    begun: AtomicBool,
}

impl PgTransaction {
    /// A transaction that will see `tenant`'s rows.
    pub(super) fn new(client: Object, tenant: TenantId, read_only: bool) -> Self {
        let begin = if read_only { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" } else { "BEGIN" };
        PgTransaction {
            client: Some(client),
            tenant: tenant.uuid().to_string(),
            begin,
            begun: AtomicBool::new(false),
        }
    }

    fn client(&self) -> Result<&Object, StoreError> {
        self.client.as_ref().ok_or_else(|| StoreError::Engine("the transaction has ended".into()))
    }

    /// Runs `statement`, beginning the transaction in the same packet when it has not begun.
    async fn first<T>(
        &self,
        client: &Object,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        if self.begun.load(Ordering::Relaxed) {
            return Ok(statement.await?);
        }
        let set = client.prepare_cached(SET_TENANT).await?;
        // From here on there is something to roll back, even when the caller goes away.
        self.begun.store(true, Ordering::Relaxed);
        let params: [&(dyn ToSql + Sync); 1] = [&self.tenant];
        // Polled in this order, so sent in this order: the statement never runs without its tenant.
        let (begun, set, done) =
            join3(client.batch_execute(self.begin), client.query(&set, &params), statement).await;
        begun?;
        set?;
        Ok(done?)
    }

    async fn prepare(&self, sql: &str) -> Result<(&Object, Statement), StoreError> {
        let client = self.client()?;
        Ok((client, client.prepare_cached(sql).await?))
    }

    pub(crate) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let (client, statement) = self.prepare(sql).await?;
        let rows = self.first(client, client.query(&statement, &dynamic(params))).await?;
        rows.iter().map(value::row).collect()
    }

    pub(crate) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let (client, statement) = self.prepare(sql).await?;
        self.first(client, client.execute(&statement, &dynamic(params))).await
    }

    /// Runs a statement once for each list of parameters, all in flight at once. Returns how many rows each changed.
    pub(crate) async fn execute_each(
        &self,
        sql: &str,
        each: &[Vec<Param<'_>>],
    ) -> Result<Vec<u64>, StoreError> {
        let (client, statement) = self.prepare(sql).await?;
        let each: Vec<_> = each.iter().map(|params| dynamic(params)).collect();
        let all = try_join_all(each.iter().map(|params| client.execute(&statement, params)));
        self.first(client, all).await
    }

    /// Takes a lock on the tenant that ends with the transaction; `false` when another one has it.
    pub(crate) async fn try_lock(&self) -> Result<bool, StoreError> {
        let (client, statement) =
            self.prepare("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))").await?;
        let params: [&(dyn ToSql + Sync); 1] = [&self.tenant];
        Ok(self.first(client, client.query_one(&statement, &params)).await?.try_get(0)?)
    }

    /// Runs two last statements and `COMMIT`, all in one packet.
    pub(crate) async fn commit_with(
        mut self,
        first: (&str, &[Param<'_>]),
        second: (&str, &[Param<'_>]),
    ) -> Result<(), StoreError> {
        {
            let (client, one) = self.prepare(first.0).await?;
            let (_, two) = self.prepare(second.0).await?;
            let (one_params, two_params) = (dynamic(first.1), dynamic(second.1));
            let last = async {
                let (one, two, committed) = join3(
                    client.execute(&one, &one_params),
                    client.execute(&two, &two_params),
                    client.batch_execute("COMMIT"),
                )
                .await;
                // After a failed statement COMMIT rolls back without an error: the statements decide.
                one.and(two).and(committed)
            };
            self.first(client, last).await?;
        }
        self.client = None;
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if self.begun.load(Ordering::Relaxed) {
            self.client()?.batch_execute("COMMIT").await?;
        }
        self.client = None;
        Ok(())
    }
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

fn dynamic<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}
