// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant on each engine, with its files in a temporary folder.

use std::sync::Arc;

use objects::{
    BlobId, Blobs, Bucket, CollectionId, Expected, ItemError, ItemId, Limits, MIGRATIONS, NewCollection,
    Objects, PutItem, UploadError, Usage, Written,
};
use store::testing::TestStore;
use store::{Entry, ReadTx, Record, TenantId, WriteTx};
use uuid::Uuid;

/// Small parts, so that a file of a few hundred KiB has several.
pub(crate) const PART: u64 = 64 << 10;
pub(crate) const ME: Uuid = Uuid::from_u128(7);

#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) store: Arc<TestStore>,
    pub(crate) tenant: TenantId,
    pub(crate) objects: Objects,
    pub(crate) blobs: Blobs,
}

/// A home on each engine that can run here.
pub(crate) async fn homes(limits: Limits) -> Vec<Home> {
    let mut homes = Vec::new();
    for store in store::testing::engines(&[MIGRATIONS]).await.unwrap() {
        let tenant = TenantId::random();
        store.door.create_tenant(tenant).await.unwrap();
        let blobs = Blobs::folder(&store.folder.path().join("blobs")).unwrap();
        homes.push(Home { store: Arc::new(store), tenant, objects: Objects::new(limits.clone()), blobs });
    }
    homes
}

/// The same with its files in a folder, in memory, and in a bucket where there is one: each is a home of its own.
pub(crate) async fn homes_with_stores(limits: Limits) -> Vec<Home> {
    let mut all = Vec::new();
    for home in homes(limits).await {
        let memory = Blobs::over(Arc::new(object_store::memory::InMemory::new()));
        for blobs in [Some(memory), bucket("blobs")].into_iter().flatten() {
            let tenant = TenantId::random();
            home.store.door.create_tenant(tenant).await.unwrap();
            all.push(Home { tenant, blobs, ..home.clone() });
        }
        all.push(home);
    }
    all
}

/// A place of its own in the bucket that `scripts/with-s3` makes.
pub(crate) fn bucket(name: &str) -> Option<Blobs> {
    bucket_with(&format!("s3://bailiwick/{}/{name}", Uuid::new_v4()), None)
}

/// Any place, with the right key or another.
pub(crate) fn bucket_with(url: &str, key: Option<&str>) -> Option<Blobs> {
    let variable = |name: &str| std::env::var(format!("BAILIWICK_TEST_S3{name}")).ok();
    let Some(endpoint) = variable("") else {
        eprintln!("skipped: there is no S3 API here (scripts/with-s3 starts one)");
        return None;
    };
    let (id, secret) = (variable("_ID").unwrap(), variable("_SECRET").unwrap());
    let bucket = Bucket {
        url,
        endpoint: &endpoint,
        region: "us-east-1",
        access_key_id: &id,
        secret_access_key: key.unwrap_or(&secret),
    };
    Some(Blobs::bucket(bucket).unwrap())
}

pub(crate) fn limits() -> Limits {
    Limits { part_size: PART, ..Limits::default() }
}

/// Bytes that differ from place to place.
pub(crate) fn noise(len: u64, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

impl Home {
    pub(crate) async fn read(&self) -> ReadTx {
        self.store.door.read(self.tenant).await.unwrap()
    }

    pub(crate) async fn write(&self) -> WriteTx {
        let text = |text: &str| text.to_owned();
        let entry =
            Entry { actor: text("acc_test"), via: text(""), action: text("test"), request: text("req") };
        self.store.door.write(self.tenant, entry).await.unwrap()
    }

    pub(crate) async fn collection(&self) -> CollectionId {
        let id = CollectionId::random();
        let mut tx = self.write().await;
        let new = NewCollection {
            id,
            owner: ME,
            kind: "files",
            sealed_key: b"key",
            sealed_meta: b"meta",
            kept_versions: 0,
        };
        self.objects.create_collection(&mut tx, new).await.unwrap();
        tx.commit(Record::about(id)).await.unwrap();
        id
    }

    pub(crate) async fn put(
        &self,
        collection: CollectionId,
        item: ItemId,
        expected: Expected,
        sealed: &[u8],
        blob: Option<BlobId>,
    ) -> Result<Written, ItemError> {
        let mut tx = self.write().await;
        let put =
            PutItem { collection, item, expected, sealed, blob, generation: 1, signature: None, by: ME };
        let written = self.objects.put_item(&mut tx, put).await?;
        tx.commit(Record::about(item)).await.unwrap();
        Ok(written)
    }

    pub(crate) async fn delete(
        &self,
        collection: CollectionId,
        item: ItemId,
        expected: Expected,
    ) -> Result<Written, ItemError> {
        let mut tx = self.write().await;
        let written = self.objects.delete_item(&mut tx, collection, item, expected, ME).await?;
        tx.commit(Record::about(item)).await.unwrap();
        Ok(written)
    }

    pub(crate) async fn begin(&self, collection: CollectionId, size: u64) -> Result<BlobId, UploadError> {
        let mut tx = self.write().await;
        let upload = self.objects.begin_upload(&mut tx, collection, size, ME).await?;
        tx.commit(Record::about(upload.id)).await.unwrap();
        Ok(upload.id)
    }

    pub(crate) async fn part(
        &self,
        collection: CollectionId,
        upload: BlobId,
        number: u32,
        bytes: &[u8],
    ) -> Result<(), UploadError> {
        let slot = self.objects.part_slot(&mut self.read().await, collection, upload, number).await?;
        let written = self.blobs.write_part(slot, bytes.to_vec()).await?;
        let mut tx = self.write().await;
        if let Err(error) = self.objects.record_part(&mut tx, collection, &written).await {
            if self.objects.is_unwanted(&mut tx, &written).await? {
                self.blobs.discard(&written).await?;
            }
            return Err(error);
        }
        tx.commit(Record::about(upload)).await.unwrap();
        Ok(())
    }

    /// Uploads all of `bytes`; what is left is to name it in an item.
    pub(crate) async fn upload(&self, collection: CollectionId, bytes: &[u8]) -> BlobId {
        let upload = self.begin(collection, bytes.len() as u64).await.unwrap();
        let size = if bytes.len() as u64 <= objects::INLINE_BLOB { bytes.len() } else { PART as usize };
        for (number, part) in (0..).zip(bytes.chunks(size)) {
            self.part(collection, upload, number, part).await.unwrap();
        }
        upload
    }

    pub(crate) async fn usage(&self) -> Usage {
        self.objects.usage(&mut self.read().await).await.unwrap()
    }
}
