// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a passkey gives beside its signature: a name that only it keeps, and a secret that unlocks.
//!
//! ```text
//! user handle ──HKDF "passkey/lookup"──▶ Lookup          the server finds the account by it
//! PRF(PRF_INPUT) ──────────────────────▶ MethodSecret ──▶ MethodKeyPair    which unlocks
//! ```
//!
//! The handle is drawn for each passkey. The authenticator keeps it and shows it when somebody has unlocked it; the
//! server stores it only under its pepper.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::method::{Lookup, MethodSecret, MethodSecretError};
use crate::secret::REDACTED;

/// What the PRF extension of WebAuthn is evaluated at: `prf.eval.first` when a passkey is made and when it signs in.
pub const PRF_INPUT: &[u8] = b"bailiwick/v1/passkey-prf";

/// The user handle of one passkey: WebAuthn's `user.id`.
#[derive(Clone)]
pub struct UserHandle(Zeroizing<[u8; Self::LEN]>);

impl UserHandle {
    /// How many bytes it has.
    pub const LEN: usize = 16;

    /// Draws a handle for a new passkey.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut handle = Zeroizing::new([0; Self::LEN]);
        rng.fill_bytes(handle.as_mut_slice());
        Self(handle)
    }

    /// Takes what an authenticator showed.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes for the authenticator. Nobody else needs them.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// What the server finds the account by.
    pub fn lookup(&self) -> Lookup {
        Lookup::derived(self.0.as_slice(), &[], "passkey/lookup", &[])
    }
}

impl fmt::Debug for UserHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserHandle({REDACTED})")
    }
}

impl MethodSecret {
    /// The secret of a passkey: what its PRF extension gave for [`PRF_INPUT`].
    ///
    /// # Errors
    /// When that is not 32 bytes, or zeros only: a broken authenticator must not lead to a key that anybody can make.
    pub fn of_passkey(prf_output: &[u8]) -> Result<Self, MethodSecretError> {
        if prf_output.len() == 32 {
            Self::from_bytes(prf_output)
        } else {
            Err(MethodSecretError::WrongLength)
        }
    }
}
