// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is acted upon.

use store::TenantId;
use uuid::Uuid;

/// What is acted upon, within the tenant that is being entered.
///
/// It does not say whose it is: its owner is the tenant whose transaction is asked for, since
/// nothing of another tenant can be reached through that transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A home as a whole.
    Home,
    /// A session of a home.
    Session(Uuid),
    /// A collection.
    Collection(Uuid),
    /// An item in a collection.
    Item {
        /// The collection.
        collection: Uuid,
        /// The item.
        id: Uuid,
    },
    /// A file in a collection.
    File {
        /// The collection.
        collection: Uuid,
        /// The file.
        id: Uuid,
    },
    /// The history of the tenant that is entered: a home's, or the platform's.
    Log,
    /// The server itself: the platform's own tenant.
    Platform,
    /// What the directory, in the platform's own tenant, holds of one account.
    DirectoryEntry {
        /// The account.
        account: Uuid,
    },
}

impl Resource {
    /// Whether there can be such a thing in that tenant at all.
    pub(crate) fn belongs_in(&self, tenant: TenantId) -> bool {
        match self {
            Resource::Log => true,
            Resource::Platform | Resource::DirectoryEntry { .. } => tenant == TenantId::PLATFORM,
            Resource::Home
            | Resource::Session(_)
            | Resource::Collection(_)
            | Resource::Item { .. }
            | Resource::File { .. } => tenant != TenantId::PLATFORM,
        }
    }
}
