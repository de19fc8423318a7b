// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Log lines: to standard error, for people or as JSON. A last net ([`redact`]) masks whatever looks like a secret; types that do not
//! print are the first.

use std::error::Error;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Config, ConfigError, LogFormat};
use crate::redact::{MASK, redact};

/// Starts logging. A filter that cannot be read is an error.
pub(crate) fn start(config: &Config) -> Result<(), ConfigError> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(config)?).with_writer(Masked);
    let started = match config.log_format {
        LogFormat::Pretty => {
            builder.with_target(false).with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| ConfigError::Refused { setting: "log_format", why: error.to_string() })
}

/// What is logged.
pub(crate) fn filter(config: &Config) -> Result<EnvFilter, ConfigError> {
    let refused = |why| ConfigError::Refused { setting: "log_level", why };
    // A word that is no level would be taken for a module of that name, and all others would be silent.
    let is_level = |word: &str| word.contains(['=', '[']) || word.parse::<LevelFilter>().is_ok();
    let words: Vec<&str> = config.log_level.split(',').map(str::trim).collect();
    if let Some(word) = words.iter().find(|word| !is_level(word)) {
        return Err(refused(format!("{word:?} is no level: {LEVELS}")));
    }
    // Without the spaces, which it takes for parts of names.
    EnvFilter::try_new(words.join(","))
        .map_err(|error| refused(format!("{:?} cannot be used ({error}): {LEVELS}", config.log_level)))
}

/// What stands before the filter's own words.
const LEVELS: &str = "write error, warn, info, debug, trace or off, or a filter such as server=debug,info";

/// What an error says with all that caused it, which many errors leave to whoever asks. Without what is secret: neither tokens nor
/// who logs in where.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        // Some errors repeat what they were caused by.
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = inner.source();
    }
    redact(&without_credentials(&said)).into_owned()
}

/// URLs without the name and the password in them.
fn without_credentials(text: &str) -> String {
    let mut pieces = text.split("://");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let end = piece.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c)).unwrap_or(piece.len());
        let (url, rest) = piece.split_at(end);
        match url.rsplit_once('@') {
            Some((_, place)) => format!("{text}://{MASK}@{place}{rest}"),
            None => format!("{text}://{piece}"),
        }
    })
}

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
        io::stderr().write_all(redact(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_and_the_levels_are_named() {
        let with = |level: &str| filter(&Config { log_level: level.into(), ..Config::default() });
        for good in ["info", "WARN", "off", "3", "server=debug,info", "[request]=debug,warn"] {
            assert!(with(good).is_ok(), "{good}");
        }
        let spaced = with("server=debug, info").unwrap().to_string();
        assert!(
            spaced.contains("server=debug") && spaced.contains("info") && !spaced.contains("trace"),
            "{spaced}"
        );
        for bad in ["inof", "loud", "server", "info,servr", "server=inof", "warning", "6"] {
            let said = with(bad).err().unwrap().to_string();
            assert!(said.starts_with("log_level: ") && said.contains("debug"), "{bad}: {said}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Caused {
        says: &'static str,
        source: Option<Box<Caused>>,
    }

    #[test]
    fn all_causes_are_said_once_and_without_credentials() {
        let chained = |words: &[&'static str]| {
            let linked =
                words.iter().rev().fold(None, |source, &says| Some(Box::new(Caused { says, source })));
            chain(&*linked.unwrap())
        };
        assert_eq!(chained(&["cannot connect", "TLS", "no authority"]), "cannot connect: TLS: no authority");
        assert_eq!(chained(&["it failed: refused", "refused"]), "it failed: refused");
        let said =
            chained(&["at redis://ada:p@ss@localhost:6379/1 and", "http://[::1]/@ \"https://a.example/b\""]);
        assert!(!said.contains("ada") && !said.contains("ss@"), "{said}");
        assert!(said.contains("localhost:6379/1") && said.ends_with("\"https://a.example/b\""), "{said}");
    }
}
