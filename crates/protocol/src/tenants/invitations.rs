// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Invitations to a customer's tenant.

use serde::{Deserialize, Serialize};

use super::grants::PlaceId;
use crate::{AccountId, InvitationId, Secret};

/// A role that an invitation carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitedRole {
    /// A built-in role's name, or `rol_…`.
    pub role: String,
    /// Where: `org_…`, or a single device, `dvc_…`.
    pub place: PlaceId,
}

/// `POST /api/v1/tenants/{tenant}/invitations`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// The address that it is mailed to, and whose account alone may take it up. Without it, a link is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the tenant's people are to see who joins: 1 to 200 characters. Without it, they say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What they will be: at most 16 roles, of which one must have all that they allow.
    #[serde(default)]
    pub roles: Vec<InvitedRole>,
    /// How many accounts a link lets in: 1 to 1,000. One, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Until when, in milliseconds since the Unix epoch, within the next 30 days. Seven days, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// An invitation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The address that it was mailed to; absent for a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the tenant's people will see who joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What they will be.
    pub roles: Vec<InvitedRole>,
    /// How many accounts it lets in.
    pub uses: u32,
    /// How many it has let in.
    pub used: u32,
    /// `open`, `used`, `expired` or `revoked`.
    pub state: String,
    /// Who invites.
    pub inviter: AccountId,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Until when, in milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// An invitation that was just made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MadeInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The link, to be given to who is invited. Shown this once; absent when it was mailed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Secret>,
}

/// `GET /api/v1/tenants/{tenant}/invitations`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Invitations {
    /// The invitations, by id.
    pub invitations: Vec<Invitation>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<InvitationId>,
}

/// `POST /api/v1/invitations/join`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// What the link has after `#invite=`.
    pub token: Secret,
    /// How the tenant's people are to see one: 1 to 200 characters. Not needed where the invitation says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
