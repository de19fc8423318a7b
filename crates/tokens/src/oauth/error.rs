// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why the provider refused.

use custody::KeyError;
use store::StoreError;

use crate::access::{IssueError, VerifyError};

/// Why the provider refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// There is no such thing in this tenant.
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
    /// The client is unknown, or did not prove that it is the one.
    #[error("the client is unknown, or its proof is wrong")]
    Client,
    /// A code, a refresh token, a device code or a token to exchange is unknown, over, used, or somebody else's. Which, is not said.
    #[error("{0}")]
    Grant(&'static str),
    /// The proof of a key is none, or not for this.
    #[error(transparent)]
    Proof(#[from] super::ProofError),
    /// More scopes than may be asked for.
    #[error("{0}")]
    Scope(&'static str),
    /// A resource that may not be asked for.
    #[error("this client may not ask for tokens for that resource")]
    Target,
    /// The client may not do this.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The token was revoked, or what it hangs on has ended.
    #[error("the token was revoked, or what it hangs on has ended")]
    Revoked,
    /// No token could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// What is stored does not open or read.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(&'static str),
    /// The tenant's keys are not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProviderError {
    pub(crate) fn invalid(field: &'static str, why: impl ToString) -> Self {
        ProviderError::Invalid { field, why: why.to_string() }
    }
}
