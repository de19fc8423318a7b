// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ES256 (RFC 7518, section 3.4) for `jsonwebtoken`, to verify what clients sign with keys of their own. Nothing here signs.

use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

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

/// The length of an uncompressed point.
const POINT: usize = 65;

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use jsonwebtoken::crypto;

    use super::*;

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
