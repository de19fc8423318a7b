// SPDX-License-Identifier: Apache-2.0 OR MIT

use objects::{
    CollectionError, CollectionId, Expected, ItemError, ItemId, Limits, NewCollection, QuotaExceeded,
    Resealed, Resource, Usage,
};
use store::{Record, TenantId};

use crate::home::{Home, ME, homes, limits, noise};

#[tokio::test]
async fn collections_are_listed_in_pages_and_found_by_id() {
    for home in homes(limits()).await {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(home.collection().await);
        }
        ids.sort();
        let mut tx = home.read().await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = home.objects.list_collections(&mut tx, after, 2).await.unwrap();
            assert!(page.collections.len() <= 2);
            seen.extend(page.collections.iter().map(|collection| collection.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids, "{}", home.store.name);
        let one = home.objects.collection(&mut tx, ids[0]).await.unwrap();
        assert_eq!(
            (one.kind.as_str(), &one.sealed_key[..], one.key_version, one.sequence),
            ("files", &b"key"[..], 1, 0)
        );
        let missing = home.objects.collection(&mut tx, CollectionId::random()).await;
        assert!(matches!(missing, Err(CollectionError::NotFound)));
    }
}

#[tokio::test]
async fn another_tenants_collection_is_a_missing_one() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let stranger = Home { tenant: TenantId::random(), ..home.clone() };
        home.store.door.create_tenant(stranger.tenant).await.unwrap();
        let found = stranger.objects.collection(&mut stranger.read().await, collection).await;
        assert!(matches!(found, Err(CollectionError::NotFound)), "{}", home.store.name);
        let put = stranger.put(collection, ItemId::random(), Expected::Any, b"x", None).await;
        assert!(matches!(put, Err(ItemError::NotFound)));
        assert_eq!(stranger.usage().await, Usage::default());
    }
}

#[tokio::test]
async fn a_deleted_collection_takes_its_items_files_and_key_along() {
    for home in homes(limits()).await {
        let (gone, kept) = (home.collection().await, home.collection().await);
        let item = ItemId::random();
        home.put(kept, item, Expected::Absent, b"kept", None).await.unwrap();
        home.put(gone, item, Expected::Absent, b"gone", None).await.unwrap();
        let file = home.upload(gone, &noise(300_000, 1)).await;
        home.put(gone, ItemId::random(), Expected::Absent, b"file", Some(file)).await.unwrap();
        let unfinished = home.begin(gone, 400_000).await.unwrap();

        let mut tx = home.write().await;
        home.objects.delete_collection(&mut tx, gone).await.unwrap();
        tx.commit(Record::about(gone)).await.unwrap();

        assert_eq!(home.usage().await, Usage { bytes: 4, items: 1, collections: 1 }, "{}", home.store.name);
        let mut tx = home.read().await;
        assert!(matches!(home.objects.item(&mut tx, gone, item).await, Err(ItemError::NotFound)));
        assert!(matches!(home.objects.changes(&mut tx, gone, 0, false, 10).await, Err(ItemError::NotFound)));
        assert!(home.objects.read_plan(&mut tx, gone, file, None).await.is_err());
        assert!(home.objects.upload_status(&mut tx, gone, unfinished).await.is_err());
        drop(tx);
        assert!(matches!(home.put(gone, item, Expected::Any, b"x", None).await, Err(ItemError::NotFound)));
        assert!(home.begin(gone, 10).await.is_err());

        let mut tx = home.write().await;
        let again = home.objects.delete_collection(&mut tx, gone).await;
        assert!(matches!(again, Err(CollectionError::NotFound)));
        drop(tx);
        let mut tx = home.write().await;
        let new = NewCollection {
            id: gone,
            owner: ME,
            kind: "files",
            sealed_key: b"k",
            sealed_meta: b"",
            kept_versions: 0,
        };
        assert!(matches!(home.objects.create_collection(&mut tx, new).await, Err(CollectionError::Exists)));
    }
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_by_name() {
    let long = vec![0; 20_000];
    for home in homes(Limits { collections: 1, ..limits() }).await {
        let good = NewCollection {
            id: CollectionId::random(),
            owner: ME,
            kind: "chat",
            sealed_key: b"k",
            sealed_meta: b"",
            kept_versions: 0,
        };
        for (wrong, expected) in [
            (NewCollection { kind: "", ..good }, "kind"),
            (NewCollection { kind: "Chat", ..good }, "kind"),
            (NewCollection { sealed_key: b"", ..good }, "sealed_key"),
            (NewCollection { sealed_key: &long, ..good }, "sealed_key"),
            (NewCollection { sealed_meta: &long, ..good }, "sealed_meta"),
            (NewCollection { kept_versions: 101, ..good }, "kept_versions"),
        ] {
            let refused = home.objects.create_collection(&mut home.write().await, wrong).await;
            assert!(matches!(refused, Err(CollectionError::Invalid { field, .. }) if field == expected));
        }
        home.collection().await;
        let refused = home.objects.create_collection(&mut home.write().await, good).await;
        let full = QuotaExceeded { resource: Resource::Collections, limit: 1, used: 1, needed: 1 };
        assert!(
            matches!(refused, Err(CollectionError::Quota(quota)) if quota == full),
            "{}",
            home.store.name
        );
    }
}

#[tokio::test]
async fn all_sealed_keys_are_replaced_or_none() {
    for home in homes(limits()).await {
        let (one, two) = (home.collection().await, home.collection().await);
        let key = |collection, expected_key_version| Resealed {
            collection,
            expected_key_version,
            sealed_key: b"new",
        };
        let incomplete = [
            vec![key(one, 1)],
            vec![key(one, 1), key(one, 1)],
            vec![key(one, 1), key(two, 2)],
            vec![key(one, 1), key(two, 1), key(CollectionId::random(), 1)],
        ];
        for keys in incomplete {
            let mut tx = home.write().await;
            let refused = home.objects.replace_sealed_keys(&mut tx, &keys).await;
            assert!(matches!(refused, Err(CollectionError::Outdated { .. })), "{}", home.store.name);
        }
        assert_eq!(home.objects.collection(&mut home.read().await, one).await.unwrap().sealed_key, b"key");

        let mut tx = home.write().await;
        home.objects.replace_sealed_keys(&mut tx, &[key(two, 1), key(one, 1)]).await.unwrap();
        tx.commit(Record::about("keys")).await.unwrap();
        for id in [one, two] {
            let now = home.objects.collection(&mut home.read().await, id).await.unwrap();
            assert_eq!((&now.sealed_key[..], now.key_version), (&b"new"[..], 2));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_made_during_a_replacement_of_keys_is_not_missed() {
    for home in homes(limits()).await {
        let one = home.collection().await;
        let mut tx = home.write().await;
        let keys = [Resealed { collection: one, expected_key_version: 1, sealed_key: b"new" }];
        home.objects.replace_sealed_keys(&mut tx, &keys).await.unwrap();
        let late = tokio::spawn({
            let home = home.clone();
            async move { home.collection().await }
        });
        tx.commit(Record::about("keys")).await.unwrap();
        let late = late.await.unwrap();
        let mut tx = home.write().await;
        let refused = home
            .objects
            .replace_sealed_keys(&mut tx, &[Resealed { expected_key_version: 2, ..keys[0] }])
            .await;
        assert!(matches!(refused, Err(CollectionError::Outdated { collection }) if collection == late));
    }
}
