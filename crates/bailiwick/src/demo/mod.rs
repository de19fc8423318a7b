// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bailiwick demo`: a server, two customers and their people, in a folder of their own, and what the walls between them are worth.
//!
//! The people and what they have are made through the SDK. What is shown is this program's own commands, run in front of whoever
//! watches, as they could be typed. Nothing is taken for granted: each answer is compared with what it has to be, and
//! the demo fails where it is another.

mod person;
mod stage;
mod story;
mod telling;
mod thief;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::stage::Stage;
use self::telling::Telling;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Put everything into this new folder, and leave it there [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Leave the folder, and say how to go on with it
    #[arg(long)]
    keep: bool,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A file or a process.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// The folder is not for the demo.
    #[error("{0} is there already, and not empty: name a new folder")]
    Folder(PathBuf),
    /// Every port is taken.
    #[error("no free port was found on this machine")]
    NoPort,
    /// The server did not start.
    #[error("the server did not start; it said:\n{0}")]
    NoServer(String),
    /// Somebody could not sign up.
    #[error("{0} could not sign up: {1}")]
    SignUp(&'static str, #[source] client::SignInError),
    /// Their session could not be kept.
    #[error(transparent)]
    Profile(#[from] client::ProfileError),
    /// The server refused what it should not have.
    #[error(transparent)]
    Request(#[from] client::RequestError),
    /// A file could not be put.
    #[error("a file could not be kept: {0}")]
    Drive(String),
    /// The database file.
    #[error("the database file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// What was shown is not what has to be: the one thing that the demo is for.
    #[error("this must not be: {0}")]
    Wrong(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demo. Makes its own async runtime.
pub(crate) fn run(arguments: DemoArgs, json: bool) -> ExitCode {
    let mut telling = Telling::new(json);
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| DemoError::Io("the program cannot start".to_owned(), error))
        .and_then(|runtime| runtime.block_on(perform(arguments, &mut telling)));
    match done {
        Ok(kept) => {
            telling.end(kept.as_deref());
            ExitCode::SUCCESS
        }
        Err(error) => {
            telling.failed(&error);
            ExitCode::FAILURE
        }
    }
}

/// From the first sign-up to the end. Gives the folder, if it is left.
async fn perform(arguments: DemoArgs, telling: &mut Telling) -> Result<Option<PathBuf>, DemoError> {
    let keep = arguments.keep || arguments.data.is_some();
    let mut stage = Stage::set(arguments.data)?;
    tokio::select! {
        told = story::tell(&mut stage, telling) => told?,
        _ = tokio::signal::ctrl_c() => return Err(DemoError::Interrupted),
    }
    stage.stop()?;
    let kept = keep.then(|| stage.keep());
    if let Some(folder) = &kept {
        telling.how_to_go_on(folder, &stage);
    }
    Ok(kept)
}
