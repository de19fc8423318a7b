// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Items: one row each, its current version. Those before it are in [`crate::versions`].

use store::{Answer, Param, ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::usage::{COUNT_ITEM, Change, counted as whole, signed, unsigned};
use crate::versions::Replaced;
use crate::{BlobId, CollectionId, ItemId, Objects, QuotaExceeded, UploadError};

/// The longest sealed content that an item holds itself, in bytes; what is longer goes into a blob.
/// It leaves room for what sealing adds to 256 KiB.
pub const MAX_SEALED: usize = (256 << 10) + 512;

/// The longest signature of an item, in bytes.
pub const MAX_SIGNATURE: usize = 128;

/// The current version of an item, or the tombstone of a deleted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// 1 at first, and one more with each change, deletion included.
    pub version: u64,
    /// The number of the change in its collection that made this version.
    pub sequence: u64,
    /// The content, sealed by the client; empty in a tombstone.
    pub sealed: Vec<u8>,
    /// The file that belongs to this version.
    pub blob: Option<BlobRef>,
    /// When this version was made, in Unix milliseconds.
    pub changed_at: i64,
    /// The account that made this version.
    pub changed_by: Uuid,
    /// That account's word for it.
    pub signature: Option<ItemSignature>,
    /// When it was deleted, in Unix milliseconds.
    pub deleted_at: Option<i64>,
}

/// A writer's word for a version of an item, which this room can neither make nor check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemSignature {
    /// Which of the writer's identity keys made it.
    pub key_version: u32,
    /// 1 to [`MAX_SIGNATURE`] bytes.
    pub bytes: Vec<u8>,
}

/// A blob that an item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// Its id.
    pub id: BlobId,
    /// Its ciphertext bytes.
    pub size: u64,
}

/// What a writer believes is stored now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing, or only a tombstone.
    Absent,
    /// This version. It may be a tombstone's, to bring the item back.
    Version(u64),
    /// Some version of a live item.
    Present,
    /// Whatever it is.
    Any,
}

/// A new version of an item.
#[derive(Clone, Copy, Debug)]
pub struct PutItem<'a> {
    /// Where it belongs.
    pub collection: CollectionId,
    /// Which item.
    pub item: ItemId,
    /// The precondition.
    pub expected: Expected,
    /// The content, sealed by the client: at most [`MAX_SEALED`] bytes.
    pub sealed: &'a [u8],
    /// The file of this version: an upload of this collection with all its parts, which this completes; or the file that
    /// the item has already, which it keeps. A file that the item had and does not keep is deleted with the last version that
    /// has it.
    pub blob: Option<BlobId>,
    /// Which of the collection's keys it is sealed under.
    pub generation: u32,
    /// The writer's word for it: needed from the second generation on.
    pub signature: Option<&'a ItemSignature>,
    /// The account that writes.
    pub by: Uuid,
}

/// The version that a change made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The item's version.
    pub version: u64,
    /// The collection's sequence, to be published to a [`crate::Feed`] after the commit.
    pub sequence: u64,
}

/// Why an operation on an item was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// There is no such collection, or no such item in it.
    #[error("there is no such item")]
    NotFound,
    /// The item is not what the writer believed.
    #[error("the item was changed by someone else: it is at version {}", current.version)]
    Conflict {
        /// What is stored now; a tombstone when it was deleted.
        current: Box<Item>,
    },
    /// There is no live item to be changed.
    #[error("there is no item to replace")]
    Absent,
    /// What was asked for begins before deletions that are forgotten: list the collection anew, from 0.
    #[error("deletions since then are forgotten; list the collection from the beginning")]
    Forgotten,
    /// The content is too long for an item.
    #[error("the content has {size} bytes; an item holds at most {}, upload the rest as a file", MAX_SEALED)]
    TooLarge {
        /// Its bytes.
        size: usize,
    },
    /// It is sealed under a key that is not the collection's newest.
    #[error("the collection has key {current} now: fetch it, and seal with that")]
    KeyOutdated {
        /// The generation to write with.
        current: u32,
    },
    /// It has no signature, or one that cannot be one.
    #[error(
        "items of a collection that was shared carry their writer's signature of 1 to {MAX_SIGNATURE} bytes"
    )]
    Signature,
    /// It does not fit.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The file cannot be taken into the item.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a change must know of the version before it.
struct Before {
    version: i64,
    size: i64,
    blob: Option<Uuid>,
    live: bool,
    /// The bytes of the blob.
    blob_size: i64,
}

impl Objects {
    /// The current version of a live item.
    pub async fn item(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<Item, ItemError> {
        current(tx, collection, item)
            .await?
            .filter(|item| item.deleted_at.is_none())
            .ok_or(ItemError::NotFound)
    }

    /// Stores a new version of an item, completing the upload of its file if it brings a new one.
    pub async fn put_item(&self, tx: &mut WriteTx, put: PutItem<'_>) -> Result<Written, ItemError> {
        let PutItem { collection, item, expected, sealed, blob, generation, signature, by } = put;
        if sealed.len() > MAX_SEALED {
            return Err(ItemError::TooLarge { size: sealed.len() });
        }
        let is_signed = signature.is_some_and(|signature| !signature.bytes.is_empty());
        let fits = signature.is_none_or(|signature| signature.bytes.len() <= MAX_SIGNATURE);
        if !fits || (generation > 1 && !is_signed) {
            return Err(ItemError::Signature);
        }
        let count = params![&collection, &item, signed(sealed.len() as u64), blob.as_ref(), 1_i64];
        let Begun { sequence, generation: current, kept_versions, before, counted } =
            begin_change(tx, collection, item, count).await?;
        if generation != current {
            return Err(ItemError::KeyOutdated { current });
        }
        self.expect(tx, collection, item, expected, before.as_ref()).await?;

        let had = before.as_ref().and_then(|before| before.blob).map(BlobId::from_uuid);
        let (blob_size, reserved) = match blob {
            None => (0, 0),
            Some(blob) if Some(blob) == had => (before.as_ref().map_or(0, |before| before.blob_size), 0),
            Some(blob) => {
                let size = signed(self.complete_upload(tx, collection, blob).await?);
                (size, size)
            }
        };
        let replaced = before.as_ref().filter(|before| before.live);
        if let Some(replaced) = replaced.filter(|_| kept_versions > 0) {
            let its_bytes = if had == blob { replaced.size - replaced.blob_size } else { replaced.size };
            let replaced = Replaced { version: replaced.version, bytes: its_bytes, kept_blob: blob };
            self.keep_version(tx, collection, item, replaced, kept_versions).await?;
        } else if let Some(had) = had.filter(|had| Some(*had) != blob) {
            self.delete_blob(tx, had).await?;
        }

        let size = signed(sealed.len() as u64).saturating_add(blob_size);
        let version = before.as_ref().map_or(1, |before| before.version.saturating_add(1));
        let now = tx.now();
        let values = params![&collection, &item, version, sequence, sealed, size, blob.as_ref(), now, &by];
        if before.as_ref().is_some_and(|before| !before.live) {
            self.unmark_deleted(tx, collection, item).await?;
        }
        let write = match before {
            Some(_) => {
                "UPDATE item SET version = $3, sequence = $4, sealed = $5, size = $6, blob = $7, \
                 changed_at = $8, changed_by = $9, deleted_at = NULL WHERE collection = $1 AND id = $2"
            }
            None => {
                "INSERT INTO item (collection, id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)"
            }
        };
        let (old_size, old_items) =
            before.filter(|before| before.live).map_or((0, 0), |before| (before.size, 1));
        let change = Change { bytes: size - old_size - reserved, items: 1 - old_items, collections: 0 };
        self.check_counted::<ItemError>(tx, counted, change).await?;
        tx.defer(write, values).await?;
        if let Some(signature) = signature {
            let stored = signature.stored_for(unsigned(version));
            tx.defer(
                "UPDATE item SET authorship = $3 WHERE collection = $1 AND id = $2",
                params![&collection, &item, &stored],
            )
            .await?;
        }
        Ok(Written { version: unsigned(version), sequence: unsigned(sequence) })
    }

    /// Deletes an item: its content and its file go, with all versions of them; a tombstone with the next version stays.
    pub async fn delete_item(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
        expected: Expected,
        by: Uuid,
    ) -> Result<Written, ItemError> {
        let count = params![&collection, &item, 0_i64, Param::Null, 0_i64];
        let Begun { sequence, kept_versions, before, counted, .. } =
            begin_change(tx, collection, item, count).await?;
        let Some(before) = before.filter(|before| before.live) else {
            return Err(ItemError::NotFound);
        };
        self.expect(tx, collection, item, expected, Some(&before)).await?;
        if let Some(blob) = before.blob {
            self.delete_blob(tx, BlobId::from_uuid(blob)).await?;
        }
        if kept_versions > 0 {
            self.forget_versions(tx, collection, item).await?;
        }
        let version = before.version.saturating_add(1);
        let (now, nothing): (i64, &[u8]) = (tx.now(), &[]);
        self.mark_deleted(tx, collection, item).await?;
        let delete = "UPDATE item SET version = $3, sequence = $4, sealed = $5, size = 0, blob = NULL, \
                      changed_at = $6, changed_by = $7, deleted_at = $6 WHERE collection = $1 AND id = $2";
        let values = params![&collection, &item, version, sequence, nothing, now, &by];
        let change = Change { bytes: -before.size, items: -1, collections: 0 };
        self.check_counted::<ItemError>(tx, counted, change).await?;
        tx.defer(delete, values).await?;
        Ok(Written { version: unsigned(version), sequence: unsigned(sequence) })
    }

    async fn expect(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        item: ItemId,
        expected: Expected,
        before: Option<&Before>,
    ) -> Result<(), ItemError> {
        let met = match (expected, before) {
            (Expected::Any, _) => true,
            (Expected::Absent, before) => before.is_none_or(|before| !before.live),
            (Expected::Present, before) if before.is_none_or(|before| !before.live) => {
                return Err(ItemError::Absent);
            }
            (Expected::Present, _) => true,
            (Expected::Version(_), None) => return Err(ItemError::NotFound),
            (Expected::Version(version), Some(before)) => version == unsigned(before.version),
        };
        if met {
            return Ok(());
        }
        let current = current(tx, collection, item).await?.ok_or(ItemError::NotFound)?;
        Err(ItemError::Conflict { current: Box::new(current) })
    }
}

/// What a change of an item begins with.
struct Begun {
    /// The number of the change.
    sequence: i64,
    /// Which of the collection's keys is the newest.
    generation: u32,
    /// How many versions before the current one are kept.
    kept_versions: u32,
    /// What the item is so far.
    before: Option<Before>,
    /// The answer to [`COUNT_ITEM`].
    counted: Answer,
}

/// Takes the next number, and with it the lock on the collection's changes; reads what the item is then, and counts what it
/// becomes. The first statements of every change: a reader who sees this number then sees all lower ones.
async fn begin_change(
    tx: &mut WriteTx,
    collection: CollectionId,
    item: ItemId,
    count: &[Param<'_>],
) -> Result<Begun, ItemError> {
    let [head, before, counted] = tx
        .together([
            (
                "UPDATE collection_head SET sequence = sequence + 1 WHERE collection = $1 \
                 RETURNING sequence, generation, kept_versions",
                params![&collection],
            ),
            // Begins when the lock is held.
            (
                "SELECT version, size, CAST(length(sealed) AS BIGINT), blob, deleted_at FROM item \
                 WHERE collection = $1 AND id = $2",
                params![&collection, &item],
            ),
            (COUNT_ITEM, count),
        ])
        .await?;
    let (sequence, generation, kept_versions) =
        head.first::<(i64, i64, i64)>()?.ok_or(ItemError::NotFound)?;
    let before: Option<BeforeRow> = before.first()?;
    let before = before.map(|(version, size, sealed_size, blob, deleted_at)| Before {
        version,
        size,
        blob,
        live: deleted_at.is_none(),
        blob_size: size - sealed_size,
    });
    let (generation, kept_versions) = (whole(generation), whole(kept_versions));
    Ok(Begun { sequence, generation, kept_versions, before, counted })
}

async fn current(
    tx: &mut ReadTx,
    collection: CollectionId,
    item: ItemId,
) -> Result<Option<Item>, StoreError> {
    let row: Option<ItemRow> = tx
        .query_opt(
            "SELECT id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at, authorship FROM item \
             WHERE collection = $1 AND id = $2",
            params![&collection, &item],
        )
        .await?;
    Ok(row.map(Item::from_row))
}

type BeforeRow = (i64, i64, i64, Option<Uuid>, Option<i64>);

pub(crate) type ItemRow =
    (Uuid, i64, i64, Vec<u8>, i64, Option<Uuid>, i64, Uuid, Option<i64>, Option<Vec<u8>>);

impl Item {
    pub(crate) fn from_row(row: ItemRow) -> Self {
        let (id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at, authorship) = row;
        let blob_size = unsigned(size).saturating_sub(sealed.len() as u64);
        Self {
            id: ItemId::from_uuid(id),
            version: unsigned(version),
            sequence: unsigned(sequence),
            blob: blob.map(|id| BlobRef { id: BlobId::from_uuid(id), size: blob_size }),
            sealed,
            changed_at,
            changed_by,
            signature: authorship.and_then(|stored| ItemSignature::read_for(unsigned(version), &stored)),
            deleted_at,
        }
    }
}

impl ItemSignature {
    /// `item version(8) ‖ key version(4) ‖ signature`. The version tells one that a later, unsigned change left standing.
    fn stored_for(&self, version: u64) -> Vec<u8> {
        let mut stored = Vec::with_capacity(12 + self.bytes.len());
        stored.extend_from_slice(&version.to_be_bytes());
        stored.extend_from_slice(&self.key_version.to_be_bytes());
        stored.extend_from_slice(&self.bytes);
        stored
    }

    fn read_for(version: u64, stored: &[u8]) -> Option<Self> {
        let (of, rest) = stored.split_first_chunk::<8>()?;
        let (key_version, bytes) = rest.split_first_chunk::<4>()?;
        let key_version = u32::from_be_bytes(*key_version);
        (u64::from_be_bytes(*of) == version).then(|| Self { key_version, bytes: bytes.to_vec() })
    }
}
