// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one program: the server and the command line.

use std::process::ExitCode;

use clap::Parser;

/// Accounts that the server cannot read, storage sealed end to end, and a history that nobody rewrites.
#[derive(Parser)]
#[command(name = "bailiwick", version, propagate_version = true)]
struct Program {
    #[command(subcommand)]
    command: server::cli::Command,
}

fn main() -> ExitCode {
    server::cli::run(Program::parse().command)
}
