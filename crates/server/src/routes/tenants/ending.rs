// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Handing a tenant on, having it deleted, and taking that back.
//!
//! The tenant's own state decides; the directory's is written after it, and says to the sweep where to look. See
//! `workers::tenants` for what becomes of it when the time of grace is over.

use access::tenancy::{Change, Customer, CustomerState, HolderKind, NewGrant, RoleName};
use access::{Action, BuiltInRole, Place, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::Tenant;
use protocol::tenants::members::Transfer;
use protocol::{Problem, TenantId};
use serde_json::json;
use store::{Record, TenantId as StoredTenant};

use super::{commit, customer, in_directory, to_tenant};
use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Makes a member the owner in one's own place.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/transfer", tag = "tenants", operation_id = "transfer_tenant", params(("tenant" = TenantId, Path)), request_body = Transfer, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn transfer(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<Transfer>,
) -> Result<StatusCode, ApiError> {
    let (tenant, from) = (customer(tenant)?, *signed.session.account().uuid());
    let mut tx = signed.enter_customer(&app, tenant, Action::TenantTransfer, Resource::Customer).await?;
    let owner = NewGrant {
        holder_kind: HolderKind::Member,
        holder: body.to.uuid(),
        role: RoleName::BuiltIn(BuiltInRole::Owner),
        place: Place::Organisation(*tenant.uuid()),
    };
    let given = app.tenancy.given(&mut tx, app.access.policies(), &owner).await?;
    app.access.covers_all(&mut tx, &signed.caller, &given).await?;
    app.tenancy.hand_on(&mut tx, from, body.to.uuid(), &signed.caller.actor()).await?;
    let change = Change {
        before: Some(json!({ "owner": signed.caller.actor() })),
        after: Some(json!({ "owner": body.to.to_string() })),
        reason: None,
    };
    commit(&app, tx, tenant, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has a tenant deleted. Nothing is done in it from now on; in 30 days its keys are destroyed. Until then it can be taken back.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}", tag = "tenants", operation_id = "delete_tenant", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Tenant), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Tenant>, ApiError> {
    let tenant = customer(tenant)?;
    let mut tx = signed.enter_customer(&app, tenant, Action::TenantDelete, Resource::Customer).await?;
    let before = app.tenancy.customer(&mut tx).await?;
    let delete_at = app.tenancy.close(&mut tx).await?;
    let after = Customer { state: CustomerState::Closing, delete_at: Some(delete_at), ..before.clone() };
    changed(&app, &signed, tx, tenant, &before, after).await
}

/// Takes the deletion of a tenant back.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/restore", tag = "tenants", operation_id = "restore_tenant", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Tenant), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn restore(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Tenant>, ApiError> {
    let tenant = customer(tenant)?;
    let mut tx = signed.enter_customer(&app, tenant, Action::TenantDelete, Resource::Customer).await?;
    let before = app.tenancy.customer(&mut tx).await?;
    app.tenancy.reopen(&mut tx).await?;
    let after = Customer { state: CustomerState::Live, delete_at: None, ..before.clone() };
    changed(&app, &signed, tx, tenant, &before, after).await
}

/// Records how the tenant is now, and then says it to the directory.
async fn changed(
    app: &App,
    signed: &Signed,
    tx: store::WriteTx,
    tenant: StoredTenant,
    before: &Customer,
    after: Customer,
) -> Result<Json<Tenant>, ApiError> {
    let said = |customer: &Customer| {
        Some(json!({ "state": customer.state.to_string(), "delete_at": customer.delete_at }))
    };
    commit(app, tx, tenant, Change { before: said(before), after: said(&after), reason: None }).await?;
    let mut tx = in_directory(app, signed.caller.request()).await?;
    app.tenancy.set_listed_state(&mut tx, tenant, after.state.name()).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(Json(to_tenant(after)))
}
