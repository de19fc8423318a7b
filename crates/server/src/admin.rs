// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an operator does at the machine, past the network: with the database and the root key at hand. Recorded like
//! everything else.

use std::process::ExitCode;
use std::sync::Arc;

use access::tenancy::Change;
use access::{PlatformRole, Tenancy};
use clap::{Args, Subcommand};
use custody::{Custody, RootKeyId, RootKeys};
use serde_json::json;
use store::{Door, Record, Store, SystemClock, TenantId};
use tokens::{RotationPolicy, SigningKeys};

use crate::cli::{Flags, with_config};
use crate::config::{Config, ConfigError};
use crate::output::Answer;
use crate::start::{ROOMS, StartError, entry, of_database, root_keys};

/// `bailiwick admin …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give an account a role on the platform.
    Grant(Grant),
    /// Take it away.
    Revoke(Grant),
    /// List who has which role.
    List {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
    },
}

/// Which account, which role.
#[derive(Debug, Args)]
pub struct Grant {
    #[command(flatten)]
    flags: Flags,
    /// The account, by its number or its id, as `bailiwick whoami` shows them.
    account: String,
    /// `administrator`, `operator` or `auditor`.
    #[arg(default_value = "administrator")]
    role: String,
}

/// `bailiwick root-key …`
#[derive(Debug, Subcommand)]
pub enum RootKeyCommand {
    /// Say which root key is in use, and how many keys still stand under an older one.
    Status {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
    },
    /// Put a new key into the root key's file, for every server to know before it is used. Then `rotate --to` it.
    Add {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
    },
    /// Put a new key first in the root key's file, and seal every tenant's key anew. May be repeated after an interruption.
    /// Servers that share the file go on meanwhile; where each has its own, `add` first.
    Rotate {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
        /// Go on with a rotation that was interrupted, without another new key.
        #[arg(long)]
        resume: bool,
        /// Seal under this key, which `root-key add` put into the file, instead of another new one.
        #[arg(long, value_name = "KEY_ID", conflicts_with = "resume")]
        to: Option<String>,
    },
}

/// `bailiwick signing-key …`
#[derive(Debug, Subcommand)]
pub enum SigningKeyCommand {
    /// Make another key for access tokens, which signs at once. The one before it verifies until its last token has expired.
    Rotate {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
    },
    /// Take a key away at once, as when it has leaked: every token that it signed is refused from then on.
    Remove {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
        /// The key's id, `kid` in `/.well-known/jwks.json`.
        kid: String,
    },
}

pub(crate) fn run_signing_key(command: SigningKeyCommand) -> ExitCode {
    match command {
        SigningKeyCommand::Rotate { flags } => {
            with_config(&flags, false, |config| change_signing_key(config, None))
        }
        SigningKeyCommand::Remove { flags, kid } => {
            with_config(&flags, false, |config| change_signing_key(config, Some(kid)))
        }
    }
}

async fn change_signing_key(config: Config, remove: Option<String>) -> Result<Answer, StartError> {
    let (store, door) = door(&config).await?;
    let keys = SigningKeys::new(custody(&config, &door).await?, RotationPolicy::default());
    let mut tx = door.write(TenantId::PLATFORM, entry("signing_key.rotate")).await?;
    match &remove {
        Some(kid) => keys.remove(&mut tx, kid).await?,
        None => keys.rotate_now(&mut tx).await?,
    }
    tx.commit(Record::about(remove.as_deref().unwrap_or("signing-keys"))).await?;
    store.close().await;
    let document = json!({ "changed": true, "removed": remove });
    Ok(Answer::new("done; running servers read it within a minute", document))
}

pub(crate) fn run(command: Command) -> ExitCode {
    match command {
        Command::Grant(Grant { flags, account, role }) => {
            with_config(&flags, false, |config| change(config, account, role, true))
        }
        Command::Revoke(Grant { flags, account, role }) => {
            with_config(&flags, false, |config| change(config, account, role, false))
        }
        Command::List { flags } => with_config(&flags, false, list),
    }
}

pub(crate) fn run_root_key(command: RootKeyCommand) -> ExitCode {
    match command {
        RootKeyCommand::Status { flags } => with_config(&flags, false, root_status),
        RootKeyCommand::Add { flags } => with_config(&flags, false, add_root),
        RootKeyCommand::Rotate { flags, resume, to } => {
            with_config(&flags, false, move |config| rotate_root(config, resume, to))
        }
    }
}

/// Opens the store as it is. On the embedded engine the server must be stopped for it.
pub(crate) async fn door(config: &Config) -> Result<(Store, Door), StartError> {
    config.check()?;
    if config.database_url.is_empty() {
        crate::backup::require_data(config)?;
    }
    let engine = store::Config { engine: config.engine() };
    let opened = Store::open(&engine, ROOMS, Arc::new(SystemClock)).await;
    let (store, door) = opened.map_err(|error| of_database(config, "database_url", error))?;
    store.announce(crate::news::is_news);
    Ok((store, door))
}

async fn change(config: Config, account: String, role: String, grant: bool) -> Result<Answer, StartError> {
    let refused = |setting, why: String| StartError::Config(ConfigError::Refused { setting, why });
    let role: PlatformRole =
        role.parse().map_err(|error: access::UnknownPlatformRole| refused("role", error.to_string()))?;
    let (store, door) = door(&config).await?;
    let id = find_account(&door, &account).await?;
    let action = if grant { "platform_role.grant" } else { "platform_role.revoke" };
    let tenancy = Tenancy::new(custody(&config, &door).await?);
    let mut tx = door.write(TenantId::PLATFORM, entry(action)).await?;
    let changed = if grant {
        role.grant(&mut tx, *id.uuid(), &access::Caller::system("operator", "")).await?
    } else {
        role.revoke(&mut tx, *id.uuid()).await?
    };
    // What was so already is not recorded anew.
    if changed {
        let said = Some(json!({ "role": role.name() }));
        let (before, after) = if grant { (None, said) } else { (said, None) };
        let change = Change { before, after, reason: None };
        let record = tenancy.record(&mut tx, id, &change).await?;
        tx.commit(record).await?;
    } else {
        drop(tx);
    }
    store.close().await;
    let line = match (changed, grant) {
        (true, true) => "granted",
        (true, false) => "revoked",
        (false, _) => "nothing to change",
    };
    let document =
        json!({ "account": id.to_string(), "role": role.name(), "has": grant, "changed": changed });
    Ok(Answer::new(line, document))
}

/// The account of this id or number.
async fn find_account(door: &Door, named: &str) -> Result<identity::AccountId, StartError> {
    let mut tx = door.read(TenantId::PLATFORM).await?;
    let found: Option<(identity::AccountId,)> = match named.parse::<identity::AccountId>() {
        Ok(id) => {
            let sql = "SELECT account FROM account_directory WHERE account = $1";
            tx.query_opt(sql, store::params![&id]).await?
        }
        Err(_) => match keyring::AccountNumber::parse(named) {
            Ok(number) => {
                let sql = "SELECT account FROM account_directory WHERE account_number = $1";
                tx.query_opt(sql, store::params![number.as_str()]).await?
            }
            Err(_) => None,
        },
    };
    found.map(|(id,)| id).ok_or_else(|| {
        let why = format!(
            "there is no account {named:?}: give its number or its id, as `bailiwick whoami` shows them"
        );
        StartError::Config(ConfigError::Refused { setting: "account", why })
    })
}

async fn list(config: Config) -> Result<Answer, StartError> {
    let (store, door) = door(&config).await?;
    let grants = PlatformRole::list(&mut door.read(TenantId::PLATFORM).await?).await?;
    store.close().await;
    Ok(Answer::list(grants.into_iter().map(|grant| {
        let account = identity::AccountId::from_uuid(grant.account);
        let document = json!({ "account": account.to_string(), "role": grant.role.name() });
        (format!("{account} {}", grant.role), document)
    })))
}

async fn root_status(config: Config) -> Result<Answer, StartError> {
    let (store, door) = door(&config).await?;
    let custody = custody(&config, &door).await?;
    let (mut current, mut older) = (0, 0);
    for tenant in tenants(&store, &door).await? {
        let status = custody.root_status(&mut door.read(tenant).await?).await?;
        current += status.current;
        older += status.older;
    }
    store.close().await;
    let id = custody.root_key_id();
    let others: Vec<_> = custody.root_key_ids().into_iter().filter(|other| *other != id).collect();
    let others: Vec<&str> = others.iter().map(RootKeyId::as_str).collect();
    let mut lines =
        vec![format!("root key {}: {current} keys stand under it, {older} under others", id.as_str())];
    if !others.is_empty() && older == 0 {
        lines.push(format!(
            "no key stands under {}. What was just added waits for `bailiwick root-key rotate --to`. What was rotated away from may \
             leave the file once every server has read it (a minute), this still says so, and no backup from before is to be \
             restored",
            others.join(", ")
        ));
    }
    let document = json!({ "root_key": id.as_str(), "others": others, "current": current, "older": older });
    Ok(Answer::of_lines(lines, document))
}

/// Puts a new key into the file that opens and does not seal yet: the first of two steps where several servers run.
async fn add_root(config: Config) -> Result<Answer, StartError> {
    refuse_secret(&config, "put the new key on a line below the old one there, and start each server anew")?;
    let (store, door) = door(&config).await?;
    custody(&config, &door).await?;
    store.close().await;
    let id = RootKeys::add(&config.root_key_path())?;
    let (id, path) = (id.as_str(), config.root_key_path());
    let line = format!(
        "{id} is in {}: bring the file to every server, which reads it within a minute; then `bailiwick root-key rotate \
         --to {id}`",
        path.display()
    );
    Ok(Answer::new(line, json!({ "root_key": id, "file": path.display().to_string() })))
}

/// A key that was given as a secret is not ours to change.
fn refuse_secret(config: &Config, instead: &str) -> Result<(), StartError> {
    if config.root_secret().is_none() {
        return Ok(());
    }
    let why = format!("it is given as a secret: {instead}");
    Err(ConfigError::Refused { setting: "root_key", why }.into())
}

async fn rotate_root(config: Config, resume: bool, to: Option<String>) -> Result<Answer, StartError> {
    let (store, door) = door(&config).await?;
    // Whether the keys open at all, before anything is changed.
    custody(&config, &door).await?;
    if !resume {
        let instead = "put the new key on a line above the old one there, then run `bailiwick root-key rotate --resume`";
        refuse_secret(&config, instead)?;
        match &to {
            Some(id) => RootKeys::switch(&config.root_key_path(), id)?,
            None => drop(RootKeys::renew(&config.root_key_path())?),
        }
    }
    let custody = custody(&config, &door).await?;
    let mut sealed = 0;
    for tenant in tenants(&store, &door).await? {
        let mut tx = door.write(tenant, entry("root_key.rotate")).await?;
        let anew = custody.rotate_root(&mut tx).await?;
        if anew > 0 {
            tx.commit(Record::about(tenant)).await?;
            sealed += anew;
        }
    }
    store.close().await;
    let id = custody.root_key_id();
    let line = format!(
        "{sealed} keys were sealed anew under {}; bring the file to every server, and see `bailiwick root-key status`",
        id.as_str()
    );
    Ok(Answer::new(line, json!({ "root_key": id.as_str(), "sealed_anew": sealed })))
}

async fn custody(config: &Config, door: &Door) -> Result<Custody, StartError> {
    let mut tx = door.write(TenantId::PLATFORM, entry("root_key.open")).await?;
    let root = root_keys(config, &mut tx).await?;
    Ok(Custody::open(root, &mut tx).await?)
}

/// The platform and every tenant that the directory knows: homes and customers.
pub(crate) async fn tenants(store: &Store, door: &Door) -> Result<Vec<TenantId>, StartError> {
    let mut tenants = vec![TenantId::PLATFORM];
    match store.tenant_files().await? {
        Some(files) => tenants.extend(files),
        None => {
            let mut tx = door.read(TenantId::PLATFORM).await?;
            let known: Vec<(TenantId,)> =
                tx.query("SELECT home FROM account_directory UNION SELECT id FROM customer", &[]).await?;
            tenants.extend(known.into_iter().map(|(tenant,)| tenant));
        }
    }
    Ok(tenants)
}

/// Brings a PostgreSQL database to this release.
pub(crate) async fn migrate(config: Config) -> Result<Answer, StartError> {
    let refused = |setting, why: &str| StartError::Config(ConfigError::Refused { setting, why: why.into() });
    if config.database_url.is_empty() {
        return Err(refused("database_url", "set the login role's address: it gets its rights"));
    }
    if config.migration_database_url.is_empty() {
        return Err(refused("migration_database_url", "set the owner role's address"));
    }
    Store::migrate(&config.migration_database_url, &config.database_url, ROOMS).await?;
    Ok(Answer::new("the database is at this release", json!({ "migrated": true })))
}
