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

use super::MAX_JSON;
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
        let body = json_bytes(request, state).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (field, inner) = (error.path().to_string(), error.into_inner());
            let code = if inner.is_data() { Code::InvalidField } else { Code::BadRequest };
            let message = inner.to_string();
            if code != Code::InvalidField {
                // Where the syntax is broken; serde_json quotes nothing then.
                return Problem::new(code).detail(message);
            }
            let field = missing_or_unknown(&message).unwrap_or_else(|| named(&field));
            Problem::new(code).detail(without_values(&message)).field(field)
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

/// The bytes of a JSON body: so many, within so much time.
pub(crate) async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|value| value.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_JSON as u64) {
        // Before it is sent: whoever has announced it may read that.
        return Err(ApiError::new(Code::TooLarge));
    }
    in_time(Bytes::from_request(request, state)).await?.map_err(body_error)
}

/// A whole body that is read before its route is known.
pub(crate) async fn arrived(
    body: impl Future<Output = Result<Bytes, axum::Error>>,
) -> Result<Bytes, ApiError> {
    // The bound is the one thing that can fail here without the connection being broken.
    in_time(body).await?.map_err(|_| ApiError::new(Code::TooLarge))
}

async fn in_time<T>(body: impl Future<Output = T>) -> Result<T, ApiError> {
    let late = |_| Problem::new(Code::BadRequest).detail("the body took too long to arrive").into();
    tokio::time::timeout(ARRIVES_WITHIN, body).await.map_err(late)
}

/// Why a body did not arrive.
fn body_error(rejection: BytesRejection) -> ApiError {
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
                let text = rejection.body_text();
                let message = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (field, message) = match message.split_once(": ") {
                    Some((field, message)) => (named(field), message),
                    None => (missing_or_unknown(message).unwrap_or_else(|| "query".into()), message),
                };
                Problem::new(Code::InvalidField).field(field).detail(without_values(message)).into()
            })
    }
}

/// The message of serde's error, without what was sent: of that it would quote texts, numbers and names of variants.
fn without_values(message: &str) -> String {
    // What serde expected is ours and comes last; what it found comes before and is the sender's.
    if let Some((_, expected)) = message.rsplit_once(", expected ") {
        return format!("expected {expected}");
    }
    const OURS: [&str; 6] =
        ["missing field `", "duplicate field `", "not ", "expected ", "at most ", "this is not "];
    let is_ours = OURS.iter().any(|start| message.starts_with(start))
        || message.contains(" bytes, of which at most ")
        || message.starts_with("invalid digit")
        || message.starts_with("number too ");
    if is_ours { message.to_owned() } else { "not acceptable".into() }
}

/// The name of the field that is missing or unknown, which stands in the message instead of the path.
fn missing_or_unknown(message: &str) -> Option<String> {
    let rest = message.strip_prefix("missing field `").or_else(|| message.strip_prefix("unknown field `"))?;
    rest.split_once('`').map(|(field, _)| named(field))
}

/// A field's name as it is told: the sender wrote it, so only what looks like one is repeated.
fn named(field: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '?');
    if !field.is_empty() && field.len() <= LONGEST_NAME && field.chars().all(is_name) {
        field.to_owned()
    } else {
        "a field with another name".into()
    }
}

/// Longer names are nobody's fields.
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only how it is read counts")]
    struct Asked {
        #[serde(default)]
        count: u32,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        bytes: Option<protocol::Bytes<4>>,
        #[serde(default)]
        collection: Option<protocol::CollectionId>,
        #[serde(default)]
        digits: Option<[u8; 2]>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only how it is read counts")]
    enum Kind {
        Small,
        Large(u32),
    }

    const SECRET: &str = "hunter2, expected hunter2";

    async fn told(body: String) -> Problem {
        let request = Request::post("/").header("content-type", "application/json");
        let error = Json::<Asked>::from_request(request.body(body.into()).unwrap(), &()).await.err().unwrap();
        error.into_response().extensions_mut().remove::<Problem>().unwrap()
    }

    #[tokio::test]
    async fn what_was_sent_is_not_repeated_in_an_error() {
        for (body, field) in [
            (format!(r#"{{"count": "{SECRET}"}}"#), "count"),
            (format!(r#"{{"kind": "{SECRET}"}}"#), "kind"),
            (format!(r#"{{"kind": {{"large": "{SECRET}"}}}}"#), "kind.large"),
            (format!(r#"{{"bytes": "{SECRET}"}}"#), "bytes"),
            (format!(r#"{{"collection": "{SECRET}"}}"#), "collection"),
            (format!(r#"{{"digits": "{SECRET}"}}"#), "digits"),
            (format!(r#"{{"digits": [1, 2, "{SECRET}"]}}"#), "."),
            (format!(r#"{{"{SECRET}": 1}}"#), "a field with another name"),
            (format!(r#""{SECRET}""#), "."),
            (r#"{"nonsense": 1}"#.into(), "nonsense"),
        ] {
            let problem = told(body.clone()).await;
            let text = serde_json::to_string(&problem).unwrap();
            assert!(!text.contains("hunter2"), "{body} gives {text}");
            assert!(
                problem.field.as_deref().unwrap_or(".").starts_with(field.split('.').next().unwrap()),
                "{body}: {:?} of {field}",
                problem.field
            );
        }
    }

    #[tokio::test]
    async fn what_was_asked_in_a_query_is_not_repeated_either() {
        for (query, field) in [("count=hunter2", "count"), ("hunter2%20=1", "query"), ("other=1", "other")] {
            let (mut parts, ()) = Request::get(format!("/?{query}")).body(()).unwrap().into_parts();
            let error = Query::<Asked>::from_request_parts(&mut parts, &()).await.err().unwrap();
            let problem = error.into_response().extensions_mut().remove::<Problem>().unwrap();
            let text = serde_json::to_string(&problem).unwrap();
            assert!(!text.contains("hunter2"), "{query} gives {text}");
            assert!(problem.field.is_some(), "{query}: {field}");
        }
    }
}
