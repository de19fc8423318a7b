// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up by another provider's word, which is believed about the address.
//!
//! The account has a master key as any other: the client makes it, and its device keeps it under the split key. No method opens it until
//! its owner adds one. So whoever loses the device without having done that loses what is end-to-end encrypted, and nothing else.

use keyring::{Email, EmailKey, IdentityPublicKeys, SystemRng};
use store::TenantId;

use super::{FirstMethod, MadeMethod, NewKeys, Signup, SignupState};
use crate::device::DeviceInfo;
use crate::method_change::MethodLabel;
use crate::provided::ProvidedIdentity;
use crate::service::Identity;
use crate::{AccountId, MethodId};

/// What an account is made of that another provider vouches for.
pub struct ProvidedSignup {
    /// The account to be.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its first login method.
    pub method: MethodId,
    /// The address, which the provider is believed about.
    pub email: Email,
    /// Whom the provider knows.
    pub identity: ProvidedIdentity,
    /// What the provider is called.
    pub label: MethodLabel,
    /// The public identity keys of version 1.
    pub identity_public: IdentityPublicKeys,
    /// The key that opens the address again.
    pub email_key: EmailKey,
    /// The device that signs up.
    pub device: DeviceInfo,
}

impl Identity {
    /// Goes on as every sign-up, with [`signup_reserve`](Self::signup_reserve).
    pub fn provided_signup(&self, new: ProvidedSignup) -> Signup {
        let ProvidedSignup {
            account,
            home,
            method,
            email,
            identity,
            label,
            identity_public,
            email_key,
            device,
        } = new;
        let hash = email.hash();
        let sealed_email = email_key.seal(&email, &account.into(), &mut SystemRng);
        let state = SignupState {
            email_index: *self.blind_index(&hash).as_bytes(),
            account,
            home,
            method,
            email_salt: *self.email_salt(&hash).as_bytes(),
            code: None,
            is_import: false,
            first: FirstMethod::Provider,
            sealed_email: sealed_email.clone(),
        };
        let keys = NewKeys { unlocking: None, identity_public, email_key, device };
        Signup { state, sealed_email, email, made: MadeMethod::Provider { identity, label }, keys }
    }
}
