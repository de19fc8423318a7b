// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is acted upon.

use store::{TenantId, TenantKind};
use uuid::Uuid;

/// What is acted upon, within the tenant that is being entered.
///
/// It does not say whose it is: its owner is the tenant whose transaction is asked for, since
/// nothing of another tenant can be reached through that transaction. In a customer's tenant it
/// does not say where it lies either: that is looked up there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// The history of the tenant that is entered.
    Log,
    /// The server itself: the platform's own tenant.
    Platform,
    /// What the directory, in the platform's own tenant, holds of one account.
    DirectoryEntry {
        /// The account.
        account: Uuid,
    },
    /// A customer's tenant as a whole: its topmost place.
    Customer,
    /// An organisation of a customer's tenant.
    Organisation(Uuid),
    /// A device of a customer's tenant.
    Device(Uuid),
}

impl Resource {
    /// A tenant as a whole.
    pub fn whole(tenant: TenantId) -> Resource {
        match tenant.kind() {
            TenantKind::Platform => Resource::Platform,
            TenantKind::Home => Resource::Home,
            TenantKind::Customer => Resource::Customer,
        }
    }

    /// Whether there can be such a thing in that tenant at all.
    pub(crate) fn belongs_in(&self, tenant: TenantId) -> bool {
        let kind = tenant.kind();
        match self {
            Resource::Log => true,
            Resource::Platform | Resource::DirectoryEntry { .. } => kind == TenantKind::Platform,
            Resource::Home | Resource::Session(_) => kind == TenantKind::Home,
            Resource::Collection(_) | Resource::Item { .. } | Resource::File { .. } => {
                kind != TenantKind::Platform
            }
            Resource::Customer | Resource::Organisation(_) | Resource::Device(_) => {
                kind == TenantKind::Customer
            }
        }
    }
}
