// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Log lines: to standard error, for people or as JSON. A last net ([`redact`]) masks whatever looks like a secret; types that do not
//! print are the first.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Config, LogFormat};
use crate::redact::redact;

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
