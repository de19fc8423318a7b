// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The store's behaviour, the same on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod history;
mod isolation;
mod transactions;

use store::testing::{TestStore, engines};
use store::{Entry, Migration, Record, Scope, StoreError, TenantId, WriteTx, params};

/// A room of its own for these tests.
const NOTES: &[Migration] = &[Migration {
    name: "notes/1",
    scope: Scope::Tenant,
    sql: "
CREATE TABLE note (
  id BLOB NOT NULL,
  text TEXT NOT NULL,
  pinned_at INTEGER,
  PRIMARY KEY (id)
);
CREATE INDEX note_by_text ON note (text);
",
}];

async fn stores() -> Vec<TestStore> {
    engines(&[NOTES]).await.expect("a store on each engine")
}

fn entry(action: &str) -> Entry {
    Entry {
        actor: "acc_test".into(),
        via: "ses_test".into(),
        action: action.into(),
        request: "req_test".into(),
    }
}

/// A new tenant with its place made.
async fn tenant(store: &TestStore) -> TenantId {
    let tenant = TenantId::random();
    store.door.create_tenant(tenant).await.expect("a place for the tenant");
    tenant
}

async fn add(tx: &mut WriteTx, id: u8, text: &str) -> Result<u64, StoreError> {
    tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", params![&[id; 16], text]).await
}

async fn add_and_commit(store: &TestStore, tenant: TenantId, id: u8, text: &str) {
    let mut tx = store.door.write(tenant, entry("note.write")).await.expect("a transaction");
    add(&mut tx, id, text).await.expect("an insert");
    tx.commit(Record::about(format!("note_{id}"))).await.expect("a commit");
}

async fn texts(store: &TestStore, tenant: TenantId) -> Vec<String> {
    let mut tx = store.door.read(tenant).await.expect("a view");
    let rows: Vec<(String,)> = tx.query("SELECT text FROM note ORDER BY text", &[]).await.expect("rows");
    rows.into_iter().map(|(text,)| text).collect()
}
