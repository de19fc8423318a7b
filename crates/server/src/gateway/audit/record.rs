// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From batches to records, and back to text for who may read it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::{Action, Caller, Resource};
use custody::KeyError;
use data_encoding::BASE64URL_NOPAD;
use futures::StreamExt as _;
use ledger::record::requests_hash;
use protocol::log::REQUESTS_SUBJECT;
use store::history::LoggedRecord;
use store::{ReadTx, Record, StoreError, TenantId};
use tokio::sync::watch;

use super::batch::{Batch, Batches};
use super::spool::{Left, Spool};
use super::{Audit, Round};
use crate::error::ApiError;
use crate::state::App;

/// Tenants whose batches are recorded at the same time.
const AT_ONCE: usize = 4;

/// Pause before what could not be recorded is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Tries at the end, when the server stops. What is left then stays in the spool for the next start.
const LAST_TRIES: usize = 5;

/// What texts are sealed as.
const PURPOSE: &str = "server/requests";

/// Records lines in rounds until the server stops, and then those that are left. First those that servers left which were killed.
pub(crate) async fn record(app: App, left: Vec<PathBuf>, mut stop: watch::Receiver<bool>) {
    let mut open: Vec<Open> = Vec::new();
    for path in left {
        match recover(&app.audit, &path) {
            Ok(Some(found)) => write(&app, found, &mut open).await,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a spool of requests cannot be read")
            }
        }
    }
    let every = Duration::from_secs(u64::from(app.config.request_audit_seconds));
    loop {
        let pause = if open.is_empty() { every } else { AGAIN_AFTER };
        let stopping = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = app.audit.due.notified() => false,
            _ = stop.changed() => true,
        };
        round(&app, &mut open).await;
        if stopping {
            break;
        }
    }
    for _ in 1..LAST_TRIES {
        if open.is_empty() {
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        round(&app, &mut open).await;
    }
    if !open.is_empty() {
        tracing::error!(
            "requests could not be recorded: they are in the spool, and will be at the next start"
        );
    }
}

/// A round whose lines are not all recorded, with its file.
struct Open {
    file: Kept,
    batches: Vec<(TenantId, Vec<Batch>)>,
}

enum Kept {
    Own(Spool),
    Left(Left),
}

impl Open {
    fn of(round: Round) -> Self {
        Open { file: Kept::Own(round.spool), batches: round.batches.into_each().collect() }
    }
}

fn recover(audit: &Audit, path: &std::path::Path) -> std::io::Result<Option<Open>> {
    let Some(left) = Left::take(path)? else { return Ok(None) };
    let mut batches = Batches::new(&audit.seed, left.id);
    let unreadable = left.read(|line| {
        batches.add(line);
    })?;
    if unreadable > 0 {
        tracing::error!(unreadable, path = %path.display(), "lines of a spool of requests cannot be read");
    }
    // Their room was another process's.
    let batches = batches.into_each().collect();
    Ok(Some(Open { file: Kept::Left(left), batches }))
}

/// Rounds that wait to be recorded.
const MOST_OPEN: usize = 16;

async fn round(app: &App, open: &mut Vec<Open>) {
    for again in std::mem::take(open) {
        write(app, again, open).await;
    }
    // Each holds a file: while nothing can be recorded, no more of them are begun.
    if open.len() >= MOST_OPEN {
        return;
    }
    match app.audit.take() {
        Ok(Some(round)) => write(app, Open::of(round), open).await,
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the request audit cannot begin a new spool"),
    }
    let turned_away = app.audit.turned_away.swap(0, Ordering::Relaxed);
    if turned_away > 0 {
        tracing::error!(turned_away, "requests were answered 503: there was no room to record them");
    }
}

/// Records what it can of a round; what it cannot stays in `open`.
async fn write(app: &App, round: Open, open: &mut Vec<Open>) {
    let Open { file, batches } = round;
    let is_own = matches!(file, Kept::Own(_));
    let mut written = futures::stream::iter(batches)
        .map(|(tenant, batches)| async move { (tenant, write_each(app, tenant, batches, is_own).await) })
        .buffer_unordered(AT_ONCE);
    let mut unwritten = Vec::new();
    while let Some((tenant, batches)) = written.next().await {
        if !batches.is_empty() {
            unwritten.push((tenant, batches));
        }
    }
    drop(written);
    if !unwritten.is_empty() {
        return open.push(Open { file, batches: unwritten });
    }
    let removed = match file {
        Kept::Own(spool) => spool.remove(),
        Kept::Left(left) => left.remove(),
    };
    if let Err(error) = removed {
        tracing::error!(%error, "a spool of requests that are recorded cannot be removed: they will be twice");
    }
}

/// Records the batches of a tenant, in their order; gives back those from the first on that cannot be recorded now.
async fn write_each(app: &App, tenant: TenantId, batches: Vec<Batch>, is_own: bool) -> Vec<Batch> {
    let mut batches = batches.into_iter();
    while let Some(batch) = batches.next() {
        let written = match write_one(app, tenant, &batch, None).await {
            // The tenant, or what could be read in it, is gone: what was asked there is part of the platform's history.
            Err(Unwritten::Gone) => write_one(app, TenantId::PLATFORM, &batch, Some(tenant)).await,
            other => other,
        };
        if let Err(error) = written {
            let error = match error {
                Unwritten::Gone => "the platform has no keys".to_owned(),
                Unwritten::Failed(error) => error,
            };
            tracing::error!(%tenant, error, "requests were not recorded; it will be tried again");
            return std::iter::once(batch).chain(batches).collect();
        }
        app.metrics.audited(batch.lines() as u64);
        if is_own {
            app.audit.room.add_permits(batch.lines());
        }
    }
    Vec::new()
}

/// Why a batch is not recorded.
enum Unwritten {
    Gone,
    Failed(String),
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoTenant => Unwritten::Gone,
            error => Unwritten::Failed(error.to_string()),
        }
    }
}

impl From<access::Refused> for Unwritten {
    fn from(refused: access::Refused) -> Self {
        match refused {
            access::Refused::NotFound => Unwritten::Gone,
            access::Refused::Store(error) => error.into(),
            refused => Unwritten::Failed(refused.to_string()),
        }
    }
}

impl From<KeyError> for Unwritten {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NoKey | KeyError::Destroyed => Unwritten::Gone,
            KeyError::Store(error) => error.into(),
            error => Unwritten::Failed(error.to_string()),
        }
    }
}

async fn write_one(app: &App, into: TenantId, batch: &Batch, of: Option<TenantId>) -> Result<(), Unwritten> {
    let worker = Caller::system("requests", "");
    let text = batch.text(of);
    let subject = format!("{REQUESTS_SUBJECT}{}", BASE64URL_NOPAD.encode(&requests_hash(text.as_bytes())));
    let mut tx = app.access.enter(&worker, into, Action::RequestRecord, Resource::whole(into)).await?;
    let keys = app.custody.tenant(&mut tx).await?;
    let sealed = keys.seal(PURPOSE, &[subject.as_bytes()], text.as_bytes());
    tx.commit(Record::about(subject).details(sealed)).await?;
    Ok(())
}

/// The text of a batch; `None` when its keys were destroyed, or when it is not what was sealed.
pub(crate) async fn open(
    app: &App,
    tx: &mut ReadTx,
    logged: &LoggedRecord,
) -> Result<Option<String>, ApiError> {
    let Some(record) = &logged.record else { return Ok(None) };
    let keys = match app.custody.tenant(tx).await {
        Ok(keys) => keys,
        Err(KeyError::NoKey | KeyError::Destroyed) => return Ok(None),
        Err(KeyError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(ApiError::internal(error)),
    };
    let opened = keys.open(PURPOSE, &[record.subject.as_bytes()], &record.details).ok();
    Ok(opened.and_then(|text| String::from_utf8(text.to_vec()).ok()))
}
