// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections: their sealed keys, and all of them sealed anew at once.

use std::collections::BTreeSet;

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::changes::page_end;
use crate::generations::{FormerKey, former_keys};
use crate::usage::{Change, counted, signed, unsigned};
use crate::versions::{check_kept, remove_versions};
use crate::{CollectionId, Objects, QuotaExceeded};

/// The longest kind, in bytes.
pub const MAX_KIND: usize = 64;
/// The longest sealed key, in bytes.
pub const MAX_SEALED_KEY: usize = 4 << 10;
/// The longest sealed description, in bytes.
pub const MAX_META: usize = 16 << 10;
/// How many collections a page has at most.
pub const MAX_LIST: u32 = 200;

/// A collection as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// The account that made it.
    pub owner: Uuid,
    /// What it is for, in the clear: `files`, `chat`, `settings`, …
    pub kind: String,
    /// Its key, sealed by the client.
    pub sealed_key: Vec<u8>,
    /// Its name and whatever else describes it, sealed by the client.
    pub sealed_meta: Vec<u8>,
    /// 1 at first, and one more each time its key is sealed anew.
    pub key_version: u64,
    /// Which of its keys that is: 1 at first, and one more with each new key.
    pub generation: u32,
    /// The keys before it, the first one first.
    pub former_keys: Vec<FormerKey>,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// The number of its last change, 0 when there was none.
    pub sequence: u64,
    /// How many versions before the current one it keeps of an item.
    pub kept_versions: u32,
}

/// A collection to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewCollection<'a> {
    /// Chosen at random by the client, which binds it into what it seals.
    pub id: CollectionId,
    /// The account that makes it.
    pub owner: Uuid,
    /// 1 to [`MAX_KIND`] of `a-z 0-9 . _ -`.
    pub kind: &'a str,
    /// 1 to [`MAX_SEALED_KEY`] bytes.
    pub sealed_key: &'a [u8],
    /// Up to [`MAX_META`] bytes.
    pub sealed_meta: &'a [u8],
    /// How many versions before the current one it keeps of an item: 0 to
    /// [`MAX_KEPT_VERSIONS`](crate::MAX_KEPT_VERSIONS).
    pub kept_versions: u32,
}

/// A page of collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collections {
    /// The collections, ordered by id.
    pub collections: Vec<Collection>,
    /// What to pass as `after` for the next page; `None` on the last.
    pub next: Option<CollectionId>,
}

/// A collection's key, sealed anew.
#[derive(Clone, Copy, Debug)]
pub struct Resealed<'a> {
    /// The collection.
    pub collection: CollectionId,
    /// The key version that the client opened.
    pub expected_key_version: u64,
    /// 1 to [`MAX_SEALED_KEY`] bytes.
    pub sealed_key: &'a [u8],
}

/// Why an operation on collections was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// There is no such collection, or it was deleted.
    #[error("there is no such collection")]
    NotFound,
    /// The id was used before.
    #[error("a collection with this id exists or existed; choose another id at random")]
    Exists,
    /// A field is out of its bounds.
    #[error("{field}: {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
    /// It is sealed under a key that is not the collection's newest.
    #[error("the collection has another key now: fetch it, and seal with that")]
    KeyOutdated,
    /// The tenant has too many collections.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The keys that were sealed anew are not those of exactly the live collections. Nothing was changed.
    #[error("the collections changed while their keys were being sealed anew; list them and try again")]
    Outdated {
        /// A collection that is missing from the list, is in it twice, does not exist or has another key version.
        collection: CollectionId,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Row = (Uuid, Uuid, String, Vec<u8>, Vec<u8>, i64, i64, i64, i64, i64);

impl Objects {
    /// Makes a collection.
    pub async fn create_collection(
        &self,
        tx: &mut WriteTx,
        new: NewCollection<'_>,
    ) -> Result<Collection, CollectionError> {
        let NewCollection { id, owner, kind, sealed_key, sealed_meta, kept_versions } = new;
        check_kept(kept_versions)?;
        check_kind(kind)?;
        check_key(sealed_key)?;
        check_meta(sealed_meta)?;
        // First: it holds off a replacement of all keys, which must not miss this one.
        self.charge::<CollectionError>(tx, Change { collections: 1, ..Change::default() }).await?;
        let created_at = tx.now();
        let inserted = tx
            .execute(
                "INSERT INTO collection (id, owner, kind, sealed_key, sealed_meta, key_version, created_at, deleted_at) \
                 VALUES ($1, $2, $3, $4, $5, 1, $6, NULL) ON CONFLICT DO NOTHING",
                params![&id, &owner, kind, sealed_key, sealed_meta, created_at],
            )
            .await?;
        if inserted == 0 {
            return Err(CollectionError::Exists);
        }
        tx.execute(
            "INSERT INTO collection_head (collection, sequence, kept_versions) VALUES ($1, 0, $2)",
            params![&id, i64::from(kept_versions)],
        )
        .await?;
        Ok(Collection {
            id,
            owner,
            kind: kind.to_owned(),
            sealed_key: sealed_key.to_vec(),
            sealed_meta: sealed_meta.to_vec(),
            key_version: 1,
            generation: 1,
            former_keys: Vec::new(),
            created_at,
            sequence: 0,
            kept_versions,
        })
    }

    /// The collections after `after`, ordered by id, at most `limit` of them (1 to [`MAX_LIST`]).
    pub async fn list_collections(
        &self,
        tx: &mut ReadTx,
        after: Option<CollectionId>,
        limit: u32,
    ) -> Result<Collections, CollectionError> {
        let limit = limit.clamp(1, MAX_LIST);
        // Ids are random, so none is all zeros.
        let after = after.unwrap_or(CollectionId::from_uuid(Uuid::nil()));
        let rows: Vec<Row> = tx
            .query(
                "SELECT c.id, c.owner, c.kind, c.sealed_key, c.sealed_meta, c.key_version, c.created_at, h.sequence, \
                 h.generation, h.kept_versions \
                 FROM collection c JOIN collection_head h ON h.collection = c.id \
                 WHERE c.id > $1 AND c.deleted_at IS NULL ORDER BY c.id LIMIT $2",
                params![&after, i64::from(limit) + 1],
            )
            .await?;
        let more = rows.len() > limit as usize;
        let mut collections: Vec<_> =
            rows.into_iter().take(limit as usize).map(Collection::from_row).collect();
        for collection in collections.iter_mut().filter(|collection| collection.generation > 1) {
            collection.former_keys = former_keys(tx, collection.id).await?;
        }
        let next = collections.last().filter(|_| more).map(|last| last.id);
        Ok(Collections { collections, next })
    }

    /// One collection.
    pub async fn collection(&self, tx: &mut ReadTx, id: CollectionId) -> Result<Collection, CollectionError> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT c.id, c.owner, c.kind, c.sealed_key, c.sealed_meta, c.key_version, c.created_at, h.sequence, \
                 h.generation, h.kept_versions \
                 FROM collection c JOIN collection_head h ON h.collection = c.id \
                 WHERE c.id = $1 AND c.deleted_at IS NULL",
                params![&id],
            )
            .await?;
        let mut collection = row.map(Collection::from_row).ok_or(CollectionError::NotFound)?;
        if collection.generation > 1 {
            collection.former_keys = former_keys(tx, id).await?;
        }
        Ok(collection)
    }

    /// Replaces a collection's sealed description, up to [`MAX_META`] bytes, sealed under the key of this generation.
    ///
    /// # Errors
    /// [`CollectionError::KeyOutdated`] when the collection has another key by now.
    pub async fn describe_collection(
        &self,
        tx: &mut WriteTx,
        id: CollectionId,
        generation: u32,
        sealed_meta: &[u8],
    ) -> Result<(), CollectionError> {
        check_meta(sealed_meta)?;
        // The lock of whoever gives the collection another key.
        let head: Option<(i64,)> = tx
            .query_opt(
                "UPDATE collection_head SET generation = generation WHERE collection = $1 RETURNING generation",
                params![&id],
            )
            .await?;
        let (current,) = head.ok_or(CollectionError::NotFound)?;
        if counted(current) != generation {
            return Err(CollectionError::KeyOutdated);
        }
        tx.execute("UPDATE collection SET sealed_meta = $2 WHERE id = $1", params![&id, sealed_meta]).await?;
        Ok(())
    }

    /// Deletes a collection: its sealed key, its items with their versions and tombstones, and its files. The id stays taken.
    pub async fn delete_collection(&self, tx: &mut WriteTx, id: CollectionId) -> Result<(), CollectionError> {
        // Waits for the collection's writers, and leaves later ones nothing to lock.
        if tx.execute("DELETE FROM collection_head WHERE collection = $1", params![&id]).await? == 0 {
            return Err(CollectionError::NotFound);
        }
        tx.execute("DELETE FROM collection_member WHERE collection = $1", params![&id]).await?;
        tx.execute("DELETE FROM former_key WHERE collection = $1", params![&id]).await?;
        let now = tx.now();
        let (items, item_bytes) = remove_items(tx, id).await?;
        let item_bytes = item_bytes.saturating_add(remove_versions(tx, id).await?);
        tx.execute("DELETE FROM tombstone WHERE collection = $1", params![&id]).await?;
        // The state is read back from the rows that were changed: one may be abandoned at this moment.
        let reserved: Vec<(i64,)> = tx
            .query(
                "UPDATE blob SET state = 'deleted', changed_at = $2, inline = NULL \
                 WHERE collection = $1 AND state = 'uploading' RETURNING size",
                params![&id, now],
            )
            .await?;
        tx.execute(
            "UPDATE blob SET state = 'deleted', changed_at = $2, inline = NULL \
             WHERE collection = $1 AND state = 'complete'",
            params![&id, now],
        )
        .await?;
        let bytes = reserved.iter().fold(item_bytes, |bytes, (size,)| bytes.saturating_add(*size));
        self.charge::<CollectionError>(tx, Change { bytes: -bytes, items: -items, collections: -1 }).await?;
        let nothing: &[u8] = &[];
        tx.execute(
            "UPDATE collection SET deleted_at = $2, sealed_key = $3, sealed_meta = $3 WHERE id = $1",
            params![&id, now, nothing],
        )
        .await?;
        Ok(())
    }

    /// Replaces the sealed keys of all collections, or of none: what a rotation of the master key needs.
    /// `keys` must name each live collection exactly once, with the key version that it has now.
    pub async fn replace_sealed_keys(
        &self,
        tx: &mut WriteTx,
        keys: &[Resealed<'_>],
    ) -> Result<(), CollectionError> {
        // Holds off everyone who makes or deletes a collection.
        self.charge::<CollectionError>(tx, Change::default()).await?;
        let live: Vec<(Uuid,)> =
            tx.query("SELECT id FROM collection WHERE deleted_at IS NULL ORDER BY id", params![]).await?;
        let mut missing: BTreeSet<_> = live.into_iter().map(|(id,)| CollectionId::from_uuid(id)).collect();
        for Resealed { collection, expected_key_version, sealed_key } in keys {
            check_key(sealed_key)?;
            let outdated = CollectionError::Outdated { collection: *collection };
            if !missing.remove(collection) {
                return Err(outdated);
            }
            let changed = tx
                .execute(
                    "UPDATE collection SET sealed_key = $3, key_version = key_version + 1 \
                     WHERE id = $1 AND key_version = $2 AND deleted_at IS NULL",
                    params![collection, signed(*expected_key_version), *sealed_key],
                )
                .await?;
            if changed != 1 {
                return Err(outdated);
            }
        }
        missing
            .first()
            .map_or(Ok(()), |collection| Err(CollectionError::Outdated { collection: *collection }))
    }
}

impl Collection {
    fn from_row(row: Row) -> Self {
        let (id, owner, kind, sealed_key, sealed_meta, key_version, created_at, sequence, generation, kept) =
            row;
        Self {
            id: CollectionId::from_uuid(id),
            owner,
            kind,
            sealed_key,
            sealed_meta,
            key_version: unsigned(key_version),
            generation: counted(generation),
            former_keys: Vec::new(),
            created_at,
            sequence: unsigned(sequence),
            kept_versions: counted(kept),
        }
    }
}

/// Removes all items of a collection; returns how many were live, and their bytes.
///
/// In steps of bounded size: the embedded engine runs a statement on the thread that asks for it, which others wait for.
pub(crate) async fn remove_items(tx: &mut WriteTx, id: CollectionId) -> Result<(i64, i64), StoreError> {
    let (mut items, mut bytes) = (0, 0i64);
    loop {
        let lengths: Vec<(i64, i64)> = tx
            .query(
                "SELECT sequence, CAST(length(sealed) AS BIGINT) FROM item \
                 WHERE collection = $1 ORDER BY sequence LIMIT $2",
                params![&id, i64::from(STEP)],
            )
            .await?;
        let Some(last) = page_end(&lengths, STEP) else { return Ok((items, bytes)) };
        let removed: Vec<(i64, Option<i64>)> = tx
            .query(
                "DELETE FROM item WHERE collection = $1 AND sequence <= $2 RETURNING size, deleted_at",
                params![&id, last],
            )
            .await?;
        for (size, _) in removed.iter().filter(|(_, deleted_at)| deleted_at.is_none()) {
            items += 1;
            bytes = bytes.saturating_add(*size);
        }
        tokio::task::yield_now().await;
    }
}

/// Rows that one statement removes at most.
const STEP: u32 = 1_000;

fn check_kind(kind: &str) -> Result<(), CollectionError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let valid = (1..=MAX_KIND).contains(&kind.len()) && kind.bytes().all(allowed);
    let expected = "1 to 64 characters of a-z, 0-9, `.`, `_` and `-`";
    if valid { Ok(()) } else { Err(CollectionError::Invalid { field: "kind", expected }) }
}

pub(crate) fn check_key(sealed_key: &[u8]) -> Result<(), CollectionError> {
    let valid = (1..=MAX_SEALED_KEY).contains(&sealed_key.len());
    let expected = "1 to 4,096 bytes";
    if valid { Ok(()) } else { Err(CollectionError::Invalid { field: "sealed_key", expected }) }
}

pub(crate) fn check_meta(sealed_meta: &[u8]) -> Result<(), CollectionError> {
    let valid = sealed_meta.len() <= MAX_META;
    let expected = "at most 16,384 bytes";
    if valid { Ok(()) } else { Err(CollectionError::Invalid { field: "sealed_meta", expected }) }
}
