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
        let (records, more) = history::records(&mut tx, 0, 100).await.unwrap();
        assert!(!more);
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

/// Whoever has the file itself can do what no connection of the server can; what a record was is settled when it is
/// written, not when it is numbered.
#[tokio::test]
async fn a_record_that_was_changed_before_it_was_numbered_does_not_fit_its_leaf() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "kept").await;
        let Some(path) = store.store.tenant_file(home) else { continue };
        let file = rusqlite::Connection::open(path).unwrap();
        file.execute_batch("DROP TRIGGER record_refuses_update; UPDATE record SET actor = 'someone else'")
            .unwrap();
        Sequencer::new(store.store.clone(), key()).drain().await;
        let mut tx = store.door.read(home).await.unwrap();
        let (logged, _) = history::records(&mut tx, 0, 1).await.unwrap();
        assert_eq!(logged[0].record.as_ref().unwrap().actor, "someone else");
        let bundle = history::entries(&mut tx, 0, 1).await.unwrap().unwrap();
        let entries = ledger::EntryBundle::at(0, 1).unwrap().decode(&bundle).unwrap();
        assert_ne!(ledger::Hash::leaf(entries[0]), logged[0].leaf);
    }
}

#[tokio::test]
async fn a_record_too_long_for_the_log_is_refused_with_its_change() {
    for store in stores().await {
        let home = tenant(&store).await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        crate::add(&mut tx, 1, "never").await.unwrap();
        let error = tx.commit(store::Record::about("x".repeat(70_000))).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{}: {error:?}", store.name);
        assert!(crate::texts(&store, home).await.is_empty(), "{}", store.name);
    }
}
