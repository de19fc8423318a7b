// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Errors as OAuth's clients read them (RFC 6749, section 5.2).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::Code;
use serde::Serialize;
use tokens::oauth::ProviderError;

use crate::error::ApiError;
use crate::gateway::OwnForm;
use crate::redact::redact;

/// An error on its way to a client.
pub(crate) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    /// What to ask for, for 401.
    challenge: Option<&'static str>,
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl OAuthError {
    /// An error with one of the registered codes.
    pub(crate) fn new(error: &'static str, description: impl ToString) -> Self {
        let description = description.to_string();
        OAuthError { status: StatusCode::BAD_REQUEST, error, description, challenge: None, retry_after: None }
    }

    pub(crate) fn invalid_request(description: impl ToString) -> Self {
        OAuthError::new("invalid_request", description)
    }

    pub(crate) fn invalid_grant(description: impl ToString) -> Self {
        OAuthError::new("invalid_grant", description)
    }

    /// The client is unknown, or its proof is wrong. `basic` says that it came in the header.
    pub(crate) fn client(basic: bool) -> Self {
        OAuthError {
            status: StatusCode::UNAUTHORIZED,
            challenge: basic.then_some("Basic realm=\"bailiwick\", charset=\"UTF-8\""),
            ..OAuthError::new("invalid_client", "the client is unknown, or its proof is wrong")
        }
    }

    /// The registered code and what there is to say.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        (self.error, &self.description)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let description = redact(&self.description);
        let body = Body { error: self.error, error_description: &description };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        response.extensions_mut().insert(OwnForm);
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<ProviderError> for OAuthError {
    fn from(error: ProviderError) -> Self {
        use ProviderError as E;
        match error {
            E::Client => OAuthError::client(false),
            E::Grant(why) => OAuthError::invalid_grant(why),
            E::Scope(why) => OAuthError::new("invalid_scope", why),
            E::Proof(why) => OAuthError::new("invalid_dpop_proof", why),
            E::Target => OAuthError::new("invalid_target", error),
            E::Unauthorized(why) => OAuthError::new("unauthorized_client", why),
            E::Revoked | E::Token(_) => OAuthError::invalid_grant(error),
            other => ApiError::from(other).into(),
        }
    }
}

/// What the rest of the server says, in OAuth's words. A tenant that is suspended, a member who is, a session that has ended:
/// what was granted is not good any more.
impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        let problem = error.problem();
        let description = problem.detail.clone().unwrap_or_else(|| problem.title.clone());
        let (name, status) = match problem.code {
            Code::Internal | Code::StorageFull => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
            Code::Unavailable => ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Code::TooManyRequests => ("temporarily_unavailable", StatusCode::TOO_MANY_REQUESTS),
            Code::TokenRevoked
            | Code::SessionEnded
            | Code::NotFound
            | Code::Forbidden
            | Code::Suspended
            | Code::TenantSuspended
            | Code::ProviderRequired
            | Code::TokenExpired
            | Code::TokenMalformed
            | Code::TokenUntrusted
            | Code::TokenWrongAudience => ("invalid_grant", StatusCode::BAD_REQUEST),
            _ => ("invalid_request", StatusCode::BAD_REQUEST),
        };
        let retry_after = problem.retry_after;
        if status.is_server_error() {
            tracing::error!(code = problem.code.as_str(), "{}", error.internal_message());
        }
        OAuthError { status, retry_after, ..OAuthError::new(name, description) }
    }
}

impl From<access::Refused> for OAuthError {
    fn from(refused: access::Refused) -> Self {
        ApiError::from(refused).into()
    }
}

impl From<store::StoreError> for OAuthError {
    fn from(error: store::StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<access::TenancyError> for OAuthError {
    fn from(error: access::TenancyError) -> Self {
        ApiError::from(error).into()
    }
}
