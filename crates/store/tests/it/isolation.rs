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
    let name = owner.split("dbname=").nth(1).unwrap().split(' ').next().unwrap();
    // A superuser as login role.
    let mut config: tokio_postgres::Config = superuser.parse().unwrap();
    let (client, connection) = config.dbname(name).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE ROLE {name}_root LOGIN SUPERUSER PASSWORD 'root'")).await.unwrap();
    let root = owner.replace("_owner password=owner", "_root password=root");
    let config =
        Config { engine: Engine::Postgres { url: root, migration_url: Some(owner), connections: 2 } };
    let error = Store::open(&config, &[NOTES], Arc::new(SystemClock)).await.err().unwrap();
    assert!(matches!(&error, OpenError::UnsafeRole { why, .. } if why.contains("superuser")), "{error}");
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
