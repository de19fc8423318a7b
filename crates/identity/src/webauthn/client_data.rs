// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the browser says it was asked, and by whom (WebAuthn Level 3, section 5.8.1).

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{CeremonyError, RelyingParty};
use crate::service::same;

/// The two ceremonies. What was signed for one never serves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceremony {
    Registration,
    Assertion,
}

/// Browsers may add members at any time; of these there is one each.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

/// Checks type, challenge and origin (sections 7.1 and 7.2, "Verify that the value of C.…").
pub(super) fn check(
    json: &[u8],
    ceremony: Ceremony,
    party: &RelyingParty,
    challenge: &[u8; 32],
) -> Result<(), CeremonyError> {
    // "UTF-8 decode" drops a byte order mark.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let data: ClientData =
        serde_json::from_slice(json).map_err(|_| CeremonyError::Unreadable("client_data_json"))?;
    let expected = match ceremony {
        Ceremony::Registration => "webauthn.create",
        Ceremony::Assertion => "webauthn.get",
    };
    if data.r#type != expected {
        return Err(CeremonyError::WrongType);
    }
    let shown = BASE64URL_NOPAD.decode(data.challenge.as_bytes()).unwrap_or_default();
    if !same(&shown, challenge) {
        return Err(CeremonyError::WrongChallenge);
    }
    if !party.is_origin(&data.origin) {
        return Err(CeremonyError::WrongOrigin);
    }
    // Nobody frames this server's pages, so whoever does is after something.
    if data.cross_origin || data.top_origin.is_some() {
        return Err(CeremonyError::CrossOrigin);
    }
    Ok(())
}
