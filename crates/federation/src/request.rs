// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is known of a sign-in between its steps. It travels sealed: with the browser as `state`, and with the client as a ticket.

use custody::StateError;
use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::TenantId;
use subtle::ConstantTimeEq as _;
use url::{Host, Url};
use uuid::Uuid;

use crate::{Federation, FederationError, ProviderId, random};

/// How long somebody has to sign in at their provider, in milliseconds: 15 minutes.
pub const REQUEST_MS: i64 = 15 * 60_000;
/// How long a client has to make an account of what a provider said, in milliseconds.
pub const TICKET_MS: i64 = 15 * 60_000;

/// What somebody comes to a provider for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To sign in, or up.
    SignIn,
    /// To add the provider to the account of this session.
    Link(Uuid),
}

/// Where the browser goes with the provider's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Back {
    /// To the console's page.
    Console,
    /// To a program on the same machine that waits for it (RFC 8252, section 7.3).
    Loopback(String),
}

impl Back {
    /// A place where the answer may go: nothing, which is the console, or `http://` on a loopback address.
    ///
    /// # Errors
    /// [`FederationError::Invalid`].
    pub fn parse(text: Option<&str>) -> Result<Self, FederationError> {
        let Some(text) = text else { return Ok(Back::Console) };
        let is_loopback = |url: &Url| match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        let is_good = |url: &Url| {
            url.scheme() == "http"
                && is_loopback(url)
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        match Url::parse(text) {
            Ok(url) if text.len() <= 200 && is_good(&url) => Ok(Back::Loopback(url.into())),
            _ => Err(FederationError::invalid(
                "redirect",
                "expected http://127.0.0.1:PORT/… or http://[::1]:PORT/…, without a query",
            )),
        }
    }
}

/// A sign-in that was begun, for the client that began it.
#[derive(Debug)]
pub struct Began {
    /// Where the browser goes.
    pub url: String,
    /// What the answer will bring back.
    pub state: String,
}

/// An opened state: what was asked of which provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    tenant: Uuid,
    provider: Uuid,
    /// The issuer at that time: one that was put in its place since does not answer.
    pub(crate) issuer: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    challenge: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Where the browser goes.
    pub back: Back,
    /// Names the exchange, so that it happens once.
    pub exchange: [u8; 16],
    /// When it was begun, in milliseconds since the Unix epoch.
    pub begun_at: i64,
}

impl Asked {
    pub(crate) fn new(
        tenant: TenantId,
        provider: ProviderId,
        issuer: &str,
        challenge: &str,
        purpose: Purpose,
        back: Back,
        begun_at: i64,
    ) -> Result<Self, FederationError> {
        let is_hash = BASE64URL_NOPAD.decode(challenge.as_bytes()).is_ok_and(|hash| hash.len() == 32);
        if !is_hash {
            return Err(FederationError::invalid(
                "challenge",
                "expected SHA-256 of a verifier, as base64url",
            ));
        }
        Ok(Asked {
            tenant: *tenant.uuid(),
            provider: *provider.uuid(),
            issuer: issuer.to_owned(),
            nonce: random::word()?,
            verifier: random::word()?,
            challenge: challenge.to_owned(),
            purpose,
            back,
            exchange: random::bytes()?,
            begun_at,
        })
    }

    /// The tenant that the provider is of, or the platform.
    pub fn tenant(&self) -> TenantId {
        TenantId::from_uuid(self.tenant)
    }

    /// The provider.
    pub fn provider(&self) -> ProviderId {
        ProviderId::from_uuid(self.provider)
    }

    /// Whether this verifier is the one of the client that began.
    ///
    /// # Errors
    /// [`FederationError::Over`] when it is not.
    pub fn require_verifier(&self, verifier: &str) -> Result<(), FederationError> {
        let is_theirs = verifier.len() <= 128
            && bool::from(challenge(verifier).as_bytes().ct_eq(self.challenge.as_bytes()));
        if is_theirs { Ok(()) } else { Err(FederationError::Over) }
    }
}

/// The challenge of a verifier (RFC 7636, section 4.2).
pub(crate) fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref())
}

impl Federation {
    /// Opens the state of a sign-in that was begun here.
    ///
    /// # Errors
    /// [`FederationError::Over`].
    pub fn asked(&self, now_ms: i64, state: &str) -> Result<Asked, FederationError> {
        self.open(STATE, now_ms, state)
    }

    pub(crate) fn seal_state(&self, asked: &Asked) -> Result<String, FederationError> {
        self.seal(STATE, asked.begun_at.saturating_add(REQUEST_MS), asked)
    }

    /// Seals what a client is to bring back to make an account of it.
    ///
    /// # Errors
    /// Only the server's own.
    pub fn seal_ticket<T: Serialize>(&self, now_ms: i64, ticket: &T) -> Result<String, FederationError> {
        self.seal(TICKET, now_ms.saturating_add(TICKET_MS), ticket)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`FederationError::Over`].
    pub fn open_ticket<T: DeserializeOwned>(&self, now_ms: i64, ticket: &str) -> Result<T, FederationError> {
        self.open(TICKET, now_ms, ticket)
    }

    fn seal<T: Serialize>(
        &self,
        purpose: &'static str,
        expires_at: i64,
        what: &T,
    ) -> Result<String, FederationError> {
        let plain = serde_json::to_vec(what).map_err(|_| FederationError::Unreadable("a sign-in"))?;
        Ok(self.states.seal(purpose, expires_at, &plain))
    }

    fn open<T: DeserializeOwned>(
        &self,
        purpose: &'static str,
        now_ms: i64,
        text: &str,
    ) -> Result<T, FederationError> {
        let opened =
            self.states.open(purpose, now_ms, text).map_err(|_: StateError| FederationError::Over)?;
        serde_json::from_slice(&opened).map_err(|_| FederationError::Over)
    }
}

const STATE: &str = "federation/state";
const TICKET: &str = "federation/ticket";

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(challenge: &str) -> Result<Asked, FederationError> {
        let (tenant, provider) = (TenantId::customer(), ProviderId::random());
        Asked::new(tenant, provider, "https://id.example", challenge, Purpose::SignIn, Back::Console, 0)
    }

    #[test]
    fn only_the_client_that_began_can_finish() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        // RFC 7636, appendix B.
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let begun = asked(&challenge(verifier)).unwrap();
        assert!(begun.require_verifier(verifier).is_ok());
        for other in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", &verifier[1..], &"a".repeat(200)] {
            assert!(begun.require_verifier(other).is_err(), "{other}");
        }
        assert!(asked("").is_err() && asked(verifier).is_ok() && asked(&verifier[1..]).is_err());
    }

    #[test]
    fn an_answer_goes_to_the_console_or_to_this_machine() {
        assert_eq!(Back::parse(None).unwrap(), Back::Console);
        for good in ["http://127.0.0.1:4000/cb", "http://[::1]:4000/"] {
            assert!(Back::parse(Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "https://127.0.0.1/",
            "http://localhost:1/",
            "http://evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://u@127.0.0.1/",
            "http://127.0.0.1/?a=b",
            "http://127.0.0.1/#a",
            "javascript:alert(1)",
            "",
            "//127.0.0.1/",
            "http://10.0.0.1/",
        ] {
            assert!(Back::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
