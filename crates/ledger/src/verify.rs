// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Verification: records, stored tree and signed head are held against each other, and what does not fit is named.
//!
//! Three parties can each be lied for. The **record rows**, the **stored tree** (leaf hashes and, over each 256 of
//! them, a node) and the **checkpoint** all lie in a database whose owner may rewrite any of them. Only the checkpoint's
//! signature is out of the database's reach, and only heads **pinned** earlier by the verifier are out of the signing key's reach.
//! What an attacker can do and what is said then:
//!
//! | done to the log | said |
//! |---|---|
//! | a record is altered | [`RecordAltered`](Finding::RecordAltered): its leaf is not the stored one, and the stored ones add up to the signed root |
//! | a record is deleted | [`RecordsMissing`](Finding::RecordsMissing); if the rest were renumbered, also which record each was |
//! | a record and its leaf hash are altered | [`RootMismatch`](Finding::RootMismatch) over the 256 records whose node disagrees |
//! | a record and every hash above it are altered | `RootMismatch` between the last head that fits and the first that does not: the more heads are pinned, the narrower |
//! | only stored hashes are altered | [`LeafAltered`](Finding::LeafAltered), [`NodeAltered`](Finding::NodeAltered): the records are intact |
//! | the checkpoint is replaced | [`SignatureInvalid`](Finding::SignatureInvalid) |
//! | everything is set back to an older state | [`RolledBack`](Finding::RolledBack), given a pinned head |
//! | the log is rewritten and signed again with its own key | [`HistoryRewritten`](Finding::HistoryRewritten), given a pinned head |
//!
//! Without stored leaves nothing can be named but the range between heads; without pinned heads a log that is rewritten with
//! its own key looks intact. That is what witnesses and exported checkpoints are for.
//!
//! ```
//! use ledger::{Checkpoint, Finding, Frontier, Record, Signer, Verification, record};
//!
//! let signer = Signer::from_seed("example.com/log", &[7; 32])?;
//! let mut frontier = Frontier::default();
//! frontier.append(record::leaf_hash(b"header", &[0; 32]));
//! let note = Checkpoint::new("example.com/log", frontier.head())?.sign(&signer)?.to_string();
//!
//! let mut verification = Verification::new(&note, "example.com/log", &[signer.verifier()]);
//! verification.push(Record { number: 0, header: b"another header", payload_hash: &[0; 32] });
//! let report = verification.finish();
//! assert!(report.findings.contains(&Finding::RootMismatch { first: 0, last: 0 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod columns;

use std::collections::VecDeque;

use thiserror::Error;

use crate::checkpoint::{OpenError, SignedCheckpoint};
use crate::note::Verifier;
use crate::record::{self, HeaderError, RecordHeader};
use crate::tree::{Frontier, Hash, MAX_SIZE, Node, TreeHead};
use columns::{Columns, Dispute, Truth};

/// A record as it lies in storage.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its number: the index of its leaf, counted from 0.
    pub number: u64,
    /// Its encoded header.
    pub header: &'a [u8],
    /// SHA-256 of its sealed payload, computed from the payload wherever that is at hand.
    pub payload_hash: &'a [u8; 32],
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// No trusted key signed the checkpoint, or a signature on it is forged.
    #[error("the checkpoint's signature is invalid: {0}")]
    SignatureInvalid(crate::SignatureError),
    /// The checkpoint is malformed or another log's.
    #[error("the checkpoint is invalid: {0}")]
    CheckpointInvalid(OpenError),
    /// The checkpoint is older than one seen before: records were taken back, or an old state was restored.
    #[error("the log was rolled back from {pinned} to {size} records")]
    RolledBack {
        /// Size of the pinned head.
        pinned: u64,
        /// Size of the checkpoint.
        size: u64,
    },
    /// The records fit a later signed head, but not the one of this size: the log signed two histories.
    #[error("history was rewritten: the log no longer matches the head once signed at {size} records")]
    HistoryRewritten {
        /// Size of the head that does not fit.
        size: u64,
    },
    /// The record is not the one that was logged.
    #[error("record {number} was altered")]
    RecordAltered {
        /// Its number.
        number: u64,
        /// The number under which what lies here now was logged, if near: records were renumbered.
        logged_as: Option<u64>,
    },
    /// Records that were logged are not there.
    #[error("{} missing", are(*.first, *.last))]
    RecordsMissing {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A record's number does not follow the one before.
    #[error("record {number} came where {expected} was due")]
    OutOfOrder {
        /// Its number.
        number: u64,
        /// The number that was due.
        expected: u64,
    },
    /// The record's stored leaf hash was altered; the record itself is intact.
    #[error("the stored hash of record {number} was altered, the record is intact")]
    LeafAltered {
        /// The record's number.
        number: u64,
    },
    /// The record's stored leaf hash is not there.
    #[error("the stored hash of record {number} is missing")]
    LeafMissing {
        /// The record's number.
        number: u64,
    },
    /// A stored node was altered; the records below it are intact.
    #[error("the stored node {index} of level {level} was altered, its records are intact")]
    NodeAltered {
        /// Height above the leaves.
        level: u8,
        /// Position within the level.
        index: u64,
    },
    /// Record and stored leaf hash disagree, and no trusted head tells which is right.
    #[error("record {number} or its stored hash was altered")]
    Disputed {
        /// The record's number.
        number: u64,
    },
    /// At least one of these records was altered together with the hashes over it.
    #[error(
        "records {first} to {last} do not add up to the signed root: some were altered with their hashes"
    )]
    RootMismatch {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Too much is missing to hold these records against the signed root.
    #[error("records {first} to {last} cannot be held against the signed root")]
    Unproven {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The record's header cannot be read.
    #[error("record {number} cannot be read: {error}")]
    HeaderInvalid {
        /// The record's number.
        number: u64,
        /// Why not.
        error: HeaderError,
    },
    /// The record is another tenant's.
    #[error("record {number} is of another tenant")]
    TenantMismatch {
        /// The record's number.
        number: u64,
        /// Whose it says it is.
        tenant: [u8; 16],
    },
}

/// What a [`Verification`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The head that was verified against, if it was rightly signed.
    pub head: Option<TreeHead>,
    /// Records looked at.
    pub records: u64,
    /// The size of the largest trusted head that the log matched.
    pub verified_size: u64,
    /// Records numbered past every trusted head: written, but not yet covered by a checkpoint.
    pub uncovered: u64,
    /// What is wrong, the first thousand of it.
    pub findings: Vec<Finding>,
    /// How many more findings there are.
    pub unlisted: u64,
    /// If all is well, where the next verification may [`resume`](Verification::resume).
    pub frontier: Option<Frontier>,
}

impl Report {
    /// Whether every record is exactly as it was logged.
    pub const fn is_intact(&self) -> bool {
        self.findings.is_empty() && self.unlisted == 0
    }
}

/// A verification under way.
///
/// Give it what was pinned, then in order of their numbers the stored nodes and the records: each node no later than the
/// record after the last one it covers. Memory is bounded by how far nodes run ahead of records; a
/// tile at a time is a good measure.
#[derive(Debug)]
pub struct Verification {
    head: Option<TreeHead>,
    tenant: Option<[u8; 16]>,
    /// Trusted heads not reached yet, the smallest first.
    ahead: VecDeque<TreeHead>,
    /// Trusted heads reached that did not fit.
    failed: Vec<u64>,
    /// End of the numbers that trusted heads cover.
    expected: u64,
    verified: Frontier,
    columns: Columns,
    /// Stored nodes fed and not yet used, by level 0 and 8.
    leaves: VecDeque<(u64, Hash)>,
    tiles: VecDeque<(u64, Hash)>,
    /// Stored leaves used last, to recognise renumbered records.
    recent: VecDeque<(u64, Hash)>,
    /// Disputed numbers that no head has settled yet.
    disputes: Vec<Dispute>,
    /// Set once something is missing without which no further root can be computed.
    is_blind: bool,
    next: u64,
    records: u64,
    uncovered: u64,
    findings: Vec<Finding>,
    unlisted: u64,
}

impl Verification {
    /// Verifies against a checkpoint of the log `origin` signed by one of `keys`. One that is not becomes a finding,
    /// and only pinned heads are trusted then.
    pub fn new(checkpoint: &str, origin: &str, keys: &[Verifier]) -> Self {
        let (head, finding) = match SignedCheckpoint::open(checkpoint, origin, keys) {
            Ok(checkpoint) => (Some(checkpoint.head()), None),
            Err(OpenError::Signature(error)) => (None, Some(Finding::SignatureInvalid(error))),
            Err(error) => (None, Some(Finding::CheckpointInvalid(error))),
        };
        let mut verification = Self {
            head,
            tenant: None,
            ahead: VecDeque::new(),
            failed: Vec::new(),
            expected: 0,
            verified: Frontier::default(),
            columns: Columns::default(),
            leaves: VecDeque::new(),
            tiles: VecDeque::new(),
            recent: VecDeque::new(),
            disputes: Vec::new(),
            is_blind: false,
            next: 0,
            records: 0,
            uncovered: 0,
            findings: finding.into_iter().collect(),
            unlisted: 0,
        };
        head.into_iter().for_each(|head| verification.trust(head));
        verification
    }

    /// Expects every record to be this tenant's.
    #[must_use]
    pub const fn tenant(mut self, tenant: [u8; 16]) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Trusts a head that the verifier kept from before, or got from a witness. Any number of them may be given; each
    /// narrows down where an alteration lies.
    #[must_use]
    pub fn pinned(mut self, pinned: TreeHead) -> Self {
        if let Some(head) = self.head.filter(|head| head.size < pinned.size) {
            self.find(Finding::RolledBack { pinned: pinned.size, size: head.size });
        }
        self.trust(pinned);
        self
    }

    /// Starts where an earlier verification ended well, which pins its head, and expects only the records from there on. To
    /// be called before the first node or record.
    #[must_use]
    pub fn resume(mut self, frontier: Frontier) -> Self {
        self.next = frontier.size();
        self.columns = Columns::starting_from(&frontier);
        self.ahead.retain(|head| head.size >= frontier.size());
        let head = frontier.head();
        self.verified = frontier;
        self.pinned(head)
    }

    /// Takes the next stored node. Those of levels 0 and 8 are used, others skipped.
    pub fn stored(&mut self, node: Node) {
        let (nodes, used) = match node.level {
            0 => (&mut self.leaves, self.next),
            8 => (&mut self.tiles, self.columns.tiles()),
            _ => return,
        };
        let due = nodes.back().map_or(used, |(last, _)| last + 1);
        if (due..MAX_SIZE).contains(&node.index) {
            nodes.push_back((node.index, node.hash));
        }
    }

    /// Takes the next record.
    pub fn push(&mut self, record: Record<'_>) {
        self.records += 1;
        self.check_header(&record);
        let number = record.number;
        if !(self.next..MAX_SIZE).contains(&number) {
            return self.find(Finding::OutOfOrder { number, expected: self.next });
        }
        self.skip_to(number);
        self.settle_heads();
        let logged = self.take_leaf();
        let leaf = record::leaf_hash(record.header, record.payload_hash);
        match logged {
            Some(logged) if logged != leaf => self.dispute(leaf),
            None if !self.leaves.is_empty() => self.find(Finding::LeafMissing { number }),
            _ => {}
        }
        self.uncovered += u64::from(number >= self.expected);
        self.append(leaf, logged.unwrap_or(leaf));
    }

    /// Says what was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.skip_to(self.expected);
        self.settle_heads();
        let verified = self.verified.size();
        let mut judged = verified;
        for size in std::mem::take(&mut self.failed) {
            if size <= verified {
                self.find(Finding::HistoryRewritten { size });
            } else if judged == verified {
                // Heads after the first that does not fit cannot fit either, and say nothing new.
                self.find(Finding::RootMismatch { first: verified, last: size - 1 });
                judged = size;
            }
        }
        if self.is_blind && self.expected > judged {
            self.find(Finding::Unproven { first: judged, last: self.expected - 1 });
        }
        for dispute in std::mem::take(&mut self.disputes) {
            self.find(Finding::Disputed { number: dispute.number });
        }
        let is_intact = self.findings.is_empty() && self.unlisted == 0;
        Report {
            head: self.head,
            records: self.records,
            verified_size: verified,
            uncovered: self.uncovered,
            findings: self.findings,
            unlisted: self.unlisted,
            frontier: is_intact.then_some(self.verified),
        }
    }

    fn trust(&mut self, head: TreeHead) {
        self.expected = self.expected.max(head.size);
        let place = self.ahead.partition_point(|other| other.size <= head.size);
        if head.size >= self.next {
            self.ahead.insert(place, head);
        }
    }

    fn check_header(&mut self, record: &Record<'_>) {
        let number = record.number;
        match (RecordHeader::decode(record.header), self.tenant) {
            (Err(error), _) => self.find(Finding::HeaderInvalid { number, error }),
            (Ok(RecordHeader { tenant, .. }), Some(expected)) if tenant != expected => {
                self.find(Finding::TenantMismatch { number, tenant });
            }
            _ => {}
        }
    }

    /// Goes on to `number` over records that are missing. Where the stored leaf is there it stands in.
    fn skip_to(&mut self, number: u64) {
        if number <= self.next {
            return;
        }
        self.find(Finding::RecordsMissing { first: self.next, last: number - 1 });
        while self.next < number && !self.is_blind {
            self.settle_heads();
            match self.take_leaf() {
                Some(leaf) => self.append(leaf, leaf),
                None => self.is_blind = true,
            }
        }
        self.next = number;
    }

    /// Everything before `next` is known: holds it against the stored node over it and the heads of this size.
    fn settle_heads(&mut self) {
        if self.is_blind {
            return;
        }
        if self.columns.is_tile_full() {
            let node = take(&mut self.tiles, self.columns.tiles());
            self.unlisted += self.columns.close_tile(node);
        }
        while let Some(head) = self.ahead.pop_front_if(|head| head.size <= self.next) {
            match self.columns.settle(&head.root) {
                Some(truth) => self.judge(&truth),
                None => self.failed.push(head.size),
            }
        }
    }

    /// Turns everything disputed since the last head that fitted into findings.
    fn judge(&mut self, truth: &Truth) {
        for dispute in std::mem::take(&mut self.disputes) {
            self.find(truth.judge(&dispute));
        }
        for finding in truth.judge_nodes(self.verified.size()) {
            self.find(finding);
        }
        self.verified = self.columns.frontier();
    }

    fn append(&mut self, record: Hash, leaf: Hash) {
        self.next += 1;
        if !self.is_blind {
            self.columns.append(record, leaf);
        }
    }

    fn take_leaf(&mut self) -> Option<Hash> {
        let leaf = take(&mut self.leaves, self.next)?;
        if self.recent.len() == RECENT_LEAVES {
            self.recent.pop_front();
        }
        self.recent.push_back((self.next, leaf));
        Some(leaf)
    }

    fn dispute(&mut self, leaf: Hash) {
        if self.disputes.len() == MAX_FINDINGS {
            self.unlisted += 1;
            return;
        }
        let mut known = self.leaves.iter().take(RECENT_LEAVES).chain(&self.recent);
        let logged_as = known.find(|(_, logged)| *logged == leaf).map(|(number, _)| *number);
        self.disputes.push(Dispute { number: self.next, logged_as });
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS { self.findings.push(finding) } else { self.unlisted += 1 }
    }
}

/// Takes the node at `index`, and drops those before it.
fn take(nodes: &mut VecDeque<(u64, Hash)>, index: u64) -> Option<Hash> {
    while nodes.pop_front_if(|(at, _)| *at < index).is_some() {}
    nodes.pop_front_if(|(at, _)| *at == index).map(|(_, hash)| hash)
}

/// One record, or several in a row, as a sentence begins with them.
fn are(first: u64, last: u64) -> String {
    if first == last { format!("record {first} is") } else { format!("records {first} to {last} are") }
}

/// Findings that are listed; the others are counted.
const MAX_FINDINGS: usize = 1_000;
/// How far around a number a renumbered record is looked for.
const RECENT_LEAVES: usize = 256;
