// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Configuration: a file, the environment and flags, in that order; each overrides the one before.
//!
//! Every setting has a default that works on a laptop. What would be unsafe in production is refused there, with a
//! sentence that says what to set.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use identity::Network;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

mod check;
mod reading;
pub(crate) mod reference;
mod texts;

pub(crate) use check::Judged;
pub(crate) use reading::AN_ADDRESS;

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
    #[serde(deserialize_with = "texts::read_texts")]
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
    #[serde(serialize_with = "texts::write_networks", deserialize_with = "texts::read_networks")]
    pub trusted_proxies: Vec<Network>,
    /// The header in which they say it: `x-forwarded-for`, or `forwarded` (RFC 7239). The other one is not read.
    pub forwarded_header: ForwardedHeader,
    /// Addresses or networks, beside public ones, at which other identity providers may be: `10.0.0.0/8`. At loopback addresses
    /// among them they may be without TLS.
    #[serde(serialize_with = "texts::write_networks", deserialize_with = "texts::read_networks")]
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
    /// How long deleted and replaced files stay where blobs are, in hours, 1 to 720. Set it to more than a backup takes, from the
    /// beginning of the databases' copy to the end of the blobs'. An account may have twice what it may store of them.
    pub deleted_blobs_kept_hours: u32,
    /// Tenants that an account may found, of those that are not gone; the platform's administrators found as many as they like,
    /// and with 0 nobody else does.
    pub tenants_per_account: u32,
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
    #[serde(serialize_with = "texts::write_route_limits", deserialize_with = "texts::read_route_limits")]
    pub route_limits: Vec<RouteLimit>,
    /// Redis, in which servers count limits together: `rediss://user:password@host:6379`. Without it each counts for itself.
    pub redis_url: String,
    /// The PEM file with the authority that signed its certificate; the system's authorities when empty.
    pub redis_ca_file: PathBuf,
    /// Requests that are served at the same time; more wait, then answer 503. Half as many files are sent.
    pub concurrent_requests: usize,
    /// Connections at the same time; one more is closed at once. A quarter of them for one address (IPv4) or network (IPv6, /64), but for
    /// `trusted_proxies`.
    pub connections: usize,
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
    /// An address of its own for `/metrics`, by plain HTTP and for whoever reaches it, with `/livez` and `/readyz` beside it:
    /// `127.0.0.1:7342`. When empty, metrics are on the main address, for callers on this machine.
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
            deleted_blobs_kept_hours: 24,
            tenants_per_account: 10,
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
            connections: 16_384,
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
    /// A value is not what its setting takes, or there is no such setting.
    #[error("{place}: {why}")]
    Misread {
        /// The setting with the file that it stands in, or its variable.
        place: String,
        /// What was expected.
        why: String,
    },
    /// A setting is refused.
    #[error("{setting}: {why}")]
    Refused {
        /// The setting.
        setting: &'static str,
        /// Why, and what to set instead.
        why: String,
    },
    /// There are several faults.
    #[error("{}", each_on_a_line(.0))]
    Several(Vec<ConfigError>),
}

impl ConfigError {
    /// All of these as one; none of none.
    pub(crate) fn of_all(mut errors: Vec<ConfigError>) -> Option<ConfigError> {
        if errors.len() > 1 { Some(ConfigError::Several(errors)) } else { errors.pop() }
    }
}

/// Several faults, in one message.
pub(crate) fn each_on_a_line<E: std::fmt::Display>(errors: &[E]) -> String {
    let lines = errors.iter().map(|error| format!("\n  {error}"));
    format!("there are {} faults:{}", errors.len(), lines.collect::<String>())
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
        reading::read(&figment.merge(Serialized::defaults(flags)))
    }

    /// The names of all settings.
    pub fn names() -> Result<Vec<String>, ConfigError> {
        let defaults: figment::value::Dict =
            Figment::from(Serialized::defaults(Config::default())).extract().map_err(Box::new)?;
        Ok(defaults.into_keys().collect())
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

    /// How long deleted and replaced files stay where blobs are, in milliseconds.
    pub(crate) fn deleted_blobs_kept_ms(&self) -> i64 {
        i64::from(self.deleted_blobs_kept_hours) * 3_600_000
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

#[cfg(test)]
mod tests {
    use super::*;

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
