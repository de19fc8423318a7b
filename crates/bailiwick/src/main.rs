// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one program: the server and the command line.

mod demo;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// What is freed is wiped first: tokens and keys pass through many buffers on their way (HTTP's, JSON's, the database's) that
/// belong to libraries, and none is to be found there later.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Accounts that the server cannot read, storage sealed end to end, and a history that nobody rewrites.
#[derive(Parser)]
#[command(
    name = "bailiwick",
    version,
    propagate_version = true,
    after_help = "To begin:
  export BAILIWICK_SERVER=https://bailiwick.example   the server that you use (or --server)
  bailiwick signup                                    make an account
  bailiwick put ./photos photos                       keep a folder, sealed
  bailiwick help put                                  more about a command
  bailiwick demo                                      see in a minute what it is for

Exit status: 0 done, 1 failed, 2 wrong usage, 3 verification failed, 4 not signed in, 5 not allowed,
6 server not reachable."
)]
struct Program {
    #[command(flatten)]
    globals: client::cli::Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Client(client::cli::Command),
    #[command(flatten)]
    Server(server::cli::Command),
    /// Show in a minute what this is for: a server, two customers, and what keeps them apart
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    let parsed = program().try_get_matches().and_then(|matches| Program::from_arg_matches(&matches));
    match parsed {
        Ok(Program { command: Command::Client(client::cli::Command::Completions(arguments)), .. }) => {
            client::cli::completions(&arguments, Program::command())
        }
        Ok(Program { command: Command::Demo(arguments), globals }) => demo::run(arguments, globals.json),
        Ok(Program { command: Command::Client(command), globals }) => client::cli::run(command, globals),
        Ok(Program { command: Command::Server(command), globals }) => server::cli::run(command, globals.json),
        Err(error) => client::cli::usage_failed(&error),
    }
}

/// The command line, in which operators' commands do not offer what is for the client alone.
fn program() -> clap::Command {
    let mut program = Program::command();
    program.build();
    let operators = server::cli::Command::augment_subcommands(clap::Command::new("operators"));
    for command in operators.get_subcommands() {
        program = program.mut_subcommand(command.get_name(), without_the_clients);
    }
    program
}

fn without_the_clients(command: clap::Command) -> clap::Command {
    let hide = |argument: clap::Arg| match argument.get_id().as_str() {
        "server" | "config_dir" | "ca_file" | "insecure_http" => argument.hide(true),
        _ => argument,
    };
    command.mut_args(hide).mut_subcommands(without_the_clients)
}
