// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises, on both engines.

mod root_key;
mod rotation;
mod server_secret;
mod subject;
mod tenant;
mod world;
