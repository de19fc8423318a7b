// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a provider's answer comes: it goes on to the client that began. Nothing is redeemed here, since only that client has the
//! verifier; so whoever is sent here with somebody else's answer brings it to a client that cannot use it.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use federation::{Back, FederationError, ProviderId as StoredId};
use protocol::ProviderId;
use url::form_urlencoded::{Serializer, parse};

use crate::error::ApiError;
use crate::gateway::Path;
use crate::state::App;

/// Takes a provider's answer, and sends the browser on with it.
pub(crate) async fn callback(
    State(app): State<App>,
    Path(provider): Path<ProviderId>,
    RawQuery(query): RawQuery,
) -> Response {
    match onwards(&app, provider, query.as_deref().unwrap_or_default()) {
        Ok(location) => {
            let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
            let headers = response.headers_mut();
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => error.into_response(),
    }
}

fn onwards(app: &App, provider: ProviderId, query: &str) -> Result<HeaderValue, ApiError> {
    // Of a parameter that comes twice none counts (RFC 6749, section 3.1).
    let one = |name: &str| {
        let mut found = parse(query.as_bytes()).filter(|(found, _)| found == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) if value.len() <= LONGEST => Some(value.into_owned()),
            _ => None,
        }
    };
    let state = one("state").ok_or(FederationError::Over)?;
    let asked = app.federation.asked(app.now(), &state)?;
    if asked.provider() != StoredId::from_uuid(provider.uuid()) {
        return Err(FederationError::Over.into());
    }
    let mut answer = Serializer::new(String::new());
    answer.append_pair("state", &state);
    match one("code") {
        Some(code) => {
            answer.append_pair("code", &code);
        }
        // What a provider writes beside the name of an error is not shown to anybody.
        None => {
            let error = one("error").unwrap_or_default();
            let known =
                error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && error.len() <= 64;
            answer.append_pair("error", if known && !error.is_empty() { &error } else { "no_answer" });
        }
    }
    if let Some(issuer) = one("iss") {
        answer.append_pair("iss", &issuer);
    }
    let answer = answer.finish();
    let location = match &asked.back {
        Back::Console => format!("{}/#provider?{answer}", app.url),
        Back::Loopback(uri) => format!("{uri}?{answer}"),
    };
    HeaderValue::from_str(&location).map_err(|_| FederationError::Over.into())
}

/// The longest parameter that is passed on, in bytes.
const LONGEST: usize = 16 * 1024;
