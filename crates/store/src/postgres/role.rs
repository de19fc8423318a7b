// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Refusing a login role that could go past the walls, or that lacks the rights which a migration gives it.

use crate::{OpenError, StoreError};

/// Each query answers with reasons why the role is unsafe, or with no row.
const CHECKS: [&str; 4] = [
    // Itself, or through a role that it may become.
    "SELECT CASE WHEN rolsuper THEN 'is, or may become, a superuser (' ELSE 'may bypass row-level security (' END || rolname || ')'
       FROM pg_roles WHERE (rolsuper OR rolbypassrls) AND pg_has_role(current_user, oid, 'MEMBER')",
    "SELECT 'owns, or may become the owner of, the table ' || relname
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        AND pg_has_role(current_user, relowner, 'MEMBER')",
    "SELECT 'may change or remove rows of ' || name FROM unnest(ARRAY['record', 'leaf', 'subtree', 'checkpoint']) AS name
      WHERE to_regclass(name) IS NOT NULL AND has_table_privilege(name, 'UPDATE, DELETE, TRUNCATE')",
    "SELECT 'the table ' || relname || ' has no forced row-level security'
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT (relrowsecurity AND relforcerowsecurity)
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant')",
];

/// A table on which the role lacks what [`Migration::postgres_rights`](crate::Migration) gives it.
const LACKING: &str = "SELECT CAST(relname AS text) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant')
       AND NOT (has_table_privilege(oid, 'SELECT')
            AND (relname = 'migration'
              OR has_table_privilege(oid, 'INSERT')
             AND (EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname = relname || '_refuses_change')
               OR has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))))
     ORDER BY 1 LIMIT 1";

/// Fails when the role that `client` logged in as lacks a right on a table of a database that has all migrations.
pub(super) async fn require_rights(client: &tokio_postgres::Client) -> Result<(), OpenError> {
    match client.query_opt(LACKING, &[]).await.map_err(StoreError::from)? {
        Some(row) => {
            let table = row.try_get(0).map_err(StoreError::from)?;
            Err(OpenError::LacksRights { role: current(client).await?, table })
        }
        None => Ok(()),
    }
}

async fn current(client: &tokio_postgres::Client) -> Result<String, StoreError> {
    Ok(client.query_one("SELECT CAST(current_user AS text)", &[]).await?.try_get(0)?)
}

/// Fails when the role that `client` logged in as could read across tenants or rewrite history.
pub(super) async fn check(client: &tokio_postgres::Client) -> Result<(), OpenError> {
    let role = current(client).await?;
    for sql in CHECKS {
        let found = client.query_opt(&format!("{sql} LIMIT 1"), &[]).await.map_err(StoreError::from)?;
        if let Some(row) = found {
            let why: String = row.try_get(0).map_err(StoreError::from)?;
            return Err(OpenError::UnsafeRole { role, why: format!("it {why}") });
        }
    }
    Ok(())
}
