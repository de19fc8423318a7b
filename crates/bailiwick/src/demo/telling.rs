// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What whoever watches reads; or, with `--json`, one document at the end.

use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::DemoError;
use super::person::Said;
use super::stage::Stage;

/// Tells the story.
pub(super) struct Telling {
    json: bool,
    steps: Vec<Step>,
}

/// A step that was told, and what was typed in it.
struct Step {
    title: String,
    commands: Vec<Value>,
}

impl Telling {
    pub(super) fn new(json: bool) -> Self {
        Telling { json, steps: Vec::new() }
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str, words: &str) {
        self.steps.push(Step { title: title.to_owned(), commands: Vec::new() });
        let number = self.steps.len();
        self.line(&format!("\n{number}. {title}\n"));
        self.say(words);
    }

    /// Says something on the way.
    pub(super) fn say(&self, words: &str) {
        for line in words.lines() {
            self.line(&format!("   {line}"));
        }
    }

    /// Shows a command and what it said.
    pub(super) fn typed(&mut self, who: &str, words: &[&str], said: &Said) {
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let command = format!("bailiwick {}", quoted.join(" "));
        self.line(&format!("\n   {who}$ {command}"));
        for line in said.stdout.lines().chain(said.stderr.lines()) {
            self.line(&format!("     {line}"));
        }
        if let Some(step) = self.steps.last_mut() {
            step.commands.push(json!({ "who": who, "command": command, "status": said.status }));
        }
    }

    /// How to go on with what is left.
    pub(super) fn how_to_go_on(&self, folder: &Path, stage: &Stage) {
        let people = folder.join("people");
        let serve: Vec<String> = stage.serve_words().iter().map(|word| quoted(word)).collect();
        self.line(&format!("\nEverything is in {}. To go on:\n", folder.display()));
        self.line(&format!("   bailiwick {}", serve.join(" ")));
        self.line("\nand in another terminal, as Ada (or bea, cleo, gil):\n");
        let config = quoted(&people.join("ada").display().to_string());
        self.line(&format!("   export BAILIWICK_CONFIG_DIR={config} BAILIWICK_KEYCHAIN=off"));
        self.line("   bailiwick tenant members list");
        self.line("   bailiwick why --help");
    }

    /// The end.
    pub(super) fn end(&self, kept: Option<&Path>) {
        if self.json {
            let steps: Vec<Value> = self.steps.iter().map(Step::document).collect();
            let document = json!({ "steps": steps, "folder": kept });
            let _ = writeln!(io::stdout().lock(), "{document}");
        } else if kept.is_none() {
            self.line(
                "\nThat was it; the folder is gone again. `bailiwick demo --keep` leaves it to play with.",
            );
        }
    }

    /// Says why there was no end.
    pub(super) fn failed(&self, error: &DemoError) {
        let step = self.steps.last().map(|step| step.title.as_str());
        let mut stderr = io::stderr().lock();
        let _ = if self.json {
            writeln!(
                stderr,
                "{}",
                json!({ "code": "demo_failed", "message": error.to_string(), "step": step })
            )
        } else {
            writeln!(stderr, "bailiwick: {error}")
        };
    }

    /// Whoever reads may have had enough: then the rest is not said, and that is no failure.
    fn line(&self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stdout().lock(), "{text}");
        }
    }
}

impl Step {
    fn document(&self) -> Value {
        json!({ "step": self.title, "commands": self.commands })
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
