// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The platform's own providers, and its word that a domain is a tenant's.

use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use federation::{DomainName, FederationError, ProvedBy, ProviderId as StoredId};
use protocol::federation::{NewProvider, Provider, ProviderChange, Providers};
use protocol::{Problem, ProviderId, TenantId};
use store::{Record, TenantId as StoredTenant, WriteTx};

use super::setup::{changed, shown, terms};
use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::tenants::customer;
use crate::routes::tenants::domains::take_from_another;
use crate::state::App;

/// Lists the platform's providers.
#[utoipa::path(get, path = "/api/v1/platform/providers", tag = "platform", operation_id = "list_platform_providers", security(("session" = [])),
    responses((status = 200, body = Providers), (status = 403, body = Problem)))]
pub(crate) async fn list(State(app): State<App>, signed: Signed) -> Result<Json<Providers>, ApiError> {
    let platform = StoredTenant::PLATFORM;
    let mut tx = app.access.view(&signed.caller, platform, Action::ProviderRead, Resource::Platform).await?;
    let providers = app.federation.providers(&mut tx).await?;
    let providers = providers.into_iter().map(|provider| shown(&app, provider)).collect();
    Ok(Json(Providers { providers, required_since: None }))
}

/// Sets a provider up that everybody may come in by.
#[utoipa::path(post, path = "/api/v1/platform/providers", tag = "platform", operation_id = "create_platform_provider", request_body = NewProvider, security(("session" = [])),
    responses((status = 201, body = Provider), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<NewProvider>,
) -> Result<(StatusCode, Json<Provider>), ApiError> {
    let mut tx = enter(&app, &signed).await?;
    let terms = terms(body, *signed.session.account().uuid())?;
    let made = app.federation.create_provider(&mut tx, terms, &signed.caller.actor()).await?;
    tx.commit(Record::about(made.id)).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, made))))
}

/// Changes one of them.
#[utoipa::path(patch, path = "/api/v1/platform/providers/{provider}", tag = "platform", operation_id = "change_platform_provider", params(("provider" = ProviderId, Path)), request_body = ProviderChange, security(("session" = [])),
    responses((status = 200, body = Provider), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    signed: Signed,
    Path(provider): Path<ProviderId>,
    Json(body): Json<ProviderChange>,
) -> Result<Json<Provider>, ApiError> {
    let id = StoredId::from_uuid(provider.uuid());
    let mut tx = enter(&app, &signed).await?;
    let mut provider = app.federation.provider(&mut tx, id).await?;
    provider.terms = changed(&provider.terms, body, *signed.session.account().uuid())?;
    app.federation.change_provider(&mut tx, id, &provider.terms).await?;
    tx.commit(Record::about(id)).await?;
    Ok(Json(shown(&app, provider)))
}

/// Takes one of them away: nobody comes in by it any more.
#[utoipa::path(delete, path = "/api/v1/platform/providers/{provider}", tag = "platform", operation_id = "delete_platform_provider", params(("provider" = ProviderId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Signed,
    Path(provider): Path<ProviderId>,
) -> Result<StatusCode, ApiError> {
    let id = StoredId::from_uuid(provider.uuid());
    let mut tx = enter(&app, &signed).await?;
    app.federation.delete_provider(&mut tx, id).await?;
    tx.commit(Record::about(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says that a domain is a tenant's, which asked for it, where a TXT record cannot.
#[utoipa::path(put, path = "/api/v1/platform/tenants/{tenant}/domains/{domain}", tag = "platform", operation_id = "confirm_domain", params(("tenant" = TenantId, Path), ("domain" = String, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn confirm_domain(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, domain)): Path<(TenantId, String)>,
) -> Result<StatusCode, ApiError> {
    drop(enter(&app, &signed).await?);
    let tenant = customer(tenant)?;
    let name: DomainName = domain.parse().map_err(FederationError::from)?;
    let worker = Caller::system("federation", signed.caller.request());
    // The tenant's people asked for it before.
    let mut view = app.access.view(&worker, tenant, Action::MaintenanceRun, Resource::Customer).await?;
    app.federation.domain(&mut view, &name).await?;
    drop(view);
    // The platform takes back what it said of another tenant; what that one proved by itself stays.
    let (request, platform) = (signed.caller.request(), ProvedBy::Platform);
    let former = take_from_another(&app, request, tenant, &name, platform, &[]).await?;
    let mut tx = enter(&app, &signed).await?;
    app.federation.claim_domain(&mut tx, tenant, &name, platform, former.as_ref()).await?;
    tx.commit(Record::about(tenant)).await?;
    let mut tx = app.access.enter(&worker, tenant, Action::MaintenanceRun, Resource::Customer).await?;
    app.federation.set_verified(&mut tx, &name).await?;
    let after = Some(serde_json::json!({ "domain": name.as_str(), "proved": "by the platform" }));
    let change = access::tenancy::Change { after, ..Default::default() };
    crate::routes::tenants::commit(&app, tx, tenant, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn enter(app: &App, signed: &Signed) -> Result<WriteTx, ApiError> {
    signed.look_again(app).await?;
    let platform = StoredTenant::PLATFORM;
    Ok(app.access.enter(&signed.caller, platform, Action::ProviderWrite, Resource::Platform).await?)
}
