// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Delta sync: what changed since a sequence number.

use store::{ReadTx, params};

use crate::item::ItemRow;
use crate::usage::{signed, unsigned};
use crate::{CollectionId, Item, ItemError, Objects};

/// How many changes a page has at most.
pub const MAX_CHANGES: u32 = 1_000;
/// How many bytes of sealed content a page has at most, unless its first item alone has more.
pub const MAX_CHANGES_BYTES: u64 = 4 << 20;

/// A page of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Items and tombstones, ordered by sequence. An item that changed several times comes once, as it is now.
    pub items: Vec<Item>,
    /// What to pass as `after` next time.
    pub next: u64,
    /// Whether there is more already.
    pub more: bool,
}

impl Objects {
    /// What changed in a collection after the change number `after` (0 for everything): at most `limit` items (1 to
    /// [`MAX_CHANGES`]) and about [`MAX_CHANGES_BYTES`].
    ///
    /// `anew` says that `after` is a page's end of a list that began at 0: who lists so needs no tombstones, since what is not
    /// listed is not there.
    ///
    /// # Errors
    /// [`ItemError::NotFound`]; [`ItemError::Forgotten`] when tombstones after `after` were cleared away.
    pub async fn changes(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        after: u64,
        anew: bool,
        limit: u32,
    ) -> Result<Changes, ItemError> {
        let limit = limit.clamp(1, MAX_CHANGES);
        let head: Option<(Option<i64>,)> = tx
            .query_opt("SELECT forgotten FROM collection_head WHERE collection = $1", params![&collection])
            .await?;
        let (forgotten,) = head.ok_or(ItemError::NotFound)?;
        let forgotten = forgotten.map_or(0, unsigned);
        if !anew && after > 0 && after < forgotten {
            return Err(ItemError::Forgotten);
        }
        // Lengths first, so that a page of large items is never read as a whole.
        let lengths: Vec<(i64, i64)> = tx
            .query(
                "SELECT sequence, CAST(length(sealed) AS BIGINT) FROM item \
                 WHERE collection = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
                params![&collection, signed(after), i64::from(limit) + 1],
            )
            .await?;
        let Some(last) = page_end(&lengths, limit) else {
            return Ok(Changes { items: Vec::new(), next: after.max(forgotten), more: false });
        };
        let rows: Vec<ItemRow> = tx
            .query(
                "SELECT id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at, authorship \
                 FROM item WHERE collection = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence",
                params![&collection, signed(after), last],
            )
            .await?;
        let more = lengths.last().is_some_and(|(sequence, _)| *sequence > last);
        // Who has come to the end has missed nothing, of what is forgotten either.
        let next = if more { unsigned(last) } else { unsigned(last).max(forgotten) };
        Ok(Changes { items: rows.into_iter().map(Item::from_row).collect(), next, more })
    }
}

/// The sequence of the last change on the page.
pub(crate) fn page_end(lengths: &[(i64, i64)], limit: u32) -> Option<i64> {
    let mut bytes = 0u64;
    let fits = |(_, length): &&(i64, i64)| {
        let first = bytes == 0;
        bytes = bytes.saturating_add(unsigned(*length));
        first || bytes <= MAX_CHANGES_BYTES
    };
    lengths.iter().take(limit as usize).take_while(fits).last().map(|(sequence, _)| *sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_limit_or_before_it_grows_too_large() {
        assert_eq!(page_end(&[], 5), None);
        assert_eq!(page_end(&[(3, 1), (7, 1), (8, 1)], 2), Some(7));
        let half = MAX_CHANGES_BYTES as i64 / 2;
        assert_eq!(page_end(&[(1, half), (2, half), (3, 1)], 5), Some(2));
        assert_eq!(page_end(&[(1, 3 * half), (2, 1)], 5), Some(1), "the first item always comes");
    }
}
