// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::ops::Range;

use futures::TryStreamExt;
use objects::{
    BlobId, BlobRef, Blobs, BlobsError, CollectionId, Expected, ItemError, ItemId, Limits, PART_SIZE,
    QuotaExceeded, ReadError, Resource, UploadError, Usage,
};

use crate::home::{Home, PART, homes, homes_with_stores, limits, noise};

async fn read(
    home: &Home,
    collection: CollectionId,
    blob: BlobId,
    range: Option<Range<u64>>,
) -> Result<Vec<u8>, ReadError> {
    let plan = home.objects.read_plan(&mut home.read().await, collection, blob, range).await?;
    let chunks: Vec<_> = home.blobs.read(plan).try_collect().await?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn a_file_in_parts_is_read_back_whole_and_by_any_range() {
    for home in homes_with_stores(limits()).await {
        let collection = home.collection().await;
        let bytes = noise(5 * PART + 1_000, 5);
        let blob = home.upload(collection, &bytes).await;
        assert!(
            matches!(read(&home, collection, blob, None).await, Err(ReadError::NotFound)),
            "not before it is named"
        );
        let item = ItemId::random();
        home.put(collection, item, Expected::Absent, b"name", Some(blob)).await.unwrap();
        let stored = home.objects.item(&mut home.read().await, collection, item).await.unwrap();
        assert_eq!(stored.blob, Some(BlobRef { id: blob, size: bytes.len() as u64 }));

        assert_eq!(read(&home, collection, blob, None).await.unwrap(), bytes, "{}", home.store.name);
        let size = bytes.len() as u64;
        for range in [0..1, PART - 1..PART + 1, PART..2 * PART, 10..4 * PART + 7, size - 1..size] {
            let found = read(&home, collection, blob, Some(range.clone())).await.unwrap();
            assert_eq!(found, bytes[range.start as usize..range.end as usize], "{range:?}");
        }
        for range in [5..5, size..size + 1, 0..size + 1, Range { start: 9, end: 3 }] {
            let refused = read(&home, collection, blob, Some(range)).await;
            assert!(matches!(refused, Err(ReadError::Range { size: all }) if all == size));
        }
        assert!(matches!(read(&home, CollectionId::random(), blob, None).await, Err(ReadError::NotFound)));
    }
}

#[tokio::test]
async fn parts_longer_than_a_window_are_read_without_gaps() {
    for home in homes_with_stores(Limits { part_size: 5 << 19, ..limits() }).await {
        let collection = home.collection().await;
        let bytes = noise((5 << 20) + 17, 9);
        let blob = home.begin(collection, bytes.len() as u64).await.unwrap();
        for (number, part) in (0..).zip(bytes.chunks(5 << 19)) {
            home.part(collection, blob, number, part).await.unwrap();
        }
        home.put(collection, ItemId::random(), Expected::Absent, b"", Some(blob)).await.unwrap();
        assert!(read(&home, collection, blob, None).await.unwrap() == bytes);
        let range = 1_000_000..4_000_000;
        assert!(read(&home, collection, blob, Some(range)).await.unwrap() == bytes[1_000_000..4_000_000]);
    }
}

#[tokio::test]
async fn a_small_file_lives_in_the_database_alone() {
    for home in homes_with_stores(limits()).await {
        let collection = home.collection().await;
        let bytes = noise(objects::INLINE_BLOB, 2);
        let blob = home.upload(collection, &bytes).await;
        home.put(collection, ItemId::random(), Expected::Absent, b"", Some(blob)).await.unwrap();
        assert_eq!(read(&home, collection, blob, Some(100..200)).await.unwrap(), bytes[100..200]);
        assert_eq!(home.blobs.leftovers(home.tenant).next_page().await.unwrap(), [], "{}", home.store.name);
        assert_eq!(home.usage().await.bytes, objects::INLINE_BLOB);
    }
}

#[tokio::test]
async fn an_interrupted_upload_resumes_where_it_was() {
    for home in homes_with_stores(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let bytes = noise(6 * PART - 5, 4);
        let parts: Vec<_> = bytes.chunks(PART as usize).collect();
        let blob = home.begin(collection, bytes.len() as u64).await.unwrap();
        for number in [0, 1, 4] {
            home.part(collection, blob, number, parts[number as usize]).await.unwrap();
        }
        let status = home.objects.upload_status(&mut home.read().await, collection, blob).await.unwrap();
        assert_eq!(
            (status.present, status.missing.clone()),
            (vec![0..2, 4..5], vec![2..4, 5..6]),
            "{}",
            home.store.name
        );
        let early = home.put(collection, item, Expected::Absent, b"", Some(blob)).await;
        assert!(
            matches!(early, Err(ItemError::Upload(UploadError::Incomplete { missing })) if missing == status.missing)
        );

        let last = home.part(collection, blob, 5, &parts[5][1..]).await;
        assert!(matches!(last, Err(UploadError::PartSize { expected, .. }) if expected == PART - 5));
        assert!(matches!(
            home.part(collection, blob, 6, b"x").await,
            Err(UploadError::NoSuchPart { parts: 6 })
        ));
        // A repeated part.
        home.part(collection, blob, 0, parts[0]).await.unwrap();
        for number in [2, 3, 5] {
            home.part(collection, blob, number, parts[number as usize]).await.unwrap();
        }
        home.put(collection, item, Expected::Absent, b"", Some(blob)).await.unwrap();
        assert_eq!(read(&home, collection, blob, None).await.unwrap(), bytes);
        assert!(matches!(home.part(collection, blob, 0, parts[0]).await, Err(UploadError::NotFound)));
    }
}

#[tokio::test]
async fn a_late_part_cannot_change_a_finished_file() {
    for home in homes_with_stores(limits()).await {
        let collection = home.collection().await;
        let bytes = noise(5 * PART, 4);
        let blob = home.upload(collection, &bytes).await;
        let slot = home.objects.part_slot(&mut home.read().await, collection, blob, 1).await.unwrap();
        home.put(collection, ItemId::random(), Expected::Absent, b"", Some(blob)).await.unwrap();

        let late = home.blobs.write_part(slot, noise(PART, 77)).await.unwrap();
        let mut tx = home.write().await;
        let refused = home.objects.record_part(&mut tx, collection, &late).await;
        assert!(matches!(refused, Err(UploadError::NotFound)), "{}", home.store.name);
        drop(tx);
        assert_eq!(read(&home, collection, blob, None).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn one_upload_stores_no_more_than_it_counts() {
    for home in homes_with_stores(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let bytes = noise(5 * PART, 4);
        let blob = home.upload(collection, &bytes).await;
        // What was promised a place while the upload was open, and comes after other bytes took it.
        let slot = home.objects.part_slot(&mut home.read().await, collection, blob, 1).await.unwrap();
        for seed in 70..80 {
            let refused = home.part(collection, blob, 1, &noise(PART, seed)).await;
            assert!(matches!(refused, Err(UploadError::PartTaken)), "{}", home.store.name);
        }
        home.part(collection, blob, 1, &bytes[PART as usize..2 * PART as usize]).await.unwrap();
        home.put(collection, item, Expected::Absent, b"", Some(blob)).await.unwrap();
        let late = home.blobs.write_part(slot.clone(), noise(PART, 90)).await.unwrap();
        assert!(home.objects.is_unwanted(&mut home.read().await, &late).await.unwrap());
        home.blobs.discard(&late).await.unwrap();
        let same =
            home.blobs.write_part(slot, bytes[PART as usize..2 * PART as usize].to_vec()).await.unwrap();
        assert!(!home.objects.is_unwanted(&mut home.read().await, &same).await.unwrap());
        assert_eq!(home.blobs.leftovers(home.tenant).next_page().await.unwrap().len(), 5);
        assert_eq!(read(&home, collection, blob, None).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn uploading_and_deleting_in_turns_fills_no_disk() {
    for home in homes_with_stores(Limits { bytes: 1_000_000, ..limits() }).await {
        let collection = home.collection().await;
        for _ in 0..5 {
            let (blob, item) = (home.upload(collection, &noise(400_000, 1)).await, ItemId::random());
            home.put(collection, item, Expected::Absent, b"", Some(blob)).await.unwrap();
            home.delete(collection, item, Expected::Any).await.unwrap();
        }
        assert_eq!(home.usage().await.bytes, 0, "{}", home.store.name);
        let refused = home.begin(collection, 400_000).await;
        assert!(matches!(
            refused,
            Err(UploadError::Quota(QuotaExceeded { resource: Resource::Deleted, used: 2_000_000, .. }))
        ));
        let mut tx = home.write().await;
        let cleared = home.objects.sweep_plan(&mut tx, 10).await.unwrap();
        assert!(cleared.removable.is_empty(), "not while they may still be read");
        drop(tx);
        home.store.clock.advance(objects::KEPT_AFTER_DELETION_MS + 1);
        let mut tx = home.write().await;
        let plan = home.objects.sweep_plan(&mut tx, 10).await.unwrap();
        home.objects.forget(&mut tx, &plan.removable).await.unwrap();
        tx.commit(store::Record::about("sweep")).await.unwrap();
        assert!(home.begin(collection, 400_000).await.is_ok());
    }
}

#[tokio::test]
async fn beyond_five_gib_an_upload_is_counted_and_its_parts_are_placed() {
    const SIZE: u64 = 6 << 30;
    for home in homes(Limits::default()).await {
        let collection = home.collection().await;
        let blob = home.begin(collection, SIZE + 10).await.unwrap();
        assert_eq!(home.usage().await.bytes, SIZE + 10, "{}", home.store.name);
        let parts = (SIZE / PART_SIZE) as u32 + 1;
        home.part(collection, blob, parts - 1, &[7; 10]).await.unwrap();
        let status = home.objects.upload_status(&mut home.read().await, collection, blob).await.unwrap();
        assert_eq!((status.present.first(), status.present.len()), (Some(&(parts - 1..parts)), 1));
        assert_eq!((status.missing.first(), status.missing.len()), (Some(&(0..parts - 1)), 1));
        assert_eq!(status.upload.layout.size(), SIZE + 10);
        let slot = home.objects.part_slot(&mut home.read().await, collection, blob, parts - 2).await.unwrap();
        assert_eq!(slot.len(), PART_SIZE);

        let too_large = home.begin(collection, (20 << 30) + 1).await;
        assert!(matches!(too_large, Err(UploadError::TooLarge { .. })));
        assert!(matches!(home.begin(collection, u64::MAX).await, Err(UploadError::TooLarge { .. })));
        assert!(matches!(home.begin(collection, 0).await, Err(UploadError::Empty)));
    }
}

#[tokio::test]
async fn bytes_are_reserved_at_the_beginning_and_counted_once() {
    for home in homes(Limits { bytes: 1_000_000, ..limits() }).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let blob = home.upload(collection, &noise(600_000, 1)).await;
        assert_eq!(home.usage().await.bytes, 600_000);
        let refused = home.begin(collection, 400_001).await;
        assert!(matches!(
            refused,
            Err(UploadError::Quota(QuotaExceeded { used: 600_000, needed: 400_001, .. }))
        ));
        home.put(collection, item, Expected::Absent, &[0; 100], Some(blob)).await.unwrap();
        assert_eq!(
            home.usage().await,
            Usage { bytes: 600_100, items: 1, collections: 1 },
            "{}",
            home.store.name
        );

        // The file stays while only what describes it changes.
        home.put(collection, item, Expected::Version(1), &[0; 200], Some(blob)).await.unwrap();
        assert_eq!(home.usage().await.bytes, 600_200);
        // Another file replaces it.
        let next = home.upload(collection, &noise(300_000, 2)).await;
        assert_eq!(home.usage().await.bytes, 900_200);
        home.put(collection, item, Expected::Version(2), b"", Some(next)).await.unwrap();
        assert_eq!(home.usage().await.bytes, 300_000);
        assert!(matches!(read(&home, collection, blob, None).await, Err(ReadError::NotFound)));
        // A file belongs to one item.
        let shared = home.put(collection, ItemId::random(), Expected::Absent, b"", Some(next)).await;
        assert!(matches!(shared, Err(ItemError::Upload(UploadError::NotFound))));
        home.delete(collection, item, Expected::Any).await.unwrap();
        assert_eq!(home.usage().await, Usage { bytes: 0, items: 0, collections: 1 });

        let given_up = home.begin(collection, 500_000).await.unwrap();
        let mut tx = home.write().await;
        home.objects.abandon_upload(&mut tx, collection, given_up).await.unwrap();
        tx.commit(store::Record::about(given_up)).await.unwrap();
        assert_eq!(home.usage().await.bytes, 0);
    }
}

#[tokio::test]
async fn a_damaged_part_is_named() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let blob = home.upload(collection, &noise(5 * PART, 4)).await;
        home.put(collection, ItemId::random(), Expected::Absent, b"", Some(blob)).await.unwrap();
        let folder =
            home.store.folder.path().join("blobs").join(home.tenant.to_string()).join(blob.to_string());
        let file = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("3-"));
        std::fs::remove_file(file.unwrap()).unwrap();
        let refused = read(&home, collection, blob, None).await;
        assert!(matches!(refused, Err(ReadError::Damaged { part: 3 })), "{}", home.store.name);
        assert!(read(&home, collection, blob, Some(0..3 * PART)).await.is_ok());
    }
}

#[cfg(unix)]
#[test]
fn the_folder_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("a b").join("blobs");
    Blobs::open(&format!("file://{}", path.display())).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for wrong in ["", "ftp://host/path", "file://host/path", "s3://bucket"] {
        assert!(matches!(Blobs::open(wrong), Err(BlobsError::Setting(_))), "{wrong}");
    }
    let blobs = Blobs::folder(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(blobs.is_ready()).is_ok());
    std::fs::remove_dir(&path).unwrap();
    assert!(matches!(runtime.block_on(blobs.is_ready()), Err(BlobsError::Folder { .. })));
    std::fs::write(above.path().join("file"), b"").unwrap();
    let not_a_folder = above.path().join("file").join("blobs");
    assert!(matches!(Blobs::folder(&not_a_folder), Err(BlobsError::Folder { .. })));
}
