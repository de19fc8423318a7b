// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The identifiers that keys are bound to.
//!
//! Each is the 16 bytes of a UUID; the keyring never reads a meaning into them, it only makes sure that what was
//! sealed for one does not open for another.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes the 16 bytes of a UUID.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl From<$name> for [u8; 16] {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                for byte in &self.0 {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str(")")
            }
        }
    };
}

id!(
    /// An account: one person or service that can sign in.
    AccountId
);
id!(
    /// A tenant: an organisation, or the personal home of an account.
    TenantId
);
id!(
    /// One login method of an account.
    MethodId
);
id!(
    /// One device of an account.
    DeviceId
);
id!(
    /// A collection of items under one key.
    CollectionId
);
id!(
    /// One item of a collection.
    ItemId
);
id!(
    /// One encrypted file; a new upload is a new file.
    FileId
);

/// Whose data a sealed value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// It belongs to an account.
    Account(AccountId),
    /// It belongs to a tenant.
    Tenant(TenantId),
}

impl Owner {
    /// A kind byte and the id, as it enters associated data.
    pub(crate) fn to_bytes(self) -> [u8; 17] {
        let (kind, id) = match self {
            Owner::Account(id) => (1, id.0),
            Owner::Tenant(id) => (2, id.0),
        };
        let mut bytes = [kind; 17];
        for (to, from) in bytes.iter_mut().skip(1).zip(id) {
            *to = from;
        }
        bytes
    }
}

impl From<AccountId> for Owner {
    fn from(id: AccountId) -> Self {
        Owner::Account(id)
    }
}

impl From<TenantId> for Owner {
    fn from(id: TenantId) -> Self {
        Owner::Tenant(id)
    }
}
