// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many connections there are, and what is under way on each.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use identity::Network;
use tokio::time::Instant;

use super::turns::Turn;
use super::{Address, Turns};

/// How long a connection on which nothing is under way is kept: longer than clients keep theirs (90 s is common), so that they are
/// who ends it.
const IDLE: Duration = Duration::from_secs(120);

/// How long an answer may wait to be taken, and how many bytes get a second more.
const UNTAKEN: Duration = Duration::from_secs(60);
const A_SECOND_MORE: usize = 16 * 1024;

/// Places for connections: of one address a quarter, of the network around it half, as for requests. Proxies have as many as there
/// are, since others speak through theirs.
pub(crate) struct Connections {
    places: Turns,
    proxies: Vec<Network>,
    idle: Duration,
}

/// A connection that has its place, and what is under way on it.
pub(crate) struct Connection {
    _place: Turn,
    idle: Duration,
    /// Others speak by it, too: one who takes nothing ends it for nobody.
    is_proxy: bool,
    state: Mutex<State>,
}

struct State {
    requests: usize,
    idle_since: Instant,
    /// Until when answers are to be taken.
    untaken: Vec<(u64, Instant)>,
    answers: u64,
}

impl Connections {
    pub(crate) fn new(at_once: usize, proxies: Vec<Network>) -> Self {
        Connections { places: Turns::new(at_once), proxies, idle: IDLE }
    }

    /// A place for a connection from there, if there is one.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Arc<Connection>> {
        let peer = Address::from(peer);
        let is_proxy = self.proxies.iter().any(|proxy| proxy.contains(peer.ip()));
        let place = if is_proxy { self.places.one_of_all() } else { self.places.at_once(peer, 1) };
        Some(Arc::new(Connection::new(place?, self.idle, is_proxy)))
    }
}

#[cfg(test)]
impl Connection {
    /// One that has nobody beside it, and ends when nothing is under way for so long.
    pub(super) fn alone(idle: Duration) -> Arc<Self> {
        let connections = Connections { idle, ..Connections::new(8, Vec::new()) };
        connections.admit(IpAddr::from([203, 0, 113, 7])).unwrap()
    }
}

impl Connection {
    fn new(place: Turn, idle: Duration, is_proxy: bool) -> Self {
        let state = State { requests: 0, idle_since: Instant::now(), untaken: Vec::new(), answers: 0 };
        Connection { _place: place, idle, is_proxy, state: Mutex::new(state) }
    }

    /// A request that begins.
    pub(super) fn request(self: Arc<Self>) -> UnderWay {
        self.state().requests += 1;
        UnderWay(self)
    }

    /// Whether it should end: nothing was asked for long, or an answer was not taken.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let state = self.state();
        let is_idle = state.requests == 0 && now >= state.idle_since + self.idle;
        is_idle || (!self.is_proxy && state.untaken.iter().any(|(_, until)| now >= *until))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request until its answer is taken.
pub(super) struct UnderWay(Arc<Connection>);

impl UnderWay {
    /// An answer of so many bytes is there.
    pub(super) fn answered(self, bytes: usize) -> Untaken {
        let number = {
            let mut state = self.0.state();
            state.answers += 1;
            let number = state.answers;
            let more = Duration::from_secs((bytes / A_SECOND_MORE) as u64);
            state.untaken.push((number, Instant::now() + UNTAKEN + more));
            number
        };
        Untaken { number, request: self }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        if state.requests == 0 {
            state.idle_since = Instant::now();
        }
    }
}

/// An answer that waits to be taken.
pub(super) struct Untaken {
    number: u64,
    request: UnderWay,
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.request.0.state().untaken.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_once_nothing_is_under_way_for_long() {
        let connection = Connection::alone(IDLE);
        let request = Arc::clone(&connection).request();
        assert!(!connection.is_over(Instant::now() + 2 * IDLE), "a request is under way");
        drop(request);
        assert!(!connection.is_over(Instant::now() + IDLE / 2));
        assert!(connection.is_over(Instant::now() + IDLE));
    }

    #[test]
    fn an_answer_that_nobody_takes_ends_it_and_a_large_one_has_more_time() {
        let connection = Connection::alone(IDLE);
        let small = Arc::clone(&connection).request().answered(100);
        let large = Arc::clone(&connection).request().answered(10 * A_SECOND_MORE);
        let later = Instant::now() + UNTAKEN;
        assert!(connection.is_over(later));
        drop(small);
        assert!(!connection.is_over(later));
        assert!(connection.is_over(later + Duration::from_secs(10)));
        drop(large);
        assert!(!connection.is_over(later + Duration::from_secs(10)));
    }

    #[test]
    fn who_takes_nothing_ends_no_proxys_connection() {
        let connections = Connections::new(8, vec!["10.0.0.1".parse().unwrap()]);
        let connection = connections.admit(address("10.0.0.1")).unwrap();
        let untaken = Arc::clone(&connection).request().answered(100);
        assert!(!connection.is_over(Instant::now() + 2 * UNTAKEN));
        drop(untaken);
        assert!(connection.is_over(Instant::now() + IDLE));
    }

    #[test]
    fn one_address_leaves_others_their_connections_and_a_proxy_has_all() {
        let connections = Connections::new(8, vec!["10.0.0.1".parse().unwrap()]);
        let admit = |peer: &str| connections.admit(address(peer));
        let held = [admit("203.0.113.7"), admit("::ffff:203.0.113.7")];
        assert!(held.iter().all(Option::is_some));
        assert!(admit("203.0.113.7").is_none());
        let proxied: Vec<_> = (0..6).map_while(|_| admit("10.0.0.1")).collect();
        assert_eq!(proxied.len(), 6);
        assert!(admit("198.51.100.1").is_none(), "there are no more");
        drop(held);
        assert!(admit("198.51.100.1").is_some());
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
