// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who holds which role where. Whoever gives a role or takes it away must have all that it allows, there.

use access::tenancy::{Change, Grant, Grants, HolderKind, NewGrant, RoleName};
use access::{Action, Place};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::grants::{HolderId, PlaceId, RoleGrant, RoleGrants};
use protocol::{
    AccountId, Code, OrganisationId, Problem, ServiceAccountId, TeamId, TenantDeviceId, TenantId,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{commit, customer};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// Which roles that are held.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantsQuery {
    /// Those of this holder only.
    #[param(value_type = Option<String>)]
    holder: Option<HolderId>,
    /// Those at this place only. Who reads the roles of one organisation reads these.
    #[param(value_type = Option<String>)]
    place: Option<PlaceId>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Lists who holds which role where.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/grants", tag = "tenants", operation_id = "list_grants", params(("tenant" = TenantId, Path), GrantsQuery), security(("session" = [])),
    responses((status = 200, body = RoleGrants), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<GrantsQuery>,
) -> Result<Json<RoleGrants>, ApiError> {
    let tenant = customer(tenant)?;
    let whole = Place::Organisation(*tenant.uuid());
    let (which, decided_at) = match (query.holder, query.place) {
        (None, None) => (Grants::All, whole),
        (Some(holder), None) => (Grants::Of(holder_of(holder).1), whole),
        (None, Some(PlaceId::Device(_))) => {
            return Err(ApiError::field("place", "an organisation: list those of one"));
        }
        (None, Some(place)) => (Grants::At(place_of(place)), place_of(place)),
        (Some(_), Some(_)) => return Err(ApiError::field("place", "give a holder or a place, not both")),
    };
    let after = query.after.as_deref().map(after).transpose()?;
    let mut tx = acting.view(&app, tenant, Action::RoleRead, decided_at.into()).await?;
    let limit = query.limit.unwrap_or(super::PAGE);
    let (grants, more) = app.tenancy.grants(&mut tx, which, after, limit).await?;
    let next = grants
        .last()
        .filter(|_| more)
        .map(|grant| format!("{}.{}.{}", grant.holder.simple(), grant.role, grant.place.uuid().simple()));
    Ok(Json(RoleGrants { grants: grants.into_iter().map(shown).collect(), next }))
}

/// Gives a role.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/grants/{holder}/{role}/{place}", tag = "tenants", operation_id = "put_grant",
    params(("tenant" = TenantId, Path), ("holder" = HolderId, Path), ("role" = String, Path, description = "a built-in role's name, or `rol_…`"), ("place" = PlaceId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, holder, role, place)): Path<(TenantId, HolderId, String, PlaceId)>,
) -> Result<StatusCode, ApiError> {
    let grant = grant(holder, &role, place)?;
    let mut tx = acting.enter(&app, customer(tenant)?, Action::RoleGrant, grant.place.into()).await?;
    let given = app.tenancy.given(&mut tx, app.access.policies(), &grant).await?;
    app.access.covers_all(&mut tx, &acting.caller, &given).await?;
    if app.tenancy.grant(&mut tx, grant, &acting.caller.actor()).await? {
        let after = Some(json!({ "role": grant.role.to_string(), "place": place.to_string() }));
        commit(&app, tx, holder, Change { after, ..Change::default() }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a role away.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/grants/{holder}/{role}/{place}", tag = "tenants", operation_id = "delete_grant",
    params(("tenant" = TenantId, Path), ("holder" = HolderId, Path), ("role" = String, Path, description = "a built-in role's name, or `rol_…`"), ("place" = PlaceId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, holder, role, place)): Path<(TenantId, HolderId, String, PlaceId)>,
) -> Result<StatusCode, ApiError> {
    let grant = grant(holder, &role, place)?;
    let mut tx = acting.enter(&app, customer(tenant)?, Action::RoleGrant, grant.place.into()).await?;
    let taken = app.tenancy.given(&mut tx, app.access.policies(), &grant).await?;
    app.access.covers_all(&mut tx, &acting.caller, &taken).await?;
    if !app.tenancy.revoke(&mut tx, grant).await? {
        return Err(ApiError::new(Code::NotFound));
    }
    let before = Some(json!({ "role": grant.role.to_string(), "place": place.to_string() }));
    commit(&app, tx, holder, Change { before, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn grant(holder: HolderId, role: &str, place: PlaceId) -> Result<NewGrant, ApiError> {
    let (holder_kind, holder) = holder_of(holder);
    Ok(NewGrant { holder_kind, holder, role: self::role(role)?, place: place_of(place) })
}

/// A role in a path or a body.
pub(crate) fn role(text: &str) -> Result<RoleName, ApiError> {
    text.parse().map_err(|error| ApiError::field("role", error))
}

pub(crate) fn place_of(place: PlaceId) -> Place {
    match place {
        PlaceId::Organisation(id) => Place::Organisation(id.uuid()),
        PlaceId::Device(id) => Place::Device(id.uuid()),
    }
}

pub(crate) fn place_id(place: Place) -> PlaceId {
    match place {
        Place::Organisation(id) => PlaceId::Organisation(OrganisationId::from_uuid(id)),
        Place::Device(id) => PlaceId::Device(TenantDeviceId::from_uuid(id)),
    }
}

pub(crate) fn holder_of(holder: HolderId) -> (HolderKind, Uuid) {
    match holder {
        HolderId::Member(id) => (HolderKind::Member, id.uuid()),
        HolderId::Team(id) => (HolderKind::Team, id.uuid()),
        HolderId::ServiceAccount(id) => (HolderKind::ServiceAccount, id.uuid()),
    }
}

pub(crate) fn holder_id(kind: HolderKind, id: Uuid) -> HolderId {
    match kind {
        HolderKind::Member => HolderId::Member(AccountId::from_uuid(id)),
        HolderKind::Team => HolderId::Team(TeamId::from_uuid(id)),
        HolderKind::ServiceAccount => HolderId::ServiceAccount(ServiceAccountId::from_uuid(id)),
    }
}

/// Where a page goes on: holder, role and place of the last on the page before.
fn after(text: &str) -> Result<(Uuid, RoleName, Uuid), ApiError> {
    let refused = || ApiError::field("after", "not what a page gave as `next`");
    let mut parts = text.splitn(3, '.');
    let mut part = || parts.next().ok_or_else(refused);
    let (holder, role, place) = (part()?, part()?, part()?);
    let id = |text: &str| Uuid::try_parse(text).map_err(|_| refused());
    Ok((id(holder)?, role.parse().map_err(|_| refused())?, id(place)?))
}

fn shown(grant: Grant) -> RoleGrant {
    RoleGrant {
        holder: holder_id(grant.holder_kind, grant.holder),
        role: grant.role.to_string(),
        place: place_id(grant.place),
        granted_at: grant.granted_at,
        granted_by: grant.granted_by,
    }
}
