// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's own providers: by which its people come in, what they get by that, and that there is no other way.

use std::sync::LazyLock;
use std::time::Duration;

use access::tenancy::Change;
use access::{Action, Place, Resource, TenancyError};
use axum::extract::State;
use axum::http::StatusCode;
use federation::{Given, Provider as Stored, ProviderId as StoredId, TESTS, TESTS_OF_ONE, Terms};
use identity::Try;
use protocol::federation::{NewProvider, Provider, ProviderChange, ProviderRequirement, Providers};
use protocol::{Code, Problem, ProviderId, TenantId};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::WriteTx;

use super::{LongWork, commit, customer};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::federation::setup::{changed, differing, shown, terms};
use crate::state::App;

/// Lists the providers of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/providers", tag = "federation", operation_id = "list_providers", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Providers), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Providers>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ProviderRead, Resource::Customer).await?;
    let required_since = app.tenancy.provider_required_since(&mut tx).await?;
    let providers = app.federation.providers(&mut tx).await?;
    let providers = providers.into_iter().map(|provider| shown(&app, provider)).collect();
    Ok(Json(Providers { providers, required_since }))
}

/// A provider of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/providers/{provider}", tag = "federation", operation_id = "read_provider", params(("tenant" = TenantId, Path), ("provider" = ProviderId, Path)), security(("session" = [])),
    responses((status = 200, body = Provider), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, provider)): Path<(TenantId, ProviderId)>,
) -> Result<Json<Provider>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ProviderRead, Resource::Customer).await?;
    let provider = app.federation.provider(&mut tx, id(provider)).await?;
    Ok(Json(shown(&app, provider)))
}

/// Sets a provider up. Whoever has it give roles must have all that these allow.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/providers", tag = "federation", operation_id = "create_provider", params(("tenant" = TenantId, Path)), request_body = NewProvider, security(("session" = [])),
    responses((status = 201, body = Provider), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewProvider>,
) -> Result<(StatusCode, Json<Provider>), ApiError> {
    let terms = terms(body, *signed.session.account().uuid())?;
    let mut tx = enter(&app, &signed, tenant).await?;
    covered(&app, &mut tx, &signed, &[], &terms.gives).await?;
    let made = app.federation.create_provider(&mut tx, terms, &signed.caller.actor()).await?;
    let (id, provider) = (made.id, shown(&app, made));
    commit(&app, tx, id, Change { after: Some(json!(provider)), ..Change::default() }).await?;
    Ok((StatusCode::CREATED, Json(provider)))
}

/// Changes a provider. What it gives is the word of whoever said so first.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/providers/{provider}", tag = "federation", operation_id = "change_provider", params(("tenant" = TenantId, Path), ("provider" = ProviderId, Path)), request_body = ProviderChange, security(("session" = [])),
    responses((status = 200, body = Provider), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, provider)): Path<(TenantId, ProviderId)>,
    Json(body): Json<ProviderChange>,
) -> Result<Json<Provider>, ApiError> {
    let id = id(provider);
    let mut tx = enter(&app, &signed, tenant).await?;
    let before = app.federation.provider(&mut tx, id).await?;
    let is_new_secret = body.client_secret.is_some();
    let terms = changed(&before.terms, body, *signed.session.account().uuid())?;
    covered(&app, &mut tx, &signed, &before.terms.gives, &terms.gives).await?;
    if decides_otherwise(&before.terms, &terms) || is_new_secret {
        // Who else comes in by it now gets all that it gives.
        covered(&app, &mut tx, &signed, &[], &terms.gives).await?;
    }
    app.federation.change_provider(&mut tx, id, &terms).await?;
    let after = shown(&app, Stored { terms, ..before.clone() });
    let mut said = json!(after);
    if is_new_secret && let Some(fields) = said.as_object_mut() {
        fields.insert("client_secret".to_owned(), json!("another"));
    }
    let change = Change { before: Some(json!(shown(&app, before))), after: Some(said), reason: None };
    commit(&app, tx, id, change).await?;
    Ok(Json(after))
}

/// Takes a provider away: nobody comes in by it any more.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/providers/{provider}", tag = "federation", operation_id = "delete_provider", params(("tenant" = TenantId, Path), ("provider" = ProviderId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, provider)): Path<(TenantId, ProviderId)>,
) -> Result<StatusCode, ApiError> {
    let id = id(provider);
    let mut tx = enter(&app, &signed, tenant).await?;
    let is_last = app.federation.providers(&mut tx).await?.iter().all(|other| other.id == id);
    if is_last && app.tenancy.provider_required_since(&mut tx).await?.is_some() {
        let why = "members come in by this provider only: end that first";
        return Err(Problem::new(Code::Conflict).detail(why).into());
    }
    app.federation.delete_provider(&mut tx, id).await?;
    // What it gave, nobody takes away by its word any more.
    app.tenancy.forget_provided(&mut tx, &id.to_string()).await?;
    commit(&app, tx, id, Change { after: Some(json!({ "deleted": true })), ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the provider for its metadata and keys, now.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/providers/{provider}/test", tag = "federation", operation_id = "test_provider", params(("tenant" = TenantId, Path), ("provider" = ProviderId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn test(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, provider)): Path<(TenantId, ProviderId)>,
) -> Result<StatusCode, ApiError> {
    let mut tx = enter(&app, &signed, tenant).await?;
    let provider = app.federation.provider(&mut tx, id(provider)).await?;
    drop(tx);
    let _turn = TRIALS.turn(provider.tenant).await?;
    // What counts is who has the server ask those that do not answer.
    let aimed_at = Sha256::digest(signed.session.account().uuid().as_bytes()).into();
    let charge = app.attempts.start(app.now(), Try::ProviderTest, &aimed_at, signed.address.ip())?;
    app.federation.try_out(app.now(), &provider).await?;
    app.attempts.returned(app.now(), charge);
    Ok(StatusCode::NO_CONTENT)
}

/// Says whether members come in by the tenant's providers only. Owners always come in by any way.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/provider-requirement", tag = "federation", operation_id = "require_provider", params(("tenant" = TenantId, Path)), request_body = ProviderRequirement, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn require(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<ProviderRequirement>,
) -> Result<StatusCode, ApiError> {
    let mut tx = enter(&app, &signed, tenant).await?;
    let enabled = app.federation.providers(&mut tx).await?;
    if body.required && !enabled.iter().any(|provider| provider.terms.is_enabled) {
        let why = "there is no provider that people could come in by";
        return Err(Problem::new(Code::Conflict).detail(why).into());
    }
    app.tenancy.require_provider(&mut tx, body.required).await?;
    let after = Some(json!({ "provider_required": body.required }));
    commit(&app, tx, tenant, Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn enter(app: &App, signed: &Signed, tenant: TenantId) -> Result<WriteTx, ApiError> {
    signed.enter_customer(app, customer(tenant)?, Action::ProviderWrite, Resource::Customer).await
}

/// Refuses who may less than the roles that are to be given, or are to be given no more.
async fn covered(
    app: &App,
    tx: &mut WriteTx,
    signed: &Signed,
    before: &[Given],
    after: &[Given],
) -> Result<(), ApiError> {
    let mut there: Vec<(access::tenancy::RoleName, Place)> = Vec::new();
    for (role, place) in differing(before, after) {
        match app.tenancy.require_providable(tx, role, place).await {
            Ok(()) => there.push((role, place)),
            // What is not there any more may be left out by anybody.
            Err(TenancyError::NotFound) if !after.iter().any(|given| is(given, role, place)) => {}
            Err(TenancyError::NotFound) => {
                return Err(ApiError::field("gives", "there is no such role or place"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let held = app.tenancy.role_at(tx, app.access.policies(), there).await?;
    Ok(app.access.covers_all(tx, &signed.caller, &held).await?)
}

/// Whether a provider would be believed of others than before: of whom it speaks, in which words, and whether at all.
fn decides_otherwise(before: &Terms, after: &Terms) -> bool {
    before.client_id != after.client_id
        || before.groups_claim != after.groups_claim
        || before.scopes != after.scopes
        || (after.trusts_addresses && !before.trusts_addresses)
        || (after.joins && !before.joins)
        || (after.is_enabled && !before.is_enabled)
}

fn is(given: &Given, role: access::tenancy::RoleName, place: Place) -> bool {
    given.role == role.to_string() && crate::routes::federation::setup::place(&given.place) == Some(place)
}

fn id(provider: ProviderId) -> StoredId {
    StoredId::from_uuid(provider.uuid())
}

/// Providers that are tried out at this moment.
static TRIALS: LazyLock<LongWork> =
    LazyLock::new(|| LongWork::new(TESTS_OF_ONE, TESTS, Duration::from_secs(5)));
