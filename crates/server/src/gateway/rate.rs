// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How often one address may ask.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Address;

/// Addresses that are remembered before those that have not been heard of lately are forgotten.
const REMEMBERED: usize = 100_000;

/// A generic cell rate limit for each address (IPv4) or /64 network (IPv6).
pub(crate) struct RateLimits {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>,
    clock: DefaultClock,
}

impl RateLimits {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let at_least_one = |value| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        RateLimits { limiter: RateLimiter::dashmap(quota), clock: DefaultClock::default() }
    }

    /// Counts a request; says how long to wait when it is one too many.
    pub(crate) fn check(&self, address: &Address) -> Result<(), Duration> {
        if self.limiter.len() > REMEMBERED {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&address.network()).map_err(|over| over.wait_time_from(self.clock.now()))
    }
}
