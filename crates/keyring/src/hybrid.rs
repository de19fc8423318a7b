// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealing to a public key: HPKE (RFC 9180) with X-Wing (X25519 and ML-KEM-768), HKDF-SHA256 and ChaCha20-Poly1305; in
//! base mode, or with a pre-shared key.
//!
//! ```text
//! version(1) ‖ suite(1) ‖ encapsulated key(1120) ‖ ciphertext ‖ tag(16)
//! ```

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, single_shot_open,
    single_shot_seal_with_rng,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::sealed::{Context, OpenError};
use crate::secret::{REDACTED, framed, secret};

/// A public key that values can be sealed to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PublicKey(<XWing as Kem>::PublicKey);

impl PublicKey {
    pub(crate) const LEN: usize = 1216;

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != Self::LEN {
            return Err(KeyError::WrongLength);
        }
        <XWing as Kem>::PublicKey::from_bytes(bytes).map(Self).map_err(|_| KeyError::Invalid)
    }

    /// Seals `plaintext` for whoever holds the private key, for one place.
    pub(crate) fn seal(&self, plaintext: &[u8], context: &Context, rng: &mut impl CryptoRng) -> Vec<u8> {
        self.seal_in(&OpModeS::Base, plaintext, &context.to_bytes(), rng)
    }

    /// Seals `plaintext` for whoever holds the private key and knows the pre-shared key.
    pub(crate) fn seal_with(
        &self,
        psk: &PreSharedKey,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        self.seal_in(&OpModeS::Psk(psk.bundle()), plaintext, associated_data, rng)
    }

    fn seal_in(
        &self,
        mode: &OpModeS<XWing>,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        #[allow(
            clippy::expect_used,
            reason = "X-Wing encapsulates to every valid key, and one message always fits"
        )]
        let (encapsulated, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            mode,
            &self.0,
            &info(),
            plaintext,
            associated_data,
            rng,
        )
        .expect("a sealed message");
        let mut bytes = Vec::with_capacity(2 + ENCAPSULATED + ciphertext.len());
        bytes.extend_from_slice(&[VERSION, SUITE]);
        bytes.extend_from_slice(&encapsulated.to_bytes());
        bytes.extend_from_slice(&ciphertext);
        bytes
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(X-Wing)")
    }
}

secret!(
    /// The 32 bytes that an X-Wing key pair grows from, which are its private key.
    pub(crate) Seed
);

/// The private key that opens what was sealed to its public key.
#[derive(Clone)]
pub(crate) struct KeyPair {
    seed: Seed,
    public: PublicKey,
}

impl KeyPair {
    pub(crate) fn from_seed(seed: Seed) -> Self {
        let public = PublicKey(XWing::sk_to_pk(&private(&seed)));
        Self { seed, public }
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn open(&self, sealed: &[u8], context: &Context) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.open_in(&OpModeR::Base, sealed, &context.to_bytes())
    }

    /// Opens what was sealed to the public key and with the pre-shared key.
    pub(crate) fn open_with(
        &self,
        psk: &PreSharedKey,
        sealed: &[u8],
        associated_data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.open_in(&OpModeR::Psk(psk.bundle()), sealed, associated_data)
    }

    fn open_in(
        &self,
        mode: &OpModeR<XWing>,
        sealed: &[u8],
        associated_data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (encapsulated, ciphertext) = split(sealed)?;
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| OpenError::WrongKeyOrContext)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            mode,
            &private(&self.seed),
            &encapsulated,
            &info(),
            ciphertext,
            associated_data,
        )
        .map(Zeroizing::new)
        .map_err(|_| OpenError::WrongKeyOrContext)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({REDACTED})")
    }
}

secret!(
    /// A key that both sides have beside the key pair (RFC 9180, section 5.1.2: mode_psk).
    pub(crate) PreSharedKey
);

impl PreSharedKey {
    #[allow(clippy::expect_used, reason = "neither the key nor its name is empty")]
    fn bundle(&self) -> PskBundle<'_> {
        PskBundle::new(self.expose(), PSK_ID).expect("a key with a name")
    }
}

/// Why a public key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Made by a newer Bailiwick.
    #[error("a public key of the unknown version {0}")]
    UnknownVersion(u8),
    /// Too short or too long.
    #[error("a public key of the wrong length")]
    WrongLength,
    /// The bytes are no key of the kind, or one that any signature would fit.
    #[error("the public key is not valid")]
    Invalid,
}

/// Checks the form of a value sealed to a public key, and splits it after its encapsulated key.
pub(crate) fn split(sealed: &[u8]) -> Result<(&[u8], &[u8]), OpenError> {
    let (&version, rest) = sealed.split_first().ok_or(OpenError::Truncated)?;
    if version != VERSION {
        return Err(OpenError::UnknownVersion(version));
    }
    let (&suite, rest) = rest.split_first().ok_or(OpenError::Truncated)?;
    if suite != SUITE {
        return Err(OpenError::UnknownSuite(suite));
    }
    let (encapsulated, ciphertext) = rest.split_at_checked(ENCAPSULATED).ok_or(OpenError::Truncated)?;
    if ciphertext.len() < TAG {
        return Err(OpenError::Truncated);
    }
    Ok((encapsulated, ciphertext))
}

/// How many bytes sealing adds.
pub(crate) const OVERHEAD: usize = 2 + ENCAPSULATED + TAG;

fn private(seed: &Seed) -> <XWing as Kem>::PrivateKey {
    #[allow(clippy::expect_used, reason = "every 32 bytes are an X-Wing private key")]
    <XWing as Kem>::PrivateKey::from_bytes(seed.expose()).expect("32 bytes")
}

fn info() -> Vec<u8> {
    framed("hybrid", &[&[VERSION, SUITE]])
}

const VERSION: u8 = 1;
/// X-Wing, HKDF-SHA256, ChaCha20-Poly1305.
const SUITE: u8 = 1;
const ENCAPSULATED: usize = 1120;
/// Who knows the key knows which it is: each is used once.
const PSK_ID: &[u8] = b"bailiwick/v1/hybrid/psk";
const TAG: usize = 16;
