// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every request passes before and after its route: an id, the caller's address, limits, time and size bounds,
//! headers, the log line, and errors in one form.

mod address;
mod arrival;
mod cookie;
mod headers;
mod json;
mod once;
mod problem;
mod rate;
mod stack;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use protocol::Code;
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use address::Address;
pub(crate) use arrival::Prompt;
pub(crate) use json::{Json, Path, Query, arrived, body_error};
pub(crate) use once::Once;
pub(crate) use problem::OwnForm;
pub(crate) use rate::RateLimits;
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
    app.metrics.request(method.as_str(), &route, status, took);
    tracing::info!(request = %id, %method, route, status, took_us = took.as_micros(), "request");
    response
}

/// Bounds what one address, and all together, may ask for, and how long an answer may take.
async fn bound(State(app): State<App>, address: Address, request: Request, next: Next) -> Response {
    let share = match app.rates.check(&address) {
        Ok(share) => share,
        Err(wait) => {
            app.metrics.limited();
            let mut response = ApiError::retry_after(wait.as_secs() + 1).into_response();
            app.rates.nothing_left().tell(response.headers_mut());
            return response;
        }
    };
    let Some(turn) = app.turns.take(address).await else {
        return ApiError::new(Code::Unavailable).into_response();
    };
    let answered = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
    drop(turn);
    let mut response = answered.unwrap_or_else(|_| ApiError::new(Code::Unavailable).into_response());
    share.tell(response.headers_mut());
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
