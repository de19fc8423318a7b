// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading requests strictly: what is wrong is said with the name of the field.

use std::time::Duration;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use protocol::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// How long a JSON body may take to arrive: it keeps a turn meanwhile.
const ARRIVES_WITHIN: Duration = Duration::from_secs(15);

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
            return Err(Problem::new(Code::UnsupportedMediaType).detail("send application/json").into());
        }
        let Ok(body) = tokio::time::timeout(ARRIVES_WITHIN, Bytes::from_request(request, state)).await else {
            return Err(Problem::new(Code::BadRequest).detail("the body took too long to arrive").into());
        };
        let body = body.map_err(body_error)?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (field, inner) = (error.path().to_string(), error.into_inner());
            let code = if inner.is_data() { Code::InvalidField } else { Code::BadRequest };
            let mut problem = Problem::new(code).detail(without_values(&inner));
            if code == Code::InvalidField {
                problem = problem.field(missing_or_unknown(&inner).unwrap_or(field));
            }
            problem
        })?;
        json.end().map_err(|_| Problem::new(Code::BadRequest).detail("more follows the JSON value"))?;
        Ok(Json(value))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// Why a body did not arrive.
pub(crate) fn body_error(rejection: BytesRejection) -> ApiError {
    let code = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        _ => Code::BadRequest,
    };
    ApiError::new(code)
}

/// Parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    /// An id that cannot be read names nothing: it answers like one that does not exist.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Path(value))
            .map_err(|_: PathRejection| ApiError::new(Code::NotFound))
    }
}

/// The query.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Query(value))
            .map_err(|rejection: QueryRejection| {
                Problem::new(Code::InvalidField).field("query").detail(rejection.body_text()).into()
            })
    }
}

/// The message of an error, without quoting what was sent.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once("invalid type: ").or_else(|| text.split_once("invalid value: ")) {
        Some((_, rest)) => match rest.split_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "not acceptable".into(),
        },
        None => text,
    }
}

/// The name of the field that is missing or unknown, which stands in the message instead of the path.
fn missing_or_unknown(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let rest = text.strip_prefix("missing field `").or_else(|| text.strip_prefix("unknown field `"))?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}
