// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the service says of itself.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::service::{Health, Service};
use protocol::{Code, Problem};
use store::TenantId;

use crate::caller::Visitor;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::signin;
use crate::state::App;

/// Says what a client needs to know before it signs in.
#[utoipa::path(get, path = "/.well-known/bailiwick", tag = "service", operation_id = "about", responses((status = 200, body = Service)))]
pub(crate) async fn about(State(app): State<App>) -> Result<Json<Service>, ApiError> {
    let signer = app.log_key.signer(TenantId::PLATFORM)?;
    Ok(Json(Service {
        version: env!("CARGO_PKG_VERSION").into(),
        log_origin: app.log_key.origin(TenantId::PLATFORM),
        log_public_key: signer.verifier().to_string(),
        kdf: signin::kdf(app.identity.settings().kdf),
        email_code: app.identity.settings().mail_required,
        imported_sign_in: app.identity.imports_are_open(),
        issuer: app.url.clone(),
        development: !app.config.production,
    }))
}

/// Whether the process runs.
#[utoipa::path(get, path = "/livez", tag = "service", operation_id = "alive", responses((status = 200, body = Health)))]
pub(crate) async fn alive() -> Json<Health> {
    Json(Health { status: "ok".into() })
}

/// Whether it can serve: the database answers.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "ready", responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    let unready = |why| ApiError::from(Problem::new(Code::Unavailable).detail(why));
    can_serve(&app).await.map_err(unready)?;
    Ok(Json(Health { status: "ok".into() }))
}

/// Whether requests can be served, or why not.
async fn can_serve(app: &App) -> Result<(), &'static str> {
    if *app.stopping.borrow() {
        return Err("the server is stopping");
    }
    app.store.is_ready().await.map_err(|error| {
        tracing::error!(%error, "the database does not answer");
        "the database does not answer"
    })
}

/// The public keys that verify access tokens (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "service", operation_id = "jwks", responses((status = 200, content_type = "application/json", body = Object)))]
pub(crate) async fn jwks(State(app): State<App>) -> impl IntoResponse {
    let keys = Json(app.tokens.keys().jwks(app.now()));
    ([(header::CACHE_CONTROL, "public, max-age=300")], keys)
}

/// Prometheus metrics, where they have no address of their own: for callers on this machine. What a proxy on this machine passes on
/// is not from here, also when the configuration does not name the proxy.
pub(crate) async fn metrics(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const PASSED_ON: [&str; 5] = ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via"];
    if !visitor.address.is_loopback() || PASSED_ON.iter().any(|name| headers.contains_key(*name)) {
        return Err(ApiError::new(Code::NotFound));
    }
    text_of_metrics(&app)
}

/// What is served on `metrics_listen`, to whoever reaches it. Past the gateway: it is there to be read when that has no turn left,
/// and what is asked here is nobody's request.
pub(crate) fn watched(app: &App) -> Router {
    let metrics = |State(app): State<App>| async move { text_of_metrics(&app) };
    let ready = |State(app): State<App>| async move {
        match can_serve(&app).await {
            Ok(()) => Json(Health { status: "ok".into() }).into_response(),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
        }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .with_state(app.clone())
}

fn text_of_metrics(app: &App) -> Result<Response, ApiError> {
    app.metrics.followers.set(i64::try_from(app.feed.followers()).unwrap_or(i64::MAX));
    let text = app.metrics.text().map_err(ApiError::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
