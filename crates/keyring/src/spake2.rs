// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SPAKE2 (RFC 9382): two parties who know the same short code agree on a key; whoever does not know it learns nothing,
//! and has one guess for each exchange.
//!
//! The suite is SPAKE2-P256-SHA256-HKDF-HMAC, byte for byte as in the RFC, whose vectors the tests below reproduce. The
//! curve is RustCrypto's; here is the protocol alone. The `spake2` crate is older than the RFC and computes another
//! transcript, without confirmation.
//!
//! ```text
//! A: pA = x·G + w·M   ──pA──▶   B: pB = y·G + w·N
//!                     ◀──pB──
//! K = x·(pB − w·N) = y·(pA − w·M)
//! Ke ‖ Ka = SHA-256(TT),  TT = A, B, pA, pB, K, w, each after its length
//! KcA ‖ KcB = HKDF(Ka, "ConfirmationKeys" ‖ AAD);  cA = HMAC(KcA, TT),  cB = HMAC(KcB, TT)
//! ```
//!
//! The RFC asks for a slow hash between password and `w`, against who steals a stored one. Nothing is stored here, and a
//! code of a million possibilities would not be saved by one; so `w` comes from HKDF.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use p256::elliptic_curve::bigint::U256;
use p256::elliptic_curve::group::Group;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint};
use p256::{AffinePoint, EncodedPoint, FieldBytes, ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Which of the two parties this is: the RFC calls them A and B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    A,
    B,
}

/// What both parties know of the exchange beside the code.
pub(crate) struct Between<'a> {
    /// A's identity.
    pub(crate) a: &'a [u8],
    /// B's identity.
    pub(crate) b: &'a [u8],
    /// What both must see alike.
    pub(crate) associated_data: &'a [u8],
}

/// One party in the middle of one exchange. Finishing consumes it: one share, one guess.
pub(crate) struct Exchange {
    role: Role,
    secret: Zeroizing<Scalar>,
    password: Zeroizing<Scalar>,
    share: [u8; SHARE],
}

impl Exchange {
    /// Begins. `password` is 64 bytes that stand for the code, alike on both sides.
    pub(crate) fn start(role: Role, password: &[u8; 64], rng: &mut impl CryptoRng) -> Self {
        let mut random = Zeroizing::new([0; 64]);
        rng.fill_bytes(random.as_mut_slice());
        Self::start_with(role, scalar(password), scalar(&random))
    }

    /// What to send to the other party: a point, uncompressed (SEC 1).
    pub(crate) fn share(&self) -> &[u8; SHARE] {
        &self.share
    }

    /// Takes the other party's share. What results is a key that perhaps nobody else has.
    ///
    /// # Errors
    /// When the share is not a point of the curve, or takes out the own share (RFC 9382, section 3.3).
    pub(crate) fn finish(self, theirs: &[u8], between: &Between<'_>) -> Result<Unconfirmed, NotAShare> {
        let point = EncodedPoint::from_bytes(theirs).map_err(|_| NotAShare)?;
        if theirs.len() != SHARE || point.is_compressed() {
            return Err(NotAShare);
        }
        let point = Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&point)).ok_or(NotAShare)?;
        let blind = match self.role {
            Role::A => constant(N)?,
            Role::B => constant(M)?,
        };
        let key = Zeroizing::new((ProjectivePoint::from(point) - blind * *self.password) * *self.secret);
        if bool::from(key.is_identity()) {
            return Err(NotAShare);
        }
        let (from_a, from_b): (&[u8], &[u8]) = match self.role {
            Role::A => (&self.share, theirs),
            Role::B => (theirs, &self.share),
        };
        let transcript = self.transcript(from_a, from_b, &key, between);
        Ok(schedule(self.role, &transcript, between.associated_data))
    }

    fn start_with(role: Role, password: Zeroizing<Scalar>, secret: Zeroizing<Scalar>) -> Self {
        let blind = match role {
            Role::A => constant(M),
            Role::B => constant(N),
        };
        let blind = blind.unwrap_or(ProjectivePoint::IDENTITY);
        let point = Zeroizing::new(ProjectivePoint::GENERATOR * *secret + blind * *password);
        let share = encoded(&point);
        Self { role, secret, password, share: *share }
    }

    fn transcript(
        &self,
        from_a: &[u8],
        from_b: &[u8],
        key: &ProjectivePoint,
        between: &Between<'_>,
    ) -> Zeroizing<Vec<u8>> {
        let key = encoded(key);
        let password = Zeroizing::new(<[u8; 32]>::from(self.password.to_bytes()));
        let parts: [&[u8]; 6] = [between.a, between.b, from_a, from_b, key.as_slice(), password.as_slice()];
        let size = parts.iter().map(|part| 8 + part.len()).sum();
        let mut transcript = Zeroizing::new(Vec::with_capacity(size));
        for part in parts {
            transcript.extend_from_slice(&(part.len() as u64).to_le_bytes());
            transcript.extend_from_slice(part);
        }
        transcript
    }
}

/// A key, until the other party has shown that it has the same.
pub(crate) struct Unconfirmed {
    key: Zeroizing<[u8; 16]>,
    ours: [u8; CONFIRMATION],
    theirs: [u8; CONFIRMATION],
}

impl Unconfirmed {
    /// What shows the other party that this one has the key.
    pub(crate) fn confirmation(&self) -> &[u8; CONFIRMATION] {
        &self.ours
    }

    /// Checks what the other party shows, in constant time; only then is there a key.
    pub(crate) fn confirm(self, theirs: &[u8]) -> Option<Zeroizing<[u8; 16]>> {
        bool::from(self.theirs.as_slice().ct_eq(theirs)).then_some(self.key)
    }
}

/// The other party's share is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAShare;

/// How many bytes a share has.
pub(crate) const SHARE: usize = 65;
/// How many bytes a confirmation has.
pub(crate) const CONFIRMATION: usize = 32;

/// RFC 9382, section 4.
fn schedule(role: Role, transcript: &[u8], associated_data: &[u8]) -> Unconfirmed {
    let hash = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(transcript)));
    let (key, confirmation_key) = hash.split_at(16);
    let mut confirmation_keys = Zeroizing::new([0; 32]);
    let info = [b"ConfirmationKeys".as_slice(), associated_data];
    #[allow(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    Hkdf::<Sha256>::new(None, confirmation_key)
        .expand_multi_info(&info, confirmation_keys.as_mut_slice())
        .expect("a short output");
    let (of_a, of_b) = confirmation_keys.split_at(16);
    let (of_a, of_b) = (mac(of_a, transcript), mac(of_b, transcript));
    let (ours, theirs) = match role {
        Role::A => (of_a, of_b),
        Role::B => (of_b, of_a),
    };
    let mut shared = Zeroizing::new([0; 16]);
    shared.copy_from_slice(key);
    Unconfirmed { key: shared, ours, theirs }
}

fn mac(key: &[u8], transcript: &[u8]) -> [u8; CONFIRMATION] {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(transcript);
    mac.finalize().into_bytes().into()
}

/// 64 bytes as a number, reduced by the order of the group: every scalar is as likely, but for one part in 2²⁵⁶.
fn scalar(bytes: &[u8; 64]) -> Zeroizing<Scalar> {
    let (high, low) = bytes.split_at(32);
    let reduced =
        |half: &[u8]| Zeroizing::new(<Scalar as Reduce<U256>>::reduce_bytes(FieldBytes::from_slice(half)));
    let two_128 = Scalar::from(1_u64 << 32).square().square();
    Zeroizing::new(*reduced(high) * two_128 * two_128 + *reduced(low))
}

fn encoded(point: &ProjectivePoint) -> Zeroizing<[u8; SHARE]> {
    let encoded = point.to_affine().to_encoded_point(false);
    let mut bytes = Zeroizing::new([0; SHARE]);
    // The point at infinity is one byte; it is no share, and no key.
    for (to, from) in bytes.iter_mut().zip(encoded.as_bytes()) {
        *to = *from;
    }
    bytes
}

fn constant(compressed: [u8; 33]) -> Result<ProjectivePoint, NotAShare> {
    let point = EncodedPoint::from_bytes(compressed).map_err(|_| NotAShare)?;
    Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&point))
        .map(ProjectivePoint::from)
        .ok_or(NotAShare)
}

/// RFC 9382, section 6: points whose discrete logarithm nobody knows.
const M: [u8; 33] = [
    0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2, 0x99,
    0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f,
];
const N: [u8; 33] = [
    0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77, 0x07,
    0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49,
];

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER as HEX;
    use serde_json::Value;

    use super::*;
    use crate::SystemRng;

    fn hex(vector: &Value, name: &str) -> Vec<u8> {
        HEX.decode(vector[name].as_str().unwrap().as_bytes()).unwrap()
    }

    fn given(vector: &Value, name: &str) -> Zeroizing<Scalar> {
        let mut wide = [0; 64];
        wide[32..].copy_from_slice(&hex(vector, name));
        scalar(&wide)
    }

    #[test]
    fn spake2_is_that_of_rfc_9382() {
        let vectors: Value =
            serde_json::from_str(include_str!("../tests/vectors/published/spake2.json")).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 4);
        for vector in vectors {
            let identity = |name: &str| vector[name].as_str().unwrap().as_bytes();
            let between = Between { a: identity("A"), b: identity("B"), associated_data: b"" };
            let a = Exchange::start_with(Role::A, given(vector, "w"), given(vector, "x"));
            let b = Exchange::start_with(Role::B, given(vector, "w"), given(vector, "y"));
            let (from_a, from_b) = (*a.share(), *b.share());
            assert_eq!(from_a.as_slice(), hex(vector, "pA"));
            assert_eq!(from_b.as_slice(), hex(vector, "pB"));

            let blind = constant(N).unwrap() * *given(vector, "w");
            let point = EncodedPoint::from_bytes(from_b).unwrap();
            let point = ProjectivePoint::from(AffinePoint::from_encoded_point(&point).unwrap());
            let key = (point - blind) * *given(vector, "x");
            assert_eq!(encoded(&key).as_slice(), hex(vector, "K"));
            let transcript = a.transcript(&from_a, &from_b, &key, &between);
            assert_eq!(Sha256::digest(&transcript).as_slice(), {
                [hex(vector, "Ke"), hex(vector, "Ka")].concat()
            });

            let a = a.finish(&from_b, &between).unwrap();
            let b = b.finish(&from_a, &between).unwrap();
            assert_eq!(a.confirmation().as_slice(), hex(vector, "cA"));
            assert_eq!(b.confirmation().as_slice(), hex(vector, "cB"));
            let confirmations = (*a.confirmation(), *b.confirmation());
            assert_eq!(a.confirm(&confirmations.1).unwrap().as_slice(), hex(vector, "Ke"));
            assert_eq!(b.confirm(&confirmations.0).unwrap().as_slice(), hex(vector, "Ke"));
        }
    }

    #[test]
    fn other_codes_identities_and_data_give_no_key() {
        let exchange = |password: [u8; 64], a: &[u8], data: &[u8]| {
            let rng = &mut SystemRng;
            let ours = Exchange::start(Role::A, &[1; 64], rng);
            let theirs = Exchange::start(Role::B, &password, rng);
            let (from_a, from_b) = (*ours.share(), *theirs.share());
            let ours = ours.finish(&from_b, &Between { a: b"a", b: b"b", associated_data: b"d" }).unwrap();
            let theirs = theirs.finish(&from_a, &Between { a, b: b"b", associated_data: data }).unwrap();
            let shown = *theirs.confirmation();
            ours.confirm(&shown).is_some()
        };
        assert!(exchange([1; 64], b"a", b"d"));
        assert!(!exchange([2; 64], b"a", b"d"));
        assert!(!exchange([1; 64], b"x", b"d"));
        assert!(!exchange([1; 64], b"a", b"x"));
    }

    #[test]
    fn what_is_no_point_or_leaves_no_key_is_refused() {
        let between = Between { a: b"", b: b"", associated_data: b"" };
        let start = || Exchange::start(Role::A, &[1; 64], &mut SystemRng);
        let mut off_the_curve = *start().share();
        off_the_curve[64] ^= 1;
        let compressed = constant(M).unwrap().to_affine().to_encoded_point(true);
        // w·N takes B's blinding out and leaves nothing: whoever guessed the code would choose the key.
        let nothing = encoded(&(constant(N).unwrap() * *scalar(&[1; 64])));
        for share in [&[][..], &[0], &[0; 65], &off_the_curve, compressed.as_bytes(), nothing.as_slice()] {
            assert_eq!(start().finish(share, &between).err(), Some(NotAShare));
        }
    }

    #[test]
    fn what_one_party_says_cannot_be_said_back_to_it() {
        let between = Between { a: b"", b: b"", associated_data: b"" };
        let exchange = Exchange::start(Role::A, &[1; 64], &mut SystemRng);
        let share = *exchange.share();
        let unconfirmed = exchange.finish(&share, &between).unwrap();
        let shown = *unconfirmed.confirmation();
        assert!(unconfirmed.confirm(&shown).is_none());
    }
}
