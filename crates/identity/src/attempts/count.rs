// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What tries are counted by, and one such count.

use std::net::IpAddr;

use super::Try;
use super::limits::Limit;

/// What a try is charged to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Account(Try, [u8; 32]),
    AccountFrom(Try, [u8; 32], u64),
    Known(Try, [u8; 16]),
    Through(Try, [u8; 16]),
    Network(Try, u64),
    Wide(Try, u64),
    Everyone(Try),
    Exchange(Try, [u8; 16]),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Key::Account(..) => "Account",
            Key::AccountFrom(..) => "AccountFrom",
            Key::Known(..) => "Known",
            Key::Through(..) => "Through",
            Key::Network(..) => "Network",
            Key::Wide(..) => "Wide",
            Key::Everyone(..) => "Everyone",
            Key::Exchange(..) => "Exchange",
        })
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) charged: u32,
    /// From when on the next forgiving is counted.
    since: i64,
    last: i64,
}

impl Count {
    pub(super) fn left(&self, now: i64, limit: &Limit) -> u32 {
        let forgiven = (now - self.since).max(0) / limit.forgiven_every_ms.max(1);
        self.charged.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    pub(super) fn wait(&self, now: i64, limit: &Limit) -> i64 {
        let over = self.left(now, limit).saturating_sub(limit.free);
        if over == 0 {
            return 0;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << (over - 1).min(40)).min(limit.longest_wait_ms);
        // A clock that was set back must not turn a short wait into a long one.
        (self.last + wait - now).clamp(0, wait)
    }

    fn settle(&mut self, now: i64, limit: &Limit) {
        let left = self.left(now, limit);
        if left == 0 || now < self.since {
            self.since = now;
        } else {
            self.since += i64::from(self.charged - left) * limit.forgiven_every_ms.max(1);
        }
        self.charged = left;
    }

    pub(super) fn add(&mut self, now: i64, limit: &Limit) {
        self.settle(now, limit);
        self.charged = self.charged.saturating_add(1);
        self.last = now;
    }

    pub(super) fn give_back(&mut self, now: i64, limit: &Limit, tries: u32) {
        self.settle(now, limit);
        self.charged = self.charged.saturating_sub(tries);
    }
}

/// The network of an address: all of IPv4, the upper half of IPv6. Whoever has one IPv6 address has 2⁶⁴ of them.
pub(super) fn network(from: IpAddr) -> u64 {
    match from.to_canonical() {
        // No global unicast address starts with 32 zero bits, so the two ranges do not meet.
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

/// The network around: a /24 of IPv4, a /48 of IPv6, which is what one site is given.
pub(super) fn wide(from: IpAddr) -> u64 {
    let bits = if from.to_canonical().is_ipv4() { 8 } else { 16 };
    network(from) >> bits << bits
}

/// The first wait, which doubles from there, in milliseconds.
pub(super) const FIRST_WAIT: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_and_mapped_addresses_as_ipv4() {
        assert_eq!(
            network("2001:db8:1:2::1".parse().unwrap()),
            network("2001:db8:1:2:ffff::9".parse().unwrap())
        );
        assert_ne!(network("2001:db8:1:2::1".parse().unwrap()), network("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1".parse().unwrap()));
    }
}
