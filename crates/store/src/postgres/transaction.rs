// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One transaction, inside one tenant.

use std::pin::pin;

use deadpool_postgres::Object;
use futures::future::{join, join3};
use tokio_postgres::types::ToSql;

use super::value;
use crate::{Param, Row, StoreError, TenantId};

const SET_TENANT: &str = "SELECT set_config('bailiwick.tenant', $1, true)";

/// An open transaction. Dropped without [`PgTransaction::commit`], it is rolled back.
pub(crate) struct PgTransaction {
    client: Option<Object>,
}

impl PgTransaction {
    /// Opens a transaction that sees `tenant`'s rows. `BEGIN` and the setting leave in one packet.
    pub(super) async fn begin(client: Object, tenant: TenantId, read_only: bool) -> Result<Self, StoreError> {
        let set = client.prepare_cached(SET_TENANT).await?;
        let tenant = tenant.uuid().to_string();
        let begin = if read_only { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" } else { "BEGIN" };
        let transaction = PgTransaction { client: Some(client) };
        {
            let client = transaction.client()?;
            let params: [&(dyn ToSql + Sync); 1] = [&tenant];
            let (begun, set) = join(client.batch_execute(begin), client.query(&set, &params)).await;
            begun?;
            set?;
        }
        Ok(transaction)
    }

    fn client(&self) -> Result<&Object, StoreError> {
        self.client.as_ref().ok_or_else(|| StoreError::Engine("the transaction has ended".into()))
    }

    pub(crate) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        let rows = client.query(&statement, &dynamic(params)).await?;
        rows.iter().map(value::row).collect()
    }

    pub(crate) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.execute(&statement, &dynamic(params)).await?)
    }

    /// Takes a lock on the tenant that ends with the transaction; `false` when another one has it.
    pub(crate) async fn try_lock(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let client = self.client()?;
        let statement =
            client.prepare_cached("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))").await?;
        Ok(client.query_one(&statement, &[&tenant.uuid().to_string()]).await?.try_get(0)?)
    }

    /// Runs two last statements and `COMMIT`, all in one packet.
    pub(crate) async fn commit_with(
        mut self,
        first: (&str, &[Param<'_>]),
        second: (&str, &[Param<'_>]),
    ) -> Result<(), StoreError> {
        {
            let client = self.client()?;
            let one = client.prepare_cached(first.0).await?;
            let two = client.prepare_cached(second.0).await?;
            let (one_params, two_params) = (dynamic(first.1), dynamic(second.1));
            let (one, two, committed) = join3(
                client.execute(&one, &one_params),
                client.execute(&two, &two_params),
                client.batch_execute("COMMIT"),
            )
            .await;
            // After a failed statement COMMIT rolls back without an error: the statements decide.
            one?;
            two?;
            committed?;
        }
        self.client = None;
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.client()?.batch_execute("COMMIT").await?;
        self.client = None;
        Ok(())
    }
}

impl Drop for PgTransaction {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let rolled_back = pin!(client.batch_execute("ROLLBACK")).await;
            if rolled_back.is_err() {
                // Not to be used again: whatever it holds open ends with the connection.
                drop(Object::take(client));
            }
        });
    }
}

fn dynamic<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}
