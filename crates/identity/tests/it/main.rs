// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises, on each engine that can run here.

#![allow(missing_docs, reason = "tests read as claims")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops where its claim does not hold"
)]

mod answered;
mod api_key;
mod at_rest;
#[path = "../../../../tests/harness/authenticator.rs"]
#[allow(dead_code, unreachable_pub, reason = "the end-to-end tests use it too")]
mod authenticator;
mod change;
mod delete;
mod imported;
mod mail;
mod master_key;
mod methods;
mod pairing;
mod passkey;
mod passkey_signup;
mod password;
mod session;
mod signin;
mod signup;
mod world;
