// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The request audit: what was asked, by whom, and how it was answered; never what was in it.
//!
//! ```text
//! answer -> line        method, route, caller, tenant, status, time, sizes, salted hashes of bodies
//!        -> spool       a file of this process, written before the answer leaves        (spool)
//!        -> batch       the lines of one tenant since the last round, in memory          (batch)
//!        -> record      one record for each batch: sealed, its hash in the subject       (record)
//! ```
//!
//! # Whose line it is
//! A request is recorded in the customer's tenant that knew its sender, also when it refused them; what the platform's people
//! do to the platform, in the platform's history; anything else somebody does, in their home. What was asked by nobody who is
//! known (health checks, steps of a sign-in, strangers) goes to the platform, counted by route and status: what comes of it, such as a
//! session, has a record of its own. So nobody writes lines into the history of a tenant that does not know them, and how much a
//! stranger can make the server keep is bounded.
//!
//! # What may be lost
//! Nothing, in an orderly stop. When the process is killed, what no answer had left for: the spool is read at the next start by
//! whichever server shares the data folder. A batch that was committed a moment before may then be recorded twice; a request's
//! id is the same in both. When the machine loses power, the lines of the last moments that its disk had not taken; changes have
//! records of their own, which are durable before their answers.
//!
//! A request begins only when there is room for its line. While the database takes no records requests wait, and then answer 503:
//! the caller is slowed down, and no line is dropped.

mod batch;
mod body;
mod record;
mod spool;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use access::{Passage, Passed};
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::Code;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use self::batch::Batches;
use self::body::Read;
use self::spool::Spool;
use super::{RequestId, method_name, problem};
use crate::config::RequestAudit;
use crate::error::ApiError;
use crate::state::App;

pub(crate) use self::record::{open, record};

/// Lines that wait in memory to be recorded, at the most, those of requests under way included: some 8 MiB.
const WAITING: usize = 20_000;

/// So many do not wait for the next round.
const ENOUGH: usize = WAITING / 2;

/// So many bytes of the spool do not either.
const SPOOLED: u64 = 16 << 20;

/// And with so many, while no round can begin, there is no room: what is only counted grows in the spool alone.
const SPOOL_FULL: u64 = 4 * SPOOLED;

/// How long a request waits for room.
const WAIT: Duration = Duration::from_secs(5);

/// The status of a request whose sender left before it was answered.
const LEFT: u16 = 499;

/// Lines on their way to their records.
pub(crate) struct Audit {
    kept: RequestAudit,
    room: Arc<Semaphore>,
    round: Mutex<Round>,
    /// That there is enough for a round.
    due: Notify,
    folder: PathBuf,
    /// What hashes of bodies are salted by, with round and tenant.
    seed: Zeroizing<[u8; 32]>,
    /// Requests for whose lines there was no room.
    turned_away: AtomicU64,
    wait: Duration,
    spool_full: u64,
}

/// The lines since the last round.
struct Round {
    spool: Spool,
    batches: Batches,
}

/// What is known of a request once it was answered.
struct Line {
    at: i64,
    request: Arc<str>,
    route: String,
    passed: Passed,
    changes: bool,
    status: u16,
    took: Duration,
    sent: u64,
    answered: Option<u64>,
    sent_digest: Option<[u8; 32]>,
    answered_digest: Option<[u8; 32]>,
}

impl Audit {
    /// Opens the spool in `folder`, and names those that servers left there which are no more.
    pub(crate) fn open(
        kept: RequestAudit,
        folder: PathBuf,
        seed: Zeroizing<[u8; 32]>,
    ) -> io::Result<(Self, Vec<PathBuf>)> {
        let left = spool::left_in(&folder)?;
        let spool = Spool::create(&folder)?;
        let batches = Batches::new(&seed, spool.id());
        let audit = Audit {
            kept,
            room: Arc::new(Semaphore::new(WAITING)),
            round: Mutex::new(Round { spool, batches }),
            due: Notify::new(),
            folder,
            seed,
            turned_away: AtomicU64::new(0),
            wait: WAIT,
            spool_full: SPOOL_FULL,
        };
        Ok((audit, left))
    }

    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if self.round.lock().unwrap_or_else(PoisonError::into_inner).spool.len() >= self.spool_full {
            self.due.notify_one();
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(room);
        }
        self.due.notify_one();
        let waited = tokio::time::timeout(self.wait, Arc::clone(&self.room).acquire_owned()).await;
        let room = waited.ok().and_then(Result::ok);
        if room.is_none() {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    fn add(&self, line: &Line, room: OwnedSemaphorePermit) {
        let is_kept = match self.kept {
            RequestAudit::All => true,
            RequestAudit::Changes => line.changes || line.status >= 400,
            RequestAudit::Off => false,
        };
        if !is_kept {
            return;
        }
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let Round { spool, batches } = &mut *round;
        let line = batches.salted(line);
        if let Err(error) = spool.write(&line) {
            // It is in memory still, and recorded from there unless the process is killed first.
            tracing::error!(%error, "the request audit's spool cannot be written");
        }
        if batches.add(&line) {
            // Its room is free again when it is recorded.
            room.forget();
        }
        if batches.lines() >= ENOUGH || spool.len() >= SPOOLED {
            self.due.notify_one();
        }
    }

    /// Takes the lines since the last round, if there are any, and begins the next.
    fn take(&self) -> io::Result<Option<Round>> {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        if round.batches.is_empty() {
            return Ok(None);
        }
        let spool = Spool::create(&self.folder)?;
        let batches = Batches::new(&self.seed, spool.id());
        Ok(Some(std::mem::replace(&mut *round, Round { spool, batches })))
    }
}

/// A request that is under way: it leaves its line when it is answered, or given up.
struct UnderWay {
    app: App,
    room: Option<OwnedSemaphorePermit>,
    at: i64,
    begun: Instant,
    request: Arc<str>,
    method: Method,
    path: Option<MatchedPath>,
    passage: Arc<Passage>,
    read: Option<Arc<Read>>,
}

impl UnderWay {
    fn end(&mut self, status: u16, answered: Option<u64>, answered_digest: Option<[u8; 32]>) {
        let Some(room) = self.room.take() else { return };
        let passed = self.passage.seen();
        let is_known = passed.who.is_some();
        let read = self.read.as_deref();
        let line = Line {
            at: self.at,
            request: Arc::clone(&self.request),
            route: format!(
                "{} {}",
                method_name(&self.method),
                self.path.as_ref().map_or("unmatched", MatchedPath::as_str)
            ),
            passed,
            changes: ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&self.method),
            status,
            took: self.begun.elapsed(),
            sent: read.map_or(0, Read::bytes),
            answered,
            // What nobody sent who is known may hold a password or an address, which a hash would let be guessed.
            sent_digest: read.and_then(Read::digest).filter(|_| is_known),
            answered_digest,
        };
        self.app.audit.add(&line, room);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(LEFT, None, None);
    }
}

/// Writes a request's line before its answer leaves.
pub(super) async fn audit(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.config.request_audit == RequestAudit::Off {
        return next.run(request).await;
    }
    let id = request.extensions().get::<RequestId>().cloned();
    let Some(room) = app.audit.room().await else {
        app.metrics.not_audited();
        return problem::written(ApiError::new(Code::Unavailable).into_response(), id);
    };
    let passage = Arc::<Passage>::default();
    let mut under_way = UnderWay {
        at: app.now(),
        room: Some(room),
        begun: Instant::now(),
        request: id.map_or_else(|| "".into(), |id| id.0),
        method: request.method().clone(),
        path: request.extensions().get().cloned(),
        passage: Arc::clone(&passage),
        read: None,
        app,
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(passage);
    let (body, read) = Read::of(&parts, body);
    under_way.read = read;
    let response = next.run(Request::from_parts(parts, body)).await;
    let is_known = under_way.passage.seen().who.is_some();
    let (response, answered, digest) = body::answered(response, is_known).await;
    under_way.end(response.status().as_u16(), answered, digest);
    response
}

#[cfg(test)]
mod tests {
    use access::Caller;
    use access::{PlatformRoles, SignedIn, Via};
    use store::TenantId;
    use uuid::Uuid;

    use super::*;

    fn audit(folder: &std::path::Path) -> Audit {
        let (audit, left) =
            Audit::open(RequestAudit::All, folder.to_owned(), Zeroizing::new([7; 32])).unwrap();
        assert!(left.is_empty());
        Audit { wait: Duration::ZERO, ..audit }
    }

    fn line() -> Line {
        let passage = Arc::<Passage>::default();
        let account = SignedIn {
            account: Uuid::new_v4(),
            home: TenantId::random(),
            via: Via::Session(Uuid::new_v4()),
            fresh_until: None,
            suspended: false,
            platform_roles: PlatformRoles::NONE,
        };
        drop(Caller::account(account, "").following(&passage).came());
        Line {
            at: 0,
            request: "req_1".into(),
            route: "GET /api/v1/account".into(),
            passed: passage.seen(),
            changes: false,
            status: 200,
            took: Duration::ZERO,
            sent: 0,
            answered: Some(2),
            sent_digest: None,
            answered_digest: None,
        }
    }

    #[tokio::test]
    async fn a_request_waits_for_room_rather_than_lose_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let audit = audit(folder.path());
        for _ in 0..WAITING {
            audit.add(&line(), audit.room().await.unwrap());
        }
        assert!(audit.room().await.is_none());
        assert_eq!(audit.turned_away.load(Ordering::Relaxed), 1);
        let round = audit.take().unwrap().unwrap();
        assert_eq!(round.batches.lines(), WAITING);
        assert!(audit.room().await.is_none(), "what is not recorded yet keeps its room");
    }

    #[tokio::test]
    async fn what_is_only_counted_fills_the_spool_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit { spool_full: 2_000, ..audit(folder.path()) };
        let nobodys = Line { passed: Arc::<Passage>::default().seen(), ..line() };
        let mut asked = 0;
        while let Some(room) = audit.room().await {
            audit.add(&nobodys, room);
            asked += 1;
            assert!(asked < 1_000, "there is no end of them");
        }
        assert!(asked > 1);
        assert!(audit.take().unwrap().is_some_and(|round| round.batches.lines() == 0));
        assert!(audit.room().await.is_some(), "a new spool has room");
    }

    #[tokio::test]
    async fn what_a_killed_server_wrote_is_read_again_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let killed = audit(folder.path());
        for _ in 0..3 {
            killed.add(&line(), killed.room().await.unwrap());
        }
        let [path] = spool::left_in(folder.path()).unwrap().try_into().unwrap();
        assert!(spool::Left::take(&path).unwrap().is_none(), "it lives");
        drop(killed);
        // Cut off in the middle of a line, as by a kill.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let left = spool::Left::take(&path).unwrap().unwrap();
        let mut lines = 0;
        assert_eq!(left.read(|_| lines += 1).unwrap(), 0);
        assert_eq!(lines, 2);
        left.remove().unwrap();
        assert!(spool::left_in(folder.path()).unwrap().is_empty());
    }
}
