// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Prometheus metrics.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What the server counts.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram>,
    limited: Counter,
    signins: Family<Outcome, Counter>,
    records: Counter,
    checkpoints: Counter,
    mail_failed: Counter,
    logouts_untold: Counter,
    audited: Counter,
    shared_limits: Gauge,
    not_audited: Counter,
    pub(crate) followers: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("bailiwick");
        let requests = Family::<Request, Counter>::default();
        registry.register("requests", "Requests answered", requests.clone());
        let durations = Family::<Route, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
        });
        registry.register("request_seconds", "Time until the response began, in seconds", durations.clone());
        let limited = Counter::default();
        registry.register(
            "requests_limited",
            "Requests refused because more were made than a limit allows",
            limited.clone(),
        );
        let signins = Family::<Outcome, Counter>::default();
        registry.register("sign_ins", "Sign-ins by outcome", signins.clone());
        let records = Counter::default();
        registry.register("log_records", "Records that were given a number", records.clone());
        let checkpoints = Counter::default();
        registry.register("log_checkpoints", "Checkpoints that were signed", checkpoints.clone());
        let mail_failed = Counter::default();
        registry.register("mail_failed", "Letters that could not be sent", mail_failed.clone());
        let logouts_untold = Counter::default();
        let about = "Sign-outs that an application was not told of, after all tries";
        registry.register("logouts_untold", about, logouts_untold.clone());
        let shared_limits = Gauge::default();
        registry.register(
            "limits_shared",
            "Whether limits are counted for all servers together: 1, or 0 without Redis",
            shared_limits.clone(),
        );
        let audited = Counter::default();
        registry.register("requests_recorded", "Requests recorded in histories", audited.clone());
        let not_audited = Counter::default();
        registry.register(
            "requests_without_room",
            "Requests answered 503 because there was no room to record them",
            not_audited.clone(),
        );
        let followers = Gauge::default();
        registry.register("followers", "Clients that follow changes now", followers.clone());
        Metrics {
            registry,
            requests,
            durations,
            limited,
            signins,
            records,
            checkpoints,
            mail_failed,
            logouts_untold,
            audited,
            shared_limits,
            not_audited,
            followers,
        }
    }

    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.durations.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { method: method.to_owned(), route, status }).inc();
    }

    pub(crate) fn limited(&self) {
        self.limited.inc();
    }

    pub(crate) fn signin(&self, outcome: &'static str) {
        self.signins.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn sequenced(&self, progress: store::Progress) {
        self.records.inc_by(progress.numbered);
        self.checkpoints.inc_by(progress.checkpoints);
    }

    pub(crate) fn mail_failed(&self) {
        self.mail_failed.inc();
    }

    pub(crate) fn logout_untold(&self) {
        self.logouts_untold.inc();
    }

    pub(crate) fn limits_are_shared(&self, they_are: bool) {
        self.shared_limits.set(i64::from(they_are));
    }

    pub(crate) fn audited(&self, requests: u64) {
        self.audited.inc_by(requests);
    }

    pub(crate) fn not_audited(&self) {
        self.not_audited.inc();
    }

    /// The OpenMetrics text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
