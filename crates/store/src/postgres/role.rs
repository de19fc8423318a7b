// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Refusing a login role that could go past the walls.

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

/// Fails when the role that `client` logged in as could read across tenants or rewrite history.
pub(super) async fn check(client: &tokio_postgres::Client) -> Result<(), OpenError> {
    let role: String = client
        .query_one("SELECT CAST(current_user AS text)", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(StoreError::from)?;
    for sql in CHECKS {
        let found = client.query_opt(&format!("{sql} LIMIT 1"), &[]).await.map_err(StoreError::from)?;
        if let Some(row) = found {
            let why: String = row.try_get(0).map_err(StoreError::from)?;
            return Err(OpenError::UnsafeRole { role, why: format!("it {why}") });
        }
    }
    Ok(())
}
