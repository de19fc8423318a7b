// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many downloads are under way: a request's turn ends when its answer begins, and a file then goes on for as long as the
//! client takes, with a few MiB of it in memory.

use std::sync::Arc;
use std::time::Duration;

use protocol::{Code, Problem};
use store::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::gateway::TurnsOf;

/// Downloads of one home: several devices that each fetch several files.
const OF_ONE_HOME: usize = 32;

/// How long a download waits for another one to end before it is refused.
const WAIT: Duration = Duration::from_secs(5);

/// What is under way.
pub(crate) struct Downloads {
    all: Arc<Semaphore>,
    homes: TurnsOf<TenantId>,
    wait: Duration,
}

/// A download's place; free again when it is dropped.
pub(crate) struct Place {
    _of_home: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Downloads {
    pub(crate) fn new(at_once: usize) -> Self {
        Downloads {
            all: Arc::new(Semaphore::new(at_once.max(1))),
            homes: TurnsOf::new(OF_ONE_HOME.min(at_once.max(1))),
            wait: WAIT,
        }
    }

    /// Waits for a place for a download by this home.
    pub(crate) async fn place(&self, home: TenantId) -> Result<Place, ApiError> {
        let deadline = tokio::time::Instant::now() + self.wait;
        // Its own first: a home with many keeps nothing from the others while it waits.
        let _of_home = taken(self.homes.of(home), deadline)
            .await
            .ok_or_else(|| ApiError::retry_after(RETRY_AFTER_SECONDS))?;
        let _of_all = taken(Arc::clone(&self.all), deadline).await.ok_or_else(|| {
            let retry_after = Some(RETRY_AFTER_SECONDS);
            ApiError::from(Problem { retry_after, ..Problem::new(Code::Unavailable) })
        })?;
        Ok(Place { _of_home, _of_all })
    }
}

async fn taken(places: Arc<Semaphore>, deadline: tokio::time::Instant) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout_at(deadline, places.acquire_owned()).await.ok()?.ok()
}

const RETRY_AFTER_SECONDS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_home_leaves_the_others_their_places_and_all_together_are_bounded() {
        let downloads = Downloads { wait: Duration::ZERO, ..Downloads::new(OF_ONE_HOME + 2) };
        let (greedy, other) = (TenantId::random(), TenantId::random());
        let mut held = Vec::new();
        for _ in 0..OF_ONE_HOME {
            held.push(downloads.place(greedy).await.ok().unwrap());
        }
        let code = |refused: Result<Place, ApiError>| refused.err().map(|error| error.code());
        assert_eq!(code(downloads.place(greedy).await), Some(Code::TooManyRequests));
        let others = [downloads.place(other).await.ok().unwrap(), downloads.place(other).await.ok().unwrap()];
        assert_eq!(code(downloads.place(other).await), Some(Code::Unavailable));
        drop(others);
        assert!(downloads.place(other).await.is_ok());
        held.pop();
        assert!(downloads.place(greedy).await.is_ok());
    }
}
