// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What travels sealed with the client between start and finish.

use keyring::{KdfParams, Sealed, UserHandle};
use store::TenantId;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::service::{mac, same};
use crate::state::{Packer, Unpacker};
use crate::{AccountId, MethodId, random};

/// An opened state: who is being signed up.
pub struct SignupState {
    pub(super) email_index: [u8; 32],
    pub(super) account: AccountId,
    pub(super) home: TenantId,
    pub(super) method: MethodId,
    pub(super) email_salt: [u8; 16],
    pub(super) code: Option<MailCode>,
    /// Whether the password of somebody who was imported was shown.
    pub(super) is_import: bool,
    pub(super) first: FirstMethod,
    /// As the client sent it.
    pub(super) sealed_email: Sealed,
}

/// By what the new account is entered first, and what has to be known of that until the finish.
pub(super) enum FirstMethod {
    /// A password, hashed like this.
    Password(KdfParams),
    /// A passkey that answers this challenge, and will be found by this handle.
    Passkey { challenge: [u8; 32], user_handle: UserHandle },
    /// Another provider, which vouched for the address too. It takes one message, so this state does not travel.
    Provider,
}

impl SignupState {
    /// What the try is charged to ([`crate::Attempts::finish`] with [`crate::Try::SignUp`]).
    pub fn email_index(&self) -> &[u8; 32] {
        &self.email_index
    }

    /// Names the exchange whose finish this is.
    pub fn exchange(&self) -> &[u8; 16] {
        self.account.as_bytes()
    }

    pub(super) fn pack(&self) -> Zeroizing<Vec<u8>> {
        let packer = Packer::default()
            .put(&self.email_index)
            .put(self.account.as_bytes())
            .put(self.home.as_bytes())
            .put(self.method.as_bytes())
            .put(&self.email_salt)
            .number(self.code.is_some().into())
            .put(&self.code.as_ref().map_or([0; 32], |code| code.key))
            .put(&self.code.as_ref().map_or([0; 32], |code| code.hash))
            .number(self.is_import.into());
        let packer = match &self.first {
            FirstMethod::Password(kdf) => packer
                .number(PASSWORD)
                .number(kdf.memory_kib().into())
                .number(kdf.passes().into())
                .number(kdf.lanes().into()),
            FirstMethod::Passkey { challenge, user_handle } => {
                packer.number(PASSKEY).put(challenge).put(user_handle.expose())
            }
            FirstMethod::Provider => packer.number(PROVIDER),
        };
        packer.put(self.sealed_email.as_bytes()).finish()
    }

    pub(super) fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut fields = Unpacker::new(bytes);
        let email_index = fields.take()?;
        let account = AccountId::from_uuid(Uuid::from_bytes(fields.take()?));
        let home = TenantId::from_uuid(Uuid::from_bytes(fields.take()?));
        let method = MethodId::from_uuid(Uuid::from_bytes(fields.take()?));
        let email_salt = fields.take()?;
        let needs_code = fields.number()? == 1;
        let code = MailCode { key: fields.take()?, hash: fields.take()? };
        let is_import = fields.number()? == 1;
        let first = match fields.number()? {
            PASSWORD => {
                let mut number = || fields.number().and_then(|number| u32::try_from(number).ok());
                FirstMethod::Password(KdfParams::checked(number()?, number()?, number()?).ok()?)
            }
            PASSKEY => FirstMethod::Passkey {
                challenge: fields.take()?,
                user_handle: UserHandle::from_bytes(fields.take()?),
            },
            _ => return None,
        };
        Some(SignupState {
            email_index,
            account,
            home,
            method,
            email_salt,
            code: needs_code.then_some(code),
            is_import,
            first,
            sealed_email: Sealed::parse(fields.rest()).ok()?,
        })
    }
}

/// What is kept of a mailed code: nobody reads it from the state.
pub(super) struct MailCode {
    key: [u8; 32],
    hash: [u8; 32],
}

impl MailCode {
    pub(super) fn of(code: &str) -> Self {
        let key = random::bytes();
        MailCode { key, hash: mac(&key, "mail-code", &[code.as_bytes()]) }
    }

    pub(super) fn is(&self, typed: &str) -> bool {
        same(&mac(&self.key, "mail-code", &[typed.trim().as_bytes()]), &self.hash)
    }
}

const PASSWORD: i64 = 0;
const PASSKEY: i64 = 1;
const PROVIDER: i64 = 2;
