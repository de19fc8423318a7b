// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A provider's keys (RFC 7517), and whether one of them signed a token (RFC 7515).
//!
//! The algorithms are those of signatures with a public key, by *ring*. A token's own header chooses among them only where it fits
//! the type of the published key: `none` and shared secrets are not among them, and a key of one kind verifies nothing of another.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

use crate::id_token::TokenFault;

/// A key set, as it is published.
#[derive(Deserialize)]
pub(crate) struct Published {
    keys: Vec<serde_json::Value>,
}

/// The keys of it that can verify what a provider signs.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    kid: Option<String>,
    alg: Option<String>,
    public: Public,
}

#[derive(Clone, Debug)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// One key, as it is published. What else stands in it does not matter.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default, rename = "use")]
    used_for: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

/// A token's header (RFC 7515, section 4).
#[derive(Deserialize)]
pub(crate) struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A signed token, taken apart.
pub(crate) struct Signed<'a> {
    header: Header,
    /// What is signed.
    message: &'a [u8],
    signature: Vec<u8>,
    /// The claims, not yet to be believed.
    payload: Vec<u8>,
}

/// What became of a signature.
pub(crate) enum Checked {
    Good,
    Bad,
    /// No published key is the one that the token names.
    UnknownKey,
}

impl Published {
    /// The keys that can verify something, at most [`MOST`].
    pub(crate) fn usable(self) -> KeySet {
        let read = |key| serde_json::from_value::<Jwk>(key).ok()?.read();
        KeySet(self.keys.into_iter().take(MOST).filter_map(read).collect())
    }
}

impl Jwk {
    fn read(self) -> Option<Key> {
        if self.used_for.is_some_and(|used_for| used_for != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| BASE64URL_NOPAD.decode(text.as_ref()?.as_bytes()).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
            if x.len() != length || y.len() != length {
                return None;
            }
            Some([&[0x04], x.as_slice(), y.as_slice()].concat())
        };
        let public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => {
                // Without leading zeros, as *ring* takes numbers.
                let number = |text: &Option<String>| {
                    let bytes = bytes(text)?;
                    let first = bytes.iter().position(|byte| *byte != 0)?;
                    Some(bytes.get(first..)?.to_vec())
                };
                Public::Rsa { n: number(&self.n)?, e: number(&self.e)? }
            }
            ("EC", Some("P-256")) => Public::P256(point(32)?),
            ("EC", Some("P-384")) => Public::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(&self.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Some(Key { kid: self.kid, alg: self.alg, public })
    }
}

impl KeySet {
    /// Whether one of these keys signed the token.
    pub(crate) fn check(&self, token: &Signed<'_>) -> Checked {
        let Header { alg, kid, .. } = &token.header;
        let fits = |key: &&Key| {
            (kid.is_none() || key.kid.is_none() || key.kid == *kid)
                && key.alg.as_ref().is_none_or(|only| only == alg)
                && key.public.takes(alg)
        };
        let mut fitting = self.0.iter().filter(fits).peekable();
        if fitting.peek().is_none() {
            return Checked::UnknownKey;
        }
        match fitting.any(|key| key.public.verify(alg, token.message, &token.signature)) {
            true => Checked::Good,
            false => Checked::Bad,
        }
    }
}

impl Public {
    fn takes(&self, alg: &str) -> bool {
        match self {
            Public::Rsa { .. } => rsa(alg).is_some(),
            Public::P256(_) => alg == "ES256",
            Public::P384(_) => alg == "ES384",
            Public::Ed25519(_) => alg == "EdDSA" || alg == "Ed25519",
        }
    }

    fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Public::Rsa { n, e } => rsa(alg).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Public::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Public::P384(point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            Public::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
        }
    }
}

/// The algorithms of RSA (RFC 7518, sections 3.3 and 3.5), for keys of 2048 bits and more.
fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// Whether a token may be signed so at all.
fn is_accepted(alg: &str) -> bool {
    rsa(alg).is_some() || matches!(alg, "ES256" | "ES384" | "EdDSA" | "Ed25519")
}

impl<'a> Signed<'a> {
    /// Takes a compact token apart (RFC 7515, section 3.1).
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenFault> {
        let malformed = || TokenFault::Malformed;
        if token.len() > LONGEST {
            return Err(malformed());
        }
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        let bytes = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| malformed())?;
        if !is_accepted(&header.alg) {
            return Err(TokenFault::Algorithm);
        }
        // An extension that must be understood is none that is understood here.
        let is_plain = header.typ.as_ref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if header.crit.is_some() || !is_plain {
            return Err(malformed());
        }
        Ok(Signed {
            header,
            message: message.as_bytes(),
            signature: bytes(signature)?,
            payload: bytes(payload)?,
        })
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Keys of a set that are looked at.
const MOST: usize = 64;
/// The longest token, in bytes.
const LONGEST: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(json: serde_json::Value) -> KeySet {
        serde_json::from_value::<Published>(json).unwrap().usable()
    }

    /// RFC 7515, appendix A.2.
    const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    fn rs256_key() -> serde_json::Value {
        serde_json::json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" })
    }

    #[test]
    fn the_signature_of_rfc_7515_verifies_and_no_other() {
        let keys = set(
            serde_json::json!({ "keys": [{ "kty": "oct", "k": "AA" }, rs256_key(), { "kty": "RSA" }, 7] }),
        );
        assert_eq!(keys.0.len(), 1);
        let token = Signed::parse(RS256).unwrap();
        assert!(matches!(keys.check(&token), Checked::Good));
        let (message, signature) = RS256.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let other = format!("{header}.e30.{signature}");
        assert!(matches!(keys.check(&Signed::parse(&other).unwrap()), Checked::Bad));
        assert!(matches!(KeySet::default().check(&token), Checked::UnknownKey));
        // A key that is for something else, or for another algorithm, does not verify.
        for (name, value) in [("use", "enc"), ("alg", "PS256"), ("alg", "RS512")] {
            let mut key = rs256_key();
            key[name] = value.into();
            let keys = set(serde_json::json!({ "keys": [key] }));
            assert!(matches!(keys.check(&token), Checked::UnknownKey), "{name} {value}");
        }
    }

    #[test]
    fn the_elliptic_signature_of_rfc_7515_verifies() {
        // Appendix A.3.
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let key = serde_json::json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let keys = set(serde_json::json!({ "keys": [key] }));
        let signed = Signed::parse(token).unwrap();
        assert!(matches!(keys.check(&signed), Checked::Good));
        let (message, _) = token.rsplit_once('.').unwrap();
        let zeros = format!("{message}.{}", BASE64URL_NOPAD.encode(&[0; 64]));
        assert!(matches!(keys.check(&Signed::parse(&zeros).unwrap()), Checked::Bad), "CVE-2022-21449");
    }

    #[test]
    fn no_token_chooses_a_way_that_needs_no_key_or_a_shared_one() {
        let with = |header: &str| format!("{}.e30.AA", BASE64URL_NOPAD.encode(header.as_bytes()));
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS512","kid":"1"}"#,
            r#"{"alg":"RS1"}"#,
            r#"{"alg":""}"#,
        ] {
            assert!(matches!(Signed::parse(&with(header)), Err(TokenFault::Algorithm)), "{header}");
        }
        for header in [
            r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"typ":"JWT"}"#,
            "[]",
            "",
        ] {
            assert!(matches!(Signed::parse(&with(header)), Err(TokenFault::Malformed)), "{header}");
        }
        for token in ["", ".", "..", "a.b.c", "a.b", &"a".repeat(LONGEST + 1), &format!("{RS256}.")] {
            assert!(Signed::parse(token).is_err());
        }
    }
}
