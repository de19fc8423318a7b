// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing out, begun by a client (OpenID Connect RP-Initiated Logout 1.0): what the client was granted ends, and the browser goes
//! where the client registered. The session at Bailiwick goes on: ending that is for whoever is signed in.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::Problem;
use store::Record;

use super::form::Parameters;
use super::token::end_grant;
use super::{OAuthError, client};
use crate::caller::Visitor;
use crate::error::ApiError;
use crate::routes::tenants::in_directory;
use crate::state::App;

/// Ends what a client was granted, by the ID token that came with it.
#[utoipa::path(get, path = "/oauth/logout", tag = "oauth", operation_id = "log_out_by_client",
    params(("id_token_hint" = Option<String>, Query), ("post_logout_redirect_uri" = Option<String>, Query), ("state" = Option<String>, Query), ("client_id" = Option<String>, Query)),
    responses((status = 303), (status = 422, body = Problem)))]
pub(crate) async fn log_out(
    State(app): State<App>,
    visitor: Visitor,
    Parameters(form): Parameters,
) -> Result<Response, ApiError> {
    let own = format!("{}/#signed-out", app.url.trim_end_matches('/'));
    let Some(hint) = form.one("id_token_hint") else {
        // Without it nobody knows whom to sign out, or where to go (section 2).
        return Ok(to(&own));
    };
    let wrong = |_| ApiError::field("id_token_hint", "it is no ID token of this server");
    let hint = app.provider.hint(app.now(), hint).map_err(wrong)?;
    if form.one("client_id").is_some_and(|id| id != hint.client.to_string()) {
        return Err(ApiError::field("client_id", "the ID token is another client's"));
    }
    let found = client(&app, &visitor, hint.client).await.map_err(outside)?;
    let Some((mut tx, client)) = found else { return Ok(to(&own)) };
    // It must be registered before anything ends: what does not fit is told, and done again.
    let back = match form.one("post_logout_redirect_uri") {
        None => own,
        Some(asked) if client.terms.post_logout_redirect_uris.iter().any(|uri| uri.allows(asked)) => {
            let mut url = url::Url::parse(asked).map_err(ApiError::internal)?;
            if let Some(state) = form.one("state") {
                url.query_pairs_mut().append_pair("state", state);
            }
            url.into()
        }
        Some(_) => {
            let why = "it is not registered for this application, letter by letter";
            return Err(ApiError::field("post_logout_redirect_uri", why));
        }
    };
    let live = app.provider.live_grant(&mut tx, hint.grant).await;
    drop(tx);
    if live.is_ok_and(|grant| grant.client == client.id) {
        // Who says so need not be told.
        if client.terms.backchannel_logout_uri.is_some() {
            let mut tx = in_directory(&app, visitor.caller.request()).await?;
            app.provider.unwatch(&mut tx, hint.grant).await?;
            tx.commit(Record::about(hint.grant)).await?;
        }
        let ended = end_grant(&app, &visitor, hint.client.tenant, hint.grant, "its client signed it out");
        ended.await.map_err(outside)?;
    }
    Ok(to(&back))
}

fn to(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

fn outside(error: OAuthError) -> ApiError {
    let (name, description) = error.parts();
    match name {
        "server_error" => ApiError::internal(description),
        _ => Problem::new(protocol::Code::Unavailable).detail(description).into(),
    }
}
