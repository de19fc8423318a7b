// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ES256 (RFC 7518, section 3.4) for `jsonwebtoken`: to verify what clients sign with keys of their own, and to sign for clients that
//! do not know Ed25519.
//!
//! A signing key of the server is one seed. Its P-256 half is derived from that, so that both are made, published, retired and
//! removed as one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use p256::elliptic_curve::PrimeField as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{NonZeroScalar, ProjectivePoint, Scalar};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The P-256 half of a signing key.
pub(crate) struct Pair {
    /// The point, uncompressed (SEC 1, section 2.3.3).
    pub(crate) public: [u8; POINT],
    /// Scalar and point, as [`signer`] reads them.
    pub(crate) encoding: EncodingKey,
}

impl Pair {
    /// The pair that goes with a seed: the first of its HMACs that is a scalar other than nought, as almost all are.
    pub(crate) fn derived(seed: &[u8; SCALAR]) -> Self {
        let scalar = (0_u8..=u8::MAX).find_map(|number| {
            #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
            let mut mac = Hmac::<Sha256>::new_from_slice(seed).expect("a key");
            mac.update(DERIVED);
            mac.update(&[number]);
            let bytes: Zeroizing<[u8; SCALAR]> = Zeroizing::new(mac.finalize().into_bytes().into());
            let scalar = Option::<Scalar>::from(Scalar::from_repr((*bytes).into()))?;
            Option::<NonZeroScalar>::from(NonZeroScalar::new(scalar))
        });
        #[allow(clippy::expect_used, reason = "each of 256 tries fails once in four thousand million")]
        let scalar = Zeroizing::new(scalar.expect("a scalar"));
        let point = (ProjectivePoint::GENERATOR * **scalar).to_affine().to_encoded_point(false);
        let mut public = [0; POINT];
        public.copy_from_slice(point.as_bytes());
        let mut both = Zeroizing::new([0; SCALAR + POINT]);
        let (first, second) = both.split_at_mut(SCALAR);
        first.copy_from_slice(&scalar.to_repr());
        second.copy_from_slice(&public);
        Pair { public, encoding: EncodingKey::from_ec_der(both.as_slice()) }
    }
}

/// A signer for what [`Pair`] holds.
pub(crate) fn signer(key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let invalid = || new_error(ErrorKind::InvalidEcdsaKey);
    let bytes = key.as_bytes();
    let (scalar, point) = bytes.split_at_checked(SCALAR).ok_or_else(invalid)?;
    let random = SystemRandom::new();
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(kind, scalar, point, &random);
    Ok(Box::new(Es256Signer(pair.map_err(|_| invalid())?, random)))
}

struct Es256Signer(EcdsaKeyPair, SystemRandom);

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        self.0.sign(&self.1, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| Error::new())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// A verifier for a P-256 point, uncompressed (SEC 1, section 2.3.3).
pub(crate) fn verifier(key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let point = key.try_get_as_bytes()?;
    if point.len() != POINT || point.first() != Some(&0x04) {
        return Err(new_error(ErrorKind::InvalidEcdsaKey));
    }
    Ok(Box::new(Es256Verifier(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_vec()))))
}

struct Es256Verifier(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0.verify(message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// What the HMACs are of, with a number behind it.
const DERIVED: &[u8] = b"bailiwick/tokens/es256/1";
/// The length of a scalar, and of a seed.
const SCALAR: usize = 32;
/// The length of an uncompressed point.
const POINT: usize = 65;

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use jsonwebtoken::crypto;

    use super::*;

    #[test]
    fn a_derived_pair_signs_what_its_point_verifies() {
        crate::ed25519::install();
        let (pair, other) = (Pair::derived(&[7; 32]), Pair::derived(&[8; 32]));
        assert_eq!(pair.public, Pair::derived(&[7; 32]).public);
        assert_ne!(pair.public, other.public);
        let signature = crypto::sign(b"a message", &pair.encoding, Algorithm::ES256).unwrap();
        let verifies = |pair: &Pair, message: &[u8]| {
            let key = DecodingKey::from_ec_der(&pair.public);
            crypto::verify(&signature, message, &key, Algorithm::ES256).unwrap()
        };
        assert!(verifies(&pair, b"a message"));
        assert!(!verifies(&other, b"a message") && !verifies(&pair, b"another message"));
        for none in [&b""[..], &[7; 32], &[7; 97]] {
            assert!(crypto::sign(b"m", &EncodingKey::from_ec_der(none), Algorithm::ES256).is_err());
        }
    }

    #[test]
    fn the_signature_of_rfc_7515_verifies_and_no_other() {
        crate::ed25519::install();
        // Appendix A.3.
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let mut point = vec![0x04];
        point.extend(decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"));
        point.extend(decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
        let key = DecodingKey::from_ec_der(&point);
        let message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature =
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(crypto::verify(signature, message, &key, Algorithm::ES256).unwrap());
        assert!(!crypto::verify(signature, b"another message", &key, Algorithm::ES256).unwrap());
        let zeros = BASE64URL_NOPAD.encode(&[0; 64]);
        assert!(!crypto::verify(&zeros, message, &key, Algorithm::ES256).unwrap(), "CVE-2022-21449");
        for other in [&point[1..], &point[..64], &[][..]] {
            assert!(
                crypto::verify(signature, message, &DecodingKey::from_ec_der(other), Algorithm::ES256)
                    .is_err()
            );
        }
    }
}
