// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups that another system tells a tenant of: teams, whose roles the tenant's people say (RFC 7644, section 3).

use access::TenancyError;
use access::tenancy::{Change as Changed, Name, TeamId as StoredTeam};
use axum::extract::State;
use axum::http::StatusCode;
use federation::scim::{Group, GroupTerms, ScimError};
use protocol::{TeamId, TenantId};
use serde_json::{Value, json};

use super::people::regrouped;
use super::{Answer, Change, Listing, Provisioner, Resourceful, ScimRefusal, meta};
use crate::gateway::{Path, Query};
use crate::routes::tenants::commit;
use crate::state::App;

/// Lists groups, or finds one.
#[utoipa::path(get, path = "/scim/v2/{tenant}/Groups", tag = "scim", operation_id = "scim_list_groups", params(("tenant" = TenantId, Path), Listing), security(("session" = [])),
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
    let (start, members) = (page.start, page.members);
    let found = app.federation.groups(&mut tx, page.filter.as_ref(), start, page.count, members).await?;
    Ok(Answer::list(found, start, |group| shown(&app, tenant, &group, members)))
}

/// One group.
#[utoipa::path(get, path = "/scim/v2/{tenant}/Groups/{scim_group}", tag = "scim", operation_id = "scim_read_group", params(("tenant" = TenantId, Path), ("scim_group" = TeamId, Path), Listing), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 404, description = "There is none")))]
pub(crate) async fn read(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, group)): Path<(TenantId, TeamId)>,
    Query(listing): Query<Listing>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.view(&app, tenant).await?;
    let members = !super::excludes_members(listing.excluded.as_deref());
    let group = app.federation.group(&mut tx, group.uuid(), members).await?;
    provisioner.require_service()?;
    Ok(Answer::ok(shown(&app, tenant, &group, members)))
}

/// Tells of a group: a team of that name, with who is in it.
#[utoipa::path(post, path = "/scim/v2/{tenant}/Groups", tag = "scim", operation_id = "scim_create_group", params(("tenant" = TenantId, Path)), request_body(content = Object, content_type = "application/scim+json"), security(("session" = [])),
    responses((status = 201, content_type = "application/scim+json", body = Object), (status = 409, description = "There is one of that name")))]
pub(crate) async fn create(
    State(app): State<App>,
    provisioner: Provisioner,
    Path(tenant): Path<TenantId>,
    body: Result<Resourceful, ScimRefusal>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    provisioner.require_service()?;
    let terms = GroupTerms::read(&body?.0)?;
    let team = app.tenancy.create_team(&mut tx, &name(&terms)?).await?;
    let group = app.federation.create_group(&mut tx, *team.id.uuid(), terms).await?;
    regrouped(&app, &mut tx, &[], &group).await?;
    let change = Changed { after: Some(json!(group.terms.to_map())), ..Changed::default() };
    commit(&app, tx, team.id, change).await?;
    Ok(Answer::created(shown(&app, tenant, &group, true)))
}

/// Tells of a group anew, in place of what was told before.
#[utoipa::path(put, path = "/scim/v2/{tenant}/Groups/{scim_group}", tag = "scim", operation_id = "scim_replace_group", params(("tenant" = TenantId, Path), ("scim_group" = TeamId, Path)), request_body(content = Object, content_type = "application/scim+json"), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 404, description = "There is none")))]
pub(crate) async fn replace(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, group)): Path<(TenantId, TeamId)>,
    body: Result<Resourceful, ScimRefusal>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    app.federation.group(&mut tx, group.uuid(), false).await?;
    provisioner.require_service()?;
    let terms = GroupTerms::read(&body?.0)?;
    put(&app, tenant, tx, group, terms).await
}

/// Changes a group.
#[utoipa::path(patch, path = "/scim/v2/{tenant}/Groups/{scim_group}", tag = "scim", operation_id = "scim_change_group", params(("tenant" = TenantId, Path), ("scim_group" = TeamId, Path)), request_body(content = Object, content_type = "application/scim+json"), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object), (status = 404, description = "There is none")))]
pub(crate) async fn change(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, group)): Path<(TenantId, TeamId)>,
    body: Result<Change, ScimRefusal>,
) -> Result<Answer, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    let before = app.federation.group_to_change(&mut tx, group.uuid()).await?;
    provisioner.require_service()?;
    let terms = before.terms.patched(&body?.0)?;
    put(&app, tenant, tx, group, terms).await
}

/// Tells of a group no more: its team is deleted, with the roles that it held.
#[utoipa::path(delete, path = "/scim/v2/{tenant}/Groups/{scim_group}", tag = "scim", operation_id = "scim_delete_group", params(("tenant" = TenantId, Path), ("scim_group" = TeamId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, description = "There is none")))]
pub(crate) async fn delete(
    State(app): State<App>,
    provisioner: Provisioner,
    Path((tenant, group)): Path<(TenantId, TeamId)>,
) -> Result<StatusCode, ScimRefusal> {
    let mut tx = provisioner.enter(&app, tenant).await?;
    let before = app.federation.group(&mut tx, group.uuid(), true).await?;
    provisioner.require_service()?;
    app.federation.delete_group(&mut tx, group.uuid()).await?;
    match app.tenancy.delete_team(&mut tx, StoredTeam::from_uuid(group.uuid())).await {
        // The tenant's people may have deleted it.
        Ok(()) | Err(TenancyError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let change = Changed { before: Some(json!(before.terms.to_map())), ..Changed::default() };
    commit(&app, tx, group, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put(
    app: &App,
    tenant: TenantId,
    mut tx: store::WriteTx,
    group: TeamId,
    terms: GroupTerms,
) -> Result<Answer, ScimRefusal> {
    let name = name(&terms)?;
    let (before, after) = app.federation.change_group(&mut tx, group.uuid(), terms).await?;
    if before.terms.display_name != after.terms.display_name {
        match app.tenancy.rename_team(&mut tx, StoredTeam::from_uuid(group.uuid()), &name).await {
            Ok(()) | Err(TenancyError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    regrouped(app, &mut tx, &before.terms.members, &after).await?;
    let change = Changed {
        before: Some(json!(before.terms.to_map())),
        after: Some(json!(after.terms.to_map())),
        reason: None,
    };
    commit(app, tx, group, change).await?;
    Ok(Answer::ok(shown(app, tenant, &after, true)))
}

/// The name of the team.
fn name(terms: &GroupTerms) -> Result<Name, ScimRefusal> {
    let invalid = |_| ScimError::InvalidValue {
        path: "displayName".to_owned(),
        why: "1 to 200 characters, no space at either end",
    };
    Ok(Name::new(terms.display_name.as_str()).map_err(invalid)?)
}

fn shown(app: &App, tenant: TenantId, group: &Group, members: bool) -> Value {
    let (id, mut shown) = (TeamId::from_uuid(group.team).to_string(), group.terms.to_map());
    if !members {
        shown.remove("members");
    }
    shown.insert("schemas".to_owned(), json!(["urn:ietf:params:scim:schemas:core:2.0:Group"]));
    shown.insert("meta".to_owned(), meta(app, tenant, "Group", &id, group.created_at, group.changed_at));
    shown.insert("id".to_owned(), json!(id));
    Value::Object(shown)
}
