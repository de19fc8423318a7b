// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bringing a PostgreSQL database forward, as its owner role.

use tokio_postgres::{Client, Config, GenericClient};

use crate::schema::POSTGRES_PREAMBLE;
use crate::{Migration, OpenError, StoreError};

/// The lock that lets one server at a time migrate ("bailiwick" in ASCII, cut to 63 bits).
const LOCK: i64 = 0x6261_696c_6977_6963;

/// Applies what is missing, each migration in a transaction of its own.
pub(super) async fn apply(
    owner: &Config,
    login_role: &str,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    if owner.get_user() == Some(login_role) {
        let why = "it owns the tables: the server needs a login role of its own beside the owner role".into();
        return Err(OpenError::UnsafeRole { role: login_role.to_owned(), why });
    }
    let mut client = super::connect(owner).await?;
    let version: String = one(&client, "SHOW server_version_num").await?;
    if version.parse::<u32>().unwrap_or(0) < 150_000 {
        return Err(OpenError::TooOld(version));
    }
    let role = format!("\"{}\"", login_role.replace('"', "\"\""));
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(StoreError::from)?;
    let result = apply_locked(&mut client, &role, migrations).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.map_err(StoreError::from)?;
    result
}

async fn apply_locked(client: &mut Client, role: &str, migrations: &[Migration]) -> Result<(), OpenError> {
    // The list of migrations stands under the platform's tenant: without it set, it shows nothing either.
    client
        .batch_execute("SELECT set_config('bailiwick.tenant', '00000000-0000-0000-0000-000000000000', false)")
        .await
        .map_err(StoreError::from)?;
    let exists: bool = one(client, "SELECT to_regclass('migration') IS NOT NULL").await?;
    if !exists {
        let table = Migration {
            name: "",
            scope: crate::Scope::Platform,
            sql: "CREATE TABLE migration (\n  name TEXT NOT NULL,\n  number INTEGER NOT NULL,\n  PRIMARY KEY (name)\n);\n",
        };
        let text = format!(
            "BEGIN; {POSTGRES_PREAMBLE} {} REVOKE INSERT, UPDATE, DELETE ON migration FROM {role}; COMMIT;",
            table.postgres(role)
        );
        client.batch_execute(&text).await.map_err(StoreError::from)?;
    }
    let applied = applied(client).await?;
    newer(&applied, migrations)?;
    let missing = migrations.iter().filter(|migration| !applied.iter().any(|name| name == migration.name));
    let first = i64::try_from(applied.len()).unwrap_or(i64::MAX);
    for (number, migration) in (first..).zip(missing) {
        let transaction = client.transaction().await.map_err(StoreError::from)?;
        transaction.batch_execute(&migration.postgres(role)).await.map_err(StoreError::from)?;
        transaction
            .execute("INSERT INTO migration (name, number) VALUES ($1, $2)", &[&migration.name, &number])
            .await
            .map_err(StoreError::from)?;
        transaction.commit().await.map_err(StoreError::from)?;
        tracing::info!(migration = migration.name, "migrated");
    }
    // Each time: the login role may be another one than when the tables were made, or the database a restored dump.
    let mut rights = format!("GRANT SELECT ON migration TO {role};\n");
    migrations.iter().for_each(|migration| rights.push_str(&migration.postgres_rights(role)));
    client.batch_execute(&rights).await.map_err(StoreError::from)?;
    Ok(())
}

/// How many migrations the database lacks, as the login role sees it.
pub(super) async fn missing(client: &Client, migrations: &[Migration]) -> Result<usize, OpenError> {
    let exists: bool = one(client, "SELECT to_regclass('migration') IS NOT NULL").await?;
    if !exists {
        return Ok(migrations.len());
    }
    client
        .batch_execute(
            "BEGIN; SELECT set_config('bailiwick.tenant', '00000000-0000-0000-0000-000000000000', true)",
        )
        .await
        .map_err(StoreError::from)?;
    let applied = applied(client).await;
    client.batch_execute("ROLLBACK").await.map_err(StoreError::from)?;
    let applied = applied?;
    newer(&applied, migrations)?;
    Ok(migrations.iter().filter(|migration| !applied.iter().any(|name| name == migration.name)).count())
}

async fn applied(client: &impl GenericClient) -> Result<Vec<String>, StoreError> {
    let rows = client.query("SELECT name FROM migration", &[]).await?;
    rows.iter().map(|row| row.try_get(0).map_err(StoreError::from)).collect()
}

fn newer(applied: &[String], migrations: &[Migration]) -> Result<(), OpenError> {
    match applied.iter().find(|name| migrations.iter().all(|migration| migration.name != **name)) {
        Some(unknown) => Err(OpenError::Newer(unknown.clone())),
        None => Ok(()),
    }
}

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(
    client: &impl GenericClient,
    sql: &str,
) -> Result<T, StoreError> {
    client.query_one(sql, &[]).await?.try_get(0).map_err(StoreError::from)
}
