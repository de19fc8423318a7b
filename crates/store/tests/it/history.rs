// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Records stay, are numbered once, and are folded into a log that can be verified.

use ledger::{SignedCheckpoint, TreeHead};
use store::{Engine, LogKey, Sequencer, StoreError, TenantId, history};

use crate::{add_and_commit, entry, stores, tenant};

fn key() -> LogKey {
    LogKey::new("test.example/log", [7; 32])
}

#[tokio::test]
async fn no_statement_changes_or_removes_a_record() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "kept").await;
        for sql in [
            "UPDATE record SET actor = 'someone else'",
            "DELETE FROM record",
            "UPDATE leaf SET hash = record",
            "DELETE FROM checkpoint",
        ] {
            let mut tx = store.door.write(home, entry("attack")).await.unwrap();
            let error = tx.execute(sql, &[]).await.unwrap_err();
            assert!(matches!(error, StoreError::Refused(_)), "{}: {sql}: {error:?}", store.name);
        }
    }
}

#[tokio::test]
async fn an_ordinary_connection_to_the_file_is_refused_too() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "kept").await;
        let Some(path) = store.store.tenant_file(home) else { continue };
        let file = rusqlite::Connection::open(path).unwrap();
        for sql in [
            "UPDATE record SET actor = 'someone else'",
            "DELETE FROM record",
            "INSERT OR REPLACE INTO record SELECT * FROM record",
        ] {
            let error = file.execute(sql, []).unwrap_err();
            assert!(error.to_string().contains("append-only"), "{error}");
        }
    }
}

#[tokio::test]
async fn every_record_gets_one_number_and_the_checkpoint_covers_them() {
    for store in stores().await {
        let home = tenant(&store).await;
        let sequencer = Sequencer::new(store.store.clone(), key());
        for id in 0..10 {
            add_and_commit(&store, home, id, "x").await;
            if id % 3 == 0 {
                sequencer.drain().await;
            }
        }
        sequencer.drain().await;
        let mut tx = store.door.read(home).await.unwrap();
        assert_eq!(history::unnumbered(&mut tx).await.unwrap(), 0, "{}", store.name);
        let records = history::records(&mut tx, 0, 100).await.unwrap();
        assert_eq!(records.len(), 10, "{}", store.name);
        let mut tree = ledger::Frontier::default();
        for (number, logged) in records.iter().enumerate() {
            assert_eq!(logged.number, number as u64);
            let record = logged.record.as_ref().unwrap();
            assert_eq!(record.action, "note.write");
            tree.append(logged.leaf);
        }
        let (size, note) = history::checkpoint(&mut tx).await.unwrap().unwrap();
        let signer = key().signer(home).unwrap();
        let checkpoint = SignedCheckpoint::open(&note, &key().origin(home), &[signer.verifier()]).unwrap();
        assert_eq!(checkpoint.head(), TreeHead { size, root: tree.root() }, "{}", store.name);
    }
}

#[tokio::test]
async fn tiles_fill_across_their_boundary() {
    for store in stores().await {
        let home = tenant(&store).await;
        let sequencer = Sequencer::new(store.store.clone(), key());
        for id in 0..255u8 {
            add_and_commit(&store, home, id, "x").await;
        }
        sequencer.drain().await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        tx.execute("DELETE FROM note", &[]).await.unwrap();
        tx.commit(store::Record::about("all")).await.unwrap();
        add_and_commit(&store, home, 1, "x").await;
        sequencer.drain().await;
        let mut tx = store.door.read(home).await.unwrap();
        assert_eq!(history::tile(&mut tx, 0, 0, 256).await.unwrap().len(), 256 * 32, "{}", store.name);
        assert_eq!(history::tile(&mut tx, 0, 1, 256).await.unwrap().len(), 32, "{}", store.name);
        assert_eq!(history::tile(&mut tx, 1, 0, 256).await.unwrap().len(), 32, "{}", store.name);
    }
}

#[tokio::test]
async fn two_sequencers_number_each_record_once() {
    for store in stores().await {
        let home = tenant(&store).await;
        for id in 0..20 {
            add_and_commit(&store, home, id, "x").await;
        }
        let (one, two) =
            (Sequencer::new(store.store.clone(), key()), Sequencer::new(store.store.clone(), key()));
        let (one, two) = tokio::join!(one.drain(), two.drain());
        assert_eq!(one.numbered + two.numbered, 20, "{}", store.name);
    }
}

#[tokio::test]
async fn the_platforms_rows_are_a_tenants_too() {
    for store in stores().await {
        let mut tx = store.door.read(TenantId::PLATFORM).await.unwrap();
        assert_eq!(history::unnumbered(&mut tx).await.unwrap(), 0);
        assert!(matches!(store.config.engine, Engine::Sqlite { .. } | Engine::Postgres { .. }));
    }
}
