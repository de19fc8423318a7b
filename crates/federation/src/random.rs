// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets of an exchange, from the operating system's generator.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::FederationError;

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], FederationError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| FederationError::NoRandomness)?;
    Ok(bytes)
}

/// 32 random bytes as base64url: a `nonce`, a `code_verifier` (RFC 7636, section 4.1).
pub(crate) fn word() -> Result<String, FederationError> {
    Ok(BASE64URL_NOPAD.encode(&bytes::<32>()?))
}
