// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading a file, whole or a range of it.

use std::ops::Range;

use bytes::Bytes;
use store::{ReadTx, StoreError, TenantId, params};

use crate::usage::unsigned;
use crate::{BlobId, BlobsError, CollectionId, Layout, Objects, Segment};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such file in this collection, or it is not finished.
    #[error("there is no such file")]
    NotFound,
    /// The range is empty or reaches beyond the last byte.
    #[error("the file has {size} bytes; the range is not within them")]
    Range {
        /// The file's bytes.
        size: u64,
    },
    /// A part that was acknowledged is gone or shorter than it was.
    #[error("part {part} of the file is damaged in the object store; restore it from a backup")]
    Damaged {
        /// The part, from 0.
        part: u32,
    },
    /// The object store failed.
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which bytes of which parts to read, for [`crate::Blobs::read`].
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub(crate) tenant: TenantId,
    pub(crate) blob: BlobId,
    pub(crate) source: Source,
    size: u64,
    range: Range<u64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Straight from the database.
    Inline(Bytes),
    /// Pieces of parts and the hashes that their objects are named by.
    Parts(Vec<(Segment, [u8; 32])>),
}

impl ReadPlan {
    /// All bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes that will be read.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The pieces of parts, in order; none when the file is kept in the database.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        let parts = match &self.source {
            Source::Inline(_) => &[][..],
            Source::Parts(parts) => parts,
        };
        parts.iter().map(|(segment, _)| segment)
    }
}

impl Objects {
    /// Plans to read `range` of a finished file (all of it when `None`). The read itself, by [`crate::Blobs::read`], comes
    /// after this transaction; the file stays readable for a while after it is replaced or deleted
    /// ([`kept_after_deletion_ms`](crate::Limits::kept_after_deletion_ms)).
    pub async fn read_plan(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        blob: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<ReadPlan, ReadError> {
        let row: Option<(i64, i64, Option<Vec<u8>>)> = tx
            .query_opt(
                "SELECT size, part_size, inline FROM blob WHERE id = $1 AND collection = $2 AND state = 'complete'",
                params![&blob, &collection],
            )
            .await?;
        let (size, part_size, inline) = row.ok_or(ReadError::NotFound)?;
        let layout = Layout::new(unsigned(size), unsigned(part_size)).ok_or(ReadError::NotFound)?;
        let size = layout.size();
        let range = range.unwrap_or(0..size);
        if range.start >= range.end || range.end > size {
            return Err(ReadError::Range { size });
        }
        let source = match inline {
            Some(bytes) => Source::Inline(slice(bytes.into(), &range)?),
            None => Source::Parts(self.parts(tx, blob, layout.segments(range.clone()).collect()).await?),
        };
        Ok(ReadPlan { tenant: tx.tenant(), blob, source, size, range })
    }

    async fn parts(
        &self,
        tx: &mut ReadTx,
        blob: BlobId,
        segments: Vec<Segment>,
    ) -> Result<Vec<(Segment, [u8; 32])>, ReadError> {
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Ok(Vec::new());
        };
        let mut hashes = tx
            .query::<(i64, [u8; 32])>(
                "SELECT number, sha256 FROM blob_part WHERE blob = $1 AND number >= $2 AND number <= $3 ORDER BY number",
                params![&blob, i64::from(first.part), i64::from(last.part)],
            )
            .await?
            .into_iter();
        let hashed = segments.into_iter().map(|segment| match hashes.next() {
            Some((number, sha256)) if number == i64::from(segment.part) => Ok((segment, sha256)),
            _ => Err(ReadError::Damaged { part: segment.part }),
        });
        hashed.collect()
    }
}

fn slice(bytes: Bytes, range: &Range<u64>) -> Result<Bytes, ReadError> {
    let damaged = ReadError::Damaged { part: 0 };
    match (usize::try_from(range.start), usize::try_from(range.end)) {
        (Ok(start), Ok(end)) if end <= bytes.len() => Ok(bytes.slice(start..end)),
        _ => Err(damaged),
    }
}
