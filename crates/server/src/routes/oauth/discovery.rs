// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the provider says of itself: OpenID Connect Discovery 1.0, and RFC 8414.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokens::oauth::GrantType;

use crate::gateway::Json;
use crate::state::App;

/// Where everything is and what it can do (OpenID Connect Discovery, section 3).
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "oauth", operation_id = "openid_configuration", responses((status = 200, content_type = "application/json", body = Object)))]
pub(crate) async fn openid(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHED)], Json(document(&app)))
}

/// The same, as OAuth has it (RFC 8414, section 2).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth", operation_id = "authorization_server", responses((status = 200, content_type = "application/json", body = Object)))]
pub(crate) async fn server(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHED)], Json(document(&app)))
}

fn document(app: &App) -> Value {
    let issuer = app.provider.issuer();
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    let algorithms = ["EdDSA", "ES256"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "pushed_authorization_request_endpoint": at("/oauth/par"),
        "token_endpoint": at("/oauth/token"),
        "device_authorization_endpoint": at("/oauth/device_authorization"),
        "introspection_endpoint": at("/oauth/introspect"),
        "revocation_endpoint": at("/oauth/revoke"),
        "revocation_stream_endpoint": at("/oauth/revocations"),
        "userinfo_endpoint": at("/oauth/userinfo"),
        "end_session_endpoint": at("/oauth/logout"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GrantType::OAUTH.map(GrantType::name),
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "offline_access"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "amr", "tenant_id", "name"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": &methods[..3],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": algorithms,
        "prompt_values_supported": ["none", "login", "consent"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
    })
}

const CACHED: &str = "public, max-age=300";
