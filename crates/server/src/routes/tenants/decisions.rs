// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Decisions explained: why somebody may or may not do something in a tenant, who may, and what somebody may.

use access::tenancy::HolderKind;
use access::{Action, Can, Decision, Reason, Refusal, Somebody, Way, Why};
use axum::extract::State;
use protocol::tenants::decisions::{
    ActionsAtPlace, DecidingPolicy, DecisionActions, DecisionExplained, DecisionHolder, DecisionHolders,
    RoleAtPlace,
};
use protocol::tenants::grants::{HolderId, PlaceId};
use protocol::{AccountId, Problem, TenantId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::customer;
use super::grants::{holder_id, holder_of, place_id, place_of};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// About whom.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhoQuery {
    /// A member or a service account; without it, whoever asks.
    #[param(value_type = Option<String>)]
    who: Option<HolderId>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldersQuery {
    /// What the page before gave as `next`.
    after: Option<AccountId>,
}

/// Why somebody may or may not do something: the policies that decided, and the roles. About oneself always, as one would be
/// decided about now by what one shows; about others with `decision.explain`, as if they had just proved who they are.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/decisions/{action}/{place}", tag = "tenants", operation_id = "explain_decision",
    params(("tenant" = TenantId, Path), ("action" = String, Path, description = "such as `device.read`"), ("place" = PlaceId, Path), WhoQuery), security(("session" = [])),
    responses((status = 200, body = DecisionExplained), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn explain(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, action, place)): Path<(TenantId, String, PlaceId)>,
    Query(query): Query<WhoQuery>,
) -> Result<Json<DecisionExplained>, ApiError> {
    let (action, who) = (parsed(&action)?, somebody(query.who)?);
    let why = app.access.why(&acting.caller, customer(tenant)?, who, action, place_of(place)).await?;
    Ok(Json(shown(why, action, place)))
}

/// Who may do something, in a place or to a device.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/decisions/{action}/{place}/holders", tag = "tenants", operation_id = "list_decision_holders",
    params(("tenant" = TenantId, Path), ("action" = String, Path, description = "such as `device.read`"), ("place" = PlaceId, Path), HoldersQuery), security(("session" = [])),
    responses((status = 200, body = DecisionHolders), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn holders(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, action, place)): Path<(TenantId, String, PlaceId)>,
    Query(query): Query<HoldersQuery>,
) -> Result<Json<DecisionHolders>, ApiError> {
    let (action, after) = (parsed(&action)?, query.after.map(|after| after.uuid()));
    let can = app.access.who_can(&acting.caller, customer(tenant)?, action, place_of(place), after).await?;
    let holder = |(who, ways): (Somebody, Vec<Way>)| DecisionHolder {
        who: holder_id(who.kind, who.id),
        roles: ways.into_iter().map(shown_way).collect(),
    };
    let holders = can.holders.into_iter().map(holder).collect();
    Ok(Json(DecisionHolders { holders, next: can.next.map(AccountId::from_uuid) }))
}

/// What somebody may, and where.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/decisions", tag = "tenants", operation_id = "list_decisions", params(("tenant" = TenantId, Path), WhoQuery), security(("session" = [])),
    responses((status = 200, body = DecisionActions), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<WhoQuery>,
) -> Result<Json<DecisionActions>, ApiError> {
    let can = app.access.what_can(&acting.caller, customer(tenant)?, somebody(query.who)?).await?;
    let place = |can: Can| ActionsAtPlace {
        place: place_id(can.place),
        of_devices: can.of_devices,
        actions: Action::ALL
            .iter()
            .filter(|action| can.actions.contains(**action))
            .map(ToString::to_string)
            .collect(),
    };
    Ok(Json(DecisionActions {
        who: holder_id(can.who.kind, can.who.id),
        places: can.places.into_iter().map(place).collect(),
        is_complete: !can.more,
    }))
}

fn parsed(action: &str) -> Result<Action, ApiError> {
    action.parse().map_err(|error| ApiError::field("action", error))
}

fn somebody(who: Option<HolderId>) -> Result<Option<Somebody>, ApiError> {
    match who.map(holder_of) {
        Some((HolderKind::Team, _)) => {
            Err(ApiError::field("who", "a member or a service account: a team does nothing by itself"))
        }
        Some((kind, id)) => Ok(Some(Somebody { kind, id })),
        None => Ok(None),
    }
}

fn shown(why: Why, action: Action, on: PlaceId) -> DecisionExplained {
    let decision = why.explanation.decision;
    let policy = |reason: Reason| DecidingPolicy {
        kind: kind(&reason.policy, decision).to_owned(),
        policy: reason.policy,
        says: reason.says,
    };
    DecisionExplained {
        who: holder_id(why.who.kind, why.who.id),
        action: action.to_string(),
        on,
        decision: match decision {
            Decision::Allowed => "allowed",
            Decision::Refused(Refusal::NotFound) => "not_found",
            Decision::Refused(Refusal::Forbidden) => "forbidden",
            Decision::Refused(Refusal::StepUpRequired) => "step_up_required",
            Decision::Refused(Refusal::Suspended) => "suspended",
            Decision::Refused(Refusal::TenantSuspended) => "tenant_suspended",
        }
        .to_owned(),
        policies: why.explanation.reasons.into_iter().map(policy).collect(),
        fault: why.explanation.fault,
        path: why.path.into_iter().map(place_id).collect(),
        roles: why.ways.into_iter().map(shown_way).collect(),
    }
}

/// Of which kind a policy is that decided. What is built in and forbids is a guardrail.
fn kind(policy: &str, decision: Decision) -> &'static str {
    match policy.split_once('/') {
        Some(("tenant", _)) => "tenant",
        Some(("role", _)) => "role",
        _ if decision == Decision::Allowed => "built_in",
        _ => "guardrail",
    }
}

fn shown_way(way: Way) -> RoleAtPlace {
    RoleAtPlace {
        role: way.role.to_string(),
        through: holder_id(way.through.kind, way.through.id),
        place: place_id(way.place),
        reaches: way.reaches,
        allows: way.allows,
    }
}
