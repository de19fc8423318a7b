// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nobody sees or writes another tenant's rows.

use std::sync::Arc;

use store::testing::{TestStore, fresh_database, sqlite};
use store::{Config, Engine, OpenError, Store, SystemClock};
use tokio_postgres::NoTls;

use crate::{NOTES, add_and_commit, stores, tenant, texts};

#[tokio::test]
async fn a_statement_without_a_where_clause_sees_one_tenant() {
    for store in stores().await {
        let (ours, theirs) = (tenant(&store).await, tenant(&store).await);
        add_and_commit(&store, ours, 1, "ours").await;
        add_and_commit(&store, theirs, 1, "theirs").await;
        assert_eq!(texts(&store, ours).await, ["ours"], "{}", store.name);
        assert_eq!(texts(&store, theirs).await, ["theirs"], "{}", store.name);
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let first = sqlite(&[NOTES]).await.unwrap();
    let second = Store::open(&first.config, &[NOTES], Arc::new(SystemClock)).await;
    assert!(matches!(second, Err(OpenError::InUse(_))));
}

/// The login role's own connection, past our code.
async fn as_login_role(store: &TestStore) -> Option<tokio_postgres::Client> {
    let Engine::Postgres { url, .. } = &store.config.engine else { return None };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    Some(client)
}

#[tokio::test]
async fn with_no_tenant_set_every_table_shows_nothing() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "ours").await;
        let Some(client) = as_login_role(&store).await else { continue };
        let tables = client
            .query("SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = 'public'", &[])
            .await
            .unwrap();
        assert!(tables.len() >= 6);
        for table in tables {
            let table: String = table.get(0);
            let count: i64 =
                client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0);
            assert_eq!(count, 0, "{table}");
        }
    }
}

#[tokio::test]
async fn another_tenants_row_cannot_be_written() {
    for store in stores().await {
        let (ours, theirs) = (tenant(&store).await, tenant(&store).await);
        let Some(client) = as_login_role(&store).await else { continue };
        client.batch_execute(&format!("SET bailiwick.tenant = '{}'", ours.uuid())).await.unwrap();
        let insert =
            format!("INSERT INTO note (tenant, id, text) VALUES ('{}', '\\x00', 'x')", theirs.uuid());
        let error = client.batch_execute(&insert).await.unwrap_err();
        assert!(error.as_db_error().unwrap().message().contains("row-level security"), "{error}");
    }
}

#[tokio::test]
async fn a_role_that_could_go_past_the_walls_is_refused() {
    let Ok(superuser) = std::env::var("BAILIWICK_TEST_PG") else { return };
    let (_, owner) = fresh_database(&superuser).await.unwrap();
    // The owner role as login role.
    let config = Config {
        engine: Engine::Postgres { url: owner.clone(), migration_url: Some(owner.clone()), connections: 2 },
    };
    let error = Store::open(&config, &[NOTES], Arc::new(SystemClock)).await.err().unwrap();
    assert!(matches!(&error, OpenError::UnsafeRole { why, .. } if why.contains("owns")), "{error}");
    // A superuser as login role.
    let (client, name) = as_superuser(&superuser, &owner).await;
    client.batch_execute(&format!("CREATE ROLE {name}_root LOGIN SUPERUSER PASSWORD 'root'")).await.unwrap();
    let root = owner.replace("_owner password=owner", "_root password=root");
    let config =
        Config { engine: Engine::Postgres { url: root, migration_url: Some(owner), connections: 2 } };
    let error = Store::open(&config, &[NOTES], Arc::new(SystemClock)).await.err().unwrap();
    assert!(matches!(&error, OpenError::UnsafeRole { why, .. } if why.contains("superuser")), "{error}");
}

/// A superuser's connection to the database of this address, and that database's name.
async fn as_superuser(superuser: &str, url: &str) -> (tokio_postgres::Client, String) {
    let name = url.split("dbname=").nth(1).unwrap().split(' ').next().unwrap();
    let mut config: tokio_postgres::Config = superuser.parse().unwrap();
    let (client, connection) = config.dbname(name).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    (client, name.to_owned())
}

/// A migrated database: as its login role opens it, a superuser's connection, and its name.
async fn migrated(superuser: &str) -> (Config, tokio_postgres::Client, String) {
    let (url, owner) = fresh_database(superuser).await.unwrap();
    let (client, name) = as_superuser(superuser, &url).await;
    let engine = |migration_url| Engine::Postgres { url: url.clone(), migration_url, connections: 2 };
    opened(&Config { engine: engine(Some(owner)) }).await.unwrap();
    (Config { engine: engine(None) }, client, name)
}

async fn opened(config: &Config) -> Result<(), OpenError> {
    let (store, door) = Store::open(config, &[NOTES], Arc::new(SystemClock)).await?;
    drop(door);
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn a_role_with_a_right_too_many_is_refused_and_the_right_is_named() {
    let Ok(superuser) = std::env::var("BAILIWICK_TEST_PG") else { return };
    let (config, client, name) = migrated(&superuser).await;
    let (app, mid) = (format!("{name}_app"), format!("{name}_mid"));
    client.batch_execute(&format!("CREATE ROLE {mid}")).await.unwrap();
    let view = |with: &str| format!("CREATE VIEW shown {with} AS SELECT * FROM note");
    let mut cases = vec![
        granted("UPDATE (details) ON record", &app, "rows of record"),
        granted("UPDATE (tenant) ON leaf", "PUBLIC", "rows of leaf"),
        granted("TRUNCATE ON note", &app, "table note"),
        granted("TRIGGER ON note", &app, "table note"),
        granted("SET ON PARAMETER session_replication_role", &app, "session_replication_role"),
        (
            format!("ALTER ROLE {app} SET session_replication_role = replica"),
            format!("ALTER ROLE {app} RESET session_replication_role"),
            "session_replication_role",
        ),
        (format!("ALTER ROLE {app} CREATEROLE"), format!("ALTER ROLE {app} NOCREATEROLE"), "create roles"),
        (format!("ALTER ROLE {app} REPLICATION"), format!("ALTER ROLE {app} NOREPLICATION"), "replication"),
        (
            format!("ALTER SCHEMA public OWNER TO {app}"),
            "ALTER SCHEMA public OWNER TO pg_database_owner".into(),
            "schema public",
        ),
        (
            format!("{}; GRANT SELECT (text) ON shown TO {app}", view("")),
            "DROP VIEW shown".into(),
            "view shown",
        ),
        (
            format!(
                "{}; CREATE VIEW counted AS SELECT count(*) FROM shown; GRANT SELECT ON counted TO {app}",
                view("WITH (security_invoker)")
            ),
            "DROP VIEW counted, shown".into(),
            "view counted",
        ),
        (
            format!("CREATE MATERIALIZED VIEW kept AS SELECT * FROM note; GRANT SELECT ON kept TO {app}"),
            "DROP MATERIALIZED VIEW kept".into(),
            "view kept",
        ),
        // What it may become without inheriting it.
        (
            format!("ALTER ROLE {app} NOINHERIT; GRANT {mid} TO {app}; GRANT DELETE ON leaf TO {mid}"),
            format!("ALTER ROLE {app} INHERIT; REVOKE {mid} FROM {app}; REVOKE DELETE ON leaf FROM {mid}"),
            "rows of leaf",
        ),
        // What it was before a role was set for it.
        (
            format!("GRANT {mid}, {name}_owner TO {app}; ALTER ROLE {app} SET role = {mid}"),
            format!("ALTER ROLE {app} RESET role; REVOKE {mid}, {name}_owner FROM {app}"),
            "owner of",
        ),
    ];
    for role in [
        "pg_read_all_data",
        "pg_write_all_data",
        "pg_read_server_files",
        "pg_write_server_files",
        "pg_execute_server_program",
    ] {
        cases.push(granted(role, &app, role));
        let through = (
            format!("GRANT {role} TO {mid}; GRANT {mid} TO {app}"),
            format!("REVOKE {role} FROM {mid}; REVOKE {mid} FROM {app}"),
            role,
        );
        cases.push(through);
    }
    for (given, taken, named) in cases {
        client.batch_execute(&given).await.unwrap();
        let error = opened(&config).await.expect_err(&given);
        assert!(
            matches!(&error, OpenError::UnsafeRole { why, .. } if why.contains(named)),
            "{given}: {error}"
        );
        client.batch_execute(&taken).await.unwrap();
    }
    // What gives it nothing of others.
    let harmless = format!(
        "ALTER ROLE {app} CREATEDB; GRANT {mid} TO {app}; CREATE VIEW hidden AS SELECT * FROM note;
         {}; GRANT SELECT ON shown TO {app}",
        view("WITH (security_invoker = on)")
    );
    client.batch_execute(&harmless).await.unwrap();
    opened(&config).await.unwrap();
}

fn granted<'a>(right: &str, role: &str, named: &'a str) -> (String, String, &'a str) {
    (format!("GRANT {right} TO {role}"), format!("REVOKE {right} FROM {role}"), named)
}

#[tokio::test]
async fn a_role_that_may_not_use_the_schema_hears_of_that_and_not_of_migrations() {
    let Ok(superuser) = std::env::var("BAILIWICK_TEST_PG") else { return };
    let (config, client, name) = migrated(&superuser).await;
    client.batch_execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC").await.unwrap();
    let error = opened(&config).await.unwrap_err();
    assert!(matches!(&error, OpenError::LacksSchema(role) if *role == format!("{name}_app")), "{error}");
    // As it says.
    let mended = format!("GRANT USAGE ON SCHEMA public TO \"{name}_app\"");
    assert!(error.to_string().ends_with(&mended), "{error}");
    client.batch_execute(&mended).await.unwrap();
    opened(&config).await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_not_migrated_says_what_to_do() {
    let Ok(superuser) = std::env::var("BAILIWICK_TEST_PG") else { return };
    let (url, _) = fresh_database(&superuser).await.unwrap();
    let config = Config { engine: Engine::Postgres { url, migration_url: None, connections: 2 } };
    let error = Store::open(&config, &[NOTES], Arc::new(SystemClock)).await.err().unwrap();
    assert!(error.to_string().contains("bailiwick migrate"), "{error}");
}

#[tokio::test]
async fn two_servers_that_start_at_once_migrate_once() {
    let Ok(superuser) = std::env::var("BAILIWICK_TEST_PG") else { return };
    let (url, owner) = fresh_database(&superuser).await.unwrap();
    let config = Config { engine: Engine::Postgres { url, migration_url: Some(owner), connections: 2 } };
    let clock = || Arc::new(SystemClock);
    let (one, two) =
        tokio::join!(Store::open(&config, &[NOTES], clock()), Store::open(&config, &[NOTES], clock()));
    assert!(one.is_ok() && two.is_ok());
}
