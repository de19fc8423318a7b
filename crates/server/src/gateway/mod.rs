// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every request passes before and after its route: an id, the caller's address, limits, time and size bounds,
//! headers, the log line, and errors in one form.

mod address;
mod arrival;
pub(crate) mod audit;
mod connections;
mod cookie;
mod headers;
mod json;
mod once;
mod plain;
mod problem;
mod rate;
mod shared;
mod stack;
mod taken;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use protocol::Code;
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use address::Address;
pub(crate) use arrival::Prompt;
pub(crate) use audit::Audit;
pub(crate) use connections::Connections;
pub(crate) use json::{Json, Path, Query, arrived, json_bytes};
pub(crate) use once::Once;
pub(crate) use plain::to_tls;
pub(crate) use problem::OwnForm;
use rate::Counted;
pub(crate) use rate::{Limited, RateLimits, Shares};
pub(crate) use shared::{SharedLimits, keep as keep_shared_limits};
pub(crate) use taken::UNITS_FOR_EACH;
pub(crate) use turns::{Turns, TurnsOf};

use crate::error::ApiError;
use crate::state::App;

/// The largest JSON body, in bytes: an item's content in base64 and a little more.
const MAX_JSON: usize = 512 * 1024;

/// How long a request may take until its response begins.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A request's id: given to the caller in `X-Request-Id`, written in records and log lines.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Puts the gateway around the routes.
pub(crate) fn around(routes: Router<App>, app: &App) -> Router {
    routes
        .fallback(|| async { ApiError::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { ApiError::new(Code::MethodNotAllowed) })
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .layer(from_fn_with_state(app.clone(), cookie::session))
        .layer(from_fn_with_state(app.clone(), once::once))
        .layer(from_fn_with_state(app.clone(), bound))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(problem::write))
        .layer(from_fn_with_state(app.clone(), audit::audit))
        .layer(from_fn_with_state(app.clone(), taken::taken))
        .layer(from_fn(headers::add))
        .layer(from_fn_with_state(app.clone(), identify))
        .layer(from_fn(stack::clean))
        .with_state(app.clone())
}

/// Gives the request its id and its caller's address, and logs and counts what came of it.
async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id: Arc<str> = format!("req_{}", uuid::Uuid::now_v7().simple()).into();
    let address = Address::of(&request, &app.config.trusted_proxies, app.config.forwarded_header);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    request.extensions_mut().insert(address);
    let method = request.method().clone();
    // The route's pattern, never the path: ids stay out of metrics, and nothing typed gets into the log.
    let route =
        request.extensions().get::<MatchedPath>().map_or("unmatched", |path| path.as_str()).to_owned();
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    app.metrics.request(method_name(&method), &route, status, took);
    tracing::info!(request = %id, %method, route, status, took_us = took.as_micros(), "request");
    response
}

/// A method's name: of those that callers make up there would be no end in metrics and records.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// A token without its scheme and the spaces around it, of which there are many spellings.
fn bare(value: &HeaderValue) -> &[u8] {
    let value = value.as_bytes().trim_ascii();
    let scheme = value.iter().position(|byte| *byte == b' ').unwrap_or(0);
    value.split_at(scheme).1.trim_ascii()
}

/// Bounds what one address, one token, and all together may ask for, and how long an answer may take. Who watches over the server
/// hears how it is, however often they and their neighbours asked.
async fn bound(State(app): State<App>, address: Address, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let route = format!("{} {route}", method_name(request.method()));
    if route.ends_with(" /livez") {
        return next.run(request).await;
    }
    let is_counted = !route.ends_with(" /readyz");
    let token = app.rates.counts_tokens().then(|| cookie::shown(&app.url, request.headers())).flatten();
    let counted = Counted { address: &address, route: &route, token: token.as_ref().map(bare) };
    let asked = if is_counted { app.rates.check(&counted, &app.metrics).await.map(Some) } else { Ok(None) };
    let shares = match asked {
        Ok(shares) => shares,
        Err(limited) => {
            app.metrics.limited();
            let mut response = ApiError::retry_after(limited.wait.as_secs() + 1).into_response();
            limited.shares.tell(response.headers_mut());
            return response;
        }
    };
    let Some(turn) = app.turns.take(address).await else {
        return ApiError::new(Code::Unavailable).into_response();
    };
    let answered = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
    drop(turn);
    let mut response = answered.unwrap_or_else(|_| ApiError::new(Code::Unavailable).into_response());
    // Of a limit that was met inside, that is told: it is why.
    let met = response.extensions_mut().remove::<Shares>();
    if let Some(shares) = met.or(shares) {
        shares.tell(response.headers_mut());
    }
    response
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    let mut response = ApiError::internal(format_args!("a request panicked: {cause}")).into_response();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
