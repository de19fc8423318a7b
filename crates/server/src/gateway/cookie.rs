// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions of pages: in a cookie that no script can read.
//!
//! A page says with each request where its session belongs (`Bailiwick-Session: cookie`). The token that a sign-in or a step-up
//! answers goes into the cookie and out of the answer, so whatever runs in the page has nothing to carry away. On the way back
//! the gateway shows the cookie's token as if the client had; behind it nothing knows of cookies.
//!
//! A browser sends cookies for whoever asks it to. So a request that acts by one is taken from the server's own pages alone:
//! `SameSite=Strict`, the `Origin` of every change, and `Sec-Fetch-Site` of every request. What shows its own token in
//! `Authorization` needs none of this, since no browser adds that by itself. Whom another site sends here to look at a page comes
//! without a session, whatever cookies came along: browsers show even strict ones where a chain of redirects began on an own page, as
//! the way to an identity provider and back does.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::{Code, Problem};
use serde_json::Value;

use super::MAX_JSON;
use crate::error::ApiError;
use crate::state::App;

/// Where a page says that its session belongs.
const SESSION_IN: HeaderName = HeaderName::from_static("bailiwick-session");

/// The routes that answer with a session's token, and where in the answer it is.
const GIVES: [(&str, &str); 11] = [
    ("/api/v1/signup/finish", "/session/token"),
    ("/api/v1/signup/passkey/finish", "/session/token"),
    ("/api/v1/signup/provider", "/session/token"),
    ("/api/v1/signin/provider/finish", PROVIDED_TOKEN),
    ("/api/v1/signin/password/finish", "/session/token"),
    ("/api/v1/signin/recovery-key", "/session/token"),
    ("/api/v1/signin/passkey/finish", "/session/token"),
    ("/api/v1/pairings/device/redeem", "/session/token"),
    ("/api/v1/step-up/finish", "/token"),
    ("/api/v1/step-up/recovery-key", "/token"),
    ("/api/v1/step-up/passkey/finish", "/token"),
];

/// Where the token is of whom another provider lets in. Who has no account yet gets none.
const PROVIDED_TOKEN: &str = "/signed_in/session/token";

/// The routes after which there is no session.
const ENDS: [(Method, &str); 2] = [(Method::POST, "/api/v1/signout"), (Method::DELETE, "/api/v1/account")];

/// Shows the cookie's session to the routes, and keeps what they answer in it.
pub(super) async fn session(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let cookie = Cookie::of(&app.url);
    let wanted = request.headers().get(SESSION_IN).is_some_and(|value| value == "cookie");
    let shows_its_own = request.headers().contains_key(header::AUTHORIZATION);
    let shown = if shows_its_own { None } else { cookie.read(request.headers()) };
    if !wanted && shown.is_none() {
        return next.run(request).await;
    }
    if let Err(refused) = from_own_page(&app.url, request.method(), request.headers()) {
        if !wanted && is_sent_to_a_page(request.method(), request.headers()) {
            return next.run(request).await;
        }
        return refused.into_response();
    }
    let acts_by_cookie = shown.is_some();
    if let Some(shown) = shown {
        request.headers_mut().insert(header::AUTHORIZATION, shown);
    }
    let path = request.uri().path();
    let token_at = GIVES.iter().find(|(given, _)| *given == path).map(|(_, at)| *at);
    let ends = ENDS.iter().any(|(method, ended)| method == request.method() && *ended == path);

    let mut response = next.run(request).await;
    let is_over = response
        .extensions()
        .get::<Problem>()
        .is_some_and(|problem| matches!(problem.code, Code::SessionEnded | Code::TokenMalformed));
    match token_at {
        Some(at) if wanted && response.status().is_success() => keep(cookie, at, response).await,
        _ if acts_by_cookie && (is_over || (ends && response.status().is_success())) => {
            response.headers_mut().append(header::SET_COOKIE, cookie.without());
            response
        }
        _ => response,
    }
}

/// What a request shows of who it is by: in `Authorization`, or in the cookie.
pub(super) fn shown(url: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::AUTHORIZATION).cloned().or_else(|| Cookie::of(url).read(headers))
}

/// Takes the token out of an answer and puts it into the cookie.
async fn keep(cookie: Cookie, at: &str, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_JSON).await else {
        return ApiError::internal("the answer of a sign-in is too long").into_response();
    };
    let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if at == PROVIDED_TOKEN && answer.get("signed_in").is_none_or(Value::is_null) {
        return Response::from_parts(head, Body::from(body));
    }
    let token = answer.pointer_mut(at).map(Value::take);
    let set = token.as_ref().and_then(Value::as_str).and_then(|token| cookie.with(token));
    let (Some(set), Some(place)) = (set, answer.pointer_mut(at)) else {
        return ApiError::internal("the answer of a sign-in has no token").into_response();
    };
    *place = Value::String(String::new());
    head.headers.append(header::SET_COOKIE, set);
    head.headers.remove(header::CONTENT_LENGTH);
    match serde_json::to_vec(&answer) {
        Ok(body) => Response::from_parts(head, Body::from(body)),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// Whether a browser goes to another page with it.
fn is_sent_to_a_page(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

/// Refuses what a page of somebody else's has a browser send.
fn from_own_page(url: &str, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    // `none`: somebody typed the address, or opened a bookmark. That reads, and changes nothing.
    let reads = [Method::GET, Method::HEAD].contains(method);
    let is_own_site = match site {
        Some(b"same-origin") | None => true,
        Some(b"none") => reads,
        Some(_) => false,
    };
    let origin = headers.get(header::ORIGIN).map(HeaderValue::to_str);
    let is_own_origin = match origin {
        Some(Ok(origin)) => is_own(url, origin, headers.get(header::HOST)),
        Some(Err(_)) => false,
        None => reads,
    };
    if is_own_site && is_own_origin {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden)
        .field(if is_own_site { "Origin" } else { "Sec-Fetch-Site" })
        .detail("another site's page sent this: sessions in cookies are for the pages of this server alone")
        .into())
}

/// Whether an origin is the server's: that of its URL. A server on this machine alone is reached by each of the machine's own
/// names, at the port that was asked.
fn is_own(url: &str, origin: &str, host: Option<&HeaderValue>) -> bool {
    let (Ok(url), Ok(origin)) = (url.parse::<Uri>(), origin.parse::<Uri>()) else { return false };
    if url.scheme() != origin.scheme() {
        return false;
    }
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let (ours, theirs) = (url.port_u16().unwrap_or(default), origin.port_u16().unwrap_or(default));
    if url.host().is_some_and(|ours| origin.host().is_some_and(|theirs| ours.eq_ignore_ascii_case(theirs))) {
        return ours == theirs;
    }
    let asked = host.and_then(|host| host.to_str().ok());
    let authority = origin.authority().map(axum::http::uri::Authority::as_str);
    is_loopback(&url) && is_loopback(&origin) && asked.is_some() && asked == authority
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The cookie. Over TLS its name says, and browsers see to it, that this host alone set it, for all of it, over TLS
/// (`__Host-`, RFC 6265bis section 4.1.3.2). Browsers take no such name over plain HTTP, which is this machine's own.
///
/// It ends with the browser: what it would open after that has to be unlocked anew anyway.
#[derive(Clone, Copy)]
struct Cookie {
    name: &'static str,
    attributes: &'static str,
}

impl Cookie {
    fn of(url: &str) -> Self {
        if url.starts_with("https://") {
            Cookie { name: "__Host-bailiwick", attributes: "Path=/; Secure; HttpOnly; SameSite=Strict" }
        } else {
            Cookie { name: "bailiwick", attributes: "Path=/; HttpOnly; SameSite=Strict" }
        }
    }

    /// What the cookie shows, as a header of authorization. Only a session's token: no other has a place in a cookie.
    fn read(self, headers: &HeaderMap) -> Option<HeaderValue> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut ours = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, token)| *name == self.name && token.starts_with("bws_"))
            .map(|(_, token)| token);
        let token = ours.next()?;
        // Two would be somebody's who wants one of them to be taken for the other.
        if ours.next().is_some() {
            return None;
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn with(self, token: &str) -> Option<HeaderValue> {
        let Cookie { name, attributes } = self;
        let mut value = HeaderValue::from_str(&format!("{name}={token}; {attributes}")).ok()?;
        value.set_sensitive(true);
        token.starts_with("bws_").then_some(value)
    }

    fn without(self) -> HeaderValue {
        let Cookie { name, attributes } = self;
        HeaderValue::from_str(&format!("{name}=; Max-Age=0; {attributes}"))
            .unwrap_or(HeaderValue::from_static("bailiwick=; Max-Age=0; Path=/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn taken(url: &str, method: Method, all: &[(&'static str, &'static str)]) -> bool {
        from_own_page(url, &method, &headers(all)).is_ok()
    }

    #[test]
    fn a_change_is_taken_from_the_servers_own_pages_alone() {
        let url = "https://id.example.org";
        let own = ("origin", "https://id.example.org");
        assert!(taken(url, Method::POST, &[own]));
        assert!(taken(url, Method::POST, &[own, ("sec-fetch-site", "same-origin")]));
        for origin in [
            "https://evil.example",
            "https://id.example.org.evil.example",
            "https://app.example.org",
            "http://id.example.org",
            "https://id.example.org:8443",
            "null",
            "",
        ] {
            assert!(!taken(url, Method::POST, &[("origin", origin)]), "{origin}");
        }
        for site in ["same-site", "cross-site", "none", "nonsense"] {
            assert!(!taken(url, Method::POST, &[own, ("sec-fetch-site", site)]), "{site}");
        }
        assert!(!taken(url, Method::DELETE, &[]), "no origin");
    }

    #[test]
    fn what_reads_comes_from_no_other_site() {
        let url = "https://id.example.org";
        assert!(taken(url, Method::GET, &[]));
        assert!(taken(url, Method::GET, &[("sec-fetch-site", "none")]));
        assert!(!taken(url, Method::GET, &[("sec-fetch-site", "same-site")]));
        assert!(!taken(url, Method::GET, &[("origin", "https://evil.example")]));
    }

    #[test]
    fn only_going_to_a_page_is_done_as_a_visitor_instead() {
        let navigates = headers(&[("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")]);
        assert!(is_sent_to_a_page(&Method::GET, &navigates));
        assert!(!is_sent_to_a_page(&Method::POST, &navigates));
        assert!(!is_sent_to_a_page(&Method::GET, &headers(&[("sec-fetch-mode", "cors")])));
        assert!(!is_sent_to_a_page(&Method::GET, &headers(&[])));
    }

    #[test]
    fn a_server_on_this_machine_is_reached_by_each_of_its_names() {
        let url = "http://127.0.0.1:7341";
        let by = |origin, host| taken(url, Method::POST, &[("origin", origin), ("host", host)]);
        assert!(by("http://localhost:7341", "localhost:7341"));
        assert!(by("http://127.0.0.1:7341", "127.0.0.1:7341"));
        // Another program of this machine, or a name that somebody made to lead here.
        assert!(!by("http://localhost:3000", "localhost:7341"));
        assert!(!by("http://evil.example:7341", "evil.example:7341"));
    }

    #[test]
    fn a_cookie_shows_a_session_and_nothing_else() {
        let read = |url: &str, cookie: &'static str| {
            let shown = Cookie::of(url).read(&headers(&[("cookie", cookie)]));
            shown.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(read("http://localhost", "a=b; bailiwick=bws_x").unwrap(), "Bearer bws_x");
        assert_eq!(read("https://a.example", "__Host-bailiwick=bws_x").unwrap(), "Bearer bws_x");
        for (url, cookie) in [
            ("https://a.example", "bailiwick=bws_x"),
            ("http://localhost", "bailiwick=bwk_x"),
            ("http://localhost", "bailiwick=bws_x; bailiwick=bws_y"),
            ("http://localhost", "bailiwick"),
        ] {
            assert_eq!(read(url, cookie), None, "{cookie}");
        }
    }
}
