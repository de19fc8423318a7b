// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many downloads are under way: a request's turn ends when its answer begins, and a file then goes on for as long as the
//! client takes, with a few MiB of it in memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Code, Problem};
use store::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::gateway::{Address, TurnsOf};

/// Downloads of one home: several devices that each fetch several files.
const OF_ONE_HOME: usize = 32;

/// How long a download waits for another one to end before it is refused.
const WAIT: Duration = Duration::from_secs(5);

/// What is under way. One address, whose accounts may be many, gets a quarter of all places, the network around it half, as for
/// requests.
pub(crate) struct Downloads {
    all: Arc<Semaphore>,
    homes: TurnsOf<TenantId>,
    addresses: TurnsOf<IpAddr>,
    networks: TurnsOf<IpAddr>,
    wait: Duration,
}

/// A download's place; free again when it is dropped.
pub(crate) struct Place {
    _own: [OwnedSemaphorePermit; 3],
    _of_all: OwnedSemaphorePermit,
}

impl Downloads {
    pub(crate) fn new(at_once: usize) -> Self {
        let at_once = at_once.max(1);
        Downloads {
            all: Arc::new(Semaphore::new(at_once)),
            homes: TurnsOf::new(OF_ONE_HOME.min(at_once)),
            addresses: TurnsOf::new(at_once.div_ceil(4)),
            networks: TurnsOf::new(at_once.div_ceil(2)),
            wait: WAIT,
        }
    }

    /// Waits for a place for a download by this home, asked for from there.
    pub(crate) async fn place(&self, address: Address, home: TenantId) -> Result<Place, ApiError> {
        let deadline = tokio::time::Instant::now() + self.wait;
        let own = async {
            Some([
                taken(self.homes.of(home), deadline).await?,
                taken(self.addresses.of(address.network()), deadline).await?,
                taken(self.networks.of(address.wide()), deadline).await?,
            ])
        };
        // Its own first: who has many keeps nothing from the others while it waits.
        let _own = own.await.ok_or_else(|| ApiError::retry_after(RETRY_AFTER_SECONDS))?;
        let _of_all = taken(Arc::clone(&self.all), deadline).await.ok_or_else(|| {
            let retry_after = Some(RETRY_AFTER_SECONDS);
            ApiError::from(Problem { retry_after, ..Problem::new(Code::Unavailable) })
        })?;
        Ok(Place { _own, _of_all })
    }
}

async fn taken(places: Arc<Semaphore>, deadline: tokio::time::Instant) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout_at(deadline, places.acquire_owned()).await.ok()?.ok()
}

const RETRY_AFTER_SECONDS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// So many that whoever finds no place hears of it soon: a moment later, since tokio may put off what is there already.
    fn downloads(at_once: usize) -> Downloads {
        Downloads { wait: Duration::from_millis(1), ..Downloads::new(at_once) }
    }

    fn code(refused: Result<Place, ApiError>) -> Option<Code> {
        refused.err().map(|error| error.code())
    }

    #[tokio::test]
    async fn one_home_leaves_the_others_their_places_and_all_together_are_bounded() {
        let downloads = downloads(OF_ONE_HOME + 2);
        let (greedy, other) = (TenantId::random(), TenantId::random());
        // Each from elsewhere.
        let mut hosts = (0..=u8::MAX).map(|n| Address::at(&format!("10.{n}.0.1")));
        let mut place = |home| downloads.place(hosts.next().unwrap(), home);
        let mut held = Vec::new();
        for _ in 0..OF_ONE_HOME {
            held.push(place(greedy).await.ok().unwrap());
        }
        assert_eq!(code(place(greedy).await), Some(Code::TooManyRequests));
        let others = [place(other).await.ok().unwrap(), place(other).await.ok().unwrap()];
        assert_eq!(code(place(other).await), Some(Code::Unavailable));
        drop(others);
        assert!(place(other).await.is_ok());
        held.pop();
        assert!(place(greedy).await.is_ok());
    }

    #[tokio::test]
    async fn many_homes_at_one_address_leave_the_others_their_places() {
        let downloads = downloads(64);
        let here = Address::at("203.0.113.7");
        let mut held = Vec::new();
        for _ in 0..8 {
            let home = TenantId::random();
            for _ in 0..8 {
                held.extend(downloads.place(here, home).await);
            }
        }
        assert_eq!(held.len(), 16);
        assert_eq!(code(downloads.place(here, TenantId::random()).await), Some(Code::TooManyRequests));
        for n in 8..40 {
            held.extend(downloads.place(Address::at(&format!("203.0.113.{n}")), TenantId::random()).await);
        }
        assert_eq!(held.len(), 32, "the network around it has half");
        let home = TenantId::random();
        assert!(downloads.place(Address::at("198.51.100.1"), home).await.is_ok());
        held.clear();
        assert!(downloads.place(here, home).await.is_ok());
    }
}
