// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plain HTTP beside TLS: who only looks is sent over there; who sends something is told not to, since it was readable on its way.

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// Sends everybody to `url`, where the server is reached by TLS. Whatever host a request names.
pub(crate) fn to_tls(url: &str) -> Router {
    let url = url.to_owned();
    Router::new().fallback(move |method: Method, uri: Uri| {
        let answer = answer(&url, &method, &uri);
        async move { answer }
    })
}

fn answer(url: &str, method: &Method, uri: &Uri) -> Response {
    let close = (header::CONNECTION, HeaderValue::from_static("close"));
    if ![Method::GET, Method::HEAD].contains(method) {
        let told = "this server is reached by https:// alone: what you sent could be read on its way\n";
        return (StatusCode::FORBIDDEN, [close], told).into_response();
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    match HeaderValue::from_str(&format!("{url}{path}")) {
        Ok(location) => {
            (StatusCode::PERMANENT_REDIRECT, [close, (header::LOCATION, location)]).into_response()
        }
        Err(_) => (StatusCode::BAD_REQUEST, [close]).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_is_sent_to_the_same_place_of_this_server_and_no_other() {
        let sent = |method: Method, uri: &str| {
            let response = answer("https://id.example", &method, &uri.parse().unwrap());
            let location =
                response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
            (response.status().as_u16(), location)
        };
        let to = |path: &str| (308, Some(format!("https://id.example{path}")));
        assert_eq!(sent(Method::GET, "/a/b?c=d"), to("/a/b?c=d"));
        assert_eq!(sent(Method::HEAD, "http://evil.example/x"), to("/x"));
        assert_eq!(sent(Method::GET, "//evil.example/x"), to("//evil.example/x"));
        assert_eq!(sent(Method::GET, "*"), to("/"));
        assert_eq!(sent(Method::POST, "/a"), (403, None));
    }
}
