// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Turns: how many requests are served at the same time, altogether and of one address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Address;

/// How long a request waits for its turn when the server, or its address, is at its bound.
const WAIT: Duration = Duration::from_secs(5);

/// So many are remembered before those that have no turn are forgotten.
const REMEMBERED: usize = 4_096;

/// Who sends a body byte by byte keeps a turn for long. So one address (IPv4) or /64 network (IPv6) gets a quarter of
/// them, the network around it (a /24 or a /48) half, and the others are left theirs.
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    addresses: TurnsOf<IpAddr>,
    networks: TurnsOf<IpAddr>,
    /// So many of an address wait for a turn, with what has arrived of their bodies.
    waiting: TurnsOf<IpAddr>,
    wait: Duration,
}

/// A turn; over when it is dropped.
pub(crate) struct Turn {
    _own: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Turns {
            all: Arc::new(Semaphore::new(at_once)),
            addresses: TurnsOf::new(at_once.div_ceil(4).max(1)),
            networks: TurnsOf::new(at_once.div_ceil(2).max(1)),
            waiting: TurnsOf::new(at_once.div_ceil(4).max(1)),
            wait: WAIT,
        }
    }

    /// Waits for a turn; `None` when that takes too long, or too many of this address wait.
    pub(crate) async fn take(&self, address: Address) -> Option<Turn> {
        if let Some(turn) = self.at_once(address, 1) {
            return Some(turn);
        }
        let _waiting = self.waiting.of(address.network()).try_acquire_owned().ok()?;
        let of_one = self.addresses.of(address.network());
        let of_wide = self.networks.of(address.wide());
        let both = async {
            // Its own first: whoever waits for that keeps nothing from others.
            let own = (of_one.acquire_owned().await.ok()?, of_wide.acquire_owned().await.ok()?);
            Some(Turn { _own: Some(own), _of_all: Arc::clone(&self.all).acquire_owned().await.ok()? })
        };
        tokio::time::timeout(self.wait, both).await.ok().flatten()
    }

    /// So many turns as one, if they are free now.
    pub(crate) fn at_once(&self, address: Address, count: u32) -> Option<Turn> {
        let of_one = self.addresses.of(address.network()).try_acquire_many_owned(count).ok()?;
        let of_wide = self.networks.of(address.wide()).try_acquire_many_owned(count).ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(count).ok()?;
        Some(Turn { _own: Some((of_one, of_wide)), _of_all: of_all })
    }

    /// One that counts for no address.
    pub(crate) fn one_of_all(&self) -> Option<Turn> {
        Some(Turn { _own: None, _of_all: Arc::clone(&self.all).try_acquire_owned().ok()? })
    }
}

/// Turns of each of many, whoever they are.
pub(crate) struct TurnsOf<K> {
    of_one: usize,
    known: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> TurnsOf<K> {
    pub(crate) fn new(of_one: usize) -> Self {
        TurnsOf { of_one, known: Mutex::default() }
    }

    pub(crate) fn of(&self, whose: K) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            // Who has a turn, or waits for one, holds it too.
            known.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        Arc::clone(known.entry(whose).or_insert_with(|| Arc::new(Semaphore::new(self.of_one))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_leaves_the_others_their_turns() {
        let turns = Turns { wait: Duration::ZERO, ..Turns::new(8) };
        let (greedy, other) = (Address::at("203.0.113.7"), Address::at("198.51.100.1"));
        let held = (turns.take(greedy).await, turns.take(greedy).await);
        assert!(held.0.is_some() && held.1.is_some());
        assert!(turns.take(greedy).await.is_none());
        assert!(turns.take(other).await.is_some());
        drop(held);
        assert!(turns.take(greedy).await.is_some());
    }

    #[tokio::test]
    async fn so_many_of_an_address_wait_and_no_more() {
        let turns = Turns { wait: Duration::from_millis(50), ..Turns::new(8) };
        let greedy = Address::at("203.0.113.7");
        let held = (turns.take(greedy).await, turns.take(greedy).await);
        let waiting = || turns.take(greedy);
        let begun = std::time::Instant::now();
        let answers = tokio::join!(biased; waiting(), waiting(), async {
            assert!(turns.take(greedy).await.is_none());
            begun.elapsed()
        });
        assert!(answers.0.is_none() && answers.1.is_none());
        assert!(answers.2 < turns.wait, "the third is told at once");
        drop(held);
        assert!(turns.take(greedy).await.is_some());
    }

    #[tokio::test]
    async fn one_wide_network_leaves_the_others_their_turns() {
        for (network, other) in [("203.0.113.", "198.51.100.1"), ("2001:db8:1:", "2001:db8:2::1")] {
            let turns = Turns { wait: Duration::ZERO, ..Turns::new(8) };
            let mut held = Vec::new();
            for n in 0..20 {
                let host = if network.contains(':') {
                    format!("{network}{n:x}::1")
                } else {
                    format!("{network}{n}")
                };
                held.extend(turns.take(Address::at(&host)).await);
            }
            assert_eq!(held.len(), 4);
            assert!(turns.take(Address::at(other)).await.is_some());
        }
    }

    #[tokio::test]
    async fn addresses_that_are_gone_are_forgotten() {
        let turns = Turns::new(8);
        for n in 0..=REMEMBERED {
            let address = Address::at(&format!("10.{}.{}.1", n / 256, n % 256));
            drop(turns.take(address).await);
        }
        assert!(turns.addresses.known.lock().unwrap().len() <= 2);
    }
}
