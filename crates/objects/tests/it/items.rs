// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::collections::BTreeMap;

use objects::{Expected, Item, ItemError, ItemId, Limits, MAX_SEALED, QuotaExceeded, Resource, Usage};

use crate::home::{Home, ME, homes, limits, noise};

fn current(refused: Result<objects::Written, ItemError>) -> Item {
    match refused {
        Err(ItemError::Conflict { current }) => *current,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[tokio::test]
async fn an_item_changes_only_for_who_knew_its_version() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let missing = home.put(collection, item, Expected::Version(1), b"?", None).await;
        assert!(matches!(missing, Err(ItemError::NotFound)));
        let first = home.put(collection, item, Expected::Absent, b"one", None).await.unwrap();
        let second = home.put(collection, item, Expected::Version(1), b"two", None).await.unwrap();
        assert_eq!((first.version, first.sequence), (1, 1), "a refused change takes no number");
        assert_eq!((second.version, second.sequence), (2, 2));

        for stale in [Expected::Version(1), Expected::Version(3), Expected::Absent] {
            let now = current(home.put(collection, item, stale, b"stale", None).await);
            assert_eq!(
                (now.version, &now.sealed[..], now.changed_by),
                (2, &b"two"[..], ME),
                "{}",
                home.store.name
            );
            assert_eq!(current(home.delete(collection, item, stale).await).version, 2);
        }
        let third = home.put(collection, item, Expected::Any, b"three", None).await.unwrap();
        assert_eq!((third.version, third.sequence), (3, 3));
        let now = home.objects.item(&mut home.read().await, collection, item).await.unwrap();
        assert_eq!((now.version, &now.sealed[..]), (3, &b"three"[..]));
    }
}

#[tokio::test]
async fn a_deleted_item_leaves_an_empty_tombstone_and_never_repeats_a_version() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        home.put(collection, item, Expected::Absent, b"content", None).await.unwrap();
        assert_eq!(home.delete(collection, item, Expected::Version(1)).await.unwrap().version, 2);
        assert!(matches!(home.delete(collection, item, Expected::Any).await, Err(ItemError::NotFound)));
        let mut tx = home.read().await;
        assert!(matches!(home.objects.item(&mut tx, collection, item).await, Err(ItemError::NotFound)));
        let changes = home.objects.changes(&mut tx, collection, 0, false, 10).await.unwrap();
        let tombstone = &changes.items[0];
        assert_eq!((changes.items.len(), tombstone.version, tombstone.sealed.len()), (1, 2, 0));
        assert_eq!(tombstone.deleted_at, Some(store::Clock::now_ms(&*home.store.clock)));
        drop(tx);

        let stale = current(home.put(collection, item, Expected::Version(1), b"edited offline", None).await);
        assert_eq!((stale.version, stale.deleted_at.is_some()), (2, true), "{}", home.store.name);
        let back = home.put(collection, item, Expected::Absent, b"again", None).await.unwrap();
        assert_eq!((back.version, back.sequence), (3, 3));
        home.delete(collection, item, Expected::Any).await.unwrap();
        assert_eq!(home.put(collection, item, Expected::Version(4), b"!", None).await.unwrap().version, 5);
    }
}

#[tokio::test]
async fn changes_come_in_order_in_bounded_pages() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let items: Vec<_> = (0..5).map(|_| ItemId::random()).collect();
        for item in &items {
            home.put(collection, *item, Expected::Absent, b"x", None).await.unwrap();
        }
        home.put(collection, items[1], Expected::Version(1), b"y", None).await.unwrap();
        home.delete(collection, items[2], Expected::Any).await.unwrap();

        let mut tx = home.read().await;
        let first = home.objects.changes(&mut tx, collection, 0, false, 3).await.unwrap();
        let ids = |items: &[Item]| items.iter().map(|item| item.id).collect::<Vec<_>>();
        assert_eq!(ids(&first.items), [items[0], items[3], items[4]], "{}", home.store.name);
        assert_eq!((first.next, first.more), (5, true));
        let second = home.objects.changes(&mut tx, collection, first.next, false, 3).await.unwrap();
        assert_eq!(ids(&second.items), [items[1], items[2]]);
        assert_eq!((second.next, second.more, second.items[1].deleted_at.is_some()), (7, false, true));
        let none = home.objects.changes(&mut tx, collection, 7, false, 3).await.unwrap();
        assert_eq!((none.items.len(), none.next, none.more), (0, 7, false));
        drop(tx);

        // 4 MiB hold fifteen of the largest.
        let large = noise(MAX_SEALED as u64, 3);
        for item in (0..17).map(|_| ItemId::random()) {
            home.put(collection, item, Expected::Absent, &large, None).await.unwrap();
        }
        let page = home.objects.changes(&mut home.read().await, collection, 7, false, 1_000).await.unwrap();
        assert_eq!((page.items.len(), page.next, page.more), (15, 22, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_misses_nothing_that_concurrent_writers_commit() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 12;
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let home = home.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        home.put(collection, ItemId::random(), Expected::Absent, b"x", None).await.unwrap();
                    }
                })
            })
            .collect();
        let (mut seen, mut after) = (Vec::new(), 0);
        while after < WRITERS * EACH {
            let page =
                home.objects.changes(&mut home.read().await, collection, after, false, 7).await.unwrap();
            seen.extend(page.items.iter().map(|item| item.sequence));
            after = page.next;
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(seen, (1..=WRITERS * EACH).collect::<Vec<_>>(), "{}", home.store.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_who_knew_the_same_version_one_wins() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        home.put(collection, item, Expected::Absent, b"0", None).await.unwrap();
        let race: Vec<_> = (0..8)
            .map(|_| {
                let home = home.clone();
                tokio::spawn(
                    async move { home.put(collection, item, Expected::Version(1), b"1", None).await },
                )
            })
            .collect();
        let mut won = 0;
        for racer in race {
            match racer.await.unwrap() {
                Ok(written) => won += u32::from(written.version == 2),
                Err(ItemError::Conflict { current }) => assert_eq!(current.version, 2),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won, 1, "{}", home.store.name);
    }
}

#[tokio::test]
async fn the_quota_is_exact_to_the_byte_and_shrinking_is_always_allowed() {
    for home in homes(Limits { bytes: 100, items: 2, ..limits() }).await {
        let (collection, one, two) = (home.collection().await, ItemId::random(), ItemId::random());
        home.put(collection, one, Expected::Absent, &[1; 60], None).await.unwrap();
        let refused = home.put(collection, two, Expected::Absent, &[2; 41], None).await;
        let full = QuotaExceeded { resource: Resource::Bytes, limit: 100, used: 60, needed: 41 };
        assert!(matches!(refused, Err(ItemError::Quota(quota)) if quota == full), "{}", home.store.name);
        home.put(collection, two, Expected::Absent, &[2; 40], None).await.unwrap();
        assert_eq!(home.usage().await, Usage { bytes: 100, items: 2, collections: 1 });

        let third = home.put(collection, ItemId::random(), Expected::Absent, b"", None).await;
        assert!(matches!(third, Err(ItemError::Quota(QuotaExceeded { resource: Resource::Items, .. }))));
        assert!(home.put(collection, one, Expected::Any, &[1; 61], None).await.is_err());

        let lowered = Home {
            objects: objects::Objects::new(Limits { bytes: 10, items: 1, ..limits() }),
            ..home.clone()
        };
        lowered.put(collection, one, Expected::Any, &[1; 50], None).await.unwrap();
        lowered.delete(collection, two, Expected::Any).await.unwrap();
        assert_eq!(home.usage().await, Usage { bytes: 50, items: 1, collections: 1 });
        home.delete(collection, one, Expected::Any).await.unwrap();
        assert_eq!(home.usage().await, Usage { bytes: 0, items: 0, collections: 1 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_quota_holds_under_concurrency() {
    for home in homes(Limits { bytes: 50, ..limits() }).await {
        let collections = [home.collection().await, home.collection().await];
        let race: Vec<_> = (0..10)
            .map(|n| {
                let home = home.clone();
                tokio::spawn(async move {
                    home.put(collections[n % 2], ItemId::random(), Expected::Absent, &[0; 10], None)
                        .await
                        .is_ok()
                })
            })
            .collect();
        let mut stored = 0;
        for racer in race {
            stored += u64::from(racer.await.unwrap());
        }
        assert_eq!(stored, 5, "{}", home.store.name);
        assert_eq!(home.usage().await, Usage { bytes: 50, items: 5, collections: 2 });
    }
}

#[tokio::test]
async fn the_count_stays_what_is_stored_through_any_history() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let items: Vec<_> = (0..4).map(|_| ItemId::random()).collect();
        let mut stored: BTreeMap<ItemId, u64> = BTreeMap::new();
        for (step, random) in noise(60, 11).into_iter().enumerate() {
            let item = items[usize::from(random) % items.len()];
            if random % 5 == 0 {
                let deleted = home.delete(collection, item, Expected::Any).await;
                assert_eq!(deleted.is_ok(), stored.remove(&item).is_some());
            } else {
                let size = u64::from(random) * 3 + step as u64;
                home.put(collection, item, Expected::Any, &noise(size, 1), None).await.unwrap();
                stored.insert(item, size);
            }
            let expected = Usage { bytes: stored.values().sum(), items: stored.len() as u64, collections: 1 };
            assert_eq!(home.usage().await, expected, "{} at step {step}", home.store.name);
        }
    }
}

#[tokio::test]
async fn content_beyond_the_bound_is_sent_away() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let refused = home.put(collection, item, Expected::Any, &noise(MAX_SEALED as u64 + 1, 1), None).await;
        assert!(matches!(refused, Err(ItemError::TooLarge { size }) if size == MAX_SEALED + 1));
        home.put(collection, item, Expected::Any, &noise(MAX_SEALED as u64, 1), None).await.unwrap();
    }
}

#[tokio::test]
async fn replacing_whatever_is_there_needs_something_to_be_there() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let put = async || home.put(collection, item, Expected::Present, b"x", None).await;
        assert!(matches!(put().await, Err(ItemError::Absent)));
        home.put(collection, item, Expected::Absent, b"one", None).await.unwrap();
        assert_eq!(put().await.unwrap().version, 2);
        home.delete(collection, item, Expected::Present).await.unwrap();
        assert!(matches!(put().await, Err(ItemError::Absent)), "a tombstone is nothing to replace");
    }
}

#[tokio::test]
async fn tombstones_go_after_ninety_days_and_who_was_away_for_longer_begins_anew() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let [kept, gone, back] = [ItemId::random(), ItemId::random(), ItemId::random()];
        for item in [kept, gone, back] {
            home.put(collection, item, Expected::Absent, b"x", None).await.unwrap();
        }
        home.delete(collection, gone, Expected::Present).await.unwrap();
        home.delete(collection, back, Expected::Present).await.unwrap();
        home.put(collection, back, Expected::Version(2), b"again", None).await.unwrap();
        let forget = async || {
            let mut tx = home.write().await;
            let count = home.objects.forget_tombstones(&mut tx, 100).await.unwrap();
            tx.commit(store::Record::about("sweep")).await.unwrap();
            count
        };
        let changes =
            async |after| home.objects.changes(&mut home.read().await, collection, after, false, 10).await;
        home.store.clock.advance(objects::TOMBSTONES_KEPT_MS - 1);
        assert_eq!((forget().await, changes(3).await.unwrap().items.len()), (0, 2));
        home.store.clock.advance(1);
        assert_eq!((forget().await, forget().await), (1, 0), "{}", home.store.name);

        assert!(matches!(changes(3).await, Err(ItemError::Forgotten)));
        let anew = changes(0).await.unwrap();
        assert_eq!(anew.items.iter().map(|item| item.id).collect::<Vec<_>>(), [kept, back]);
        let on = home.objects.changes(&mut home.read().await, collection, 1, true, 10).await.unwrap();
        assert_eq!(on.items.len(), 1, "the next page of a list that began at 0");
        // A deletion that was the last change.
        let last = home.collection().await;
        let item = ItemId::random();
        home.put(last, item, Expected::Absent, b"x", None).await.unwrap();
        home.delete(last, item, Expected::Present).await.unwrap();
        home.store.clock.advance(objects::TOMBSTONES_KEPT_MS);
        while forget().await > 0 {}
        let end = home.objects.changes(&mut home.read().await, last, 0, false, 10).await.unwrap();
        assert_eq!((end.items.len(), end.next), (0, 2));
        assert!(home.objects.changes(&mut home.read().await, last, end.next, false, 10).await.is_ok());
        assert!(changes(4).await.is_ok(), "who saw the deletion misses nothing");
    }
}

#[tokio::test]
async fn a_large_collection_is_removed_without_holding_up_what_shares_the_thread() {
    const ITEMS: u64 = 5_000;
    for home in homes(Limits { items: 2 * ITEMS, ..Limits::default() }).await {
        for all in [false, true] {
            let collection = home.collection().await;
            let mut tx = home.write().await;
            for _ in 0..ITEMS {
                let (item, expected) = (ItemId::random(), Expected::Absent);
                let put = objects::PutItem {
                    collection,
                    item,
                    expected,
                    sealed: b"x",
                    blob: None,
                    generation: 1,
                    signature: None,
                    by: ME,
                };
                home.objects.put_item(&mut tx, put).await.unwrap();
            }
            tx.commit(store::Record::about("many")).await.unwrap();

            let turns = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
            let mut tx = home.write().await;
            let other = tokio::spawn({
                let turns = std::sync::Arc::clone(&turns);
                async move {
                    loop {
                        turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                }
            });
            if all {
                home.objects.erase(&mut tx).await.unwrap();
            } else {
                home.objects.delete_collection(&mut tx, collection).await.unwrap();
            }
            let turns = turns.load(std::sync::atomic::Ordering::Relaxed);
            other.abort();
            tx.commit(store::Record::about("removed")).await.unwrap();
            assert!(turns >= 5, "{turns} turns, {}", home.store.name);
            assert_eq!(home.objects.usage(&mut home.read().await).await.unwrap(), Usage::default());
        }
    }
}
