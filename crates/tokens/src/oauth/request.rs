// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests for somebody's consent, between the client that asks and the person who answers.
//!
//! Nothing is stored meanwhile: the request was checked, and travels sealed in the link to the page that shows it. So whoever
//! asks without being anybody writes nothing, and any server can go on with what another one began. A request that a
//! client pushed (RFC 9126) travels in the same way, as its `request_uri`.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{TenantId, WriteTx};
use uuid::Uuid;

use super::pkce::Challenge;
use super::redirect::with_parameters;
use super::secret::{random, same};
use super::token::spend;
use super::{ClientAddress, ClientId, Provider, ProviderError, ScopeSet};

/// How long somebody may take to answer, in milliseconds.
pub const REQUEST_MS: i64 = 10 * 60_000;
/// How long a pushed request waits for its browser, in milliseconds.
pub const PUSHED_MS: i64 = 60_000;
/// The longest `state` or `nonce`, in bytes.
pub const LONGEST_WORD: usize = 2_048;

/// A request for somebody's consent, checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// What tells it from others: it is answered with a code once, whoever shows its link or its `request_uri` again.
    id: String,
    #[serde(with = "super::as_text")]
    tenant: Uuid,
    #[serde(with = "super::as_text")]
    client: Uuid,
    /// Where the browser is to be sent back to.
    pub redirect_uri: String,
    /// What the client asks for.
    pub scope: ScopeSet,
    /// Whom the tokens are for.
    pub resource: String,
    /// The client's word for its browser, given back unchanged.
    pub state: Option<String>,
    /// The client's word for the ID token.
    pub nonce: Option<String>,
    /// What the code will be bound to.
    pub challenge: Challenge,
    /// Ask again, also for what was allowed before (`prompt=consent`).
    pub ask_again: bool,
    /// Have them prove again who they are (`prompt=login`).
    pub prove_again: bool,
    /// Nobody is to be asked anything (`prompt=none`): what they cannot answer by a session and by what they allowed before is
    /// refused.
    #[serde(default)]
    pub silent: bool,
    /// How long ago they may have proved who they are at the most, in seconds (`max_age`).
    pub max_age: Option<i64>,
    /// The thumbprint of the key that the code will be bound to (`dpop_jkt`, RFC 9449, section 10).
    pub key: Option<String>,
    /// The hash of what the browser that asked keeps in a cookie.
    browser: Option<String>,
}

impl ConsentRequest {
    /// A request of this client.
    #[allow(
        clippy::too_many_arguments,
        reason = "a request has as many parts, and each was checked by itself"
    )]
    pub fn new(
        client: ClientAddress,
        redirect_uri: String,
        scope: ScopeSet,
        resource: String,
        state: Option<String>,
        nonce: Option<String>,
        challenge: Challenge,
    ) -> Self {
        ConsentRequest {
            id: BASE64URL_NOPAD.encode(random::<16>().as_slice()),
            tenant: *client.tenant.uuid(),
            client: *client.client.uuid(),
            redirect_uri,
            scope,
            resource,
            state,
            nonce,
            challenge,
            ask_again: false,
            prove_again: false,
            silent: false,
            max_age: None,
            key: None,
            browser: None,
        }
    }

    /// The client that asks.
    pub fn client(&self) -> ClientAddress {
        ClientAddress { tenant: TenantId::from_uuid(self.tenant), client: ClientId::from_uuid(self.client) }
    }

    /// Binds the request to a browser; returns what that is to keep.
    pub fn bind(&mut self) -> String {
        let secret = BASE64URL_NOPAD.encode(random::<32>().as_slice());
        self.browser = Some(hash(&secret));
        secret
    }

    /// Whether this browser asked.
    pub fn is_of(&self, kept: &str) -> bool {
        self.browser.as_deref().is_some_and(|browser| same(browser.as_bytes(), hash(kept).as_bytes()))
    }

    /// Where the browser goes with these parameters, and with the issuer (RFC 9207) and the client's `state`.
    pub fn answer(&self, issuer: &str, parameters: &[(&str, &str)]) -> Option<String> {
        let mut all = parameters.to_vec();
        if let Some(state) = &self.state {
            all.push(("state", state.as_str()));
        }
        all.push(("iss", issuer));
        with_parameters(&self.redirect_uri, &all)
    }
}

fn hash(secret: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(secret))
}

impl Provider {
    /// Seals a request for the page that shows it.
    pub fn seal_request(&self, now: i64, request: &ConsentRequest) -> Result<String, ProviderError> {
        self.seal(REQUEST, now.saturating_add(REQUEST_MS), request)
    }

    /// Opens a request that the page brings back.
    ///
    /// # Errors
    /// [`ProviderError::Grant`]: it took too long, or is none.
    pub fn open_request(&self, now: i64, text: &str) -> Result<ConsentRequest, ProviderError> {
        self.open(REQUEST, now, text)
    }

    /// Uses a request up, in the transaction that its code comes of.
    ///
    /// # Errors
    /// [`ProviderError::Grant`]: it was answered before.
    pub async fn use_request(&self, tx: &mut WriteTx, request: &ConsentRequest) -> Result<(), ProviderError> {
        let hash = Sha256::new().chain_update(REQUEST).chain_update(&request.id).finalize().into();
        // Longer than any form of it lives.
        let expires_at = tx.now().saturating_add(REQUEST_MS + PUSHED_MS);
        if spend(tx, &hash, expires_at).await? { Ok(()) } else { Err(ProviderError::Grant(OVER)) }
    }

    /// Seals a request that a client pushed: its `request_uri`.
    pub fn push_request(&self, now: i64, request: &ConsentRequest) -> Result<String, ProviderError> {
        let sealed = self.seal(PUSHED, now.saturating_add(PUSHED_MS), request)?;
        Ok(format!("{REQUEST_URI}{sealed}"))
    }

    /// Opens a request that was pushed.
    ///
    /// # Errors
    /// As [`open_request`](Self::open_request).
    pub fn pushed_request(&self, now: i64, uri: &str) -> Result<ConsentRequest, ProviderError> {
        let sealed = uri.strip_prefix(REQUEST_URI).ok_or(ProviderError::Grant(OVER))?;
        self.open(PUSHED, now, sealed)
    }

    fn seal(
        &self,
        purpose: &'static str,
        expires_at: i64,
        request: &ConsentRequest,
    ) -> Result<String, ProviderError> {
        let plain = serde_json::to_vec(request).map_err(|_| ProviderError::Unreadable("a request"))?;
        Ok(self.states.seal(purpose, expires_at, &plain))
    }

    fn open(&self, purpose: &'static str, now: i64, text: &str) -> Result<ConsentRequest, ProviderError> {
        let opened = self.states.open(purpose, now, text).map_err(|_| ProviderError::Grant(OVER))?;
        serde_json::from_slice(&opened).map_err(|_| ProviderError::Grant(OVER))
    }
}

const OVER: &str = "this request is over, or is none: let the application begin again";
const REQUEST: &str = "tokens/consent-request";
const PUSHED: &str = "tokens/pushed-request";
/// How the URI of a pushed request begins (RFC 9126, section 2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";
