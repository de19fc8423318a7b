// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises, on both engines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod root_key;
mod rotation;
mod server_secret;
mod subject;
mod tenant;
mod world;
