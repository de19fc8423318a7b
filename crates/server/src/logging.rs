// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Log lines: to standard error, for people or as JSON. A last net masks whatever looks like a token; types that do not
//! print are the first.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Config, LogFormat};

/// Starts logging. A filter that cannot be read is an error.
pub(crate) fn start(config: &Config) -> Result<(), String> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(config)?).with_writer(Masked);
    let started = match config.log_format {
        LogFormat::Pretty => {
            builder.with_target(false).with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// What is logged.
pub(crate) fn filter(config: &Config) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.log_level).map_err(|error| format!("log_level: {error}"))
}

/// Prefixes of secrets, and what they are replaced by.
const PREFIXES: [&str; 4] = ["bws_", "bwd_", "bwk_", "eyJ"];
const MASK: &str = "***REDACTED***";

struct Masked;

impl<'a> MakeWriter<'a> for Masked {
    type Writer = MaskedWriter;

    fn make_writer(&'a self) -> MaskedWriter {
        MaskedWriter
    }
}

struct MaskedWriter;

impl Write for MaskedWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if PREFIXES.iter().any(|prefix| text.contains(prefix)) {
            io::stderr().write_all(mask(&text).as_bytes())?;
        } else {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Replaces each word that begins like a secret and is long enough to be one.
fn mask(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_token) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find(|c| !is_token(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let secret = word.len() > 24 && PREFIXES.iter().any(|prefix| word.contains(prefix));
        out.push_str(if secret { MASK } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn what_looks_like_a_token_is_masked() {
        let line = "{\"token\":\"bws_AAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"request\":\"req_0190\"}";
        assert_eq!(mask(line), "{\"token\":\"***REDACTED***\",\"request\":\"req_0190\"}");
        assert_eq!(mask("plain words, and bws_ alone"), "plain words, and bws_ alone");
    }
}
