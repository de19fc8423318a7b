// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ledger as its callers see it: against definitions, published vectors and attackers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test sets up is there, or the test fails"
)]

mod checkpoint;
mod database;
mod decoders;
mod note;
mod proof;
mod record;
mod reference;
mod tile;
mod tree;
mod verify;
