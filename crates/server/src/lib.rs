// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server: configuration, gateway, routes and workers.
//!
//! A request always travels the same straight way:
//!
//! ```text
//! HTTP -> gateway        id, address, limits, time and size bounds, headers, log line
//!      -> caller         a live session makes a Caller
//!      -> access.enter   a decision makes a transaction, or 403/404
//!      -> a room         one operation on that transaction
//!      -> tx.commit      the change and its record, durable together
//!      -> answer         a type of the protocol, or a Problem
//! ```
//!
//! Routes translate and nothing else: what is true of accounts, items or logs is said in their rooms. Errors become answers in
//! one place ([`error`]); what happened inside is logged and never sent.

mod acme;
mod admin;
mod backup;
mod caller;
pub mod cli;
pub mod config;
mod console;
mod downloads;
mod error;
mod gateway;
mod import;
mod key_directory;
mod listen;
mod logging;
mod metrics;
mod news;
mod output;
mod party;
mod redact;
mod relying_party;
mod revocations;
mod routes;
mod start;
mod state;
mod workers;

pub use routes::openapi;
pub use start::StartError;
