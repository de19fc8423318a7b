// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's own policies, in Cedar's language: version by version, checked, and tried before they take effect.

use serde::{Deserialize, Serialize};

use super::grants::{HolderId, PlaceId};

/// `PUT /api/v1/tenants/{tenant}/policies`, with `If-Match: "version"` of the version that it follows; `"0"` for the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPolicies {
    /// The policies: at most 64 KiB and 200 of them. Empty for none.
    pub text: String,
    /// What to note beside them: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `POST /api/v1/tenants/{tenant}/policies/versions/{version}/restore`, with `If-Match: "version"` of the newest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RestorePolicies {
    /// What to note beside it: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `POST /api/v1/tenants/{tenant}/policies/check` and `/try`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// The policies.
    pub text: String,
}

/// A version of a tenant's policies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyVersion {
    /// Its number, from 1; 0 when the tenant has no policies of its own yet.
    pub version: u64,
    /// The policies; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who put it, as records name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What they noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The version that it brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// Since when, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
}

/// `GET /api/v1/tenants/{tenant}/policies/versions`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyVersions {
    /// Versions, the newest first, without their texts.
    pub versions: Vec<PolicyVersion>,
    /// What to pass as `before` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What is wrong with policies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyCheck {
    /// Everything that is wrong with them; none when they would be accepted.
    pub problems: Vec<PolicyProblem>,
}

/// Something that is wrong with policies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyProblem {
    /// The line, from 1; absent when it is not about one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The policy's `@id`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// What would change for whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyTrial {
    /// What would change: at most 500.
    pub effects: Vec<PolicyEffect>,
    /// How many there are in all, of those that were asked about.
    pub total: u64,
    /// How many members and service accounts were asked about.
    pub people: u64,
    /// How many organisations were.
    pub organisations: u64,
    /// Whether that is everything: if not, more may change than is told here.
    pub is_complete: bool,
}

/// A change that is the same for some people, some actions and some places.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyEffect {
    /// `allowed` when it would be allowed and is not now, `refused` when it is now and would not be.
    pub would_be: String,
    /// For whom: at most 100 of them.
    pub who: Vec<HolderId>,
    /// For how many in all.
    pub who_count: u64,
    /// What.
    pub actions: Vec<String>,
    /// Where: at most 100 places.
    pub places: Vec<PolicyPlace>,
    /// In how many in all.
    pub place_count: u64,
    /// At which hours of the day, in UTC, 0 to 23; absent when at every hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Vec<u8>>,
    /// Whether it changes only for one who has not just proved who they are.
    pub only_unproved: bool,
}

/// Where something would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PolicyPlace {
    /// The organisation or the device.
    pub place: PlaceId,
    /// Whether it is about the devices of the organisation, not the organisation itself.
    pub of_devices: bool,
}
