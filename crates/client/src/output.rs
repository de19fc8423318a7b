// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the command line says, to people or to programs.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Why something could not be said on standard output: the first time.
static UNSAID: OnceLock<io::Error> = OnceLock::new();

/// Where results and progress go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A result: the document for programs, the text for people.
    pub(crate) fn result(self, document: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            say(&serde_json::to_string(document).unwrap_or_default());
        } else {
            let text = text();
            if !text.is_empty() {
                say(text.trim_end());
            }
        }
    }

    /// Something on the way that is for people alone.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            write_line(text);
        }
    }

    /// Something that a person must see. For programs it is in the result.
    pub(crate) fn warn(self, text: &str) {
        self.note(&format!("warning: {text}"));
    }

    /// A bar for long work, when a person watches.
    pub(crate) fn bar(self, total: u64, unit: Unit) -> ProgressBar {
        if self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let template = match unit {
            Unit::Bytes => "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
            Unit::Records => "{bar:30} {pos}/{len} records",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(total).with_style(style)
    }
}

/// What a bar counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Bytes,
    Records,
}

/// Columns, each as wide as its widest cell.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A moment in Unix milliseconds as people's clocks here show it, to the second, with the zone.
pub(crate) fn moment(ms: i64) -> String {
    moment_in(ms, TimeZone::system())
}

fn moment_in(ms: i64, zone: TimeZone) -> String {
    Timestamp::from_second(ms.div_euclid(1000))
        .map_or_else(|_| ms.to_string(), |at| at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

/// A number of bytes for people: `1.50 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// A number of things: `1 file`, `2 files`.
pub(crate) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("{number} {one}") } else { format!("{number} {one}s") }
}

/// Text from elsewhere, harmless to a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Says a line on standard output. Whoever reads may have had enough: then the rest is not said, and that is no failure.
pub(crate) fn say(line: &str) {
    say_bytes(format!("{line}\n").as_bytes());
}

/// The same with bytes as they are.
pub(crate) fn say_bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        let _ = UNSAID.set(error);
    }
}

/// Whether what is said still arrives.
pub(crate) fn is_heard() -> bool {
    UNSAID.get().is_none()
}

/// Why the result is not where it should be, such as a full disk; that its reader had enough is no reason.
pub(crate) fn unsaid() -> Option<&'static io::Error> {
    UNSAID.get().filter(|error| error.kind() != ErrorKind::BrokenPipe)
}

/// Says a line on standard error. Nobody is left to be told that nobody listens.
pub(crate) fn write_line(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(format!("{line}\n").as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["ccc".to_owned(), "d".to_owned()]];
        assert_eq!(table(&rows), "a    bb\nccc  d\n");
    }

    #[test]
    fn names_from_elsewhere_do_not_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        let oslo = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(moment_in(1_790_000_000_123, TimeZone::UTC), "2026-09-21 14:13:20 UTC");
        assert_eq!(moment_in(1_790_000_000_123, oslo), "2026-09-21 16:13:20 +02");
    }
}
