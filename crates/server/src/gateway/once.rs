// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes that happen once, however often they are asked for: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! The gateway gives the request its hash. A route that changes a tenant through [`Authenticated::enter`](crate::caller::Authenticated::enter)
//! takes the key in the transaction of its change; what it answered is kept, sealed, a moment later. The same request again gets
//! the same answer, with `Idempotency-Replayed: true`; another one under that key is refused.
//!
//! Sign-in, changes of methods and the parts of an upload do without: their states and names happen once anyway.

use std::sync::{Arc, Mutex, PoisonError};

use access::{Action, Caller, Resource};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use identity::{Claim, KeyedRequest};
use protocol::{Code, Problem};
use sha2::{Digest as _, Sha256};
use store::{Record, TenantId, WriteTx};
use zeroize::Zeroizing;

use super::MAX_JSON;
use super::json::arrived;
use crate::error::ApiError;
use crate::state::App;

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;

/// The longest answer that is kept, in bytes: those of changes are short.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A request that is to happen once. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Once(Arc<Keyed>);

struct Keyed {
    key: [u8; 32],
    request: [u8; 32],
    /// Where a change took the key.
    claimed: Mutex<Option<(TenantId, KeyedRequest)>>,
}

impl Once {
    /// Takes the key in the transaction of the change that it is for.
    ///
    /// # Errors
    /// The answer that was given before, or why there is none.
    pub(crate) async fn claim(
        &self,
        app: &App,
        tx: &mut WriteTx,
        account: identity::AccountId,
    ) -> Result<(), ApiError> {
        let asked = KeyedRequest { account, key: self.0.key, request: self.0.request };
        let refused = |code, why: &str| Err(Problem::new(code).field(KEY.as_str()).detail(why).into());
        match app.identity.claim_request(tx, &asked).await? {
            Claim::New => {
                *self.0.claimed.lock().unwrap_or_else(PoisonError::into_inner) = Some((tx.tenant(), asked));
                Ok(())
            }
            Claim::Answered(answer) => match Answer::from_bytes(&answer) {
                Some(answer) => Err(ApiError::answered(answer.into_response())),
                None => Err(ApiError::internal("a kept answer cannot be read")),
            },
            Claim::Done => refused(
                Code::Conflict,
                "this request is being carried out, or was, and its answer is not there: read what there is now",
            ),
            Claim::OtherRequest => refused(Code::InvalidField, "this key was used for another request"),
            Claim::TooMany => Err(ApiError::retry_after(3_600)),
        }
    }
}

/// Gives a request with a key its hash, and keeps what is answered when a change took the key.
pub(super) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    let changes = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH].contains(request.method());
    let Some(key) = request.headers().get(KEY).filter(|_| changes) else { return next.run(request).await };
    let key = key.as_bytes();
    if key.is_empty() || key.len() > LONGEST_KEY {
        return ApiError::field(KEY.as_str(), "1 to 255 characters").into_response();
    }
    let key = Sha256::digest(key).into();
    let is_part =
        request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    if is_part {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let body = match arrived(axum::body::to_bytes(body, MAX_JSON)).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let mut hash = Sha256::new();
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let header = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    for part in [
        parts.method.as_str().as_bytes(),
        target.as_bytes(),
        header(header::IF_MATCH),
        header(header::IF_NONE_MATCH),
        &body,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let once = Once(Arc::new(Keyed { key, request: hash.finalize().into(), claimed: Mutex::default() }));
    parts.extensions.insert(once.clone());
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let claimed = once.0.claimed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match claimed {
        Some((tenant, asked)) if response.status().is_success() => keep(app, tenant, asked, response).await,
        // A change that failed was rolled back, and its key with it.
        _ => response,
    }
}

/// Keeps an answer. That it cannot be kept changes nothing for who asked now.
async fn keep(app: App, tenant: TenantId, asked: KeyedRequest, response: Response) -> Response {
    let (head, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST_ANSWER).await else {
        return ApiError::internal("the answer of a change is too long to be kept").into_response();
    };
    let header =
        |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    let answer = Answer {
        status: head.status.as_u16(),
        content_type: header(header::CONTENT_TYPE),
        etag: header(header::ETAG),
        body: body.to_vec(),
    };
    // To its end, even when the client leaves.
    let kept = tokio::spawn(async move {
        let worker = Caller::system("idempotency", "");
        let mut tx =
            app.access.enter(&worker, tenant, Action::MaintenanceRun, Resource::whole(tenant)).await?;
        if app.identity.keep_answer(&mut tx, &asked, &answer.to_bytes()).await? {
            tx.commit(Record::about("answer")).await?;
        }
        Ok::<_, ApiError>(())
    });
    if let Ok(Err(error)) = kept.await {
        tracing::warn!(error = error.internal_message(), "an answer was not kept");
    }
    Response::from_parts(head, Body::from(body))
}

/// An answer as it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    etag: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Bytes::from(self.body).into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        for (name, value) in [(header::CONTENT_TYPE, self.content_type), (header::ETAG, self.etag)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}
