// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a transaction is.

use store::{Record, Store, StoreError, TenantId, params};

use crate::{NOTES, add, add_and_commit, entry, stores, tenant, texts};

#[tokio::test]
async fn what_is_committed_is_there_and_what_is_dropped_is_not() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "kept").await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        add(&mut tx, 2, "dropped").await.unwrap();
        drop(tx);
        assert_eq!(texts(&store, home).await, ["kept"], "{}", store.name);
    }
}

#[tokio::test]
async fn the_values_come_back_as_they_went() {
    for store in stores().await {
        let home = tenant(&store).await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        // Parameters out of order: SQLite numbers names by first appearance.
        tx.execute(
            "INSERT INTO note (pinned_at, text, id) VALUES ($3, $2, $1)",
            params![&[7; 16], "grüße", Some(i64::MAX)],
        )
        .await
        .unwrap();
        let changed = tx
            .execute("UPDATE note SET text = $2 WHERE id = $1", params![&[7; 16], "renamed"])
            .await
            .unwrap();
        assert_eq!(changed, 1, "{}", store.name);
        let row: ([u8; 16], String, Option<i64>) =
            tx.query_one("SELECT id, text, pinned_at FROM note", &[]).await.unwrap();
        assert_eq!(row, ([7; 16], "renamed".into(), Some(i64::MAX)), "{}", store.name);
        let nothing: (Option<i64>,) = tx
            .query_one("UPDATE note SET pinned_at = $1 RETURNING pinned_at", params![None::<i64>])
            .await
            .unwrap();
        assert_eq!(nothing, (None,), "{}", store.name);
    }
}

#[tokio::test]
async fn a_taken_key_is_a_conflict() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "first").await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        let error = add(&mut tx, 1, "second").await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{}: {error:?}", store.name);
    }
}

#[tokio::test]
async fn writers_that_come_together_all_land_with_their_records_and_a_failing_one_takes_nobody_along() {
    for store in stores().await {
        let home = tenant(&store).await;
        let writers = (0..40u8).map(|id| {
            let store = &store;
            async move {
                let mut tx = store.door.write(home, entry("note.write")).await?;
                add(&mut tx, id, &format!("{id:02}")).await?;
                if id % 4 == 3 {
                    return Err(add(&mut tx, id, "again").await.unwrap_err());
                }
                tx.commit(Record::about(id)).await
            }
        });
        let done = futures::future::join_all(writers).await;
        assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 30, "{}", store.name);
        assert_eq!(texts(&store, home).await.len(), 30, "{}", store.name);
        let mut tx = store.door.read(home).await.unwrap();
        let (records,): (i64,) = tx.query_one("SELECT count(*) FROM record", &[]).await.unwrap();
        assert_eq!(records, 30, "{}", store.name);
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "kept").await;
        let store::testing::TestStore { store: open, door, clock, config, folder, name } = store;
        open.close().await;
        drop((open, door));
        let (open, door) = Store::open(&config, &[NOTES], clock.clone()).await.unwrap();
        let again = store::testing::TestStore { store: open, door, clock, config, folder, name };
        assert_eq!(texts(&again, home).await, ["kept"], "{name}");
    }
}

#[tokio::test]
async fn more_tenants_than_open_files_all_work() {
    for store in stores().await {
        let mut homes: Vec<TenantId> = Vec::new();
        for number in 0..40u8 {
            let home = tenant(&store).await;
            add_and_commit(&store, home, number, &number.to_string()).await;
            homes.push(home);
        }
        for (number, home) in homes.into_iter().enumerate() {
            assert_eq!(texts(&store, home).await, [number.to_string()], "{}", store.name);
        }
    }
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_shows_nothing() {
    for store in stores().await {
        let nobody = TenantId::random();
        match store.door.read(nobody).await {
            Err(StoreError::NoTenant) => {}
            Ok(_) => assert!(texts(&store, nobody).await.is_empty(), "{}", store.name),
            Err(other) => panic!("{}: {other:?}", store.name),
        }
    }
}

#[tokio::test]
async fn statements_that_go_together_see_what_those_before_them_did() {
    for store in stores().await {
        let home = tenant(&store).await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        let [added, found, renamed] = tx
            .together([
                ("INSERT INTO note (id, text) VALUES ($1, $2)", params![&[1; 16], "first"]),
                ("SELECT text FROM note WHERE id = $1", params![&[1; 16]]),
                ("UPDATE note SET text = $1 RETURNING text", params!["second"]),
            ])
            .await
            .unwrap();
        assert_eq!(added.changed(), 1, "{}", store.name);
        assert_eq!(found.rows::<(String,)>().unwrap(), [("first".to_owned(),)], "{}", store.name);
        assert_eq!(renamed.first::<(String,)>().unwrap(), Some(("second".to_owned(),)), "{}", store.name);
        tx.commit(Record::about("note")).await.unwrap();
        assert_eq!(texts(&store, home).await, ["second"], "{}", store.name);
    }
}

#[tokio::test]
async fn of_statements_that_go_together_the_first_that_fails_is_told_and_nothing_stays() {
    for store in stores().await {
        let home = tenant(&store).await;
        add_and_commit(&store, home, 1, "kept").await;
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        let insert = "INSERT INTO note (id, text) VALUES ($1, $2)";
        let error = tx
            .together([
                (insert, params![&[2; 16], "dropped"]),
                (insert, params![&[1; 16], "taken"]),
                (insert, params![&[3; 16], "never"]),
            ])
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{}: {error:?}", store.name);
        drop(tx);
        assert_eq!(texts(&store, home).await, ["kept"], "{}", store.name);
        // The connection that it ran on is as good as new.
        add_and_commit(&store, home, 4, "later").await;
        assert_eq!(texts(&store, home).await, ["kept", "later"], "{}", store.name);
    }
}

#[tokio::test]
async fn a_deferred_statement_is_seen_by_those_that_follow_and_takes_them_along_when_it_fails() {
    for store in stores().await {
        let home = tenant(&store).await;
        let insert = "INSERT INTO note (id, text) VALUES ($1, $2)";
        let count = "SELECT count(*) FROM note";
        let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
        tx.defer(insert, params![&[1; 16], "first"]).await.unwrap();
        let [seen] = tx.together([(count, params![])]).await.unwrap();
        assert_eq!(seen.first::<(i64,)>().unwrap(), Some((1,)), "{}", store.name);
        tx.defer(insert, params![&[2; 16], "second"]).await.unwrap();
        tx.defer("UPDATE note SET text = $2 WHERE id = $1", params![&[2; 16], "last"]).await.unwrap();
        tx.commit(Record::about("notes")).await.unwrap();
        assert_eq!(texts(&store, home).await, ["first", "last"], "{}", store.name);

        for goes_on in [true, false] {
            let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
            add(&mut tx, 3, "dropped").await.unwrap();
            let outcome = match tx.defer(insert, params![&[1; 16], "taken"]).await {
                Ok(()) if goes_on => tx.query::<(i64,)>(count, params![]).await.map(|_| ()),
                Ok(()) => tx.commit(Record::about("notes")).await.map(|_| ()),
                failed => failed,
            };
            assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{}: {outcome:?}", store.name);
            assert_eq!(texts(&store, home).await, ["first", "last"], "{}", store.name);
        }
        let mut tx = store.door.read(home).await.unwrap();
        let (records,): (i64,) = tx.query_one("SELECT count(*) FROM record", &[]).await.unwrap();
        assert_eq!(records, 1, "{}", store.name);
    }
}

#[tokio::test]
async fn whoever_stops_waiting_for_a_commit_has_committed_or_not_and_the_next_writer_goes_on() {
    for store in stores().await {
        let home = tenant(&store).await;
        for id in 0..20u8 {
            let mut tx = store.door.write(home, entry("note.write")).await.unwrap();
            add(&mut tx, id, &format!("{id:02}")).await.unwrap();
            let commit = tx.commit(Record::about(id));
            // Polled once and dropped.
            drop(futures::poll!(std::pin::pin!(commit)));
        }
        add_and_commit(&store, home, 99, "last").await;
        let notes = texts(&store, home).await;
        assert_eq!(notes.last().unwrap(), "last", "{}", store.name);
        let mut tx = store.door.read(home).await.unwrap();
        let (records,): (i64,) = tx.query_one("SELECT count(*) FROM record", &[]).await.unwrap();
        assert_eq!(records, notes.len() as i64, "{}", store.name);
    }
}

#[tokio::test]
async fn a_view_for_one_look_shows_its_tenants_rows_and_leaves_the_connection_as_it_was() {
    for store in stores().await {
        let (home, other) = (tenant(&store).await, tenant(&store).await);
        add_and_commit(&store, home, 1, "kept").await;
        for _ in 0..20 {
            let store = &store;
            let look = |tenant| async move {
                let mut tx = store.door.read(tenant).await.unwrap().once();
                tx.query::<(String,)>("SELECT text FROM note", &[]).await.unwrap()
            };
            let (mine, theirs) = (look(home).await, look(other).await);
            assert_eq!((mine.len(), theirs.len()), (1, 0), "{}", store.name);
        }
        let mut failing = store.door.read(home).await.unwrap().once();
        assert!(
            failing.query::<(i64,)>("SELECT 1 FROM note WHERE text = $1", params![1]).await.is_err()
                || store.name == "sqlite"
        );
        drop(failing);
        let mut writing = store.door.read(home).await.unwrap().once();
        assert!(
            writing.query::<(i64,)>("DELETE FROM note RETURNING 1", &[]).await.is_err(),
            "{}",
            store.name
        );
        drop(writing);
        add_and_commit(&store, home, 2, "later").await;
        assert_eq!(texts(&store, home).await, ["kept", "later"], "{}", store.name);
    }
}
