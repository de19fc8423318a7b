// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access tokens (RFC 9068), read strictly: compact JWS (RFC 7515, section 7.1) with Ed25519 (RFC 8037) or ES256 (RFC 7518, section
//! 3.4), whichever the key is for, and nothing else.
//!
//! Not by `jsonwebtoken`: its cryptography is chosen once for a process, which is for the service to do and not for a layer in it.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// The algorithms that issuers sign with: not the one whose key a service shares with them.
const ALGORITHMS: [&str; 2] = ["EdDSA", "ES256"];

/// How far the clocks of issuer and service may differ, in seconds.
pub(crate) const SKEW: i64 = 60;

/// A good access token: what it says. In the request's extensions, behind the layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// For whom it speaks: `acc_…` or `sva_…`.
    pub subject: String,
    /// The account, when it speaks for one.
    pub user: Option<String>,
    /// The tenant that it is good in.
    pub tenant: String,
    /// The client that it was issued to.
    pub client: String,
    /// The agent that acts for the subject.
    pub agent: Option<String>,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// From when it is good no longer, in Unix seconds.
    pub expires_at: i64,
}

/// Why a request is refused. The codes are those of Bailiwick's own routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no bearer token.
    #[error("show an access token")]
    NotSignedIn,
    /// What is shown is no token.
    #[error("the access token cannot be read")]
    Malformed,
    /// It is not signed by the issuer, with the algorithm that the issuer uses.
    #[error("the access token is not the issuer's")]
    Untrusted,
    /// Its time is over, or has not come.
    #[error("the access token has expired")]
    Expired,
    /// It is for another service, or of another tenant's client.
    #[error("the access token is for another audience")]
    WrongAudience,
    /// What it hangs on has ended.
    #[error("the access token was revoked")]
    Revoked,
    /// It is bound to a key of its client's (RFC 9449), of which a bearer shows no proof.
    #[error("the access token is bound to a key, which is not asked for here: get one that is not")]
    Bound,
    /// It does not have the scope that is needed here.
    #[error("the access token does not have the scope that this needs")]
    InsufficientScope,
    /// What has ended meanwhile is not known.
    #[error("whether access tokens still hold is not known at the moment")]
    Stale,
}

impl Refused {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Refused::NotSignedIn => "not_signed_in",
            Refused::Malformed => "token_malformed",
            Refused::Untrusted => "token_untrusted",
            Refused::Expired => "token_expired",
            Refused::WrongAudience => "token_wrong_audience",
            Refused::Revoked => "token_revoked",
            Refused::Bound => "invalid_dpop_proof",
            Refused::InsufficientScope => "insufficient_scope",
            Refused::Stale => "unavailable",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> http::StatusCode {
        match self {
            Refused::InsufficientScope => http::StatusCode::FORBIDDEN,
            Refused::Stale => http::StatusCode::SERVICE_UNAVAILABLE,
            _ => http::StatusCode::UNAUTHORIZED,
        }
    }
}

/// The issuer's public keys, by their ids.
pub(crate) type Keys = HashMap<String, Key>;

/// A public key, which is for one algorithm.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// The point, compressed (RFC 8032, section 5.1.5).
    Ed25519([u8; 32]),
    /// The point, uncompressed (SEC 1, section 2.3.3).
    P256([u8; 65]),
}

impl Key {
    /// A key of a key set (RFC 7517), if it is of a kind that signs tokens here.
    pub(crate) fn of(kty: &str, crv: &str, x: &str, y: &str) -> Option<Self> {
        let number = |text: &str| <[u8; 32]>::try_from(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok();
        match (kty, crv) {
            ("OKP", "Ed25519") => Some(Key::Ed25519(number(x)?)),
            ("EC", "P-256") => {
                let point = [&[4][..], &number(x)?, &number(y)?].concat();
                Some(Key::P256(point.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// What it verifies for a header that names this algorithm.
    fn for_algorithm(&self, alg: &str) -> Option<UnparsedPublicKey<&[u8]>> {
        let (algorithm, key): (&'static dyn VerificationAlgorithm, &[u8]) = match (self, alg) {
            (Key::Ed25519(key), "EdDSA") => (&ED25519, key),
            (Key::P256(key), "ES256") => (&ECDSA_P256_SHA256_FIXED, key),
            _ => return None,
        };
        Some(UnparsedPublicKey::new(algorithm, key))
    }
}

/// The claims that count.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) client_id: String,
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    pub(crate) tenant_id: String,
    #[serde(default)]
    pub(crate) agent_id: Option<String>,
    #[serde(default)]
    pub(crate) grant_id: Option<String>,
    pub(crate) scope: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    /// The key that it is bound to (RFC 7800).
    #[serde(default)]
    cnf: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    /// Extensions that must be understood (RFC 7515, section 4.1.11): none are.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A token that is signed by one of the keys; or the id of the key that is not among them.
pub(crate) enum Opened {
    Signed(Box<Claims>),
    UnknownKey,
}

/// Reads a token and checks its signature.
pub(crate) fn open(token: &str, keys: &Keys) -> Result<Opened, Refused> {
    if token.len() > LONGEST {
        return Err(Refused::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
    let header: Header = part(header)?;
    if !ALGORITHMS.contains(&header.alg.as_str()) || header.typ != "at+jwt" || header.crit.is_some() {
        return Err(Refused::Untrusted);
    }
    let Some(key) = keys.get(&header.kid) else { return Ok(Opened::UnknownKey) };
    let key = key.for_algorithm(&header.alg).ok_or(Refused::Untrusted)?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| Refused::Malformed)?;
    key.verify(signed.as_bytes(), &signature).map_err(|_| Refused::Untrusted)?;
    part(payload).map(Box::new).map(Opened::Signed)
}

/// Whose tokens are taken.
pub(crate) struct Taken<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    /// The tenant of this service. An audience is what a client's tenant says it is: another one can say the same.
    pub(crate) tenant: &'a str,
}

/// Checks what a signed token says against who asks and when, in Unix seconds.
pub(crate) fn check(claims: &Claims, taken: &Taken<'_>, now: i64) -> Result<(), Refused> {
    if claims.iss != taken.issuer {
        return Err(Refused::Untrusted);
    }
    if claims.aud != taken.audience || claims.tenant_id != taken.tenant {
        return Err(Refused::WrongAudience);
    }
    if now >= claims.exp || now.saturating_add(SKEW) < claims.iat {
        return Err(Refused::Expired);
    }
    if claims.cnf.is_some() {
        return Err(Refused::Bound);
    }
    Ok(())
}

impl From<Claims> for Token {
    fn from(claims: Claims) -> Self {
        Token {
            subject: claims.sub,
            user: claims.user_id,
            tenant: claims.tenant_id,
            client: claims.client_id,
            agent: claims.agent_id,
            scopes: claims.scope.split_ascii_whitespace().map(str::to_owned).collect(),
            expires_at: claims.exp,
        }
    }
}

fn part<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refused> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Refused::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refused::Malformed)
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn key() -> (Ed25519KeyPair, Keys) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (pair, HashMap::from([("k1".to_owned(), Key::Ed25519(public))]))
    }

    #[test]
    fn a_key_verifies_by_its_own_algorithm() {
        use ring::rand::SystemRandom;
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let key = Key::of("EC", "P-256", &encode(x), &encode(y)).unwrap();
        let (ed25519, mut keys) = self::key();
        keys.insert("k2".to_owned(), key);
        let token = |alg: &str, kid: &str| {
            let header = json!({ "alg": alg, "typ": "at+jwt", "kid": kid }).to_string();
            let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims().to_string().as_bytes()));
            let signature = pair.sign(&random, signed.as_bytes()).unwrap();
            format!("{signed}.{}", encode(signature.as_ref()))
        };
        assert!(matches!(open(&token("ES256", "k2"), &keys), Ok(Opened::Signed(_))));
        for (alg, kid) in [("ES256", "k1"), ("EdDSA", "k2"), ("EdDSA", "k1"), ("HS256", "k2")] {
            assert_eq!(open(&token(alg, kid), &keys).err(), Some(Refused::Untrusted), "{alg} {kid}");
        }
        let crossed = signed(&ed25519, &json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k2" }), &claims());
        assert_eq!(open(&crossed, &keys).err(), Some(Refused::Untrusted));
        for (kty, crv, x, y) in [("EC", "P-384", x, y), ("RSA", "", x, y), ("EC", "P-256", x, &[][..])] {
            assert!(Key::of(kty, crv, &encode(x), &encode(y)).is_none(), "{kty} {crv}");
        }
    }

    pub(crate) fn signed(pair: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", BASE64URL_NOPAD.encode(pair.sign(signed.as_bytes()).as_ref()))
    }

    pub(crate) fn claims() -> Value {
        json!({
            "iss": "https://id.example", "aud": "https://api.example", "sub": "acc_1", "client_id": "cli_1.2",
            "tenant_id": "ten_2", "grant_id": "gnt_3", "scope": "device.read openid", "iat": 1_000, "exp": 2_000,
        })
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" })
    }

    fn refusal(token: &str) -> Option<Refused> {
        open(token, &key().1).err()
    }

    #[test]
    fn a_token_of_the_issuer_is_read() {
        let (pair, keys) = key();
        let Ok(Opened::Signed(claims)) = open(&signed(&pair, &header(), &claims()), &keys) else {
            panic!("it is good")
        };
        let check =
            |issuer, audience, now| super::check(&claims, &Taken { issuer, audience, tenant: "ten_2" }, now);
        assert_eq!(check("https://id.example", "https://api.example", 1_500), Ok(()));
        assert_eq!(check("https://evil.example", "https://api.example", 1_500), Err(Refused::Untrusted));
        assert_eq!(check("https://id.example", "https://other.example", 1_500), Err(Refused::WrongAudience));
        let elsewhere =
            Taken { issuer: "https://id.example", audience: "https://api.example", tenant: "ten_3" };
        assert_eq!(super::check(&claims, &elsewhere, 1_500), Err(Refused::WrongAudience), "another tenant's");
        assert_eq!(check("https://id.example", "https://api.example", 2_000), Err(Refused::Expired));
        assert_eq!(check("https://id.example", "https://api.example", 900), Err(Refused::Expired));
        assert_eq!(Token::from(*claims).scopes, ["device.read", "openid"]);
    }

    #[test]
    fn a_token_that_is_bound_to_a_key_is_nothing_to_a_bearer() {
        let (pair, keys) = key();
        let mut bound = claims();
        bound["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
        let Ok(Opened::Signed(claims)) = open(&signed(&pair, &header(), &bound), &keys) else {
            panic!("it is signed")
        };
        let taken = Taken { issuer: "https://id.example", audience: "https://api.example", tenant: "ten_2" };
        let checked = check(&claims, &taken, 1_500);
        assert_eq!(checked, Err(Refused::Bound));
    }

    #[test]
    fn nothing_else_passes_for_one() {
        let (pair, _) = key();
        for (field, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("RS256")),
            ("typ", json!("JWT")),
            ("crit", json!(["b64"])),
        ] {
            let mut header = header();
            header[field] = value;
            assert_eq!(refusal(&signed(&pair, &header, &claims())), Some(Refused::Untrusted), "{header}");
        }
        let good = signed(&pair, &header(), &claims());
        let (signed_part, signature) = good.rsplit_once('.').unwrap();
        let (head, _) = signed_part.split_once('.').unwrap();
        let mut other = claims();
        other["sub"] = json!("acc_2");
        let payload = BASE64URL_NOPAD.encode(other.to_string().as_bytes());
        assert_eq!(refusal(&format!("{head}.{payload}.{signature}")), Some(Refused::Untrusted));
        assert_eq!(refusal(&format!("{signed_part}.")), Some(Refused::Untrusted));
        for bad in ["", ".", "..", "a.b.c", &format!("{good}="), &"a".repeat(LONGEST + 1)] {
            assert_eq!(refusal(bad), Some(Refused::Malformed), "{bad}");
        }
        let stranger = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        assert_eq!(refusal(&signed(&stranger, &header(), &claims())), Some(Refused::Untrusted));
    }
}
