// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Forward-auth: a proxy asks here whether a request may pass (nginx `auth_request`, Traefik `forwardAuth`, Envoy
//! `ext_authz`), and hands the answer's headers on to the service behind it.
//!
//! Whatever the request says of its sender in `X-Bailiwick-…` is not looked at: who it is, what it shows as a bearer token says.
//! The proxy must set these headers from the answer, and so take away what was sent; `docs/openid.md` shows how. A service
//! that may be reached past its proxy verifies `X-Bailiwick-Identity`, which is signed, instead of believing the rest.

use access::{Action, Resource};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::{Code, Problem, TenantId};
use serde::Deserialize;
use tokens::oauth::{Identity, ScopeSet};
use utoipa::IntoParams;

use crate::caller::client::{OfClient, ShownToken};
use crate::caller::{Acting, Visitor};
use crate::error::ApiError;
use crate::gateway::Query;
use crate::routes::tenants::customer;
use crate::state::App;

/// What a request must have to pass.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Required {
    /// Scopes that the token must have, with spaces between them.
    scope: Option<String>,
    /// Whom the token must be for; an application's token passes for its own resource alone.
    audience: Option<String>,
    /// The tenant that whoever asks must be in.
    tenant: Option<TenantId>,
    /// `none`: no token of an application passes, whoever it speaks for; sessions, their access tokens and keys do.
    #[param(value_type = Option<String>)]
    client: Option<RequiredClient>,
}

/// The client that a token must have been issued to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum RequiredClient {
    /// None: it must be its bearer's own.
    #[serde(rename = "none")]
    Nobody,
}

/// Whoever asks, by what they show.
pub(crate) enum Passing {
    Client(Box<OfClient>),
    Other(Box<Acting>),
}

impl FromRequestParts<App> for Passing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if let Some(token) = ShownToken::of(&parts.headers) {
            let visitor = Visitor::from_request_parts(parts, app).await?;
            let headers = &parts.headers;
            // A proof is for the request that the proxy got.
            let said =
                |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let uri = format!(
                "{}://{}{}",
                said("x-forwarded-proto"),
                said("x-forwarded-host"),
                said("x-forwarded-uri")
            );
            let found = token.open(app, &visitor, headers, said("x-forwarded-method"), &uri).await?;
            return Ok(Passing::Client(Box::new(found)));
        }
        Ok(Passing::Other(Box::new(Acting::from_request_parts(parts, app).await?)))
    }
}

/// The longest audience that is asked for, in bytes.
const LONGEST_AUDIENCE: usize = 512;

/// The scopes that are asked for are not all there.
fn too_little() -> ApiError {
    Problem::new(Code::InsufficientScope).field("scope").into()
}

/// Says whether a request may pass, and whose it is.
#[utoipa::path(get, path = "/api/v1/forward-auth", tag = "oauth", operation_id = "forward_auth", params(Required), security(("session" = [])),
    responses((status = 200), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn check(
    State(app): State<App>,
    passing: Passing,
    Query(required): Query<Required>,
) -> Result<Response, ApiError> {
    let tenant = required.tenant.map(customer).transpose()?;
    if required.audience.as_ref().is_some_and(|audience| audience.len() > LONGEST_AUDIENCE) {
        return Err(ApiError::field("audience", format!("at most {LONGEST_AUDIENCE} bytes")));
    }
    let scope: ScopeSet = required
        .scope
        .as_deref()
        .unwrap_or_default()
        .parse::<ScopeSet>()
        .map_err(|error| ApiError::field("scope", error))?;
    // What a word allows, each tenant says for itself: of whose tenant it is asked, must be said.
    if !scope.is_empty() && tenant.is_none() {
        return Err(ApiError::field("tenant", "with a scope, say in which tenant"));
    }
    let identity = match &passing {
        Passing::Client(_) if required.client == Some(RequiredClient::Nobody) => {
            let why = "no application's token passes here: show a session or a key of your own";
            return Err(Problem::new(Code::Forbidden).detail(why).into());
        }
        Passing::Client(found) => {
            let claims = &found.token.claims;
            if required.audience.as_deref().unwrap_or(app.provider.issuer()) != claims.aud {
                return Err(ApiError::new(Code::TokenWrongAudience));
            }
            // Whose resource a URI is, nobody says: another tenant's client may be for the same one.
            if claims.aud != app.provider.issuer() && tenant.is_none() {
                return Err(ApiError::field("tenant", "with an audience, say whose tokens it takes"));
            }
            if !scope.is_within(&found.token.scope) {
                return Err(too_little());
            }
            if tenant.is_some_and(|tenant| tenant != found.token.client.tenant) {
                return Err(ApiError::new(Code::Forbidden));
            }
            Identity {
                sub: claims.sub.clone(),
                user_id: claims.user_id.clone(),
                tenant_id: Some(claims.tenant_id.clone()),
                client_id: Some(claims.client_id.clone()),
                agent_id: claims.agent_id.clone(),
                scope: claims.scope.clone(),
            }
        }
        Passing::Other(acting) => {
            acting.stands(&app).await?;
            // A tenant's provider says who somebody is in that tenant, and nowhere else.
            if acting.caller.vouched_in().is_some_and(|only| tenant != Some(only)) {
                let why = "this sign-in is good in the tenant whose provider vouched for it: `tenant` names none, or another";
                return Err(Problem::new(Code::Forbidden).detail(why).into());
            }
            if let Some(tenant) = tenant {
                // Who is in it sees that it is there.
                let mut tx =
                    acting.view_as_insider(&app, tenant).await.map_err(|error| match error.code() {
                        Code::NotFound => ApiError::new(Code::Forbidden),
                        _ => error,
                    })?;
                // Of what is Bailiwick's own the scopes are actions, which they must be allowed in the whole tenant: a word that names
                // none is one that nobody gave it.
                for action in scope.iter() {
                    let Ok(action) = action.parse::<Action>() else { return Err(too_little()) };
                    let allowed = app.access.also(&mut tx, &acting.caller, action, Resource::Customer).await;
                    allowed.map_err(|refused| match refused {
                        access::Refused::Store(error) => ApiError::from(error),
                        _ => too_little(),
                    })?;
                }
            }
            let sub = acting.caller.actor();
            Identity {
                user_id: sub.starts_with("acc_").then(|| sub.clone()),
                sub,
                tenant_id: tenant.map(|tenant| tenant.to_string()),
                client_id: None,
                agent_id: None,
                // What was asked for and is so: a session has no scopes of its own.
                scope: scope.to_string(),
            }
        }
    };
    let audience = required.audience.as_deref().unwrap_or(app.provider.issuer());
    let signed = app.provider.issue_identity(app.now(), audience, &identity)?;
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    // Each is there, also empty: a proxy that hands them on then has nothing of the sender's left.
    put("x-bailiwick-subject", &identity.sub);
    put("x-bailiwick-user", identity.user_id.as_deref().unwrap_or_default());
    put("x-bailiwick-tenant", identity.tenant_id.as_deref().unwrap_or_default());
    put("x-bailiwick-client", identity.client_id.as_deref().unwrap_or_default());
    put("x-bailiwick-agent", identity.agent_id.as_deref().unwrap_or_default());
    put("x-bailiwick-scope", &identity.scope);
    put("x-bailiwick-identity", &signed);
    Ok((StatusCode::OK, headers).into_response())
}
