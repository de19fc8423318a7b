// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server's commands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::Config;
use crate::{admin, backup, import, logging, start};

/// What an operator does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(Flags),
    /// Judge a configuration: what is wrong, and what deserves a word.
    Check(Flags),
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
    },
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
    ImportUsers(import::Arguments),
    /// Give, take and list roles on the platform.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Look at and rotate the root key.
    #[command(subcommand)]
    RootKey(admin::RootKeyCommand),
    /// Rotate the keys that sign access tokens.
    #[command(subcommand)]
    SigningKey(admin::SigningKeyCommand),
    /// Print the OpenAPI document.
    Openapi,
}

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
    #[arg(long, value_name = "ADDRESS")]
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
    #[arg(long = "migration-url", value_name = "URL")]
    #[serde(rename = "migration_database_url", skip_serializing_if = "Option::is_none")]
    pub migration_url: Option<String>,
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

/// Runs a command of the server.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve(flags) => with_config(&flags, true, start::serve),
        Command::Check(flags) => with_config(&flags, false, check),
        Command::Migrate(flags) => with_config(&flags, true, admin::migrate),
        Command::Backup { flags, to, blobs_only } => {
            with_config(&flags, false, |config| backup::backup(config, to, blobs_only))
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
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
    }
}

/// Loads the configuration, starts logging and a runtime, and runs.
pub(crate) fn with_config<F, E>(flags: &Flags, logs: bool, run: impl FnOnce(Config) -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error,
{
    let config = match flags.load() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if logs && let Err(error) = logging::start(&config) {
        eprint(&error);
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build();
    match runtime {
        Ok(runtime) => match runtime.block_on(run(config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}

/// Judges as far as the server itself would, short of changing anything.
async fn check(config: Config) -> Result<(), start::StartError> {
    let warnings = start::judge(&config).await?;
    for warning in &warnings {
        print(&format!("warning: {}: {}", warning.setting, warning.why));
    }
    print("the configuration can be used");
    Ok(())
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprint(&error.to_string());
    ExitCode::FAILURE
}

#[allow(clippy::print_stdout, reason = "a command's answer")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

#[allow(clippy::print_stderr, reason = "a command's error")]
pub(crate) fn eprint(line: &str) {
    eprintln!("bailiwick: {line}");
}
