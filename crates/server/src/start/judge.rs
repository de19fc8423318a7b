// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wrong with a configuration, found without starting.

use std::sync::Arc;

use custody::RootKeys;
use identity::Smtp;
use store::{OpenError, Store, StoreError, SystemClock, TenantId};

use super::error::refused;
use super::{ROOMS, StartError, blobs, identity_settings, install_cryptography};
use crate::config::{Config, ConfigError, Judged, Warning};
use crate::gateway::SharedLimits;
use crate::{listen, routes};

/// Judges a configuration by making what a start makes of it, short of anything that leaves a trace: the database is
/// asked about its role and which root key it needs, a bucket whether it answers; keys and certificates are read. All that is wrong
/// is said, not only the first.
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
    [log_level, routes, identity, mail].into_iter().flatten().collect()
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
    // Of a database that cannot be asked, the key's form is judged all the same.
    let needed = needed_root_keys(config).await.unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    faults.extend(judge_root_key(config, needed).err());
    let of_bucket = ["blobs", "s3_endpoint", "s3_region", "s3_access_key_id", "s3_secret_access_key"];
    if config.bucket().is_some() && are_sound(&of_bucket) {
        faults.extend(blobs(config).await.err());
    }
    faults
}

/// Which root keys the database needs; none before the first start. Nothing is made, and nothing is migrated.
async fn needed_root_keys(config: &Config) -> Result<Vec<(String,)>, StartError> {
    if config.database_url.is_empty() {
        let directory = config.data.join(store::tenant_path(TenantId::PLATFORM));
        if !directory.exists() {
            return Ok(Vec::new());
        }
        return Ok(store::read_copy(&directory, RootKeys::NEEDED, store::params![])?);
    }
    let of_database = |error| of_database(config, "database_url", error);
    let missing = Store::judge(&config.database_url, ROOMS).await.map_err(of_database)?;
    if missing > 0 {
        // A start that knows the owner role applies them by itself.
        let is_mended = !config.migration_database_url.is_empty();
        return if is_mended { Ok(Vec::new()) } else { Err(OpenError::NotMigrated(missing).into()) };
    }
    let engine =
        store::Engine::Postgres { url: config.database_url.clone(), migration_url: None, connections: 1 };
    let opened = Store::open(&store::Config { engine }, ROOMS, Arc::new(SystemClock)).await;
    let (store, door) = opened.map_err(of_database)?;
    let mut tx = door.read(TenantId::PLATFORM).await?;
    let needed = tx.query(RootKeys::NEEDED, store::params![]).await;
    drop(tx);
    store.close().await;
    needed.map_err(|error| of_database(error.into()))
}

/// Whether the root key can be read, and is one that the database was sealed under.
fn judge_root_key(config: &Config, needed: Vec<(String,)>) -> Result<(), StartError> {
    match config.root_secret() {
        Some(secret) => RootKeys::from_secret(&secret)?.require(needed)?,
        None => drop(RootKeys::load_needed(&config.root_key_path(), needed)?),
    }
    Ok(())
}

/// What the database's address, who does not answer there, or a right that is missing has to do with an error.
pub(crate) fn of_database(config: &Config, settings: &'static str, error: OpenError) -> StartError {
    match error {
        OpenError::Address(why) => refused(settings, format!("it cannot be used: {why}")),
        OpenError::Store(StoreError::Unavailable(why)) => match host(&config.database_url) {
            Some(at) => StartError::Unreachable { at, why },
            None => StoreError::Unavailable(why).into(),
        },
        OpenError::Store(StoreError::Refused(why)) if !config.database_url.is_empty() => {
            StartError::NoRight(why)
        }
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

pub(super) fn unknown_variables() -> Result<Vec<Warning>, ConfigError> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    crate::config::reference::unknown_variables(names)
}

/// Refuses a limit of a route that there is not: it would limit nothing.
pub(super) fn check_routes(config: &Config) -> Result<(), ConfigError> {
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

#[cfg(test)]
mod tests {
    use identity::MailError;
    use objects::BlobsError;

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
    fn a_right_that_is_missing_is_said_with_what_gives_it() {
        let config = Config { database_url: "postgres://app@db.example/x".into(), ..Config::default() };
        let denied = StoreError::Refused("permission denied for table migration".into());
        let error = of_database(&config, "database_url", denied.into());
        assert!(error.to_string().contains("bailiwick migrate"), "{error}");
        assert_eq!(error.code(), "database");
    }
}
