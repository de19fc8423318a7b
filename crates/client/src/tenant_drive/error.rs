// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why something in a tenant's collections is not to be had, or was not done.

use protocol::{CollectionId, ItemId};

use crate::client::RequestError;
use crate::files::DriveError;
use crate::sharing::SharingError;

/// Why something in a tenant's collections is not to be had, or was not done.
#[derive(Debug, thiserror::Error)]
pub enum TenantDriveError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An account's keys, or a grant, cannot be trusted.
    #[error(transparent)]
    Trust(#[from] SharingError),
    /// A name does not open.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// Sealed bytes do not open.
    #[error(transparent)]
    Key(#[from] keyring::OpenError),
    /// What was opened is no item.
    #[error(transparent)]
    Content(#[from] keyring::tenant_collection::ItemContentError),
    /// The collection's id speaks of another protection.
    #[error(
        "the server shows the collection {0} with another protection, or other beginnings, than it was made with: nothing was read \
         or written. Do not go on, and tell the operator"
    )]
    Protection(CollectionId),
    /// A server-sealed collection has the name of an end-to-end one.
    #[error(
        "this device knows a collection {0:?} here that is end-to-end encrypted, and the server shows one of that name which it can \
         read itself: nothing was done. If it was made anew on purpose, name it by its id"
    )]
    Lowered(String),
    /// The key is not the one that the id speaks of.
    #[error(
        "the key that was granted for the collection {0} is not the one that it was made with: do not go on, and tell the operator"
    )]
    AnotherKey(CollectionId),
    /// The server lists a holder whom no holder let in.
    #[error(
        "the server lists account {0} among those who have this collection's key, and nobody who has it granted it: nothing was \
         changed. Do not go on, and tell the operator"
    )]
    NotLetIn(String),
    /// Somebody has to admit the account first.
    #[error(
        "this collection is end-to-end encrypted, and nobody has granted you its key yet: ask somebody who has it to run \
         `bailiwick tenant collections admit`"
    )]
    Waiting,
    /// There is no key to grant.
    #[error("this collection is server-sealed: its key is the server's, and roles alone decide who reads it")]
    NotEndToEnd,
    /// An item is not what it should be.
    #[error("the item {0} is not what belongs there")]
    Damaged(ItemId),
    /// An item's writer did not sign it.
    #[error(
        "the item {0} is not signed by who is said to have written it: do not go on, and tell the operator"
    )]
    NotSigned(ItemId),
    /// There is no such collection.
    #[error("there is no collection {0:?} that you may read")]
    NoCollection(String),
    /// Several are called so.
    #[error("several collections are called {0:?}: name one by its id")]
    Ambiguous(String),
    /// There is no such item.
    #[error("there is no item {0:?} in this collection")]
    NoItem(String),
    /// Others keep changing it.
    #[error("the collection is being changed by others all the time; try again")]
    Busy,
}
