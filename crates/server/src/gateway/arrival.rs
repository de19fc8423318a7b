// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting connections in, and letting go of those that send nothing, or take nothing.
//!
//! HTTP's own time limit for headers begins when it is known which HTTP it is, and that takes bytes. So a connection
//! that does not send the length of HTTP/2's preface in time is closed; a request of HTTP/1 is longer than that. And one
//! that takes not a byte of its answer for a minute is closed too: else a download that nobody reads would never end. HTTP/2 has
//! windows of its own, and no end of silence: what is under way is looked at from time to time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::Request;
use axum_server::accept::Accept;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::connections::{Connection, Connections};

/// How long the first bytes may take.
const FIRST_BYTES: Duration = Duration::from_secs(15);

/// How long a client may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(60);

/// How often it is looked at what is under way.
const LOOKED_AT: Duration = Duration::from_secs(30);

/// The length of HTTP/2's connection preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// Accepts what the inner one accepts, if there is a place for it, and lets go of who then stays silent.
#[derive(Clone)]
pub(crate) struct Prompt<A> {
    inner: A,
    connections: Arc<Connections>,
}

impl<A> Prompt<A> {
    pub(crate) fn new(inner: A, connections: &Arc<Connections>) -> Self {
        Prompt { inner, connections: Arc::clone(connections) }
    }
}

impl<S, A> Accept<TcpStream, S> for Prompt<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
    A::Stream: Send,
    A::Service: Send,
{
    type Stream = PromptStream<A::Stream>;
    type Service = OnConnection<A::Service>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let connection = match stream.peer_addr() {
            Ok(peer) => self.connections.admit(peer.ip()),
            Err(error) => return Box::pin(async { Err(error) }),
        };
        let Some(connection) = connection else {
            return Box::pin(async { Err(io::ErrorKind::QuotaExceeded.into()) });
        };
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let stream = PromptStream::new(stream, FIRST_BYTES, Arc::clone(&connection));
            Ok((stream, OnConnection { service, connection }))
        })
    }
}

/// Tells each request which connection it came by.
#[derive(Clone)]
pub(crate) struct OnConnection<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for OnConnection<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(Arc::clone(&self.connection));
        self.service.call(request)
    }
}

/// A connection whose first bytes are waited for.
pub(crate) struct PromptStream<T> {
    stream: T,
    first: Option<(Pin<Box<Sleep>>, usize)>,
    stalled_within: Duration,
    /// When a write that waits is given up.
    stalled: Option<Pin<Box<Sleep>>>,
    connection: Arc<Connection>,
    looked_at: Duration,
    look: Pin<Box<Sleep>>,
}

impl<T> PromptStream<T> {
    fn new(stream: T, within: Duration, connection: Arc<Connection>) -> Self {
        let first = Some((Box::pin(tokio::time::sleep(within)), 0));
        let look = Box::pin(tokio::time::sleep(LOOKED_AT));
        PromptStream {
            stream,
            first,
            stalled_within: STALLED,
            stalled: None,
            connection,
            looked_at: LOOKED_AT,
            look,
        }
    }

    /// What came of a write; an error when nothing was taken for too long.
    fn progress<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let within = self.stalled_within;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        if stalled.as_mut().poll(cx).is_pending() {
            ready!(self.over(cx));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the connection ends for what is, or is not, under way on it.
    fn over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            if self.connection.is_over(Instant::now()) {
                return Poll::Ready(());
            }
            self.look.as_mut().reset(Instant::now() + self.looked_at);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for PromptStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let Some((deadline, sent)) = &mut this.first else {
            if read.is_pending() {
                ready!(this.over(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            return read;
        };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *sent += buf.filled().len().saturating_sub(before);
        if *sent >= PREFACE {
            this.first = None;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for PromptStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.progress(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.progress(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_let_go_and_who_is_slow_is_not() {
        for reads in [false, true] {
            let (mut client, server) = tokio::io::duplex(64);
            let mut server = PromptStream::new(server, FIRST_BYTES, connection());
            server.stalled_within = Duration::from_millis(if reads { 10_000 } else { 20 });
            let reader = tokio::spawn(async move {
                let mut buffer = [0; 16];
                while reads && client.read_exact(&mut buffer).await.is_ok() {
                    tokio::task::yield_now().await;
                }
                client
            });
            let client = (!reads).then_some(reader);
            assert_eq!(server.write_all(&[7; 4_096]).await.is_ok(), reads);
            drop(client);
        }
    }

    #[tokio::test]
    async fn who_stays_silent_is_let_go_and_who_speaks_is_not() {
        for (sent, is_let_go) in
            [("", true), ("P", true), ("PRI * HTTP/2.0", true), ("GET / HTTP/1.1\r\nHost: x\r\n", false)]
        {
            let (mut client, server) = tokio::io::duplex(1024);
            let mut server = PromptStream::new(server, Duration::from_millis(1), connection());
            client.write_all(sent.as_bytes()).await.unwrap();
            let mut buffer = [0; 64];
            if !sent.is_empty() {
                assert_eq!(server.read(&mut buffer).await.unwrap(), sent.len());
            }
            let more = tokio::time::timeout(
                Duration::from_millis(if is_let_go { 10_000 } else { 20 }),
                server.read(&mut buffer),
            )
            .await;
            assert_eq!(matches!(more, Ok(Err(_))), is_let_go, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn who_asks_for_nothing_any_more_is_let_go() {
        let (mut client, server) = tokio::io::duplex(1024);
        let tick = Duration::from_millis(20);
        let connection = Connection::alone(tick);
        let mut server = PromptStream::new(server, FIRST_BYTES, Arc::clone(&connection));
        (server.looked_at, server.look) = (tick, Box::pin(tokio::time::sleep(tick)));
        client.write_all(&[0; PREFACE]).await.unwrap();
        let request = connection.request();
        let mut buffer = [0; PREFACE];
        server.read_exact(&mut buffer).await.unwrap();
        let waited = tokio::time::timeout(5 * tick, server.read(&mut buffer)).await;
        assert!(waited.is_err(), "it is answered still");
        drop(request);
        assert!(server.read(&mut buffer).await.is_err());
    }

    fn connection() -> Arc<Connection> {
        Connection::alone(Duration::from_secs(3_600))
    }
}
