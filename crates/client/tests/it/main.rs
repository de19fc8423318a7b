// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What holds of the client without a server, or with one that says what a test wants.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where it fails")]

mod exports;
mod folders;
mod profiles;
mod requests;
mod scripted;
