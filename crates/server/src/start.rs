// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a configuration to a running server, and back down without losing anything.

use std::net::SocketAddr;
use std::sync::Arc;

use access::{Access, PolicyError};
use custody::{Custody, KeyError, RootKeyError, RootKeys, StateSealer};
use federation::Federation;
use identity::{Attempts, Identity, Mail, MailError, Outbox, Smtp, StartError as IdentityError};
use objects::{Blobs, BlobsError, Feed, Limits, Objects};
use store::{
    Door, Entry, LogKey, Migration, OpenError, Record, Sequencer, Store, StoreError, SystemClock, TenantId,
};
use tokens::oauth::Provider;
use tokens::{AccessTokens, KeysError, Lifetime, RotationPolicy, SigningKeys};
use tokio::sync::{Notify, Semaphore, watch};

use crate::caller::Roles;
use crate::caller::client::Proofs;
use crate::config::{Config, ConfigError, Judged, Warning, each_on_a_line};
use crate::downloads::Downloads;
use crate::gateway::{self, Audit, RateLimits, SharedLimits, Turns, TurnsOf};
use crate::listen;
use crate::metrics::Metrics;
use crate::output::Answer;
use crate::relying_party;
use crate::revocations::{self, Revocations};
use crate::routes;
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

/// Why the server did not start. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer.
    #[error("the database at {at} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        at: String,
        /// What the connection failed by.
        why: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key cannot be used.
    #[error(transparent)]
    RootKey(RootKeyError),
    /// The keys in the database cannot be opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The policies cannot be used.
    #[error(transparent)]
    Policies(#[from] PolicyError),
    /// Identity's settings or secrets cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    SigningKeys(#[from] KeysError),
    /// Mail cannot be sent as configured.
    #[error(transparent)]
    Mail(MailError),
    /// The blobs' place cannot be used.
    #[error(transparent)]
    Blobs(BlobsError),
    /// The clock is behind what the database has seen.
    #[error(
        "the clock says {now}, but the newest record is {behind} later: set the clock right, or wait, and start again"
    )]
    ClockBehind {
        /// The clock's time, in milliseconds since the Unix epoch.
        now: i64,
        /// How far it is behind.
        behind: String,
    },
    /// TLS files cannot be used.
    #[error("tls_certificate and tls_key cannot be used: {0}")]
    Tls(std::io::Error),
    /// ACME cannot be used.
    #[error("certificates cannot be asked for: {0}")]
    Acme(rustls::Error),
    /// The spool of requests cannot be used.
    #[error("requests cannot be spooled in {folder}: {source}")]
    Spool {
        /// The folder.
        folder: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Serving failed.
    #[error("serving failed: {0}")]
    Serve(std::io::Error),
    /// A sweep did not do all that there was to do.
    #[error("not everything could be cleared away; run it again: {0}")]
    Sweep(String),
    /// There are several faults.
    #[error("{}", each_on_a_line(.0))]
    Several(Vec<StartError>),
}

/// What a room says of a setting is said under the setting's name.
impl From<RootKeyError> for StartError {
    fn from(error: RootKeyError) -> Self {
        match error {
            RootKeyError::Secret { .. } => refused("root_key", error),
            other => StartError::RootKey(other),
        }
    }
}

impl From<MailError> for StartError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Url | MailError::Unencrypted => refused("smtp_url", error),
            MailError::Sender => refused("mail_from", error),
            other => StartError::Mail(other),
        }
    }
}

impl From<BlobsError> for StartError {
    fn from(error: BlobsError) -> Self {
        match error {
            BlobsError::Setting(_) => refused("blobs", error),
            other => StartError::Blobs(other),
        }
    }
}

fn refused(setting: &'static str, why: impl std::fmt::Display) -> StartError {
    ConfigError::Refused { setting, why: why.to_string() }.into()
}

impl StartError {
    /// The stable name of what went wrong, for `--json`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            StartError::Config(_) | StartError::Mail(_) | StartError::Policies(_) => "configuration",
            StartError::Open(_) | StartError::Store(_) | StartError::Unreachable { .. } => "database",
            StartError::RootKey(_) | StartError::Key(_) | StartError::SigningKeys(_) => "keys",
            StartError::Identity(_) => "identity",
            StartError::Blobs(_) => "blobs",
            StartError::ClockBehind { .. } => "clock_behind",
            StartError::Tls(_) | StartError::Acme(_) => "tls",
            StartError::Spool { .. } => "data",
            StartError::Listen { .. } | StartError::Serve(_) => "listen",
            StartError::Sweep(_) => "incomplete",
            StartError::Several(faults) => match faults.split_first() {
                Some((first, rest)) if rest.iter().all(|fault| fault.code() == first.code()) => first.code(),
                _ => "configuration",
            },
        }
    }
}

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

/// Judges a configuration by making what a start makes of it, short of anything that leaves a trace: the database is
/// asked about its role, a bucket whether it answers; keys and certificates are read. All that is wrong is said, not only the first.
pub(crate) async fn judge(config: &Config) -> Result<Vec<Warning>, StartError> {
    let mut judged = config.judged();
    judged.warnings.extend(unknown_variables()?);
    let mut faults = judge_values(config);
    faults.extend(judge_places(config, &judged).await);
    let Judged { refusals, warnings } = judged;
    let mut faults: Vec<_> = refusals.into_iter().map(StartError::from).chain(faults).collect();
    match faults.len() {
        0 => Ok(warnings),
        1 => faults.pop().map_or(Ok(warnings), Err),
        _ => Err(StartError::Several(faults)),
    }
}

/// What rooms find wrong with values.
fn judge_values(config: &Config) -> Vec<StartError> {
    let log_level = crate::logging::filter(config).err().map(StartError::from);
    let routes = check_routes(config).err().map(StartError::from);
    // The room says which of them it is about.
    let identity = identity_settings(config).check().err().map(|error| {
        let said = error.to_string();
        let (setting, why) = said.split_once(' ').unwrap_or(("settings", said.as_str()));
        StartError::from(ConfigError::Misread { place: setting.to_owned(), why: format!("it {why}") })
    });
    // Without a server for mail it is the sender that is looked at.
    let smtp_url = if config.smtp_url.is_empty() { "smtp://localhost" } else { config.smtp_url.as_str() };
    let mail = Smtp::new(smtp_url, &config.mail_from).err().map(StartError::from);
    let root_key = match config.root_secret() {
        Some(secret) => RootKeys::from_secret(&secret).err(),
        None => RootKeys::load(&config.root_key_path()).err(),
    };
    [log_level, routes, identity, mail, root_key.map(StartError::from)].into_iter().flatten().collect()
}

/// What is wrong at places that settings name, where nothing is wrong with their names.
async fn judge_places(config: &Config, judged: &Judged) -> Vec<StartError> {
    let are_sound = |settings: &[&str]| !settings.iter().any(|setting| judged.has_refused(setting));
    let mut faults = Vec::new();
    install_cryptography();
    if !config.tls_certificate.as_os_str().is_empty() && are_sound(&["tls_certificate", "tls_key"]) {
        faults.extend(listen::tls(config).await.err());
    }
    if are_sound(&["redis_url", "redis_ca_file"]) {
        // Nothing is connected to: the seed is not used.
        let redis = SharedLimits::of(config, zeroize::Zeroizing::new([0; 32]));
        faults.extend(redis.err().map(StartError::from));
    }
    if !config.database_url.is_empty() {
        let database = Store::judge(&config.database_url).await;
        faults.extend(database.err().map(|error| of_database(config, "database_url", error)));
    }
    let of_bucket = ["blobs", "s3_endpoint", "s3_region", "s3_access_key_id", "s3_secret_access_key"];
    if config.bucket().is_some() && are_sound(&of_bucket) {
        faults.extend(blobs(config).await.err());
    }
    faults
}

/// What the database's address, or who does not answer there, has to do with an error.
fn of_database(config: &Config, settings: &'static str, error: OpenError) -> StartError {
    match error {
        OpenError::Address(why) => refused(settings, format!("it cannot be used: {why}")),
        OpenError::Store(StoreError::Unavailable(why)) => match host(&config.database_url) {
            Some(at) => StartError::Unreachable { at, why },
            None => StoreError::Unavailable(why).into(),
        },
        other => other.into(),
    }
}

/// Host and port of a database's URL, and nothing else that is in it.
fn host(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port().unwrap_or(POSTGRESQL)))
}

/// PostgreSQL's port.
const POSTGRESQL: u16 = 5432;

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

fn unknown_variables() -> Result<Vec<Warning>, ConfigError> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    crate::config::reference::unknown_variables(names)
}

/// Which cryptography TLS uses.
pub(crate) fn install_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Refuses a limit of a route that there is not: it would limit nothing.
fn check_routes(config: &Config) -> Result<(), ConfigError> {
    if config.route_limits.is_empty() {
        return Ok(());
    }
    let document: serde_json::Value =
        routes::openapi().ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let is_there = |route: &str| {
        let (method, path) = route.split_once(' ').unwrap_or_default();
        let methods = document.get("paths").and_then(|paths| paths.get(path));
        methods.is_some_and(|methods| methods.get(method.to_lowercase()).is_some())
    };
    match config.route_limits.iter().find(|limit| !is_there(&limit.route)) {
        None => Ok(()),
        Some(limit) => Err(ConfigError::Refused {
            setting: "route_limits",
            why: format!("there is no route `{}`: `bailiwick openapi` lists them", limit.route),
        }),
    }
}

/// Opens the rooms in their order.
pub(crate) async fn open(config: Config) -> Result<Opened, StartError> {
    for warning in config.check()?.into_iter().chain(unknown_variables()?) {
        tracing::warn!(setting = warning.setting, "{}", warning.why);
    }
    check_routes(&config)?;
    install_cryptography();
    allow_open_files(&config);
    let store_config = store::Config { engine: config.engine() };
    let settings = match config.migration_database_url.is_empty() {
        true => "database_url",
        false => "database_url or migration_database_url",
    };
    let opened = Store::open(&store_config, ROOMS, Arc::new(SystemClock)).await;
    let (store, door) = opened.map_err(|error| of_database(&config, settings, error))?;
    store.announce(revocations::is_news);
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

/// Raises the process's limit of open files to what it may have, and says so when that is too little.
fn allow_open_files(config: &Config) {
    let needed =
        config.open_files as u64 * DESCRIPTORS + 2 * config.concurrent_requests as u64 + FOLLOWERS as u64;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < needed => tracing::warn!(
            limit,
            needed,
            "few files may be open at once: raise the hard limit (ulimit -Hn, LimitNOFILE=), or lower open_files"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

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
    Err(StartError::ClockBehind { now, behind: format!("{} minutes", behind / 60_000) })
}

/// Serves until SIGINT or SIGTERM. Prints `ready <url>` when it accepts.
pub(crate) async fn serve(config: Config) -> Result<(), StartError> {
    let Opened { app, mail, letters, touched, spools, stop } = open(config).await?;
    let stopping = || app.stopping.clone();
    let events = tokio::spawn(revocations::follow(app.clone(), app.store.hear(), stopping()));
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
    let limits = tokio::spawn(gateway::keep_shared_limits(app.clone(), stopping()));

    // Told to stop by itself, once there are no requests any more.
    let (last_request, recording) = watch::channel(false);
    let recording = tokio::spawn(gateway::audit::record(app.clone(), spools, recording));

    let served = listen::listen(&app, stop.clone()).await;

    // In the order in which work flows: requests have ended, then what they left in queues, then the log.
    let _ = stop.send(true);
    for worker in [upkeep, touching, delivery, ended, logouts, limits, events, listening] {
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
    fn a_room_s_word_about_a_setting_begins_with_its_name() {
        let config = Config::default();
        for (error, setting) in [
            (StartError::from(MailError::Url), "smtp_url: "),
            (StartError::from(MailError::Sender), "mail_from: "),
            (StartError::from(BlobsError::Setting("s3//bucket".into())), "blobs: "),
            (RootKeys::from_secret("nonsense").err().map(StartError::from).unwrap(), "root_key: "),
            (of_database(&config, "database_url", OpenError::Address("no host".into())), "database_url: "),
        ] {
            assert!(error.to_string().starts_with(setting), "{error}");
            assert_eq!(error.code(), "configuration");
        }
    }

    #[test]
    fn where_a_database_is_not_is_said_without_who_would_have_logged_in() {
        let config =
            Config { database_url: "postgres://ada:secret@db.example/x".into(), ..Config::default() };
        let away = OpenError::Store(StoreError::Unavailable("connection refused".into()));
        let said = of_database(&config, "database_url", away).to_string();
        assert_eq!(said, "the database at db.example:5432 cannot be reached: connection refused");
    }

    #[test]
    fn every_migration_has_a_name_of_its_own() {
        let names: Vec<_> = ROOMS.iter().flat_map(|room| room.iter().map(|step| step.name)).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }
}
