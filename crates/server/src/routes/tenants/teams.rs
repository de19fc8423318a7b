// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Teams of a tenant and who is in them. Whoever puts somebody into a team, takes them out or deletes it gives or takes what
//! the team holds, and so must have it.

use access::tenancy::{Change, Team as Stored, TeamId as StoredId};
use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::teams::{NewTeam, Team, TeamChange, TeamMembers, Teams};
use protocol::{AccountId, Code, Problem, TeamId, TenantId};
use serde_json::json;

use super::{commit, customer, name};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Lists the teams of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/teams", tag = "tenants", operation_id = "list_teams", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Teams), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Teams>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::TeamRead, Resource::Customer).await?;
    let teams = app.tenancy.teams(&mut tx).await?;
    Ok(Json(Teams { teams: teams.into_iter().map(shown).collect() }))
}

/// Makes a team.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/teams", tag = "tenants", operation_id = "create_team", params(("tenant" = TenantId, Path)), request_body = NewTeam, security(("session" = [])),
    responses((status = 201, body = Team), (status = 404, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewTeam>,
) -> Result<(StatusCode, Json<Team>), ApiError> {
    let name = name("name", &body.name)?;
    let mut tx = acting.enter(&app, customer(tenant)?, Action::TeamWrite, Resource::Customer).await?;
    let made = app.tenancy.create_team(&mut tx, &name).await?;
    let after = Some(json!({ "name": name.as_str() }));
    commit(&app, tx, made.id, Change { after, ..Change::default() }).await?;
    Ok((StatusCode::CREATED, Json(shown(made))))
}

/// Gives a team another name.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/teams/{team}", tag = "tenants", operation_id = "change_team",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path)), request_body = TeamChange, security(("session" = [])),
    responses((status = 200, body = Team), (status = 404, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, team)): Path<(TenantId, TeamId)>,
    Json(body): Json<TeamChange>,
) -> Result<Json<Team>, ApiError> {
    let (id, name) = (stored(team), name("name", &body.name)?);
    let mut tx = acting.enter(&app, customer(tenant)?, Action::TeamWrite, Resource::Customer).await?;
    let before = app.tenancy.team(&mut tx, id).await?;
    app.tenancy.rename_team(&mut tx, id, &name).await?;
    let change = Change {
        before: Some(json!({ "name": before.name.as_str() })),
        after: Some(json!({ "name": name.as_str() })),
        reason: None,
    };
    commit(&app, tx, id, change).await?;
    Ok(Json(shown(Stored { name, ..before })))
}

/// Deletes a team, with the roles that it held.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/teams/{team}", tag = "tenants", operation_id = "delete_team",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, team)): Path<(TenantId, TeamId)>,
) -> Result<StatusCode, ApiError> {
    let id = stored(team);
    let mut tx = acting.enter(&app, customer(tenant)?, Action::TeamWrite, Resource::Customer).await?;
    let before = app.tenancy.team(&mut tx, id).await?;
    let held = app.tenancy.held_by_team(&mut tx, app.access.policies(), id).await?;
    app.access.covers_all(&mut tx, &acting.caller, &held).await?;
    app.tenancy.delete_team(&mut tx, id).await?;
    let was = Some(json!({ "name": before.name.as_str() }));
    commit(&app, tx, id, Change { before: was, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists who is in a team.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/teams/{team}/members", tag = "tenants", operation_id = "list_team_members",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path)), security(("session" = [])),
    responses((status = 200, body = TeamMembers), (status = 404, body = Problem)))]
pub(crate) async fn members(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, team)): Path<(TenantId, TeamId)>,
) -> Result<Json<TeamMembers>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::TeamRead, Resource::Customer).await?;
    let members = app.tenancy.team_members(&mut tx, stored(team)).await?;
    Ok(Json(TeamMembers { members: members.into_iter().map(AccountId::from_uuid).collect() }))
}

/// Puts a member into a team.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/teams/{team}/members/{account}", tag = "tenants", operation_id = "put_team_member",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path), ("account" = AccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn put_member(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, team, account)): Path<(TenantId, TeamId, AccountId)>,
) -> Result<StatusCode, ApiError> {
    let id = stored(team);
    let mut tx = acting.enter(&app, customer(tenant)?, Action::TeamWrite, Resource::Customer).await?;
    let held = app.tenancy.held_in_team(&mut tx, app.access.policies(), id, account.uuid()).await?;
    app.access.covers_all(&mut tx, &acting.caller, &held).await?;
    if app.tenancy.add_to_team(&mut tx, id, account.uuid()).await? {
        let after = Some(json!({ "member": account.to_string() }));
        commit(&app, tx, id, Change { after, ..Change::default() }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a member out of a team.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/teams/{team}/members/{account}", tag = "tenants", operation_id = "delete_team_member",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path), ("account" = AccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete_member(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, team, account)): Path<(TenantId, TeamId, AccountId)>,
) -> Result<StatusCode, ApiError> {
    let id = stored(team);
    let mut tx = acting.enter(&app, customer(tenant)?, Action::TeamWrite, Resource::Customer).await?;
    let held = app.tenancy.held_in_team(&mut tx, app.access.policies(), id, account.uuid()).await?;
    app.access.covers_all(&mut tx, &acting.caller, &held).await?;
    if !app.tenancy.take_from_team(&mut tx, id, account.uuid()).await? {
        return Err(ApiError::new(Code::NotFound));
    }
    let before = Some(json!({ "member": account.to_string() }));
    commit(&app, tx, id, Change { before, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn stored(team: TeamId) -> StoredId {
    StoredId::from_uuid(team.uuid())
}

fn shown(team: Stored) -> Team {
    Team {
        id: TeamId::from_uuid(*team.id.uuid()),
        name: team.name.as_str().to_owned(),
        created_at: team.created_at,
    }
}
