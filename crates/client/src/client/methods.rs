// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: whether the account vouches for them, adding and replacing recovery keys, naming, revoking.

use keyring::{KdfParams, MethodKind, MethodPublicKey, MethodSalt, MethodTag, RecoveryKey, SystemRng};
use protocol::methods::{Method, MethodRename, Methods, NewRecoveryKey, NewUnlocking};
use protocol::signin::{Device, Kdf, RecoverySignIn, RecoveryStepUp, SlowHash, SteppedUp};
use protocol::{MethodId, Secret};
use reqwest::Method as Verb;
use zeroize::Zeroizing;

use super::account::AccountError;
use super::signin::{SignInError, SignedIn, Unlocked, slow, unlock};
use super::unlocking::recovery_keys;
use super::{Call, Client, RequestError};
use crate::place;

impl Client {
    /// The login methods, as the server shows them. Before anything is sealed to one, see
    /// [`Unlocked::vouched`].
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn methods(&self) -> Result<Methods, RequestError> {
        self.get("/api/v1/account/methods").await
    }

    /// Signs in with a recovery key, alone, and opens the master key with it. The client acts with the new session from
    /// then on.
    ///
    /// # Errors
    /// [`SignInError`]; the server refuses a key that is nobody's, or was revoked.
    pub async fn sign_in_with_recovery_key(
        &self,
        key: &RecoveryKey,
        device: Device,
    ) -> Result<SignedIn, SignInError> {
        let request = RecoverySignIn { lookup: (*key.lookup().expose()).into(), device };
        let signed_in: protocol::signin::SignedIn =
            self.post("/api/v1/signin/recovery-key", &request).await?;
        let keys = recovery_keys(signed_in.unlocking.as_ref(), key).await?;
        unlock(self.clone(), signed_in, &keys, MethodKind::RecoveryKey, None)
    }
}

/// A new recovery key, to be shown to its owner once.
pub struct MadeRecoveryKey {
    /// The method.
    pub method: MethodId,
    /// The key, in groups.
    pub key: Zeroizing<String>,
}

impl Unlocked {
    /// The login methods, when the account vouches for the public key of each.
    ///
    /// # Errors
    /// [`AccountError::NotVouchedFor`] when the server shows a method that the account does not know.
    pub async fn vouched_methods(&self) -> Result<Vec<Method>, AccountError> {
        let methods = self.client.methods().await?.methods;
        methods.iter().try_for_each(|method| self.vouched(method).map(drop))?;
        Ok(methods)
    }

    /// The kind and the public key of a method that unlocks, when the account vouches for them. `None` for one that only
    /// authenticates.
    ///
    /// # Errors
    /// [`AccountError::NotVouchedFor`].
    pub fn vouched(&self, method: &Method) -> Result<Option<(MethodKind, MethodPublicKey)>, AccountError> {
        let Some(unlocking) = &method.unlocking else { return Ok(None) };
        let kind = kind_named(&method.kind).ok_or(AccountError::NotVouchedFor)?;
        let public_key = MethodPublicKey::from_bytes(unlocking.public_key.as_slice())
            .map_err(|_| AccountError::NotVouchedFor)?;
        let tag = unlocking.tag.to_array().map(MethodTag::from_bytes).ok_or(AccountError::NotVouchedFor)?;
        self.master
            .verify_method(&place::account(self.account), &place::method(method.id), kind, &public_key, &tag)
            .map_err(|_| AccountError::NotVouchedFor)?;
        Ok(Some((kind, public_key)))
    }

    /// Makes a recovery key and adds it.
    ///
    /// # Errors
    /// [`AccountError`]; the server asks for a fresh proof first.
    pub async fn add_recovery_key(&self, label: &str) -> Result<MadeRecoveryKey, AccountError> {
        let (body, made) = self.new_recovery_key(label).await?;
        self.client.done(Call::new(Verb::POST, "/api/v1/account/recovery-keys").json(&body)?).await?;
        Ok(made)
    }

    /// Makes a recovery key in the place of another, which lets nobody in from then on.
    ///
    /// # Errors
    /// As [`add_recovery_key`](Self::add_recovery_key).
    pub async fn replace_recovery_key(
        &self,
        old: MethodId,
        label: &str,
    ) -> Result<MadeRecoveryKey, AccountError> {
        let (body, made) = self.new_recovery_key(label).await?;
        let path = format!("/api/v1/account/recovery-keys/{old}/replace");
        self.client.done(Call::new(Verb::POST, &path).json(&body)?).await?;
        Ok(made)
    }

    async fn new_recovery_key(&self, label: &str) -> Result<(NewRecoveryKey, MadeRecoveryKey), AccountError> {
        let (key, salt, kdf) = (
            RecoveryKey::generate(&mut SystemRng),
            MethodSalt::generate(&mut SystemRng),
            KdfParams::default(),
        );
        let hashed = key.clone();
        let secret = slow(move || hashed.method_secret(&salt, kdf)).await?.map_err(SignInError::from)?;
        let method = MethodId::random();
        let slow_hash = SlowHash {
            salt: (*salt.as_bytes()).into(),
            kdf: Kdf { memory_kib: kdf.memory_kib(), passes: kdf.passes(), lanes: kdf.lanes() },
        };
        let body = NewRecoveryKey {
            id: method,
            label: label.to_owned(),
            lookup: (*key.lookup().expose()).into(),
            unlocking: self.seal_to(
                method,
                MethodKind::RecoveryKey,
                &secret.key_pair().public_key(),
                Some(slow_hash),
            ),
        };
        Ok((body, MadeRecoveryKey { method, key: key.to_text() }))
    }

    /// The master key for a new method whose public key was made here.
    pub fn seal_to(
        &self,
        method: MethodId,
        kind: MethodKind,
        public_key: &MethodPublicKey,
        slow_hash: Option<SlowHash>,
    ) -> NewUnlocking {
        let place = place::master_key(self.account, method, self.master_key_version);
        let tag = self.master.authenticate_method(
            &place::account(self.account),
            &place::method(method),
            kind,
            public_key,
        );
        NewUnlocking {
            public_key: public_key.to_bytes().into(),
            sealed_master_key: self.master.seal_to(public_key, &place, &mut SystemRng).as_bytes().into(),
            method_tag: (*tag.as_bytes()).into(),
            master_key_version: self.master_key_version,
            slow_hash,
        }
    }

    /// Gives a login method another name.
    ///
    /// # Errors
    /// As [`add_recovery_key`](Self::add_recovery_key).
    pub async fn rename_method(&self, method: MethodId, label: &str) -> Result<(), AccountError> {
        let body = MethodRename { label: label.to_owned() };
        let path = format!("/api/v1/account/methods/{method}");
        Ok(self.client.done(Call::new(Verb::PATCH, &path).json(&body)?).await?)
    }

    /// Revokes a login method: the sessions that it opened end, this one too if it is one of them.
    ///
    /// # Errors
    /// As [`add_recovery_key`](Self::add_recovery_key); the server refuses to revoke the last method that opens the data.
    pub async fn revoke_method(&self, method: MethodId) -> Result<(), AccountError> {
        let path = format!("/api/v1/account/methods/{method}");
        Ok(self.client.done(Call::new(Verb::DELETE, &path)).await?)
    }

    /// Proves once more who is there, with a recovery key. The session's token is another afterwards: the client acts with it, and
    /// it is returned to be kept.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn step_up_with_recovery_key(&self, key: &RecoveryKey) -> Result<Secret, AccountError> {
        let body = RecoveryStepUp { lookup: (*key.lookup().expose()).into() };
        let stepped_up: SteppedUp = self.client.post("/api/v1/step-up/recovery-key", &body).await?;
        self.client.set_token(Some(stepped_up.token.clone()));
        Ok(stepped_up.token)
    }
}

/// The kind of method that the server names.
pub(crate) fn kind_named(name: &str) -> Option<MethodKind> {
    [
        MethodKind::Password,
        MethodKind::Passkey,
        MethodKind::RecoveryKey,
        MethodKind::ApiKey,
        MethodKind::Provider,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == name)
}
