// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an operation on a tenant was refused.

use custody::KeyError;
use store::StoreError;

use crate::action::Action;
use crate::enter::Refused;
use crate::tenancy::NameError;

/// Why an operation on a customer's tenant was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenancyError {
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
    /// There is one already.
    #[error("{0}")]
    Exists(&'static str),
    /// It was changed since it was read.
    #[error("the policies are at version {newest} by now: read them again")]
    Outdated {
        /// The newest version.
        newest: u64,
    },
    /// It is still needed.
    #[error("{0}")]
    InUse(&'static str),
    /// There would be no owner any more.
    #[error("a tenant always has an owner: give somebody else the role first")]
    LastOwner,
    /// An invitation that leads nowhere, whatever the reason: which one it is is not said.
    #[error("this invitation is over, or it is for somebody else")]
    InvitationOver,
    /// One would give, or take from somebody, more than one may oneself.
    #[error("you cannot give or take `{action}` there, because you do not have it there yourself")]
    BeyondOwn {
        /// What one may not oneself.
        action: Action,
    },
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(&'static str),
    /// What is stored does not open or read.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(String),
    /// The tenant's keys are not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The policies refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TenancyError {
    pub(crate) fn invalid(field: &'static str, why: impl ToString) -> Self {
        TenancyError::Invalid { field, why: why.to_string() }
    }
}

impl From<NameError> for TenancyError {
    fn from(error: NameError) -> Self {
        TenancyError::invalid("name", error)
    }
}
