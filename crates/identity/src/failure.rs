// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is nobody's fault who signs in.

use custody::KeyError;
use store::StoreError;

/// The server's own trouble, in any operation. It goes to the operators; callers hear only that something went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The database failed, or another transaction was first.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key below the root is not to be had.
    #[error(transparent)]
    Key(KeyError),
    /// A stored value does not open or cannot be read.
    #[error("the stored {0} cannot be read: its row was changed or belongs elsewhere")]
    Damaged(&'static str),
    /// An operation on the directory was given a home's transaction, or the other way round.
    #[error("this operation belongs in another tenant's transaction")]
    WrongTenant,
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => Self::Store(error),
            error => Self::Key(error),
        }
    }
}

/// Lets `?` turn the floors' errors into an operation's own.
macro_rules! fails {
    ($($error:ty),+ $(,)?) => {
        $(
            impl From<store::StoreError> for $error {
                fn from(error: store::StoreError) -> Self {
                    Self::Failed(error.into())
                }
            }

            impl From<custody::KeyError> for $error {
                fn from(error: custody::KeyError) -> Self {
                    Self::Failed(error.into())
                }
            }
        )+
    };
}
pub(crate) use fails;
