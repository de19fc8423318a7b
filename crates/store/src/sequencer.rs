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

use ledger::record::{RecordHeader, leaf_hash, payload_hash};
use ledger::{Checkpoint, Frontier, Signer};
use tokio::sync::Notify;

use crate::history::RecordRow;
use crate::record::Entry;
use crate::{Record, Store, StoreError, TenantId, WriteTx, params};

/// Records that are numbered in one transaction, at the most.
const BATCH: i64 = 2_000;

/// Pause between two rounds under load: bounds the delay of a checkpoint and the number of them.
const PACE: Duration = Duration::from_millis(100);

/// How often the heads of tenants' logs go into the platform's log.
const HEADS_EVERY: Duration = Duration::from_secs(5);

/// Tenants with records that have no number yet, as far as this process knows.
#[derive(Default)]
pub(crate) struct Backlog {
    tenants: Mutex<HashSet<TenantId>>,
    added: Notify,
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
                () = self.store.backlog.added.notified() => tokio::time::sleep(PACE).await,
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
        for tenant in self.store.backlog.take() {
            match self.fold(tenant).await {
                Ok((0, _)) => {}
                Ok((numbered, note)) => {
                    total.numbered += numbered;
                    total.checkpoints += 1;
                    if numbered >= BATCH.unsigned_abs() {
                        self.store.backlog.add(tenant);
                    }
                    if tenant != TenantId::PLATFORM {
                        heads.insert(tenant, note);
                    }
                }
                Err(StoreError::NoTenant) => {}
                Err(error) => {
                    tracing::error!(%tenant, %error, "records were not numbered; they will be tried again");
                    self.store.backlog.add(tenant);
                    tokio::time::sleep(PACE * 10).await;
                }
            }
        }
        total
    }

    /// Numbers a batch of one tenant's records and signs a checkpoint over them.
    async fn fold(&self, tenant: TenantId) -> Result<(u64, String), StoreError> {
        let mut tx = self.store.begin_write(tenant, Self::entry("log.number")).await?;
        if !tx.lock_numbering().await? {
            // Another server is at it.
            return Ok((0, String::new()));
        }
        let records: Vec<RecordRow> = tx
            .query(
                "SELECT r.id, r.at, r.actor, r.via, r.action, r.subject, r.request, r.corrects, r.details
                   FROM unnumbered u JOIN record r ON r.id = u.record
                  ORDER BY r.id LIMIT $1",
                params![BATCH],
            )
            .await?;
        if records.is_empty() {
            return Ok((0, String::new()));
        }
        let mut frontier = last_frontier(&mut tx).await?;
        let first = frontier.size();
        let mut nodes = Vec::new();
        let mut leaves = Vec::with_capacity(records.len());
        for row in &records {
            let (header, details) = header(tenant, row);
            let header = header.encode().map_err(|error| StoreError::Engine(error.to_string()))?;
            let hash = leaf_hash(&header, &payload_hash(details));
            leaves.push((to_i64(frontier.size()), row.0, *hash.as_bytes()));
            frontier.append_each(hash, |node| {
                if node.level > 0 && node.is_stored() {
                    nodes.push((i64::from(node.level), to_i64(node.index), *node.hash.as_bytes()));
                }
            });
        }
        let leaf_params: Vec<_> =
            leaves.iter().map(|(number, record, hash)| params![*number, record, hash].to_vec()).collect();
        tx.execute_each("INSERT INTO leaf (number, record, hash) VALUES ($1, $2, $3)", &leaf_params).await?;
        let node_params: Vec<_> =
            nodes.iter().map(|(level, number, hash)| params![*level, *number, hash].to_vec()).collect();
        tx.execute_each("INSERT INTO subtree (level, number, hash) VALUES ($1, $2, $3)", &node_params)
            .await?;
        tx.execute(
            "DELETE FROM unnumbered WHERE record IN (SELECT record FROM leaf WHERE number >= $1)",
            params![to_i64(first)],
        )
        .await?;
        let note = Checkpoint::new(&self.key.origin(tenant), frontier.head())
            .map_err(|error| StoreError::Engine(error.to_string()))?
            .sign(&self.key.signer(tenant)?)
            .map_err(|error| StoreError::Engine(error.to_string()))?
            .to_string();
        let now = tx.now();
        tx.execute(
            "INSERT INTO checkpoint (size, at, note, frontier) VALUES ($1, $2, $3, $4)",
            params![to_i64(frontier.size()), now, &note, &frontier.encode()],
        )
        .await?;
        tx.commit_numbering().await?;
        Ok((frontier.size() - first, note))
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

async fn last_frontier(tx: &mut WriteTx) -> Result<Frontier, StoreError> {
    let stored: Option<(Vec<u8>,)> =
        tx.query_opt("SELECT frontier FROM checkpoint ORDER BY size DESC LIMIT 1", params![]).await?;
    match stored {
        None => Ok(Frontier::default()),
        Some((bytes,)) => Frontier::decode(&bytes)
            .map_err(|error| StoreError::Engine(format!("the log's frontier is damaged: {error}"))),
    }
}

/// The canonical header of a record row, and its sealed details.
pub(crate) fn header(tenant: TenantId, row: &RecordRow) -> (RecordHeader, &[u8]) {
    let (id, at, actor, via, action, subject, request, corrects, details) = row;
    let header = RecordHeader {
        tenant: *tenant.as_bytes(),
        id: *id.as_bytes(),
        at: *at,
        actor: actor.clone(),
        via: via.clone(),
        action: action.clone(),
        subject: subject.clone(),
        corrects: corrects.map(|id| *id.as_bytes()),
        request: request.clone(),
    };
    (header, details)
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
