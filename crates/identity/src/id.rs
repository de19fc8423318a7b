// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The identifiers of this room, each a UUID with a prefix that says what it names.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id with this UUID.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID, as the database's own tools show it.
            pub const fn uuid(&self) -> &Uuid {
                &self.0
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(IdError($prefix))?;
                if digits.len() != 32 || digits.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(IdError($prefix));
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| IdError($prefix))
            }
        }
    };
}

id!(
    /// An account: one person or service that can sign in.
    AccountId,
    "acc"
);
id!(
    /// One login method of an account.
    MethodId,
    "mth"
);
id!(
    /// A session, as lists and records name it. It opens nothing: that takes the [`SessionToken`](crate::SessionToken).
    SessionId,
    "ses"
);
id!(
    /// A device that an account signed in from.
    DeviceId,
    "dev"
);

impl From<AccountId> for keyring::AccountId {
    fn from(id: AccountId) -> Self {
        keyring::AccountId::from_bytes(*id.as_bytes())
    }
}

/// A text is not an id of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an id of the form {0}_ and 32 hexadecimal digits")]
pub struct IdError(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_wrote_and_nothing_else() {
        let id = AccountId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().replace("acc_", "ses_").parse::<AccountId>().is_err());
        assert!(id.to_string().to_uppercase().parse::<AccountId>().is_err());
        assert!(format!("acc_{}", id.uuid().hyphenated()).parse::<AccountId>().is_err());
        assert!("acc_".parse::<AccountId>().is_err());
    }
}
