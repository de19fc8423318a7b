// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How often one address may ask.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Address;

/// Addresses that are remembered before those that have not been heard of lately are forgotten.
const REMEMBERED: usize = 100_000;

/// How often they are looked through for that, at most: a flood of addresses must not make each request look.
const LOOKED_THROUGH_EVERY: Duration = Duration::from_secs(1);

/// What a wide network may ask for, in shares of one address.
const WIDE: u32 = 8;

type Limiter = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>;

/// A generic cell rate limit for each address (IPv4) or /64 network (IPv6), and a wider one for the /24 or /48 around it.
pub(crate) struct RateLimits {
    narrow: Limiter,
    wide: Limiter,
    clock: DefaultClock,
    per_second: u32,
    burst: u32,
    /// When `narrow` and `wide` were looked through, in milliseconds since `begun`.
    looked_through: AtomicU64,
    begun: Instant,
}

/// What is left of an address's share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    left: u32,
    burst: u32,
    per_second: u32,
}

impl RateLimits {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let limiter = |shares: u32| {
            let some = |value: u32| NonZeroU32::new(value.saturating_mul(shares)).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(some(per_second)).allow_burst(some(burst));
            RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>()
        };
        RateLimits {
            narrow: limiter(1),
            wide: limiter(WIDE),
            clock: DefaultClock::default(),
            per_second: per_second.max(1),
            burst: burst.max(1),
            looked_through: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// Counts a request; says what is left, or how long to wait when it is one too many.
    pub(crate) fn check(&self, address: &Address) -> Result<Share, Duration> {
        self.forget();
        let wait = |over: governor::NotUntil<_>| over.wait_time_from(self.clock.now());
        let left = self.narrow.check_key(&address.network()).map_err(wait)?;
        self.wide.check_key(&address.wide()).map_err(wait)?;
        Ok(Share { left: left.remaining_burst_capacity(), burst: self.burst, per_second: self.per_second })
    }

    /// What an address has that may not ask now.
    pub(crate) fn nothing_left(&self) -> Share {
        Share { left: 0, burst: self.burst, per_second: self.per_second }
    }

    fn forget(&self) {
        if self.narrow.len() <= REMEMBERED {
            return;
        }
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = self.looked_through.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(before) >= LOOKED_THROUGH_EVERY.as_millis() as u64;
        let swap =
            |before| self.looked_through.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
        if is_due && swap(before).is_ok() {
            self.narrow.retain_recent();
            self.wide.retain_recent();
        }
    }
}

impl Share {
    /// Says it in the answer (draft-ietf-httpapi-ratelimit-headers): requests, and seconds until there are all again.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let seconds = |requests: u32| requests.div_ceil(self.per_second);
        let policy = format!("\"address\";q={};w={}", self.burst, seconds(self.burst).max(1));
        let left = format!("\"address\";r={};t={}", self.left, seconds(self.burst.saturating_sub(self.left)));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_told_what_is_left_and_then_to_wait() {
        let rates = RateLimits::new(1, 3);
        let left: Vec<_> = (0..3)
            .map(|_| rates.check(&Address::at("203.0.113.7")).map(|share| share.left).unwrap())
            .collect();
        assert_eq!(left, [2, 1, 0]);
        assert!(rates.check(&Address::at("203.0.113.7")).unwrap_err() <= Duration::from_secs(1));
        let mut headers = HeaderMap::new();
        rates.nothing_left().tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"address\";q=3;w=3");
        assert_eq!(headers["ratelimit"], "\"address\";r=0;t=3");
    }

    #[test]
    fn one_wide_network_comes_to_an_end_and_others_do_not() {
        for (network, other) in [("203.0.113.", "198.51.100.1"), ("2001:db8:1:", "2001:db8:2::1")] {
            let rates = RateLimits::new(1, 2);
            let host = |n| {
                if network.contains(':') { format!("{network}{n:x}::1") } else { format!("{network}{n}") }
            };
            let asked = (0..100).filter(|n| rates.check(&Address::at(&host(*n))).is_ok()).count();
            assert_eq!(asked, 2 * WIDE as usize);
            assert!(rates.check(&Address::at(other)).is_ok());
        }
    }
}
