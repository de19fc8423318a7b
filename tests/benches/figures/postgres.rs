// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PostgreSQL alone: the same table in the same database, and one prepared statement for each operation.

use std::sync::Arc;

use harness::{Database, Role, noise};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::items::{CONTENT, ITEMS, SPREAD};
use crate::sqlite::{place, sequence};
use crate::turns::{Cost, tasks};

/// A table of items, as somebody would have it who needs neither tenants nor records.
pub struct Plain {
    writers: Arc<Vec<Connection>>,
    items: Arc<Vec<Uuid>>,
    content: Arc<Vec<u8>>,
}

struct Connection {
    client: Client,
    insert: Statement,
    select: Statement,
}

/// What a transaction has beside its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// Tables without tenants.
    Nothing,
    /// The product's tables, their policies, and the setting that they ask for.
    Scope,
    /// The same, and the record.
    ScopeAndRecord,
}

impl Plain {
    /// Makes the table, and the connections to use it, as the role that serves.
    pub fn new(runtime: &Runtime, database: &Database) -> Self {
        database.rows(Role::Owner, &format!("{TABLES} GRANT USAGE ON SCHEMA plain TO {app}; GRANT ALL ON ALL TABLES IN SCHEMA plain TO {app};", app = database.role(Role::App)));
        let content = noise(1, CONTENT);
        let items: Vec<_> = (0..ITEMS).map(|_| Uuid::new_v4()).collect();
        let writers = runtime.block_on(async {
            let mut writers = Vec::new();
            for _ in 0..SPREAD {
                writers.push(Connection::open(database).await);
            }
            for item in &items {
                writers[0].insert(item, &content).await;
            }
            writers
        });
        Self { writers: Arc::new(writers), items: Arc::new(items), content: Arc::new(content) }
    }

    /// The cost of an insert while so many write.
    pub fn write(&self, runtime: &Runtime, workers: usize) -> Cost {
        let (writers, content) = (Arc::clone(&self.writers), Arc::clone(&self.content));
        tasks(runtime, workers, move |worker, _| {
            let (writers, content) = (Arc::clone(&writers), Arc::clone(&content));
            async move { writers[worker].insert(&Uuid::new_v4(), &content).await }
        })
    }

    /// The cost of a read by key.
    pub fn read(&self, runtime: &Runtime, workers: usize) -> Cost {
        let (readers, items) = (Arc::clone(&self.writers), Arc::clone(&self.items));
        tasks(runtime, workers, move |worker, number| {
            let (readers, items) = (Arc::clone(&readers), Arc::clone(&items));
            async move {
                let reader = &readers[worker];
                let item = &items[place(worker, number)].as_bytes()[..];
                let row =
                    reader.client.query_one(&reader.select, &[&COLLECTION, &item]).await.expect("an item");
                assert_eq!(row.get::<_, Vec<u8>>(3).len(), CONTENT);
            }
        })
    }
}

impl Connection {
    async fn open(database: &Database) -> Self {
        let client = connect(database).await;
        let insert = client.prepare(&insert_into("plain.item")).await.expect("a statement");
        let select = client.prepare(SELECT).await.expect("a statement");
        Self { client, insert, select }
    }

    async fn insert(&self, item: &Uuid, content: &[u8]) {
        let sequence = sequence(item);
        self.client
            .execute(
                &self.insert,
                &[&COLLECTION, &&item.as_bytes()[..], &sequence, &content, &(CONTENT as i64)],
            )
            .await
            .expect("an insert");
    }
}

/// A transaction with all statements that the product's takes, step by step.
pub struct Transaction {
    client: Arc<Client>,
    with: With,
    tenant: String,
    statements: Arc<Statements>,
    content: Arc<Vec<u8>>,
}

struct Statements {
    set_tenant: Statement,
    head: Statement,
    before: Statement,
    insert: Statement,
    usage: Statement,
    record: Statement,
    unnumbered: Statement,
}

impl Transaction {
    /// Prepares one. The tables must be there; the tenant is made.
    pub fn new(runtime: &Runtime, database: &Database, with: With) -> Self {
        let tenant = Uuid::new_v4().to_string();
        let schema = if with == With::Nothing { "plain." } else { "" };
        runtime.block_on(async {
            let client = connect(database).await;
            client
                .batch_execute(&format!(
                    "BEGIN; SELECT set_config('bailiwick.tenant', '{tenant}', true);
                     INSERT INTO {schema}collection_head (collection, sequence) VALUES ('\\x07070707070707070707070707070707', 0);
                     INSERT INTO {schema}usage (slot, bytes, items, collections) VALUES (0, 0, 0, 1);
                     COMMIT"
                ))
                .await
                .expect("a tenant");
            let sql = [
                "SELECT set_config('bailiwick.tenant', $1, true)".to_owned(),
                format!("UPDATE {schema}collection_head SET sequence = sequence + 1 WHERE collection = $1 RETURNING sequence"),
                format!("SELECT version, size, CAST(length(sealed) AS BIGINT), blob, deleted_at FROM {schema}item WHERE collection = $1 AND id = $2"),
                insert_into(&format!("{schema}item")),
                format!("UPDATE {schema}usage SET bytes = bytes + $1, items = items + 1 WHERE slot = 0 RETURNING bytes, items"),
                "INSERT INTO record (id, at, actor, via, action, subject, request, corrects, details)
                 VALUES ($1, 1, $2, $2, 'item.write', $2, $2, NULL, '')".to_owned(),
                "INSERT INTO unnumbered (record, leaf) VALUES ($1, $1)".to_owned(),
            ];
            let mut prepared = Vec::new();
            for sql in &sql {
                prepared.push(client.prepare(sql).await.expect("a statement"));
            }
            let Ok([set_tenant, head, before, insert, usage, record, unnumbered]) = <[Statement; 7]>::try_from(prepared)
            else {
                unreachable!("seven statements")
            };
            let statements = Statements { set_tenant, head, before, insert, usage, record, unnumbered };
            Self {
                client: Arc::new(client),
                with,
                tenant,
                statements: Arc::new(statements),
                content: Arc::new(noise(1, CONTENT)),
            }
        })
    }

    /// The cost of one.
    pub fn write(&self, runtime: &Runtime) -> Cost {
        let (client, statements) = (Arc::clone(&self.client), Arc::clone(&self.statements));
        let (content, tenant, with) = (Arc::clone(&self.content), self.tenant.clone(), self.with);
        tasks(runtime, 1, move |_, _| {
            let (client, statements) = (Arc::clone(&client), Arc::clone(&statements));
            let (content, tenant) = (Arc::clone(&content), tenant.clone());
            async move { transaction(&client, &statements, &content, &tenant, with).await }
        })
    }
}

async fn transaction(client: &Client, statements: &Statements, content: &[u8], tenant: &str, with: With) {
    let item = Uuid::new_v4();
    let id = &item.as_bytes()[..];
    if with == With::Nothing {
        client.batch_execute("BEGIN").await.expect("a transaction");
    } else {
        let set: [&Parameter<'_>; 1] = [&tenant];
        let (begun, set) =
            tokio::join!(client.batch_execute("BEGIN"), client.query(&statements.set_tenant, &set));
        begun.expect("a transaction");
        set.expect("a tenant");
    }
    let head = client.query_one(&statements.head, &[&COLLECTION]).await.expect("a head");
    let sequence: i64 = head.get(0);
    client.query_opt(&statements.before, &[&COLLECTION, &id]).await.expect("a look");
    client
        .execute(&statements.insert, &[&COLLECTION, &id, &sequence, &content, &(CONTENT as i64)])
        .await
        .expect("an insert");
    client.query_one(&statements.usage, &[&(CONTENT as i64)]).await.expect("usage");
    if with == With::ScopeAndRecord {
        let (record, unnumbered): ([&Parameter<'_>; 2], [&Parameter<'_>; 1]) = ([&id, &ACTOR], [&id]);
        let (record, unnumbered, committed) = tokio::join!(
            client.execute(&statements.record, &record),
            client.execute(&statements.unnumbered, &unnumbered),
            client.batch_execute("COMMIT")
        );
        record.expect("a record");
        unnumbered.expect("a queue");
        committed.expect("a commit");
    } else {
        client.batch_execute("COMMIT").await.expect("a commit");
    }
}

async fn connect(database: &Database) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&database.url(Role::App), NoTls).await.expect("PostgreSQL accepts");
    tokio::spawn(connection);
    client
}

fn insert_into(table: &str) -> String {
    format!(
        "INSERT INTO {table} (collection, id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at)
         VALUES ($1, $2, 1, $3, $4, $5, NULL, 1, $1, NULL)"
    )
}

type Parameter<'a> = dyn tokio_postgres::types::ToSql + Sync + 'a;

const COLLECTION: &[u8] = &[7; 16];
const ACTOR: &str = "acc_0123456789abcdef0123456789abcdef";
const SELECT: &str =
    "SELECT id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at FROM plain.item
                      WHERE collection = $1 AND id = $2";
const TABLES: &str = "
CREATE SCHEMA plain;
CREATE TABLE plain.item (
  collection bytea NOT NULL, id bytea NOT NULL, version bigint NOT NULL, sequence bigint NOT NULL, sealed bytea NOT NULL,
  size bigint NOT NULL, blob bytea, changed_at bigint NOT NULL, changed_by bytea NOT NULL, deleted_at bigint,
  PRIMARY KEY (collection, id), UNIQUE (collection, sequence)
);
CREATE TABLE plain.collection_head (collection bytea NOT NULL, sequence bigint NOT NULL, PRIMARY KEY (collection));
CREATE TABLE plain.usage (
  slot bigint NOT NULL, bytes bigint NOT NULL, items bigint NOT NULL, collections bigint NOT NULL, PRIMARY KEY (slot)
);
";
