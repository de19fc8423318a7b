// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why the server did not start.

use std::net::SocketAddr;

use access::{PolicyError, TenancyError};
use custody::{KeyError, RootKeyError};
use identity::{MailError, StartError as IdentityError};
use objects::BlobsError;
use store::{OpenError, StoreError};
use tokens::KeysError;

use crate::config::{ConfigError, each_on_a_line};

/// Why the server did not start. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer.
    #[error("the database at {at} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        at: String,
        /// What the connection failed by.
        why: String,
    },
    /// The login role lacks a right.
    #[error(
        "the database refused: {0}; `bailiwick migrate` with the owner role's address gives the login role its rights"
    )]
    NoRight(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key cannot be used.
    #[error(transparent)]
    RootKey(RootKeyError),
    /// The keys in the database cannot be opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A record of the platform cannot be sealed.
    #[error(transparent)]
    Record(TenancyError),
    /// The policies cannot be used.
    #[error(transparent)]
    Policies(#[from] PolicyError),
    /// Identity's settings or secrets cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    SigningKeys(#[from] KeysError),
    /// Mail cannot be sent as configured.
    #[error(transparent)]
    Mail(MailError),
    /// The blobs' place cannot be used.
    #[error(transparent)]
    Blobs(BlobsError),
    /// The clock is behind what the database has seen.
    #[error(
        "the clock says {now}, but the newest record is {behind} later: set the clock right, or wait, and start again"
    )]
    ClockBehind {
        /// The clock's time, in milliseconds since the Unix epoch.
        now: i64,
        /// How far it is behind.
        behind: String,
    },
    /// TLS files cannot be used.
    #[error("tls_certificate and tls_key cannot be used: {0}")]
    Tls(std::io::Error),
    /// ACME cannot be used.
    #[error("certificates cannot be asked for: {0}")]
    Acme(rustls::Error),
    /// The spool of requests cannot be used.
    #[error("requests cannot be spooled in {folder}: {source}")]
    Spool {
        /// The folder.
        folder: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Serving failed.
    #[error("serving failed: {0}")]
    Serve(std::io::Error),
    /// A sweep did not do all that there was to do.
    #[error("not everything could be cleared away; run it again: {0}")]
    Sweep(String),
    /// A command did its work, and its answer did not arrive.
    #[error("it is done, but not all of the answer could be written: {0}")]
    Untold(&'static std::io::Error),
    /// There are several faults.
    #[error("{}", each_on_a_line(.0))]
    Several(Vec<StartError>),
}

impl From<TenancyError> for StartError {
    fn from(error: TenancyError) -> Self {
        match error {
            TenancyError::Store(error) => StartError::Store(error),
            TenancyError::Key(error) => StartError::Key(error),
            other => StartError::Record(other),
        }
    }
}

/// What a room says of a setting is said under the setting's name.
impl From<RootKeyError> for StartError {
    fn from(error: RootKeyError) -> Self {
        match error {
            RootKeyError::Secret { .. } => refused("root_key", error),
            other => StartError::RootKey(other),
        }
    }
}

impl From<MailError> for StartError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Url | MailError::Unencrypted => refused("smtp_url", error),
            MailError::Sender => refused("mail_from", error),
            other => StartError::Mail(other),
        }
    }
}

impl From<BlobsError> for StartError {
    fn from(error: BlobsError) -> Self {
        match error {
            BlobsError::Setting(_) => refused("blobs", error),
            other => StartError::Blobs(other),
        }
    }
}

pub(super) fn refused(setting: &'static str, why: impl std::fmt::Display) -> StartError {
    ConfigError::Refused { setting, why: why.to_string() }.into()
}

impl StartError {
    /// The stable name of what went wrong, for `--json`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            StartError::Config(_) | StartError::Mail(_) | StartError::Policies(_) => "configuration",
            StartError::Open(_)
            | StartError::Store(_)
            | StartError::Record(_)
            | StartError::NoRight(_)
            | StartError::Unreachable { .. } => "database",
            StartError::RootKey(_) | StartError::Key(_) | StartError::SigningKeys(_) => "keys",
            StartError::Identity(_) => "identity",
            StartError::Blobs(_) => "blobs",
            StartError::ClockBehind { .. } => "clock_behind",
            StartError::Tls(_) | StartError::Acme(_) => "tls",
            StartError::Spool { .. } => "data",
            StartError::Listen { .. } | StartError::Serve(_) => "listen",
            StartError::Sweep(_) => "incomplete",
            StartError::Untold(_) => "output",
            StartError::Several(faults) => match faults.split_first() {
                Some((first, rest)) if rest.iter().all(|fault| fault.code() == first.code()) => first.code(),
                _ => "configuration",
            },
        }
    }
}
