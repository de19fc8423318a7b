// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients that prove themselves by a signature: `private_key_jwt` (OpenID Connect Core, section 9, and RFC 7523).

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ProviderError;

/// The public keys of a client (RFC 7517): Ed25519 and P-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientKeys(Vec<ClientKey>);

/// A public key (RFC 7517) of Ed25519 or P-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClientKey {
    kty: String,
    crv: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

/// An assertion that was shown, to be shown only once ([`Provider::use_up`](super::Provider::use_up)).
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub(super) hash: [u8; 32],
    pub(super) expires_at: i64,
}

/// A key set as it is registered. What else stands in it does not matter; a private key does.
#[derive(Deserialize)]
struct Registered {
    keys: Vec<serde_json::Value>,
}

/// The claims of an assertion (RFC 7523, section 3).
#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Used {
    /// What tells it from others.
    pub fn id(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl ClientKeys {
    /// Reads a key set (`{"keys": […]}`).
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] says what is wrong with it.
    pub fn parse(set: &serde_json::Value) -> Result<Self, ProviderError> {
        let invalid = |why: &str| ProviderError::invalid("jwks", why);
        let set: Registered = serde_json::from_value(set.clone())
            .map_err(|_| invalid("expected {\"keys\": […]} (RFC 7517)"))?;
        if set.keys.is_empty() || set.keys.len() > MOST {
            return Err(invalid("1 to 16 keys"));
        }
        let mut keys = Vec::with_capacity(set.keys.len());
        for key in set.keys {
            if ClientKey::is_private(&key) {
                return Err(invalid(
                    "this is a private key: it stays with the client, register the public one",
                ));
            }
            let key = ClientKey::parse(key)
                .ok_or_else(|| invalid("a key is OKP with Ed25519, or EC with P-256"))?;
            keys.push(key);
        }
        Ok(ClientKeys(keys))
    }

    /// The key set, as it is shown.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "keys": self.0 })
    }

    /// Whether this client signed the assertion, for us, now.
    pub(super) fn verify(
        &self,
        assertion: &str,
        client: &str,
        audiences: &[String],
        now_ms: i64,
    ) -> Result<Used, ProviderError> {
        if assertion.len() > LONGEST {
            return Err(ProviderError::Client);
        }
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| ProviderError::Client)?;
        let claims = self
            .0
            .iter()
            .filter(|key| header.kid.is_none() || key.kid.is_none() || key.kid == header.kid)
            .find_map(|key| key.open::<Assertion>(assertion))
            .ok_or(ProviderError::Client)?;
        let now = now_ms.div_euclid(1_000);
        let is_for_us = match &claims.aud {
            Audience::One(audience) => audiences.contains(audience),
            Audience::Several(several) => several.iter().any(|audience| audiences.contains(audience)),
        };
        let is_now = claims.exp > now.saturating_sub(LEEWAY)
            && claims.exp <= now.saturating_add(LIFETIME)
            && claims.nbf.is_none_or(|from| from <= now.saturating_add(LEEWAY))
            && claims.iat.is_none_or(|at| at <= now.saturating_add(LEEWAY));
        if claims.iss != client || claims.sub != client || !is_for_us || !is_now || claims.jti.is_empty() {
            return Err(ProviderError::Client);
        }
        let hash =
            Sha256::new().chain_update(client).chain_update([0_u8]).chain_update(&claims.jti).finalize();
        let expires_at = claims.exp.saturating_add(LEEWAY).saturating_mul(1_000);
        Ok(Used { hash: hash.into(), expires_at })
    }
}

impl ClientKey {
    /// Reads a public key; nothing for one of another kind.
    pub(super) fn parse(key: serde_json::Value) -> Option<Self> {
        let key: ClientKey = serde_json::from_value(key).ok()?;
        key.decoding().map(|_| key)
    }

    /// Whether there is more in it than the public half.
    pub(super) fn is_private(key: &serde_json::Value) -> bool {
        key.get("d").is_some() || key.get("k").is_some()
    }

    /// Its thumbprint (RFC 7638, section 3, and RFC 8037, section 2).
    pub(super) fn thumbprint(&self) -> [u8; 32] {
        let ClientKey { kty, crv, x, y, .. } = self;
        // Each was decoded as base64url, or is one of two known names: none has anything to be escaped.
        let canonical = match y {
            None => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"}}"#),
            Some(y) => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#),
        };
        Sha256::digest(canonical).into()
    }

    fn decoding(&self) -> Option<(Algorithm, DecodingKey)> {
        let coordinate = |text: &str| -> Option<[u8; 32]> {
            BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
        };
        match (self.kty.as_str(), self.crv.as_str(), &self.y) {
            ("OKP", "Ed25519", None) => {
                Some((Algorithm::EdDSA, DecodingKey::from_ed_der(&coordinate(&self.x)?)))
            }
            ("EC", "P-256", Some(y)) => {
                let mut point = Vec::with_capacity(65);
                point.push(0x04);
                point.extend_from_slice(&coordinate(&self.x)?);
                point.extend_from_slice(&coordinate(y)?);
                Some((Algorithm::ES256, DecodingKey::from_ec_der(&point)))
            }
            _ => None,
        }
    }

    /// The claims that this key signed. Their times and places are the caller's to judge.
    pub(super) fn open<C: DeserializeOwned>(&self, assertion: &str) -> Option<C> {
        let (algorithm, key) = self.decoding()?;
        let mut validation = Validation::new(algorithm);
        // Judged by the caller, by the server's clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode(assertion, &key, &validation).ok().map(|opened| opened.claims)
    }
}

const MOST: usize = 16;
const LONGEST: usize = 8 * 1024;
/// What clocks may differ by, in seconds.
const LEEWAY: i64 = 60;
/// The longest that an assertion may be good for, in seconds.
const LIFETIME: i64 = 10 * 60;
/// How long an assertion can be used at the longest, in milliseconds, with what clocks may differ.
pub const LONGEST_ASSERTION_MS: i64 = (LIFETIME + 120) * 1_000;
