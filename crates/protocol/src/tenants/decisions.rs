// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why somebody may or may not do something in a tenant, who may, and what somebody may.

use serde::{Deserialize, Serialize};

use super::grants::{HolderId, PlaceId};

/// `GET /api/v1/tenants/{tenant}/decisions/{action}/{place}`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecisionExplained {
    /// Who: a member or a service account.
    pub who: HolderId,
    /// What.
    pub action: String,
    /// Where, or to which device.
    pub on: PlaceId,
    /// `allowed`, or how it is refused: `forbidden`, `not_found`, `step_up_required`, `suspended`, `tenant_suspended`.
    pub decision: String,
    /// The policies that decided; none when nothing allows it.
    pub policies: Vec<DecidingPolicy>,
    /// Why the question could not be put to the policies. That refuses too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Where it lies: the places that it is in, the nearest first, the whole tenant last.
    pub path: Vec<PlaceId>,
    /// Every role that they hold, and what it is worth here; those that give it first.
    pub roles: Vec<RoleAtPlace>,
}

/// A policy that decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecidingPolicy {
    /// Its id. `tenant/…` is one of the tenant's own, `role/…` one of its roles.
    pub policy: String,
    /// `guardrail`, `built_in`, `role` or `tenant`. No policy of a tenant overrides a guardrail.
    pub kind: String,
    /// What it says, in words; empty when its author wrote no `@says`.
    pub says: String,
}

/// A role that somebody holds, and what it is worth for one question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoleAtPlace {
    /// The role: a built-in one's name, or `rol_…`.
    pub role: String,
    /// Who holds it: they themselves, or a team that they are in.
    pub through: HolderId,
    /// Where it is held.
    pub place: PlaceId,
    /// Whether what is asked about lies there.
    pub reaches: bool,
    /// Whether the role has the action.
    pub allows: bool,
}

/// `GET /api/v1/tenants/{tenant}/decisions/{action}/{place}/holders`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecisionHolders {
    /// Who may, among those that were asked about.
    pub holders: Vec<DecisionHolder>,
    /// What to pass as `after` to go on; absent when all were asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<crate::AccountId>,
}

/// Somebody who may.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecisionHolder {
    /// A member or a service account.
    pub who: HolderId,
    /// The roles that give it; none when a policy of the tenant's own does.
    pub roles: Vec<RoleAtPlace>,
}

/// `GET /api/v1/tenants/{tenant}/decisions`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecisionActions {
    /// Who: a member or a service account.
    pub who: HolderId,
    /// What they may in the whole tenant, and in every place where that is not what they may in the place above it.
    pub places: Vec<ActionsAtPlace>,
    /// Whether every organisation was asked about: 1,000 are.
    pub is_complete: bool,
}

/// What somebody may at a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ActionsAtPlace {
    /// The place.
    pub place: PlaceId,
    /// Whether it is about the devices of the organisation, not the organisation itself.
    pub of_devices: bool,
    /// What they may.
    pub actions: Vec<String>,
}
