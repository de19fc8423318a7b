// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ids: a prefix that says of what, and 32 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0:?} and 32 hexadecimal digits")]
pub struct IdError(pub(crate) &'static str);

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                $name(Uuid::new_v4())
            }

            /// The id with this UUID.
            pub const fn from_uuid(id: Uuid) -> Self {
                $name(id)
            }

            /// The id with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(Uuid::from_bytes(bytes))
            }

            /// The id as a UUID.
            pub const fn uuid(&self) -> Uuid {
                self.0
            }

            /// The id's 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
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
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() == 32)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map($name)
                    .ok_or(IdError($prefix))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .pattern(Some(concat!("^", $prefix, "[0-9a-f]{32}$")))
                    .into()
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $name {}
    )* };
}

id! {
    /// An account.
    AccountId = "acc_";
    /// A tenant; an account's home is one.
    TenantId = "ten_";
    /// A login method of an account.
    MethodId = "mth_";
    /// A session, as it is listed and ended; never lets anyone in.
    SessionId = "ses_";
    /// A device that an account signed in from.
    DeviceId = "dev_";
    /// A collection of items.
    CollectionId = "col_";
    /// An item of a collection.
    ItemId = "itm_";
    /// An upload, and the blob that it becomes.
    UploadId = "upl_";
    /// A record of a log.
    RecordId = "rec_";
    /// An organisation of a customer's tenant. The topmost has the tenant's own digits.
    OrganisationId = "org_";
    /// A team of a customer's tenant.
    TeamId = "tea_";
    /// A role that a tenant made for itself.
    RoleId = "rol_";
    /// A device of a customer's tenant.
    TenantDeviceId = "dvc_";
    /// A service account of a customer's tenant.
    ServiceAccountId = "sva_";
    /// An invitation to a customer's tenant.
    InvitationId = "inv_";
    /// A key of a service account.
    ServiceKeyId = "svk_";
    /// A support grant.
    SupportGrantId = "sup_";
    /// An application of a customer's tenant that gets tokens.
    ClientId = "cli_";
    /// Somebody of whom another system told a tenant.
    ScimUserId = "usr_";
    /// Another identity provider that people come in by.
    ProviderId = "pvd_";
}
