// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Versions of items that were replaced: as many as their collection keeps, until the item is deleted.
//!
//! They count as what they are, byte for byte, against what a tenant may store. A file that several versions have is counted
//! with the newest of them, and goes with the last.

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::item::ItemRow;
use crate::usage::{Change, signed, unsigned};
use crate::{BlobId, CollectionError, CollectionId, Item, ItemError, ItemId, Objects};

/// How many versions before the current one a collection may keep.
pub const MAX_KEPT_VERSIONS: u32 = 100;

/// A version of an item, without what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which, from 1.
    pub version: u64,
    /// The bytes of its sealed content.
    pub sealed_size: u64,
    /// The ciphertext bytes of its file, if it has one.
    pub file_size: Option<u64>,
    /// When it was made, in Unix milliseconds.
    pub changed_at: i64,
    /// The account that made it.
    pub changed_by: Uuid,
}

/// The version that a change replaces.
pub(crate) struct Replaced {
    pub(crate) version: i64,
    /// What it counts from now on.
    pub(crate) bytes: i64,
    /// The file that the item has from now on.
    pub(crate) kept_blob: Option<BlobId>,
}

impl Objects {
    /// The versions of a live item that can be read, the newest first: its current one and those before it that are kept.
    pub async fn item_versions(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<Vec<Version>, ItemError> {
        let rows: Vec<(i64, i64, Option<i64>, i64, Uuid)> = tx
            .query(
                "SELECT v.version, CAST(length(v.sealed) AS BIGINT), b.size, v.changed_at, v.changed_by FROM ( \
                   SELECT version, sealed, blob, changed_at, changed_by FROM item \
                    WHERE collection = $1 AND id = $2 AND deleted_at IS NULL \
                   UNION ALL \
                   SELECT version, sealed, blob, changed_at, changed_by FROM earlier_version \
                    WHERE collection = $1 AND item = $2 \
                 ) v LEFT JOIN blob b ON b.id = v.blob ORDER BY v.version DESC",
                params![&collection, &item],
            )
            .await?;
        if rows.is_empty() {
            return Err(ItemError::NotFound);
        }
        let read =
            |(version, sealed, file, changed_at, changed_by): (i64, i64, Option<i64>, i64, Uuid)| Version {
                version: unsigned(version),
                sealed_size: unsigned(sealed),
                file_size: file.map(unsigned),
                changed_at,
                changed_by,
            };
        Ok(rows.into_iter().map(read).collect())
    }

    /// A version of a live item, as it was written.
    pub async fn item_version(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        item: ItemId,
        version: u64,
    ) -> Result<Item, ItemError> {
        let earlier: Option<ItemRow> = tx
            .query_opt(
                "SELECT v.item, v.version, v.sequence, v.sealed, length(v.sealed) + coalesce(b.size, 0), v.blob, \
                 v.changed_at, v.changed_by, CAST(NULL AS BIGINT), v.authorship \
                 FROM earlier_version v LEFT JOIN blob b ON b.id = v.blob \
                 WHERE v.collection = $1 AND v.item = $2 AND v.version = $3",
                params![&collection, &item, signed(version)],
            )
            .await?;
        if let Some(row) = earlier {
            return Ok(Item::from_row(row));
        }
        let current = self.item(tx, collection, item).await?;
        if current.version == version { Ok(current) } else { Err(ItemError::NotFound) }
    }

    /// Says how many versions before the current one a collection keeps from now on, 0 to [`MAX_KEPT_VERSIONS`]. With 0
    /// those that it has are deleted at once; with fewer than before, those of an item with its next change.
    pub async fn keep_versions(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        kept: u32,
    ) -> Result<(), CollectionError> {
        check_kept(kept)?;
        let set = "UPDATE collection_head SET kept_versions = $2 WHERE collection = $1";
        if tx.execute(set, params![&collection, i64::from(kept)]).await? == 0 {
            return Err(CollectionError::NotFound);
        }
        if kept == 0 {
            self.forget_all_versions(tx, collection).await?;
        }
        Ok(())
    }

    /// Keeps the version that is replaced, and gives up those that are too many then. Before the item itself is changed.
    pub(crate) async fn keep_version(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
        replaced: Replaced,
        kept: u32,
    ) -> Result<(), ItemError> {
        tx.execute(
            "INSERT INTO earlier_version \
             (collection, item, version, sequence, sealed, size, blob, changed_at, changed_by, authorship) \
             SELECT collection, id, version, sequence, sealed, $3, blob, changed_at, changed_by, authorship \
             FROM item WHERE collection = $1 AND id = $2",
            params![&collection, &item, replaced.bytes],
        )
        .await?;
        let given_up: Vec<Removed> = tx
            .query(
                "DELETE FROM earlier_version WHERE collection = $1 AND item = $2 AND version <= $3 RETURNING size, blob",
                params![&collection, &item, replaced.version - i64::from(kept)],
            )
            .await?;
        let freed = given_up.iter().fold(0i64, |bytes, (size, _)| bytes.saturating_add(*size));
        for blob in blobs(&given_up).filter(|blob| Some(*blob) != replaced.kept_blob) {
            self.delete_unless_kept(tx, collection, item, blob).await?;
        }
        self.charge(tx, Change { bytes: replaced.bytes - freed, ..Change::default() }).await
    }

    /// Gives up all versions of an item but the current one.
    pub(crate) async fn forget_versions(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<(), ItemError> {
        let given_up: Vec<Removed> = tx
            .query(
                "DELETE FROM earlier_version WHERE collection = $1 AND item = $2 RETURNING size, blob",
                params![&collection, &item],
            )
            .await?;
        let freed = given_up.iter().fold(0i64, |bytes, (size, _)| bytes.saturating_add(*size));
        for blob in blobs(&given_up) {
            self.delete_blob(tx, blob).await?;
        }
        self.charge(tx, Change { bytes: -freed, ..Change::default() }).await
    }

    /// Gives up all versions of all items but the current ones.
    async fn forget_all_versions(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
    ) -> Result<(), CollectionError> {
        let mut freed = 0i64;
        loop {
            let given_up = remove_some(tx, collection).await?;
            if given_up.is_empty() {
                break;
            }
            freed = given_up.iter().fold(freed, |bytes, (size, ..)| bytes.saturating_add(*size));
            for (_, blob, item) in given_up {
                let Some(blob) = blob.map(BlobId::from_uuid) else { continue };
                let current: Option<(Option<Uuid>,)> = tx
                    .query_opt(
                        "SELECT blob FROM item WHERE collection = $1 AND id = $2",
                        params![&collection, &item],
                    )
                    .await?;
                if current.and_then(|(blob,)| blob).map(BlobId::from_uuid) != Some(blob) {
                    self.delete_blob(tx, blob).await?;
                }
            }
        }
        self.charge(tx, Change { bytes: -freed, ..Change::default() }).await
    }

    async fn delete_unless_kept(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
        blob: BlobId,
    ) -> Result<(), StoreError> {
        let held: Option<(i64,)> = tx
            .query_opt(
                "SELECT version FROM earlier_version WHERE collection = $1 AND item = $2 AND blob = $3 LIMIT 1",
                params![&collection, &item, &blob],
            )
            .await?;
        match held {
            Some(_) => Ok(()),
            None => self.delete_blob(tx, blob).await,
        }
    }
}

fn blobs(rows: &[Removed]) -> impl Iterator<Item = BlobId> {
    rows.iter().filter_map(|(_, blob)| *blob).map(BlobId::from_uuid)
}

/// Removes the rows of all earlier versions of a collection; returns the bytes that they counted.
pub(crate) async fn remove_versions(tx: &mut WriteTx, collection: CollectionId) -> Result<i64, StoreError> {
    let mut bytes = 0i64;
    loop {
        let removed = remove_some(tx, collection).await?;
        if removed.is_empty() {
            return Ok(bytes);
        }
        bytes = removed.iter().fold(bytes, |bytes, (size, ..)| bytes.saturating_add(*size));
    }
}

/// Bytes counted, and the file.
type Removed = (i64, Option<Uuid>);

/// Removes some earlier versions of a collection, if it has any: a step of bounded size. Each with its item.
async fn remove_some(
    tx: &mut WriteTx,
    collection: CollectionId,
) -> Result<Vec<(i64, Option<Uuid>, Uuid)>, StoreError> {
    let removed = tx
        .query(
            "DELETE FROM earlier_version WHERE collection = $1 AND (item, version) IN \
             (SELECT item, version FROM earlier_version WHERE collection = $1 ORDER BY item, version LIMIT $2) \
             RETURNING size, blob, item",
            params![&collection, i64::from(STEP)],
        )
        .await?;
    tokio::task::yield_now().await;
    Ok(removed)
}

/// Versions that one statement removes at most: each may have 256 KiB.
const STEP: u32 = 200;

pub(crate) fn check_kept(kept: u32) -> Result<(), CollectionError> {
    if kept <= MAX_KEPT_VERSIONS {
        return Ok(());
    }
    Err(CollectionError::Invalid { field: "kept_versions", expected: "0 to 100" })
}
