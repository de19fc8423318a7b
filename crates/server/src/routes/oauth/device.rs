// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs without a browser (RFC 8628): they show a code, and somebody signed in enters it by `bailiwick authorize --code` or in
//! the console. Who answers sees from which network the program asked: a code that somebody else sent them is theirs to
//! refuse.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::HeaderMap;
use identity::{Place, Try};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{Record, TenantId};
use tokens::oauth::{DEVICE_MS, DeviceRequest, GrantType, INTERVAL_SECONDS};

use super::{Asking, Form, OAuthError};
use crate::caller::Visitor;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::state::App;

/// Begins to ask for somebody's consent on another device (section 3.1).
#[utoipa::path(post, path = "/oauth/device_authorization", tag = "oauth", operation_id = "device_authorization",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "application/json", body = Object), (status = 400, content_type = "application/json", body = Object), (status = 401, content_type = "application/json", body = Object)))]
pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Json<Value>, OAuthError> {
    let asking = Asking::of(&app, &visitor, &headers, &form).await?;
    let terms = &asking.client.terms;
    terms.may(GrantType::DeviceCode)?;
    let scope = terms.scopes_of(form.one("scope"))?;
    if scope.is_empty() {
        return Err(OAuthError::new("invalid_scope", "say which scopes"));
    }
    let resource = terms.resource_of(form.one("resource"), app.provider.issuer())?;
    // Each is a row for some minutes, and its client may be nobody in particular.
    let from = visitor.address.ip();
    let aimed_at = Sha256::new().chain_update(asking.client.id.as_bytes()).chain_update(from.to_string());
    let aimed_at = aimed_at.finalize().into();
    let _counts = app.attempts.start(app.now(), Try::DeviceAsk, &aimed_at, from).map_err(ApiError::from)?;
    let network = Place::of(from).as_str().to_owned();
    let request = DeviceRequest::new(asking.address, scope, resource, network);
    let worker = Caller::system("devices", visitor.caller.request());
    let mut tx =
        app.access.enter(&worker, TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?;
    let codes = app.provider.ask_for_device(&mut tx, &request).await?;
    tx.commit(Record::about(asking.client.id)).await?;
    let page = format!("{}/#device", app.url.trim_end_matches('/'));
    Ok(Json(json!({
        "device_code": codes.device_code.expose(),
        "user_code": codes.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}={}", codes.user_code),
        "expires_in": DEVICE_MS / 1_000,
        "interval": INTERVAL_SECONDS,
    })))
}

/// When programs last asked for their answers, in this process: who asks too often is told to slow down (section 3.5).
#[derive(Default)]
pub(crate) struct Polls(Mutex<HashMap<[u8; 32], i64>>);

impl Polls {
    /// Whether this device code was shown less than the interval ago.
    pub(crate) fn is_too_early(&self, now: i64, device_code: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(device_code).into();
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if polls.len() >= MAX_POLLS {
            polls.retain(|_, at| now - *at < INTERVAL_MS);
        }
        if polls.len() >= MAX_POLLS {
            return true;
        }
        // Clocks of programs are not exact: a second is forgiven.
        polls.insert(hash, now).is_some_and(|before| (0..INTERVAL_MS - 1_000).contains(&(now - before)))
    }
}

const INTERVAL_MS: i64 = INTERVAL_SECONDS as i64 * 1_000;
/// How many programs are remembered.
const MAX_POLLS: usize = 10_000;
