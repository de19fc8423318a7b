// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The sequencer: gives each committed record its number, folds it into the tenant's Merkle log and
//! signs a checkpoint.
//!
//! Records are written by many transactions at once and become visible in no order that a number taken
//! inside them would have. So a transaction only queues its record (table `unnumbered`), and one worker
//! numbers what is committed. The queue entry goes in the same transaction that adds the leaf, so a crash at any
//! moment neither loses nor doubles one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use ledger::{Checkpoint, Frontier, Hash, Signer};
use tokio::sync::Notify;

use crate::news::Announcer;
use crate::record::{Entry, RecordId};
use crate::{Record, Store, StoreError, TenantId, params};

/// Records that are numbered in one transaction, at the most.
const BATCH: i64 = 2_000;

/// Pause before a round after a quiet time: somebody may wait for the checkpoint.
const PACE: Duration = Duration::from_millis(100);

/// Pause before a round that follows the one before at once: under load fewer checkpoints cover as much. With the round
/// itself it bounds the delay of a checkpoint.
const PACE_UNDER_LOAD: Duration = Duration::from_millis(250);

/// Pause before a tenant is tried again whose records could not be numbered.
const PACE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Tenants that are worked on at the same time: while one waits for the disk or the database, another does not.
const AT_ONCE: usize = 4;

/// How often the heads of tenants' logs go into the platform's log.
const HEADS_EVERY: Duration = Duration::from_secs(5);

/// Tenants with records that have no number yet, as far as this process knows.
#[derive(Default)]
pub(crate) struct Backlog {
    tenants: Mutex<HashSet<TenantId>>,
    added: Notify,
    /// Who is told of records beside the sequencer.
    pub(crate) announcer: Announcer,
}

impl Backlog {
    pub(crate) fn add(&self, tenant: TenantId) {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        self.added.notify_one();
    }

    fn take(&self) -> HashSet<TenantId> {
        std::mem::take(&mut *self.tenants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The key that signs every tenant's checkpoints, and the name of the logs that it signs for.
#[derive(Clone)]
pub struct LogKey {
    origin: String,
    seed: Arc<zeroize::Zeroizing<[u8; 32]>>,
}

impl LogKey {
    /// `origin` names this installation's logs, such as `logs.example.com`; `seed` is an Ed25519 seed (RFC 8032).
    pub fn new(origin: impl Into<String>, seed: [u8; 32]) -> Self {
        LogKey { origin: origin.into(), seed: Arc::new(zeroize::Zeroizing::new(seed)) }
    }

    /// The name of a tenant's log: its checkpoints' origin line and key name (C2SP tlog-checkpoint).
    pub fn origin(&self, tenant: TenantId) -> String {
        if tenant == TenantId::PLATFORM { self.origin.clone() } else { format!("{}/{tenant}", self.origin) }
    }

    /// The signer of a tenant's log.
    pub fn signer(&self, tenant: TenantId) -> Result<Signer, StoreError> {
        Signer::from_seed(&self.origin(tenant), &self.seed)
            .map_err(|error| StoreError::Engine(format!("the log's name cannot be used: {error}")))
    }
}

/// Numbers records and publishes checkpoints, until it is told to stop.
pub struct Sequencer {
    store: Store,
    key: LogKey,
}

/// What a round found out about one tenant's log, to be stored together.
pub(crate) struct Folded {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) nodes: Vec<Node>,
}

/// A leaf with its number.
pub(crate) struct Leaf {
    pub(crate) number: i64,
    pub(crate) record: RecordId,
    pub(crate) hash: [u8; 32],
}

/// The root of a full subtree that tiles are made of.
pub(crate) struct Node {
    pub(crate) level: i64,
    pub(crate) number: i64,
    pub(crate) hash: [u8; 32],
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records that were given a number.
    pub numbered: u64,
    /// Checkpoints that were published.
    pub checkpoints: u64,
}

impl Sequencer {
    /// A sequencer for `store`, signing with `key`.
    pub fn new(store: Store, key: LogKey) -> Self {
        Sequencer { store, key }
    }

    /// Works until `stop` is notified, then finishes what is queued. `tenants` are looked at first: those that a
    /// crash may have left with unnumbered records. `report` hears of each round.
    pub async fn run(self, tenants: Vec<TenantId>, stop: Arc<Notify>, report: impl Fn(Progress)) {
        for tenant in tenants {
            self.store.backlog.add(tenant);
        }
        self.store.backlog.add(TenantId::PLATFORM);
        let mut heads = HashMap::new();
        let mut heads_at = tokio::time::Instant::now();
        let mut stopping = false;
        loop {
            let progress = self.round(&mut heads).await;
            let round_ended = tokio::time::Instant::now();
            if progress != Progress::default() {
                report(progress);
            }
            if stopping && progress == Progress::default() {
                break;
            }
            if !heads.is_empty() && (stopping || heads_at.elapsed() >= HEADS_EVERY) {
                heads_at = tokio::time::Instant::now();
                if let Err(error) = self.publish_heads(&mut heads).await {
                    tracing::error!(%error, "heads of logs were not published");
                }
                continue;
            }
            if stopping {
                continue;
            }
            let next_heads = heads_at + HEADS_EVERY;
            tokio::select! {
                () = stop.notified() => stopping = true,
                () = self.store.backlog.added.notified() => {
                    let is_busy = progress.numbered > 0 && round_ended.elapsed() < PACE;
                    tokio::time::sleep(if is_busy { PACE_UNDER_LOAD } else { PACE }).await;
                }
                () = tokio::time::sleep_until(next_heads), if !heads.is_empty() => {}
            }
        }
    }

    /// Numbers all that is queued now, in every tenant known to have any.
    pub async fn drain(&self) -> Progress {
        self.round(&mut HashMap::new()).await
    }

    async fn round(&self, heads: &mut HashMap<TenantId, String>) -> Progress {
        let mut total = Progress::default();
        let tenants = self.store.backlog.take();
        let mut folds = futures::stream::iter(tenants)
            .map(|tenant| async move { (tenant, self.fold(tenant).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((tenant, folded)) = folds.next().await {
            match folded {
                Ok(None) | Err(StoreError::NoTenant) => {}
                Ok(Some((numbered, note))) => {
                    total.numbered += numbered;
                    total.checkpoints += 1;
                    if numbered >= BATCH.unsigned_abs() {
                        self.store.backlog.add(tenant);
                    }
                    if tenant != TenantId::PLATFORM {
                        heads.insert(tenant, note);
                    }
                }
                Err(error) => {
                    tracing::error!(%tenant, %error, "records were not numbered; they will be tried again");
                    // The others do not wait for it.
                    let store = self.store.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(PACE_AFTER_FAILURE).await;
                        store.backlog.add(tenant);
                    });
                }
            }
        }
        total
    }

    /// Numbers a batch of one tenant's records and signs a checkpoint over them; `None` when there is nothing to do. The
    /// leaves were settled when the records were written, so the records themselves are not read again.
    async fn fold(&self, tenant: TenantId) -> Result<Option<(u64, String)>, StoreError> {
        let mut tx = self.store.begin_write(tenant, Self::entry("log.number")).await?;
        let queued = "SELECT record, leaf FROM unnumbered ORDER BY record LIMIT $1";
        let last = "SELECT frontier FROM checkpoint ORDER BY size DESC LIMIT 1";
        let Some([queued, last]) = tx.begin_numbering([(queued, params![BATCH]), (last, params![])]).await?
        else {
            // Another server is at it.
            return Ok(None);
        };
        let queued: Vec<(RecordId, [u8; 32])> = queued.rows()?;
        if queued.is_empty() {
            return Ok(None);
        }
        let mut frontier = match last.first::<(Vec<u8>,)>()? {
            None => Frontier::default(),
            Some((bytes,)) => Frontier::decode(&bytes)
                .map_err(|error| StoreError::Engine(format!("the log's frontier is damaged: {error}")))?,
        };
        let mut folded = Folded { leaves: Vec::with_capacity(queued.len()), nodes: Vec::new() };
        for (record, hash) in queued {
            folded.leaves.push(Leaf { number: to_i64(frontier.size()), record, hash });
            frontier.append_each(Hash::from(hash), |node| {
                if node.level > 0 && node.is_stored() {
                    folded.nodes.push(Node {
                        level: i64::from(node.level),
                        number: to_i64(node.index),
                        hash: *node.hash.as_bytes(),
                    });
                }
            });
        }
        let note = Checkpoint::new(&self.key.origin(tenant), frontier.head())
            .map_err(|error| StoreError::Engine(error.to_string()))?
            .sign(&self.key.signer(tenant)?)
            .map_err(|error| StoreError::Engine(error.to_string()))?
            .to_string();
        let now = tx.now();
        let checkpoint = "INSERT INTO checkpoint (size, at, note, frontier) VALUES ($1, $2, $3, $4)";
        let (size, frontier) = (to_i64(frontier.size()), frontier.encode());
        let values = params![size, now, &note, &frontier];
        tx.end_numbering(&folded, (checkpoint, values)).await?;
        Ok(Some((folded.leaves.len() as u64, note)))
    }

    /// Puts tenants' newest checkpoints into the platform's log, so that one witness of that log covers them all.
    async fn publish_heads(&self, heads: &mut HashMap<TenantId, String>) -> Result<(), StoreError> {
        for (tenant, note) in std::mem::take(heads) {
            let tx = self.store.begin_write(TenantId::PLATFORM, Self::entry("log.head")).await?;
            tx.commit(Record::about(tenant).details(note.into_bytes())).await?;
        }
        Ok(())
    }

    fn entry(action: &str) -> Entry {
        Entry {
            actor: "system:sequencer".into(),
            via: String::new(),
            action: action.into(),
            request: String::new(),
        }
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
