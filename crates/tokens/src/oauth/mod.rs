// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The OAuth 2.1 authorization server and OpenID Connect provider: how applications of a tenant get tokens.
//!
//! # Words
//! - A **client** is an application of a tenant. It is *public*, or proves itself by a secret or by signed assertions.
//! - A **request** asks somebody for their consent. It is checked, and travels sealed to the page that shows it.
//! - A **consent** is what somebody allows a client, until they take it back.
//! - A **grant** is what a client got by one consent. Its tokens hang on it: ending it ends them.
//! - An **access token** is a signed JWT (RFC 9068) for one resource; a **refresh token** gets the next one, once.
//!
//! # Guarantees
//! - *A code and a refresh token are good once.* One that is shown again ends its grant with every token of it.
//! - *A token is only as good as what it hangs on.* [`Provider::verify`] needs no database; whoever acts on a token looks up its
//!   client, its grant and its subject in [`ClientAddress::tenant`] first, and the session or login method in the home.
//! - *Nothing is asked for beyond what was registered*: redirect URIs letter by letter, grants, scopes, resources.
//! - *What decides is sealed*: clients and grants are not made by whoever can write the database alone.
//! - *Who is nobody writes nothing*: up to a consent, all state travels sealed.

mod as_text;
mod assertion;
mod client;
mod consent;
mod device;
mod dpop;
mod error;
mod grant;
mod identity;
mod logout;
mod pkce;
mod redirect;
mod request;
mod scope;
mod secret;
mod signer;
mod token;

use std::sync::Arc;

use custody::{Custody, StateSealer};

pub use assertion::{ClientKeys, LONGEST_ASSERTION_MS, Used};
pub use client::{
    Authentication, Client, ClientAddress, ClientTerms, GrantType, MAX_CLIENTS, MAX_URIS, NewAuthentication,
    Proof,
};
pub use consent::Consent;
pub use device::{Answered, DEVICE_MS, DeviceCodes, DeviceRequest, INTERVAL_SECONDS, MAX_WAITING};
pub use dpop::{Asked, Confirmation, ProofError, ProofKey, Proven};
pub use error::ProviderError;
pub use grant::{Agent, CODE_MS, CodeTerms, GRANT_MS, Grant, GrantTerms, REFRESH_IDLE_MS, Taken};
pub use identity::Identity;
pub use logout::{Due, LOGOUT_PAUSE_MS, LOGOUT_TRIES, Watched};
pub use pkce::Challenge;
pub use redirect::{RedirectUri, RedirectUriError};
pub use request::{ConsentRequest, LONGEST_WORD, PUSHED_MS, REQUEST_MS};
pub use scope::{ScopeError, ScopeSet};
pub use secret::Shown;
pub use signer::{SharedKey, Signer, TokenAlgorithm};
pub use token::{Actor, Hint, NewToken, Subject, TokenClaims, Verified, is_clients};

use crate::access::Lifetime;
use crate::keys::SigningKeys;

store::id! {
    /// An application of a tenant.
    ClientId = "cli_";
    /// What a client got by one consent.
    GrantId = "gnt_";
}

/// The provider. Its operations take the transaction of the client's tenant; those about devices without a browser, the
/// platform's. None commits.
pub struct Provider {
    custody: Custody,
    signing: Arc<SigningKeys>,
    states: StateSealer,
    issuer: String,
    lifetime: Lifetime,
    identities: identity::Identities,
}

impl Provider {
    /// The provider of this issuer, whose access tokens live so long.
    pub fn new(
        custody: Custody,
        signing: Arc<SigningKeys>,
        states: StateSealer,
        issuer: impl Into<String>,
        lifetime: Lifetime,
    ) -> Self {
        Provider {
            custody,
            signing,
            states,
            issuer: issuer.into(),
            lifetime,
            identities: identity::Identities::default(),
        }
    }

    /// The issuer: the server's own address, and the resource of its own routes.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}
