// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How often something may be asked for: by one address, with one token, of one route, in one tenant.
//!
//! Each is a generic cell rate limit. It is counted in this process, and, when there is a Redis, for all servers together
//! ([`shared`](super::shared)): whichever is stricter decides. Without an answer from Redis this process's own count does.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest as _, Sha256};
use store::TenantId;

use super::Address;
use super::shared::{Asked, SharedLimits};
use crate::config::{Config, RouteLimit};
use crate::metrics::Metrics;

/// Who is remembered before those that have not been heard of lately are forgotten.
const REMEMBERED: usize = 100_000;

/// How often they are looked through for that, at most: a flood of addresses must not make each request look.
const LOOKED_THROUGH_EVERY: Duration = Duration::from_secs(1);

/// What a wide network may ask for, in shares of one address.
const WIDE: u32 = 8;

/// The limits of this server.
pub(crate) struct RateLimits {
    /// For each address (IPv4) or /64 network (IPv6).
    address: Limit<IpAddr>,
    /// For the /24 or /48 around it.
    network: Limit<IpAddr>,
    token: Option<Limit<[u8; 16]>>,
    tenant: Option<Limit<TenantId>>,
    /// By method and pattern of the path: of one address.
    routes: HashMap<String, Limit<IpAddr>>,
    shared: Option<SharedLimits>,
}

/// What a request is counted by.
pub(crate) struct Counted<'a> {
    pub(crate) address: &'a Address,
    /// Method and pattern of the path.
    pub(crate) route: &'a str,
    /// What it shows of who it is by, as it stands in the header.
    pub(crate) token: Option<&'a [u8]>,
}

/// One request too many.
#[derive(Debug)]
pub(crate) struct Limited {
    pub(crate) wait: Duration,
    pub(crate) shares: Shares,
}

impl RateLimits {
    pub(crate) fn new(config: &Config, shared: Option<SharedLimits>) -> Self {
        let (per_second, burst) = (config.requests_per_second, config.request_burst);
        let own = |name, per_second, burst| (per_second > 0).then_some((name, Rate { per_second, burst }));
        let token = own("token", config.token_requests_per_second, config.token_request_burst);
        let tenant = own("tenant", config.tenant_requests_per_second, config.tenant_request_burst);
        let route = |limit: &RouteLimit| {
            let rate = Rate { per_second: limit.per_second, burst: limit.burst };
            (limit.route.clone(), Limit::new("route", rate))
        };
        RateLimits {
            address: Limit::new("address", Rate { per_second, burst }),
            network: Limit::new("network", Rate { per_second, burst }.times(WIDE)),
            token: token.map(|(name, rate)| Limit::new(name, rate)),
            tenant: tenant.map(|(name, rate)| Limit::new(name, rate)),
            routes: config.route_limits.iter().map(route).collect(),
            shared,
        }
    }

    /// Whether tokens are counted by themselves.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.token.is_some()
    }

    pub(crate) fn shared_limits(&self) -> Option<&SharedLimits> {
        self.shared.as_ref()
    }

    /// Counts a request; says what is left, or how long to wait when it is one too many.
    pub(crate) async fn check(&self, request: &Counted<'_>, metrics: &Metrics) -> Result<Shares, Limited> {
        let (address, network) = (request.address.network(), request.address.wide());
        let mut asked = Vec::new();
        let mut shares = Shares::default();
        // The narrowest first: who is refused by it takes nothing from the wider ones.
        if let Some(limit) = self.routes.get(request.route) {
            let name = [request.route.as_bytes(), b"\0", address.to_string().as_bytes()].concat();
            limit.count(&address, &name, &mut shares, &mut asked)?;
        }
        if let (Some(limit), Some(token)) = (&self.token, request.token) {
            let digest = Sha256::digest(token);
            let mut key = [0; 16];
            key.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
            limit.count(&key, &key, &mut shares, &mut asked)?;
        }
        limit_by(&self.address, address, &mut shares, &mut asked)?;
        let told = shares.0.len();
        limit_by(&self.network, network, &mut shares, &mut asked)?;
        // How busy one's neighbours are is nobody's business.
        shares.0.truncate(told);
        self.shared(asked, shares, metrics).await
    }

    /// Counts a request in a customer's tenant that knows who makes it: strangers use up nothing of a tenant's.
    pub(crate) async fn check_tenant(&self, tenant: TenantId, metrics: &Metrics) -> Result<(), Limited> {
        let Some(limit) = &self.tenant else { return Ok(()) };
        let (mut asked, mut shares) = (Vec::new(), Shares::default());
        limit.count(&tenant, tenant.as_bytes(), &mut shares, &mut asked)?;
        self.shared(asked, shares, metrics).await.map(drop)
    }

    /// Counts for all servers together what this one would let pass.
    async fn shared(
        &self,
        asked: Vec<Asked>,
        mut shares: Shares,
        metrics: &Metrics,
    ) -> Result<Shares, Limited> {
        let Some(shared) = &self.shared else { return Ok(shares) };
        let Some(answers) = shared.check(&asked, metrics).await else { return Ok(shares) };
        let mut wait = None;
        for (asked, answer) in asked.iter().zip(answers) {
            let share = shares.0.iter_mut().find(|share| share.name == asked.name);
            match answer {
                Ok(left) => share.into_iter().for_each(|share| share.left = share.left.min(left)),
                Err(longer) => {
                    share.into_iter().for_each(|share| share.left = 0);
                    wait = wait.max(Some(longer));
                }
            }
        }
        match wait {
            Some(wait) => Err(Limited { wait, shares }),
            None => Ok(shares),
        }
    }
}

fn limit_by(
    limit: &Limit<IpAddr>,
    address: IpAddr,
    shares: &mut Shares,
    asked: &mut Vec<Asked>,
) -> Result<(), Limited> {
    match address {
        IpAddr::V4(v4) => limit.count(&address, &v4.octets(), shares, asked),
        IpAddr::V6(v6) => limit.count(&address, &v6.octets(), shares, asked),
    }
}

/// How often, on average and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

impl Rate {
    fn times(self, times: u32) -> Self {
        Rate { per_second: self.per_second.saturating_mul(times), burst: self.burst.saturating_mul(times) }
    }

    /// The time in which one more is allowed.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// One kind of limit, counted in this process.
struct Limit<K: Hash + Eq + Clone> {
    name: &'static str,
    rate: Rate,
    counted: Limiter<K>,
    clock: DefaultClock,
    /// When `counted` was looked through, in milliseconds since `begun`.
    looked_through: AtomicU64,
    begun: Instant,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(name: &'static str, rate: Rate) -> Self {
        let some = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(some(rate.per_second)).allow_burst(some(rate.burst));
        Limit {
            name,
            rate,
            counted: RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>(),
            clock: DefaultClock::default(),
            looked_through: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// Counts here, and notes what is to be counted for all.
    fn count(
        &self,
        key: &K,
        shared_key: &[u8],
        shares: &mut Shares,
        asked: &mut Vec<Asked>,
    ) -> Result<(), Limited> {
        self.forget();
        let share = |left| Share { name: self.name, left, rate: self.rate };
        match self.counted.check_key(key) {
            Ok(counted) => {
                shares.0.push(share(counted.remaining_burst_capacity()));
                asked.push(Asked { name: self.name, key: shared_key.to_vec(), rate: self.rate });
                Ok(())
            }
            Err(over) => {
                let mut shares = std::mem::take(shares);
                shares.0.push(share(0));
                Err(Limited { wait: over.wait_time_from(self.clock.now()), shares })
            }
        }
    }

    fn forget(&self) {
        if self.counted.len() <= REMEMBERED {
            return;
        }
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = self.looked_through.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(before) >= LOOKED_THROUGH_EVERY.as_millis() as u64;
        let swap =
            |before| self.looked_through.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
        if is_due && swap(before).is_ok() {
            self.counted.retain_recent();
        }
    }
}

/// What is left of each limit that a request counts by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares(Vec<Share>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    name: &'static str,
    left: u32,
    rate: Rate,
}

impl Shares {
    /// Says it in the answer (draft-ietf-httpapi-ratelimit-headers): requests, and seconds until there are all again.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let each = |say: fn(&Share) -> String| {
            self.0
                .iter()
                .map(|share| format!("\"{}\";{}", share.name, say(share)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let policy = each(|share| {
            let window = share.rate.burst.div_ceil(share.rate.per_second.max(1)).max(1);
            format!("q={};w={window}", share.rate.burst)
        });
        let left = each(|share| {
            let until = share.rate.burst.saturating_sub(share.left).div_ceil(share.rate.per_second.max(1));
            format!("r={};t={until}", share.left)
        });
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

    fn limits(per_second: u32, burst: u32) -> RateLimits {
        let config = Config { requests_per_second: per_second, request_burst: burst, ..Config::default() };
        RateLimits::new(&config, None)
    }

    async fn check(rates: &RateLimits, address: &str, token: Option<&str>) -> Result<Shares, Limited> {
        let address = Address::at(address);
        let request = Counted { address: &address, route: "GET /a", token: token.map(str::as_bytes) };
        rates.check(&request, &Metrics::new()).await
    }

    #[tokio::test]
    async fn who_asks_is_told_what_is_left_and_then_to_wait() {
        let rates = limits(1, 3);
        for left in [2, 1, 0] {
            let shares = check(&rates, "203.0.113.7", None).await.unwrap();
            assert_eq!(shares.0.iter().map(|share| share.left).collect::<Vec<_>>(), [left]);
        }
        let limited = check(&rates, "203.0.113.7", None).await.unwrap_err();
        assert!(limited.wait <= Duration::from_secs(1));
        let mut headers = HeaderMap::new();
        limited.shares.tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"address\";q=3;w=3");
        assert_eq!(headers["ratelimit"], "\"address\";r=0;t=3");
    }

    #[tokio::test]
    async fn one_wide_network_comes_to_an_end_and_others_do_not() {
        for (network, other) in [("203.0.113.", "198.51.100.1"), ("2001:db8:1:", "2001:db8:2::1")] {
            let rates = limits(1, 2);
            let host = |n| {
                if network.contains(':') { format!("{network}{n:x}::1") } else { format!("{network}{n}") }
            };
            let mut asked = 0;
            for n in 0..100 {
                asked += u32::from(check(&rates, &host(n), None).await.is_ok());
            }
            assert_eq!(asked, 2 * WIDE);
            assert!(check(&rates, other, None).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_token_is_counted_wherever_it_comes_from_and_a_route_by_itself() {
        let config = Config {
            token_requests_per_second: 1,
            token_request_burst: 2,
            route_limits: vec!["GET /b 1/1".parse().unwrap()],
            ..Config::default()
        };
        let rates = RateLimits::new(&config, None);
        for (address, is_ok) in [("203.0.113.7", true), ("198.51.100.1", true), ("192.0.2.1", false)] {
            assert_eq!(check(&rates, address, Some("Bearer a")).await.is_ok(), is_ok);
        }
        assert!(check(&rates, "192.0.2.1", Some("Bearer b")).await.is_ok());
        let address = Address::at("192.0.2.1");
        let mut left = Vec::new();
        for _ in 0..2 {
            let request = Counted { address: &address, route: "GET /b", token: None };
            left.push(rates.check(&request, &Metrics::new()).await.map(|shares| shares.0.len()).ok());
        }
        assert_eq!(left, [Some(2), None]);
        assert!(check(&rates, "192.0.2.1", None).await.is_ok(), "other routes go on");
    }

    #[tokio::test]
    async fn a_tenant_has_a_share_of_its_own() {
        let config = Config { tenant_requests_per_second: 1, tenant_request_burst: 1, ..Config::default() };
        let rates = RateLimits::new(&config, None);
        let (acme, other) = (TenantId::customer(), TenantId::customer());
        let metrics = Metrics::new();
        assert!(rates.check_tenant(acme, &metrics).await.is_ok());
        assert!(rates.check_tenant(acme, &metrics).await.is_err());
        assert!(rates.check_tenant(other, &metrics).await.is_ok());
    }
}
