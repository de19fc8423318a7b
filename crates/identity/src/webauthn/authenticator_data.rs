// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the authenticator says about itself and the person before it (WebAuthn Level 3, section 6.1).

use super::cbor::Reader;
use super::public_key::PublicKey;
use super::{CeremonyError, RelyingParty};
use crate::service::same;

/// Authenticator data, taken apart.
pub(super) struct AuthenticatorData<'a> {
    rp_id_hash: [u8; 32],
    flags: u8,
    /// Counts signatures, where the authenticator counts.
    pub(super) sign_count: u32,
    /// There when a passkey was just made.
    pub(super) credential: Option<AttestedCredential<'a>>,
    /// What `hmac-secret` answered when a passkey was made: whether it has a PRF.
    pub(super) has_prf: Option<bool>,
}

/// The passkey that was just made (section 6.5.1).
pub(super) struct AttestedCredential<'a> {
    pub(super) id: &'a [u8],
    /// The key's `COSE_Key`, as it was written.
    pub(super) public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk()?;
        let (&[flags], rest) = rest.split_first_chunk()?;
        let (sign_count, mut rest) = rest.split_first_chunk()?;
        let mut credential = None;
        if flags & ATTESTED != 0 {
            let (_aaguid, after) = rest.split_first_chunk::<16>()?;
            let (length, after) = after.split_first_chunk()?;
            let (id, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let mut reader = Reader::new(after);
            PublicKey::read(&mut reader)?;
            let public_key = after.split_at_checked(after.len().checked_sub(reader.rest().len())?)?.0;
            credential = Some(AttestedCredential { id, public_key });
            rest = reader.rest();
        }
        let mut has_prf = None;
        if flags & EXTENSIONS != 0 {
            let mut reader = Reader::new(rest);
            for _ in 0..reader.map()? {
                if reader.text()? == "hmac-secret" {
                    has_prf = match reader.rest().first()? {
                        0xf5 => Some(true),
                        0xf4 => Some(false),
                        // Of an assertion it is the sealed output, which is the browser's.
                        _ => None,
                    };
                }
                reader.skip()?;
            }
            rest = reader.rest();
        }
        rest.is_empty().then_some(Self {
            rp_id_hash: *rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(*sign_count),
            credential,
            has_prf,
        })
    }

    /// Checks what both ceremonies ask for: the relying party, somebody there, and that the authenticator knew who.
    pub(super) fn check(&self, party: &RelyingParty) -> Result<(), CeremonyError> {
        if !same(&self.rp_id_hash, &party.id_hash()) {
            return Err(CeremonyError::WrongRelyingParty);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(CeremonyError::UserNotPresent);
        }
        if self.flags & USER_VERIFIED == 0 {
            return Err(CeremonyError::UserNotVerified);
        }
        if self.is_backed_up() && !self.is_backup_eligible() {
            return Err(CeremonyError::BackupFlags);
        }
        Ok(())
    }

    /// Whether the passkey may be copied to other devices of its owner; never changes.
    pub(super) fn is_backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    /// Whether it has been.
    pub(super) fn is_backed_up(&self) -> bool {
        self.flags & BACKED_UP != 0
    }
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;
