// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may do what, and that nobody gets in without being asked.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod against_the_model;
mod decisions;
mod entering;
mod memo;
mod model;
mod platform_roles;
mod policies;
mod policy_texts;
mod sharing;
mod tenancy;
mod world;
