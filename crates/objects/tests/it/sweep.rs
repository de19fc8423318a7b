// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::path::PathBuf;

use objects::{ABANDONED_AFTER_MS, Expected, ItemId, KEPT_AFTER_DELETION_MS, Limits, SweepPlan, Usage};
use store::Record;

use crate::home::{Home, PART, homes, homes_with_stores, limits, noise};

/// What a worker does for each tenant.
async fn sweep(home: &Home) {
    let plan = home.objects.sweep_plan(&mut home.read().await, 100).await.unwrap();
    if !plan.abandoned.is_empty() {
        let mut tx = home.write().await;
        home.objects.give_up(&mut tx, &plan.abandoned).await.unwrap();
        tx.commit(Record::about("sweep")).await.unwrap();
    }
    for blob in &plan.removable {
        home.blobs.remove_blob(home.tenant, *blob).await.unwrap();
    }
    if !plan.removable.is_empty() {
        let mut tx = home.write().await;
        home.objects.forget(&mut tx, &plan.removable).await.unwrap();
        tx.commit(Record::about("sweep")).await.unwrap();
    }
    let mut leftovers = home.blobs.leftovers(home.tenant);
    loop {
        let page = leftovers.next_page().await.unwrap();
        if page.is_empty() {
            return;
        }
        let found = home.objects.unreferenced(&mut home.read().await, page).await.unwrap();
        home.blobs.remove(found).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_written_a_moment_ago_is_not_old() {
    for home in homes_with_stores(limits()).await {
        let collection = home.collection().await;
        home.upload(collection, &noise(5 * PART, 1)).await;
        let page = home.blobs.leftovers(home.tenant).next_page().await.unwrap();
        let now = store::Clock::now_ms(&store::SystemClock);
        assert_eq!(page.iter().filter(|object| object.is_written_before(now - 600_000)).count(), 0);
        assert_eq!(page.iter().filter(|object| object.is_written_before(now + 600_000)).count(), page.len());
        assert!(!page.is_empty());
    }
}

async fn objects(home: &Home) -> usize {
    let mut leftovers = home.blobs.leftovers(home.tenant);
    let mut count = 0;
    loop {
        match leftovers.next_page().await.unwrap().len() {
            0 => return count,
            more => count += more,
        }
    }
}

fn folder(home: &Home) -> PathBuf {
    home.store.folder.path().join("blobs").join(home.tenant.to_string())
}

#[tokio::test]
async fn a_deleted_files_objects_go_after_a_while() {
    for home in homes_with_stores(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let old = home.upload(collection, &noise(5 * PART, 1)).await;
        home.put(collection, item, Expected::Absent, b"", Some(old)).await.unwrap();
        let new = home.upload(collection, &noise(6 * PART, 2)).await;
        home.put(collection, item, Expected::Version(1), b"", Some(new)).await.unwrap();
        sweep(&home).await;
        assert_eq!(objects(&home).await, 11, "someone may be reading the old version");

        home.store.clock.advance(KEPT_AFTER_DELETION_MS);
        sweep(&home).await;
        assert_eq!(objects(&home).await, 6, "{}", home.store.name);
        assert!(home.objects.sweep_plan(&mut home.read().await, 10).await.unwrap().is_empty());
        assert!(home.objects.read_plan(&mut home.read().await, collection, new, None).await.is_ok());
    }
}

#[tokio::test]
async fn deleted_objects_stay_for_as_long_as_the_limits_say() {
    const KEPT_MS: i64 = 24 * KEPT_AFTER_DELETION_MS;
    for home in homes_with_stores(Limits { kept_after_deletion_ms: KEPT_MS, ..limits() }).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let blob = home.upload(collection, &noise(5 * PART, 1)).await;
        home.put(collection, item, Expected::Absent, b"", Some(blob)).await.unwrap();
        home.delete(collection, item, Expected::Any).await.unwrap();
        home.store.clock.advance(KEPT_MS - 1);
        sweep(&home).await;
        assert_eq!(objects(&home).await, 5, "a backup may have copied the row that names it");
        home.store.clock.advance(1);
        sweep(&home).await;
        assert_eq!(objects(&home).await, 0, "{}", home.store.name);
    }
}

#[tokio::test]
async fn an_upload_without_a_new_part_for_a_day_is_given_up() {
    for home in homes_with_stores(limits()).await {
        let collection = home.collection().await;
        let before = home.usage().await;
        let bytes = noise(5 * PART, 1);
        let (alive, dead) = (
            home.begin(collection, 5 * PART).await.unwrap(),
            home.begin(collection, 5 * PART).await.unwrap(),
        );
        home.part(collection, dead, 0, &bytes[..PART as usize]).await.unwrap();
        home.store.clock.advance(ABANDONED_AFTER_MS - 1);
        assert!(home.objects.sweep_plan(&mut home.read().await, 10).await.unwrap().is_empty());
        home.part(collection, alive, 0, &bytes[..PART as usize]).await.unwrap();
        home.store.clock.advance(1);
        let plan = home.objects.sweep_plan(&mut home.read().await, 10).await.unwrap();
        assert_eq!(plan, SweepPlan { abandoned: vec![dead], removable: vec![] }, "{}", home.store.name);

        // A part that came after the plan was made keeps it alive.
        home.part(collection, dead, 1, &bytes[..PART as usize]).await.unwrap();
        let mut tx = home.write().await;
        assert_eq!(home.objects.give_up(&mut tx, &plan.abandoned).await.unwrap(), 0);
        drop(tx);
        home.store.clock.advance(ABANDONED_AFTER_MS);
        sweep(&home).await;
        assert_eq!(home.usage().await, before, "both are given up, and nothing is reserved");
        assert!(home.part(collection, alive, 1, &bytes[..PART as usize]).await.is_err());
        home.store.clock.advance(KEPT_AFTER_DELETION_MS);
        sweep(&home).await;
        assert_eq!(objects(&home).await, 0);
    }
}

#[tokio::test]
async fn what_a_crash_leaves_is_found_and_nothing_else() {
    for home in homes_with_stores(limits()).await {
        let collection = home.collection().await;
        let (done, open, gone) = (
            home.upload(collection, &noise(5 * PART, 1)).await,
            home.begin(collection, 5 * PART).await.unwrap(),
            home.begin(collection, 5 * PART).await.unwrap(),
        );
        // Parts that were written and never acknowledged: of a file that is finished later, of one under way, of one
        // that is forgotten by then.
        for upload in [done, open, gone] {
            let slot = home.objects.part_slot(&mut home.read().await, collection, upload, 2).await.unwrap();
            home.blobs.write_part(slot, noise(PART, 50)).await.unwrap();
        }
        home.put(collection, ItemId::random(), Expected::Absent, b"", Some(done)).await.unwrap();
        let mut tx = home.write().await;
        home.objects.abandon_upload(&mut tx, collection, gone).await.unwrap();
        tx.commit(Record::about(gone)).await.unwrap();
        home.store.clock.advance(KEPT_AFTER_DELETION_MS);
        let mut tx = home.write().await;
        assert_eq!(
            home.objects.forget(&mut tx, &[gone, done, open]).await.unwrap(),
            1,
            "only what is deleted"
        );
        tx.commit(Record::about("sweep")).await.unwrap();

        assert_eq!(objects(&home).await, 8);
        sweep(&home).await;
        assert_eq!(
            objects(&home).await,
            6,
            "five parts, and the one that may still be acknowledged: {}",
            home.store.name
        );
        let plan = home.objects.read_plan(&mut home.read().await, collection, done, None).await.unwrap();
        let read: Vec<_> = futures::TryStreamExt::try_collect(home.blobs.read(plan)).await.unwrap();
        assert_eq!(read.concat(), noise(5 * PART, 1));
        assert_eq!(home.usage().await, Usage { bytes: 10 * PART, items: 1, collections: 1 });
    }
}

#[tokio::test]
async fn half_written_files_in_the_folder_are_removed_and_foreign_ones_are_not() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let done = home.upload(collection, &noise(5 * PART, 1)).await;
        home.put(collection, ItemId::random(), Expected::Absent, b"", Some(done)).await.unwrap();
        let staged = folder(&home).join(done.to_string()).join("2-00#1");
        let foreign = folder(&home).join("lost+found");
        std::fs::write(&staged, b"half").unwrap();
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("note"), b"mine").unwrap();
        sweep(&home).await;
        assert!(!staged.exists() && foreign.join("note").exists());
        assert_eq!(objects(&home).await, 5, "{}", home.store.name);

        home.blobs.remove_tenant(home.tenant).await.unwrap();
        assert!(!folder(&home).exists());
        home.blobs.remove_tenant(home.tenant).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_tenant_that_is_no_more_nothing_is_left() {
    for home in homes_with_stores(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let blob = home.upload(collection, &noise(5 * PART, 4)).await;
        home.put(collection, item, Expected::Absent, b"name", Some(blob)).await.unwrap();
        let open = home.begin(collection, 5 * PART).await.unwrap();

        let mut tx = home.write().await;
        home.objects.erase(&mut tx).await.unwrap();
        tx.commit(store::Record::about("deleted")).await.unwrap();
        home.blobs.remove_tenant(home.tenant).await.unwrap();

        let page = home.objects.list_collections(&mut home.read().await, None, 10).await.unwrap();
        assert_eq!(page.collections, [], "{}", home.store.name);
        assert_eq!(home.usage().await, objects::Usage::default());
        assert!(home.put(collection, item, Expected::Any, b"late", None).await.is_err());
        assert!(home.part(collection, open, 0, &noise(PART, 1)).await.is_err());
        assert_eq!(home.blobs.leftovers(home.tenant).next_page().await.unwrap(), []);
    }
}
