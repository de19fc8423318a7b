// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answering an application that asks: for a browser by the link that it was sent to, for a device by the code that it shows.
//!
//! Whoever answers is signed in, and a member of the application's tenant: the tenant's policies say who may use its
//! applications (`client.use`). A yes is recorded in the tenant, with what was allowed.

use access::tenancy::Change;
use access::{Action, Resource};
use axum::extract::State;
use axum::http::HeaderMap;
use protocol::oauth::{Answered, Asked, ConsentRequest as Shown};
use protocol::{ClientId, Problem, TenantId};
use serde_json::json;
use store::{Record, WriteTx};
use tokens::oauth::{Authentication, Client, GrantId};

use super::authorize::bound;
use super::pending::{Pending, over};
use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::tenants::in_directory;
use crate::state::App;

/// Shows what an application asks for.
#[utoipa::path(post, path = "/api/v1/authorize/read", tag = "oauth", operation_id = "read_consent_request", request_body = Asked, security(("session" = [])),
    responses((status = 200, body = Shown), (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Signed,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Json<Shown>, ApiError> {
    let pending = Pending::of(&app, &signed, &headers, &asked).await?;
    let address = pending.client();
    let mut tx =
        app.access.view(&signed.caller, address.tenant, Action::TenantRead, Resource::Customer).await?;
    app.access.also(&mut tx, &signed.caller, Action::ClientUse, Resource::Customer).await?;
    let client = app.provider.client(&mut tx, address.client).await.map_err(over)?;
    let account = *signed.session.account().uuid();
    let before = app.provider.consent(&mut tx, account, address.client).await?;
    let tenant_name = app.tenancy.customer(&mut tx).await?.name;
    let (scope, resource) = (pending.scope(), pending.resource());
    let ask_again = matches!(&pending, Pending::Browser(request) if request.ask_again);
    // Which program shows a public client's id, nobody knows, unless its answer goes to an address that is its own (RFC 8252, section
    // 8.6): so somebody looks at it each time.
    let is_anybody = client.terms.authentication == Authentication::Public
        && matches!(&pending, Pending::Browser(request) if !request.redirect_uri.starts_with("https://"));
    let is_new = |scope: &&str| ask_again || is_anybody || !before.contains(scope);
    let redirect_host = match &pending {
        Pending::Browser(request) => url::Url::parse(&request.redirect_uri).ok().map(|url| returns_to(&url)),
        Pending::Device(..) => None,
    };
    Ok(Json(Shown {
        client: ClientId::from_uuid(*client.id.uuid()),
        client_name: client.terms.name,
        tenant: TenantId::from_uuid(*address.tenant.uuid()),
        tenant_name: tenant_name.as_str().to_owned(),
        new_scopes: scope.iter().filter(is_new).map(str::to_owned).collect(),
        scopes: scope.iter().map(str::to_owned).collect(),
        resource: resource.to_owned(),
        redirect_host,
        network: pending.network().map(str::to_owned),
        prove_again: pending.require_proof(&app, &signed).is_err(),
    }))
}

/// Allows an application what it asks for, and says where the browser is to go on.
#[utoipa::path(post, path = "/api/v1/authorize/approve", tag = "oauth", operation_id = "approve_consent_request", request_body = Asked, security(("session" = [])),
    responses((status = 200, body = Answered), (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn approve(
    State(app): State<App>,
    signed: Signed,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Json<Answered>, ApiError> {
    let pending = Pending::of(&app, &signed, &headers, &asked).await?;
    pending.require_proof(&app, &signed)?;
    let address = pending.client();
    let mut tx = signed.enter_customer(&app, address.tenant, Action::ClientUse, Resource::Customer).await?;
    let client = app.provider.client(&mut tx, address.client).await.map_err(over)?;
    // It was checked when it was asked; meanwhile the client may be another one.
    pending.require_registered(&app, &client)?;
    let terms = pending.terms(&app, &signed);
    app.provider.give_consent(&mut tx, terms.account, client.id, &terms.scope).await?;
    match pending {
        Pending::Browser(request) => {
            app.provider.use_request(&mut tx, &request).await.map_err(over)?;
            let grant = GrantId::random();
            let code = app.provider.begin(&mut tx, grant, client.id, &terms, None).await?;
            let code = code.ok_or_else(|| ApiError::internal("a grant without a code"))?;
            commit(&app, tx, &client, json!({ "grant": grant.to_string(), "scopes": terms.scope.to_string(), "resource": terms.resource })).await?;
            let redirect = request.answer(app.provider.issuer(), &[("code", code.expose())]);
            Ok(Json(Answered {
                redirect: Some(redirect.ok_or_else(|| ApiError::internal("a redirect URI"))?.into()),
            }))
        }
        Pending::Device(_, code) => {
            commit(
                &app,
                tx,
                &client,
                json!({ "by": "device", "scopes": terms.scope.to_string(), "resource": terms.resource }),
            )
            .await?;
            let mut tx = in_directory(&app, signed.caller.request()).await?;
            app.provider.answer_device(&mut tx, &code, Some(&terms)).await.map_err(over)?;
            tx.commit(Record::about(client.id)).await?;
            Ok(Json(Answered { redirect: None }))
        }
    }
}

/// Refuses an application what it asks for, and says where the browser is to go on.
#[utoipa::path(post, path = "/api/v1/authorize/deny", tag = "oauth", operation_id = "deny_consent_request", request_body = Asked, security(("session" = [])),
    responses((status = 200, body = Answered), (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn deny(
    State(app): State<App>,
    signed: Signed,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Json<Answered>, ApiError> {
    let pending = Pending::of(&app, &signed, &headers, &asked).await?;
    let address = pending.client();
    // Nobody says no for a tenant that they are not in.
    let mut tx =
        app.access.view(&signed.caller, address.tenant, Action::TenantRead, Resource::Customer).await?;
    app.access.also(&mut tx, &signed.caller, Action::ClientUse, Resource::Customer).await?;
    drop(tx);
    let is_old = pending.require_proof(&app, &signed).is_err();
    match pending {
        Pending::Browser(request) => {
            let error = match (request.silent, is_old) {
                (false, _) => "access_denied",
                (true, true) => "login_required",
                (true, false) => "consent_required",
            };
            let redirect = request.answer(app.provider.issuer(), &[("error", error)]);
            Ok(Json(Answered { redirect: redirect.map(Into::into) }))
        }
        Pending::Device(_, code) => {
            let mut tx = in_directory(&app, signed.caller.request()).await?;
            app.provider.answer_device(&mut tx, &code, None).await.map_err(over)?;
            tx.commit(Record::about(address.client)).await?;
            Ok(Json(Answered { redirect: None }))
        }
    }
}

/// Says where the browser goes on when nobody is signed in in it, and nobody is to be asked (`prompt=none`).
#[utoipa::path(post, path = "/api/v1/authorize/login-required", tag = "oauth", operation_id = "answer_login_required", request_body = Asked,
    responses((status = 200, body = Answered), (status = 410, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn login_required(
    State(app): State<App>,
    _visitor: Visitor,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Json<Answered>, ApiError> {
    let missing = || ApiError::field("request", "it is missing");
    let sealed = asked.request.as_ref().ok_or_else(missing)?;
    let request = app.provider.open_request(app.now(), sealed.expose())?;
    bound(&app, &headers, &request)?;
    if !request.silent {
        return Err(ApiError::field("request", "somebody may be asked: sign in first"));
    }
    let redirect = request.answer(app.provider.issuer(), &[("error", "login_required")]);
    Ok(Json(Answered { redirect: redirect.map(Into::into) }))
}

/// Where an answer goes, as it is shown: a host of the web, or the scheme of an application's own, in which a host is only a word.
fn returns_to(url: &url::Url) -> String {
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) => host.to_owned(),
        (scheme, _) => format!("{scheme}:"),
    }
}

async fn commit(
    app: &App,
    mut tx: WriteTx,
    client: &Client,
    after: serde_json::Value,
) -> Result<(), ApiError> {
    let change = Change { after: Some(after), ..Change::default() };
    let record = app.tenancy.record(&mut tx, client.id, &change).await?;
    tx.commit(record).await?;
    Ok(())
}
