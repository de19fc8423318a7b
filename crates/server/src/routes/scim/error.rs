// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Errors as provisioning systems read them (RFC 7644, section 3.12).

use access::TenancyError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use federation::FederationError;
use federation::scim::ScimError;
use protocol::Code;
use serde_json::json;
use store::StoreError;

use super::MEDIA_TYPE;
use crate::error::ApiError;
use crate::gateway::OwnForm;

/// A refusal on its way out.
pub(crate) struct ScimRefusal {
    status: StatusCode,
    kind: Option<&'static str>,
    detail: String,
    retry_after: Option<u64>,
}

impl ScimRefusal {
    fn new(status: StatusCode, kind: Option<&'static str>, detail: impl ToString) -> Self {
        ScimRefusal { status, kind, detail: detail.to_string(), retry_after: None }
    }

    pub(super) fn forbidden(detail: &str) -> Self {
        ScimRefusal::new(StatusCode::FORBIDDEN, None, detail)
    }

    pub(super) fn syntax(detail: &str) -> Self {
        ScimRefusal::new(StatusCode::BAD_REQUEST, Some("invalidSyntax"), detail)
    }

    pub(super) fn media_type() -> Self {
        ScimRefusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, "send application/scim+json")
    }
}

impl IntoResponse for ScimRefusal {
    fn into_response(self) -> Response {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.as_u16().to_string(),
            "detail": self.detail,
        });
        if let (Some(kind), Some(fields)) = (self.kind, body.as_object_mut()) {
            fields.insert("scimType".to_owned(), json!(kind));
        }
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        response.extensions_mut().insert(OwnForm);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<ScimError> for ScimRefusal {
    fn from(error: ScimError) -> Self {
        use ScimError as E;
        let bad = StatusCode::BAD_REQUEST;
        let (status, kind) = match error {
            E::NotFound => (StatusCode::NOT_FOUND, None),
            E::Uniqueness(_) => (StatusCode::CONFLICT, Some("uniqueness")),
            E::InvalidValue { .. } => (bad, Some("invalidValue")),
            E::InvalidFilter(_) => (bad, Some("invalidFilter")),
            E::InvalidPath => (bad, Some("invalidPath")),
            E::NoTarget => (bad, Some("noTarget")),
            E::Mutability(_) => (bad, Some("mutability")),
            E::TooMany(_) => (bad, Some("tooMany")),
            E::Failed(error) => return ApiError::from(error).into(),
            other => return ApiError::internal(other).into(),
        };
        ScimRefusal::new(status, kind, error)
    }
}

/// What the rest of the server says, in SCIM's words.
impl From<ApiError> for ScimRefusal {
    fn from(error: ApiError) -> Self {
        let problem = error.problem();
        if problem.status >= 500 {
            tracing::error!(code = problem.code.as_str(), "{}", error.internal_message());
        }
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let detail = match problem.code {
            // The same whatever is not there.
            Code::NotFound => ScimError::NotFound.to_string(),
            _ => problem.detail.clone().unwrap_or_else(|| problem.title.clone()),
        };
        ScimRefusal { retry_after: problem.retry_after, ..ScimRefusal::new(status, None, detail) }
    }
}

impl From<FederationError> for ScimRefusal {
    fn from(error: FederationError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<TenancyError> for ScimRefusal {
    fn from(error: TenancyError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<StoreError> for ScimRefusal {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}
