// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who holds which role where.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::id::IdError;
use crate::{AccountId, OrganisationId, ServiceAccountId, TeamId, TenantDeviceId};

/// One of several kinds of id, told apart by their prefixes.
macro_rules! one_of {
    ($(#[$doc:meta])* $name:ident = $prefixes:literal $pattern:literal { $($(#[$each:meta])* $kind:ident($id:ty),)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$each])* $kind($id),)+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $($name::$kind(id) => id.fmt(f),)+ }
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                $(if let Ok(id) = text.parse::<$id>() {
                    return Ok($name::$kind(id));
                })+
                Err(IdError($prefixes))
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
                    .pattern(Some($pattern))
                    .into()
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $name {}
    };
}

one_of! {
    /// Who holds a role: a member (`acc_…`), a team (`tea_…`) or a service account (`sva_…`).
    HolderId = "acc_, tea_ or sva_" "^(acc|tea|sva)_[0-9a-f]{32}$" {
        /// A member.
        Member(AccountId),
        /// Everybody in a team.
        Team(TeamId),
        /// A service account.
        ServiceAccount(ServiceAccountId),
    }
}

one_of! {
    /// Where a role is held: in an organisation with all that is below it (`org_…`), or on a single device (`dvc_…`).
    PlaceId = "org_ or dvc_" "^(org|dvc)_[0-9a-f]{32}$" {
        /// An organisation.
        Organisation(OrganisationId),
        /// A device.
        Device(TenantDeviceId),
    }
}

/// A role that somebody holds. `PUT` and `DELETE /api/v1/tenants/{tenant}/grants/{holder}/{role}/{place}` give and take it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoleGrant {
    /// Who holds it.
    pub holder: HolderId,
    /// The role: a built-in one's name, or `rol_…`.
    pub role: String,
    /// Where.
    pub place: PlaceId,
    /// Since when, in milliseconds since the Unix epoch.
    pub granted_at: i64,
    /// Who gave it, as records name them.
    pub granted_by: String,
}

/// `GET /api/v1/tenants/{tenant}/grants`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoleGrants {
    /// Roles that are held, by holder, role and place.
    pub grants: Vec<RoleGrant>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_is_of_and_no_other_is_taken() {
        for text in ["acc_", "tea_", "sva_"].map(|prefix| format!("{prefix}{}", "0a".repeat(16))) {
            assert_eq!(text.parse::<HolderId>().unwrap().to_string(), text);
        }
        let place = format!("org_{}", "0a".repeat(16));
        assert!(matches!(place.parse(), Ok(PlaceId::Organisation(_))));
        assert!(place.parse::<HolderId>().is_err());
        assert!("owner".parse::<PlaceId>().is_err());
    }
}
