// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Roles: the built-in ones, and those that a tenant makes for itself. Whoever makes, changes or deletes one must have all that
//! it may, before and after, in the whole tenant: wherever somebody holds it, or will.

use access::tenancy::{Change, Held, Role as Stored, RoleId as StoredId};
use access::{Action, BuiltInRole, Place, Resource, Scopes};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::roles::{NewRole, Role, RoleChange, Roles};
use protocol::{Problem, RoleId, TenantId};
use serde_json::json;
use store::WriteTx;

use super::{commit, customer, name};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Lists the roles that there are: the built-in ones, then the tenant's own.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/roles", tag = "tenants", operation_id = "list_roles", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Roles), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Roles>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::RoleRead, Resource::Customer).await?;
    let own = app.tenancy.roles(&mut tx).await?;
    let built_in = BuiltInRole::ALL.into_iter().map(|role| Role {
        role: role.name().to_owned(),
        name: role.name().to_owned(),
        is_built_in: true,
        is_tenant_wide: role.is_tenant_wide(),
        actions: names(app.access.policies().role(role)),
        created_at: None,
    });
    Ok(Json(Roles { roles: built_in.chain(own.into_iter().map(shown)).collect() }))
}

/// Makes a role.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/roles", tag = "tenants", operation_id = "create_role", params(("tenant" = TenantId, Path)), request_body = NewRole, security(("session" = [])),
    responses((status = 201, body = Role), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewRole>,
) -> Result<(StatusCode, Json<Role>), ApiError> {
    let (name, actions) = (name("name", &body.name)?, scopes(&app, &body.actions)?);
    let mut tx = acting.enter(&app, customer(tenant)?, Action::RoleWrite, Resource::Customer).await?;
    cover(&app, &acting, &mut tx, actions).await?;
    let made = app.tenancy.create_role(&mut tx, &name, actions).await?;
    let after = Some(json!({ "name": name.as_str(), "actions": names(actions) }));
    commit(&app, tx, made.id, Change { after, ..Change::default() }).await?;
    Ok((StatusCode::CREATED, Json(shown(made))))
}

/// Changes a role for all who hold it.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/roles/{role}", tag = "tenants", operation_id = "change_role",
    params(("tenant" = TenantId, Path), ("role" = RoleId, Path)), request_body = RoleChange, security(("session" = [])),
    responses((status = 200, body = Role), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, role)): Path<(TenantId, RoleId)>,
    Json(body): Json<RoleChange>,
) -> Result<Json<Role>, ApiError> {
    let id = StoredId::from_uuid(role.uuid());
    let new_name = body.name.as_deref().map(|text| name("name", text)).transpose()?;
    let new_actions = body.actions.as_deref().map(|actions| scopes(&app, actions)).transpose()?;
    if new_name.is_none() && new_actions.is_none() {
        return Err(ApiError::field("name", "there is nothing to change"));
    }
    let mut tx = acting.enter(&app, customer(tenant)?, Action::RoleWrite, Resource::Customer).await?;
    let before = app.tenancy.role(&mut tx, id).await?;
    let name = new_name.unwrap_or_else(|| before.name.clone());
    let actions = new_actions.unwrap_or(before.actions);
    if actions != before.actions {
        cover(&app, &acting, &mut tx, before.actions.or(actions)).await?;
    }
    app.tenancy.change_role(&mut tx, id, &name, actions).await?;
    let change = Change {
        before: Some(json!({ "name": before.name.as_str(), "actions": names(before.actions) })),
        after: Some(json!({ "name": name.as_str(), "actions": names(actions) })),
        reason: None,
    };
    commit(&app, tx, id, change).await?;
    Ok(Json(shown(Stored { name, actions, ..before })))
}

/// Deletes a role, and takes it from all who hold it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/roles/{role}", tag = "tenants", operation_id = "delete_role",
    params(("tenant" = TenantId, Path), ("role" = RoleId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, role)): Path<(TenantId, RoleId)>,
) -> Result<StatusCode, ApiError> {
    let id = StoredId::from_uuid(role.uuid());
    let mut tx = acting.enter(&app, customer(tenant)?, Action::RoleWrite, Resource::Customer).await?;
    let before = app.tenancy.role(&mut tx, id).await?;
    cover(&app, &acting, &mut tx, before.actions).await?;
    app.tenancy.delete_role(&mut tx, id).await?;
    let was = Some(json!({ "name": before.name.as_str(), "actions": names(before.actions) }));
    commit(&app, tx, id, Change { before: was, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cover(app: &App, acting: &Acting, tx: &mut WriteTx, actions: Scopes) -> Result<(), ApiError> {
    let mut held = Held::default();
    held.add(Place::Organisation(*tx.tenant().uuid()), actions);
    Ok(app.access.covers_all(tx, &acting.caller, &held).await?)
}

/// Actions that a role can have.
fn scopes(app: &App, names: &[String]) -> Result<Scopes, ApiError> {
    let grantable = app.access.policies().grantable();
    let action = |name: &String| {
        let action = name.parse::<Action>().ok().filter(|action| grantable.contains(*action));
        action.ok_or_else(|| {
            ApiError::field(
                "actions",
                format_args!("there is no action `{}` that a role can have", harmless(name)),
            )
        })
    };
    if names.is_empty() {
        return Err(ApiError::field("actions", "at least one"));
    }
    names.iter().map(action).collect()
}

/// What was sent, short and plain enough to be said back.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()
}

fn names(actions: Scopes) -> Vec<String> {
    let all = Action::ALL.iter().filter(|action| actions.contains(**action));
    all.map(ToString::to_string).collect()
}

fn shown(role: Stored) -> Role {
    Role {
        role: role.id.to_string(),
        name: role.name.as_str().to_owned(),
        is_built_in: false,
        is_tenant_wide: false,
        actions: names(role.actions),
        created_at: Some(role.created_at),
    }
}
