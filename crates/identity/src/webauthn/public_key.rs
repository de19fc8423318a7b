// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The public keys of passkeys, as authenticators write them (COSE, RFC 9052 section 7), and what they verify.

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

use super::cbor::Reader;

/// The algorithms that new passkeys are asked for, the best first (IANA, COSE Algorithms). RS256 is what older TPMs have.
pub const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

/// A public key that a passkey signs with.
pub(super) enum PublicKey<'a> {
    /// ECDSA on P-256 with SHA-256: an uncompressed point.
    Es256([u8; 65]),
    /// Ed25519 (RFC 8032).
    EdDsa(&'a [u8]),
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2), of 2,048 to 8,192 bits.
    Rs256 { modulus: &'a [u8], exponent: &'a [u8] },
}

impl<'a> PublicKey<'a> {
    /// Reads a `COSE_Key` and nothing after it.
    pub(super) fn parse(cose: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(cose);
        let key = Self::read(&mut reader)?;
        reader.rest().is_empty().then_some(key)
    }

    /// Reads a `COSE_Key` from where it begins.
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let (mut kind, mut algorithm, mut curve) = (None, None, None);
        // The labels −1 to −3 mean what the kind of key says.
        let (mut first, mut second, mut third) = (None, None, None);
        for _ in 0..reader.map()? {
            let label = reader.integer()?;
            let is_new = match label {
                1 => kind.replace(reader.integer()?).is_none(),
                3 => algorithm.replace(reader.integer()?).is_none(),
                -1 => {
                    let mut number = reader.clone();
                    match number.integer() {
                        Some(value) => {
                            *reader = number;
                            curve.replace(value).is_none()
                        }
                        None => first.replace(reader.bytes()?).is_none(),
                    }
                }
                -2 => second.replace(reader.bytes()?).is_none(),
                -3 => third.replace(reader.bytes()?).is_none(),
                _ => {
                    reader.skip()?;
                    true
                }
            };
            if !is_new {
                return None;
            }
        }
        match (kind?, algorithm?, curve) {
            (EC2, ES256, Some(P256)) => {
                let (x, y): ([u8; 32], [u8; 32]) = (second?.try_into().ok()?, third?.try_into().ok()?);
                let mut point = [UNCOMPRESSED; 65];
                for (to, from) in point.iter_mut().skip(1).zip(x.iter().chain(&y)) {
                    *to = *from;
                }
                Some(Self::Es256(point))
            }
            (OKP, EDDSA, Some(ED25519)) => second.filter(|key| key.len() == 32).map(Self::EdDsa),
            (RSA, RS256, None) => {
                let (modulus, exponent) = (first?, second?);
                let is_sound = (256..=1_024).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
                is_sound.then_some(Self::Rs256 { modulus, exponent })
            }
            _ => None,
        }
    }

    /// Whether the key signed this message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa(key) => UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature),
            Self::Rs256 { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        }
        .is_ok()
    }
}

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;
const OKP: i64 = 1;
const EC2: i64 = 2;
const RSA: i64 = 3;
const P256: i64 = 1;
const ED25519: i64 = 6;
/// SEC 1, section 2.3.3.
const UNCOMPRESSED: u8 = 4;
