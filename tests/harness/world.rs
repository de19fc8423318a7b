// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::engine::Engine;
use crate::machine::Machine;
use crate::postgres::{Database, Role};
use crate::process::{binary, free_port, leashed};

/// How long a server may take to be ready, on a crowded machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// How long a letter may be on its way.
const LETTER_WITHIN: Duration = Duration::from_secs(20);

/// One server with everything that it keeps, and nothing else in it.
pub struct World {
    engine: Engine,
    folder: TempDir,
    data: PathBuf,
    database: Option<Arc<Database>>,
    login_url: Option<String>,
    port: u16,
    is_tls: bool,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    server: Option<Child>,
}

/// Why a server did not start.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it said.
    pub said: String,
}

impl World {
    /// A place for a server that was never started.
    pub fn on(engine: Engine) -> Self {
        Self::with_database(engine, (engine == Engine::Postgresql).then(Database::create))
    }

    /// A place for a server, with this database.
    pub fn with_database(engine: Engine, database: Option<Database>) -> Self {
        Self::with(engine, database.map(Arc::new))
    }

    fn with(engine: Engine, database: Option<Arc<Database>>) -> Self {
        let folder =
            tempfile::Builder::new().prefix("bailiwick-world.").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        Self {
            engine,
            data,
            database,
            login_url: None,
            folder,
            port: free_port(),
            is_tls: false,
            arguments: Vec::new(),
            environment: Vec::new(),
            server: None,
        }
    }

    /// A place with a server that is ready.
    #[track_caller]
    pub fn started(engine: Engine) -> Self {
        let mut world = Self::on(engine);
        world.start();
        world
    }

    /// A place for another server on the same PostgreSQL database, with the same keys.
    pub fn beside(&self) -> Self {
        assert_eq!(self.engine, Engine::Postgresql, "one process to a folder of SQLite files");
        let mut beside = Self::with(self.engine, self.database.clone());
        beside.data.clone_from(&self.data);
        beside.login_url.clone_from(&self.login_url);
        beside.arguments.clone_from(&self.arguments);
        beside.environment.clone_from(&self.environment);
        beside
    }

    /// What this server keeps its records in.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The server's data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Puts the data folder elsewhere. Before the first start.
    pub fn keep_data_in(&mut self, folder: &Path) {
        folder.clone_into(&mut self.data);
    }

    /// A folder that goes with this world, and that the server knows nothing of.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The PostgreSQL database.
    #[track_caller]
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("a world on PostgreSQL")
    }

    /// The PostgreSQL database, for somebody who keeps it while the world changes.
    #[track_caller]
    pub fn shared_database(&self) -> Arc<Database> {
        Arc::clone(self.database.as_ref().expect("a world on PostgreSQL"))
    }

    /// Makes the server log in to the database by another address from the next start on; `None` for the right one.
    pub fn log_in_by(&mut self, url: Option<String>) {
        self.login_url = url;
    }

    /// Where the server listens.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.is_tls { "https" } else { "http" }, self.port)
    }

    /// The same, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes the server speak TLS from the next start on; gives the certificate of the authority that signed its own.
    pub fn speak_tls(&mut self) -> PathBuf {
        crate::certify(self.folder.path());
        self.is_tls = true;
        let at = |name: &str| self.folder.path().join(name);
        let (certificate, key) = (at("server.pem"), at("server.key"));
        self.set("BAILIWICK_TLS_CERTIFICATE", certificate);
        self.set("BAILIWICK_TLS_KEY", key);
        self.folder.path().join("authority.pem")
    }

    /// From the next start on the server speaks TLS, with certificates that it gets by itself.
    pub fn has_certificates_by_itself(&mut self) {
        self.is_tls = true;
    }

    /// The port that it listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What all servers of this world logged.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// What all servers of this world logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// A machine that was never used.
    pub fn machine(&self) -> Machine {
        Machine::new(&self.url())
    }

    /// Adds words to the server's command line from the next start on.
    pub fn argue<S: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = S>) {
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }

    /// Sets a variable of the server's environment from the next start on.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.unset(&name);
        self.environment.push((name, value.into()));
    }

    /// Takes a variable that was set out again.
    pub fn unset(&mut self, name: impl Into<OsString>) {
        let name = name.into();
        self.environment.retain(|(existing, _)| *existing != name);
    }

    /// Starts the server and waits until it is ready.
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(refusal) = self.try_start() {
            panic!("the server on {} should start: {refusal:?}", self.engine);
        }
    }

    /// Starts the server and waits until it is ready, or until it says why not.
    #[track_caller]
    pub fn try_start(&mut self) -> Result<(), Refusal> {
        assert!(self.server.is_none(), "one server at a time");
        let logged_before = self.log().len();
        let mut command = self.command("serve");
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]).args(&self.arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(self.open_log()).spawn().expect("the binary starts");

        let (line_sent, line) = mpsc::channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody may be waiting any more; the pipe is read all the same.
                let _ = line_sent.send(text);
            }
        });
        match line.recv_timeout(READY_WITHIN) {
            Ok(text) => {
                assert_eq!(text, format!("ready {}", self.url()), "the first line on standard output");
                self.server = Some(child);
                Ok(())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("it ended");
                let said = self.log().split_off(logged_before);
                Err(Refusal { status: status.code(), said })
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("the server is not ready after {READY_WITHIN:?}:\n{}", self.log());
            }
        }
    }

    /// Asks the server to stop, and waits until it has.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut server = self.server.take().expect("a started server");
        let asked = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().expect("kill");
        assert!(asked.success(), "the server was still there");
        server.wait().expect("it ends")
    }

    /// Kills the server as a power cut would.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("a started server");
        server.kill().expect("it was still there");
        server.wait().expect("it ends");
    }

    /// Stops the server and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// The process id of the running server.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("a started server").id()
    }

    /// The file with the root key that the server made at its first start.
    #[track_caller]
    pub fn root_key(&self) -> PathBuf {
        let mut found = Vec::new();
        crate::files::visit(self.folder(), &mut |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            if name.contains("root") && !name.ends_with(".log") {
                found.push(path.to_owned());
            }
        });
        assert_eq!(found.len(), 1, "one root key file: {found:?}");
        found.remove(0)
    }

    /// The letters in the outbox, oldest first.
    pub fn letters(&self) -> Vec<String> {
        let mut paths = Vec::new();
        crate::files::visit(self.folder(), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "eml") {
                paths.push(path.to_owned());
            }
        });
        paths.sort_by_key(|path| path.file_name().map(OsStr::to_owned));
        paths.iter().map(|path| fs::read_to_string(path).expect("a letter")).collect()
    }

    /// The newest letter that says all of this. Letters are sent aside from what they tell of: it is waited for.
    #[track_caller]
    pub fn letter(&self, says: &[&str]) -> String {
        let until = Instant::now() + LETTER_WITHIN;
        loop {
            let letters = self.letters();
            let found = letters.iter().rfind(|letter| says.iter().all(|word| letter.contains(word)));
            match found {
                Some(letter) => return letter.clone(),
                None if Instant::now() > until => panic!("no letter says {says:?}: {letters:#?}"),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// A command of the binary about this world's data: `serve`, `check`, `root-key status`, …
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = leashed(&binary());
        command.args(subcommand.split(' ')).arg("--data").arg(&self.data);
        if let Some(database) = &self.database {
            let login_url = self.login_url.clone().unwrap_or_else(|| database.url(Role::App));
            command.args(["--database-url", &login_url]);
            command.args(["--migration-database-url", &database.url(Role::Owner)]);
        }
        command.env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    fn open_log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log file")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- the server's log on {}, its end", self.engine);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
