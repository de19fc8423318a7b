// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::machine::shown;
use crate::outcome::Outcome;

/// A command that says one line of JSON after the other, and is told things in between.
pub struct Dialogue {
    shown: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Dialogue {
    pub(crate) fn begin(mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        let shown = shown(&command);
        let mut child = command.spawn().expect("the binary starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { shown, child, input, output }
    }

    /// The next line, which must be this event.
    #[track_caller]
    pub fn hears(&mut self, event: &str) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output");
        let value: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        if value["event"] != event {
            let mut error = String::new();
            if line.is_empty() {
                let _ = self.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut error));
            }
            panic!("`{}` should say {event}, and said: {line}{error}", self.shown);
        }
        value
    }

    /// The next line, which answers what it was told.
    #[track_caller]
    pub fn hears_answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output");
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("`{}` should answer, and said: {line}", self.shown))
    }

    /// Tells it a line.
    pub fn says(&mut self, line: &str) {
        // It may have ended; what it then says at its end tells more.
        let _ = writeln!(self.input.as_mut().expect("open"), "{line}");
    }

    /// Waits for its end; what was heard before is left out.
    pub fn ends(mut self) -> Outcome {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("its output");
        let mut output = self.child.wait_with_output().expect("its end");
        output.stdout = rest.into_bytes();
        Outcome::new(self.shown, output)
    }
}
