// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pairing: a device gets into an account through one that is signed in, and neither the server between them nor
//! anybody who looks on gets anything.
//!
//! Two parties without input or output of their own: [`PairingDevice`], which wants in, and [`PairingApproval`], on the
//! device that is signed in. A server carries their messages, each once.
//!
//! ```text
//! device                                                      approver
//! PairingDevice::start
//!   ── PairingRequest ──▶ server ──────────────────────────▶  PairingApproval::open, with the link
//!   ══ PairingLink, by camera or hand ═════════════════════▶  the request's fingerprint must be the link's
//!                                                             shows who asks; the owner says yes
//!                                                             authorize: makes the code, shows it
//!   ◀── offer(try, pA) ───────────────────────────────────── offer
//!   ◀══ the code, typed by the owner ═════════════════════════
//! answer
//!   ── answer(try, pB, cB) ────────────────────────────────▶ judge: a wrong code costs one of three tries
//!   ◀── delivery(try, cA, sealed bundle) ──────────────────── Confirmed::deliver
//! finish: PairingBundle
//! ```
//!
//! - The **request** says everything of the device that the owner decides by: its one-time key, its name, its
//!   platform, the form. The **fingerprint** in the link covers all of it and never passes through the server, so the
//!   server can swap none of it.
//! - The **code** goes from the approver's screen to the device's keyboard. [SPAKE2](https://www.rfc-editor.org/rfc/rfc9382)
//!   turns it into a key, bound to request, fingerprint and try. Nobody can test codes offline, neither side nor the
//!   server; online there are three tries in a million.
//! - The **bundle** is sealed to the device's key with SPAKE2's key as HPKE's pre-shared key: whoever guessed the code
//!   lacks the private key, and whoever has the private key needs the code. SPAKE2's key has 128 bits, where RFC 9180
//!   asks for 256: what it has to resist here is a guess at the code, not at the key.
//!
//! On a public computer ([`PairingForm::Public`]) both sides show three characters, each typed on the other: so the
//! owner has looked at the very screen that gets in. The bundle then holds the account key alone, which reads, and not
//! the master key.
//!
//! What remains open: an owner who is talked into approving a stranger's device and into reading the code out to the
//! stranger lets the stranger in. The approving side must show who asks, and say so.

mod approver;
mod bundle;
mod device;
mod request;

use zeroize::Zeroizing;

pub use approver::{Confirmed, Judgement, PairingApproval};
pub use bundle::{PairedKey, PairingBundle, PairingGrant};
pub use device::PairingDevice;
pub use request::{PairingFingerprint, PairingForm, PairingId, PairingLink, PairingRequest};

use crate::hybrid::{KeyError, PreSharedKey};
use crate::sealed::OpenError;
use crate::secret::{derive, framed};
use crate::spake2::{Between, CONFIRMATION, SHARE};

/// How many codes may be typed for one request.
pub const TRIES: u8 = 3;

/// Why a pairing does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// Made by a newer Bailiwick.
    #[error("a pairing message of the unknown version {0}")]
    UnknownVersion(u8),
    /// Not a message of this step.
    #[error("the other side's pairing message cannot be read")]
    Malformed,
    /// Not a link that a device shows.
    #[error("this is not a pairing link: it ends in #pair= and what the device shows")]
    NotALink,
    /// What the server shows is not what the link names.
    #[error(
        "what the server says of this device is not what the link says: somebody exchanged it on the way. Do not go on"
    )]
    OtherRequest,
    /// The name or the platform is empty or too long.
    #[error("the name and the platform of a device have 1 to 64 characters each")]
    Description,
    /// What was typed is not a code.
    #[error("the code has six digits")]
    NotACode,
    /// What was typed are not three characters.
    #[error("the other screen shows three letters or digits")]
    NotThreeCharacters,
    /// Three codes were wrong.
    #[error("the code was wrong three times: this request is dead; start again on the device")]
    TriesSpent,
    /// A message of another step, or one that was answered before.
    #[error(
        "the other side's message comes out of turn or a second time: somebody replays it. Start again on the device"
    )]
    OutOfTurn,
    /// The other side does not have the code.
    #[error(
        "the other side does not know the code: it was mistyped, or somebody stands in between. Start again on the device"
    )]
    NotConfirmed,
    /// The bundle does not open.
    #[error("what came with the approval does not open for this device: {0}")]
    Sealed(#[from] OpenError),
}

impl From<KeyError> for PairingError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::UnknownVersion(version) => Self::UnknownVersion(version),
            KeyError::WrongLength | KeyError::Invalid => Self::Malformed,
        }
    }
}

/// What SPAKE2 and the seal are bound to.
struct Binding {
    device: Vec<u8>,
    associated_data: Vec<u8>,
}

impl Binding {
    fn of(request: &PairingRequest, number: u8) -> Self {
        let fingerprint = request.fingerprint();
        let parts: [&[u8]; 3] = [request.id().expose(), fingerprint.as_bytes(), &[number]];
        Self {
            device: framed("pairing/device", &[fingerprint.as_bytes()]),
            associated_data: framed("pairing/exchange", &parts),
        }
    }

    fn between(&self) -> Between<'_> {
        Between { a: APPROVER, b: &self.device, associated_data: &self.associated_data }
    }

    fn psk(&self, key: &[u8; 16]) -> PreSharedKey {
        PreSharedKey::derived(key, &[], "pairing/psk", &[&self.associated_data])
    }
}

/// Whether a message to the device is an offer; anything else is the delivery, or nothing.
pub fn is_offer(message: &[u8]) -> bool {
    opened(message, Some(OFFER)).is_ok()
}

/// What stands for the code in SPAKE2.
fn password(form: PairingForm, typed: &[&str]) -> Zeroizing<[u8; 64]> {
    let mut password = Zeroizing::new([0; 64]);
    let code = Zeroizing::new(typed.concat());
    derive(code.as_bytes(), &[], "pairing/code", &[&[form.byte()]], password.as_mut_slice());
    password
}

/// Version, number of the try, and a body.
fn message(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![VERSION, number];
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn opened(message: &[u8], length: Option<usize>) -> Result<(u8, &[u8]), PairingError> {
    match message {
        [VERSION, number, body @ ..] if length.is_none_or(|length| body.len() == length) => {
            Ok((*number, body))
        }
        [version, ..] if *version != VERSION => Err(PairingError::UnknownVersion(*version)),
        _ => Err(PairingError::Malformed),
    }
}

const VERSION: u8 = 1;
const APPROVER: &[u8] = b"bailiwick/v1/pairing/approver";
const OFFER: usize = SHARE;
const ANSWER: usize = SHARE + CONFIRMATION;
