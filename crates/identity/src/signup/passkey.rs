// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up with a passkey in the place of a password.
//!
//! The account has no password, and so no second factor and no backup codes: its passkey is strong alone. It has to unlock, or
//! nobody could open what the account will keep. A password can be set later, once there is an authenticator app for it.

use keyring::{EmailHash, EmailKey, IdentityPublicKeys, MethodKind, Sealed, UserHandle};
use store::{ReadTx, TenantId};
use zeroize::Zeroizing;

use super::{Begun, FirstMethod, MadeMethod, NewKeys, NewUnlocking, Signup, SignupError, SignupState};
use crate::device::DeviceInfo;
use crate::letter::Letter;
use crate::lookup::MethodLookup;
use crate::method::Unlocking;
use crate::method_change::MethodLabel;
use crate::passkey::PasskeyChallenge;
use crate::random;
use crate::service::{Identity, in_directory};
use crate::webauthn::Registration;
use crate::{AccountId, MethodId};

/// What a client sends first.
pub struct PasskeySignupStart {
    /// SHA-256 of the address.
    pub email_hash: EmailHash,
    /// As [`SignupStart::email_key`](crate::SignupStart::email_key).
    pub email_key: EmailKey,
    /// As [`SignupStart::sealed_email`](crate::SignupStart::sealed_email).
    pub sealed_email: Sealed,
}

/// What the client gets.
#[derive(Debug)]
pub struct PasskeySignupStarted<'a> {
    /// What the new passkey answers; with the state to be sent back with the finish.
    pub challenge: PasskeyChallenge<'a>,
    /// What the authenticator is to show at each sign-in.
    pub user_handle: UserHandle,
    /// The account to be.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its first login method.
    pub method: MethodId,
    /// Whether the finish needs the code that was sent to the address.
    pub needs_code: bool,
    /// The mail to send; not part of the answer.
    pub letter: Option<Letter>,
}

/// What a client sends to finish.
#[derive(Clone)]
pub struct PasskeySignupFinish {
    /// The code from the mail, where one is needed.
    pub code: Option<Zeroizing<String>>,
    /// What the authenticator made.
    pub registration: Registration,
    /// What its owner calls it.
    pub label: MethodLabel,
    /// The master key, sealed to it for version 1.
    pub unlocking: Unlocking,
    /// The public identity keys of version 1.
    pub identity_public: IdentityPublicKeys,
    /// The key that opens the address again.
    pub email_key: EmailKey,
    /// The device that signs up.
    pub device: DeviceInfo,
}

impl Identity {
    /// Answers whoever wants an account with a passkey. In a view of the directory.
    ///
    /// # Errors
    /// [`SignupError::PasskeysOff`]; [`SignupError::Field`] as [`signup_start`](Self::signup_start).
    pub async fn passkey_signup_start(
        &self,
        tx: &mut ReadTx,
        request: &PasskeySignupStart,
    ) -> Result<PasskeySignupStarted<'_>, SignupError> {
        in_directory(tx)?;
        let relying_party = self.settings.relying_party.as_ref().ok_or(SignupError::PasskeysOff)?;
        let address = self.start_address(&request.email_hash, &request.email_key, &request.sealed_email)?;
        let is_taken = address.is_taken(tx).await?;
        let (challenge, user_handle) = (random::bytes(), UserHandle::from_bytes(random::bytes()));
        let first = FirstMethod::Passkey { challenge, user_handle: user_handle.clone() };
        let Begun { state, account, home, method, letter } =
            self.begin_signup(tx.now(), address, first, is_taken, false);
        let challenge = PasskeyChallenge { state, challenge, relying_party, credentials: Vec::new() };
        let needs_code = self.settings.mail_required;
        Ok(PasskeySignupStarted { challenge, user_handle, account, home, method, needs_code, letter })
    }

    /// Checks everything that can be checked without a database; goes on as every sign-up.
    ///
    /// # Errors
    /// As [`signup_verify`](Self::signup_verify); [`SignupError::Ceremony`].
    pub fn passkey_signup_verify(
        &self,
        state: SignupState,
        finish: PasskeySignupFinish,
    ) -> Result<Signup, SignupError> {
        let FirstMethod::Passkey { challenge, user_handle } = &state.first else {
            return Err(SignupError::Restart);
        };
        let relying_party = self.settings.relying_party.as_ref().ok_or(SignupError::PasskeysOff)?;
        if finish.unlocking.master_key_version != 1 || finish.unlocking.slow_hash.is_some() {
            return Err(SignupError::Field("unlocking"));
        }
        let (credential, condition, _) = finish.registration.verify(relying_party, challenge)?;
        let lookup = MethodLookup::new(MethodKind::Passkey, user_handle.lookup());
        let made = MadeMethod::Passkey { credential, condition, lookup, label: finish.label };
        let unlocking = NewUnlocking {
            public_key: finish.unlocking.public_key,
            sealed_master_key: finish.unlocking.sealed_master_key,
            tag: finish.unlocking.tag,
        };
        let keys = NewKeys {
            unlocking: Some(unlocking),
            identity_public: finish.identity_public,
            email_key: finish.email_key,
            device: finish.device,
        };
        self.verified(state, finish.code.as_deref(), made, keys)
    }
}
