// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Organisations of a tenant.

use access::tenancy::{Change, Held, Organisation as Stored, OrganisationId as StoredId};
use access::{Action, Place, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::organisations::{NewOrganisation, Organisation, OrganisationChange, Organisations};
use protocol::{OrganisationId, Problem, TenantId};
use serde_json::{Map, json};

use super::{commit, customer, name};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Lists the organisations of a tenant, the topmost first.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/organisations", tag = "tenants", operation_id = "list_organisations", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Organisations), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Organisations>, ApiError> {
    let tenant = customer(tenant)?;
    let mut tx = acting.view(&app, tenant, Action::OrganisationRead, Resource::Customer).await?;
    let organisations = app.tenancy.organisations(&mut tx).await?;
    Ok(Json(Organisations { organisations: organisations.into_iter().map(shown).collect() }))
}

/// Makes an organisation.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/organisations", tag = "tenants", operation_id = "create_organisation", params(("tenant" = TenantId, Path)), request_body = NewOrganisation, security(("session" = [])),
    responses((status = 201, body = Organisation), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewOrganisation>,
) -> Result<(StatusCode, Json<Organisation>), ApiError> {
    let (tenant, name) = (customer(tenant)?, name("name", &body.name)?);
    let parent = body.parent.map_or(*tenant.uuid(), |parent| parent.uuid());
    let mut tx =
        acting.enter(&app, tenant, Action::OrganisationWrite, Resource::Organisation(parent)).await?;
    let made = app.tenancy.create_organisation(&mut tx, StoredId::from_uuid(parent), &name).await?;
    let after = json!({ "name": name.as_str(), "parent": made.parent.map(|parent| parent.to_string()) });
    let id = made.id;
    commit(&app, tx, id, Change { after: Some(after), ..Change::default() }).await?;
    Ok((StatusCode::CREATED, Json(shown(made))))
}

/// Names an organisation, or moves it with all that is below it.
///
/// To move one needs what `organisation.write` needs there, where it lies and where it is to lie, and all that it gives to
/// others and takes from them: what the roles allow that are held above the one place and not above the other.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/organisations/{organisation}", tag = "tenants", operation_id = "change_organisation",
    params(("tenant" = TenantId, Path), ("organisation" = OrganisationId, Path)), request_body = OrganisationChange, security(("session" = [])),
    responses((status = 200, body = Organisation), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, organisation)): Path<(TenantId, OrganisationId)>,
    Json(body): Json<OrganisationChange>,
) -> Result<Json<Organisation>, ApiError> {
    let new_name = body.name.as_deref().map(|text| name("name", text)).transpose()?;
    if new_name.is_none() && body.parent.is_none() {
        return Err(ApiError::field("name", "there is nothing to change"));
    }
    let id = StoredId::from_uuid(organisation.uuid());
    let mut tx = acting
        .enter(
            &app,
            customer(tenant)?,
            Action::OrganisationWrite,
            Resource::Organisation(organisation.uuid()),
        )
        .await?;
    let before = app.tenancy.organisation(&mut tx, id).await?;
    let (mut was, mut is) = (Map::new(), Map::new());
    if let Some(new) = &new_name {
        app.tenancy.rename_organisation(&mut tx, id, new).await?;
        was.insert("name".to_owned(), json!(before.name.as_str()));
        is.insert("name".to_owned(), json!(new.as_str()));
    }
    if let Some(parent) = body.parent {
        let to = StoredId::from_uuid(parent.uuid());
        let from =
            before.parent.ok_or_else(|| ApiError::field("organisation", "it is the tenant as a whole"))?;
        for place in [from, to] {
            let place = Resource::Organisation(*place.uuid());
            app.access.also(&mut tx, &acting.caller, Action::OrganisationWrite, place).await?;
        }
        let mut moved = Held::default();
        let actions = app.tenancy.moved(&mut tx, app.access.policies(), from, to).await?;
        moved.add(Place::Organisation(organisation.uuid()), actions);
        app.access.covers_all(&mut tx, &acting.caller, &moved).await?;
        app.tenancy.move_organisation(&mut tx, id, to).await?;
        was.insert("parent".to_owned(), json!(from.to_string()));
        is.insert("parent".to_owned(), json!(to.to_string()));
    }
    let after = app.tenancy.organisation(&mut tx, id).await?;
    commit(&app, tx, id, Change { before: Some(was.into()), after: Some(is.into()), reason: None }).await?;
    Ok(Json(shown(after)))
}

/// Deletes an organisation that nothing lies in, with the roles that were held there.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/organisations/{organisation}", tag = "tenants", operation_id = "delete_organisation",
    params(("tenant" = TenantId, Path), ("organisation" = OrganisationId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, organisation)): Path<(TenantId, OrganisationId)>,
) -> Result<StatusCode, ApiError> {
    let id = StoredId::from_uuid(organisation.uuid());
    let mut tx = acting
        .enter(
            &app,
            customer(tenant)?,
            Action::OrganisationWrite,
            Resource::Organisation(organisation.uuid()),
        )
        .await?;
    let before = app.tenancy.organisation(&mut tx, id).await?;
    if let Some(parent) = before.parent {
        // It is something of the one that it lies in.
        let parent = Resource::Organisation(*parent.uuid());
        app.access.also(&mut tx, &acting.caller, Action::OrganisationWrite, parent).await?;
    }
    app.tenancy.delete_organisation(&mut tx, id).await?;
    let was =
        json!({ "name": before.name.as_str(), "parent": before.parent.map(|parent| parent.to_string()) });
    commit(&app, tx, id, Change { before: Some(was), ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(organisation: Stored) -> Organisation {
    Organisation {
        id: OrganisationId::from_uuid(*organisation.id.uuid()),
        parent: organisation.parent.map(|parent| OrganisationId::from_uuid(*parent.uuid())),
        name: organisation.name.as_str().to_owned(),
        created_at: organisation.created_at,
    }
}
