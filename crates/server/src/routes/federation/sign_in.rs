// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in, and up, by what another provider says.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use federation::{Assertion, ProviderId as StoredId, Purpose, REQUEST_MS};
use identity::{
    AccountId as StoredAccount, Arrival, MethodId as StoredMethod, MethodLabel, Place, ProvidedSignup,
    SessionKind, Try,
};
use keyring::Email;
use protocol::federation::{
    ProviderFinish, ProviderFinished, ProviderSignUp, ProviderSignUpStarted, ProviderSignedUp, ProviderStart,
    ProviderStarted, SignInProvider, SignInProviders,
};
use protocol::{AccountId, Code, Problem, ProviderId, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::TenantId as StoredTenant;
use uuid::Uuid;

use super::{begin, believed, identity, look, provide, redeem, shown_tenant, usable};
use crate::caller::Visitor;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::signin::{device, key, parsed};
use crate::routes::{arrival, scim, signup};
use crate::state::App;

/// What a provider said of somebody who has no account yet.
#[derive(Serialize, Deserialize)]
struct Ticket {
    tenant: Uuid,
    provider: Uuid,
    assertion: Assertion,
    email: String,
    account: Uuid,
    home: Uuid,
    method: Uuid,
}

/// The platform's providers.
#[utoipa::path(get, path = "/api/v1/signin/providers", tag = "sign-in", operation_id = "list_sign_in_providers", responses((status = 200, body = SignInProviders)))]
pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<SignInProviders>, ApiError> {
    let mut tx = look(&app, visitor.caller.request(), StoredTenant::PLATFORM).await?;
    let providers = app.federation.providers(&mut tx).await?;
    let shown =
        providers.into_iter().filter(|provider| provider.terms.is_enabled).map(|provider| SignInProvider {
            id: ProviderId::from_uuid(*provider.id.uuid()),
            name: provider.terms.name,
            preset: provider.terms.preset.name().to_owned(),
        });
    Ok(Json(SignInProviders { providers: shown.collect() }))
}

/// Begins a sign-in at another provider: says where the browser goes.
#[utoipa::path(post, path = "/api/v1/signin/provider/start", tag = "sign-in", operation_id = "sign_in_provider_start", request_body = ProviderStart,
    responses((status = 200, body = ProviderStarted), (status = 404, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<ProviderStart>,
) -> Result<Json<ProviderStarted>, ApiError> {
    // A provider that answers costs nothing: what counts is who has the server ask those that do not.
    let aimed_at = Sha256::digest(&body.challenge).into();
    let charge = app.attempts.start(app.now(), Try::Provider, &aimed_at, visitor.address.ip())?;
    let started = begin(&app, visitor.caller.request(), &body, Purpose::SignIn).await?;
    app.attempts.returned(app.now(), charge);
    Ok(Json(started))
}

/// Finishes it with what the browser brought back: a session, or what to make an account of.
#[utoipa::path(post, path = "/api/v1/signin/provider/finish", tag = "sign-in", operation_id = "sign_in_provider_finish", request_body = ProviderFinish,
    responses((status = 200, body = ProviderFinished), (status = 401, body = Problem), (status = 403, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn finish(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<ProviderFinish>,
) -> Result<Json<ProviderFinished>, ApiError> {
    let finished = enter(&app, &visitor, &body).await;
    app.metrics.signin(match &finished {
        Ok(_) => "signed_in",
        Err(error) if error.code() == Code::TooManyRequests => "limited",
        Err(_) => "refused",
    });
    finished.map(Json)
}

async fn enter(app: &App, visitor: &Visitor, body: &ProviderFinish) -> Result<ProviderFinished, ApiError> {
    let request = visitor.caller.request();
    let (device, device_token) = device(&body.device)?;
    // Aimed at nothing that somebody else tries too: what counts is where the tries come from.
    let aimed_at = Sha256::digest(body.answer.state.expose()).into();
    let charge = app.attempts.start(app.now(), Try::Provider, &aimed_at, visitor.address.ip())?;
    let (asked, provider, assertion) =
        redeem(app, request, &body.answer, |purpose| purpose == Purpose::SignIn).await?;
    let identity = identity(&provider, &assertion);
    let mut tx = app
        .access
        .view(&visitor.caller, StoredTenant::PLATFORM, Action::SessionCreate, Resource::Platform)
        .await?;
    let until = asked.begun_at.saturating_add(REQUEST_MS);
    let proof = app.identity.provided_proof(&mut tx, &identity, asked.exchange, until).await?;
    drop(tx);
    let tenant = shown_tenant(provider.tenant);
    let Some(proof) = proof else {
        let sign_up = offer(app, request, &provider, assertion).await?;
        app.attempts.returned(app.now(), charge);
        return Ok(ProviderFinished { signed_in: None, confined: false, sign_up: Some(sign_up), tenant });
    };
    let by = Arrival { device, device_token, place: Place::of(visitor.address.ip()) };
    let mut tx = arrival::enter(app, visitor, proof.home()).await?;
    let signed_in = app.identity.provided_signin(&mut tx, &proof, &identity, &by).await?;
    let confined = signed_in.session.kind == SessionKind::Vouched;
    let signed_in = arrival::signed_in(app, tx, charge, signed_in).await?;
    provide(app, request, &provider, &assertion, *proof.account().uuid(), proof.home()).await?;
    Ok(ProviderFinished { signed_in: Some(signed_in), confined, sign_up: None, tenant })
}

/// What somebody without an account makes one of, when the provider is believed about the address, and lets people join.
async fn offer(
    app: &App,
    request: &str,
    provider: &federation::Provider,
    mut assertion: Assertion,
) -> Result<ProviderSignUpStarted, ApiError> {
    let mut tx = look(app, request, provider.tenant).await?;
    let address = believed(app, &mut tx, provider, &assertion).await?;
    let joins = if provider.tenant == StoredTenant::PLATFORM {
        true
    } else {
        scim::may_arrive(app, &mut tx, None, address.as_deref()).await?.unwrap_or(provider.terms.joins)
    };
    let address = address.filter(|_| joins);
    drop(tx);
    let email = address.as_deref().and_then(|address| Email::parse(address).ok());
    let email = email.ok_or_else(|| ApiError::new(Code::NotLinked))?;
    // As few as matter: the ticket travels.
    assertion.groups = provider.known_groups(&assertion.groups);
    let ticket = Ticket {
        tenant: *provider.tenant.uuid(),
        provider: *provider.id.uuid(),
        email: email.as_str().to_owned(),
        account: *StoredAccount::random().uuid(),
        home: *StoredTenant::random().uuid(),
        method: *StoredMethod::random().uuid(),
        assertion,
    };
    let email_salt = app.identity.email_salt(&email.hash());
    Ok(ProviderSignUpStarted {
        ticket: app.federation.seal_ticket(app.now(), &ticket)?.into(),
        account: AccountId::from_uuid(ticket.account),
        home: TenantId::from_uuid(ticket.home),
        email: email.as_str().to_owned().into(),
        email_salt: (*email_salt.as_bytes()).into(),
    })
}

/// Makes an account of what another provider said.
#[utoipa::path(post, path = "/api/v1/signup/provider", tag = "sign-in", operation_id = "sign_up_provider", request_body = ProviderSignUp,
    responses((status = 201, body = ProviderSignedUp), (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn sign_up(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<ProviderSignUp>,
) -> Result<(StatusCode, Json<ProviderSignedUp>), ApiError> {
    let request = visitor.caller.request();
    let ticket: Ticket = app.federation.open_ticket(app.now(), body.ticket.expose())?;
    let (info, _) = device(&body.device)?;
    let email = parsed("ticket", Email::parse(&ticket.email))?;
    let index = app.identity.blind_index(&email.hash());
    let charge = app.attempts.start(app.now(), Try::SignUp, index.as_bytes(), visitor.address.ip())?;
    // The provider may have been taken away meanwhile, or its terms changed.
    let tenant = StoredTenant::from_uuid(ticket.tenant);
    let mut tx = look(&app, request, tenant).await?;
    let provider = usable(app.federation.provider(&mut tx, StoredId::from_uuid(ticket.provider)).await)?;
    drop(tx);
    let identity_public = keyring::IdentityPublicKeys::from_bytes(body.identity.as_slice());
    let new = ProvidedSignup {
        account: StoredAccount::from_uuid(ticket.account),
        home: StoredTenant::from_uuid(ticket.home),
        method: StoredMethod::from_uuid(ticket.method),
        email,
        identity: identity(&provider, &ticket.assertion),
        label: label(&provider),
        identity_public: parsed("identity", identity_public)?,
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        device: info,
    };
    let signed_up = signup::make(&app, &visitor, app.identity.provided_signup(new)).await?;
    app.attempts.returned(app.now(), charge);
    let (account, home) = (*signed_up.account.uuid(), signed_up.home);
    provide(&app, request, &provider, &ticket.assertion, account, home).await?;
    Ok((
        StatusCode::CREATED,
        Json(ProviderSignedUp {
            account_number: signed_up.number.to_string(),
            session: arrival::session(signed_up.account, home, signed_up.session),
        }),
    ))
}

/// What a login method by this provider is called.
pub(super) fn label(provider: &federation::Provider) -> MethodLabel {
    MethodLabel::new(&provider.terms.name).unwrap_or_default()
}
