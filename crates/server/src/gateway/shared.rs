// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits that several servers count together, in Redis.
//!
//! One script for all that a request counts by: it looks at each, and counts at all or at none. Its clock is Redis's own, so servers'
//! clocks do not matter. Redis sees no address and no token: keys are hashes under a secret of the installation.
//!
//! An answer is waited for briefly. Whatever goes wrong, the connection is given up, and until there is a new one every server
//! counts for itself; the log and a metric say so. A request never fails because Redis does.

use std::error::Error as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script, TlsCertificates};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use super::rate::Rate;
use crate::config::{Config, ConfigError};
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::state::App;

/// How long an answer is waited for.
const ANSWERS_WITHIN: Duration = Duration::from_millis(100);

/// How long a connection is.
const CONNECTS_WITHIN: Duration = Duration::from_secs(2);

/// Pause before Redis is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How often it is said that Redis is still not there.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What a request is counted by, for all servers.
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) rate: Rate,
}

/// The servers' common count.
pub(crate) struct SharedLimits {
    client: Client,
    /// Where it is: host and port.
    at: String,
    script: Script,
    /// What hides addresses and tokens from Redis.
    seed: Zeroizing<[u8; 32]>,
    connection: RwLock<Option<MultiplexedConnection>>,
    /// That there is no connection any more.
    lost: Arc<Notify>,
}

impl SharedLimits {
    /// For the Redis that the configuration names, if it does. Connects later.
    ///
    /// # Errors
    /// When the URL or the certificates cannot be read.
    pub(crate) fn of(config: &Config, seed: Zeroizing<[u8; 32]>) -> Result<Option<Self>, ConfigError> {
        if config.redis_url.is_empty() {
            return Ok(None);
        }
        let refused = |setting: &'static str, why: String| ConfigError::Refused { setting, why };
        let cannot = |error: RedisError| refused("redis_url", reason(&error));
        let client = if config.redis_url.starts_with("rediss://") {
            let path = &config.redis_ca_file;
            let root_cert = match path.as_os_str().is_empty() {
                true => None,
                false => Some(std::fs::read(path).map_err(|error| {
                    refused("redis_ca_file", format!("{} cannot be read: {error}", path.display()))
                })?),
            };
            let certificates = TlsCertificates { client_tls: None, root_cert };
            Client::build_with_tls(config.redis_url.as_str(), certificates).map_err(cannot)?
        } else {
            Client::open(config.redis_url.as_str()).map_err(cannot)?
        };
        Ok(Some(SharedLimits {
            at: client.get_connection_info().addr().to_string(),
            client,
            script: Script::new(GCRA),
            seed,
            connection: RwLock::new(None),
            lost: Arc::default(),
        }))
    }

    /// Counts a request at each, or at none: what is left, or how long to wait. `None` when Redis does not answer.
    pub(super) async fn check(
        &self,
        asked: &[Asked],
        metrics: &Metrics,
    ) -> Option<Vec<Result<u32, Duration>>> {
        let mut connection = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let mut call = self.script.prepare_invoke();
        for asked in asked {
            let interval = asked.rate.interval();
            call.key(self.key(asked));
            call.arg(micros(interval)).arg(micros(interval * asked.rate.burst.max(1)));
        }
        let answer =
            tokio::time::timeout(ANSWERS_WITHIN, call.invoke_async::<Vec<i64>>(&mut connection)).await;
        let why = match answer {
            Ok(Ok(answers)) if answers.len() == asked.len() => {
                return Some(answers.into_iter().map(said).collect());
            }
            Ok(Ok(_)) => "an answer of another form".to_owned(),
            Ok(Err(error)) => reason(&error),
            Err(_) => format!("no answer within {ANSWERS_WITHIN:?}"),
        };
        self.give_up(&why, metrics);
        None
    }

    fn give_up(&self, why: &str, metrics: &Metrics) {
        let had_one = self.connection.write().unwrap_or_else(PoisonError::into_inner).take().is_some();
        if had_one {
            metrics.limits_are_shared(false);
            let at = &self.at;
            tracing::error!(why, at, "Redis does not answer: each server counts its limits for itself");
            self.lost.notify_one();
        }
    }

    /// Which limit this is, as Redis knows it. The braces keep all keys in one slot of a cluster.
    fn key(&self, asked: &Asked) -> String {
        let hash = Sha256::new()
            .chain_update(b"bailiwick/v1/limits\0")
            .chain_update(self.seed.as_slice())
            .chain_update(asked.name)
            .chain_update(b"\0")
            .chain_update(&asked.key)
            .finalize();
        let hash = hash.get(..16).unwrap_or_default();
        format!("{{bailiwick}}:limit:{}", BASE64URL_NOPAD.encode(hash))
    }
}

/// Keeps a connection until the server stops.
pub(crate) async fn keep(app: App, mut stop: watch::Receiver<bool>) {
    let Some(shared) = app.rates.shared_limits() else { return };
    let mut said: Option<Instant> = None;
    loop {
        let is_connected = shared.connection.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if !is_connected {
            match connect(&shared.client).await {
                Ok(connection) => {
                    *shared.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(connection);
                    app.metrics.limits_are_shared(true);
                    tracing::info!("limits are counted in Redis, for all servers together");
                    said = None;
                }
                Err(error) => {
                    if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                        said = Some(Instant::now());
                        let (why, at) = (reason(&error), &shared.at);
                        tracing::error!(
                            why,
                            at,
                            "Redis cannot be reached: each server counts its limits for itself"
                        );
                    }
                }
            }
        }
        let is_connected = shared.connection.read().unwrap_or_else(PoisonError::into_inner).is_some();
        tokio::select! {
            () = shared.lost.notified() => {}
            () = tokio::time::sleep(AGAIN_AFTER), if !is_connected => {}
            _ = stop.changed() => return,
        }
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTS_WITHIN))
        .set_response_timeout(Some(ANSWERS_WITHIN * 5));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// What is said of an error, with what caused it and what to look at: not the URL, in which there may be a password.
fn reason(error: &RedisError) -> String {
    let said = match (error.source(), error.detail()) {
        // What the system or TLS said, where the category is no more than "I/O error".
        (Some(_), _) => chain(error),
        (None, Some(detail)) if !detail.contains("://") => format!("{}: {detail}", error.category()),
        (None, _) => error.category().to_owned(),
    };
    if said.contains("UnknownIssuer") {
        return format!("{said}: name the authority that signed its certificate in redis_ca_file");
    }
    // What rustls says of an answer that is no TLS.
    if said.contains("InvalidContentType") {
        return format!("{said}: there is no TLS at this port, which redis_url begins with rediss:// for");
    }
    said
}

/// At or above zero what is left, below it how long to wait, in microseconds.
fn said(answer: i64) -> Result<u32, Duration> {
    u32::try_from(answer).map_err(|_| Duration::from_micros(answer.unsigned_abs()))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The generic cell rate algorithm (ITU-T I.371) at each key: `TAT` is the time at which the next request would be on time if none
/// were early. For each key there is the time between two requests and by how much a request may be early, in microseconds.
const GCRA: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers, tats, all = {}, {}, true
for i, key in ipairs(KEYS) do
  local interval, tolerance = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local tat = math.max(tonumber(redis.call('GET', key)) or now, now) + interval
  local early = tat - tolerance - now
  if early > 0 then
    all = false
    answers[i] = -early
  else
    answers[i] = math.floor(-early / interval)
  end
  tats[i] = tat
end
if all then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.0f', tats[i]), 'PX', math.ceil((tats[i] - now) / 1000) + 1)
  end
end
return answers
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_redis_cannot_be_reached_is_said_and_what_to_look_at() {
        let of = |kind, text: &'static str| reason(&std::io::Error::new(kind, text).into());
        let refused = of(std::io::ErrorKind::ConnectionRefused, "connection refused");
        assert_eq!(refused, "connection refused");
        let invalid = std::io::ErrorKind::InvalidData;
        assert!(of(invalid, "invalid peer certificate: UnknownIssuer").contains("redis_ca_file"));
        assert!(of(invalid, "received corrupt message of type InvalidContentType").contains("rediss://"));
    }

    #[test]
    fn redis_learns_no_address_and_no_token() {
        let config = Config { redis_url: "redis://127.0.0.1:1".into(), ..Config::default() };
        let shared = |seed| SharedLimits::of(&config, Zeroizing::new([seed; 32])).unwrap().unwrap();
        let asked =
            |name, key: &[u8]| Asked { name, key: key.to_vec(), rate: Rate { per_second: 1, burst: 1 } };
        let key = shared(1).key(&asked("address", &[203, 0, 113, 7]));
        assert_eq!(key, shared(1).key(&asked("address", &[203, 0, 113, 7])));
        for other in [
            shared(2).key(&asked("address", &[203, 0, 113, 7])),
            shared(1).key(&asked("network", &[203, 0, 113, 7])),
            shared(1).key(&asked("address", &[203, 0, 113, 8])),
        ] {
            assert_ne!(key, other);
        }
    }
}
