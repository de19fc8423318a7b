// SPDX-License-Identifier: Apache-2.0 OR MIT

use futures::TryStreamExt;
use objects::{
    BlobId, CollectionError, CollectionId, Expected, ItemError, ItemId, Limits, ReadError, Resource,
};
use store::Record;

use crate::home::{Home, homes, limits, noise};

/// A file that lies in the row itself, and one in parts.
const SMALL: u64 = 1_000;
const LARGE: u64 = 200_000;

async fn keep(home: &Home, collection: CollectionId, kept: u32) -> Result<(), CollectionError> {
    let mut tx = home.write().await;
    home.objects.keep_versions(&mut tx, collection, kept).await?;
    tx.commit(Record::about(collection)).await.unwrap();
    Ok(())
}

async fn versions(home: &Home, collection: CollectionId, item: ItemId) -> Vec<u64> {
    let found = home.objects.item_versions(&mut home.read().await, collection, item).await.unwrap();
    found.iter().map(|version| version.version).collect()
}

async fn content(home: &Home, collection: CollectionId, item: ItemId, version: u64) -> Option<Vec<u8>> {
    match home.objects.item_version(&mut home.read().await, collection, item, version).await {
        Ok(found) => Some(found.sealed),
        Err(ItemError::NotFound) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn bytes(home: &Home, collection: CollectionId, blob: BlobId) -> Result<Vec<u8>, ReadError> {
    let plan = home.objects.read_plan(&mut home.read().await, collection, blob, None).await?;
    let chunks: Vec<_> = home.blobs.read(plan).try_collect().await?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn what_was_replaced_can_be_read_and_the_oldest_goes_first() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        home.put(collection, item, Expected::Absent, b"one", None).await.unwrap();
        home.put(collection, item, Expected::Version(1), b"two", None).await.unwrap();
        assert_eq!(versions(&home, collection, item).await, [2], "none is kept by itself");
        keep(&home, collection, 2).await.unwrap();
        for content in [b"three", b"four.", b"five."] {
            home.put(collection, item, Expected::Present, content, None).await.unwrap();
        }
        assert_eq!(versions(&home, collection, item).await, [5, 4, 3], "{}", home.store.name);
        assert_eq!(content(&home, collection, item, 3).await.as_deref(), Some(&b"three"[..]));
        assert_eq!(content(&home, collection, item, 5).await.as_deref(), Some(&b"five."[..]));
        for gone in [0, 1, 2, 6, u64::MAX] {
            assert_eq!(content(&home, collection, item, gone).await, None, "{gone}");
        }
        let usage = home.usage().await;
        assert_eq!((usage.bytes, usage.items), (15, 1));

        // Other items are left alone; an item that is removed takes its versions along, also when it comes back.
        let other = ItemId::random();
        home.put(collection, other, Expected::Absent, b"other", None).await.unwrap();
        home.put(collection, other, Expected::Present, b"other", None).await.unwrap();
        home.delete(collection, item, Expected::Any).await.unwrap();
        assert_eq!(content(&home, collection, item, 4).await, None);
        let refused = home.objects.item_versions(&mut home.read().await, collection, item).await;
        assert!(matches!(refused, Err(ItemError::NotFound)));
        home.put(collection, item, Expected::Absent, b"seven", None).await.unwrap();
        assert_eq!(versions(&home, collection, item).await, [7]);
        assert_eq!(versions(&home, collection, other).await, [2, 1]);
        assert_eq!(home.usage().await.bytes, 15);

        keep(&home, collection, 0).await.unwrap();
        assert_eq!(versions(&home, collection, other).await, [2]);
        assert_eq!(home.usage().await.bytes, 10);
        assert!(matches!(keep(&home, collection, 101).await, Err(CollectionError::Invalid { .. })));
        assert!(matches!(keep(&home, CollectionId::random(), 1).await, Err(CollectionError::NotFound)));
    }
}

#[tokio::test]
async fn a_file_stays_as_long_as_a_version_has_it_and_is_counted_once() {
    for home in homes(limits()).await {
        for size in [SMALL, LARGE] {
            let (collection, item) = (home.collection().await, ItemId::random());
            let before = home.usage().await.bytes;
            keep(&home, collection, 2).await.unwrap();
            let first = noise(size, 1);
            let one = home.upload(collection, &first).await;
            home.put(collection, item, Expected::Absent, b"a", Some(one)).await.unwrap();
            // The same file under another description, then another file.
            home.put(collection, item, Expected::Present, b"b", Some(one)).await.unwrap();
            assert_eq!(home.usage().await.bytes - before, size + 2, "{}", home.store.name);
            let two = home.upload(collection, &noise(size, 2)).await;
            home.put(collection, item, Expected::Present, b"c", Some(two)).await.unwrap();
            assert_eq!(home.usage().await.bytes - before, 2 * size + 3);
            let old = home.objects.item_version(&mut home.read().await, collection, item, 2).await.unwrap();
            assert_eq!(old.blob.map(|blob| (blob.id, blob.size)), Some((one, size)));
            assert_eq!(bytes(&home, collection, one).await.unwrap(), first);

            // Version 1 goes, and the file stays with version 2; then that goes too.
            home.put(collection, item, Expected::Present, b"d", None).await.unwrap();
            assert_eq!(bytes(&home, collection, one).await.unwrap(), first);
            assert_eq!(home.usage().await.bytes - before, 2 * size + 3);
            home.put(collection, item, Expected::Present, b"e", None).await.unwrap();
            assert!(matches!(bytes(&home, collection, one).await, Err(ReadError::NotFound)));
            assert!(bytes(&home, collection, two).await.is_ok());
            assert_eq!(home.usage().await.bytes - before, size + 3);

            // Nobody names a file that only an earlier version has.
            let again = home.put(collection, item, Expected::Present, b"f", Some(two)).await;
            assert!(again.is_err());
            keep(&home, collection, 0).await.unwrap();
            assert!(matches!(bytes(&home, collection, two).await, Err(ReadError::NotFound)));
            assert_eq!(home.usage().await.bytes - before, 1);
            home.delete(collection, item, Expected::Any).await.unwrap();
            assert_eq!(home.usage().await.bytes, before);
        }
    }
}

#[tokio::test]
async fn versions_count_and_go_with_their_collection() {
    for home in homes(Limits { bytes: 100, ..limits() }).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        keep(&home, collection, 100).await.unwrap();
        home.put(collection, item, Expected::Absent, &[1; 40], None).await.unwrap();
        home.put(collection, item, Expected::Present, &[2; 40], None).await.unwrap();
        let refused = home.put(collection, item, Expected::Present, &[3; 40], None).await;
        let is_full =
            |error: &ItemError| matches!(error, ItemError::Quota(quota) if quota.resource == Resource::Bytes);
        assert!(refused.as_ref().is_err_and(is_full), "{refused:?}");
        assert_eq!(versions(&home, collection, item).await, [2, 1], "nothing was changed");
        let mut tx = home.write().await;
        home.objects.delete_collection(&mut tx, collection).await.unwrap();
        tx.commit(Record::about(collection)).await.unwrap();
        assert_eq!(home.usage().await.bytes, 0, "{}", home.store.name);
        assert_eq!(content(&home, collection, item, 1).await, None);
    }
}
