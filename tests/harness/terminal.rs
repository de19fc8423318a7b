// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long something may take to appear, on a crowded machine.
const SEEN_WITHIN: Duration = Duration::from_secs(120);

/// A command at a terminal of its own (util-linux's `script`), as a person has it: what is typed is seen when the terminal
/// shows it, and Ctrl-C goes to the program that runs.
pub struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    seen_to: usize,
}

/// What was on a terminal's screen at the end of its command.
pub struct Screen {
    /// The exit status; 128 and the signal's number when a signal ended the command.
    pub status: i32,
    /// All that was shown, with line ends as terminals have them taken back.
    pub text: String,
    /// Whether the terminal was left as it was found: echo, line editing, signals.
    pub is_sane: bool,
}

impl Terminal {
    pub(crate) fn begin(command: &Command) -> Self {
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let words: Vec<_> = words.iter().map(|word| quoted(&word.to_string_lossy())).collect();
        // The shell outlives Ctrl-C, to say what became of the terminal; the command does not inherit that.
        let line = format!(
            "trap : INT; stty rows 60 cols 160; before=$(stty -g); {}; status=$?; after=$(stty -g); \
             [ \"$before\" = \"$after\" ] && echo \"{SANE}\"; exit $status",
            words.join(" ")
        );
        let mut script = Command::new("setpriv");
        script.args(["--pdeathsig", "KILL", "--", "script", "--quiet", "--return", "--flush", "--command"]);
        script.arg(line).arg("/dev/null").env("SHELL", "/bin/sh");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = script.spawn().expect("util-linux's script");
        let keyboard = child.stdin.take();
        let mut output = child.stdout.take().expect("piped");
        let (sender, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = output.read(&mut piece) {
                if read == 0 || sender.send(piece[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, screen, bytes: Vec::new(), seen_to: 0 }
    }

    /// Waits until this is shown, after what was waited for before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            let unseen = &self.bytes[self.seen_to..];
            if let Some(at) = unseen.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen_to += at + text.len();
                return self;
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.bytes.extend(piece),
                Err(_) => panic!("{text:?} should be shown; there is:\n{}", text_of(&self.bytes)),
            }
        }
    }

    /// Types a line, and Enter.
    pub fn types(&mut self, line: &str) -> &mut Self {
        self.presses(&format!("{line}\r"))
    }

    /// Presses Ctrl-C.
    pub fn interrupts(&mut self) -> &mut Self {
        self.presses("\x03")
    }

    fn presses(&mut self, keys: &str) -> &mut Self {
        // The command may have ended; what is on the screen then tells more.
        let _ = self.keyboard.as_mut().expect("open").write_all(keys.as_bytes());
        self
    }

    /// What was shown so far.
    pub fn shown(&self) -> String {
        text_of(&self.bytes)
    }

    /// Waits for the end of the command.
    #[track_caller]
    pub fn ends(mut self) -> Screen {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.bytes.extend(piece),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it should end: {}", self.shown()),
            }
        }
        let status = self.child.wait().expect("its end").code().expect("no signal ends it");
        let text = self.shown();
        let is_sane = text.contains(SANE);
        Screen { status, text: text.replace(SANE, ""), is_sane }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.keyboard.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the shell says when the terminal is as it was.
const SANE: &str = "[the terminal is as it was]";

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
