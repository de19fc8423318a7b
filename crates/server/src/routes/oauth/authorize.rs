// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The authorization endpoint: where an application sends somebody's browser.
//!
//! Nobody signs in here: Bailiwick's sign-in runs on the client, and the browser shows no session to this route. The request
//! is checked, sealed, and put into a link to the console, where whoever is signed in answers it; the command line takes
//! the same link. A browser also gets a cookie that its request is bound to, so that a link which somebody else began is
//! not answered in it: the console must show the cookie with the answer ([`bound`]).
//!
//! As long as it is not sure that the client and the place to return to are the registered ones, nobody is redirected (OAuth
//! 2.1, section 4.1.2.1).

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::{Code, Problem};
use tokens::oauth::{
    Challenge, Client, ClientAddress, ConsentRequest, GrantType, LONGEST_WORD, PUSHED_MS, ProofKey, ScopeSet,
};

use super::form::Parameters;
use super::token::proven;
use super::{Asking, Form, OAuthError, client};
use crate::caller::Visitor;
use crate::caller::client::Noted;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::state::App;

/// Begins asking somebody for their consent: the browser goes on to the console, or back with an error.
#[utoipa::path(get, path = "/oauth/authorize", tag = "oauth", operation_id = "authorize",
    params(("client_id" = String, Query), ("redirect_uri" = Option<String>, Query), ("response_type" = Option<String>, Query), ("scope" = Option<String>, Query),
        ("state" = Option<String>, Query), ("nonce" = Option<String>, Query), ("code_challenge" = Option<String>, Query), ("code_challenge_method" = Option<String>, Query),
        ("prompt" = Option<String>, Query), ("max_age" = Option<String>, Query), ("resource" = Option<String>, Query), ("request_uri" = Option<String>, Query), ("dpop_jkt" = Option<String>, Query)),
    responses((status = 303), (status = 422, body = Problem)))]
pub(crate) async fn by_link(
    State(app): State<App>,
    visitor: Visitor,
    Parameters(form): Parameters,
) -> Response {
    answer(&app, begin(&app, &visitor, &form).await)
}

/// The same by a form (OpenID Connect Core, section 3.1.2.1).
#[utoipa::path(post, path = "/oauth/authorize", tag = "oauth", operation_id = "authorize_by_form",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"), responses((status = 303), (status = 422, body = Problem)))]
pub(crate) async fn by_form(State(app): State<App>, visitor: Visitor, form: Form) -> Response {
    answer(&app, begin(&app, &visitor, &form).await)
}

/// Takes a request from the client itself, before its browser comes (RFC 9126).
#[utoipa::path(post, path = "/oauth/par", tag = "oauth", operation_id = "push_authorization_request",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, content_type = "application/json", body = Object), (status = 400, content_type = "application/json", body = Object), (status = 401, content_type = "application/json", body = Object)))]
pub(crate) async fn push(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let asking = Asking::of(&app, &visitor, &headers, &form).await?;
    if form.one("request_uri").is_some() {
        return Err(OAuthError::invalid_request("a pushed request names no other one"));
    }
    let redirect_uri = redirect_uri(&asking.client, &form).map_err(OAuthError::invalid_request)?;
    let mut request = checked(&app, asking.address, &asking.client, redirect_uri, &form)?;
    // A proof that comes along says which key the code will be bound to (RFC 9449, section 10.1).
    if let Some(proven) = proven(&app, &headers, "/oauth/par")? {
        let key = proven.key.confirmation().jkt;
        if request.key.as_ref().is_some_and(|announced| *announced != key) {
            return Err(OAuthError::invalid_request("dpop_jkt is another key than the one that was proved"));
        }
        if !matches!(app.proofs.note(app.now(), &proven.used), Noted::First) {
            return Err(OAuthError::new("invalid_dpop_proof", "the DPoP proof was used before"));
        }
        request.key = Some(key);
    }
    let request_uri = app.provider.push_request(app.now(), &request)?;
    let body = serde_json::json!({ "request_uri": request_uri, "expires_in": PUSHED_MS / 1_000 });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// What becomes of the browser.
enum Begun {
    /// It goes to the page that asks, and keeps this.
    Ask { link: String, keep: String },
    /// It goes back to the client with an error.
    Back(String),
}

async fn begin(app: &App, visitor: &Visitor, form: &Form) -> Result<Begun, ApiError> {
    let unknown = || ApiError::field("client_id", "there is no such application");
    let address: ClientAddress = form.one("client_id").and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
    let found = client(app, visitor, address)
        .await
        .map_err(|error| Problem::new(Code::Unavailable).detail(error.parts().1))?;
    let (_, client) = found.ok_or_else(unknown)?;
    let mut request = match form.one("request_uri") {
        Some(uri) => {
            let pushed = app.provider.pushed_request(app.now(), uri)?;
            if pushed.client() != address {
                return Err(ApiError::field("request_uri", "it was pushed by another client"));
            }
            // The client may have been changed since.
            if !client.terms.redirects_to(&pushed.redirect_uri) {
                return Err(ApiError::field("redirect_uri", NOT_REGISTERED));
            }
            pushed
        }
        None => {
            let redirect_uri =
                redirect_uri(&client, form).map_err(|why| ApiError::field("redirect_uri", why))?;
            match checked(app, address, &client, redirect_uri.clone(), form) {
                Ok(request) => request,
                Err(error) => {
                    let (error, description) = error.parts();
                    let back = back(app, form, redirect_uri, error, description);
                    return back.map(Begun::Back).ok_or_else(|| ApiError::internal("a redirect URI"));
                }
            }
        }
    };
    let keep = request.bind();
    let sealed = app.provider.seal_request(app.now(), &request)?;
    // Of the address that the browser used, as the cookie is: a server on this machine has more than one name.
    let how = if request.silent { "silent" } else { "authorize" };
    Ok(Begun::Ask { link: format!("/#{how}={sealed}"), keep })
}

fn answer(app: &App, begun: Result<Begun, ApiError>) -> Response {
    let (location, cookie) = match begun {
        Ok(Begun::Ask { link, keep }) => (link, Some(cookie(app, &keep))),
        Ok(Begun::Back(location)) => (location, None),
        Err(error) => return error.into_response(),
    };
    let Ok(location) = HeaderValue::from_str(&location) else {
        return ApiError::internal("a location").into_response();
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Checks all but client and redirect URI: what is wrong here is told to the client.
fn checked(
    app: &App,
    address: ClientAddress,
    client: &Client,
    redirect_uri: String,
    form: &Form,
) -> Result<ConsentRequest, OAuthError> {
    client.terms.may(GrantType::AuthorizationCode)?;
    if form.one("request").is_some() {
        return Err(OAuthError::new("request_not_supported", "push the request instead (RFC 9126)"));
    }
    match form.one("response_type") {
        Some("code") => {}
        Some(_) => return Err(OAuthError::new("unsupported_response_type", "code alone is supported")),
        None => return Err(OAuthError::invalid_request("response_type is missing")),
    }
    if !matches!(form.one("response_mode"), None | Some("query")) {
        return Err(OAuthError::invalid_request("response_mode: query alone is supported"));
    }
    if form.one("code_challenge_method") != Some("S256") {
        return Err(OAuthError::invalid_request("code_challenge_method must be S256 (RFC 7636)"));
    }
    let challenge = form.required("code_challenge")?;
    let challenge = Challenge::parse(challenge)
        .ok_or_else(|| OAuthError::invalid_request("code_challenge is no hash (RFC 7636)"))?;
    let scope: ScopeSet = client.terms.scopes_of(form.one("scope"))?;
    if scope.is_empty() {
        return Err(OAuthError::new("invalid_scope", "say which scopes"));
    }
    let resource = client.terms.resource_of(form.one("resource"), app.provider.issuer())?;
    let word = |name: &'static str| match form.one(name) {
        Some(word) if word.len() > LONGEST_WORD => {
            Err(OAuthError::invalid_request(format_args!("{name} is longer than {LONGEST_WORD} bytes")))
        }
        word => Ok(word.map(str::to_owned)),
    };
    let (state, nonce) = (word("state")?, word("nonce")?);
    let mut request = ConsentRequest::new(address, redirect_uri, scope, resource, state, nonce, challenge);
    let prompts: Vec<&str> = form.one("prompt").unwrap_or_default().split(' ').collect();
    if prompts.contains(&"none") && prompts.len() > 1 {
        return Err(OAuthError::invalid_request("prompt=none stands alone"));
    }
    request.silent = prompts.contains(&"none");
    request.ask_again = prompts.contains(&"consent");
    request.prove_again = prompts.contains(&"login");
    request.key = match form.one("dpop_jkt") {
        Some(key) if ProofKey::parse(key).is_none() => {
            return Err(OAuthError::invalid_request("dpop_jkt is no thumbprint (RFC 9449, section 10)"));
        }
        key => key.map(str::to_owned),
    };
    request.max_age = match form.one("max_age") {
        Some(seconds) => Some(
            seconds
                .parse::<u32>()
                .map(i64::from)
                .map_err(|_| OAuthError::invalid_request("max_age is no number of seconds"))?,
        ),
        None => None,
    };
    Ok(request)
}

/// The place to return to; the only one of a client that has one may be left out (RFC 6749, section 3.1.2.3).
fn redirect_uri(client: &Client, form: &Form) -> Result<String, &'static str> {
    match (form.one("redirect_uri"), client.terms.redirect_uris.as_slice()) {
        (Some(asked), _) if client.terms.redirects_to(asked) => Ok(asked.to_owned()),
        (Some(_), _) => Err(NOT_REGISTERED),
        (None, [only]) => Ok(only.as_str().to_owned()),
        (None, _) => Err("it is missing, and the application has not exactly one"),
    }
}

/// Where the browser goes with an error, before there is a request.
fn back(app: &App, form: &Form, redirect_uri: String, error: &str, description: &str) -> Option<String> {
    let mut url = url::Url::parse(&redirect_uri).ok()?;
    let mut query = url.query_pairs_mut();
    query.append_pair("error", error).append_pair("error_description", description);
    // Also one that is too long: the client knows by it whose answer this is (RFC 6749, section 4.1.2.1).
    if let Some(state) = form.one("state") {
        query.append_pair("state", state);
    }
    query.append_pair("iss", app.provider.issuer());
    drop(query);
    Some(url.into())
}

/// Whether an answer comes from the browser that the request began in. A browser says that it is one; what is none, as the
/// command line, has no cookie, and nobody can make it send another request than the one its owner gave it.
pub(crate) fn bound(app: &App, headers: &HeaderMap, request: &ConsentRequest) -> Result<(), ApiError> {
    let is_browser = FROM_BROWSERS.iter().any(|name| headers.contains_key(name));
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut kept = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        // Without the prefix a cookie may be a neighbour's of the domain.
        .filter(|(name, _)| *name == cookie_name(app))
        .map(|(_, value)| value);
    if !is_browser || kept.any(|value| request.is_of(value)) {
        return Ok(());
    }
    let why = "this request began in another browser: let the application begin again in this one";
    Err(Problem::new(Code::RequestOver).detail(why).into())
}

fn cookie(app: &App, value: &str) -> String {
    let attributes = "Path=/; Max-Age=600; HttpOnly; SameSite=Lax";
    let secure = if app.url.starts_with("https://") { "; Secure" } else { "" };
    format!("{}={value}; {attributes}{secure}", cookie_name(app))
}

/// The cookie's name. Without TLS, on this machine alone, it has no prefix, which asks for `Secure`.
fn cookie_name(app: &App) -> &'static str {
    if app.url.starts_with("https://") { SECURE_COOKIE } else { COOKIE }
}

const COOKIE: &str = "bailiwick-authorize";
const SECURE_COOKIE: &str = "__Host-bailiwick-authorize";
/// What browsers send with a page's requests, and pages cannot leave out.
const FROM_BROWSERS: [HeaderName; 2] = [header::ORIGIN, HeaderName::from_static("sec-fetch-site")];
const NOT_REGISTERED: &str = "it is not registered for this application, letter by letter";
