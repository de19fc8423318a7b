// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tokens that are good only in the hands of whoever has a key: demonstrating proof of possession (DPoP, RFC 9449).
//!
//! With each request the client signs what it does, when, and with which token. Whoever takes the token alone can do nothing with
//! it; whoever takes the proof as well can repeat one request, for a minute, at a server that has not seen it.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::assertion::{ClientKey, Used};
use super::secret::same;

/// The key that a token is bound to, by its thumbprint (RFC 7638).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofKey([u8; 32]);

/// What a token is bound to (RFC 7800 and RFC 9449, section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The thumbprint of the key, in base64url.
    pub jkt: String,
}

/// The request that a proof has to be for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its address; query and fragment are not looked at.
    pub uri: &'a str,
    /// The access token that it shows; nothing where tokens are issued.
    pub token: Option<&'a str>,
}

/// A proof that is good: whose, and to be used once.
#[derive(Clone, Copy, Debug)]
pub struct Proven {
    /// The key that signed.
    pub key: ProofKey,
    /// To be used up, so that it is not repeated.
    pub used: Used,
}

/// Why a proof is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No JWT of this kind, or with a key that is not for it.
    #[error(
        "the DPoP proof is malformed: a JWT of type dpop+jwt, signed by EdDSA or ES256 with the key in its header"
    )]
    Malformed,
    /// The signature is another key's.
    #[error("the signature of the DPoP proof is wrong")]
    Signature,
    /// It was made for another request.
    #[error("the DPoP proof is for another request: htm and htu are not this method and address")]
    AnotherRequest,
    /// It was made for another token.
    #[error("the DPoP proof is for another access token: ath is not its hash")]
    AnotherToken,
    /// It was made too long ago, or by a clock that is ahead.
    #[error("the DPoP proof was not made now: iat is more than a minute away")]
    NotNow,
}

/// Claims of a proof (RFC 9449, section 4.2).
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    #[serde(default)]
    ath: Option<String>,
}

#[derive(Deserialize)]
struct ProofHeader {
    typ: String,
    jwk: serde_json::Value,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl ProofKey {
    /// Reads a thumbprint.
    pub fn parse(text: &str) -> Option<Self> {
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(ProofKey)
    }

    /// What a token says that is bound to it.
    pub fn confirmation(&self) -> Confirmation {
        Confirmation { jkt: BASE64URL_NOPAD.encode(&self.0) }
    }

    /// The bytes of the thumbprint.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the bytes of a thumbprint.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        ProofKey(bytes)
    }

    /// Whether a token that says this is bound to this key.
    pub fn is_of(&self, confirmation: &Confirmation) -> bool {
        ProofKey::parse(&confirmation.jkt).is_some_and(|other| same(&other.0, &self.0))
    }
}

impl Proven {
    /// What a `DPoP` header proves at `now` (Unix milliseconds): RFC 9449, section 4.3, but for its being used once.
    ///
    /// # Errors
    /// The reason. It tells a thief nothing that they do not know.
    pub fn by(proof: &str, asked: &Asked<'_>, now: i64) -> Result<Self, ProofError> {
        if proof.len() > LONGEST {
            return Err(ProofError::Malformed);
        }
        let header = proof.split('.').next().and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
        let header: ProofHeader =
            header.and_then(|header| serde_json::from_slice(&header).ok()).ok_or(ProofError::Malformed)?;
        if header.typ != TYPE || header.crit.is_some() || ClientKey::is_private(&header.jwk) {
            return Err(ProofError::Malformed);
        }
        let key = ClientKey::parse(header.jwk).ok_or(ProofError::Malformed)?;
        let claims: Claims = key.open(proof).ok_or(ProofError::Signature)?;
        if claims.jti.is_empty() || claims.jti.len() > LONGEST_ID {
            return Err(ProofError::Malformed);
        }
        let is_for_it = claims.htm == asked.method
            && address(&claims.htu).is_some_and(|found| Some(found) == address(asked.uri));
        if !is_for_it {
            return Err(ProofError::AnotherRequest);
        }
        if let Some(token) = asked.token {
            let hash = BASE64URL_NOPAD.encode(&Sha256::digest(token));
            if !claims.ath.is_some_and(|found| same(found.as_bytes(), hash.as_bytes())) {
                return Err(ProofError::AnotherToken);
            }
        }
        let now = now.div_euclid(1_000);
        if claims.iat > now.saturating_add(WINDOW) || claims.iat < now.saturating_sub(WINDOW) {
            return Err(ProofError::NotNow);
        }
        let thumbprint = key.thumbprint();
        let hash = Sha256::new()
            .chain_update(TYPE)
            .chain_update(thumbprint)
            .chain_update(claims.jti.as_bytes())
            .finalize()
            .into();
        let expires_at = claims.iat.saturating_add(WINDOW + 1).saturating_mul(1_000);
        Ok(Proven { key: ProofKey(thumbprint), used: Used { hash, expires_at } })
    }
}

/// An address without query and fragment, in the form that all its spellings have (RFC 3986, sections 6.2.2 and 6.2.3).
fn address(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// The type of proofs.
const TYPE: &str = "dpop+jwt";
/// How far the clock that a proof was made by may be off, either way, in seconds: also how long a proof can be used.
const WINDOW: i64 = 60;
const LONGEST: usize = 4 * 1024;
const LONGEST_ID: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9449, section 4.1, and the thumbprint that section 6.1 gives its key.
    const PROOF: &str = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpD",
        "a0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6",
        "IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUu",
        "Y29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-",
        "FNyJK70nfbV37xRZT3Lg"
    );
    const AT: i64 = 1_562_262_616_000;

    fn asked<'a>(method: &'a str, uri: &'a str, token: Option<&'a str>) -> Asked<'a> {
        Asked { method, uri, token }
    }

    #[test]
    fn the_proof_of_rfc_9449_is_good_for_its_request_and_no_other() {
        crate::ed25519::install();
        let here = asked("POST", "https://server.example.com/token", None);
        let proven = Proven::by(PROOF, &here, AT).unwrap();
        assert_eq!(proven.key.confirmation().jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        for same in [
            "https://SERVER.example.com:443/token",
            "https://server.example.com/token?x=1#y",
            "HTTPS://server.example.com/./token",
        ] {
            Proven::by(PROOF, &asked("POST", same, None), AT).unwrap();
        }
        for (method, uri) in [
            ("GET", "https://server.example.com/token"),
            ("POST", "https://server.example.com/token/"),
            ("POST", "http://server.example.com/token"),
            ("POST", "https://other.example.com/token"),
        ] {
            let error = Proven::by(PROOF, &asked(method, uri, None), AT).unwrap_err();
            assert_eq!(error, ProofError::AnotherRequest, "{method} {uri}");
        }
        for off in [-61_000, 61_000, 3_600_000] {
            assert_eq!(Proven::by(PROOF, &here, AT + off).unwrap_err(), ProofError::NotNow);
        }
        let with_token = asked("POST", "https://server.example.com/token", Some("a.b.c"));
        assert_eq!(Proven::by(PROOF, &with_token, AT).unwrap_err(), ProofError::AnotherToken);
    }

    #[test]
    fn what_is_no_proof_is_refused_before_anything_is_believed() {
        crate::ed25519::install();
        let here = asked("POST", "https://server.example.com/token", None);
        let (message, _) = PROOF.rsplit_once('.').unwrap();
        let zeros = BASE64URL_NOPAD.encode(&[0; 64]);
        let forged = Proven::by(&format!("{message}.{zeros}"), &here, AT).unwrap_err();
        assert_eq!(forged, ProofError::Signature);
        let with_header = |header: serde_json::Value| {
            let rest = PROOF.split_once('.').unwrap().1;
            format!("{}.{rest}", BASE64URL_NOPAD.encode(header.to_string().as_bytes()))
        };
        let key = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let mut private = key.clone();
        private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
        for (header, error) in [
            (serde_json::json!({ "typ": "JWT", "alg": "EdDSA", "jwk": key }), ProofError::Malformed),
            (serde_json::json!({ "typ": TYPE, "alg": "EdDSA" }), ProofError::Malformed),
            (serde_json::json!({ "typ": TYPE, "alg": "EdDSA", "jwk": private }), ProofError::Malformed),
            (
                serde_json::json!({ "typ": TYPE, "alg": "EdDSA", "jwk": key, "crit": ["b64"] }),
                ProofError::Malformed,
            ),
            (
                serde_json::json!({ "typ": TYPE, "alg": "HS256", "jwk": { "kty": "oct", "k": "AA" } }),
                ProofError::Malformed,
            ),
            (serde_json::json!({ "typ": TYPE, "alg": "EdDSA", "jwk": key }), ProofError::Signature),
            (serde_json::json!({ "typ": TYPE, "alg": "ES256", "jwk": key }), ProofError::Signature),
            (serde_json::json!({ "typ": TYPE, "alg": "none", "jwk": key }), ProofError::Signature),
        ] {
            assert_eq!(Proven::by(&with_header(header.clone()), &here, AT).unwrap_err(), error, "{header}");
        }
        for none in ["", ".", "a.b.c", &"A".repeat(LONGEST + 1)] {
            assert_eq!(Proven::by(none, &here, AT).unwrap_err(), ProofError::Malformed);
        }
    }
}
