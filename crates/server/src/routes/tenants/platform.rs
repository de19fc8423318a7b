// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the platform's people do with customers' tenants: see that they are there, suspend one, end that. None of it shows
//! them anything of what is in one.
//!
//! A suspension is decided and recorded on the platform, under the administrator's name. Then the server enters the tenant,
//! where the suspension takes effect and is recorded with its reason for the tenant's people. When a crash comes between, the
//! tenant is not suspended yet, and doing it again mends that.

use access::tenancy::{Change, CustomerState};
use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::platform::{ListedTenant, ListedTenants, Suspension};
use protocol::{Problem, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::{Record, TenantId as StoredTenant, WriteTx};
use utoipa::IntoParams;

use super::{commit, customer, in_directory, reason};
use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantsQuery {
    /// The tenant after which the page begins.
    after: Option<TenantId>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Lists the customers' tenants, for the platform's people: ids, states, regions.
#[utoipa::path(get, path = "/api/v1/platform/tenants", tag = "platform", operation_id = "list_customers", params(TenantsQuery), security(("session" = [])),
    responses((status = 200, body = ListedTenants), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    signed: Signed,
    Query(query): Query<TenantsQuery>,
) -> Result<Json<ListedTenants>, ApiError> {
    let platform = StoredTenant::PLATFORM;
    let mut tx = app.access.view(&signed.caller, platform, Action::PlatformRead, Resource::Platform).await?;
    let after = query.after.map(|tenant| StoredTenant::from_uuid(tenant.uuid()));
    let limit = query.limit.unwrap_or(super::PAGE).clamp(1, access::tenancy::MAX_PAGE);
    let mut listed = app.tenancy.customers(&mut tx, after, limit + 1).await?;
    let more = listed.len() > limit as usize;
    listed.truncate(limit as usize);
    let next = listed.last().filter(|_| more).map(|last| TenantId::from_uuid(*last.id.uuid()));
    let shown = |tenant: access::tenancy::Listed| ListedTenant {
        id: TenantId::from_uuid(*tenant.id.uuid()),
        state: tenant.state,
        region: tenant.region,
        created_at: tenant.created_at,
    };
    Ok(Json(ListedTenants { tenants: listed.into_iter().map(shown).collect(), next }))
}

/// Suspends a tenant at once: nothing is done in it until that is ended.
#[utoipa::path(put, path = "/api/v1/platform/tenants/{tenant}/suspension", tag = "platform", operation_id = "suspend_tenant", params(("tenant" = TenantId, Path)), request_body = Suspension, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn suspend(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<Suspension>,
) -> Result<StatusCode, ApiError> {
    let reason = reason(Some(&body.reason))?;
    let tenant = decide(&app, &signed, tenant, true, reason.as_deref()).await?;
    let worker = Caller::system("tenants", signed.caller.request());
    let mut tx = app.access.enter(&worker, tenant, Action::TenantSuspend, Resource::Customer).await?;
    let (before, _) = app.tenancy.state(&mut tx).await?;
    if app.tenancy.suspend(&mut tx).await? {
        let change = Change {
            before: Some(json!({ "state": before.name() })),
            after: Some(json!({ "state": CustomerState::Suspended.name(), "by": signed.caller.actor() })),
            reason: reason.as_deref(),
        };
        commit(&app, tx, tenant, change).await?;
    }
    list_as(&app, &signed, tenant, CustomerState::Suspended).await
}

/// Ends the suspension of a tenant.
#[utoipa::path(delete, path = "/api/v1/platform/tenants/{tenant}/suspension", tag = "platform", operation_id = "resume_tenant", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn resume(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
) -> Result<StatusCode, ApiError> {
    let tenant = decide(&app, &signed, tenant, false, None).await?;
    let worker = Caller::system("tenants", signed.caller.request());
    let mut tx = app.access.enter(&worker, tenant, Action::TenantSuspend, Resource::Customer).await?;
    let (before, _) = app.tenancy.state(&mut tx).await?;
    let after = app.tenancy.resume(&mut tx).await?;
    if before != after {
        let change = Change {
            before: Some(json!({ "state": before.name() })),
            after: Some(json!({ "state": after.name(), "by": signed.caller.actor() })),
            reason: None,
        };
        commit(&app, tx, tenant, change).await?;
    }
    list_as(&app, &signed, tenant, after).await
}

/// Whether the caller may, with a record of it in the platform's history, which says what is to be; and the tenant.
async fn decide(
    app: &App,
    signed: &Signed,
    tenant: TenantId,
    suspended: bool,
    reason: Option<&str>,
) -> Result<StoredTenant, ApiError> {
    // Who may not is told nothing of the tenant.
    drop(on_platform(app, signed).await?);
    let tenant = customer(tenant)?;
    let worker = Caller::system("tenants", signed.caller.request());
    let mut view = app.access.view(&worker, tenant, Action::MaintenanceRun, Resource::Customer).await?;
    let (before, delete_at) = app.tenancy.state(&mut view).await?;
    drop(view);
    let after = match (suspended, before, delete_at) {
        (true, ..) => CustomerState::Suspended,
        (false, CustomerState::Suspended, Some(_)) => CustomerState::Closing,
        (false, CustomerState::Suspended, None) => CustomerState::Live,
        (false, state, _) => state,
    };
    let tx = on_platform(app, signed).await?;
    let change = Change {
        before: Some(json!({ "state": before.name() })),
        after: Some(json!({ "state": after.name() })),
        reason,
    };
    commit(app, tx, tenant, change).await?;
    Ok(tenant)
}

async fn on_platform(app: &App, signed: &Signed) -> Result<WriteTx, ApiError> {
    signed.look_again(app).await?;
    let platform = StoredTenant::PLATFORM;
    Ok(app.access.enter(&signed.caller, platform, Action::TenantSuspend, Resource::Platform).await?)
}

async fn list_as(
    app: &App,
    signed: &Signed,
    tenant: StoredTenant,
    state: CustomerState,
) -> Result<StatusCode, ApiError> {
    let mut tx = in_directory(app, signed.caller.request()).await?;
    app.tenancy.set_listed_state(&mut tx, tenant, state.name()).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(StatusCode::NO_CONTENT)
}
