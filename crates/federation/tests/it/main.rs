// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises of what it stores, on each engine that can run here.

#![allow(missing_docs, reason = "tests read as claims")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where its claim does not hold"
)]

mod domains;
mod groups;
mod world;
