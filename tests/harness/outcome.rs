// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::fmt;
use std::process::Output;

use serde_json::Value;

/// What a command did: its exit status and what it printed.
#[derive(Clone)]
pub struct Outcome {
    command: String,
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// What a command did that was run by other means.
    pub fn new(command: String, output: Output) -> Self {
        Self {
            command,
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Exit status 0, or the test ends here.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.status, Some(0), "should succeed: {self}");
        self
    }

    /// Whether it succeeded.
    pub fn is_done(&self) -> bool {
        self.status == Some(0)
    }

    /// The one JSON document that a successful command with `--json` printed.
    #[track_caller]
    pub fn json(self) -> Value {
        let done = self.done();
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("not one JSON document ({error}): {done}"))
    }

    /// The entries that a successful command with `--json` listed, as NDJSON, as one array, or as one object with one array.
    #[track_caller]
    pub fn entries(self) -> Vec<Value> {
        let done = self.done();
        let documents: Vec<Value> = serde_json::Deserializer::from_str(&done.stdout)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("not JSON ({error}): {done}"));
        match documents.as_slice() {
            [Value::Array(entries)] => entries.clone(),
            [Value::Object(fields)] => {
                match fields.values().filter_map(Value::as_array).collect::<Vec<_>>()[..] {
                    [entries] => entries.clone(),
                    _ => documents,
                }
            }
            _ => documents,
        }
    }

    /// A refusal as scripts see it: this exit status, nothing on standard output, and one JSON object with a `code`
    /// on standard error.
    #[track_caller]
    pub fn refused(self, status: i32) -> Problem {
        assert_eq!(self.status, Some(status), "should be refused with status {status}: {self}");
        assert_eq!(self.stdout, "", "a refusal prints nothing on standard output: {self}");
        assert!(!self.stderr.contains("os error"), "a person reads it: {self}");
        let document: Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("standard error is not one JSON document ({error}): {self}"));
        let code = document
            .get("code")
            .and_then(Value::as_str)
            .filter(|code| !code.is_empty())
            .unwrap_or_else(|| panic!("no `code` in the error: {self}"))
            .to_owned();
        Problem { code, document }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` ended with {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}

/// An error as `--json` prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The stable name of what went wrong.
    pub code: String,
    /// The whole object.
    pub document: Value,
}
