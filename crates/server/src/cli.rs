// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server's commands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::config::{AN_ADDRESS, Config};
use crate::output::{self, Answer};
pub(crate) use crate::output::{eprint, print};
use crate::{admin, backup, import, logging, start};

/// What an operator does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    #[command(after_help = SETTINGS)]
    Serve(Flags),
    /// Judge a configuration: what is wrong, and what deserves a word.
    Check {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
        /// Print a configuration file with every setting, what it is, and its default.
        #[arg(long)]
        print_defaults: bool,
    },
    /// Bring a PostgreSQL database to this release, as its owner role, and stop.
    Migrate(Flags),
    /// Copy everything that the server keeps into a folder. The root key is not in it.
    Backup {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
        /// The folder to make.
        to: PathBuf,
        /// Copy the blobs alone: beside PostgreSQL's own backup.
        #[arg(long)]
        blobs_only: bool,
        /// Leave the blobs out: when their bucket is backed up by itself.
        #[arg(long, conflicts_with = "blobs_only")]
        databases_only: bool,
    },
    /// Clear away at once what is over: given-up uploads, deleted files, old tombstones, files that nothing names.
    /// The server does the same by itself every six hours.
    Sweep(Flags),
    /// Put a backup back, into a data folder that does not exist yet.
    Restore {
        /// Settings.
        #[command(flatten)]
        flags: Flags,
        /// The backup.
        from: PathBuf,
    },
    /// Take people over from another system, with the hashes of their passwords there: NDJSON, a line
    /// {"email", "hash", "external_id"?, "created_at"?} each. Says on standard output, as NDJSON, which lines were not taken
    /// and why, and the account number of each that has an external id. May be repeated.
    #[command(after_help = IMPORTED)]
    ImportUsers(import::Arguments),
    /// Give, take and list roles on the platform.
    #[command(subcommand, after_help = ROLES)]
    Admin(admin::Command),
    /// Look at and rotate the root key.
    #[command(subcommand)]
    RootKey(admin::RootKeyCommand),
    /// Rotate the keys that sign access tokens.
    #[command(subcommand)]
    SigningKey(admin::SigningKeyCommand),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the Cedar schema that tenants' own policies are written against.
    PolicySchema,
}

/// Where the other settings are described.
const SETTINGS: &str = "Other settings come from the configuration file and the environment: \
    `bailiwick check --print-defaults` prints a file with all of them, their units and defaults.";

/// What stands in a line of an import.
const IMPORTED: &str = "Fields of a line (at most 16 KiB, UTF-8):
  email        the address
  hash         of the password: bcrypt ($2a$, $2b$, $2y$; cost 4 to 15), or Argon2 in PHC form
  external_id  a text of at most 256 characters or a number; given back with the account number,
               and not stored
  created_at   when the account was made there: milliseconds since 1970, or a text as of RFC 3339
               such as 2021-03-04T09:30:00Z; not in the future

The last line of the answer has the totals. The exit status is 0 also when lines were not taken.
On the embedded engine the server must be stopped.";

/// What roles on the platform are for.
const ROLES: &str = "None of them opens a tenant or anybody's home.
  administrator  suspends tenants and accounts, sets up the platform's identity providers,
                 confirms domains, founds tenants without bound, takes signing keys away; and all
                 that the others do
  operator       sees tenants, suspensions and keys; makes another signing key
  auditor        sees the same, and reads the platform's history; changes nothing, whatever other
                 roles they hold

Running servers know of a change within two seconds. On the embedded engine the server must be
stopped.";

/// Settings that can be given as flags; the rest by file or environment.
#[derive(Debug, Default, Args, Serialize)]
pub struct Flags {
    /// The configuration file (TOML).
    #[arg(long, env = "BAILIWICK_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The URL under which people reach the server.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Refuse what is unsafe, instead of warning of it.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<bool>,
    /// PostgreSQL's address for the login role.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// PostgreSQL's address for the owner role, to migrate with.
    #[arg(long, visible_alias = "migration-url", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_database_url: Option<String>,
    /// The file with the root key.
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key_file: Option<PathBuf>,
}

impl Flags {
    pub(crate) fn load(&self) -> Result<Config, crate::config::ConfigError> {
        Config::load(self.config.as_deref(), self)
    }
}

/// Runs a command of the server; with `json`, it answers in JSON.
pub fn run(command: Command, json: bool) -> ExitCode {
    output::speak_json(json);
    match command {
        Command::Serve(flags) => with_config(&flags, true, start::serve),
        Command::Check { print_defaults: true, .. } => match crate::config::reference::commented() {
            Ok(text) => {
                print(text.trim_end());
                output::end()
            }
            Err(error) => output::fail(&error.into()),
        },
        Command::Check { flags, .. } => with_config(&flags, false, check),
        Command::Sweep(flags) => with_config(&flags, false, start::sweep),
        Command::Migrate(flags) => with_config(&flags, true, admin::migrate),
        Command::Backup { flags, to, blobs_only, databases_only } => {
            let what = backup::What { databases: !blobs_only, blobs: !databases_only };
            with_config(&flags, false, |config| backup::backup(config, to, what))
        }
        Command::Restore { flags, from } => {
            with_config(&flags, false, |config| backup::restore(config, from))
        }
        Command::ImportUsers(arguments) => import::run(arguments),
        Command::Admin(command) => admin::run(command),
        Command::RootKey(command) => admin::run_root_key(command),
        Command::SigningKey(command) => admin::run_signing_key(command),
        Command::Openapi => match crate::routes::openapi() {
            Ok(document) => {
                print(document.trim_end());
                output::end()
            }
            Err(error) => output::refuse("internal", &error),
        },
        Command::PolicySchema => {
            print(access::SCHEMA.trim_end());
            output::end()
        }
    }
}

/// Loads the configuration, starts logging and a runtime, and runs.
pub(crate) fn with_config<F, A>(flags: &Flags, logs: bool, run: impl FnOnce(Config) -> F) -> ExitCode
where
    F: Future<Output = Result<A, start::StartError>>,
    A: Into<Answer>,
{
    let config = match flags.load() {
        Ok(config) => config,
        Err(error) => return output::fail(&error.into()),
    };
    if logs && let Err(error) = logging::start(&config) {
        return output::fail(&error.into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build();
    match runtime {
        Ok(runtime) => match runtime.block_on(run(config)) {
            Ok(answer) => {
                answer.into().tell();
                output::end()
            }
            Err(error) => output::fail(&error),
        },
        Err(error) => output::refuse("internal", &error),
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| AN_ADDRESS)
}

/// Judges as far as the server itself would, short of changing anything.
async fn check(config: Config) -> Result<Answer, start::StartError> {
    let warnings = start::judge(&config).await?;
    let mut lines: Vec<_> =
        warnings.iter().map(|warning| format!("warning: {}: {}", warning.setting, warning.why)).collect();
    let missing = crate::console::missing();
    lines.extend(missing.map(|why| format!("warning: {why}")));
    lines.push("the configuration can be used".into());
    let warnings: Vec<_> =
        warnings.iter().map(|warning| json!({ "setting": warning.setting, "why": warning.why })).collect();
    let document = json!({ "usable": true, "warnings": warnings, "console": missing.is_none() });
    Ok(Answer::of_lines(lines, document))
}
