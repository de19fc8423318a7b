// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Proof key for code exchange (RFC 7636): a stolen code is worth nothing without what only its client knows. `S256` alone;
//! `plain` would hand the proof to whoever reads the request.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What the client announces: the hash of its verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Takes a `code_challenge` of the method `S256`; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        (hash.len() == 32).then(|| Challenge(text.to_owned()))
    }

    /// Whether this is the verifier that was announced (section 4.6).
    pub fn is_of(&self, verifier: &str) -> bool {
        let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
            return false;
        }
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(verifier));
        hash.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_the_one_of_rfc_7636() {
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        for wrong in
            ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]
        {
            assert!(!challenge.is_of(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_hash_is_no_challenge() {
        for wrong in ["", "short", &"A".repeat(42), &"A".repeat(44), &"=".repeat(43), "plain"] {
            assert_eq!(Challenge::parse(wrong), None, "{wrong}");
        }
    }
}
