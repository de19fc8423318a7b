// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading on a public computer (`login --pair --public`): nothing of the account is kept on it, and the session ends with the
//! command, or after a quarter of an hour.
//!
//! What is typed reads like the command line itself. For programs each answer is a line of JSON, and each failure one on
//! standard error; the end of standard input is `exit`.

use std::time::Duration;

use clap::{Parser, Subcommand};
use protocol::Code;
use protocol::signin::Session;
use serde_json::json;
use zeroize::Zeroizing;

use super::context::Context;
use super::failure::Failure;
use super::{files, list, prompt};
use crate::client::opened::Opened;
use crate::client::pairing::PublicAccount;
use crate::output::{harmless, moment};

/// What is typed while a public computer is let in.
#[derive(Parser, Debug)]
#[command(
    multicall = true,
    disable_help_flag = true,
    about = "A public computer reads, and does nothing else.",
    override_usage = "ls, get, exit"
)]
struct Line {
    #[command(subcommand)]
    command: Reading,
}

#[derive(Subcommand, Debug)]
enum Reading {
    /// List files
    Ls(list::LsArgs),
    /// Get a file or a folder: what is got stays on this computer
    Get(files::GetArgs),
    /// Sign out
    Exit,
}

/// Reads for whoever was let in, until they leave or the session ends. Whatever happens, nobody is signed in afterwards.
pub(super) async fn read(
    context: &mut Context,
    account: &PublicAccount,
    session: &Session,
) -> Result<(), Failure> {
    let output = context.output;
    let document = json!({
        "event": "signed_in",
        "account_id": account.number,
        "account": account.account,
        "home": account.home,
        "session": session.id,
        "expires_at": session.expires_at,
    });
    output.result(&document, || {
        format!(
            "You may read in account {} until {}. Nothing is kept on this computer but the files that you get.\n\
             Type `ls`, `get`, or `exit` when you leave; `help` says more.",
            harmless(&account.number),
            moment(session.expires_at),
        )
    });
    context.open(Opened::from(account));
    let read = tokio::select! {
        read = lines(context) => read,
        () = tokio::time::sleep(LIVES) => Err(Failure::failed(
            Code::SessionEnded.as_str(),
            "the quarter of an hour is over: this computer is signed out",
        )),
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    // A session that is over already is signed out as well.
    let ended = account.client.sign_out().await;
    read?;
    match ended {
        Err(error) if !error.is(Code::SessionEnded) => Err(error.into()),
        _ => {
            output.result(&json!({ "event": "signed_out" }), || "Signed out.".to_owned());
            Ok(())
        }
    }
}

async fn lines(context: &mut Context) -> Result<(), Failure> {
    let json = context.output.is_json();
    loop {
        let Some(line) = next_line(json).await? else { return Ok(()) };
        let Some(words) = shlex::split(&line) else {
            Failure::usage("a quotation mark is missing").report(json);
            continue;
        };
        if words.is_empty() {
            continue;
        }
        let done = match Line::try_parse_from(words) {
            Ok(Line { command: Reading::Exit }) => return Ok(()),
            Ok(Line { command: Reading::Ls(arguments) }) => list::list(context, arguments).await,
            Ok(Line { command: Reading::Get(arguments) }) => files::get(context, arguments).await,
            Err(error) => {
                super::failure::usage_of(&error, json);
                continue;
            }
        };
        match done {
            Err(failure) if failure.is(Code::SessionEnded) => return Err(failure),
            Err(failure) => {
                failure.report(json);
            }
            Ok(()) => {}
        }
    }
}

/// The next line, waited for on a thread of its own, so that the session's end need not wait for it.
async fn next_line(json: bool) -> Result<Option<Zeroizing<String>>, Failure> {
    let asked = tokio::task::spawn_blocking(move || {
        if !json {
            prompt::show("bailiwick> ");
        }
        prompt::line_or_end()
    });
    asked.await.map_err(|_| Failure::failed("interrupted", "interrupted"))?
}

/// As long as a server lets a public computer read.
const LIVES: Duration = Duration::from_secs(15 * 60);
