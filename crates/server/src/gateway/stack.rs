// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nothing of a request stays on the stack of the thread that worked on it.
//!
//! What is on the heap is wiped when it is freed. Secrets are also moved and returned by value, and what a function left on the
//! stack lies there until another goes as deep, which on a quiet server is much later. So each time a request's work pauses or
//! ends, the stack below it is overwritten.

use std::future::poll_fn;
use std::hint::black_box;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

/// How much is overwritten, in bytes: what signing up and in reach, with room to spare. A build with unoptimised routes has frames
/// several times as large, and reaches 468 KiB. A worker's stack has 2 MiB.
const DEPTH: usize = if cfg!(debug_assertions) { 768 * 1024 } else { 192 * 1024 };

/// So often a request pauses that is not sent byte by byte; then each pause would cost more than it took to send.
const OFTEN: u32 = 64;
const SELDOM: u32 = 16;

/// Answers a request, and leaves a clean stack.
pub(super) async fn clean(request: Request, next: Next) -> Response {
    let (mut answer, mut polls) = (Box::pin(next.run(request)), 0_u32);
    poll_fn(|context| {
        let polled = answer.as_mut().poll(context);
        polls = polls.wrapping_add(1);
        if polled.is_ready() || polls < OFTEN || polls.is_multiple_of(SELDOM) {
            overwrite();
        }
        polled
    })
    .await
}

/// Writes over the stack below the caller's frame, where whatever it called before had its own.
#[inline(never)]
fn overwrite() {
    let mut stack = [0_u8; DEPTH];
    black_box(&mut stack);
}
