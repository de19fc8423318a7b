// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The layer, and the service that it makes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response, header};
use tower::{Layer, Service};

use crate::guard::Guard;
use crate::token::{Refused, Token};

/// Puts a [`Guard`] in front of a service.
#[derive(Clone)]
pub struct TokenLayer {
    guard: Guard,
    scopes: Arc<[String]>,
}

impl TokenLayer {
    pub(crate) fn new(guard: Guard) -> Self {
        TokenLayer { guard, scopes: Arc::default() }
    }

    /// Lets only tokens pass that have this scope too.
    #[must_use]
    pub fn requiring(self, scope: impl Into<String>) -> Self {
        let scopes = self.scopes.iter().cloned().chain([scope.into()]).collect();
        TokenLayer { scopes, ..self }
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = Protected<S>;

    fn layer(&self, inner: S) -> Protected<S> {
        Protected { guard: self.guard.clone(), scopes: Arc::clone(&self.scopes), inner }
    }
}

/// A service behind a [`Guard`].
#[derive(Clone)]
pub struct Protected<S> {
    guard: Guard,
    scopes: Arc<[String]>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Protected<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (guard, scopes) = (self.guard.clone(), Arc::clone(&self.scopes));
        // The one that is ready.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let shown = bearer(request.headers());
        Box::pin(async move {
            match passing(&guard, &scopes, shown).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await
                }
                Err(refused) => Ok(refusal(refused)),
            }
        })
    }
}

async fn passing(guard: &Guard, scopes: &[String], shown: Option<String>) -> Result<Token, Refused> {
    let token = guard.verify(&shown.ok_or(Refused::NotSignedIn)?).await?;
    if scopes.iter().all(|scope| token.scopes.contains(scope)) {
        return Ok(token);
    }
    Err(Refused::InsufficientScope)
}

/// The token that a request shows (RFC 6750, section 2.1). Two are none.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// An answer as Bailiwick's own routes give it: a problem (RFC 9457).
fn refusal<R: From<String>>(refused: Refused) -> Response<R> {
    let (status, code) = (refused.status(), refused.code());
    let body = format!("{{\"status\":{},\"code\":\"{code}\",\"title\":\"{refused}\"}}", status.as_u16());
    let mut response = Response::new(R::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match refused {
        Refused::Stale => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
        Refused::NotSignedIn => {
            drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        Refused::InsufficientScope => {
            let value = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        _ => {
            let value = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_one_token_or_none() {
        let shown = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers)
        };
        assert_eq!(shown(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(shown(&["bearer  abc "]).as_deref(), Some("abc"));
        for none in [&[][..], &["Basic abc"], &["abc"], &["Bearer a", "Bearer b"]] {
            assert_eq!(shown(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_refusal_is_a_problem() {
        let response: Response<String> = refusal(Refused::Revoked);
        assert_eq!(response.status(), 401);
        let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["code"], "token_revoked");
        assert_eq!(refusal::<String>(Refused::Stale).headers()["retry-after"], "1");
    }
}
