// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The document with the public keys.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The key set that is published (RFC 7517, section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwks {
    /// The keys, the oldest first.
    pub keys: Vec<Jwk>,
}

/// One public key: Ed25519 (RFC 8037, section 2) or P-256 (RFC 7518, section 6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// `OKP` or `EC`.
    pub kty: &'static str,
    /// `Ed25519` or `P-256`.
    pub crv: &'static str,
    /// The public key, or the first coordinate of its point, base64url.
    pub x: String,
    /// The other coordinate of a point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The key's id: its thumbprint.
    pub kid: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub key_use: &'static str,
    /// `EdDSA` or `ES256`.
    pub alg: &'static str,
}

impl Jwk {
    pub(crate) fn ed25519(public: &[u8; 32]) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            x: BASE64URL_NOPAD.encode(public),
            y: None,
            kid: thumbprint(public),
            key_use: "sig",
            alg: SigningAlgorithm::EdDsa.name(),
        }
    }

    /// A point of P-256 by its coordinates.
    pub(crate) fn p256(x: &[u8], y: &[u8]) -> Self {
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = BASE64URL_NOPAD.encode(&Sha256::digest(canonical));
        let alg = SigningAlgorithm::Es256.name();
        Self { kty: "EC", crv: "P-256", x, y: Some(y), kid, key_use: "sig", alg }
    }
}

/// The thumbprint of an Ed25519 key (RFC 7638, section 3, and RFC 8037, appendix A.3).
pub(crate) fn thumbprint(public: &[u8; 32]) -> String {
    let x = BASE64URL_NOPAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64URL_NOPAD.encode(&Sha256::digest(canonical))
}

/// By what a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 7518, section 3.4): for clients whose libraries have nothing newer.
    #[serde(rename = "ES256")]
    Es256,
}

impl SigningAlgorithm {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::EdDsa, Self::Es256];

    /// Its name in a token (RFC 7518, section 3.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// The kind of key that is stored; the other half is derived from it.
pub(crate) const ALGORITHM: &str = SigningAlgorithm::EdDsa.name();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let public = BASE64URL_NOPAD.decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let jwk = Jwk::ed25519(&public.try_into().unwrap());
        assert_eq!(jwk.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(
            serde_json::to_string(&Jwks { keys: vec![jwk] }).unwrap(),
            concat!(
                r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","#,
                r#""kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","use":"sig","alg":"EdDSA"}]}"#
            )
        );
    }
}
