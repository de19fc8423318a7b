// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises, on both engines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod bucket;
mod collections;
mod files;
mod generations;
mod granted;
mod home;
mod items;
mod sweep;
mod versions;
