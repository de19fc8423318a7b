// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ed25519 (RFC 8032) for `jsonwebtoken`, whose own providers bring RSA and more along. Any other algorithm has
//! neither a signer nor a verifier here, but for [`es256`]: it is refused whatever a caller allows.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};

use crate::es256;

/// Makes `jsonwebtoken` sign and verify by this module: once for the process, before the first key is made.
pub(crate) fn install() {
    // Fails when it is installed already.
    let _ = PROVIDER.install_default();
}

/// A private key as `jsonwebtoken` keeps it: the seed, bare.
pub(crate) fn encoding_key(seed: &[u8; 32]) -> EncodingKey {
    EncodingKey::from_ed_der(seed)
}

/// A public key as `jsonwebtoken` keeps it.
pub(crate) fn decoding_key(public: &[u8; 32]) -> DecodingKey {
    DecodingKey::from_ed_der(public)
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // For key sets of the library's own kind, which nothing here makes or reads.
    key_utils: KeyUtils::new_unimplemented(),
};

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if (*algorithm, key.family()) == (Algorithm::ES256, AlgorithmFamily::Ec) {
        return es256::signer(key);
    }
    require_ed25519(*algorithm, key.family())?;
    let seed = key.as_bytes().try_into().map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
    Ok(Box::new(Ed25519Signer(SigningKey::from_bytes(seed))))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if (*algorithm, key.family()) == (Algorithm::ES256, AlgorithmFamily::Ec) {
        return es256::verifier(key);
    }
    require_ed25519(*algorithm, key.family())?;
    let invalid = || new_error(ErrorKind::InvalidEddsaKey);
    let public = key.try_get_as_bytes()?.try_into().map_err(|_| invalid())?;
    Ok(Box::new(Ed25519Verifier(VerifyingKey::from_bytes(public).map_err(|_| invalid())?)))
}

fn require_ed25519(algorithm: Algorithm, family: AlgorithmFamily) -> Result<()> {
    match (algorithm, family) {
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(()),
        (Algorithm::EdDSA, _) => Err(new_error(ErrorKind::InvalidKeyFormat)),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

struct Ed25519Signer(SigningKey);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Ed25519Verifier(VerifyingKey);

impl Verifier<Vec<u8>> for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let signature = Signature::from_slice(signature).map_err(|_| Error::new())?;
        self.0.verify_strict(message, &signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Ed25519Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use jsonwebtoken::crypto;

    use super::*;

    fn decode(text: &str) -> [u8; 32] {
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_signature_is_the_one_of_rfc_8037() {
        install();
        let seed = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let public = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(SigningKey::from_bytes(&seed).verifying_key().to_bytes(), public);

        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let expected =
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let signature = crypto::sign(message, &encoding_key(&seed), Algorithm::EdDSA).unwrap();
        assert_eq!(signature, expected);
        let key = decoding_key(&public);
        assert!(crypto::verify(expected, message, &key, Algorithm::EdDSA).unwrap());
        assert!(!crypto::verify(expected, b"another message", &key, Algorithm::EdDSA).unwrap());
        assert!(!crypto::verify("AAAA", message, &key, Algorithm::EdDSA).unwrap(), "too short to be one");
    }

    #[test]
    fn no_other_algorithm_signs_or_verifies_whatever_the_key_claims_to_be() {
        install();
        let (secret, public) = ([7; 32], SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
        for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::RS256, Algorithm::PS512] {
            for key in [encoding_key(&secret), EncodingKey::from_secret(&secret)] {
                let error = crypto::sign(b"m", &key, algorithm).unwrap_err();
                assert_eq!(error.kind(), &ErrorKind::UnsupportedAlgorithm);
            }
            for key in [decoding_key(&public), DecodingKey::from_secret(&public)] {
                let error = crypto::verify("", b"m", &key, algorithm).unwrap_err();
                assert_eq!(error.kind(), &ErrorKind::UnsupportedAlgorithm);
            }
        }
        let error = crypto::sign(b"m", &EncodingKey::from_secret(&secret), Algorithm::EdDSA).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidKeyFormat);
        let error =
            crypto::verify("", b"m", &DecodingKey::from_secret(&public), Algorithm::EdDSA).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidKeyFormat);
    }

    #[test]
    fn a_key_of_another_length_is_none() {
        install();
        for length in [0, 31, 33, 48] {
            let bytes = vec![1; length];
            assert!(crypto::sign(b"m", &EncodingKey::from_ed_der(&bytes), Algorithm::EdDSA).is_err());
            assert!(crypto::verify("", b"m", &DecodingKey::from_ed_der(&bytes), Algorithm::EdDSA).is_err());
        }
    }

    #[test]
    fn the_point_of_small_order_signs_nothing() {
        install();
        // The neutral point as key, and as R with s = 0: a lax verifier takes this signature for any message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let signature = BASE64URL_NOPAD.encode(&signature);
        assert!(!crypto::verify(&signature, b"m", &decoding_key(&neutral), Algorithm::EdDSA).unwrap());
    }
}
