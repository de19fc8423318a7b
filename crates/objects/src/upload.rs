// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Uploads: a blob from its first part until an item takes it.

use std::ops::Range;

use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::layout::{gaps, ranges};
use crate::usage::{Change, signed, unsigned};
use crate::{
    ABANDONED_AFTER_MS, BlobId, BlobsError, CollectionId, Layout, Objects, QuotaExceeded, Resource,
    WrittenPart,
};

/// Blobs up to this size, in bytes, are kept in the database; they have one part and no object.
pub const INLINE_BLOB: u64 = 256 << 10;
/// How many parts an upload has at most.
pub const MAX_PARTS: u32 = 16_384;
/// How many uploads of a tenant are under way at most.
pub const MAX_UPLOADS: u64 = 1_000;

/// An upload that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id, and the blob's.
    pub id: BlobId,
    /// Which parts are wanted.
    pub layout: Layout,
    /// When it is given up unless another part comes first, in Unix milliseconds.
    pub expires_at: i64,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// The upload.
    pub upload: Upload,
    /// The parts that are there, as sorted ranges of their numbers.
    pub present: Vec<Range<u32>>,
    /// The parts that are not, likewise.
    pub missing: Vec<Range<u32>>,
}

/// Leave to write one part, given by [`Objects::part_slot`] and used by [`crate::Blobs::write_part`].
#[derive(Clone, Debug)]
pub struct PartSlot {
    pub(crate) tenant: TenantId,
    pub(crate) blob: BlobId,
    pub(crate) number: u32,
    pub(crate) len: u64,
    pub(crate) inline: bool,
}

impl PartSlot {
    /// How many bytes the part must have, so that a reader can stop early.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: a part has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Why an operation on an upload was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// There is no such upload in this collection, or it is finished or given up.
    #[error("there is no such upload; it may be finished, or it was given up after a day without a new part")]
    NotFound,
    /// The file has no bytes.
    #[error("a file has at least one byte")]
    Empty,
    /// The file is too large.
    #[error("the file has {size} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// It does not fit.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// There is no such part.
    #[error("the upload has {parts} parts, numbered from 0")]
    NoSuchPart {
        /// How many there are.
        parts: u32,
    },
    /// The part has the wrong size.
    #[error("this part must have {expected} bytes, not {actual}")]
    PartSize {
        /// What it must have.
        expected: u64,
        /// What it has.
        actual: u64,
    },
    /// The part is there, with other bytes.
    #[error("this part is there already, with other bytes; begin another upload to send other bytes")]
    PartTaken,
    /// Parts are missing.
    #[error("the upload is not complete: parts are missing")]
    Incomplete {
        /// Which, as sorted ranges of their numbers.
        missing: Vec<Range<u32>>,
    },
    /// The object store failed.
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Objects {
    /// Begins the upload of a file of `size` ciphertext bytes, and reserves them. It waits for its parts for a day
    /// after the last one came, then it is given up.
    pub async fn begin_upload(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        size: u64,
        account: Uuid,
    ) -> Result<Upload, UploadError> {
        let limit = self.limits.file.min(self.limits.part_size.saturating_mul(u64::from(MAX_PARTS)));
        if size > limit {
            return Err(UploadError::TooLarge { size, limit });
        }
        // What is kept in the database comes in one piece.
        let part_size = if size <= INLINE_BLOB { INLINE_BLOB } else { self.limits.part_size };
        let layout = Layout::new(size, part_size).ok_or(UploadError::Empty)?;
        let live: Option<(i64,)> = tx
            .query_opt("SELECT sequence FROM collection_head WHERE collection = $1", params![&collection])
            .await?;
        live.ok_or(UploadError::NotFound)?;

        self.charge::<UploadError>(tx, Change { bytes: signed(size), ..Change::default() }).await?;
        let (under_way,): (i64,) =
            tx.query_one("SELECT count(*) FROM blob WHERE state = 'uploading'", params![]).await?;
        QuotaExceeded::check(Resource::Uploads, MAX_UPLOADS, unsigned(under_way), 1)?;
        self.check_room_on_disk(tx, size).await?;

        let (id, now) = (BlobId::random(), tx.now());
        tx.execute(
            "INSERT INTO blob (id, state, size, part_size, parts, created_at, changed_at, account, collection, inline) \
             VALUES ($1, 'uploading', $2, $3, $4, $5, $5, $6, $7, NULL)",
            params![&id, signed(size), signed(part_size), i64::from(layout.parts()), now, &account, &collection],
        )
        .await?;
        Ok(Upload { id, layout, expires_at: now.saturating_add(ABANDONED_AFTER_MS) })
    }

    /// What was deleted stays on the disk until the sweep comes. Whoever uploads and deletes in turns may have twice as
    /// much of that as they may store, and no more.
    async fn check_room_on_disk(&self, tx: &mut ReadTx, size: u64) -> Result<(), UploadError> {
        let (deleted,): (i64,) = tx
            .query_one(
                "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM blob WHERE state = 'deleted' AND size > $1",
                params![signed(INLINE_BLOB)],
            )
            .await?;
        let limit = self.limits.bytes.saturating_mul(2);
        Ok(QuotaExceeded::check(Resource::Deleted, limit, unsigned(deleted), signed(size))?)
    }

    /// Which parts of an upload are there, so that an interrupted one is resumed.
    pub async fn upload_status(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        upload: BlobId,
    ) -> Result<UploadStatus, UploadError> {
        let upload = under_way(tx, collection, upload).await?;
        let present = present(tx, upload.id).await?;
        let missing = gaps(&present, upload.layout.parts());
        Ok(UploadStatus { upload, present, missing })
    }

    /// Whether part `number` (from 0) is wanted: what [`crate::Blobs::write_part`] needs, which comes next, after this
    /// transaction.
    pub async fn part_slot(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        upload: BlobId,
        number: u32,
    ) -> Result<PartSlot, UploadError> {
        let Upload { id: blob, layout, .. } = under_way(tx, collection, upload).await?;
        let len = layout.part_len(number).ok_or(UploadError::NoSuchPart { parts: layout.parts() })?;
        Ok(PartSlot { tenant: tx.tenant(), blob, number, len, inline: layout.size() <= INLINE_BLOB })
    }

    /// Acknowledges a part that [`crate::Blobs::write_part`] wrote. The same part may come again. Other bytes for a part
    /// that is there are refused: else one upload could store without end what counts once. After an error, ask
    /// [`is_unwanted`](Self::is_unwanted) whether the object is to go.
    pub async fn record_part(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        part: &WrittenPart,
    ) -> Result<(), UploadError> {
        let WrittenPart { tenant, blob, number, size, sha256, inline } = part;
        if *tenant != tx.tenant() {
            return Err(UploadError::NotFound);
        }
        // Locks the upload: an item that takes the file meanwhile waits for this part, or is there first.
        let open = tx
            .execute(
                "UPDATE blob SET changed_at = $3 WHERE id = $1 AND collection = $2 AND state = 'uploading'",
                params![blob, &collection, tx.now()],
            )
            .await?;
        if open == 0 {
            return Err(UploadError::NotFound);
        }
        let (number, size) = (i64::from(*number), signed(*size));
        let there: Option<([u8; 32],)> = tx
            .query_opt("SELECT sha256 FROM blob_part WHERE blob = $1 AND number = $2", params![blob, number])
            .await?;
        match there {
            Some((there,)) if there == *sha256 => return Ok(()),
            Some(_) => return Err(UploadError::PartTaken),
            None => {}
        }
        tx.execute(
            "INSERT INTO blob_part (blob, number, size, sha256) VALUES ($1, $2, $3, $4)",
            params![blob, number, size, sha256],
        )
        .await?;
        if let Some(inline) = inline {
            tx.execute("UPDATE blob SET inline = $2 WHERE id = $1", params![blob, inline.as_ref()]).await?;
        }
        Ok(())
    }

    /// Whether the object of a part that was not recorded is named by nothing and never will be: then
    /// [`crate::Blobs::discard`] removes it. A part that is there stays what it is, and ids are not used twice.
    pub async fn is_unwanted(&self, tx: &mut ReadTx, part: &WrittenPart) -> Result<bool, StoreError> {
        let row: Option<(String, Option<[u8; 32]>)> = tx
            .query_opt(
                "SELECT b.state, p.sha256 FROM blob b \
                 LEFT JOIN blob_part p ON p.blob = b.id AND p.number = $2 WHERE b.id = $1",
                params![&part.blob, i64::from(part.number)],
            )
            .await?;
        Ok(match row {
            None => true,
            // The sweep removes all that a deleted blob has.
            Some((state, _)) if state == "deleted" => false,
            Some((_, there)) => there.is_some_and(|there| there != part.sha256),
        })
    }

    /// Gives up an upload and frees what it reserved.
    pub async fn abandon_upload(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        upload: BlobId,
    ) -> Result<(), UploadError> {
        let now = tx.now();
        let size: Option<(i64,)> = tx
            .query_opt(
                "UPDATE blob SET state = 'deleted', changed_at = $3, inline = NULL \
                 WHERE id = $1 AND collection = $2 AND state = 'uploading' RETURNING size",
                params![&upload, &collection, now],
            )
            .await?;
        let (size,) = size.ok_or(UploadError::NotFound)?;
        self.charge::<UploadError>(tx, Change { bytes: -size, ..Change::default() }).await
    }

    /// Finishes an upload that has all its parts; returns its size, which stays reserved.
    pub(crate) async fn complete_upload(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        upload: BlobId,
    ) -> Result<u64, UploadError> {
        let now = tx.now();
        let blob: Option<(i64, i64)> = tx
            .query_opt(
                "UPDATE blob SET state = 'complete', changed_at = $3 \
                 WHERE id = $1 AND collection = $2 AND state = 'uploading' RETURNING size, parts",
                params![&upload, &collection, now],
            )
            .await?;
        let (size, parts) = blob.ok_or(UploadError::NotFound)?;
        let (count, total): (i64, i64) = tx
            .query_one(
                "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM blob_part WHERE blob = $1",
                params![&upload],
            )
            .await?;
        if (count, total) != (parts, size) {
            let parts = u32::try_from(parts).unwrap_or(u32::MAX);
            return Err(UploadError::Incomplete { missing: gaps(&present(tx, upload).await?, parts) });
        }
        Ok(unsigned(size))
    }

    /// Lets go of a finished blob. Its objects stay for a while, for who is reading them.
    pub(crate) async fn delete_blob(&self, tx: &mut WriteTx, blob: BlobId) -> Result<(), StoreError> {
        tx.execute(
            "UPDATE blob SET state = 'deleted', changed_at = $2, inline = NULL WHERE id = $1",
            params![&blob, tx.now()],
        )
        .await?;
        Ok(())
    }
}

async fn under_way(tx: &mut ReadTx, collection: CollectionId, upload: BlobId) -> Result<Upload, UploadError> {
    let row: Option<(i64, i64, i64)> = tx
        .query_opt(
            "SELECT size, part_size, changed_at FROM blob WHERE id = $1 AND collection = $2 AND state = 'uploading'",
            params![&upload, &collection],
        )
        .await?;
    let (size, part_size, changed_at) = row.ok_or(UploadError::NotFound)?;
    let layout = Layout::new(unsigned(size), unsigned(part_size)).ok_or(UploadError::NotFound)?;
    Ok(Upload { id: upload, layout, expires_at: changed_at.saturating_add(ABANDONED_AFTER_MS) })
}

async fn present(tx: &mut ReadTx, upload: BlobId) -> Result<Vec<Range<u32>>, StoreError> {
    let rows: Vec<(i64,)> =
        tx.query("SELECT number FROM blob_part WHERE blob = $1 ORDER BY number", params![&upload]).await?;
    Ok(ranges(rows.into_iter().filter_map(|(number,)| u32::try_from(number).ok())))
}
