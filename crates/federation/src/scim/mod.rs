// SPDX-License-Identifier: Apache-2.0 OR MIT
//! People and groups that another system tells a tenant of (SCIM 2.0: RFC 7643 and RFC 7644).
//!
//! # Words
//! - A **user** is somebody of whom the tenant was told. Who they are here is not known until they come in by the tenant's provider:
//!   then the address that it gives, in a domain that the tenant has proved, finds the user, and the account is linked.
//! - A **group** is a team that the other system says who is in. What a team may, the tenant's people say.
//!
//! Everything that is told is sealed under the tenant's key; what is looked for is found by keyed hashes. Only what is named here is
//! kept: other attributes are read and left out, as RFC 7644 (section 3.3) lets a server do.

mod filter;
mod group;
mod patch;
mod user;

pub use filter::{Clause, Filter};
pub use group::{Group, GroupTerms, MAX_GROUP_MEMBERS, MAX_PAGE_MEMBERS};
pub use patch::{Patch, PatchOperation};
pub use user::{Email, Found, MAX_USERS, PersonName, User, UserTerms};

use std::collections::HashSet;

use store::StoreError;

use crate::FederationError;

store::id! {
    /// Somebody of whom a tenant was told.
    UserId = "usr_";
}

/// Why something that another system told was not taken (RFC 7644, section 3.12). Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScimError {
    /// There is no such user or group in this tenant.
    #[error("there is no such resource here")]
    NotFound,
    /// There is one with this name already.
    #[error("{0} is taken")]
    Uniqueness(&'static str),
    /// A value is missing, or is none.
    #[error("{path}: {why}")]
    InvalidValue {
        /// Where.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The filter cannot be read, or asks for what is not supported.
    #[error("the filter: {0}")]
    InvalidFilter(&'static str),
    /// A path of a change cannot be read.
    #[error("the path cannot be read, or names what cannot be changed")]
    InvalidPath,
    /// Something is to be removed, and it is not said what.
    #[error("say what is to be removed")]
    NoTarget,
    /// An attribute that must stay.
    #[error("{0} cannot be removed")]
    Mutability(&'static str),
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(&'static str),
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] FederationError),
}

impl ScimError {
    pub(crate) fn value(path: impl ToString, why: &'static str) -> Self {
        ScimError::InvalidValue { path: path.to_string(), why }
    }
}

impl From<StoreError> for ScimError {
    fn from(error: StoreError) -> Self {
        ScimError::Failed(error.into())
    }
}

impl From<custody::KeyError> for ScimError {
    fn from(error: custody::KeyError) -> Self {
        ScimError::Failed(error.into())
    }
}

/// The users that are among the first and not among the others.
pub fn only_in(users: &[UserId], others: &[UserId]) -> Vec<UserId> {
    let others: HashSet<&UserId> = others.iter().collect();
    users.iter().filter(|user| !others.contains(user)).copied().collect()
}

/// Waits a turn when so many hundreds of statements were made: on the embedded engine they run where they are asked, and nothing else
/// runs there meanwhile.
pub async fn let_others_run(statements: usize) {
    if statements > 0 && statements.is_multiple_of(100) {
        tokio::task::yield_now().await;
    }
}

/// A text of 1 to 256 characters, none of control.
pub(crate) fn checked(path: &str, text: &str) -> Result<String, ScimError> {
    let is_good = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_good {
        return Ok(text.to_owned());
    }
    Err(ScimError::value(path, "1 to 256 characters, none of control"))
}
