// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::env;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The program under test: `BAILIWICK_BIN`, or `bailiwick` beside the folder of the running test.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| {
            let binary = env::var_os("BAILIWICK_BIN").map(PathBuf::from).unwrap_or_else(|| {
                let test = env::current_exe().expect("a test knows where it is");
                test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("bailiwick")
            });
            assert!(
                binary.is_file(),
                "there is no {}: `make test` builds it, or set BAILIWICK_BIN",
                binary.display()
            );
            binary
        })
        .clone()
}

/// A command that dies with the thread that starts it, so that a killed test leaves nothing behind, and that
/// inherits none of the settings of whoever runs the tests.
pub(crate) fn leashed(program: &PathBuf) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    without_settings(&mut command);
    command
}

/// Takes Bailiwick's settings out of a command's environment.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("BAILIWICK_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG");
}

/// A port of 127.0.0.1 that nothing listens on, below those that the system hands out by itself, so that it is
/// still free when a server is started again. No other test gets it while this process lives.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    loop {
        let random =
            u16::from_le_bytes([uuid::Uuid::new_v4().as_bytes()[0], uuid::Uuid::new_v4().as_bytes()[1]]);
        let port = 10_000 + random % 20_000;
        // Names of this kind are nobody's as soon as whoever has one is gone.
        let name = SocketAddr::from_abstract_name(format!("bailiwick-test-port-{port}")).expect("a name");
        let Ok(held) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().expect("no panic").push(held);
            return port;
        }
    }
}
