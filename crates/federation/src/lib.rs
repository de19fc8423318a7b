// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sign-in through other OpenID Connect providers: what they are, what they say of somebody, and whether that holds.
//!
//! # Words
//! - A **provider** is an OpenID Connect provider that a tenant, or the platform, lets people come in by. Its **terms** say how it is
//!   reached, what is asked of it, and what who comes by it gets.
//! - A **domain** is a tenant's once it has proved that: by a TXT record, or by the platform's administrator. Only of addresses in
//!   its own domains is a tenant's provider believed. Who proves it while the tenant's own record is gone, has it from then on.
//! - An **assertion** is what a provider said of somebody, verified. Who it is are the issuer and the subject, never an address.
//!
//! # How somebody comes in
//!
//! ```text
//! client                 server                      provider
//!   | begin (challenge)     |                            |
//!   |---------------------->| discovery                  |
//!   |<-- address and state -|                            |
//!   |------------------- browser: signs in ------------->|
//!   |                       |<-- callback: code, state --|
//!   |<-- browser: the same -|                            |
//!   | code, state, verifier |                            |
//!   |---------------------->| code, PKCE, client secret  |
//!   |                       |--------------------------->|
//!   |<-- session -----------|<-- ID token ---------------|
//! ```
//!
//! # Guarantees
//! - *Nobody finishes what somebody else began.* The state is sealed and names a challenge whose verifier only the client has that
//!   began; the code is worth nothing without it, nor without PKCE's verifier, which never leaves the server.
//! - *An answer is the provider's that was asked.* Each has a callback of its own; the answer's issuer (RFC 9207), the metadata's, the
//!   token's and the one in the terms are the same.
//! - *A token is for us, of now, and of this exchange*: signature by the provider's published keys, audience, times, nonce.
//! - *Nothing is fetched from where it must not be*: HTTPS, no redirects, public addresses, looked at when the connection is made;
//!   bounded in size and time. Networks that may be reached all the same are named by the operator.
//! - *What decides is sealed*: who can write the database but has no root key adds no provider, and moves none.

mod address;
mod dns;
mod domain;
mod error;
mod fetch;
mod id_token;
mod keys;
mod metadata;
mod provider;
mod random;
mod request;
mod schema;
pub mod scim;
mod upstream;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use custody::{Custody, StateSealer};
use store::TenantId;
use tokio::sync::Semaphore;

pub use address::{Reach, is_public};
pub use domain::{Domain, DomainClaim, DomainError, DomainName, MAX_DOMAINS, ProvedBy};
pub use error::FederationError;
pub use id_token::{Assertion, TokenFault};
pub use provider::{Given, MAX_GIVEN, MAX_PROVIDERS, Preset, Provider, Terms};
pub use request::{Asked, Back, Began, Purpose, REQUEST_MS, TICKET_MS};
pub use schema::MIGRATIONS;
pub use upstream::Answer;

use fetch::Fetcher;
use upstream::Remembered;

store::id! {
    /// A provider that people come in by.
    ProviderId = "pvd_";
}

/// The room. Its operations on what is stored take the transaction of the tenant that the provider is of, or the platform's; none
/// commits. Those that ask a provider take no transaction: they wait for others.
pub struct Federation {
    custody: Custody,
    states: StateSealer,
    fetcher: Fetcher,
    dns: Option<SocketAddr>,
    remembered: Mutex<Remembered>,
    /// Turns at asking providers, of all and of each tenant.
    turns: Semaphore,
    turns_of: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Federation {
    /// What may be reached beside public addresses, and which name server is asked for proofs of domains; without one there are
    /// none of that kind.
    pub fn new(custody: Custody, states: StateSealer, reach: Reach, dns: Option<SocketAddr>) -> Self {
        let (fetcher, remembered, turns) = (Fetcher::new(reach), Mutex::default(), Semaphore::new(TURNS));
        Federation { custody, states, fetcher, dns, remembered, turns, turns_of: Mutex::default() }
    }
}

/// How many providers are asked at the same time, and of one tenant: one that never answers keeps its own people waiting, and no others.
/// Those beyond are for [`TESTS`], which take none from who signs in.
const TURNS: usize = 64 + TESTS;
const TURNS_OF_ONE: usize = 4 + TESTS_OF_ONE;
/// How many providers may be tried out ([`Federation::try_out`]) at the same time, and of one tenant. Whoever has that done sees to it.
pub const TESTS: usize = 4;
/// See [`TESTS`].
pub const TESTS_OF_ONE: usize = 1;
/// Tenants that are remembered before those who ask nothing are forgotten.
const ASKING: usize = 4_096;
