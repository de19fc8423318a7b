// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Many questions in a row, so that nobody else waits for them.
//!
//! Cedar answers without pausing, and a tenant's own policies may take a millisecond for each of ten thousand organisations. So
//! whoever asks in a loop takes a [`step`](Pace::step) each time: others get their turn, what takes longer than a moment waits in a
//! line that is short, since a transaction is open meanwhile, and what takes too long ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::{StoreError, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long is worked until others get their turn.
const QUANTUM: Duration = Duration::from_millis(1);
/// What takes no longer than this needs no place.
const SHORT: Duration = Duration::from_millis(10);
/// What takes longer than this ends, the time of others not counted.
const LONGEST: Duration = Duration::from_secs(5);
/// How many stand in the line, working or waiting; of one tenant; and how many of them work.
const IN_LINE: usize = 8;
const OF_ONE: usize = 4;
const AT_WORK: usize = 2;

/// The line of what takes long.
pub(crate) struct Line {
    all: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Default for Line {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Line { all: places(IN_LINE), at_work: places(AT_WORK), tenants: Mutex::default() }
    }
}

impl Line {
    /// A place, and then a turn.
    async fn place(&self, tenant: TenantId) -> Option<[OwnedSemaphorePermit; 3]> {
        let own = self.of(tenant).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some([own, all, Arc::clone(&self.at_work).acquire_owned().await.ok()?])
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has a place holds the tenant's places too.
        tenants.retain(|_, places| Arc::strong_count(places) > 1);
        Arc::clone(tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
    }
}

/// One row of questions.
pub(crate) struct Pace<'a> {
    line: &'a Line,
    tenant: TenantId,
    worked: Duration,
    since: Instant,
    place: Option<[OwnedSemaphorePermit; 3]>,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(line: &'a Line, tenant: TenantId) -> Self {
        Pace { line, tenant, worked: Duration::ZERO, since: Instant::now(), place: None }
    }

    /// Before each question.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when too many ask for what takes long, or it took too long.
    pub(crate) async fn step(&mut self) -> Result<(), StoreError> {
        let worked = self.since.elapsed();
        if worked < QUANTUM {
            return Ok(());
        }
        self.worked += worked;
        if self.worked > LONGEST {
            return Err(StoreError::Unavailable("what this tenant's policies say took too long".into()));
        }
        if self.place.is_none() && self.worked >= SHORT {
            let place = self.line.place(self.tenant).await;
            let busy = || StoreError::Unavailable("too many ask what takes long".into());
            self.place = Some(place.ok_or_else(busy)?);
        }
        tokio::task::yield_now().await;
        self.since = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn works<'a>(line: &'a Line, tenant: TenantId, long: Duration) -> Result<Pace<'a>, StoreError> {
        let mut pace = Pace::new(line, tenant);
        pace.since -= long;
        pace.step().await?;
        Ok(pace)
    }

    #[tokio::test]
    async fn who_takes_long_stands_in_line_and_one_tenant_leaves_others_their_places() {
        let line = Line::default();
        let (one, other) = (TenantId::customer(), TenantId::customer());
        for _ in 0..2 * IN_LINE {
            assert!(works(&line, one, SHORT / 2).await.is_ok(), "what is short needs no place");
        }
        let at_work = [line.place(one).await, line.place(one).await];
        let waiting = [line.of(one).try_acquire_owned(), line.of(one).try_acquire_owned()];
        assert!(at_work.iter().all(Option::is_some) && waiting.iter().all(Result::is_ok));
        assert!(works(&line, one, SHORT).await.is_err());
        assert_eq!(line.of(other).available_permits(), OF_ONE);
        assert!(line.all.available_permits() > 0);
        drop((at_work, waiting));
        assert!(works(&line, one, SHORT).await.is_ok());
    }

    #[tokio::test]
    async fn what_takes_too_long_ends() {
        let line = Line::default();
        let mut pace = works(&line, TenantId::customer(), SHORT).await.ok().unwrap();
        pace.since -= LONGEST;
        assert!(matches!(pace.step().await, Err(StoreError::Unavailable(_))));
    }
}
