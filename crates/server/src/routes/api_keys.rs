// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: made, listed and bound to addresses by their owner, reported by whoever finds one, and shown by themselves. They
//! are revoked as every login method is.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{ChangeError, Network, NewMethod, Reported, Try};
use keyring::{ApiKeyAuth, ApiKeyId};
use protocol::api_keys::{ApiKey, ApiKeys, KeyNetwork, KeyReport, NewApiKey, OwnApiKey, RefusedNetwork};
use protocol::{AccountId, Code, MethodId, Problem, TenantId};
use store::{Record, WriteTx};

use crate::caller::{self, Authenticated, Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::arrival;
use crate::routes::methods::{id, label, unlocking};
use crate::routes::signin::parsed;
use crate::state::App;

/// Lists the API keys.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "api-keys", operation_id = "list_api_keys", security(("session" = [])), responses((status = 200, body = ApiKeys)))]
pub(crate) async fn list(State(app): State<App>, signed: Signed) -> Result<Json<ApiKeys>, ApiError> {
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::ApiKeyRead, Resource::Home).await?;
    let keys = app.identity.api_keys(&mut tx, &signed.session).await?;
    let now = app.now();
    Ok(Json(ApiKeys { api_keys: keys.into_iter().map(|key| to_key(key, now)).collect() }))
}

/// Makes an API key, which the client has drawn. The server is sent the half that authenticates, and keeps a hash of it.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "api-keys", operation_id = "create_api_key", request_body = NewApiKey, security(("session" = [])),
    responses((status = 201, body = ApiKey), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<NewApiKey>,
) -> Result<(StatusCode, Json<ApiKey>), ApiError> {
    let new = new_key(&signed, body)?;
    let mut tx =
        app.access.enter(&signed.caller, signed.home(), Action::ApiKeyCreate, Resource::Home).await?;
    let letter = app.identity.create_api_key(&mut tx, &signed.session, &new).await?;
    let keys = app.identity.api_keys(&mut tx, &signed.session).await?;
    let made = keys.into_iter().find(|key| key.method == new.method.id);
    let made = made.ok_or_else(|| ApiError::internal("an API key that was made is not there"))?;
    tx.commit(Record::about(new.method.id)).await?;
    app.post.send(Some(letter));
    Ok((StatusCode::CREATED, Json(to_key(made, app.now()))))
}

/// Lets an API key be used from an address or a network.
#[utoipa::path(post, path = "/api/v1/api-keys/{api_key}/approve", tag = "api-keys", operation_id = "approve_api_key", params(("api_key" = MethodId, Path)), request_body = KeyNetwork, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn approve(
    State(app): State<App>,
    signed: Signed,
    Path(method): Path<MethodId>,
    Json(body): Json<KeyNetwork>,
) -> Result<StatusCode, ApiError> {
    let (mut tx, method, network) = judge(&app, &signed, method, &body).await?;
    let letter = app
        .identity
        .approve_network(&mut tx, &signed.session, method, network)
        .await
        .map_err(because("the key has as many networks as it may have: deny one"))?;
    tx.commit(Record::about(method)).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses an API key from an address or a network, without a word to its owner when it is shown from there again.
#[utoipa::path(post, path = "/api/v1/api-keys/{api_key}/deny", tag = "api-keys", operation_id = "deny_api_key", params(("api_key" = MethodId, Path)), request_body = KeyNetwork, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn deny(
    State(app): State<App>,
    signed: Signed,
    Path(method): Path<MethodId>,
    Json(body): Json<KeyNetwork>,
) -> Result<StatusCode, ApiError> {
    let (mut tx, method, network) = judge(&app, &signed, method, &body).await?;
    app.identity
        .deny_network(&mut tx, &signed.session, method, network)
        .await
        .map_err(because("a network around it is approved: deny that one"))?;
    tx.commit(Record::about(method)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes note of an API key that was found where it should not be. One that is shown is revoked at once. Anybody may
/// report; the answer is the same whether or not there is such a key.
#[utoipa::path(post, path = "/api/v1/api-keys/report", tag = "api-keys", operation_id = "report_api_key", request_body = KeyReport,
    responses((status = 202), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn report(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<KeyReport>,
) -> Result<StatusCode, ApiError> {
    let reported = reported(&body)?;
    let _counts_always =
        app.attempts.start(app.now(), Try::Report, &reported.charged_to(), visitor.address.ip())?;
    let mut view = match caller::look(&app.access, &visitor, reported.home()).await {
        Err(error) if error.code() == Code::SessionEnded => return Ok(StatusCode::ACCEPTED),
        other => other?,
    };
    // Looked for first: nobody holds up a home's writers with what is none of its keys.
    let is_known = app.identity.knows_reported(&mut view, &reported).await?;
    drop(view);
    if !is_known {
        return Ok(StatusCode::ACCEPTED);
    }
    let mut tx =
        app.access.enter(&visitor.caller, reported.home(), Action::ApiKeyReport, Resource::Home).await?;
    if let Some(key) = app.identity.report_key(&mut tx, &reported).await? {
        tx.commit(Record::about(key.method)).await?;
        app.post.send(key.letter);
    }
    Ok(StatusCode::ACCEPTED)
}

/// Says what a program needs to work with the API key that it shows: whose it is, and the master key sealed to it.
#[utoipa::path(get, path = "/api/v1/api-key", tag = "api-keys", operation_id = "read_own_api_key", security(("session" = [])),
    responses((status = 200, body = OwnApiKey), (status = 403, body = Problem)))]
pub(crate) async fn own(State(app): State<App>, shown: Authenticated) -> Result<Json<OwnApiKey>, ApiError> {
    let Authenticated::Key(keyed) = shown else {
        return Err(Problem::new(Code::Forbidden).detail("this is for an API key alone to ask").into());
    };
    let key = &keyed.key;
    let mut tx = app.access.view(&keyed.caller, key.home(), Action::ApiKeyRead, Resource::Home).await?;
    let (method, account) = app.identity.own_key(&mut tx, key).await?;
    Ok(Json(OwnApiKey {
        id: MethodId::from_uuid(*key.method().uuid()),
        label: method.label,
        account: AccountId::from_uuid(*account.id.uuid()),
        number: account.number.to_string(),
        home: TenantId::from_uuid(*key.home().uuid()),
        identity: account.identity_public.to_bytes().into(),
        scopes: words(key.scopes()),
        expires_at: key.expires_at(),
        unlocking: method.unlocking.map(arrival::unlocking),
    }))
}

/// Enters the home to say from where a key may be used.
async fn judge(
    app: &App,
    signed: &Signed,
    method: MethodId,
    body: &KeyNetwork,
) -> Result<(WriteTx, identity::MethodId, Network), ApiError> {
    let network = parsed("network", body.network.parse())?;
    let tx = app.access.enter(&signed.caller, signed.home(), Action::ApiKeyApprove, Resource::Home).await?;
    Ok((tx, id(method), network))
}

/// Why a network cannot be what its owner wants.
fn because(why: &'static str) -> impl Fn(ChangeError) -> ApiError {
    move |error| match error {
        ChangeError::Field("network") => ApiError::field("network", why),
        error => error.into(),
    }
}

fn new_key(signed: &Signed, body: NewApiKey) -> Result<identity::NewApiKey, ApiError> {
    let auth: ApiKeyAuth = parsed("auth", body.auth.expose().parse())?;
    for name in &body.scopes {
        let known = caller::FOR_API_KEYS.iter().any(|action| action.name() == name);
        if !known {
            return Err(ApiError::field("scopes", "one of them is nothing that an API key can be used for"));
        }
    }
    let networks = match body.networks {
        // A new key is used from where it was made, until its owner approves more.
        None => vec![Network::of(signed.address.ip())],
        Some(networks) => networks
            .iter()
            .map(|network| parsed("networks", network.parse()))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let unlocking = body.unlocking.map(unlocking).transpose()?;
    if unlocking.as_ref().is_some_and(|unlocking| unlocking.slow_hash.is_none()) {
        return Err(ApiError::field("unlocking.slow_hash", "an API key's other half is hashed: say how"));
    }
    Ok(identity::NewApiKey {
        method: NewMethod { id: id(body.id), label: label(&body.label)?, unlocking },
        auth,
        scopes: parsed("scopes", body.scopes.join(" ").parse())?,
        networks,
        expires_at: body.expires_at,
    })
}

fn reported(body: &KeyReport) -> Result<Reported, ApiError> {
    match (&body.api_key, &body.public_id, body.home) {
        // As it was found: whole, or its first half.
        (Some(found), None, None) => {
            let key: keyring::ApiKey = parsed("api_key", found.expose().trim().parse())?;
            Ok(Reported::Shown(key.auth().clone()))
        }
        (None, Some(public_id), Some(home)) => {
            let public_id: ApiKeyId = parsed("public_id", public_id.parse())?;
            Ok(Reported::Named(store::TenantId::from_uuid(home.uuid()), public_id))
        }
        _ => Err(ApiError::field("api_key", "send api_key alone, or public_id and home")),
    }
}

fn to_key(key: identity::ApiKey, now_ms: i64) -> ApiKey {
    let is_over = key.expires_at.is_some_and(|end| now_ms >= end);
    ApiKey {
        id: MethodId::from_uuid(*key.method.uuid()),
        public_id: key.public_id.to_string(),
        label: key.label,
        status: if is_over { "expired" } else { "active" }.to_owned(),
        unlocks: key.unlocks,
        scopes: words(&key.scopes),
        networks: key.networks.iter().map(Network::to_string).collect(),
        refused: key
            .refused
            .iter()
            .map(|seen| RefusedNetwork {
                network: seen.network.to_string(),
                state: seen.state.as_str().to_owned(),
                first_seen_at: seen.first_seen_at,
                last_seen_at: seen.last_seen_at,
                times: seen.times,
            })
            .collect(),
        created_at: key.created_at,
        last_used_at: key.last_used_at,
        expires_at: key.expires_at,
        reported_at: key.reported_at,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
