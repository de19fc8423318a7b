// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the operator's commands answer: in words, or with `--json` as one JSON document (several as NDJSON) on standard
//! output, and errors as one JSON object with a `code` on standard error.
//!
//! Whoever reads an answer may have had enough, as `head` has: then the rest is not said, and the work goes on. That is no failure,
//! but where only the answer says what was done ([`require_told`]). An answer that cannot be written for another reason, such as
//! a full disk, is one.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::start::StartError;

/// Whether JSON was asked for: once for the process, before its one command runs.
static JSON: AtomicBool = AtomicBool::new(false);

/// Why something could not be said on standard output: the first time.
static UNSAID: OnceLock<io::Error> = OnceLock::new();

/// Says that answers are to be JSON.
pub(crate) fn speak_json(json: bool) {
    JSON.store(json, Ordering::Relaxed);
}

fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// What a command has to say when it is done.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    lines: Vec<String>,
    documents: Vec<Value>,
}

impl Answer {
    /// One sentence, and the same as one document.
    pub(crate) fn new(line: impl Into<String>, document: Value) -> Self {
        Answer { lines: vec![line.into()], documents: vec![document] }
    }

    /// A list: each entry a line, and a document of NDJSON.
    pub(crate) fn list(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let (lines, documents) = entries.into_iter().unzip();
        Answer { lines, documents }
    }

    /// One document, and several lines.
    pub(crate) fn of_lines(lines: Vec<String>, document: Value) -> Self {
        Answer { lines, documents: vec![document] }
    }

    pub(crate) fn tell(&self) {
        if is_json() {
            self.documents.iter().for_each(|document| print(&document.to_string()));
        } else {
            self.lines.iter().for_each(|line| print(line));
        }
    }
}

/// A command that has said all it had to say.
impl From<()> for Answer {
    fn from((): ()) -> Self {
        Answer::default()
    }
}

/// Ends a command that did its work.
pub(crate) fn end() -> ExitCode {
    match UNSAID.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => fail(&StartError::Untold(error)),
        _ => ExitCode::SUCCESS,
    }
}

/// Fails when not all was said, be it that nobody reads any more.
///
/// # Errors
/// [`StartError::Untold`].
pub(crate) fn require_told() -> Result<(), StartError> {
    UNSAID.get().map_or(Ok(()), |error| Err(StartError::Untold(error)))
}

/// Says why a command failed.
pub(crate) fn fail(error: &StartError) -> ExitCode {
    refuse(error.code(), error)
}

/// Says why a command failed, under this code.
pub(crate) fn refuse(code: &str, error: &dyn std::error::Error) -> ExitCode {
    let message = without_numbers(&error.to_string());
    if is_json() {
        eprint_line(&json!({ "code": code, "message": message }).to_string());
    } else {
        eprint(&message);
    }
    ExitCode::FAILURE
}

/// Takes out the numbers that the standard library adds to what the operating system said: ` (os error 2)`.
fn without_numbers(text: &str) -> String {
    let mut pieces = text.split(" (os error ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once(')').map_or("", |(_, rest)| rest))
}

pub(crate) fn print(line: &str) {
    if let Err(error) = write_line(&mut io::stdout().lock(), line) {
        let _ = UNSAID.set(error);
    }
}

pub(crate) fn eprint(line: &str) {
    eprint_line(&format!("bailiwick: {line}"));
}

fn eprint_line(line: &str) {
    // Nobody is left to be told that nobody listens.
    let _ = write_line(&mut io::stderr().lock(), line);
}

fn write_line(to: &mut impl Write, line: &str) -> io::Result<()> {
    to.write_all(format!("{line}\n").as_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operating_system_said_is_told_without_its_number() {
        let missing = std::io::Error::from_raw_os_error(2).to_string();
        assert!(missing.contains("os error"));
        let said = without_numbers(&format!("a/key cannot be read: {missing}: give another"));
        assert_eq!(said, "a/key cannot be read: No such file or directory: give another");
        assert_eq!(without_numbers("nothing (of that kind)"), "nothing (of that kind)");
    }
}
