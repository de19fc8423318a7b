// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answers keep a place until their client has taken them.
//!
//! A request's turn ends when its answer is made. The answer is in memory for as long as its client leaves it there, and by HTTP/2
//! a client says itself how much it takes. So an answer has a place among those of its address, and a time
//! ([`Connection`](super::connections::Connection)). Streams are not concerned: they are made as they are taken, downloads have places of
//! their own ([`crate::downloads`]), and so have those who follow changes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};

use super::connections::{Connection, UnderWay, Untaken};
use super::turns::Turn;
use super::{Address, RequestId, problem};
use crate::error::ApiError;
use crate::state::App;

/// What HTTP/1 buffers of a connection in any case, in bytes: an answer that is no longer needs no place, since there is one at a time.
const BUFFERED: usize = 64 * 1024;

/// A place for an answer is for so many bytes; a longer one takes several.
const UNIT: usize = 64 * 1024;

/// How many places there are for each request that is served at the same time: of all answers 2 MiB, as pages of records have.
pub(crate) const UNITS_FOR_EACH: usize = 32;

/// An answer takes no more places than an address has at the least setting of `concurrent_requests`, 8: it would never get them.
const MOST: usize = UNITS_FOR_EACH * 8 / 4;

/// The pieces that HTTP/1 is given of a longer one.
const PIECE: usize = 32 * 1024;

/// Gives an answer its place.
pub(super) async fn taken(
    State(app): State<App>,
    address: Address,
    request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<Arc<Connection>>().map(Arc::clone);
    let Some(under_way) = connection.map(Connection::request) else { return next.run(request).await };
    let id = request.extensions().get::<RequestId>().cloned();
    let is_http2 = request.version() == Version::HTTP_2;
    let (head, body) = next.run(request).await.into_parts();
    let Some(length) = body.size_hint().exact().and_then(|length| usize::try_from(length).ok()) else {
        return Response::from_parts(head, Body::new(Streamed { body, _under_way: under_way }));
    };
    if length <= if is_http2 { 1 } else { BUFFERED } {
        return Response::from_parts(head, body);
    }
    let units = u32::try_from(length.div_ceil(UNIT).min(MOST)).unwrap_or(1);
    let Some(place) = app.answers.at_once(address, units) else {
        // With nothing that would have to be taken.
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")]).into_response();
    };
    match axum::body::to_bytes(body, length).await {
        Ok(rest) => {
            let taking = Taking { rest, is_http2, _untaken: under_way.answered(length), _place: place };
            Response::from_parts(head, Body::new(taking))
        }
        Err(error) => problem::written(ApiError::internal(error).into_response(), id),
    }
}

/// An answer with its place, dropped when all of it was taken.
struct Taking {
    rest: Bytes,
    is_http2: bool,
    _untaken: Untaken,
    _place: Turn,
}

impl Taking {
    /// A piece that is asked for when what was given before is on its way.
    ///
    /// HTTP/2 asks for more once it has passed on one byte, and keeps the rest until the client's window lets it go: its last byte waits
    /// until all before it are gone. HTTP/1 asks when there is room in its buffer: it gets copies, which do not keep the whole.
    fn piece(&mut self) -> Bytes {
        if self.is_http2 {
            return self.rest.split_to((self.rest.len() - 1).max(1));
        }
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        Bytes::copy_from_slice(&piece)
    }
}

impl HttpBody for Taking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(self.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A stream, on a connection that is in use until it ends.
struct Streamed {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
