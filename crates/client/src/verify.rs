// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Holding a history against its signed checkpoint, and against what was seen of it before.
//!
//! Record by record the leaf of the log is computed anew and compared with the one that was folded in; all leaves
//! together must give the root that the log signed, with the key that this device pinned at its first use; and every head
//! that this device pinned must fit too, so that a log which is rewritten and signed again is found out as well.
//! What is found is named: [`ledger::Finding`].

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::BASE64;
use ledger::record::payload_hash;
use ledger::{
    CheckpointError, ConsistencyProof, Finding, KeyError, Node, Report, SignedCheckpoint, Tile, TileHashes,
    TreeHead, Verification, Verifier,
};
use protocol::TenantId;
use protocol::log::LogEntry;
use protocol::service::Service;
use serde::Serialize;

use crate::client::log::Log;
use crate::client::{Client, RequestError};
use crate::export::Contents;
use crate::files::Progress;
use crate::history::header;
use crate::pins::Pins;

/// The name and the key of a tenant's log.
#[derive(Clone, Debug)]
pub struct LogIdentity {
    /// Its name: the origin line of its checkpoints.
    pub origin: String,
    /// Its public key.
    pub key: Verifier,
    /// The tenant, unless it is the platform's own log.
    pub tenant: Option<TenantId>,
}

impl LogIdentity {
    /// Whose log it is.
    pub fn whose(&self) -> Log {
        self.tenant.map_or(Log::Platform, Log::Tenant)
    }

    /// The log of a tenant of this service.
    ///
    /// # Errors
    /// [`VerifyError::Key`].
    pub fn of_tenant(origin: &str, vkey: &str, tenant: TenantId) -> Result<Self, VerifyError> {
        Self::named(format!("{origin}/{tenant}"), vkey, Some(tenant))
    }

    /// The platform's own log, in which the heads of the others are.
    ///
    /// # Errors
    /// [`VerifyError::Key`].
    pub fn of_platform(origin: &str, vkey: &str) -> Result<Self, VerifyError> {
        Self::named(origin.to_owned(), vkey, None)
    }

    /// The key is given for the platform's log, as a vkey (C2SP signed-note); it signs the others under their names.
    fn named(origin: String, vkey: &str, tenant: Option<TenantId>) -> Result<Self, VerifyError> {
        let _: Verifier = vkey.parse()?;
        // Name, key id, key: the name has no plus, the key may.
        let key = vkey.splitn(3, '+').nth(2).and_then(|key| BASE64.decode(key.as_bytes()).ok());
        let key = key.as_deref().and_then(|key| key.split_first()).map(|(_, key)| <[u8; 32]>::try_from(key));
        let Some(Ok(key)) = key else { return Err(VerifyError::NotAKey) };
        let key = Verifier::new(&origin, &key)?;
        Ok(LogIdentity { origin, key, tenant })
    }

    /// The head that a pinned note states, if it is of this log and rightly signed.
    pub fn head_of(&self, note: &str) -> Option<TreeHead> {
        let keys = std::slice::from_ref(&self.key);
        SignedCheckpoint::open(note, &self.origin, keys).ok().map(|checkpoint| checkpoint.head())
    }
}

/// What a verification came to.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The log's name.
    pub origin: String,
    /// The signed note that it was held against.
    pub note: String,
    /// What was found.
    pub report: Report,
    /// The size of the head that was pinned before, if any was.
    pub pinned: Option<u64>,
    /// Whether a record is missing that has to come: of a change that the server acknowledged.
    pub is_awaiting: bool,
}

impl Verified {
    /// Whether the history is exactly what was logged.
    pub fn is_intact(&self) -> bool {
        self.report.is_intact() && self.report.head.is_some()
    }

    /// The number of the first record that something is wrong with.
    pub fn first_record(&self) -> Option<u64> {
        self.report.findings.iter().find_map(record_of)
    }

    /// The same as a document.
    pub fn to_document(&self) -> Document {
        let head = self.report.head;
        Document {
            verified: self.is_intact(),
            records: self.report.records,
            record: self.first_record(),
            checkpoint: head.map(|head| CheckpointDocument {
                origin: self.origin.clone(),
                size: head.size,
                root: head.root.to_base64(),
            }),
            pinned: self.pinned,
            uncovered: self.report.uncovered + u64::from(self.is_awaiting),
            findings: self.report.findings.iter().map(FindingDocument::of).collect(),
            unlisted: self.report.unlisted,
            platform: None,
            contents: None,
        }
    }
}

/// A verification's result, for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// Whether the history is exactly what was logged.
    pub verified: bool,
    /// How many records were looked at.
    pub records: u64,
    /// The first record that something is wrong with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// What they were held against.
    pub checkpoint: Option<CheckpointDocument>,
    /// The size at which the log was last verified here; it only grew since.
    pub pinned: Option<u64>,
    /// Records that are known of here, and that no checkpoint covers yet.
    pub uncovered: u64,
    /// What is wrong.
    pub findings: Vec<FindingDocument>,
    /// How many more findings there are.
    pub unlisted: u64,
    /// What was found of the platform's own log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<CheckpointDocument>,
    /// What was found of the contents, when an export was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
}

/// A head.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointDocument {
    /// The log's name.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The root over them, base64.
    pub root: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct FindingDocument {
    /// What kind of thing.
    pub kind: &'static str,
    /// The record, or the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// The same in words.
    pub text: String,
}

impl FindingDocument {
    fn of(finding: &Finding) -> Self {
        let last = match finding {
            Finding::RecordsMissing { last, .. }
            | Finding::RootMismatch { last, .. }
            | Finding::Unproven { last, .. } => Some(*last),
            _ => None,
        };
        FindingDocument {
            kind: kind_of(finding),
            record: record_of(finding),
            last,
            text: finding.to_string(),
        }
    }
}

impl Client {
    /// Verifies a log against its newest checkpoint and what is pinned of it. A record of the request `awaited` should be in
    /// it, since the server acknowledged a change in it.
    ///
    /// # Errors
    /// [`VerifyError`] when it cannot be verified; what is wrong with it is in [`Verified`].
    pub async fn verify(
        &self,
        log: &LogIdentity,
        pins: &Pins,
        awaited: Option<&str>,
        progress: Progress<'_>,
    ) -> Result<Verified, VerifyError> {
        let of = log.whose();
        let note = match self.newest_checkpoint(of).await {
            // Where a checkpoint was seen before, that there is none is a finding: of every record that it covered.
            Err(VerifyError::NoCheckpoint) if pins.checkpoints.contains_key(&log.origin) => String::new(),
            note => note?,
        };
        let mut check = Check::new(log, note, pins, Age::Newest);
        check.awaited = awaited.map(str::to_owned);
        let mut from = 0;
        while from < check.size {
            let page = self.records(of, from, RECORDS_A_PAGE).await?;
            let next = page.next.min(check.size);
            for (index, tile) in check.tiles(from, next) {
                // A tile that is not there, or not one, is no evidence either way: the leaves and the root are.
                let bytes = self.tile(of, tile).await.ok();
                let nodes = bytes.and_then(|bytes| tile.decode(&bytes).ok());
                check.nodes.insert(index, nodes.unwrap_or_default());
            }
            let mut leaves = BTreeMap::new();
            if (page.records.len() as u64) < next.saturating_sub(from) {
                // Records are gone. Their leaves may not be, and tell whether the others are what they were.
                for tile in check.leaf_tiles(from, next) {
                    let bytes = self.tile(of, tile).await.unwrap_or_default();
                    add_leaves(&mut leaves, tile, &bytes);
                }
            }
            check.push(&page.records, leaves);
            progress(next.saturating_sub(from));
            if next <= from || !page.more {
                break;
            }
            from = next;
        }
        Ok(check.finish())
    }

    /// Checks that the platform's own log only grew since it was pinned, and gives its newest head with the note that
    /// states it.
    ///
    /// # Errors
    /// [`VerifyError`]; [`VerifyError::PlatformRewritten`] when it did not only grow.
    pub async fn verify_platform(
        &self,
        log: &LogIdentity,
        pins: &Pins,
    ) -> Result<Option<(TreeHead, String)>, VerifyError> {
        let Some(note) = self.checkpoint(Log::Platform).await? else {
            let was_seen = pins.checkpoints.contains_key(&log.origin);
            return if was_seen { Err(VerifyError::PlatformRewritten) } else { Ok(None) };
        };
        let new = SignedCheckpoint::open(&note, &log.origin, std::slice::from_ref(&log.key))?.head();
        if let Some(old) = pins.checkpoints.get(&log.origin).and_then(|note| log.head_of(note)) {
            if old.size > new.size {
                return Err(VerifyError::PlatformRewritten);
            }
            let mut tiles = BTreeMap::new();
            for tile in ConsistencyProof::tiles(old.size, new.size) {
                tiles.insert(tile, self.tile(Log::Platform, tile).await?);
            }
            let read = |tile: Tile| tiles.get(&tile).cloned().ok_or(VerifyError::PlatformRewritten);
            ConsistencyProof::prove(&TileHashes::new(new.size, read), old.size, new.size)
                .map_err(|_| VerifyError::PlatformRewritten)?
                .verify(&old, &new)
                .map_err(|_| VerifyError::PlatformRewritten)?;
        }
        Ok(Some((new, note)))
    }

    /// Waits, at most so long, until the newest checkpoint covers a record of this request.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn wait_for_record(
        &self,
        tenant: TenantId,
        request: &str,
        most: Duration,
    ) -> Result<bool, RequestError> {
        let (mut waited, mut looked_at) = (Duration::ZERO, 0);
        loop {
            let note = self.checkpoint(Log::Tenant(tenant)).await?.unwrap_or_default();
            // The second line is the size. What is signed is checked by whoever verifies.
            let size: u64 = note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0);
            let is_it =
                |entry: &LogEntry| entry.record.as_ref().is_some_and(|record| record.request == request);
            // From the newest back: others may have changed much since.
            let mut to = size;
            while to > looked_at {
                let from = to.saturating_sub(u64::from(RECORDS_A_PAGE)).max(looked_at);
                let mut next = from;
                // A page may hold fewer than it was asked for.
                while next < to {
                    let page = self.records(Log::Tenant(tenant), next, RECORDS_A_PAGE).await?;
                    if page.records.iter().any(|entry| entry.number < size && is_it(entry)) {
                        return Ok(true);
                    }
                    if page.next <= next {
                        break;
                    }
                    next = page.next;
                }
                to = from;
            }
            looked_at = size.max(looked_at);
            if waited >= most {
                return Ok(false);
            }
            crate::pause::sleep(BETWEEN_LOOKS).await;
            waited += BETWEEN_LOOKS;
        }
    }

    /// The newest checkpoint, which a log that was just made may be a moment away from.
    async fn newest_checkpoint(&self, log: Log) -> Result<String, VerifyError> {
        for _ in 0..CHECKPOINT_TRIES {
            if let Some(note) = self.checkpoint(log).await? {
                return Ok(note);
            }
            crate::pause::sleep(BETWEEN_LOOKS).await;
        }
        Err(VerifyError::NoCheckpoint)
    }
}

/// A log being verified, page by page.
pub(crate) struct Check {
    verification: Verification,
    tenant: [u8; 16],
    origin: String,
    note: String,
    pinned: Option<u64>,
    /// The request of which there has to be a record, until there is one.
    awaited: Option<String>,
    /// How many records there must be.
    pub(crate) size: u64,
    /// Stored nodes of level 8, by the index of their tile.
    pub(crate) nodes: BTreeMap<u64, Vec<ledger::Hash>>,
}

impl Check {
    pub(crate) fn new(log: &LogIdentity, note: String, pins: &Pins, age: Age) -> Self {
        let tenant = log.tenant.map(|tenant| *tenant.as_bytes()).unwrap_or_default();
        let pinned = pins.checkpoints.get(&log.origin).and_then(|note| log.head_of(note));
        let head = log.head_of(&note);
        let pinned = match (age, head) {
            // What was pinned later says nothing of what was written down before.
            (Age::Any, Some(head)) => pinned.filter(|pinned| pinned.size <= head.size),
            _ => pinned,
        };
        let mut verification =
            Verification::new(&note, &log.origin, std::slice::from_ref(&log.key)).tenant(tenant);
        if let Some(pinned) = pinned {
            verification = verification.pinned(pinned);
        }
        let size = head.or(pinned).map_or(0, |head| head.size);
        Check {
            verification,
            tenant,
            origin: log.origin.clone(),
            note,
            pinned: pinned.map(|head| head.size),
            awaited: None,
            size,
            nodes: BTreeMap::new(),
        }
    }

    /// The tiles of level 1 with the nodes over these records, that are not there yet.
    pub(crate) fn tiles(&self, from: u64, to: u64) -> Vec<(u64, Tile)> {
        let full = (to / 256).min(self.size / 256);
        (from / 65_536..=full / 256)
            .filter(|index| !self.nodes.contains_key(index))
            .filter_map(|index| Tile::at(1, index, self.size).map(|tile| (index, tile)))
            .collect()
    }

    /// The tiles of level 0 with the leaves of these records.
    pub(crate) fn leaf_tiles(&self, from: u64, to: u64) -> Vec<Tile> {
        (from / 256..to.min(self.size).div_ceil(256))
            .filter_map(|index| Tile::at(0, index, self.size))
            .collect()
    }

    /// Takes records in order of their numbers, with what is known of leaves beside those in the entries.
    pub(crate) fn push(&mut self, entries: &[LogEntry], mut leaves: BTreeMap<u64, ledger::Hash>) {
        let size = self.size;
        let entries = || entries.iter().filter(move |entry| entry.number < size);
        for entry in entries() {
            if let Some(hash) = entry.leaf.to_array::<32>() {
                leaves.entry(entry.number).or_insert(hash.into());
            }
        }
        // All leaves before the records: so a record that was renumbered is recognised.
        for (number, hash) in leaves {
            self.verification.stored(Node { level: 0, index: number, hash });
            if number % 256 == 255 {
                let index = number / 256;
                let place = usize::try_from(index % 256).unwrap_or_default();
                if let Some(hash) = self.nodes.get(&(index / 256)).and_then(|nodes| nodes.get(place)) {
                    self.verification.stored(Node { level: 8, index, hash: *hash });
                }
            }
        }
        for entry in entries() {
            let number = entry.number;
            let Some(record) = &entry.record else { continue };
            if self.awaited.as_ref() == Some(&record.request) {
                self.awaited = None;
            }
            // A header that is too long to be one counts as one that cannot be read.
            let header = header(self.tenant, record).encode().unwrap_or_default();
            let payload_hash = payload_hash(record.details.as_slice());
            self.verification.push(ledger::Record { number, header: &header, payload_hash: &payload_hash });
        }
    }

    pub(crate) fn finish(self) -> Verified {
        Verified {
            origin: self.origin,
            note: self.note,
            report: self.verification.finish(),
            pinned: self.pinned,
            is_awaiting: self.awaited.is_some(),
        }
    }
}

/// Which checkpoint a log is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// The newest: one that is older than what was pinned was rolled back.
    Newest,
    /// One that was written down at some time.
    Any,
}

/// Adds the leaves of a tile, unless its bytes are not one.
pub(crate) fn add_leaves(leaves: &mut BTreeMap<u64, ledger::Hash>, tile: Tile, bytes: &[u8]) {
    if let Ok(hashes) = tile.decode(bytes) {
        leaves.extend((tile.first_node()..).zip(hashes));
    }
}

/// Why a history cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The service's log key is not a key.
    #[error("the log's public key cannot be read")]
    NotAKey,
    /// The service's log has no usable name or key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No checkpoint has been published.
    #[error("the log has no checkpoint yet: try again in a moment")]
    NoCheckpoint,
    /// The platform's checkpoint is not one.
    #[error("the platform's checkpoint is not valid: {0}")]
    PlatformCheckpoint(#[from] ledger::OpenError),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is not one of this log.
    #[error("the log's checkpoint is not signed by the log's key")]
    WrongCheckpoint,
    /// Requests are not what was logged.
    #[error(
        "{count} records of requests are not what was logged, the first of them number {first}: run `bailiwick verify`"
    )]
    Requests {
        /// The number of the first such record.
        first: u64,
        /// How many there are.
        count: usize,
    },
    /// The platform's log is not what it was.
    #[error("the platform's own log was rolled back or rewritten since it was last seen here")]
    PlatformRewritten,
}

/// The logs of a service: a tenant's and the platform's.
///
/// # Errors
/// [`VerifyError`].
pub fn identities(service: &Service, tenant: TenantId) -> Result<(LogIdentity, LogIdentity), VerifyError> {
    let own = LogIdentity::of_tenant(&service.log_origin, &service.log_public_key, tenant)?;
    let platform = LogIdentity::of_platform(&service.log_origin, &service.log_public_key)?;
    Ok((own, platform))
}

fn record_of(finding: &Finding) -> Option<u64> {
    match finding {
        Finding::RecordAltered { number, .. }
        | Finding::OutOfOrder { number, .. }
        | Finding::LeafAltered { number }
        | Finding::LeafMissing { number }
        | Finding::Disputed { number }
        | Finding::HeaderInvalid { number, .. }
        | Finding::TenantMismatch { number, .. } => Some(*number),
        Finding::RecordsMissing { first, .. }
        | Finding::RootMismatch { first, .. }
        | Finding::Unproven { first, .. } => Some(*first),
        Finding::RolledBack { size, .. } => Some(*size),
        _ => None,
    }
}

fn kind_of(finding: &Finding) -> &'static str {
    match finding {
        Finding::SignatureInvalid(_) => "signature_invalid",
        Finding::CheckpointInvalid(_) => "checkpoint_invalid",
        Finding::RolledBack { .. } => "rolled_back",
        Finding::HistoryRewritten { .. } => "history_rewritten",
        Finding::RecordAltered { .. } => "record_altered",
        Finding::RecordsMissing { .. } => "records_missing",
        Finding::OutOfOrder { .. } => "out_of_order",
        Finding::LeafAltered { .. } => "leaf_altered",
        Finding::LeafMissing { .. } => "leaf_missing",
        Finding::NodeAltered { .. } => "node_altered",
        Finding::Disputed { .. } => "disputed",
        Finding::RootMismatch { .. } => "root_mismatch",
        Finding::Unproven { .. } => "unproven",
        Finding::HeaderInvalid { .. } => "header_invalid",
        Finding::TenantMismatch { .. } => "tenant_mismatch",
    }
}

const RECORDS_A_PAGE: u32 = 512;
const CHECKPOINT_TRIES: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
