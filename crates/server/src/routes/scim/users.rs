// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Users that another system tells a tenant of (RFC 7644, section 3).

use access::tenancy::Change as Changed;
use axum::extract::State;
use axum::http::StatusCode;
use federation::scim::{User, UserId, UserTerms};
use protocol::{ScimUserId, TenantId};
use serde_json::{Value, json};

use super::people::{changed, forget, linked, removed};
use super::{Answer, Change, Listing, Provisioner, Resourceful, ScimRefusal, meta};
use crate::gateway::{Path, Query};
use crate::routes::tenants::{commit, customer};
use crate::state::App;

/// Lists users, or finds one.
#[utoipa::path(get, path = "/scim/v2/{tenant}/Users", tag = "scim", operation_id = "scim_list_users", params(("tenant" = TenantId, Path), Listing), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 400, description = "A filter that is not supported")))]
pub(crate) async fn list(
    State(app): State<App>,
    provisioner: Provisioner,
    Path(tenant): Path<TenantId>,
    Query(listing): Query<Listing>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.view(&app, tenant).await?;
    provisioner.require_service()?;
    let page = listing.page()?;
    let found = app.federation.users(&mut tx, page.filter.as_ref(), page.start, page.count).await?;
    Ok(Answer::list(found, page.start, |user| shown(&app, tenant, &user)))
}

/// One user.
#[utoipa::path(get, path = "/scim/v2/{tenant}/Users/{user}", tag = "scim", operation_id = "scim_read_user", params(("tenant" = TenantId, Path), ("user" = ScimUserId, Path)), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 404, description = "There is none")))]
pub(crate) async fn read(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, user)): Path<(TenantId, ScimUserId)>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.view(&app, tenant).await?;
    let user = app.federation.user(&mut tx, id(user)).await?;
    provisioner.require_service()?;
    Ok(Answer::ok(shown(&app, tenant, &user)))
}

/// Tells of somebody. They become a member when they come in by the tenant's provider.
#[utoipa::path(post, path = "/scim/v2/{tenant}/Users", tag = "scim", operation_id = "scim_create_user", params(("tenant" = TenantId, Path)), request_body(content = Object, content_type = "application/scim+json"), security(("session" = [])),
    responses((status = 201, content_type = "application/scim+json", body = Object), (status = 409, description = "There is one of that name or address")))]
pub(crate) async fn create(
    State(app): State<App>,
    provisioner: Provisioner,
    Path(tenant): Path<TenantId>,
    body: Result<Resourceful, ScimRefusal>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    provisioner.require_service()?;
    let terms = UserTerms::read(&body?.0)?;
    let mut user = app.federation.create_user(&mut tx, terms).await?;
    if let Some(account) = app.federation.account_of(&mut tx, &user).await?
        && app.federation.link_user(&mut tx, user.id, account).await?
    {
        user.account = Some(account);
        linked(&app, &mut tx, &user).await?;
    }
    let change = Changed { after: Some(json!(user.terms.to_map())), ..Changed::default() };
    commit(&app, tx, user.id, change).await?;
    Ok(Answer::created(shown(&app, tenant, &user)))
}

/// Tells of somebody anew, in place of what was told before.
#[utoipa::path(put, path = "/scim/v2/{tenant}/Users/{user}", tag = "scim", operation_id = "scim_replace_user", params(("tenant" = TenantId, Path), ("user" = ScimUserId, Path)), request_body(content = Object, content_type = "application/scim+json"), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 404, description = "There is none")))]
pub(crate) async fn replace(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, user)): Path<(TenantId, ScimUserId)>,
    body: Result<Resourceful, ScimRefusal>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    app.federation.user(&mut tx, id(user)).await?;
    provisioner.require_service()?;
    let terms = UserTerms::read(&body?.0)?;
    put(&app, tenant, tx, id(user), terms).await
}

/// Changes what is told of somebody. Who is active no more is suspended at once.
#[utoipa::path(patch, path = "/scim/v2/{tenant}/Users/{user}", tag = "scim", operation_id = "scim_change_user", params(("tenant" = TenantId, Path), ("user" = ScimUserId, Path)), request_body(content = Object, content_type = "application/scim+json"), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 404, description = "There is none")))]
pub(crate) async fn change(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, user)): Path<(TenantId, ScimUserId)>,
    body: Result<Change, ScimRefusal>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    let before = app.federation.user(&mut tx, id(user)).await?;
    provisioner.require_service()?;
    let terms = before.terms.patched(&body?.0)?;
    put(&app, tenant, tx, id(user), terms).await
}

/// Tells of somebody no more: they are out of the tenant at once.
#[utoipa::path(delete, path = "/scim/v2/{tenant}/Users/{user}", tag = "scim", operation_id = "scim_delete_user", params(("tenant" = TenantId, Path), ("user" = ScimUserId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, description = "There is none")))]
pub(crate) async fn delete(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, user)): Path<(TenantId, ScimUserId)>,
) -> Result<StatusCode, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    let user = app.federation.delete_user(&mut tx, id(user)).await?;
    provisioner.require_service()?;
    let was_member = removed(&app, &mut tx, &user).await?;
    let change = Changed { before: Some(json!(user.terms.to_map())), ..Changed::default() };
    commit(&app, tx, user.id, change).await?;
    if let (true, Some(account)) = (was_member, user.account) {
        forget(&app, provisioner.0.caller.request(), customer(tenant)?, account).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn put(
    app: &App,
    tenant: TenantId,
    mut tx: store::WriteTx,
    id: UserId,
    terms: UserTerms,
) -> Result<Answer, ScimRefusal> {
    let (before, mut after) = app.federation.change_user(&mut tx, id, terms).await?;
    if after.account.is_none()
        && let Some(account) = app.federation.account_of(&mut tx, &after).await?
        && app.federation.link_user(&mut tx, id, account).await?
    {
        after.account = Some(account);
        linked(app, &mut tx, &after).await?;
    } else {
        changed(app, &mut tx, &before, &after).await?;
    }
    let change = Changed {
        before: Some(json!(before.terms.to_map())),
        after: Some(json!(after.terms.to_map())),
        reason: None,
    };
    commit(app, tx, id, change).await?;
    Ok(Answer::ok(shown(app, tenant, &after)))
}

fn shown(app: &App, tenant: TenantId, user: &User) -> Value {
    let (id, mut shown) = (user.id.to_string(), user.terms.to_map());
    shown.insert("schemas".to_owned(), json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
    shown.insert("meta".to_owned(), meta(app, tenant, "User", &id, user.created_at, user.changed_at));
    shown.insert("id".to_owned(), json!(id));
    Value::Object(shown)
}

fn id(user: ScimUserId) -> UserId {
    UserId::from_uuid(user.uuid())
}
