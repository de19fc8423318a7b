// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The relying party's side of Web Authentication (W3C, Level 3), as far as passkeys need it: [`Registration`] is
//! section 7.1, [`Assertion`] section 7.2.
//!
//! Three take part. The **authenticator** holds the private key and checks the person; the **client** (a browser) tells
//! it which relying party asks, and writes down from which origin; the **relying party** is this server. What a client
//! sends is checked against what was asked: the ceremony, the challenge, the origin, the relying party, that the person
//! was there and verified, and the signature over all of that.
//!
//! What is not asked for: who made the authenticator. Attestation is `none`; a statement that comes all the same is
//! stepped over, for nothing is decided by it. Extensions are the client's business, but for one answer: whether the
//! passkey has a PRF. Its output never comes here.
//!
//! Pure: no database, no clock. Signatures are *ring*'s.

mod authenticator_data;
mod cbor;
mod client_data;
mod public_key;
mod relying_party;
#[cfg(test)]
mod vectors;

pub use public_key::ALGORITHMS;
pub use relying_party::{RelyingParty, RelyingPartyError};

use authenticator_data::AuthenticatorData;
use cbor::Reader;
use client_data::Ceremony;
use public_key::PublicKey;

use crate::service::sha256;

/// What a client sends when it has made a passkey (`AuthenticatorAttestationResponse`).
#[derive(Clone, Debug)]
pub struct Registration {
    /// What the browser was asked, by whom.
    pub client_data_json: Vec<u8>,
    /// The authenticator's answer, with the passkey's id and public key.
    pub attestation_object: Vec<u8>,
}

/// What a client sends to show a passkey (`AuthenticatorAssertionResponse`).
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The passkey's credential id.
    pub credential_id: Vec<u8>,
    /// What the browser was asked, by whom.
    pub client_data_json: Vec<u8>,
    /// The authenticator's answer.
    pub authenticator_data: Vec<u8>,
    /// Its signature over both.
    pub signature: Vec<u8>,
}

/// A passkey, as the relying party knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    /// Its credential id, 1 to 1,023 bytes.
    pub(crate) id: Vec<u8>,
    /// Its public key as a `COSE_Key`.
    pub(crate) public_key: Vec<u8>,
    /// Whether its owner may have copies of it.
    pub(crate) is_backup_eligible: bool,
}

/// What else an authenticator says with each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Its count of signatures; 0 where it does not count.
    pub(crate) sign_count: u32,
    /// Whether there are copies of the passkey now.
    pub(crate) is_backed_up: bool,
}

/// Why a ceremony is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// A part of it cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// It answers the other ceremony.
    #[error(
        "the answer is to another question: a passkey was to be made and one was shown, or the other way round"
    )]
    WrongType,
    /// It answers another challenge.
    #[error("the answer is to another challenge")]
    WrongChallenge,
    /// The page that asked is not this service's.
    #[error("the passkey was used on a page that does not belong to this service")]
    WrongOrigin,
    /// The page stood in another's.
    #[error("the passkey was used on a page inside another page")]
    CrossOrigin,
    /// The passkey is another service's.
    #[error("the passkey is for another service")]
    WrongRelyingParty,
    /// Nobody touched the authenticator.
    #[error("the authenticator did not see anybody")]
    UserNotPresent,
    /// The authenticator did not ask who is there.
    #[error(
        "the authenticator did not verify its user: set a PIN, a fingerprint or another screen lock, and try again"
    )]
    UserNotVerified,
    /// The flags of the backup contradict each other, or what was said before.
    #[error("the authenticator contradicts itself about copies of the passkey")]
    BackupFlags,
    /// The answer holds no new passkey, or one whose id or key is not among those that were asked for.
    #[error("the passkey's key is not of a kind that was asked for")]
    UnsupportedKey,
    /// The passkey that was shown is not the one that was expected.
    #[error("this is another passkey")]
    AnotherCredential,
    /// The signature is not the passkey's.
    #[error("the passkey's signature is wrong")]
    BadSignature,
    /// The count of signatures did not grow: there may be a copy that should not be.
    #[error("the passkey's counter went back: it may have been copied")]
    CounterWentBack,
}

impl Registration {
    /// The passkey that was made, when it was made for this party and challenge.
    ///
    /// # Errors
    /// Says what is not as it was asked for.
    pub(crate) fn verify(
        &self,
        party: &RelyingParty,
        challenge: &[u8; 32],
    ) -> Result<(Credential, Condition, Option<bool>), CeremonyError> {
        client_data::check(&self.client_data_json, Ceremony::Registration, party, challenge)?;
        let unreadable = CeremonyError::Unreadable("attestation_object");
        let data = authenticator_data_of(&self.attestation_object).ok_or(unreadable)?;
        let data = AuthenticatorData::parse(data).ok_or(CeremonyError::UnsupportedKey)?;
        data.check(party)?;
        let made = data.credential.as_ref().ok_or(CeremonyError::UnsupportedKey)?;
        // Section 7.1: "Verify that the credentialId is ≤ 1023 bytes."
        if !(1..=1_023).contains(&made.id.len()) {
            return Err(CeremonyError::UnsupportedKey);
        }
        let credential = Credential {
            id: made.id.to_vec(),
            public_key: made.public_key.to_vec(),
            is_backup_eligible: data.is_backup_eligible(),
        };
        let condition = Condition { sign_count: data.sign_count, is_backed_up: data.is_backed_up() };
        Ok((credential, condition, data.has_prf))
    }
}

impl Assertion {
    /// What the authenticator says, when this passkey answered this challenge for this party. `counted` is the count of
    /// signatures that was last seen.
    ///
    /// # Errors
    /// Says what is not as it was asked for.
    pub(crate) fn verify(
        &self,
        party: &RelyingParty,
        challenge: &[u8; 32],
        credential: &Credential,
        counted: u32,
    ) -> Result<Condition, CeremonyError> {
        if self.credential_id != credential.id {
            return Err(CeremonyError::AnotherCredential);
        }
        client_data::check(&self.client_data_json, Ceremony::Assertion, party, challenge)?;
        let unreadable = CeremonyError::Unreadable("authenticator_data");
        let data = AuthenticatorData::parse(&self.authenticator_data).ok_or(unreadable)?;
        data.check(party)?;
        if data.is_backup_eligible() != credential.is_backup_eligible {
            return Err(CeremonyError::BackupFlags);
        }
        let key = PublicKey::parse(&credential.public_key).ok_or(CeremonyError::UnsupportedKey)?;
        let mut signed = self.authenticator_data.clone();
        signed.extend_from_slice(&sha256(&self.client_data_json));
        if !key.verifies(&signed, &self.signature) {
            return Err(CeremonyError::BadSignature);
        }
        // Section 6.1.1: a count that does not grow is that of a copy, unless nobody counts.
        if (data.sign_count != 0 || counted != 0) && data.sign_count <= counted {
            return Err(CeremonyError::CounterWentBack);
        }
        Ok(Condition { sign_count: data.sign_count, is_backed_up: data.is_backed_up() })
    }
}

/// The authenticator data in an attestation object (section 6.5.4), whatever its statement says.
fn authenticator_data_of(attestation_object: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(attestation_object);
    let mut found = None;
    for _ in 0..reader.map()? {
        if reader.text()? == "authData" {
            if found.replace(reader.bytes()?).is_some() {
                return None;
            }
        } else {
            reader.skip()?;
        }
    }
    reader.rest().is_empty().then_some(found?)
}
