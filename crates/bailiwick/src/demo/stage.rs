// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder for everything, and a server in a process of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::DemoError;

/// Where the demo takes place.
pub(super) struct Stage {
    folder: PathBuf,
    /// Removed when it is dropped, unless it is to be left.
    temporary: Option<TempDir>,
    program: PathBuf,
    port: u16,
    server: Option<Server>,
}

/// A running server. Its standard output stays open, so that it can always say something there.
struct Server {
    child: Child,
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Stage {
    /// A folder, and a port that nobody listens on.
    pub(super) fn set(folder: Option<PathBuf>) -> Result<Stage, DemoError> {
        let (folder, temporary) = match folder {
            Some(folder) => {
                let is_taken = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
                if is_taken {
                    return Err(DemoError::Folder(folder));
                }
                fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
                (fs::canonicalize(&folder).map_err(|error| failed(&folder, error))?, None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("bailiwick-demo.").tempdir();
                let temporary =
                    temporary.map_err(|error| DemoError::Io("a temporary folder".to_owned(), error))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let program = std::env::current_exe()
            .map_err(|error| DemoError::Io("this program cannot be found".to_owned(), error))?;
        let port = free_port().ok_or(DemoError::NoPort)?;
        Ok(Stage { folder, temporary, program, port, server: None })
    }

    /// The server's address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the server keeps.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What somebody's machine keeps.
    pub(super) fn config_of(&self, person: &str) -> PathBuf {
        self.folder.join("people").join(person)
    }

    /// A file for the story.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// This program, with nothing set from outside.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BAILIWICK_"))
        {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// The words that start the server, as they can be typed.
    pub(super) fn serve_words(&self) -> Vec<String> {
        let data = self.data().display().to_string();
        ["serve", "--data", &data, "--listen", &format!("127.0.0.1:{}", self.port)]
            .map(str::to_owned)
            .to_vec()
    }

    /// Starts the server, and waits until it is ready.
    pub(super) fn start(&mut self) -> Result<(), DemoError> {
        let path = self.folder.join("server.log");
        let log =
            File::options().create(true).append(true).open(&path).map_err(|error| failed(&path, error))?;
        let mut command = self.command();
        command.args(self.serve_words()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| failed(&self.program, error))?;
        let mut stdout = child.stdout.take().map(BufReader::new);
        let mut line = String::new();
        let is_read = stdout.as_mut().is_some_and(|stdout| stdout.read_line(&mut line).is_ok());
        let is_ready = is_read && line.starts_with("ready ");
        self.server = Some(Server { child, _stdout: stdout });
        if is_ready {
            return Ok(());
        }
        let said = fs::read_to_string(&path).unwrap_or_default();
        let last: Vec<_> = said.lines().rev().take(10).collect();
        Err(DemoError::NoServer(last.into_iter().rev().collect::<Vec<_>>().join("\n")))
    }

    /// Stops the server, and waits until it has.
    pub(super) fn stop(&mut self) -> Result<(), DemoError> {
        let Some(Server { mut child, _stdout }) = self.server.take() else { return Ok(()) };
        // It finishes what it is at, where it can be asked to.
        let asked =
            Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = child.kill();
        }
        child.wait().map_err(|error| DemoError::Io("the server does not stop".to_owned(), error))?;
        Ok(())
    }

    /// Leaves the folder where it is.
    pub(super) fn keep(&mut self) -> PathBuf {
        match self.temporary.take() {
            Some(temporary) => temporary.keep(),
            None => self.folder.clone(),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(Server { mut child, .. }) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that nobody listens on, below those that systems hand out by themselves, so that it is still free when the server is
/// started again. Each process begins elsewhere to look for one.
fn free_port() -> Option<u16> {
    let from = u16::try_from(std::process::id() % 20_000).unwrap_or(0);
    (0..1_000)
        .map(|step| 10_000 + (from + step) % 20_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

/// What went wrong with a file.
pub(super) fn failed(path: &Path, error: std::io::Error) -> DemoError {
    DemoError::Io(path.display().to_string(), error)
}
