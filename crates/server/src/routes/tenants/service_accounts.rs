// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Service accounts of a tenant: programs that hold roles as members do, and show a key.

use access::tenancy::{
    self, Change, MemberState, NewServiceKey as KeyWish, ServiceAccountId as AccountId, ServiceKeyId as KeyId,
};
use access::{Action, Resource, Scopes};
use axum::extract::State;
use axum::http::StatusCode;
use identity::Network;
use protocol::service_accounts::{
    MadeServiceKey, NewServiceAccount, NewServiceKey, ServiceAccount, ServiceAccountChange, ServiceAccounts,
    ServiceKey, ServiceKeys,
};
use protocol::{Problem, Secret, ServiceAccountId, ServiceKeyId, TenantId};
use serde_json::json;

use super::{customer, name};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::signin::parsed;
use crate::state::App;

/// How many networks a key has at most.
const MAX_NETWORKS: usize = 64;

/// Lists the service accounts.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/service-accounts", tag = "service-accounts", operation_id = "list_service_accounts",
    params(("tenant" = TenantId, Path)), security(("session" = [])), responses((status = 200, body = ServiceAccounts), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<ServiceAccounts>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ServiceAccountRead, Resource::Customer).await?;
    let service_accounts = app.tenancy.service_accounts(&mut tx).await?.into_iter().map(to_account).collect();
    Ok(Json(ServiceAccounts { service_accounts }))
}

/// Makes a service account. It holds no role yet.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/service-accounts", tag = "service-accounts", operation_id = "create_service_account",
    params(("tenant" = TenantId, Path)), request_body = NewServiceAccount, security(("session" = [])),
    responses((status = 201, body = ServiceAccount), (status = 404, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewServiceAccount>,
) -> Result<(StatusCode, Json<ServiceAccount>), ApiError> {
    let wished = name("name", &body.name)?;
    let mut tx = enter(&app, &signed, tenant).await?;
    let made = app.tenancy.create_service_account(&mut tx, &wished, &signed.caller.actor()).await?;
    let change = Change { after: Some(json!({ "name": wished.as_str() })), ..Change::default() };
    let record = app.tenancy.record(&mut tx, made.id, &change).await?;
    tx.commit(record).await?;
    Ok((StatusCode::CREATED, Json(to_account(made))))
}

/// Suspends a service account at once, or ends that.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/service-accounts/{service_account}", tag = "service-accounts", operation_id = "change_service_account",
    params(("tenant" = TenantId, Path), ("service_account" = ServiceAccountId, Path)), request_body = ServiceAccountChange, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, ServiceAccountId)>,
    Json(body): Json<ServiceAccountChange>,
) -> Result<StatusCode, ApiError> {
    let state: MemberState =
        body.state.parse().map_err(|_| ApiError::field("state", "one of live, suspended"))?;
    let account = id(account);
    let mut tx = enter(&app, &signed, tenant).await?;
    covered(&app, &mut tx, &signed, account).await?;
    app.tenancy.set_service_account_state(&mut tx, account, state).await?;
    let change = Change { after: Some(json!({ "state": state.name() })), ..Change::default() };
    let record = app.tenancy.record(&mut tx, account, &change).await?;
    tx.commit(record).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a service account at once, with its keys and its roles.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/service-accounts/{service_account}", tag = "service-accounts", operation_id = "delete_service_account",
    params(("tenant" = TenantId, Path), ("service_account" = ServiceAccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, ServiceAccountId)>,
) -> Result<StatusCode, ApiError> {
    let account = id(account);
    let mut tx = enter(&app, &signed, tenant).await?;
    covered(&app, &mut tx, &signed, account).await?;
    app.tenancy.delete_service_account(&mut tx, account).await?;
    let change = Change { after: Some(json!({ "deleted": true })), ..Change::default() };
    let record = app.tenancy.record(&mut tx, account, &change).await?;
    tx.commit(record).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the keys of a service account, with their last use.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/service-accounts/{service_account}/keys", tag = "service-accounts", operation_id = "list_service_keys",
    params(("tenant" = TenantId, Path), ("service_account" = ServiceAccountId, Path)), security(("session" = [])),
    responses((status = 200, body = ServiceKeys), (status = 404, body = Problem)))]
pub(crate) async fn list_keys(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, account)): Path<(TenantId, ServiceAccountId)>,
) -> Result<Json<ServiceKeys>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ServiceAccountRead, Resource::Customer).await?;
    let keys = app.tenancy.service_keys(&mut tx, id(account)).await?.into_iter().map(to_key).collect();
    Ok(Json(ServiceKeys { keys }))
}

/// Makes a key of a service account. It is shown once; the server keeps a hash. Whoever makes it must have all that the account
/// may, since they could use it.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/service-accounts/{service_account}/keys", tag = "service-accounts", operation_id = "create_service_key",
    params(("tenant" = TenantId, Path), ("service_account" = ServiceAccountId, Path)), request_body = NewServiceKey, security(("session" = [])),
    responses((status = 201, body = MadeServiceKey), (status = 404, body = Problem)))]
pub(crate) async fn create_key(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, ServiceAccountId)>,
    Json(body): Json<NewServiceKey>,
) -> Result<(StatusCode, Json<MadeServiceKey>), ApiError> {
    let label = name("label", &body.label)?;
    let scopes: Scopes = parsed("scopes", body.scopes.join(" ").parse())?;
    if body.networks.len() > MAX_NETWORKS {
        return Err(ApiError::field("networks", "at most 64"));
    }
    let networks = body
        .networks
        .iter()
        .map(|network| parsed("networks", network.parse::<Network>()).map(|network| network.to_string()))
        .collect::<Result<Vec<_>, _>>()?
        .join(" ");
    let account = id(account);
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(ApiError::internal)?;
    let mut tx = enter(&app, &signed, tenant).await?;
    covered(&app, &mut tx, &signed, account).await?;
    let wish = KeyWish { label: &label, scopes, networks: &networks, expires_at: body.expires_at };
    let (made, token) =
        app.tenancy.create_service_key(&mut tx, account, &wish, secret, &signed.caller.actor()).await?;
    let after = json!({ "account": account.to_string(), "scopes": scopes.to_string(), "networks": networks });
    let record =
        app.tenancy.record(&mut tx, made.id, &Change { after: Some(after), ..Change::default() }).await?;
    tx.commit(record).await?;
    let key = Secret::from(token.expose().to_string());
    Ok((StatusCode::CREATED, Json(MadeServiceKey { listed: to_key(made), key })))
}

/// Revokes a key of a service account at once.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/service-accounts/{service_account}/keys/{key}", tag = "service-accounts", operation_id = "revoke_service_key",
    params(("tenant" = TenantId, Path), ("service_account" = ServiceAccountId, Path), ("key" = ServiceKeyId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account, key)): Path<(TenantId, ServiceAccountId, ServiceKeyId)>,
) -> Result<StatusCode, ApiError> {
    let (account, key) = (id(account), KeyId::from_uuid(key.uuid()));
    let mut tx = enter(&app, &signed, tenant).await?;
    app.tenancy.revoke_service_key(&mut tx, account, key).await?;
    let after = json!({ "account": account.to_string(), "revoked": true });
    let record =
        app.tenancy.record(&mut tx, key, &Change { after: Some(after), ..Change::default() }).await?;
    tx.commit(record).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn enter(app: &App, signed: &Signed, tenant: TenantId) -> Result<store::WriteTx, ApiError> {
    signed.enter_customer(app, customer(tenant)?, Action::ServiceAccountWrite, Resource::Customer).await
}

/// Refuses who may less than the service account does: whoever has its key, or takes it away, has what it has.
async fn covered(
    app: &App,
    tx: &mut store::WriteTx,
    signed: &Signed,
    account: AccountId,
) -> Result<(), ApiError> {
    let held = app.tenancy.held(tx, app.access.policies(), *account.uuid()).await?;
    Ok(app.access.covers_all(tx, &signed.caller, &held).await?)
}

fn id(account: ServiceAccountId) -> AccountId {
    AccountId::from_uuid(account.uuid())
}

fn to_account(account: tenancy::ServiceAccount) -> ServiceAccount {
    ServiceAccount {
        id: ServiceAccountId::from_uuid(*account.id.uuid()),
        name: account.name.as_str().to_owned(),
        state: account.state.to_string(),
        created_at: account.created_at,
        created_by: account.created_by,
    }
}

fn to_key(key: tenancy::ServiceKey) -> ServiceKey {
    let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
    ServiceKey {
        id: ServiceKeyId::from_uuid(*key.id.uuid()),
        label: key.label.as_str().to_owned(),
        scopes: words(&key.scopes.to_string()),
        networks: words(&key.networks),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}
