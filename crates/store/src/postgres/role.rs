// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Refusing a login role that could go past the walls, or that lacks the rights which a migration gives it.

use crate::{OpenError, StoreError};

/// Each query answers with reasons why the role is unsafe, or with no row. What a role may become counts as what it is, whether it
/// inherits that or not; and who logged in, since a role that is set at the login can be set back.
const CHECKS: [&str; 7] = [
    "SELECT CASE WHEN rolsuper THEN 'is, or may become, a superuser'
                 WHEN rolbypassrls THEN 'may bypass row-level security'
                 WHEN rolcreaterole THEN 'may create roles, and so give itself others'
                 WHEN rolreplication THEN 'may copy the whole database by replication'
                 ELSE 'has rights to more than its tables' END || ' (' || rolname || ')'
       FROM pg_roles
      WHERE (rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication
         OR rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                        'pg_execute_server_program'))
        AND pg_has_role(session_user, oid, 'MEMBER')
      ORDER BY rolsuper DESC, rolbypassrls DESC",
    // Who owns a schema can drop its tables and make others of their names.
    "SELECT 'owns, or may become the owner of, ' || name
       FROM (SELECT 'the database', datdba FROM pg_database WHERE datname = current_database()
             UNION ALL
             SELECT 'the schema public', nspowner FROM pg_namespace WHERE nspname = 'public'
             UNION ALL
             SELECT 'the table ' || relname, relowner FROM pg_class
              WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')) AS owned (name, owner)
      WHERE pg_has_role(session_user, owner, 'MEMBER')",
    // One column is enough.
    "SELECT 'may change or remove rows of ' || relname FROM pg_class, pg_roles
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND (relname IN ('record', 'leaf', 'subtree', 'checkpoint')
          OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname = relname || '_refuses_change'))
        AND pg_has_role(session_user, pg_roles.oid, 'MEMBER')
        AND (has_any_column_privilege(pg_roles.oid, pg_class.oid, 'UPDATE')
          OR has_table_privilege(pg_roles.oid, pg_class.oid, 'DELETE, TRUNCATE'))",
    // Row-level security is not asked about TRUNCATE, and a trigger runs with the rights of whoever writes, the owner too.
    "SELECT 'may empty the table ' || relname || ' of all tenants, or put triggers on it' FROM pg_class, pg_roles
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND pg_has_role(session_user, pg_roles.oid, 'MEMBER')
        AND has_table_privilege(pg_roles.oid, pg_class.oid, 'TRUNCATE, TRIGGER')",
    "SELECT 'may skip triggers, by session_replication_role' FROM pg_roles
      WHERE pg_has_role(session_user, oid, 'MEMBER')
        AND (has_parameter_privilege(oid, 'session_replication_role', 'SET')
          OR current_setting('session_replication_role') = 'replica')",
    "SELECT 'uses the table ' || relname || ', which has no forced row-level security'
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT (relrowsecurity AND relforcerowsecurity)
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant')",
    // A view reads as its owner does, unless it says that it reads as whoever asks; and views may stand on views.
    "WITH RECURSIVE shows (oid) AS (
         SELECT attrelid FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
          WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant'
         UNION
         SELECT ev_class FROM shows
           JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = shows.oid AND classid = 'pg_rewrite'::regclass
           JOIN pg_rewrite ON pg_rewrite.oid = objid)
     SELECT 'may go past row-level security through the view ' || CAST(CAST(pg_class.oid AS regclass) AS text)
       FROM shows JOIN pg_class USING (oid), pg_roles
      WHERE relkind IN ('v', 'm')
        AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions)
                         WHERE option_name = 'security_invoker' AND CAST(option_value AS boolean))
        AND pg_has_role(session_user, pg_roles.oid, 'MEMBER')
        AND (has_any_column_privilege(pg_roles.oid, pg_class.oid, 'SELECT, INSERT, UPDATE')
          OR has_table_privilege(pg_roles.oid, pg_class.oid, 'DELETE'))",
];

/// Who logged in, where, and whether they may look into the schema: without that no table is there for them.
const LOGIN: &str = "SELECT CAST(session_user AS text), current_setting('server_version_num'),
       has_schema_privilege('public', 'USAGE')";

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
            let (role, ..) = login(client).await?;
            Err(OpenError::LacksRights { role, table })
        }
        None => Ok(()),
    }
}

async fn login(client: &tokio_postgres::Client) -> Result<(String, String, bool), StoreError> {
    let row = client.query_one(LOGIN, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// Fails when the role that `client` logged in as could read across tenants or rewrite history, or sees no table at all.
pub(super) async fn check(client: &tokio_postgres::Client) -> Result<(), OpenError> {
    let (role, version, sees_tables) = login(client).await?;
    // Older ones cannot be asked all of this.
    if version.parse::<u32>().unwrap_or(0) < 150_000 {
        return Err(OpenError::TooOld(version));
    }
    if !sees_tables {
        return Err(OpenError::LacksSchema(role));
    }
    for sql in CHECKS {
        let found = client.query_opt(&format!("{sql} LIMIT 1"), &[]).await.map_err(StoreError::from)?;
        if let Some(row) = found {
            let why: String = row.try_get(0).map_err(StoreError::from)?;
            return Err(OpenError::UnsafeRole { role, why: format!("it {why}") });
        }
    }
    Ok(())
}
