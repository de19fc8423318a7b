// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Applications of a tenant that get tokens: OAuth clients.

use access::tenancy::{Change, ServiceAccountId as StoredServiceId};
use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::oauth::{Client, ClientChange, ClientSecret, ClientTokenKey, Clients, MadeClient, NewClient};
use protocol::{ClientId, Problem, Secret, ServiceAccountId, TenantId};
use serde_json::json;
use store::{TenantId as StoredTenant, WriteTx};
use tokens::oauth::{
    Authentication, Client as Stored, ClientAddress, ClientId as StoredId, ClientKeys, ClientTerms,
    GrantType, NewAuthentication, RedirectUri, Shown, TokenAlgorithm,
};

use super::{commit, customer};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::signin::parsed;
use crate::state::App;

/// Lists the clients of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/clients", tag = "clients", operation_id = "list_clients",
    params(("tenant" = TenantId, Path)), security(("session" = [])), responses((status = 200, body = Clients), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Clients>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ClientRead, Resource::Customer).await?;
    let clients = app.provider.clients(&mut tx).await?;
    Ok(Json(Clients { clients: clients.into_iter().map(|client| shown(tx.tenant(), client)).collect() }))
}

/// A client of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/clients/{client}", tag = "clients", operation_id = "read_client",
    params(("tenant" = TenantId, Path), ("client" = ClientId, Path)), security(("session" = [])), responses((status = 200, body = Client), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, client)): Path<(TenantId, ClientId)>,
) -> Result<Json<Client>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ClientRead, Resource::Customer).await?;
    let client = app.provider.client(&mut tx, id(client)).await?;
    Ok(Json(shown(tx.tenant(), client)))
}

/// Makes a client. A secret is shown this once; the server keeps a hash. Whoever makes one that speaks for a service account
/// must have all that the account may.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/clients", tag = "clients", operation_id = "create_client",
    params(("tenant" = TenantId, Path)), request_body = NewClient, security(("session" = [])),
    responses((status = 201, body = MadeClient), (status = 404, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewClient>,
) -> Result<(StatusCode, Json<MadeClient>), ApiError> {
    let authentication = authentication(&body)?;
    let terms = terms(body)?;
    askable(&app, &terms)?;
    let mut tx = enter(&app, &signed, tenant).await?;
    covered(&app, &mut tx, &signed, &terms).await?;
    let by = signed.caller.actor();
    let (made, secret) = app.provider.create_client(&mut tx, terms, authentication, &by).await?;
    let token_key = match made.terms.algorithm {
        TokenAlgorithm::Shared(_) => Some(app.provider.key_shared_with(&mut tx, &made).await?.show()),
        TokenAlgorithm::Server(_) => None,
    };
    let client = shown(tx.tenant(), made);
    let change = Change { after: Some(json!(client)), ..Change::default() };
    commit(&app, tx, client.id, change).await?;
    let told = |shown: Shown| Secret::from(shown.expose().to_owned());
    let made = MadeClient { client, client_secret: secret.map(told), token_key: token_key.map(told) };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes a client. Tokens and refresh tokens with scopes that it may ask for no more lose them at once.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/clients/{client}", tag = "clients", operation_id = "change_client",
    params(("tenant" = TenantId, Path), ("client" = ClientId, Path)), request_body = ClientChange, security(("session" = [])),
    responses((status = 200, body = Client), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, client)): Path<(TenantId, ClientId)>,
    Json(body): Json<ClientChange>,
) -> Result<Json<Client>, ApiError> {
    let id = id(client);
    let mut tx = enter(&app, &signed, tenant).await?;
    let before = app.provider.client(&mut tx, id).await?;
    covered(&app, &mut tx, &signed, &before.terms).await?;
    let terms = changed(before.terms.clone(), body)?;
    askable(&app, &terms)?;
    let after = app.provider.change_client(&mut tx, id, terms).await?;
    let (before, after) = (shown(tx.tenant(), before), shown(tx.tenant(), after));
    let change = Change { before: Some(json!(before)), after: Some(json!(after)), ..Change::default() };
    commit(&app, tx, id, change).await?;
    Ok(Json(after))
}

/// Gives a client another secret. The one before is worth nothing from then on.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/clients/{client}/secret", tag = "clients", operation_id = "rotate_client_secret",
    params(("tenant" = TenantId, Path), ("client" = ClientId, Path)), security(("session" = [])),
    responses((status = 200, body = ClientSecret), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn rotate_secret(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, client)): Path<(TenantId, ClientId)>,
) -> Result<Json<ClientSecret>, ApiError> {
    let id = id(client);
    let mut tx = enter(&app, &signed, tenant).await?;
    let terms = app.provider.client(&mut tx, id).await?.terms;
    covered(&app, &mut tx, &signed, &terms).await?;
    let secret = app.provider.rotate_secret(&mut tx, id).await?;
    let change = Change { after: Some(json!({ "secret": "another" })), ..Change::default() };
    commit(&app, tx, id, change).await?;
    Ok(Json(ClientSecret { client_secret: secret.expose().to_owned().into() }))
}

/// Gives a client another key for its access tokens (HS256), shown this once. Tokens by the one before are none of the new one's.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/clients/{client}/token-key", tag = "clients", operation_id = "rotate_client_token_key",
    params(("tenant" = TenantId, Path), ("client" = ClientId, Path)), security(("session" = [])),
    responses((status = 200, body = ClientTokenKey), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn rotate_token_key(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, client)): Path<(TenantId, ClientId)>,
) -> Result<Json<ClientTokenKey>, ApiError> {
    let id = id(client);
    let mut tx = enter(&app, &signed, tenant).await?;
    let terms = app.provider.client(&mut tx, id).await?.terms;
    covered(&app, &mut tx, &signed, &terms).await?;
    let key = app.provider.rotate_shared_key(&mut tx, id).await?;
    let change = Change { after: Some(json!({ "token_key": "another" })), ..Change::default() };
    commit(&app, tx, id, change).await?;
    Ok(Json(ClientTokenKey { token_key: key.show().expose().to_owned().into() }))
}

/// Deletes a client at once, with all tokens that it got and all consents to it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/clients/{client}", tag = "clients", operation_id = "delete_client",
    params(("tenant" = TenantId, Path), ("client" = ClientId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, client)): Path<(TenantId, ClientId)>,
) -> Result<StatusCode, ApiError> {
    let id = id(client);
    let mut tx = enter(&app, &signed, tenant).await?;
    app.provider.delete_client(&mut tx, id).await?;
    commit(&app, tx, id, Change { after: Some(json!({ "deleted": true })), ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn enter(app: &App, signed: &Signed, tenant: TenantId) -> Result<WriteTx, ApiError> {
    signed.enter_customer(app, customer(tenant)?, Action::ClientWrite, Resource::Customer).await
}

/// Refuses who may less than the service account that the client speaks for: whoever has its secret has what it has.
async fn covered(app: &App, tx: &mut WriteTx, signed: &Signed, terms: &ClientTerms) -> Result<(), ApiError> {
    let Some(account) = terms.service_account else { return Ok(()) };
    let account = StoredServiceId::from_uuid(account);
    app.tenancy.require_service_account(tx, account).await?;
    let held = app.tenancy.held(tx, app.access.policies(), *account.uuid()).await?;
    Ok(app.access.covers_all(tx, &signed.caller, &held).await?)
}

fn authentication(body: &NewClient) -> Result<NewAuthentication, ApiError> {
    match (body.authentication.as_str(), &body.jwks) {
        ("public", None) => Ok(NewAuthentication::Public),
        ("secret", None) => Ok(NewAuthentication::Secret),
        ("private_key_jwt", Some(jwks)) => Ok(NewAuthentication::PrivateKeyJwt(ClientKeys::parse(jwks)?)),
        ("private_key_jwt", None) => {
            Err(ApiError::field("jwks", "private_key_jwt needs the client's public keys"))
        }
        ("public" | "secret", Some(_)) => Err(ApiError::field("jwks", "only private_key_jwt has keys")),
        _ => Err(ApiError::field("authentication", "one of public, secret, private_key_jwt")),
    }
}

fn changed(mut terms: ClientTerms, change: ClientChange) -> Result<ClientTerms, ApiError> {
    if let Some(name) = change.name {
        terms.name = name;
    }
    if let Some(list) = change.redirect_uris {
        terms.redirect_uris = uris("redirect_uris", &list)?;
    }
    if let Some(list) = change.post_logout_redirect_uris {
        terms.post_logout_redirect_uris = uris("post_logout_redirect_uris", &list)?;
    }
    if let Some(uri) = change.backchannel_logout_uri {
        terms.backchannel_logout_uri = Some(uri).filter(|uri| !uri.is_empty());
    }
    if let Some(scopes) = change.scopes {
        terms.scopes = parsed("scopes", scopes.join(" ").parse())?;
    }
    if let Some(resources) = change.resources {
        terms.resources = resources;
    }
    if let Some(serves) = change.serves {
        terms.serves = serves;
    }
    if let Some(bound) = change.dpop_bound_access_tokens {
        terms.bound_to_key = bound;
    }
    if let Some(name) = &change.token_signing_alg {
        // A key that is shared already stays the one that it is.
        if *name != terms.algorithm.name() {
            terms.algorithm = algorithm(name)?;
        }
    }
    if let Some(jwks) = &change.jwks {
        let Authentication::PrivateKeyJwt { keys } = &mut terms.authentication else {
            return Err(ApiError::field("jwks", "only private_key_jwt has keys"));
        };
        *keys = ClientKeys::parse(jwks)?;
    }
    Ok(terms)
}

/// Refuses to be led to addresses that only this server can reach.
fn askable(app: &App, terms: &ClientTerms) -> Result<(), ApiError> {
    match &terms.backchannel_logout_uri {
        Some(uri) => Ok(app.federation.may_ask("backchannel_logout_uri", uri)?),
        None => Ok(()),
    }
}

fn uris(field: &'static str, uris: &[String]) -> Result<Vec<RedirectUri>, ApiError> {
    uris.iter().map(|uri| parsed(field, RedirectUri::parse(uri))).collect()
}

fn algorithm(name: &str) -> Result<TokenAlgorithm, ApiError> {
    TokenAlgorithm::named(name).ok_or_else(|| ApiError::field("token_signing_alg", "EdDSA, ES256 or HS256"))
}

fn terms(body: NewClient) -> Result<ClientTerms, ApiError> {
    let algorithm = algorithm(body.token_signing_alg.as_deref().unwrap_or("EdDSA"))?;
    let grants = body.grants.iter().map(|grant| Ok(grant.parse::<GrantType>()?));
    Ok(ClientTerms {
        grants: grants.collect::<Result<_, ApiError>>()?,
        redirect_uris: uris("redirect_uris", &body.redirect_uris)?,
        post_logout_redirect_uris: uris("post_logout_redirect_uris", &body.post_logout_redirect_uris)?,
        backchannel_logout_uri: body.backchannel_logout_uri.filter(|uri| !uri.is_empty()),
        scopes: parsed("scopes", body.scopes.join(" ").parse())?,
        name: body.name,
        // Replaced by what is asked for.
        authentication: Authentication::Public,
        resources: body.resources,
        serves: body.serves,
        service_account: body.service_account.map(|account| account.uuid()),
        bound_to_key: body.dpop_bound_access_tokens,
        algorithm,
    })
}

fn id(client: ClientId) -> StoredId {
    StoredId::from_uuid(client.uuid())
}

fn shown(tenant: StoredTenant, client: Stored) -> Client {
    let address = ClientAddress { tenant, client: client.id };
    let terms = client.terms;
    let (authentication, jwks) = match &terms.authentication {
        Authentication::Public => ("public", None),
        Authentication::Secret { .. } => ("secret", None),
        Authentication::PrivateKeyJwt { keys } => ("private_key_jwt", Some(keys.to_json())),
    };
    let texts = |uris: &[RedirectUri]| uris.iter().map(|uri| uri.as_str().to_owned()).collect();
    Client {
        id: ClientId::from_uuid(*client.id.uuid()),
        client_id: address.to_string(),
        authentication: authentication.to_owned(),
        grants: terms.grants.iter().map(|grant| grant.name().to_owned()).collect(),
        redirect_uris: texts(&terms.redirect_uris),
        post_logout_redirect_uris: texts(&terms.post_logout_redirect_uris),
        backchannel_logout_uri: terms.backchannel_logout_uri,
        scopes: terms.scopes.iter().map(str::to_owned).collect(),
        name: terms.name,
        resources: terms.resources,
        serves: terms.serves,
        service_account: terms.service_account.map(ServiceAccountId::from_uuid),
        dpop_bound_access_tokens: terms.bound_to_key,
        token_signing_alg: terms.algorithm.name().to_owned(),
        jwks,
        created_at: client.created_at,
        created_by: client.created_by,
    }
}
