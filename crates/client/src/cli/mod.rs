// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command line: every client command, for people and for programs.
//!
//! People are asked for what is missing, passwords without echo. With `--json`, nobody is asked anything, standard output is
//! one JSON document or NDJSON, and an error is one JSON object with a stable `code` on standard error. The exit
//! status says what became of it: 0 done, 1 failed, 2 wrong usage, 3 verification failed, 4 not signed in, 5 not
//! allowed, 6 server not reachable, 130 ended by Ctrl-C.

mod account;
mod accounts;
mod api_keys;
mod authorize;
mod collections;
mod context;
mod elsewhere;
mod failure;
mod files;
#[cfg(unix)]
mod hidden;
mod history;
mod imported;
mod interrupt;
mod list;
mod log;
mod login;
mod methods;
mod pair;
mod passkeys;
mod passwords;
mod prompt;
mod public;
mod sessions;
mod sharing;
mod signup;
mod sync;
mod tenant;
mod versions;
mod whoami;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use failure::usage_failed;

use context::Context;
use failure::Failure;

use crate::files::disk;
use crate::output::{say_bytes, unsaid};

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Globals {
    /// Say results as JSON on standard output and errors as JSON on standard error; never ask
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// The server's address
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "BAILIWICK_SERVER",
        value_name = "URL"
    )]
    pub server: Option<String>,

    /// The folder of this device's profile [default: ~/.config/bailiwick]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "BAILIWICK_CONFIG_DIR",
        value_name = "DIR"
    )]
    pub config_dir: Option<PathBuf>,

    /// Trust the certificate authorities in this PEM file instead of the system's
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "BAILIWICK_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,

    /// Allow plain HTTP to another machine
    #[arg(long, global = true, help_heading = "Global options")]
    pub insecure_http: bool,
}

/// What a command takes that an API key may run.
#[derive(Args, Clone, Debug, Default)]
pub struct ApiKeyArgs {
    /// Work with the API key in this file instead of this device's session; otherwise with BAILIWICK_API_KEY, if that is set
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
}

/// The arguments of such a command.
#[derive(Args, Debug)]
pub struct ByKey<A: Args> {
    #[command(flatten)]
    arguments: A,
    #[command(flatten)]
    key: ApiKeyArgs,
}

/// The commands of the client.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make an account, and sign in to it
    Signup(signup::SignUpArgs),
    /// Sign in
    Login(login::LoginArgs),
    /// Let a device in that shows a link (`bailiwick login --pair`)
    Pair(pair::PairArgs),
    /// Sign out; what this device keeps is worthless from then on
    Logout,
    /// Say which account this device is signed in to
    Whoami(ApiKeyArgs),
    /// List sessions, or end them
    Sessions(sessions::SessionsArgs),
    /// List devices, or sign one out
    Devices(sessions::DevicesArgs),
    /// List passkeys; they are added and used where there is a browser
    Passkeys,
    /// Change the password, or rotate the master key
    Password(account::PasswordArgs),
    /// List what lets you in, name it, revoke it
    Methods(methods::MethodsArgs),
    /// Make, replace or revoke a recovery key, which lets you in when all else is lost
    RecoveryKey(methods::RecoveryKeyArgs),
    /// Make ten new backup codes; the old ones end
    Codes(account::CodesArgs),
    /// Set up the authenticator app anew
    Totp(account::TotpArgs),
    /// Make API keys for programs, and decide from where they may be used
    ApiKeys(api_keys::ApiKeysArgs),
    /// Answer an application that asks for your consent, list what you allowed, take it back
    Authorize(authorize::AuthorizeArgs),
    /// Keep a file or a folder, sealed
    Put(ByKey<files::PutArgs>),
    /// Get a file or a folder back
    Get(ByKey<files::GetArgs>),
    /// List files
    Ls(ByKey<list::LsArgs>),
    /// Remove a file or a folder
    Rm(ByKey<list::RmArgs>),
    /// Bring a folder and its remote copy together
    Sync(ByKey<sync::SyncArgs>),
    /// Make collections of files, and name and remove them: each can be shared by itself
    Collections(collections::CollectionsArgs),
    /// List the versions of a file, or put it back to one
    Versions(ByKey<versions::VersionsArgs>),
    /// Let another account read files, or write them too
    Share(sharing::ShareArgs),
    /// Take that back
    Unshare(sharing::UnshareArgs),
    /// List what is shared, by whom and with whom
    Shares,
    /// Show what two people compare to be sure of each other's keys
    Fingerprint(sharing::FingerprintArgs),
    /// Run a customer's tenant: its people, organisations, devices, roles and policies
    Tenant(tenant::TenantArgs),
    /// Suspend an account, as an administrator of the platform
    Accounts(accounts::AccountsArgs),
    /// Say why somebody may or may not do something in a tenant, who may, and what somebody may
    Why(tenant::WhyArgs),
    /// Show the history of the account
    Log(ByKey<log::LogArgs>),
    /// Check that nobody rewrote the history
    Verify(ByKey<history::VerifyArgs>),
    /// Take everything along, to be read with no server
    Export(history::ExportArgs),
    /// Delete the account and everything in it
    DeleteAccount(account::DeleteArgs),
    /// Print an access token, or show what is in one
    Token(account::TokenArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "bash:  bailiwick completions bash > ~/.local/share/bash-completion/completions/bailiwick
zsh:   bailiwick completions zsh > ~/.zfunc/_bailiwick    (with `fpath+=~/.zfunc` before compinit)
fish:  bailiwick completions fish > ~/.config/fish/completions/bailiwick.fish"
)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Runs a command and says what became of it. Makes its own async runtime: not to be called from within one.
///
/// `completions` needs the whole program's commands and is run by [`completions`].
pub fn run(command: Command, globals: Globals) -> ExitCode {
    let json = globals.json;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            runtime.spawn(interrupt::watch());
            let done = runtime.block_on(dispatch(command, globals));
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(Failure::failed("no_runtime", format!("the program cannot start: {error}"))),
    };
    match done.and_then(|()| told()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// Fails when the result is not where it should be, such as on a disk that is full.
fn told() -> Result<(), Failure> {
    match unsaid() {
        None => Ok(()),
        Some(error) => {
            let text = format!("it is done, but the result could not be written: {}", disk::said(error));
            Err(Failure::failed("output", text))
        }
    }
}

/// Prints the completion script of the whole program, whose commands only its binary knows.
pub fn completions(arguments: &CompletionsArgs, mut program: clap::Command) -> ExitCode {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, name, &mut script);
    say_bytes(&script);
    told().map_or_else(|failure| failure.report(false), |()| ExitCode::SUCCESS)
}

async fn dispatch(command: Command, globals: Globals) -> Result<(), Failure> {
    let mut context = Context::new(globals)?;
    match command {
        Command::Signup(arguments) => signup::sign_up(&mut context, arguments).await,
        Command::Login(arguments) => login::log_in(&mut context, arguments).await,
        Command::Pair(arguments) => pair::pair(&mut context, arguments).await,
        Command::Logout => login::log_out(&mut context).await,
        Command::Whoami(key) => whoami::who_am_i(&mut context.by_key(key)).await,
        Command::Sessions(arguments) => sessions::sessions(&mut context, arguments).await,
        Command::Devices(arguments) => sessions::devices(&mut context, arguments).await,
        Command::Passkeys => passkeys::list(&mut context).await,
        Command::Password(arguments) => account::password(&mut context, arguments).await,
        Command::Methods(arguments) => methods::methods(&mut context, arguments).await,
        Command::RecoveryKey(arguments) => methods::recovery_key(&mut context, arguments).await,
        Command::Codes(arguments) => account::codes(&mut context, arguments).await,
        Command::Totp(arguments) => account::totp(&mut context, arguments).await,
        Command::ApiKeys(arguments) => api_keys::api_keys(&mut context, arguments).await,
        Command::Authorize(arguments) => authorize::authorize(&context, arguments).await,
        Command::Put(given) => files::put(&mut context.by_key(given.key), given.arguments).await,
        Command::Get(given) => files::get(&mut context.by_key(given.key), given.arguments).await,
        Command::Ls(given) => list::list(&mut context.by_key(given.key), given.arguments).await,
        Command::Rm(given) => list::remove(&mut context.by_key(given.key), given.arguments).await,
        Command::Sync(given) => sync::sync(&mut context.by_key(given.key), given.arguments).await,
        Command::Collections(arguments) => collections::collections(&mut context, arguments).await,
        Command::Versions(given) => versions::versions(&mut context.by_key(given.key), given.arguments).await,
        Command::Share(arguments) => sharing::share(&mut context, arguments).await,
        Command::Unshare(arguments) => sharing::unshare(&mut context, arguments).await,
        Command::Shares => sharing::shares(&mut context).await,
        Command::Fingerprint(arguments) => sharing::fingerprint(&mut context, arguments).await,
        Command::Accounts(arguments) => accounts::accounts(&context, arguments).await,
        Command::Tenant(arguments) => tenant::tenant(&mut context, arguments).await,
        Command::Why(arguments) => tenant::why(&context, arguments).await,
        Command::Log(given) => log::log(&mut context.by_key(given.key), given.arguments).await,
        Command::Verify(given) => history::verify(&mut context.by_key(given.key), given.arguments).await,
        Command::Export(arguments) => history::export(&mut context, arguments).await,
        Command::DeleteAccount(arguments) => account::delete(&mut context, arguments).await,
        Command::Token(arguments) => account::token(&mut context, arguments).await,
        Command::Completions(arguments) => {
            completions(&arguments, Command::augment_subcommands(clap::Command::new("bailiwick")));
            Ok(())
        }
    }
}
