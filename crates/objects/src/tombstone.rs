// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tombstones: what a deleted item leaves for devices that sync, and for how long.
//!
//! Who asks for changes since a number below a tombstone that is gone is told to begin anew
//! ([`ItemError::Forgotten`]): what a list from 0 does not name is not there.

use store::{StoreError, WriteTx, params};
use uuid::Uuid;

use crate::{CollectionId, ItemError, ItemId, Objects};

/// How long a tombstone stays, in milliseconds: 90 days.
pub const TOMBSTONES_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1_000;

impl Objects {
    pub(crate) async fn mark_deleted(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<(), ItemError> {
        let now = tx.now();
        tx.execute(
            "INSERT INTO tombstone (collection, item, deleted_at) VALUES ($1, $2, $3)",
            params![&collection, &item, now],
        )
        .await?;
        Ok(())
    }

    pub(crate) async fn unmark_deleted(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<(), ItemError> {
        tx.execute("DELETE FROM tombstone WHERE collection = $1 AND item = $2", params![&collection, &item])
            .await?;
        Ok(())
    }

    /// Clears away tombstones older than [`TOMBSTONES_KEPT_MS`], at most `limit` of them and of one collection. Returns
    /// how many; call it again, in another transaction, until there are none.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn forget_tombstones(&self, tx: &mut WriteTx, limit: u32) -> Result<u64, StoreError> {
        let until = tx.now().saturating_sub(TOMBSTONES_KEPT_MS);
        let oldest: Option<(Uuid,)> = tx
            .query_opt(
                "SELECT collection FROM tombstone WHERE deleted_at <= $1 ORDER BY deleted_at LIMIT 1",
                params![until],
            )
            .await?;
        let Some((collection,)) = oldest else { return Ok(0) };
        // The lock of the collection's writers, as for every change of it.
        tx.execute(
            "UPDATE collection_head SET sequence = sequence WHERE collection = $1",
            params![&collection],
        )
        .await?;
        let old: Vec<(Uuid,)> = tx
            .query(
                "SELECT item FROM tombstone WHERE collection = $1 AND deleted_at <= $2 LIMIT $3",
                params![&collection, until, i64::from(limit)],
            )
            .await?;
        let mut highest = 0;
        for (item,) in &old {
            let sequence: Option<(i64,)> = tx
                .query_opt(
                    "DELETE FROM item WHERE collection = $1 AND id = $2 AND deleted_at IS NOT NULL RETURNING sequence",
                    params![&collection, item],
                )
                .await?;
            highest = highest.max(sequence.map_or(0, |(sequence,)| sequence));
            tx.execute(
                "DELETE FROM tombstone WHERE collection = $1 AND item = $2",
                params![&collection, item],
            )
            .await?;
        }
        tx.execute(
            "UPDATE collection_head SET forgotten = $2 \
             WHERE collection = $1 AND (forgotten IS NULL OR forgotten < $2)",
            params![&collection, highest],
        )
        .await?;
        Ok(old.len() as u64)
    }
}
