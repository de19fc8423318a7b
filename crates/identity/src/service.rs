// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The service: what every operation of this room needs.

use std::sync::RwLock;

use custody::{Custody, KeyError, OPAQUE_SETUP, StateSealer, TenantKeys};
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyring::password::server::{RegistrationRecord, ServerSetup};
use keyring::{
    BlindIndex, Email, EmailHash, EmailKey, EmailSalt, KdfParams, Lookup, Pepper, Sealed, SystemRng,
};
use sha2::{Digest as _, Sha256};
use store::{ReadTx, TenantId, WriteTx};

use crate::failure::Failure;
use crate::imported::Costs;
use crate::settings::{Settings, SettingsError};
use crate::{AccountId, random};

/// Accounts, login methods, sessions and devices.
///
/// Operations take the transaction of the place they are about: the platform's for the directory, the home's for the rest.
/// None commits.
pub struct Identity {
    pub(crate) custody: Custody,
    pub(crate) pepper: Pepper,
    pub(crate) opaque: ServerSetup,
    pub(crate) states: StateSealer,
    pub(crate) settings: Settings,
    /// Stands in for the record of an account that is not there, so that both are the same work.
    pub(crate) nobody: Vec<u8>,
    /// What imported hashes cost, when that was last read.
    pub(crate) imports: RwLock<Costs>,
}

impl Identity {
    /// Reads the server's secrets, and makes them at the first start. In a transaction of the platform; use the
    /// service after its commit.
    ///
    /// # Errors
    /// When a setting cannot be used, and when a secret does not open.
    pub async fn open(custody: Custody, tx: &mut WriteTx, settings: Settings) -> Result<Self, StartError> {
        settings.check()?;
        let pepper = Pepper::from_bytes(*custody.pepper(tx).await?);
        let setup = custody
            .server_secret(tx, OPAQUE_SETUP, || ServerSetup::generate(&mut SystemRng).to_bytes())
            .await?;
        let opaque = ServerSetup::from_bytes(&setup).map_err(|_| Failure::Damaged("password setup"))?;
        let states = custody.state_sealer(tx).await?;
        let nobody = record_of_nobody(&opaque).ok_or(Failure::Damaged("password setup"))?;
        let this = Self { custody, pepper, opaque, states, settings, nobody, imports: RwLock::default() };
        this.reload_imports(tx).await?;
        Ok(this)
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Under what the directory finds an address, and what its tries are charged to.
    pub fn blind_index(&self, email: &EmailHash) -> BlindIndex {
        self.pepper.blind_index(email)
    }

    /// The salt of the address's key: the same whether there is an account or not, before and after.
    pub fn email_salt(&self, email: &EmailHash) -> EmailSalt {
        self.pepper.email_salt(email)
    }

    /// The parameters to answer an unknown address with: always the same for the same address, and one of those
    /// that real accounts have.
    pub(crate) fn kdf_of_unknown(&self, email: &EmailHash) -> KdfParams {
        let [choice, ..] = self.keyed("kdf-of-unknown", &[email.as_bytes()]);
        let former = &self.settings.former_kdf;
        former.get(usize::from(choice) % (former.len() + 1)).copied().unwrap_or(self.settings.kdf)
    }

    /// HMAC-SHA256 under the pepper, for purposes of this room.
    pub(crate) fn keyed(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        mac(self.pepper.expose(), label, parts)
    }

    pub(crate) fn lookup_index(&self, lookup: &Lookup) -> [u8; 32] {
        self.pepper.lookup_index(lookup)
    }

    /// Opens an address in memory, when it is the one that the index stands for.
    pub(crate) fn open_address(
        &self,
        sealed: &Sealed,
        key: &EmailKey,
        account: keyring::AccountId,
        index: &[u8; 32],
    ) -> Option<Email> {
        let email = key.open(sealed, &account).ok()?;
        same(self.pepper.blind_index(&email.hash()).as_bytes(), index).then_some(email)
    }

    /// Opens the stored address of an account: first the server's seal, then the one that needs the person's key.
    pub(crate) fn open_stored_address(
        &self,
        keys: &TenantKeys,
        account: AccountId,
        sealed: &[u8],
        key: &EmailKey,
        index: &[u8; 32],
    ) -> Result<Option<Email>, Failure> {
        let inner =
            keys.open(EMAIL, &[account.as_bytes()], sealed).map_err(|_| Failure::Damaged("address"))?;
        let inner = Sealed::parse(inner.to_vec()).map_err(|_| Failure::Damaged("address"))?;
        Ok(self.open_address(&inner, key, account.into(), index))
    }

    pub(crate) fn seal_address(&self, keys: &TenantKeys, account: AccountId, sealed: &Sealed) -> Vec<u8> {
        keys.seal(EMAIL, &[account.as_bytes()], sealed.as_bytes())
    }
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A secret of the server, or the database.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<KeyError> for StartError {
    fn from(error: KeyError) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether the operation is in the directory's transaction.
pub(crate) fn in_directory(tx: &ReadTx) -> Result<(), Failure> {
    if tx.tenant() == TenantId::PLATFORM { Ok(()) } else { Err(Failure::WrongTenant) }
}

/// Whether the operation is in this home's transaction.
pub(crate) fn in_home(tx: &ReadTx, home: TenantId) -> Result<(), Failure> {
    if tx.tenant() == home { Ok(()) } else { Err(Failure::WrongTenant) }
}

/// Compares in constant time.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA256 over a label and parts, each after its length.
pub(crate) fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    let prefix: &[u8] = b"bailiwick/v1/identity/";
    for part in [prefix, label.as_bytes()].into_iter().chain(parts.iter().copied()) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A registration record (RFC 9807, section 5.1) that no password opens: a public key whose private key nobody has
/// (the evaluation of a random input), a random masking key, a random envelope.
///
/// `opaque-ke` has a fake record of its own, but makes a key pair each time, which takes measurably longer than reading a real
/// record does. With this one the known and the unknown go the same way.
fn record_of_nobody(opaque: &ServerSetup) -> Option<Vec<u8>> {
    let noise = data_encoding::HEXLOWER.encode(&random::bytes::<32>());
    let password = keyring::Password::new(&noise).ok()?;
    let (_, request) = keyring::password::Registration::start(&password, &mut SystemRng).ok()?;
    let response = opaque.registration_response(&request, &random::bytes::<32>()).ok()?;
    let mut upload = response.get(..32)?.to_vec();
    upload.extend_from_slice(&random::bytes::<160>());
    Some(RegistrationRecord::from_upload(&upload).ok()?.to_bytes())
}

const EMAIL: &str = "account-email";
