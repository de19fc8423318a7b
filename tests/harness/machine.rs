// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::dialogue::Dialogue;
use crate::outcome::Outcome;
use crate::person::{Factor, Person};
use crate::process::{binary, without_settings};
use crate::terminal::Terminal;
use crate::unique;

/// One configuration folder of the command line: somebody's laptop, or a thief's.
pub struct Machine {
    folder: TempDir,
    server: String,
}

impl Machine {
    /// A machine that was never used, for a server at this address.
    pub fn new(server: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("bailiwick-machine.").tempdir().expect("a temporary folder");
        Self { folder, server: server.to_owned() }
    }

    /// A copy of everything on this machine, as a backup or a thief would take it.
    pub fn copied(&self) -> Self {
        let copy = Self::new(&self.server);
        crate::files::copy_tree(self.config(), copy.config());
        copy
    }

    /// The same machine, speaking to the server by another address.
    pub fn through(mut self, server: &str) -> Self {
        server.clone_into(&mut self.server);
        self
    }

    /// Its configuration folder.
    pub fn config(&self) -> &Path {
        self.folder.path()
    }

    /// A path in a scratch folder of this machine, for what is to be fetched.
    pub fn scratch(&self, name: &str) -> PathBuf {
        // Beside the configuration folder would outlive the test; inside is never read by the command line.
        let folder = self.folder.path().join("scratch");
        fs::create_dir_all(&folder).expect("a scratch folder");
        folder.join(name)
    }

    /// The command, ready to run: for those that are killed half-way, or run beside each other.
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Command {
        // A command that hangs is a failure with a message, not a test that never ends.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "300"]).arg(binary()).args(arguments);
        self.configure(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Begins a command at a terminal of its own.
    pub fn at_terminal<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Terminal {
        let mut command = Command::new(binary());
        command.args(arguments);
        self.configure(&mut command);
        Terminal::begin(&command)
    }

    fn configure(&self, command: &mut Command) {
        without_settings(command);
        command.env("BAILIWICK_CONFIG_DIR", self.config()).env("BAILIWICK_SERVER", &self.server);
        command.env("HOME", self.config()).env_remove("XDG_CONFIG_HOME");
        // Whoever runs the tests keeps their own keychain as it is.
        command.env("BAILIWICK_KEYCHAIN", "off");
    }

    /// Runs the command line with nothing on its standard input.
    #[track_caller]
    pub fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Runs the command line with this on its standard input.
    #[track_caller]
    pub fn run_with<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I, input: &str) -> Outcome {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        let shown = shown(&command);
        let mut child = command.spawn().expect("the binary starts");
        // It may end before it has read everything.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        Outcome::new(shown, child.wait_with_output().expect("its output"))
    }

    /// Begins a command that is talked with.
    pub fn talk<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Dialogue {
        Dialogue::begin(self.command(arguments))
    }

    /// Runs the command line with these variables set, and nothing on its standard input.
    #[track_caller]
    pub fn run_in<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        &self,
        arguments: I,
        environment: &[(&str, &str)],
    ) -> Outcome {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let shown = shown(&command);
        Outcome::new(shown, command.output().expect("the binary starts"))
    }

    /// Signs up somebody new, with an address and a password that nobody else has.
    #[track_caller]
    pub fn sign_up(&self) -> Person {
        self.sign_up_as(
            &format!("{}@example.org", unique("person-")),
            &unique("correct horse battery staple "),
        )
    }

    /// Signs up with this address and this password, and checks the form of the answer.
    #[track_caller]
    pub fn sign_up_as(&self, email: &str, password: &str) -> Person {
        let answer = self.try_sign_up(email, password).json();
        let text = |name: &str| {
            answer[name]
                .as_str()
                .unwrap_or_else(|| panic!("signup gives `{name}` as a string: {answer}"))
                .to_owned()
        };
        let codes = texts(&answer["backup_codes"]);
        assert_eq!(codes.len(), 10, "ten backup codes: {answer}");
        Person::new(email, password, &text("account_id"), &text("totp_secret"), codes)
    }

    /// Signs up, and leaves the outcome to the caller.
    #[track_caller]
    pub fn try_sign_up(&self, email: &str, password: &str) -> Outcome {
        self.run_with(["signup", "--email", email, "--password-stdin", "--json"], &format!("{password}\n"))
    }

    /// Signs in with the password and a second factor that was not used yet.
    #[track_caller]
    pub fn sign_in(&self, person: &Person) -> Outcome {
        self.sign_in_with(person, &person.password.borrow(), &person.factor())
    }

    /// Signs in with this password and this second factor.
    #[track_caller]
    pub fn sign_in_with(&self, person: &Person, password: &str, factor: &Factor) -> Outcome {
        let (option, code) = match factor {
            Factor::Otp(code) => ("--otp", code),
            Factor::BackupCode(code) => ("--backup-code", code),
        };
        self.run_with(
            ["login", "--email", &person.email, "--password-stdin", option, code, "--json"],
            &format!("{password}\n"),
        )
    }

    /// Changes the password while signed in.
    #[track_caller]
    pub fn change_password(&self, person: &Person, new: &str) -> Outcome {
        let old = person.password.borrow().clone();
        let outcome =
            self.run_with(["password", "change", "--password-stdin", "--json"], &format!("{old}\n{new}\n"));
        if outcome.is_done() {
            person.password.replace(new.to_owned());
        }
        outcome
    }

    /// Replaces the backup codes, and hands the new ones to their owner.
    #[track_caller]
    pub fn regenerate_codes(&self, person: &Person) -> Vec<String> {
        let old = person.backup_codes.borrow().clone();
        let input = format!("{}\n", person.password.borrow());
        let mut arguments = vec!["codes".to_owned(), "regenerate".to_owned(), "--password-stdin".to_owned()];
        match person.factor() {
            Factor::Otp(code) => arguments.extend(["--otp".to_owned(), code]),
            Factor::BackupCode(code) => arguments.extend(["--backup-code".to_owned(), code]),
        }
        arguments.push("--json".to_owned());
        let answer = self.run_with(arguments, &input).json();
        person.replace_backup_codes(texts(&answer["backup_codes"]));
        old
    }

    /// Makes a new master key and re-seals everything under it.
    #[track_caller]
    pub fn rotate_key(&self, person: &Person) -> Outcome {
        let input = format!("{}\n", person.password.borrow());
        self.run_with(["password", "rotate-key", "--password-stdin", "--json"], &input)
    }

    /// Puts a file or a folder.
    #[track_caller]
    pub fn put(&self, local: &Path, remote: &str) -> Outcome {
        self.run([OsStr::new("put"), local.as_os_str(), remote.as_ref(), "--json".as_ref()])
    }

    /// Fetches a file or a folder.
    #[track_caller]
    pub fn get(&self, remote: &str, local: &Path) -> Outcome {
        self.run([OsStr::new("get"), remote.as_ref(), local.as_os_str(), "--json".as_ref()])
    }

    /// Checks the history.
    #[track_caller]
    pub fn verify(&self) -> Outcome {
        self.run(["verify", "--json"])
    }

    /// Checks the history, which must be whole, and says how many records that covered.
    #[track_caller]
    pub fn verified_records(&self) -> u64 {
        let answer = self.verify().json();
        assert_eq!(answer["verified"], Value::Bool(true), "{answer}");
        assert!(!answer["checkpoint"].is_null(), "verify names the checkpoint: {answer}");
        answer["records"].as_u64().unwrap_or_else(|| panic!("verify counts records: {answer}"))
    }

    /// The records of one's own history.
    #[track_caller]
    pub fn log(&self) -> Vec<Value> {
        self.run(["log", "--json"]).entries()
    }

    /// The live sessions.
    #[track_caller]
    pub fn sessions(&self) -> Vec<Value> {
        self.run(["sessions", "--json"]).entries()
    }
}

pub(crate) fn shown(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    words.iter().skip_while(|word| !word.ends_with("bailiwick")).cloned().collect::<Vec<_>>().join(" ")
}

fn texts(values: &Value) -> Vec<String> {
    values
        .as_array()
        .unwrap_or_else(|| panic!("a list of strings: {values}"))
        .iter()
        .map(|value| value.as_str().unwrap_or_else(|| panic!("a string: {value}")).to_owned())
        .collect()
}
