// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may do what, and that nobody gets in without being asked.

mod decisions;
mod entering;
mod platform_roles;
mod policies;
mod world;
