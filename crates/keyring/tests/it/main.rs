// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The behaviour of the keyring, as its callers see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod collections;
mod files;
mod generations;
mod methods;
mod pairing;
mod parsers;
mod passwords;
mod places;
mod published;
mod replay;
mod sealing;
mod tenant_collections;
mod typed;
mod vectors;
mod written_keys;
