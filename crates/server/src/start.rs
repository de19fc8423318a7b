// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a configuration to a running server, and back down without losing anything.

mod error;
mod judge;

use std::net::SocketAddr;
use std::sync::Arc;

use access::Access;
use custody::{Custody, KeyError, RootKeys, StateSealer};
use federation::Federation;
use identity::{Attempts, Identity, Mail, Outbox, Smtp};
use objects::{Blobs, Feed, Limits, Objects};
use store::{Door, Entry, LogKey, Migration, Record, Sequencer, Store, StoreError, SystemClock, TenantId};
use tokens::oauth::Provider;
use tokens::{AccessTokens, Lifetime, RotationPolicy, SigningKeys};
use tokio::sync::{Notify, Semaphore, watch};

pub use self::error::StartError;
use self::judge::{check_routes, unknown_variables};
pub(crate) use self::judge::{judge, of_database};
use crate::caller::Roles;
use crate::caller::client::Proofs;
use crate::config::{Config, ConfigError};
use crate::downloads::Downloads;
use crate::gateway::{self, Audit, Connections, RateLimits, SharedLimits, Turns, TurnsOf};
use crate::listen;
use crate::metrics::Metrics;
use crate::news;
use crate::output::Answer;
use crate::relying_party;
use crate::revocations::{self, Revocations};
use crate::routes::oauth::device::Polls;
use crate::routes::oauth::revocations::{MAX_FOLLOWERS, MAX_FOLLOWERS_OF_ALL};
use crate::state::{App, Parts};
use crate::workers::{self, Post, Touches};

/// The migrations of every room, in the order in which they build on one another.
pub(crate) const ROOMS: &[&[Migration]] = &[
    custody::MIGRATIONS,
    access::MIGRATIONS,
    identity::MIGRATIONS,
    tokens::MIGRATIONS,
    federation::MIGRATIONS,
    objects::MIGRATIONS,
];

/// Passwords that are checked against slow hashes at the same time, altogether and of one tenant. Each may take a second, and 256 MiB
/// when it is of somebody imported by whoever runs the server.
const SLOW_HASHES: usize = 4;
const SLOW_HASHES_OF_ONE: usize = 2;

/// Clients that follow changes at the same time.
const FOLLOWERS: usize = 10_000;

/// Everything opened, nothing served yet.
pub(crate) struct Opened {
    pub(crate) app: App,
    mail: Box<dyn Mail>,
    letters: workers::Letters,
    touched: workers::Touched,
    /// Spools of requests that servers left which are no more.
    spools: Vec<std::path::PathBuf>,
    stop: watch::Sender<bool>,
}

/// Opens the place of blobs; a bucket must answer.
pub(crate) async fn blobs(config: &Config) -> Result<Blobs, StartError> {
    if let Some(bucket) = config.bucket() {
        let blobs = Blobs::bucket(bucket)?;
        blobs.is_ready().await?;
        return Ok(blobs);
    }
    if config.blobs.is_empty() {
        return Ok(Blobs::folder(&config.data.join(BLOBS))?);
    }
    Ok(Blobs::open(&config.blobs)?)
}

/// The folder of blobs in the data folder, when no other is set, and in a backup.
pub(crate) const BLOBS: &str = "blobs";

/// Which cryptography TLS uses.
pub(crate) fn install_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Opens the rooms in their order.
pub(crate) async fn open(config: Config) -> Result<Opened, StartError> {
    for warning in config.check()?.into_iter().chain(unknown_variables()?) {
        tracing::warn!(setting = warning.setting, "{}", warning.why);
    }
    check_routes(&config)?;
    install_cryptography();
    let connections = allow_open_files(&config);
    let store_config = store::Config { engine: config.engine() };
    let settings = match config.migration_database_url.is_empty() {
        true => "database_url",
        false => "database_url or migration_database_url",
    };
    let opened = Store::open(&store_config, ROOMS, Arc::new(SystemClock)).await;
    let (store, door) = opened.map_err(|error| of_database(&config, settings, error))?;
    store.announce(news::is_news);
    refuse_old_clock(&door).await?;
    // On PostgreSQL two servers that start at once may meet here: the second begins again and finds what the first made.
    let keys = match open_keys(&config, &door).await {
        Err(
            StartError::Store(StoreError::Conflict(_))
            | StartError::Key(KeyError::Store(StoreError::Conflict(_))),
        ) => open_keys(&config, &door).await?,
        other => other?,
    };
    let Keys { custody, identity, signing, states, log_key, audit_seed, limits_seed } = keys;
    let access = Access::new(door)?;
    let mail: Box<dyn Mail> = if config.smtp_url.is_empty() {
        Box::new(Outbox::new(&config.data.join("outbox"), &config.mail_from)?)
    } else {
        Box::new(Smtp::new(&config.smtp_url, &config.mail_from)?)
    };
    tracing::info!(mail = mail.describe(), "mail");
    let blobs = blobs(&config).await?;
    let lifetime = Lifetime::minutes(config.access_token_minutes)
        .map_err(|error| ConfigError::Refused { setting: "access_token_minutes", why: error.to_string() })?;
    let url = config.url();
    let (post, letters) = Post::new();
    let (touches, touched) = Touches::new();
    let (stop, stopping) = watch::channel(false);
    let folder = config.data.join(SPOOL);
    let (audit, spools) = Audit::open(config.request_audit, folder.clone(), audit_seed)
        .map_err(|source| StartError::Spool { folder: folder.display().to_string(), source })?;
    let mut tries = identity::Limits::default();
    tries.network.free = config.signin_tries_per_address;
    // Who lets one address try more lets its wider network try as much.
    tries.wide.free = tries.wide.free.max(config.signin_tries_per_address);
    let reach = federation::Reach { networks: config.provider_networks.iter().filter_map(net).collect() };
    let federation = Federation::new(custody.clone(), states.clone(), reach, name_server(&config));
    let parts = Parts {
        federation,
        tokens: AccessTokens::new(Arc::clone(&signing), url.clone(), url.clone(), lifetime),
        polls: Polls::default(),
        proofs: Proofs::of_keys(),
        assertions: Proofs::of_clients(),
        provider: Provider::new(custody.clone(), signing, states, url.clone(), lifetime),
        objects: Objects::new(Limits {
            bytes: config.quota_bytes,
            items: config.quota_items,
            file: config.largest_file,
            kept_after_deletion_ms: config.deleted_blobs_kept_ms(),
            ..Limits::default()
        }),
        blobs,
        feed: Feed::new(FOLLOWERS),
        attempts: Attempts::new(tries),
        slow_hashes: Arc::new(Semaphore::new(SLOW_HASHES)),
        slow_hashes_of: TurnsOf::new(SLOW_HASHES_OF_ONE),
        metrics: Metrics::new(),
        audit,
        rates: RateLimits::new(&config, SharedLimits::of(&config, limits_seed)?),
        turns: Turns::new(config.concurrent_requests),
        answers: Turns::new(gateway::UNITS_FOR_EACH * config.concurrent_requests),
        connections: Arc::new(Connections::new(connections, config.trusted_proxies.clone())),
        downloads: Downloads::new(config.concurrent_requests / 2),
        url,
        config,
        store,
        tenancy: access::Tenancy::new(custody.clone()),
        custody,
        access,
        identity,
        log_key,
        revocations: Revocations::new(),
        following: TurnsOf::new(MAX_FOLLOWERS),
        following_all: Arc::new(Semaphore::new(MAX_FOLLOWERS_OF_ALL)),
        post,
        touches,
        roles: Roles::default(),
        stopping,
    };
    Ok(Opened { app: App::new(parts), mail, letters, touched, spools, stop })
}

/// A network, for what compares addresses by itself.
fn net(network: &identity::Network) -> Option<ipnet::IpNet> {
    let text = network.to_string();
    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from))
}

/// The name server that is asked for proofs of domains: the one that is set, else the system's first.
fn name_server(config: &Config) -> Option<SocketAddr> {
    config.name_server.or_else(|| {
        let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
        let address =
            text.lines().find_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())?;
        Some(SocketAddr::new(address, DNS))
    })
}

/// DNS's port.
const DNS: u16 = 53;

/// The folder of requests that have no record yet, in the data folder.
const SPOOL: &str = "requests";

/// Descriptors that an open tenant's file takes: two connections with database, log and index each. What several read at the same
/// time has up to three more, until other files are in use.
const DESCRIPTORS: u64 = 6;

/// Raises the process's limit of open files to what it may have, and says so when that is too little. How many connections there may
/// be: never so many that there is no descriptor for a tenant's file.
fn allow_open_files(config: &Config) -> usize {
    let own = config.open_files as u64 * DESCRIPTORS + config.concurrent_requests as u64 + OTHERS;
    let needed = own + config.connections as u64;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < needed => {
            let left = usize::try_from(limit.saturating_sub(own)).unwrap_or_default().max(LEAST_CONNECTIONS);
            tracing::warn!(
                limit,
                needed,
                connections = left,
                "few files may be open at once: raise the hard limit (ulimit -Hn, LimitNOFILE=), or lower open_files"
            );
            left.min(config.connections)
        }
        Ok(_) => config.connections,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            config.connections
        }
    }
}

/// Descriptors for all else: the audit's spools, the database's connections, mail, providers.
const OTHERS: u64 = 256;

/// So many connections there are in any case.
const LEAST_CONNECTIONS: usize = 64;

struct Keys {
    custody: Custody,
    identity: Identity,
    signing: Arc<SigningKeys>,
    states: StateSealer,
    log_key: LogKey,
    audit_seed: zeroize::Zeroizing<[u8; 32]>,
    limits_seed: zeroize::Zeroizing<[u8; 32]>,
}

/// Opens what the root key opens, making it at the first start: one transaction, so that a half-made server never is.
async fn open_keys(config: &Config, door: &Door) -> Result<Keys, StartError> {
    let mut tx = door.write(TenantId::PLATFORM, entry("server.start")).await?;
    let root = root_keys(config, &mut tx).await?;
    let custody = Custody::open(root, &mut tx).await?;
    let seed = custody.server_seed(&mut tx, custody::LOG_SEED).await?;
    let origin = custody
        .server_secret(&mut tx, LOG_ORIGIN, || {
            let random = format!("bailiwick.log/{}", uuid::Uuid::new_v4().simple());
            let origin = if config.log_origin.is_empty() { random } else { config.log_origin.clone() };
            zeroize::Zeroizing::new(origin.into_bytes())
        })
        .await?;
    let log_key = LogKey::new(String::from_utf8_lossy(&origin), *seed);
    // A name that checkpoints cannot bear is told now.
    log_key.signer(TenantId::PLATFORM)?;
    let identity = Identity::open(custody.clone(), &mut tx, identity_settings(config)).await?;
    let signing = Arc::new(SigningKeys::new(custody.clone(), RotationPolicy::default()));
    signing.rotate_if_due(&mut tx).await?;
    signing.reload(&mut tx).await?;
    let states = custody.state_sealer(&mut tx).await?;
    let audit_seed = custody.server_seed(&mut tx, AUDIT_SEED).await?;
    let limits_seed = custody.server_seed(&mut tx, LIMITS_SEED).await?;
    tx.commit(Record::about("server")).await?;
    Ok(Keys { custody, identity, signing, states, log_key, audit_seed, limits_seed })
}

/// What hides addresses and tokens from Redis.
const LIMITS_SEED: &str = "shared-limits";

/// What the hashes of bodies in the request audit are salted by.
const AUDIT_SEED: &str = "request-audit";

/// What the installation's logs are called; fixed at the first start.
const LOG_ORIGIN: &str = "log-origin";

pub(crate) async fn root_keys(config: &Config, tx: &mut store::ReadTx) -> Result<RootKeys, StartError> {
    match config.root_secret() {
        Some(secret) => Ok(RootKeys::from_secret(&secret)?),
        None => Ok(RootKeys::file(config.root_key_path(), tx).await?),
    }
}

pub(crate) fn identity_settings(config: &Config) -> identity::Settings {
    identity::Settings {
        service_name: config.service_name.clone(),
        mail_required: config.email_code(),
        session_idle_minutes: config.session_idle_minutes,
        session_absolute_minutes: config.session_absolute_minutes,
        fresh_minutes: config.fresh_minutes,
        imported_sign_in: config.imported_sign_in,
        relying_party: relying_party::of(config).ok().and_then(Result::ok),
        ..identity::Settings::default()
    }
}

pub(crate) fn entry(action: &str) -> Entry {
    Entry { actor: "system:server".into(), via: String::new(), action: action.into(), request: String::new() }
}

/// Refuses a clock that is behind what was recorded: expiry and the order of history would be wrong.
async fn refuse_old_clock(door: &Door) -> Result<(), StartError> {
    let mut tx = door.read(TenantId::PLATFORM).await?;
    let newest: Option<(i64,)> =
        tx.query_opt("SELECT at FROM checkpoint ORDER BY size DESC LIMIT 1", &[]).await?;
    let (now, newest) = (tx.now(), newest.map_or(0, |(at,)| at));
    let behind = newest - now;
    // A minute is what clocks of several servers may differ by.
    if behind <= 60_000 {
        return Ok(());
    }
    let minutes = behind / 60_000;
    let behind = if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} minutes") };
    Err(StartError::ClockBehind { now, behind })
}

/// Serves until SIGINT or SIGTERM. Prints `ready <url>` when it accepts.
pub(crate) async fn serve(config: Config) -> Result<(), StartError> {
    let Opened { app, mail, letters, touched, spools, stop } = open(config).await?;
    if let Some(why) = crate::console::missing() {
        tracing::warn!("{why}");
    }
    let stopping = || app.stopping.clone();
    let events = tokio::spawn(revocations::follow(app.clone(), app.store.hear(), stopping()));
    let kept = tokio::spawn(news::follow(app.clone(), app.store.hear(), stopping()));
    let listening = tokio::spawn(revocations::listen(app.clone(), stopping()));
    let sequencer_stop = Arc::new(Notify::new());
    let sequencer = Sequencer::new(app.store.clone(), app.log_key.clone());
    let homes = homes(&app).await;
    let sequencer = tokio::spawn({
        let (app, stop) = (app.clone(), Arc::clone(&sequencer_stop));
        async move { sequencer.run(homes, stop, |progress| app.metrics.sequenced(progress)).await }
    });
    let delivery = tokio::spawn(workers::deliver(app.clone(), mail, letters, stopping()));
    let touching = tokio::spawn(workers::touch(app.clone(), touched, stopping()));
    let upkeep = tokio::spawn(workers::upkeep(app.clone(), stopping()));
    let ended = tokio::spawn(workers::logouts::look(app.clone(), app.store.hear(), stopping()));
    let logouts = tokio::spawn(workers::logouts::tell(app.clone(), stopping()));
    let memory = tokio::spawn(workers::memory::give_back(stopping()));
    let limits = tokio::spawn(gateway::keep_shared_limits(app.clone(), stopping()));

    // Told to stop by itself, once there are no requests any more.
    let (last_request, recording) = watch::channel(false);
    let recording = tokio::spawn(gateway::audit::record(app.clone(), spools, recording));

    let served = listen::listen(&app, stop.clone()).await;

    // In the order in which work flows: requests have ended, then what they left in queues, then the log.
    let _ = stop.send(true);
    for worker in [upkeep, touching, delivery, ended, logouts, memory, limits, events, kept, listening] {
        let _ = worker.await;
    }
    let _ = last_request.send(true);
    let _ = recording.await;
    sequencer_stop.notify_one();
    let _ = sequencer.await;
    app.store.close().await;
    tracing::info!("stopped");
    served
}

/// Clears away at once what the server's upkeep would clear away in time, and stops.
pub(crate) async fn sweep(config: Config) -> Result<Answer, StartError> {
    config.check()?;
    if config.database_url.is_empty() {
        crate::backup::require_data(&config)?;
    }
    let Opened { app, stop, .. } = open(config).await?;
    let sequencer_stop = Arc::new(Notify::new());
    let sequencer = Sequencer::new(app.store.clone(), app.log_key.clone());
    let sequencer = tokio::spawn({
        let (homes, stop) = (homes(&app).await, Arc::clone(&sequencer_stop));
        async move { sequencer.run(homes, stop, |_| ()).await }
    });
    let (swept, outcome) = workers::sweep_now(&app, &stop.subscribe()).await;
    // What was done is numbered before the process ends.
    sequencer_stop.notify_one();
    let _ = sequencer.await;
    app.store.close().await;
    outcome.map_err(|error| StartError::Sweep(error.internal_message().to_owned()))?;
    Ok(swept.into())
}

/// Homes that a crash may have left with unnumbered records.
async fn homes(app: &App) -> Vec<TenantId> {
    if let Ok(Some(tenants)) = app.store.not_closed().await {
        return tenants;
    }
    let mut homes = customers(app).await;
    let mut after = None;
    let worker = access::Caller::system("sequencer", "");
    loop {
        let resource = access::Resource::Platform;
        let view =
            app.access.view(&worker, TenantId::PLATFORM, access::Action::MaintenanceRun, resource).await;
        let Ok(mut tx) = view else { return homes };
        let Ok(page) = app.identity.homes(&mut tx, after, 1_000).await else { return homes };
        let Some(last) = page.last() else { return homes };
        after = Some(last.account);
        homes.extend(page.iter().map(|entry| entry.home));
    }
}

/// The customers' tenants, whose logs are kept up like the homes'.
async fn customers(app: &App) -> Vec<TenantId> {
    let (mut customers, mut after) = (Vec::new(), None);
    loop {
        let Ok(page) = workers::customers(app, after).await else { return customers };
        let Some(last) = page.last() else { return customers };
        after = Some(last.id);
        customers.extend(page.iter().map(|listed| listed.id));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_migration_has_a_name_of_its_own() {
        let names: Vec<_> = ROOMS.iter().flat_map(|room| room.iter().map(|step| step.name)).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }
}
