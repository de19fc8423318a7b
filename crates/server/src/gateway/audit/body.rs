// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sizes and digests of bodies, as they pass.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use futures::Stream;
use sha2::{Digest as _, Sha256};

use super::super::MAX_JSON;

/// What was read of a body that was sent.
#[derive(Default)]
pub(super) struct Read {
    bytes: AtomicU64,
    /// Once it was read to its end.
    digest: OnceLock<[u8; 32]>,
}

impl Read {
    /// The body, watched; and what will be known of it, unless there is none.
    pub(super) fn of(parts: &Parts, body: Body) -> (Body, Option<Arc<Read>>) {
        if body.is_end_stream() {
            return (body, None);
        }
        let read = Arc::<Read>::default();
        // Parts of files are sealed, and their records name them by their hash already.
        let is_part =
            parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
        let hash = (!is_part).then(Sha256::new);
        let watched = Watched { body: body.into_data_stream(), hash, read: Arc::clone(&read) };
        (Body::from_stream(watched), Some(read))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.digest.get().copied()
    }
}

/// A body on its way to its route.
struct Watched {
    body: BodyDataStream,
    hash: Option<Sha256>,
    read: Arc<Read>,
}

impl Stream for Watched {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let piece = ready!(Pin::new(&mut this.body).poll_next(cx));
        match &piece {
            Some(Ok(piece)) => {
                this.read.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                if let Some(hash) = &mut this.hash {
                    hash.update(piece);
                }
            }
            Some(Err(_)) => this.hash = None,
            None => {
                if let Some(hash) = this.hash.take() {
                    let _ = this.read.digest.set(hash.finalize().into());
                }
            }
        }
        Poll::Ready(piece)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        Stream::size_hint(&self.body)
    }
}

/// An answer with the size of its body, if that is known, and its digest, if it is short and to be had.
pub(super) async fn answered(
    response: Response,
    with_digest: bool,
) -> (Response, Option<u64>, Option<[u8; 32]>) {
    let size = response.body().size_hint().exact();
    let size = size.or_else(|| {
        let length = response.headers().get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    });
    let is_short =
        response.body().size_hint().exact().is_some_and(|size| size > 0 && size <= MAX_JSON as u64);
    if !with_digest || !is_short {
        return (response, size, None);
    }
    let (head, body) = response.into_parts();
    match axum::body::to_bytes(body, MAX_JSON).await {
        Ok(body) => {
            let digest = Sha256::digest(&body).into();
            (Response::from_parts(head, Body::from(body)), size, Some(digest))
        }
        // What cannot be read ends the connection, as it would have.
        Err(error) => (Response::from_parts(head, broken(error)), size, None),
    }
}

fn broken(error: axum::Error) -> Body {
    Body::from_stream(futures::stream::once(async move { Err::<Bytes, _>(error) }))
}
