// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Single records of a history, each held against a checkpoint by a proof of its own (RFC 9162, section 2.1.3).
//!
//! Whoever shows records to a person shows what the log proves, and not what the server says. [`verify`](crate::verify) looks
//! at all of them; this is for the page that is read.

use std::collections::BTreeMap;

use ledger::record::{RecordHeader, leaf_hash, payload_hash};
use ledger::{InclusionProof, Tile, TileHashes, TreeHead};
use protocol::TenantId;
use protocol::log::{LogEntry, Record};

use crate::client::log::Log;
use crate::client::{Client, RequestError};

/// A record, and whether it is what was logged.
#[derive(Clone, Debug)]
pub struct ProvenRecord {
    /// The record, as the server shows it.
    pub entry: LogEntry,
    /// What the log says of it.
    pub proof: Proof,
}

/// What a log says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is under the checkpoint, at this place, exactly so.
    Included,
    /// It is newer than the checkpoint.
    NotCovered,
    /// It is not what was logged, or it is gone.
    Refuted,
}

impl Client {
    /// Records of a tenant from a number on, each held against the head of its log.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn proven_records(
        &self,
        tenant: TenantId,
        head: &TreeHead,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ProvenRecord>, RequestError> {
        let mut tiles = Tiles::new(self, Log::Tenant(tenant));
        let mut proven = Vec::new();
        for (number, entry) in (from..).zip(self.records(Log::Tenant(tenant), from, limit).await?.records) {
            let is_its_place = entry.number == number;
            let proof = if !is_its_place {
                Proof::Refuted
            } else if number >= head.size {
                Proof::NotCovered
            } else if tiles.includes(*tenant.as_bytes(), &entry, head).await? {
                Proof::Included
            } else {
                Proof::Refuted
            };
            proven.push(ProvenRecord { entry, proof });
        }
        Ok(proven)
    }
}

/// The tiles of a log, each fetched once.
pub(crate) struct Tiles<'c> {
    client: &'c Client,
    log: Log,
    fetched: BTreeMap<Tile, Vec<u8>>,
}

impl<'c> Tiles<'c> {
    pub(crate) fn new(client: &'c Client, log: Log) -> Self {
        Tiles { client, log, fetched: BTreeMap::new() }
    }

    /// Whether the log has this record under this head. `tenant` is whose log it is: all zeros for the platform's.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(crate) async fn includes(
        &mut self,
        tenant: [u8; 16],
        entry: &LogEntry,
        head: &TreeHead,
    ) -> Result<bool, RequestError> {
        let Some(header) = entry.record.as_ref().and_then(|record| header(tenant, record).encode().ok())
        else {
            return Ok(false);
        };
        let details = entry.record.as_ref().map(|record| record.details.as_slice()).unwrap_or_default();
        let leaf = leaf_hash(&header, &payload_hash(details));
        for tile in InclusionProof::tiles(entry.number, head.size) {
            if let std::collections::btree_map::Entry::Vacant(place) = self.fetched.entry(tile) {
                place.insert(self.client.tile(self.log, tile).await?);
            }
        }
        let read = |tile: Tile| self.fetched.get(&tile).cloned().ok_or(());
        let proof = InclusionProof::prove(&TileHashes::new(head.size, read), entry.number, head.size);
        Ok(matches!(proof.map(|proof| proof.verify(entry.number, &leaf, head)), Ok(Ok(()))))
    }
}

/// The header that a leaf commits to.
pub(crate) fn header(tenant: [u8; 16], record: &Record) -> RecordHeader {
    RecordHeader {
        tenant,
        id: *record.id.as_bytes(),
        at: record.at,
        actor: record.actor.clone(),
        via: record.via.clone(),
        action: record.action.clone(),
        subject: record.subject.clone(),
        corrects: record.corrects.map(|id| *id.as_bytes()),
        request: record.request.clone(),
    }
}
