// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Removing what nobody will read again: given-up uploads, deleted blobs, and objects that a crash left.
//!
//! A worker runs, for each tenant now and then, with no transaction open while objects are removed:
//!
//! 1. [`Objects::sweep_plan`]; when it is empty, go to 5.
//! 2. [`Objects::give_up`] on its `abandoned` uploads, commit.
//! 3. [`Blobs::remove_blob`](crate::Blobs::remove_blob) for each of its `removable` blobs.
//! 4. [`Objects::forget`] those, commit.
//! 5. Less often: [`Blobs::leftovers`](crate::Blobs::leftovers), page by page those that were
//!    [written before](crate::Leftover::is_written_before) the last day: [`Objects::unreferenced`], then
//!    [`Blobs::remove`](crate::Blobs::remove).
//!
//! A crash between any two steps is repaired by the next run.

use std::collections::{BTreeMap, BTreeSet};

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::blobs::object_name;
use crate::collection::remove_items;
use crate::usage::Change;
use crate::versions::remove_versions;
use crate::{BlobId, CollectionId, Leftover, Objects, QuotaExceeded};

/// An upload is given up this long after its last part came: a day.
pub const ABANDONED_AFTER_MS: i64 = 24 * 60 * 60 * 1_000;
/// A deleted blob's objects stay this long unless [`Limits`](crate::Limits) say otherwise, for who is reading them: an hour.
pub const KEPT_AFTER_DELETION_MS: i64 = 60 * 60 * 1_000;

/// What a sweep of a tenant finds to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepPlan {
    /// Uploads to be given up.
    pub abandoned: Vec<BlobId>,
    /// Deleted blobs whose objects can go.
    pub removable: Vec<BlobId>,
}

impl SweepPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.abandoned.is_empty() && self.removable.is_empty()
    }
}

impl Objects {
    /// What there is to do: at most `limit` of each kind, the oldest first.
    pub async fn sweep_plan(&self, tx: &mut ReadTx, limit: u32) -> Result<SweepPlan, StoreError> {
        let now = tx.now();
        let abandoned = aged(tx, "uploading", now.saturating_sub(ABANDONED_AFTER_MS), limit).await?;
        let kept = self.limits.kept_after_deletion_ms;
        let removable = aged(tx, "deleted", now.saturating_sub(kept), limit).await?;
        Ok(SweepPlan { abandoned, removable })
    }

    /// Gives up those of these uploads that are still waiting, and frees what they reserved. Returns how many.
    pub async fn give_up(&self, tx: &mut WriteTx, uploads: &[BlobId]) -> Result<u64, StoreError> {
        let now = tx.now();
        let (mut count, mut bytes) = (0, 0i64);
        for upload in uploads {
            let size: Option<(i64,)> = tx
                .query_opt(
                    "UPDATE blob SET state = 'deleted', changed_at = $2, inline = NULL \
                     WHERE id = $1 AND state = 'uploading' AND changed_at <= $3 RETURNING size",
                    params![upload, now, now.saturating_sub(ABANDONED_AFTER_MS)],
                )
                .await?;
            if let Some((size,)) = size {
                count += 1;
                bytes = bytes.saturating_add(size);
            }
        }
        if count > 0 {
            match self.charge::<Freed>(tx, Change { bytes: -bytes, ..Change::default() }).await {
                Err(Freed::Store(error)) => return Err(error),
                Ok(()) | Err(Freed::Quota) => {}
            }
        }
        Ok(count)
    }

    /// Removes every row of a tenant that is no more; [`crate::Blobs::remove_tenant`] removes the objects. A write that is
    /// still under way finds no collection to write to. In bounded steps, for however much there is.
    pub async fn erase(&self, tx: &mut WriteTx) -> Result<(), StoreError> {
        tx.execute("DELETE FROM collection_head", params![]).await?;
        let collections: Vec<(Uuid,)> = tx.query("SELECT id FROM collection", params![]).await?;
        for (collection,) in collections {
            let collection = CollectionId::from_uuid(collection);
            remove_items(tx, collection).await?;
            remove_versions(tx, collection).await?;
        }
        loop {
            // A file of 20 GiB has 2,560 parts, and may lie in the row itself when it is small.
            let blobs: Vec<(Uuid,)> = tx.query("SELECT id FROM blob LIMIT 16", params![]).await?;
            if blobs.is_empty() {
                break;
            }
            for (blob,) in blobs {
                tx.execute("DELETE FROM blob_part WHERE blob = $1", params![&blob]).await?;
                tx.execute("DELETE FROM blob WHERE id = $1", params![&blob]).await?;
            }
            tokio::task::yield_now().await;
        }
        for statement in [
            "DELETE FROM collection_member",
            "DELETE FROM former_key",
            "DELETE FROM tombstone",
            "DELETE FROM collection",
            "DELETE FROM blob_part",
            "DELETE FROM usage",
        ] {
            tx.execute(statement, params![]).await?;
        }
        Ok(())
    }

    /// Forgets deleted blobs whose objects were removed. Returns how many.
    pub async fn forget(&self, tx: &mut WriteTx, blobs: &[BlobId]) -> Result<u64, StoreError> {
        let mut count = 0;
        for blob in blobs {
            let deleted =
                tx.execute("DELETE FROM blob WHERE id = $1 AND state = 'deleted'", params![blob]).await?;
            if deleted == 1 {
                tx.execute("DELETE FROM blob_part WHERE blob = $1", params![blob]).await?;
            }
            count += deleted;
        }
        Ok(count)
    }

    /// Those of a page of stored objects that no row will ever name, to be removed by [`crate::Blobs::remove`].
    ///
    /// The page must have been listed before this transaction began. Then an object whose blob is unknown was written for
    /// one that is forgotten, and of a finished blob the rows no longer change. Objects of uploads under way are left
    /// alone: their row may be about to come.
    pub async fn unreferenced(
        &self,
        tx: &mut ReadTx,
        page: Vec<Leftover>,
    ) -> Result<Vec<Leftover>, StoreError> {
        let mut kept: BTreeMap<BlobId, Kept> = BTreeMap::new();
        for blob in page.iter().map(|object| object.blob).collect::<BTreeSet<_>>() {
            let state: Option<(String,)> =
                tx.query_opt("SELECT state FROM blob WHERE id = $1", params![&blob]).await?;
            let keep = match state.as_ref().map(|(state,)| state.as_str()) {
                None => Kept::Only(BTreeSet::new()),
                Some("complete") => {
                    let parts: Vec<(i64, [u8; 32])> = tx
                        .query("SELECT number, sha256 FROM blob_part WHERE blob = $1", params![&blob])
                        .await?;
                    Kept::Only(parts.iter().map(|(number, sha256)| object_name(*number, sha256)).collect())
                }
                Some(_) => Kept::All,
            };
            kept.insert(blob, keep);
        }
        let tenant = tx.tenant();
        let unreferenced = |object: &Leftover| match kept.get(&object.blob) {
            Some(Kept::Only(names)) => object.tenant == tenant && !names.contains(&object.name),
            Some(Kept::All) | None => false,
        };
        Ok(page.into_iter().filter(unreferenced).collect())
    }
}

enum Kept {
    All,
    Only(BTreeSet<String>),
}

/// Freeing bytes never exceeds a quota.
enum Freed {
    Quota,
    Store(StoreError),
}

impl From<QuotaExceeded> for Freed {
    fn from(_: QuotaExceeded) -> Self {
        Self::Quota
    }
}

impl From<StoreError> for Freed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn aged(
    tx: &mut ReadTx,
    state: &'static str,
    until: i64,
    limit: u32,
) -> Result<Vec<BlobId>, StoreError> {
    let rows: Vec<(Uuid,)> = tx
        .query(
            "SELECT id FROM blob WHERE state = $1 AND changed_at <= $2 ORDER BY changed_at LIMIT $3",
            params![state, until, i64::from(limit)],
        )
        .await?;
    Ok(rows.into_iter().map(|(id,)| BlobId::from_uuid(id)).collect())
}
