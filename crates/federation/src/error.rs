// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why something about a provider went wrong.

use custody::KeyError;
use store::StoreError;

use crate::id_token::TokenFault;

/// Why something about a provider was refused, or did not succeed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FederationError {
    /// There is no such provider or domain in this tenant.
    #[error("there is no such thing here")]
    NotFound,
    /// A field is not acceptable.
    #[error("{field}: {why}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(&'static str),
    /// The domain is another tenant's.
    #[error(
        "another tenant has this domain: take its TXT record out of the zone, or ask who runs the platform"
    )]
    DomainTaken,
    /// What was begun is over, is none, or was begun elsewhere.
    #[error("this sign-in took too long, or was begun elsewhere: begin again")]
    Over,
    /// The provider does not answer, or not in time.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// The provider answers with what it must not.
    #[error("the provider's answer cannot be used: {0}")]
    Malformed(String),
    /// The provider said no: an error of OAuth (RFC 6749, section 5.2).
    #[error("the provider refused: {0}")]
    Refused(String),
    /// What it says of somebody does not hold.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// What is stored does not open or read.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(&'static str),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The operating system has no randomness.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// The tenant's keys are not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FederationError {
    pub(crate) fn invalid(field: &'static str, why: impl ToString) -> Self {
        FederationError::Invalid { field, why: why.to_string() }
    }
}
