// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client's own key, and what it signs.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(super) enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Key {
    pub(super) fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Key::Ed25519(Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a key"))
    }

    pub(super) fn p256() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pair = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        Key::P256(EcdsaKeyPair::from_pkcs8(kind, pair.as_ref(), &random).expect("a key"))
    }

    /// Its public half.
    pub(super) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match self {
            Key::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()), "kid": "ed" })
            }
            Key::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]), "kid": "p" })
            }
        }
    }

    /// What proves a client by these claims (RFC 7523).
    pub(super) fn assertion(&self, claims: &Value) -> String {
        let kid = match self {
            Key::Ed25519(_) => "ed",
            Key::P256(_) => "p",
        };
        self.sign(json!({ "alg": self.algorithm(), "kid": kid }), claims)
    }

    /// What proves the key itself by these claims (RFC 9449).
    pub(super) fn proof(&self, claims: &Value) -> String {
        self.sign(json!({ "typ": "dpop+jwt", "alg": self.algorithm(), "jwk": self.jwk() }), claims)
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Key::Ed25519(_) => "EdDSA",
            Key::P256(_) => "ES256",
        }
    }

    fn sign(&self, header: Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = match self {
            Key::Ed25519(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Key::P256(pair) => {
                pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature").as_ref().to_vec()
            }
        };
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}
