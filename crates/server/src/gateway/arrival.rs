// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting go of connections that send nothing, or take nothing.
//!
//! HTTP's own time limit for headers begins when it is known which HTTP it is, and that takes bytes. So a connection
//! that does not send the length of HTTP/2's preface in time is closed; a request of HTTP/1 is longer than that. And one
//! that takes not a byte of its answer for a minute is closed too: else a download that nobody reads would never end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::accept::Accept;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long the first bytes may take.
const FIRST_BYTES: Duration = Duration::from_secs(15);

/// How long a client may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(60);

/// The length of HTTP/2's connection preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// Accepts what the inner one accepts, and lets go of who then stays silent.
#[derive(Clone)]
pub(crate) struct Prompt<A>(pub(crate) A);

impl<I, S, A> Accept<I, S> for Prompt<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: Send,
    A::Service: Send,
{
    type Stream = PromptStream<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((PromptStream::new(stream, FIRST_BYTES), service))
        })
    }
}

/// A connection whose first bytes are waited for.
pub(crate) struct PromptStream<T> {
    stream: T,
    first: Option<(Pin<Box<Sleep>>, usize)>,
    stalled_within: Duration,
    /// When a write that waits is given up.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> PromptStream<T> {
    fn new(stream: T, within: Duration) -> Self {
        let first = Some((Box::pin(tokio::time::sleep(within)), 0));
        PromptStream { stream, first, stalled_within: STALLED, stalled: None }
    }

    /// What came of a write; an error when nothing was taken for too long.
    fn progress<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let within = self.stalled_within;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        let Some((deadline, sent)) = &mut this.first else { return read };
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
            let mut server = PromptStream::new(server, FIRST_BYTES);
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
            let mut server = PromptStream::new(server, Duration::from_millis(1));
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
}
