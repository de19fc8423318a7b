// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Errors in one form: `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use protocol::{Code, Problem};

use super::RequestId;
use crate::redact::redact;

/// On an error whose body has another form, which its protocol prescribes: it stays as it is.
#[derive(Clone, Copy)]
pub(crate) struct OwnForm;

/// Writes the body of every error, whoever made it, with the request's id.
pub(crate) async fn write(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    written(next.run(request).await, id)
}

/// The answer with its body written.
pub(super) fn written(mut response: Response, id: Option<RequestId>) -> Response {
    if response.extensions().get::<OwnForm>().is_some() {
        return response;
    }
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => Problem::new(code_of(status)),
        None => return response,
    };
    let mut problem = Problem { request: id.map(|id| id.0.to_string()), ..problem };
    // What a caller sent may stand in what is said of it.
    for said in [&mut problem.detail, &mut problem.field].into_iter().flatten() {
        if let Cow::Owned(masked) = redact(said) {
            *said = masked;
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(header::CONTENT_LENGTH);
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == 401 {
        let scheme = match problem.code {
            Code::InvalidDpopProof => r#"DPoP error="invalid_dpop_proof", algs="EdDSA ES256""#,
            _ => "Bearer",
        };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
    response
}

/// The code of an error that a layer below made.
fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => Code::InvalidField,
        StatusCode::RANGE_NOT_SATISFIABLE => Code::RangeNotSatisfiable,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => Code::Unavailable,
        status if status.is_client_error() => Code::BadRequest,
        _ => Code::Internal,
    }
}
