// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device is let in with.
//!
//! ```text
//! version(1) ‖ form(1) ‖ account(16) ‖ home(16) ‖ key version(4) ‖ key(32) ‖ grant(32) ‖ email salt(16) ‖ email
//! ```
//!
//! The key is the master key for a device, the account key for a public computer. Where the approving side does not
//! know the address, the email is empty and its salt is zeros.

use std::fmt;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{PairingError, PairingForm};
use crate::email::{Email, EmailSalt};
use crate::id::{AccountId, TenantId};
use crate::identity::AccountKey;
use crate::master::MasterKey;
use crate::secret::{REDACTED, framed, secret};

secret!(
    /// What the device shows the server for its session. The server got its hash from the approver; whoever shows the
    /// grant has opened the bundle, and so holds the device's key.
    pub PairingGrant
);

impl PairingGrant {
    /// Draws a grant.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::random(rng)
    }

    /// What the approver tells the server.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(Zeroizing::new(framed("pairing/grant", &[self.expose()]))).into()
    }
}

/// The key that a device gets.
#[derive(Clone, PartialEq, Eq)]
pub enum PairedKey {
    /// The whole account.
    Master(MasterKey),
    /// What reads and writes its content, and changes nothing about how one signs in.
    Account(AccountKey),
}

impl PairedKey {
    /// The key that content stands on.
    pub fn account_key(&self) -> AccountKey {
        match self {
            PairedKey::Master(master) => master.account_key(),
            PairedKey::Account(key) => key.clone(),
        }
    }
}

impl fmt::Debug for PairedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairedKey({REDACTED})")
    }
}

/// What a device is let in with.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingBundle {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Counts rotations of the master key, from 1.
    pub key_version: u32,
    /// The key.
    pub key: PairedKey,
    /// What the device gets its session for.
    pub grant: PairingGrant,
    /// The account's address and its salt, where the approving side knows them.
    pub email: Option<(Email, EmailSalt)>,
}

impl PairingBundle {
    pub(super) fn form(&self) -> PairingForm {
        match self.key {
            PairedKey::Master(_) => PairingForm::Device,
            PairedKey::Account(_) => PairingForm::Public,
        }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (email, salt) = match &self.email {
            Some((email, salt)) => (email.as_str(), *salt.as_bytes()),
            None => ("", [0; 16]),
        };
        let key = match &self.key {
            PairedKey::Master(key) => key.expose(),
            PairedKey::Account(key) => key.expose(),
        };
        let version = self.key_version.to_be_bytes();
        let parts: [&[u8]; 7] = [
            self.account.as_bytes(),
            self.home.as_bytes(),
            &version,
            key,
            self.grant.expose(),
            &salt,
            email.as_bytes(),
        ];
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + email.len()));
        bytes.extend_from_slice(&[VERSION, self.form().byte()]);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8], form: PairingForm) -> Result<Self, PairingError> {
        let mut rest = match bytes {
            [VERSION, kind, rest @ ..] if *kind == form.byte() => rest,
            [version, ..] if *version != VERSION => return Err(PairingError::UnknownVersion(*version)),
            _ => return Err(PairingError::Malformed),
        };
        let account = AccountId::from_bytes(take(&mut rest)?);
        let home = TenantId::from_bytes(take(&mut rest)?);
        let key_version = u32::from_be_bytes(take(&mut rest)?);
        let key = Zeroizing::new(take::<32>(&mut rest)?);
        let key = match form {
            PairingForm::Device => PairedKey::Master(MasterKey::from_bytes(*key)),
            PairingForm::Public => PairedKey::Account(AccountKey::from_bytes(*key)),
        };
        let grant = PairingGrant::from_bytes(take(&mut rest)?);
        let salt = EmailSalt::from_bytes(take(&mut rest)?);
        let email = match rest {
            [] if *salt.as_bytes() == [0; 16] => None,
            [] => return Err(PairingError::Malformed),
            email => {
                let text = std::str::from_utf8(email).map_err(|_| PairingError::Malformed)?;
                let email = Email::parse(text).map_err(|_| PairingError::Malformed)?;
                if email.as_str() != text {
                    return Err(PairingError::Malformed);
                }
                Some((email, salt))
            }
        };
        Ok(Self { account, home, key_version, key, grant, email })
    }
}

impl fmt::Debug for PairingBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingBundle({:?}, {REDACTED})", self.account)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], PairingError> {
    let (taken, left) = rest.split_first_chunk().ok_or(PairingError::Malformed)?;
    *rest = left;
    Ok(*taken)
}

const VERSION: u8 = 1;
const FIXED: usize = 2 + 16 + 16 + 4 + 32 + 32 + 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    fn bundle(email: Option<&str>, key: PairedKey) -> PairingBundle {
        let rng = &mut SystemRng;
        PairingBundle {
            account: [1; 16].into(),
            home: [2; 16].into(),
            key_version: 3,
            key,
            grant: PairingGrant::generate(rng),
            email: email.map(|email| (Email::parse(email).unwrap(), EmailSalt::generate(rng))),
        }
    }

    #[test]
    fn a_bundle_reads_back_in_its_form_and_in_no_other() {
        let master = MasterKey::from_bytes([7; 32]);
        for email in [None, Some("alice@example.com")] {
            for (key, form, other) in [
                (PairedKey::Master(master.clone()), PairingForm::Device, PairingForm::Public),
                (PairedKey::Account(master.account_key()), PairingForm::Public, PairingForm::Device),
            ] {
                let bundle = bundle(email, key);
                assert!(PairingBundle::from_bytes(&bundle.to_bytes(), form) == Ok(bundle.clone()));
                assert_eq!(
                    PairingBundle::from_bytes(&bundle.to_bytes(), other).err(),
                    Some(PairingError::Malformed)
                );
                assert!(bundle.key.account_key() == master.account_key());
            }
        }
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        let bytes = bundle(None, PairedKey::Master(MasterKey::from_bytes([7; 32]))).to_bytes();
        let read = |bytes: &[u8]| PairingBundle::from_bytes(bytes, PairingForm::Device).err();
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), Some(PairingError::Malformed), "{length}");
        }
        assert_eq!(read(&[&[2], &bytes[1..]].concat()), Some(PairingError::UnknownVersion(2)));
        for email in ["not an address", "A@example.com", "a\u{0}@example.com"] {
            assert_eq!(read(&[&bytes, email.as_bytes()].concat()), Some(PairingError::Malformed));
        }
    }
}
