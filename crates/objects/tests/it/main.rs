// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises, on both engines.

mod collections;
mod files;
mod home;
mod items;
mod sweep;
