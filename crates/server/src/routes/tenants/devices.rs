// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of a tenant: registered, found, listed as far as one may see them, named, assigned, removed.

use access::tenancy::{
    Change, DEVICE_ACTIONS, Device, DeviceId, Held, NewDevice, OrganisationId as StoredPlace,
};
use access::{Action, Place, Resource, Scopes};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::devices::{NewTenantDevice, TenantDevice, TenantDeviceChange, TenantDevices};
use protocol::{Code, OrganisationId, Problem, TenantDeviceId, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::WriteTx;
use utoipa::IntoParams;

use super::{commit, customer, name};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// Which devices.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevicesQuery {
    /// The one with this id of its own.
    external_id: Option<String>,
    /// The device after which the page begins.
    after: Option<TenantDeviceId>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Lists the devices that one may see.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/devices", tag = "tenants", operation_id = "list_tenant_devices", params(("tenant" = TenantId, Path), DevicesQuery), security(("session" = [])),
    responses((status = 200, body = TenantDevices), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<DevicesQuery>,
) -> Result<Json<TenantDevices>, ApiError> {
    let (mut tx, visible) =
        app.access.view_devices(&acting.caller, customer(tenant)?, Action::DeviceRead).await?;
    if let Some(external_id) = &query.external_id {
        // One that is not visible is not there.
        let found = match app.tenancy.find_device(&mut tx, external_id).await {
            Ok(device) => Some(device),
            Err(access::TenancyError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let seen = found.filter(|device| visible.contains(*device.id.uuid(), *device.organisation.uuid()));
        return Ok(Json(TenantDevices { devices: seen.into_iter().map(shown).collect(), next: None }));
    }
    let after = query.after.map(|id| DeviceId::from_uuid(id.uuid()));
    let page = app.tenancy.devices(&mut tx, &visible, after, query.limit.unwrap_or(super::PAGE)).await?;
    Ok(Json(TenantDevices {
        devices: page.devices.into_iter().map(shown).collect(),
        next: page.next.map(|id| TenantDeviceId::from_uuid(*id.uuid())),
    }))
}

/// Registers a device in an organisation.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/devices", tag = "tenants", operation_id = "register_tenant_device", params(("tenant" = TenantId, Path)), request_body = NewTenantDevice, security(("session" = [])),
    responses((status = 201, body = TenantDevice), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn register(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewTenantDevice>,
) -> Result<(StatusCode, Json<TenantDevice>), ApiError> {
    let name = name("name", &body.name)?;
    let place = Resource::Organisation(body.organisation.uuid());
    let mut tx = acting.enter(&app, customer(tenant)?, Action::DeviceWrite, place).await?;
    let new = NewDevice {
        external_id: &body.external_id,
        name: &name,
        organisation: StoredPlace::from_uuid(body.organisation.uuid()),
    };
    let made = app.tenancy.register_device(&mut tx, new).await?;
    let after = Some(said(&made));
    commit(&app, tx, made.id, Change { after, ..Change::default() }).await?;
    Ok((StatusCode::CREATED, Json(shown(made))))
}

/// A device.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/devices/{tenant_device}", tag = "tenants", operation_id = "read_tenant_device",
    params(("tenant" = TenantId, Path), ("tenant_device" = TenantDeviceId, Path)), security(("session" = [])),
    responses((status = 200, body = TenantDevice), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, device)): Path<(TenantId, TenantDeviceId)>,
) -> Result<Json<TenantDevice>, ApiError> {
    let resource = Resource::Device(device.uuid());
    let view = acting.view(&app, customer(tenant)?, Action::DeviceRead, resource).await;
    let mut tx = view.map_err(unseen)?;
    Ok(Json(shown(app.tenancy.device(&mut tx, stored(device)).await?)))
}

/// Names a device, or assigns it to another organisation.
///
/// To assign one needs `device.write` there too, and what of it others gain and lose by it.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/devices/{tenant_device}", tag = "tenants", operation_id = "change_tenant_device",
    params(("tenant" = TenantId, Path), ("tenant_device" = TenantDeviceId, Path)), request_body = TenantDeviceChange, security(("session" = [])),
    responses((status = 200, body = TenantDevice), (status = 404, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, device)): Path<(TenantId, TenantDeviceId)>,
    Json(body): Json<TenantDeviceChange>,
) -> Result<Json<TenantDevice>, ApiError> {
    let new_name = body.name.as_deref().map(|text| name("name", text)).transpose()?;
    if new_name.is_none() && body.organisation.is_none() {
        return Err(ApiError::field("name", "there is nothing to change"));
    }
    let id = stored(device);
    let mut tx = enter(&app, &acting, tenant, Action::DeviceWrite, device).await?;
    let before = app.tenancy.device(&mut tx, id).await?;
    if let Some(new) = &new_name {
        app.tenancy.rename_device(&mut tx, id, new).await?;
    }
    if let Some(organisation) = body.organisation {
        let (from, to) = (before.organisation, StoredPlace::from_uuid(organisation.uuid()));
        let place = Resource::Organisation(organisation.uuid());
        app.access.also(&mut tx, &acting.caller, Action::DeviceWrite, place).await?;
        let moved = app.tenancy.moved(&mut tx, app.access.policies(), from, to).await?;
        let mut held = Held::default();
        let of_devices: Scopes = DEVICE_ACTIONS.into_iter().collect();
        held.add(Place::Device(device.uuid()), moved.and(of_devices));
        app.access.covers_all(&mut tx, &acting.caller, &held).await?;
        app.tenancy.assign_device(&mut tx, id, to).await?;
    }
    let after = app.tenancy.device(&mut tx, id).await?;
    let change = Change { before: Some(said(&before)), after: Some(said(&after)), reason: None };
    commit(&app, tx, id, change).await?;
    Ok(Json(shown(after)))
}

/// Removes a device, with the roles that were held on it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/devices/{tenant_device}", tag = "tenants", operation_id = "delete_tenant_device",
    params(("tenant" = TenantId, Path), ("tenant_device" = TenantDeviceId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, device)): Path<(TenantId, TenantDeviceId)>,
) -> Result<StatusCode, ApiError> {
    let id = stored(device);
    let mut tx = enter(&app, &acting, tenant, Action::DeviceDelete, device).await?;
    let before = app.tenancy.device(&mut tx, id).await?;
    app.tenancy.delete_device(&mut tx, id).await?;
    let was = Some(said(&before));
    commit(&app, tx, id, Change { before: was, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enters to change a device. Who may not even see it is told that it is not there.
async fn enter(
    app: &App,
    acting: &Acting,
    tenant: TenantId,
    action: Action,
    device: TenantDeviceId,
) -> Result<WriteTx, ApiError> {
    let (tenant, resource) = (customer(tenant)?, Resource::Device(device.uuid()));
    match acting.enter(app, tenant, action, resource).await {
        Err(error) if error.code() == Code::Forbidden => {
            acting.view(app, tenant, Action::DeviceRead, resource).await.map_err(unseen)?;
            Err(error)
        }
        other => other,
    }
}

/// A device that one may not see is like one that is not there.
fn unseen(error: ApiError) -> ApiError {
    if error.code() == Code::Forbidden { ApiError::new(Code::NotFound) } else { error }
}

fn stored(device: TenantDeviceId) -> DeviceId {
    DeviceId::from_uuid(device.uuid())
}

fn said(device: &Device) -> serde_json::Value {
    json!({
        "external_id": device.external_id,
        "name": device.name.as_str(),
        "organisation": device.organisation.to_string(),
    })
}

fn shown(device: Device) -> TenantDevice {
    TenantDevice {
        id: TenantDeviceId::from_uuid(*device.id.uuid()),
        external_id: device.external_id,
        name: device.name.as_str().to_owned(),
        organisation: OrganisationId::from_uuid(*device.organisation.uuid()),
        created_at: device.created_at,
    }
}
