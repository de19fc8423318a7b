// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading a tenant's history: its records, its checkpoints and the tiles of its log.

use uuid::Uuid;

use ledger::{EntryBundle, Hash};

use crate::record::{Entry, StoredRecord, header_of};
use crate::{ReadTx, StoreError, params};

/// The columns of a record, in the order in which they are always selected.
pub(crate) type RecordRow = (Uuid, i64, String, String, String, String, String, Option<Uuid>, Vec<u8>);

/// A leaf of the log with the record that it stands for; `None` when that is gone.
#[derive(Clone, Debug)]
pub struct LoggedRecord {
    /// The leaf's number, from 0.
    pub number: u64,
    /// The leaf's hash, as it was folded into the log.
    pub leaf: Hash,
    /// The record as it stands now.
    pub record: Option<StoredRecord>,
}

/// The newest published checkpoint of the tenant's log, as a signed note (C2SP tlog-checkpoint).
pub async fn checkpoint(tx: &mut ReadTx) -> Result<Option<(u64, String)>, StoreError> {
    let row: Option<(i64, String)> =
        tx.query_opt("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1", params![]).await?;
    Ok(row.map(|(size, note)| (size.unsigned_abs(), note)))
}

/// How many records have no number yet.
pub async fn unnumbered(tx: &mut ReadTx) -> Result<u64, StoreError> {
    let (count,): (i64,) = tx.query_one("SELECT count(*) FROM unnumbered", params![]).await?;
    Ok(count.unsigned_abs())
}

/// Up to `limit` (at most 1,000) records of the log from number `from` on, as far as their details have no more than
/// [`MAX_PAGE_BYTES`] together, at least one; and whether there are more.
pub async fn records(
    tx: &mut ReadTx,
    from: u64,
    limit: u32,
) -> Result<(Vec<LoggedRecord>, bool), StoreError> {
    page(tx, from, limit, MAX_PAGE_BYTES).await
}

async fn page(
    tx: &mut ReadTx,
    from: u64,
    limit: u32,
    max_bytes: i64,
) -> Result<(Vec<LoggedRecord>, bool), StoreError> {
    let (from, limit) = (i64::try_from(from).unwrap_or(i64::MAX), i64::from(limit.clamp(1, 1_000)));
    let mut leaves: Vec<(i64, Uuid, Vec<u8>, Option<i64>)> = tx
        .query(
            "SELECT l.number, l.record, l.hash, CAST(length(r.details) AS BIGINT)
               FROM (SELECT number, record, hash FROM leaf WHERE number >= $1 ORDER BY number LIMIT $2) l
               LEFT JOIN record r ON r.id = l.record ORDER BY l.number",
            params![from, limit + 1],
        )
        .await?;
    let asked = leaves.len();
    let mut bytes = 0_i64;
    let fitting = leaves.iter().take_while(|(.., length)| {
        bytes = bytes.saturating_add(length.unwrap_or(0));
        bytes <= max_bytes
    });
    let fitting = fitting.count();
    leaves.truncate(fitting.clamp(1, usize::try_from(limit).unwrap_or(usize::MAX)));
    let more = leaves.len() < asked;
    let Some((last, ..)) = leaves.last() else { return Ok((Vec::new(), false)) };
    let rows: Vec<RecordRow> = tx
        .query(
            "SELECT r.id, r.at, r.actor, r.via, r.action, r.subject, r.request, r.corrects, r.details
               FROM (SELECT record FROM leaf WHERE number >= $1 AND number <= $2) l
               JOIN record r ON r.id = l.record",
            params![from, *last],
        )
        .await?;
    let mut found: std::collections::HashMap<Uuid, RecordRow> =
        rows.into_iter().map(|row| (row.0, row)).collect();
    let logged = leaves.into_iter().map(|(number, record, hash, _)| {
        let number = number.unsigned_abs();
        Ok(LoggedRecord {
            number,
            leaf: to_hash(hash)?,
            record: found.remove(&record).map(|row| stored(Some(number), row)),
        })
    });
    Ok((logged.collect::<Result<_, StoreError>>()?, more))
}

/// How many bytes the details of a page of records have at most.
pub const MAX_PAGE_BYTES: i64 = 2 << 20;

/// Records of one action among the 1,000 from number `from` on, at most `limit` of them; and the number to go on from, with
/// whether there is anything from there.
pub async fn records_of(
    tx: &mut ReadTx,
    action: &str,
    from: u64,
    limit: u32,
) -> Result<(Vec<LoggedRecord>, u64, bool), StoreError> {
    let size = checkpoint(tx).await?.map_or(0, |(size, _)| size);
    let window = from.saturating_add(1_000).min(size);
    let (first, end) = (i64::try_from(from).unwrap_or(i64::MAX), i64::try_from(window).unwrap_or(i64::MAX));
    let limit = limit.min(1_000);
    let leaves: Vec<(i64, Uuid, Vec<u8>)> = tx
        .query(
            "SELECT l.number, l.record, l.hash
               FROM (SELECT number, record, hash FROM leaf WHERE number >= $1 AND number < $2) l
               JOIN record r ON r.id = l.record
              WHERE r.action = $3
              ORDER BY l.number LIMIT $4",
            params![first, end, action, i64::from(limit)],
        )
        .await?;
    let mut found = Vec::with_capacity(leaves.len());
    for (_, id, _) in &leaves {
        found.extend(record(tx, *id).await?);
    }
    let next = match leaves.last() {
        Some((number, ..)) if leaves.len() == limit as usize => number.unsigned_abs() + 1,
        _ => window.max(from),
    };
    Ok((found, next, next < size))
}

/// The record of this id with its place in the log; `None` when there is none, or the sequencer has not been there yet.
pub async fn record(tx: &mut ReadTx, id: Uuid) -> Result<Option<LoggedRecord>, StoreError> {
    let row: Option<(i64, Vec<u8>)> =
        tx.query_opt("SELECT number, hash FROM leaf WHERE record = $1", params![&id]).await?;
    let Some((number, hash)) = row else { return Ok(None) };
    let number = number.unsigned_abs();
    let record: Option<RecordRow> = tx
        .query_opt(
            "SELECT id, at, actor, via, action, subject, request, corrects, details FROM record WHERE id = $1",
            params![&id],
        )
        .await?;
    let record = record.map(|row| stored(Some(number), row));
    Ok(Some(LoggedRecord { number, leaf: to_hash(hash)?, record }))
}

/// `width` hashes of a tile of the log: those of `level` (in tiles: 0 is the leaves, 1 the roots of 256 leaves, …)
/// from `256 · index` on, one after the other. Shorter when the log is.
pub async fn tile(tx: &mut ReadTx, level: u8, index: u64, width: u16) -> Result<Vec<u8>, StoreError> {
    let first = i64::try_from(index.saturating_mul(256)).unwrap_or(i64::MAX);
    let end = first.saturating_add(i64::from(width.min(256)));
    let hashes: Vec<(Vec<u8>,)> = if level == 0 {
        tx.query(
            "SELECT hash FROM leaf WHERE number >= $1 AND number < $2 ORDER BY number",
            params![first, end],
        )
        .await?
    } else {
        tx.query(
            "SELECT hash FROM subtree WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number",
            params![i64::from(level) * 8, first, end],
        )
        .await?
    };
    Ok(hashes.into_iter().flat_map(|(hash,)| hash).collect())
}

/// A bundle of `width` entries from number `256 · index` on (C2SP tlog-tiles); `None` when one of their records is gone.
pub async fn entries(tx: &mut ReadTx, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
    let tenant = tx.tenant();
    let (logged, _) = page(tx, index.saturating_mul(256), u32::from(width), i64::MAX).await?;
    let mut entries = Vec::with_capacity(logged.len());
    for logged in logged {
        let Some(record) = logged.record else { return Ok(None) };
        let StoredRecord { id, at, actor, via, action, subject, request, corrects, details, .. } = record;
        let header = header_of(tenant, id, at, Entry { actor, via, action, request }, subject, corrects);
        let header = header.encode().map_err(|error| StoreError::Engine(error.to_string()))?;
        entries.push(ledger::record::entry(&header, &ledger::record::payload_hash(&details)));
    }
    EntryBundle::encode(&entries).map(Some).map_err(|error| StoreError::Engine(error.to_string()))
}

pub(crate) fn stored(number: Option<u64>, row: RecordRow) -> StoredRecord {
    let (id, at, actor, via, action, subject, request, corrects, details) = row;
    StoredRecord { number, id, at, actor, via, action, subject, request, corrects, details }
}

fn to_hash(bytes: Vec<u8>) -> Result<Hash, StoreError> {
    <[u8; 32]>::try_from(bytes)
        .map(Hash::from)
        .map_err(|_| StoreError::Shape { column: 2, expected: "a hash of 32 bytes" })
}
