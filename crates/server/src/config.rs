// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Configuration: a file, the environment and flags, in that order; each overrides the one before.
//!
//! Every setting has a default that works on a laptop. What would be unsafe in production is refused there, with a
//! sentence that says what to set.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use axum::http::Uri;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use identity::Network;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::relying_party;

pub(crate) mod reference;

/// Everything that can be set. In the file as `name = value`; in the environment as `BAILIWICK_NAME`, with `_FILE` for a
/// secret that stands in a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data folder: databases and blobs of the embedded engine, the outbox.
    pub data: PathBuf,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The URL under which people reach the server; `http://` and the listening address when empty.
    pub public_url: String,
    /// The domain that passkeys are bound to; the host of `public_url` when empty. Under another one, no passkey works that was
    /// made before.
    pub passkey_domain: String,
    /// More origins from which passkeys may be used, beside `public_url`: `https://` and the domain or a name below it.
    #[serde(deserialize_with = "read_texts")]
    pub passkey_origins: Vec<String>,
    /// Refuses what is unsafe, instead of warning of it.
    pub production: bool,
    /// PostgreSQL's address for the login role; the embedded engine when empty.
    pub database_url: String,
    /// PostgreSQL's address for the owner role. With it, migrations are applied at start.
    pub migration_database_url: String,
    /// The most database connections that are open at once (PostgreSQL).
    pub database_connections: usize,
    /// The most tenants' files that are open at once (embedded engine).
    pub open_files: usize,
    /// The file with the root key; made at the first start. Beside the data folder, with `.root-key` added, when empty.
    pub root_key_file: PathBuf,
    /// The root key itself (base64 or hexadecimal, 32 bytes), instead of a file.
    pub root_key: String,
    /// Where blobs go: `file:///path`, or a bucket as `s3://bucket/prefix`; the folder `blobs` in the data folder when
    /// empty.
    pub blobs: String,
    /// The URL of the bucket's API, when it is not Amazon's: `https://s3.example.org`.
    pub s3_endpoint: String,
    /// The bucket's region.
    pub s3_region: String,
    /// The id of the access key for the bucket; when empty, from where Amazon's tools look (`AWS_…` variables, the role of
    /// a container or a machine).
    pub s3_access_key_id: String,
    /// The access key itself.
    pub s3_secret_access_key: String,
    /// The PEM file with the server's certificate chain.
    pub tls_certificate: PathBuf,
    /// The PEM file with its private key.
    pub tls_key: PathBuf,
    /// An address for plain HTTP beside TLS, such as `0.0.0.0:80`: whoever looks there is sent to `public_url`. None when empty.
    pub redirect_listen: Option<SocketAddr>,
    /// Names for which certificates are asked for by ACME (RFC 8555), in place of `tls_certificate`: `["bailiwick.example"]`. The
    /// authority must reach this server at port 443 of each.
    pub acme_domains: Vec<String>,
    /// The mail address that the authority writes to.
    pub acme_contact: String,
    /// The authority's directory: `https://…`; Let's Encrypt when empty. Who uses it agrees to its terms.
    pub acme_directory: String,
    /// A PEM file with the certificates that the authority itself is known by; the system's when empty.
    pub acme_ca_file: PathBuf,
    /// Addresses or networks (`10.0.0.0/8`) of proxies that may say, in `forwarded_header`, whom they speak for.
    #[serde(serialize_with = "write_networks", deserialize_with = "read_networks")]
    pub trusted_proxies: Vec<Network>,
    /// The header in which they say it: `x-forwarded-for`, or `forwarded` (RFC 7239). The other one is not read.
    pub forwarded_header: ForwardedHeader,
    /// Addresses or networks, beside public ones, at which other identity providers may be: `10.0.0.0/8`. At loopback addresses
    /// among them they may be without TLS.
    #[serde(serialize_with = "write_networks", deserialize_with = "read_networks")]
    pub provider_networks: Vec<Network>,
    /// The name server, with its port, that is asked whether a domain is a tenant's: `192.0.2.53:53`; the system's first when empty.
    pub name_server: Option<SocketAddr>,
    /// The name of this installation's logs, part of every checkpoint; made at the first start when empty.
    pub log_origin: String,
    /// SMTP server for mail, as a URL: `smtps://user:password@host`; an outbox folder when empty.
    pub smtp_url: String,
    /// The sender of mail.
    pub mail_from: String,
    /// The service's name in mail and authenticator apps.
    pub service_name: String,
    /// Whether sign-up takes a mailed code; by default when mail is configured.
    pub email_code: Option<bool>,
    /// How long access tokens live, in minutes.
    pub access_token_minutes: u32,
    /// A session ends after this many minutes without use.
    pub session_idle_minutes: u32,
    /// A session ends after this many minutes.
    pub session_absolute_minutes: u32,
    /// For how many minutes a step-up counts as fresh.
    pub fresh_minutes: u32,
    /// Bytes that an account may store.
    pub quota_bytes: u64,
    /// Items that an account may store.
    pub quota_items: u64,
    /// The largest file, in bytes.
    pub largest_file: u64,
    /// Requests a second that one address (IPv4) or network (IPv6, /64) may make on average.
    pub requests_per_second: u32,
    /// Requests that it may make at once.
    pub request_burst: u32,
    /// Requests a second with one token (a session, a key, an access token), wherever it is shown; 0 for no limit of its own.
    pub token_requests_per_second: u32,
    /// Requests with it at once.
    pub token_request_burst: u32,
    /// Requests a second in one customer's tenant, by all whom it knows together; 0 for no limit of its own.
    pub tenant_requests_per_second: u32,
    /// Requests in it at once.
    pub tenant_request_burst: u32,
    /// Limits of single routes, for each address: `POST /api/v1/signup/start 2/10` is two a second and ten at once.
    #[serde(serialize_with = "write_route_limits", deserialize_with = "read_route_limits")]
    pub route_limits: Vec<RouteLimit>,
    /// Redis, in which servers count limits together: `rediss://user:password@host:6379`. Without it each counts for itself.
    pub redis_url: String,
    /// The PEM file with the authority that signed its certificate; the system's authorities when empty.
    pub redis_ca_file: PathBuf,
    /// Requests that are served at the same time; more wait, then answer 503. Half as many files are sent.
    pub concurrent_requests: usize,
    /// Failed sign-ins that one address (IPv4) or network (IPv6, /64) may make before it is slowed down hard.
    pub signin_tries_per_address: u32,
    /// Whether people who were imported may come in with the password of the system that they come from, which the
    /// server sees that once. Matters only after `bailiwick import-users`.
    pub imported_sign_in: bool,
    /// Which requests are recorded in their tenants' histories: `all`, `changes` (those that are not only reading, and those that
    /// were refused), or `off`.
    pub request_audit: RequestAudit,
    /// How often they are recorded, in seconds. Until then they are in a file in the data folder.
    pub request_audit_seconds: u32,
    /// `pretty` or `json`.
    pub log_format: LogFormat,
    /// What is logged: `info`, `debug`, or a filter such as `server=debug,info`.
    pub log_level: String,
    /// The address for metrics; on the main address, to loopback callers only, when empty.
    pub metrics_listen: Option<SocketAddr>,
}

/// The header in which proxies say whom they speak for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which most proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A limit of one route, for each address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteLimit {
    /// Method and pattern of the path, as in the OpenAPI document.
    pub route: String,
    /// Requests a second.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl std::str::FromStr for RouteLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is no limit of a route: write `POST /api/v1/signup/start 2/10`");
        let [method, path, rate] =
            <[&str; 3]>::try_from(text.split_whitespace().collect::<Vec<_>>()).map_err(|_| form())?;
        let (per_second, burst) = rate.split_once('/').ok_or_else(form)?;
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(form);
        Ok(RouteLimit {
            route: format!("{} {path}", method.to_uppercase()),
            per_second: number(per_second)?,
            burst: number(burst)?,
        })
    }
}

impl std::fmt::Display for RouteLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.route, self.per_second, self.burst)
    }
}

/// Which requests are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestAudit {
    /// Every one.
    #[default]
    All,
    /// Those that are not only reading, and those that were refused.
    Changes,
    /// None.
    Off,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: "./data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7341)),
            public_url: String::new(),
            passkey_domain: String::new(),
            passkey_origins: Vec::new(),
            production: false,
            database_url: String::new(),
            migration_database_url: String::new(),
            database_connections: 16,
            open_files: 256,
            root_key_file: PathBuf::new(),
            root_key: String::new(),
            blobs: String::new(),
            s3_endpoint: String::new(),
            s3_region: String::new(),
            s3_access_key_id: String::new(),
            s3_secret_access_key: String::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            redirect_listen: None,
            acme_domains: Vec::new(),
            acme_contact: String::new(),
            acme_directory: String::new(),
            acme_ca_file: PathBuf::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            provider_networks: Vec::new(),
            name_server: None,
            log_origin: String::new(),
            smtp_url: String::new(),
            mail_from: "Bailiwick <bailiwick@localhost>".into(),
            service_name: "Bailiwick".into(),
            email_code: None,
            access_token_minutes: 30,
            session_idle_minutes: 7 * 24 * 60,
            session_absolute_minutes: 30 * 24 * 60,
            fresh_minutes: 10,
            quota_bytes: 50 << 30,
            quota_items: 1_000_000,
            largest_file: 20 << 30,
            requests_per_second: 200,
            request_burst: 1_000,
            token_requests_per_second: 0,
            token_request_burst: 1_000,
            tenant_requests_per_second: 0,
            tenant_request_burst: 5_000,
            route_limits: Vec::new(),
            redis_url: String::new(),
            redis_ca_file: PathBuf::new(),
            concurrent_requests: 512,
            signin_tries_per_address: 50,
            imported_sign_in: true,
            request_audit: RequestAudit::default(),
            request_audit_seconds: 30,
            log_format: LogFormat::Pretty,
            log_level: "info".into(),
            metrics_listen: None,
        }
    }
}

/// Settings that may also be given as `BAILIWICK_<NAME>_FILE`: the path of a file with the value.
const SECRETS: [&str; 6] =
    ["root_key", "database_url", "migration_database_url", "s3_secret_access_key", "smtp_url", "redis_url"];

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value cannot be read.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[from] Box<figment::Error>),
    /// A secret's file cannot be read.
    #[error("{name} cannot be read from {path}: {source}")]
    SecretFile {
        /// The setting.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A setting is refused.
    #[error("{setting}: {why}")]
    Refused {
        /// The setting.
        setting: &'static str,
        /// Why, and what to set instead.
        why: String,
    },
}

/// What a good configuration still deserves to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The setting, or the variable.
    pub setting: String,
    /// What is not as it should be in production.
    pub why: String,
}

impl Config {
    /// Reads the file (when one is named), the environment and `flags`.
    pub fn load(file: Option<&Path>, flags: impl Serialize) -> Result<Config, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(file) = file {
            if !file.exists() {
                return Err(ConfigError::Refused {
                    setting: "config",
                    why: format!("there is no file {}", file.display()),
                });
            }
            figment = figment.merge(Toml::file(file));
        }
        let names: Vec<String> = Self::names()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        figment = figment.merge(Env::prefixed("BAILIWICK_").only(&names));
        for name in SECRETS {
            let Some(path) = std::env::var_os(format!("BAILIWICK_{}_FILE", name.to_uppercase())) else {
                continue;
            };
            // The root key's file is a setting of its own, with a format of its own.
            if name == "root_key" {
                continue;
            }
            let path = PathBuf::from(path);
            let value = std::fs::read_to_string(&path).map_err(|source| ConfigError::SecretFile {
                name: name.to_owned(),
                path: path.clone(),
                source,
            })?;
            figment = figment.merge((name, value.trim()));
        }
        figment.merge(Serialized::defaults(flags)).extract().map_err(|error| Box::new(error).into())
    }

    /// The names of all settings.
    pub fn names() -> Result<Vec<String>, ConfigError> {
        let defaults: figment::value::Dict =
            Figment::from(Serialized::defaults(Config::default())).extract().map_err(Box::new)?;
        Ok(defaults.into_keys().collect())
    }

    /// Judges the settings: what cannot work, or is unsafe in production, is refused; the rest that deserves a word
    /// is returned.
    pub fn check(&self) -> Result<Vec<Warning>, ConfigError> {
        let refuse = |setting, why: String| Err(ConfigError::Refused { setting, why });
        let mut warnings = Vec::new();
        let files = !self.tls_certificate.as_os_str().is_empty();
        if files == self.tls_key.as_os_str().is_empty() {
            return refuse("tls_certificate", "set both tls_certificate and tls_key, or neither".into());
        }
        if files && self.has_acme() {
            return refuse("acme_domains", "certificates come by files or by ACME, not by both".into());
        }
        let is_name = |name: &String| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            name.contains('.') && name.len() <= 253 && name.bytes().all(allowed) && !name.starts_with('.')
        };
        if let Some(name) = self.acme_domains.iter().find(|name| !is_name(name)) {
            return refuse("acme_domains", format!("{name} is no name of a host, in lower case"));
        }
        if !self.acme_directory.is_empty() && !self.acme_directory.starts_with("https://") {
            return refuse("acme_directory", "it must begin with https://".into());
        }
        if !self.acme_contact.is_empty() && !self.acme_contact.contains('@') {
            return refuse("acme_contact", "expected a mail address".into());
        }
        for (setting, path) in [
            ("tls_certificate", &self.tls_certificate),
            ("tls_key", &self.tls_key),
            ("acme_ca_file", &self.acme_ca_file),
        ] {
            if !path.as_os_str().is_empty()
                && let Err(error) = std::fs::File::open(path)
            {
                return refuse(setting, format!("{} cannot be read: {error}", path.display()));
            }
        }
        let tls = self.has_tls();
        if self.redirect_listen.is_some() && !tls {
            let why = "it needs tls_certificate and tls_key, or acme_domains, beside it";
            return refuse("redirect_listen", why.into());
        }
        if !tls && !self.listen.ip().is_loopback() && self.trusted_proxies.is_empty() {
            return refuse(
                "listen",
                format!(
                    "{} can be reached by others: set tls_certificate and tls_key, or acme_domains, or name the proxy \
                     that does TLS in trusted_proxies",
                    self.listen
                ),
            );
        }
        if !self.public_url.is_empty()
            && !self.public_url.starts_with("https://")
            && !is_loopback(&self.public_url)
        {
            return refuse("public_url", "it must begin with https://".into());
        }
        if let Some(all) = self.trusted_proxies.iter().find(|proxy| proxy.is_everybody()) {
            return refuse(
                "trusted_proxies",
                format!(
                    "{all} is everybody, who could then choose the address that they come from: name the proxies"
                ),
            );
        }
        if let Some(all) = self.provider_networks.iter().find(|network| network.is_everybody()) {
            return refuse(
                "provider_networks",
                format!("{all} is everything that this machine reaches: name the networks of your providers"),
            );
        }
        if self.public_url.ends_with('/') {
            return refuse("public_url", "it must not end with a slash".into());
        }
        if let Err(warning) = relying_party::of(self)? {
            warnings.push(warning);
        }
        if !self.root_key.is_empty() && !self.root_key_file.as_os_str().is_empty() {
            return refuse("root_key", "set root_key or root_key_file, not both".into());
        }
        if self.root_key.is_empty() {
            match custody::check_location(&self.root_key_path(), &self.data, self.production) {
                Ok(None) => {}
                Ok(Some(warning)) => {
                    warnings.push(Warning { setting: "root_key_file".into(), why: warning.to_string() })
                }
                Err(error) => return refuse("root_key_file", error.to_string()),
            }
        }
        if !self.migration_database_url.is_empty() && self.database_url.is_empty() {
            return refuse("migration_database_url", "it needs database_url beside it".into());
        }
        warnings.extend(self.check_bucket()?);
        warnings.extend(self.check_redis()?);
        if self.smtp_url.is_empty() {
            let why = "mail goes to the outbox folder, where nobody reads it: set smtp_url";
            if self.production {
                return refuse("smtp_url", why.into());
            }
            warnings.push(Warning { setting: "smtp_url".into(), why: why.into() });
            if self.email_code == Some(true) {
                let why = "codes go to the outbox folder".into();
                warnings.push(Warning { setting: "email_code".into(), why });
            }
        }
        if self.production && self.public_url.is_empty() {
            return refuse("public_url", "set the https:// URL under which people reach the server".into());
        }
        for (setting, value, least) in [
            ("database_connections", self.database_connections, 2),
            ("open_files", self.open_files, 8),
            ("concurrent_requests", self.concurrent_requests, 8),
            ("requests_per_second", self.requests_per_second as usize, 1),
            ("request_burst", self.request_burst as usize, 1),
            ("token_request_burst", self.token_request_burst as usize, 1),
            ("tenant_request_burst", self.tenant_request_burst as usize, 1),
        ] {
            if value < least {
                return refuse(setting, format!("it must be at least {least}"));
            }
        }
        if !(1..=300).contains(&self.request_audit_seconds) {
            return refuse("request_audit_seconds", "it must be 1 to 300".into());
        }
        if self.request_audit != RequestAudit::All {
            let why = "what people read leaves no trace in the history: set request_audit = \"all\"";
            warnings.push(Warning { setting: "request_audit".into(), why: why.into() });
        }
        if !(1..=1440).contains(&self.access_token_minutes) {
            return refuse("access_token_minutes", "it must be 1 to 1440".into());
        }
        Ok(warnings)
    }

    /// The file with the root key.
    pub fn root_key_path(&self) -> PathBuf {
        if !self.root_key_file.as_os_str().is_empty() {
            return self.root_key_file.clone();
        }
        let mut name = self.data.components().as_path().as_os_str().to_owned();
        name.push(".root-key");
        name.into()
    }

    /// The URL under which people reach the server.
    pub fn url(&self) -> String {
        if !self.public_url.is_empty() {
            return self.public_url.clone();
        }
        let scheme = if self.has_tls() { "https" } else { "http" };
        match self.acme_domains.first() {
            Some(name) if self.listen.port() == 443 => format!("https://{name}"),
            Some(name) => format!("https://{name}:{}", self.listen.port()),
            None => format!("{scheme}://{}", self.listen),
        }
    }

    /// Whether this server speaks TLS itself.
    pub(crate) fn has_tls(&self) -> bool {
        !self.tls_certificate.as_os_str().is_empty() || self.has_acme()
    }

    /// Whether its certificates come by ACME.
    pub(crate) fn has_acme(&self) -> bool {
        !self.acme_domains.is_empty()
    }

    /// The bucket that blobs go to, when they go to one.
    pub fn bucket(&self) -> Option<objects::Bucket<'_>> {
        objects::Bucket::is_named_by(&self.blobs).then_some(objects::Bucket {
            url: &self.blobs,
            endpoint: &self.s3_endpoint,
            region: &self.s3_region,
            access_key_id: &self.s3_access_key_id,
            secret_access_key: &self.s3_secret_access_key,
        })
    }

    fn check_bucket(&self) -> Result<Option<Warning>, ConfigError> {
        let refuse = |setting, why: &str| Err(ConfigError::Refused { setting, why: why.into() });
        if self.bucket().is_none() {
            return match [
                ("s3_endpoint", &self.s3_endpoint),
                ("s3_region", &self.s3_region),
                ("s3_access_key_id", &self.s3_access_key_id),
                ("s3_secret_access_key", &self.s3_secret_access_key),
            ]
            .iter()
            .find(|(_, value)| !value.is_empty())
            {
                Some((setting, _)) => refuse(setting, "it needs blobs = \"s3://bucket/prefix\" beside it"),
                None => Ok(None),
            };
        }
        if self.s3_access_key_id.is_empty() != self.s3_secret_access_key.is_empty() {
            return refuse(
                "s3_access_key_id",
                "set both s3_access_key_id and s3_secret_access_key, or neither",
            );
        }
        if self.s3_endpoint.is_empty() || self.s3_endpoint.starts_with("https://") {
            return Ok(None);
        }
        if !self.s3_endpoint.starts_with("http://") {
            return refuse("s3_endpoint", "it must begin with https://");
        }
        if is_loopback(&self.s3_endpoint) {
            return Ok(None);
        }
        let why = "what is on its way to the bucket can be seen and changed: use https://";
        if self.production {
            return refuse("s3_endpoint", why);
        }
        Ok(Some(Warning { setting: "s3_endpoint".into(), why: why.into() }))
    }

    fn check_redis(&self) -> Result<Option<Warning>, ConfigError> {
        let refuse = |setting, why: &str| Err(ConfigError::Refused { setting, why: why.into() });
        let url = &self.redis_url;
        let is_tls = url.starts_with("rediss://");
        if !self.redis_ca_file.as_os_str().is_empty() && !is_tls {
            return refuse("redis_ca_file", "it needs redis_url = \"rediss://…\" beside it");
        }
        if url.is_empty() {
            return Ok(None);
        }
        if !is_tls && !url.starts_with("redis://") {
            return refuse("redis_url", "it must begin with rediss://");
        }
        // What follows it could turn the check of certificates off.
        if url.contains('#') {
            return refuse("redis_url", "it must have no fragment (#)");
        }
        if is_tls || is_loopback(url) {
            return Ok(None);
        }
        let why = "what is on its way to Redis can be seen and changed: use rediss://";
        if self.production {
            return refuse("redis_url", why);
        }
        Ok(Some(Warning { setting: "redis_url".into(), why: why.into() }))
    }

    /// Whether sign-up takes a mailed code.
    pub fn email_code(&self) -> bool {
        self.email_code.unwrap_or(!self.smtp_url.is_empty())
    }

    /// The engine that these settings name.
    pub fn engine(&self) -> store::Engine {
        if self.database_url.is_empty() {
            return store::Engine::Sqlite { folder: self.data.clone(), open_files: self.open_files };
        }
        let migration_url =
            (!self.migration_database_url.is_empty()).then(|| self.migration_database_url.clone());
        store::Engine::Postgres {
            url: self.database_url.clone(),
            migration_url,
            connections: self.database_connections,
        }
    }

    /// The root key as a secret, when it was given as one.
    pub fn root_secret(&self) -> Option<Zeroizing<String>> {
        (!self.root_key.is_empty()).then(|| Zeroizing::new(self.root_key.clone()))
    }
}

/// Whether the URL's host is this machine.
fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
    })
}

fn write_route_limits<S: Serializer>(limits: &[RouteLimit], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(limits.iter().map(RouteLimit::to_string))
}

fn read_route_limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RouteLimit>, D::Error> {
    let texts = read_texts(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
}

fn write_networks<S: Serializer>(networks: &[Network], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(Network::to_string))
}

fn read_networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = read_texts(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(|error| de::Error::custom(format!("{text}: {error}"))))
        .collect()
}

/// A list, or one text with commas as environment variables have it.
fn read_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    let texts = match Texts::deserialize(deserializer)? {
        Texts::One(text) => text.split(',').map(|text| text.trim().to_owned()).collect(),
        Texts::Many(texts) => texts,
    };
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &Config) -> &'static str {
        match config.check() {
            Err(ConfigError::Refused { setting, .. }) => setting,
            other => panic!("not refused: {:?}", other.map_err(|error| error.to_string())),
        }
    }

    fn production() -> Config {
        Config {
            production: true,
            public_url: "https://id.example".into(),
            smtp_url: "smtps://mail.example".into(),
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            ..Config::default()
        }
    }

    #[test]
    fn the_defaults_work_with_a_word_about_mail() {
        let warnings = Config::default().check().unwrap();
        assert_eq!(warnings.iter().map(|warning| &*warning.setting).collect::<Vec<_>>(), ["smtp_url"]);
    }

    #[test]
    fn what_is_unsafe_in_production_is_refused_there() {
        assert!(production().check().is_ok());
        assert_eq!(refused(&Config { smtp_url: String::new(), ..production() }), "smtp_url");
        assert_eq!(refused(&Config { public_url: String::new(), ..production() }), "public_url");
        assert_eq!(refused(&Config { root_key_file: "./data/key".into(), ..production() }), "root_key_file");
        assert_eq!(refused(&Config { public_url: "http://id.example".into(), ..production() }), "public_url");
    }

    #[test]
    fn plain_http_is_for_loopback_or_behind_a_named_proxy() {
        let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::default() };
        assert_eq!(refused(&open), "listen");
        assert!(Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..open }.check().is_ok());
    }

    #[test]
    fn a_bucket_takes_whole_credentials_and_is_reached_safely() {
        let bucket = Config { blobs: "s3://bucket/prefix".into(), ..production() };
        assert!(bucket.check().is_ok(), "credentials may come from the environment");
        let with = |endpoint: &str| Config { s3_endpoint: endpoint.into(), ..bucket.clone() };
        assert!(with("https://s3.example").check().is_ok() && with("http://127.0.0.1:9000").check().is_ok());
        for elsewhere in ["http://s3.example", "http://127.evil.example", "http://localhost.evil.example"] {
            assert_eq!(refused(&with(elsewhere)), "s3_endpoint", "{elsewhere}");
        }
        assert_eq!(refused(&with("s3.example")), "s3_endpoint");
        let open = Config { production: false, ..with("http://s3.example") };
        assert!(open.check().unwrap().iter().any(|warning| warning.setting == "s3_endpoint"));
        let half = Config { s3_access_key_id: "id".into(), ..bucket.clone() };
        assert_eq!(refused(&half), "s3_access_key_id");
        assert!(Config { s3_secret_access_key: "key".into(), ..half.clone() }.check().is_ok());
        assert_eq!(refused(&Config { blobs: String::new(), ..half }), "s3_access_key_id");
    }

    #[test]
    fn plain_http_is_sent_to_tls_where_there_is_tls() {
        let redirecting = Config { redirect_listen: "127.0.0.1:80".parse().ok(), ..production() };
        assert_eq!(refused(&redirecting), "redirect_listen");
    }

    #[test]
    fn certificates_come_by_files_or_by_acme() {
        let acme = Config { acme_domains: vec!["id.example".into()], ..production() };
        let outside =
            Config { listen: "0.0.0.0:443".parse().unwrap(), trusted_proxies: Vec::new(), ..acme.clone() };
        assert!(outside.check().is_ok());
        assert_eq!(Config { public_url: String::new(), ..outside.clone() }.url(), "https://id.example");
        let redirecting = Config { redirect_listen: "0.0.0.0:80".parse().ok(), ..outside };
        assert!(redirecting.check().is_ok());
        for bad in ["ID.example", "id", "*.example", "id.example/", ".example", ""] {
            assert_eq!(
                refused(&Config { acme_domains: vec![bad.into()], ..acme.clone() }),
                "acme_domains",
                "{bad}"
            );
        }
        let plain = Config { acme_directory: "http://ca.example".into(), ..acme.clone() };
        assert_eq!(refused(&plain), "acme_directory");
        assert_eq!(refused(&Config { acme_contact: "nobody".into(), ..acme.clone() }), "acme_contact");
        assert_eq!(refused(&Config { acme_ca_file: "/nowhere".into(), ..acme }), "acme_ca_file");
    }

    #[test]
    fn redis_is_reached_safely() {
        let with = |url: &str| Config { redis_url: url.into(), ..production() };
        for good in ["rediss://:secret@cache.example:6380/1", "redis://127.0.0.1:6379", "redis://[::1]"] {
            assert!(with(good).check().is_ok(), "{good}");
        }
        for bad in [
            "redis://cache.example",
            "redis://127.0.0.1.evil.example",
            "cache.example",
            "https://cache.example",
            "rediss://cache.example/#insecure",
        ] {
            assert_eq!(refused(&with(bad)), "redis_url", "{bad}");
        }
        let open = Config { production: false, ..with("redis://cache.example") };
        assert!(open.check().unwrap().iter().any(|warning| warning.setting == "redis_url"));
        let authority = Config { redis_ca_file: "/ca.pem".into(), ..with("redis://127.0.0.1") };
        assert_eq!(refused(&authority), "redis_ca_file");
    }

    #[test]
    fn a_limit_of_a_route_says_how_many_and_how_many_at_once() {
        let limit: RouteLimit = "post /api/v1/signup/start 2/10".parse().unwrap();
        assert_eq!(limit.to_string(), "POST /api/v1/signup/start 2/10");
        assert_eq!((limit.per_second, limit.burst), (2, 10));
        for bad in ["", "POST /a", "POST /a 2", "POST /a 0/1", "POST /a 1/0", "POST /a x/1", "POST /a 1/2 3"]
        {
            assert!(bad.parse::<RouteLimit>().unwrap_err().contains("2/10"), "{bad}");
        }
    }

    #[test]
    fn proxies_are_named_and_never_everybody() {
        #[derive(Serialize)]
        struct Flags {
            trusted_proxies: &'static str,
        }
        let load = |trusted_proxies| Config::load(None, Flags { trusted_proxies });
        let config = load("10.0.0.0/8, ::ffff:192.0.2.7").unwrap();
        let proxies: Vec<_> = config.trusted_proxies.iter().map(Network::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7"]);
        assert!(config.check().is_ok());
        assert_eq!(refused(&load("0.0.0.0/0").unwrap()), "trusted_proxies");
        assert!(load("10.0.0.1/8").err().unwrap().to_string().contains("10.0.0.0/8"));
    }

    #[test]
    fn an_unknown_setting_is_named() {
        #[derive(Serialize)]
        struct Flags {
            lisen: &'static str,
        }
        let error = Config::load(None, Flags { lisen: "127.0.0.1:1" }).err().unwrap();
        assert!(error.to_string().contains("lisen"), "{error}");
    }
}
