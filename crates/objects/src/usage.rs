// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a tenant stores, counted in the transaction that changes it, and what it may store.

use std::fmt;

use store::{Answer, ReadTx, StoreError, WriteTx, params};

use crate::{KEPT_AFTER_DELETION_MS, Objects, PART_SIZE};

/// What each tenant may store at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ciphertext bytes of live items and of uploads under way.
    pub bytes: u64,
    /// Live items.
    pub items: u64,
    /// Live collections.
    pub collections: u64,
    /// Ciphertext bytes of one file.
    pub file: u64,
    /// The size of the parts of new uploads, not zero; [`PART_SIZE`] but for special cases. Uploads under way keep theirs.
    pub part_size: u64,
    /// How long the objects of a deleted blob stay, in milliseconds: for who is reading them, and for a backup that copied the rows
    /// which name them.
    pub kept_after_deletion_ms: i64,
}

impl Default for Limits {
    /// 50 GiB, a million items, 10,000 collections, files of 20 GiB; what is deleted stays for an hour.
    fn default() -> Self {
        Self {
            bytes: 50 << 30,
            items: 1_000_000,
            collections: 10_000,
            file: 20 << 30,
            part_size: PART_SIZE,
            kept_after_deletion_ms: KEPT_AFTER_DELETION_MS,
        }
    }
}

/// What a tenant stores now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Ciphertext bytes of live items, and of uploads under way at their declared size.
    pub bytes: u64,
    /// Live items.
    pub items: u64,
    /// Live collections.
    pub collections: u64,
}

/// What a limit is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes stored.
    Bytes,
    /// Live items.
    Items,
    /// Live collections.
    Collections,
    /// Uploads under way.
    Uploads,
    /// Bytes of deleted files that are still to be removed from the disk.
    Deleted,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Items => "items",
            Self::Collections => "collections",
            Self::Uploads => "uploads under way",
            Self::Deleted => "bytes of deleted files that are not cleared away yet",
        })
    }
}

/// A change that would store more than is allowed. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} {resource} does not leave room: {used} are used and {needed} more are needed")]
pub struct QuotaExceeded {
    /// What the limit is on.
    pub resource: Resource,
    /// The limit.
    pub limit: u64,
    /// What is used without this change.
    pub used: u64,
    /// What this change would add.
    pub needed: u64,
}

impl QuotaExceeded {
    /// Whether `added` more fit, given what is used without them. What adds nothing always fits, so
    /// that one over a lowered limit can still make room.
    pub(crate) fn check(resource: Resource, limit: u64, used: u64, added: i64) -> Result<(), Self> {
        match u64::try_from(added) {
            Ok(needed) if needed > 0 && used.saturating_add(needed) > limit => {
                Err(Self { resource, limit, used, needed })
            }
            _ => Ok(()),
        }
    }
}

impl Objects {
    /// What the tenant stores now.
    pub async fn usage(&self, tx: &mut ReadTx) -> Result<Usage, StoreError> {
        let row =
            tx.query_opt("SELECT bytes, items, collections FROM usage WHERE slot = 0", params![]).await?;
        Ok(row.map(Usage::from_row).unwrap_or_default())
    }

    /// Whether `bytes` and `items` more would fit beside `usage`. Advice only: what counts is checked when it is stored.
    pub fn check_quota(&self, usage: Usage, bytes: u64, items: u64) -> Result<(), QuotaExceeded> {
        self.check(usage, Change { bytes: signed(bytes), items: signed(items), collections: 0 })
    }

    fn check(&self, before: Usage, change: Change) -> Result<(), QuotaExceeded> {
        let Limits { bytes, items, collections, .. } = self.limits;
        QuotaExceeded::check(Resource::Bytes, bytes, before.bytes, change.bytes)?;
        QuotaExceeded::check(Resource::Items, items, before.items, change.items)?;
        QuotaExceeded::check(Resource::Collections, collections, before.collections, change.collections)
    }

    /// Counts a change and refuses one that does not fit. The row stays locked until the transaction ends,
    /// so of two writers the second sees what the first used.
    pub(crate) async fn charge<E>(&self, tx: &mut WriteTx, change: Change) -> Result<(), E>
    where
        E: From<StoreError> + From<QuotaExceeded>,
    {
        let after = match count(tx, change).await? {
            Some(after) => after,
            // The tenant's first collection.
            None => count_first(tx, change).await?,
        };
        Ok(self.check(change.undo(after), change)?)
    }

    /// Refuses a change of an item that does not fit, once [`COUNT_ITEM`] has counted it.
    pub(crate) async fn check_counted<E>(
        &self,
        tx: &mut WriteTx,
        counted: Answer,
        change: Change,
    ) -> Result<(), E>
    where
        E: From<StoreError> + From<QuotaExceeded>,
    {
        let after = match counted.first()?.map(Usage::from_row) {
            Some(after) => after,
            None => count_first(tx, change).await?,
        };
        Ok(self.check(change.undo(after), change)?)
    }
}

/// A difference to what is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) bytes: i64,
    pub(crate) items: i64,
    pub(crate) collections: i64,
}

impl Change {
    fn undo(self, after: Usage) -> Usage {
        Usage {
            bytes: after.bytes.saturating_add_signed(self.bytes.saturating_neg()),
            items: after.items.saturating_add_signed(self.items.saturating_neg()),
            collections: after.collections.saturating_add_signed(self.collections.saturating_neg()),
        }
    }
}

impl Usage {
    fn from_row((bytes, items, collections): (i64, i64, i64)) -> Self {
        Self { bytes: unsigned(bytes), items: unsigned(items), collections: unsigned(collections) }
    }
}

const COUNT: &str = "UPDATE usage SET bytes = bytes + $1, items = items + $2, collections = collections + $3 \
                     WHERE slot = 0 RETURNING bytes, items, collections";

/// Counts an item as what it becomes, in place of what it was: item `$2` of collection `$1` has `$3` sealed bytes and, if it
/// had it before, the file `$4`; `$5` is 1, or 0 for one that is deleted. The file of an upload was counted when that began.
pub(crate) const COUNT_ITEM: &str = "\
    UPDATE usage SET (bytes, items) = (
      SELECT usage.bytes + $3 - CAST(coalesce(sum(CASE WHEN blob = $4 THEN length(sealed) ELSE size END), 0) AS BIGINT),
             usage.items + $5 - count(*)
        FROM item WHERE collection = $1 AND id = $2 AND deleted_at IS NULL)
     WHERE slot = 0 RETURNING bytes, items, collections";

async fn count(tx: &mut WriteTx, change: Change) -> Result<Option<Usage>, StoreError> {
    let row = tx.query_opt(COUNT, params![change.bytes, change.items, change.collections]).await?;
    Ok(row.map(Usage::from_row))
}

async fn count_first(tx: &mut WriteTx, change: Change) -> Result<Usage, StoreError> {
    let insert =
        "INSERT INTO usage (slot, bytes, items, collections) VALUES (0, 0, 0, 0) ON CONFLICT DO NOTHING";
    tx.execute(insert, params![]).await?;
    Ok(count(tx, change).await?.unwrap_or_default())
}

/// A size for the database, whose integers are signed. Sizes are bounded by limits far below 2⁶³.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A size from the database, which never holds a negative one.
pub(crate) fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

/// A small count from the database: of versions, generations.
pub(crate) fn counted(count: i64) -> u32 {
    u32::try_from(unsigned(count)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_exactly_fits_and_one_more_does_not() {
        let check = |used, added| QuotaExceeded::check(Resource::Bytes, 10, used, added);
        assert_eq!(check(4, 6), Ok(()));
        assert_eq!(
            check(4, 7),
            Err(QuotaExceeded { resource: Resource::Bytes, limit: 10, used: 4, needed: 7 })
        );
        assert_eq!(check(11, 0), Ok(()), "over a lowered limit, what adds nothing is allowed");
        assert_eq!(check(11, -1), Ok(()));
        assert!(check(u64::MAX, i64::MAX).is_err());
    }
}
