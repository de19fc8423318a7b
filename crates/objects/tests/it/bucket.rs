// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A bucket behind an S3 API, as far as it differs from other places.

use std::time::Duration;

use futures::TryStreamExt;
use objects::{Blobs, Bucket, Expected, ItemId};
use uuid::Uuid;

use crate::home::{Home, PART, bucket, bucket_with, homes, limits, noise};

#[tokio::test]
async fn everything_moves_from_a_folder_to_a_bucket_and_back() {
    let (Some(bucket), Some(home)) = (bucket("blobs"), homes(limits()).await.pop()) else { return };
    let collection = home.collection().await;
    let bytes = noise(6 * PART + 5, 1);
    let blob = home.upload(collection, &bytes).await;
    home.put(collection, ItemId::random(), Expected::Absent, b"", Some(blob)).await.unwrap();
    let back = Blobs::folder(&home.store.folder.path().join("back")).unwrap();

    assert_eq!(home.blobs.copy_to(&bucket).await.unwrap(), 7);
    assert_eq!(home.blobs.copy_to(&bucket).await.unwrap(), 7, "once more is no harm");
    assert_eq!(bucket.copy_to(&back).await.unwrap(), 7);
    for blobs in [bucket, back] {
        let home = Home { blobs, ..home.clone() };
        let plan = home.objects.read_plan(&mut home.read().await, collection, blob, None).await.unwrap();
        let read: Vec<_> = home.blobs.read(plan).try_collect().await.unwrap();
        assert!(read.concat() == bytes);
    }
}

#[tokio::test]
async fn a_place_in_a_bucket_sees_nothing_of_the_one_beside_it() {
    let Some(home) = homes(limits()).await.pop() else { return };
    let shared = Uuid::new_v4();
    let beside = |name| bucket_with(&format!("s3://bailiwick/{shared}/{name}"), None);
    let (Some(one), Some(other)) = (beside("blobs"), beside("blobs-of-another")) else { return };
    let in_one = Home { blobs: one, ..home.clone() };
    let in_other = Home { blobs: other, ..home };
    let collection = in_one.collection().await;
    in_other.upload(collection, &noise(5 * PART, 1)).await;
    assert!(in_one.blobs.leftovers(in_one.tenant).next_page().await.unwrap().is_empty());
    in_one.blobs.remove_tenant(in_one.tenant).await.unwrap();
    assert_eq!(in_other.blobs.leftovers(in_one.tenant).next_page().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_bucket_answers_only_with_its_name_and_the_right_key() {
    let Some(right) = bucket("blobs") else { return };
    right.is_ready().await.unwrap();
    let said = |blobs: Option<Blobs>| async move { blobs.unwrap().is_ready().await.unwrap_err().to_string() };
    let wrong_key = said(bucket_with("s3://bailiwick/blobs", Some("not the key"))).await;
    assert!(wrong_key.contains("SignatureDoesNotMatch") && !wrong_key.contains("not the key"), "{wrong_key}");
    let no_bucket = said(bucket_with("s3://nobodys/blobs", None)).await;
    assert!(no_bucket.contains("NoSuchBucket"), "{no_bucket}");
}

#[tokio::test]
async fn who_waits_for_a_bucket_that_is_not_there_is_told_soon() {
    // Taken and let go at once: nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bucket = Bucket {
        url: "s3://bailiwick",
        endpoint: &format!("http://127.0.0.1:{port}"),
        region: "us-east-1",
        access_key_id: "id",
        secret_access_key: "key",
    };
    let blobs = Blobs::bucket(bucket).unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(40), blobs.is_ready()).await;
    assert!(asked.expect("within its own bound").is_err());
}
