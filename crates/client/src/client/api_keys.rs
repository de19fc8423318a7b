// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: made by an account's owner, and worked with by programs.
//!
//! A key is drawn here and shown once. Only its authenticating half is ever sent; the master key is sealed to the other half,
//! which stays where the key is kept.

use keyring::{
    ApiKey, KdfParams, MethodKind, MethodPublicKey, MethodSalt, MethodTag, SealedMasterKey, SystemRng,
};
use protocol::api_keys::{self, ApiKeys, KeyNetwork, KeyReport, NewApiKey, OwnApiKey};
use protocol::methods::NewUnlocking;
use protocol::signin::{Kdf, SlowHash};
use protocol::{MethodId, Secret, TenantId};
use reqwest::Method;
use zeroize::Zeroizing;

use super::account::AccountError;
use super::opened::Opened;
use super::signin::{SignInError, Unlocked, slow};
use super::{Call, Client, RequestError};
use crate::place;

/// What a new API key is to be.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// Its name.
    pub label: String,
    /// What it may be used for: names of actions.
    pub scopes: Vec<String>,
    /// From where; from the address that asks, if nothing is said.
    pub networks: Option<Vec<String>>,
    /// Until when, in Unix milliseconds; until it is revoked, if nothing is said.
    pub expires_at: Option<i64>,
    /// Whether it opens the account's data.
    pub unlocks: bool,
}

/// A new API key.
pub struct MadeKey {
    /// The key itself, to be shown once.
    pub text: Zeroizing<String>,
    /// What the server lists of it.
    pub listed: api_keys::ApiKey,
}

impl Unlocked {
    /// Makes an API key.
    ///
    /// # Errors
    /// [`AccountError`]; the server asks for a fresh proof first ([`step_up`](Self::step_up)).
    pub async fn create_api_key(&self, wish: &KeyWish) -> Result<MadeKey, AccountError> {
        let home = keyring::TenantId::from_bytes(*self.home.as_bytes());
        let (id, key) = (MethodId::random(), ApiKey::generate(home, wish.unlocks, &mut SystemRng));
        let unlocking = match key.unlock().cloned() {
            Some(half) => {
                let salt = MethodSalt::generate(&mut SystemRng);
                let secret =
                    slow(move || half.method_secret(&salt, SLOWNESS)).await?.map_err(SignInError::from)?;
                let public_key = secret.key_pair().public_key();
                let (account, method) = (place::account(self.account), place::method(id));
                let tag = self.master.authenticate_method(&account, &method, MethodKind::ApiKey, &public_key);
                let place = place::master_key(self.account, id, self.master_key_version);
                let sealed = self.master.seal_to(&public_key, &place, &mut SystemRng);
                Some(NewUnlocking {
                    public_key: public_key.to_bytes().into(),
                    sealed_master_key: sealed.as_bytes().into(),
                    method_tag: (*tag.as_bytes()).into(),
                    master_key_version: self.master_key_version,
                    slow_hash: Some(SlowHash {
                        salt: (*salt.as_bytes()).into(),
                        kdf: Kdf {
                            memory_kib: SLOWNESS.memory_kib(),
                            passes: SLOWNESS.passes(),
                            lanes: SLOWNESS.lanes(),
                        },
                    }),
                })
            }
            None => None,
        };
        let new = NewApiKey {
            id,
            label: wish.label.clone(),
            auth: Secret::from(key.auth().to_text().to_string()),
            scopes: wish.scopes.clone(),
            networks: wish.networks.clone(),
            expires_at: wish.expires_at,
            unlocking,
        };
        let listed = self.client.post("/api/v1/api-keys", &new).await?;
        Ok(MadeKey { text: key.to_text(), listed })
    }
}

impl Client {
    /// Acts with an API key from now on: with the half that authenticates.
    pub fn use_api_key(&self, key: &ApiKey) {
        self.set_token(Some(Secret::from(key.auth().to_text().to_string())));
    }

    /// The account's API keys.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn api_keys(&self) -> Result<ApiKeys, RequestError> {
        self.get("/api/v1/api-keys").await
    }

    /// Lets an API key be used from a network.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn approve_network(&self, key: MethodId, network: &str) -> Result<(), RequestError> {
        let body = KeyNetwork { network: network.to_owned() };
        self.done(Call::new(Method::POST, &format!("/api/v1/api-keys/{key}/approve")).json(&body)?).await
    }

    /// Refuses an API key from a network.
    ///
    /// # Errors
    /// As [`approve_network`](Self::approve_network).
    pub async fn deny_network(&self, key: MethodId, network: &str) -> Result<(), RequestError> {
        let body = KeyNetwork { network: network.to_owned() };
        self.done(Call::new(Method::POST, &format!("/api/v1/api-keys/{key}/deny")).json(&body)?).await
    }

    /// Revokes an API key.
    ///
    /// # Errors
    /// As [`approve_network`](Self::approve_network).
    pub async fn revoke_api_key(&self, key: MethodId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/account/methods/{key}"))).await
    }

    /// Reports an API key that was found: it is revoked. Of a whole key only the half that authenticates is sent.
    ///
    /// # Errors
    /// [`RequestError`]. Whether there is such a key is not said.
    pub async fn report_api_key(&self, key: &ApiKey) -> Result<(), RequestError> {
        let api_key = Some(Secret::from(key.auth().to_text().to_string()));
        self.report(&KeyReport { api_key, public_id: None, home: None }).await
    }

    /// Reports an API key of which only the public name was found: its owner is told.
    ///
    /// # Errors
    /// As [`report_api_key`](Self::report_api_key).
    pub async fn report_api_key_name(&self, public_id: &str, home: TenantId) -> Result<(), RequestError> {
        let public_id = Some(public_id.to_owned());
        self.report(&KeyReport { api_key: None, public_id, home: Some(home) }).await
    }

    /// What the API key is that this client acts with.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn own_api_key(&self) -> Result<OwnApiKey, RequestError> {
        self.get("/api/v1/api-key").await
    }

    async fn report(&self, report: &KeyReport) -> Result<(), RequestError> {
        self.done(Call::new(Method::POST, "/api/v1/api-keys/report").json(report)?).await
    }
}

/// Opens an account with an API key that unlocks. The client acts with the key from then on.
///
/// # Errors
/// [`SignInError::DoesNotUnlock`] for a key that only authenticates; otherwise as when signing in: the server is not
/// believed what the key's maker did not vouch for.
pub async fn open_by_api_key(client: &Client, key: &ApiKey) -> Result<Opened, SignInError> {
    client.use_api_key(key);
    let half = key.unlock().cloned().ok_or(SignInError::DoesNotUnlock)?;
    let own = client.own_api_key().await?;
    if own.home.as_bytes() != key.auth().home().as_bytes() {
        return Err(SignInError::AnotherAccount);
    }
    let unlocking = own.unlocking.ok_or(SignInError::Malformed("the sealed master key"))?;
    let slow_hash = unlocking.slow_hash.ok_or(SignInError::Malformed("the salt"))?;
    let salt = slow_hash.salt.to_array().map(MethodSalt::from_bytes);
    let salt = salt.ok_or(SignInError::Malformed("the salt"))?;
    let kdf = place::kdf(slow_hash.kdf)?;
    let keys = slow(move || half.method_secret(&salt, kdf)).await??.key_pair();

    let sealed = SealedMasterKey::parse(unlocking.sealed_master_key.into_vec())?;
    let master = sealed.open(&keys, &place::master_key(own.account, own.id, unlocking.master_key_version))?;
    let public_key = MethodPublicKey::from_bytes(unlocking.public_key.as_slice())
        .ok()
        .filter(|shown| *shown == keys.public_key())
        .ok_or(SignInError::NotVouchedFor)?;
    let tag = unlocking.method_tag.to_array().map(MethodTag::from_bytes);
    let tag = tag.ok_or(SignInError::Malformed("the method's tag"))?;
    let (account, method) = (place::account(own.account), place::method(own.id));
    master
        .verify_method(&account, &method, MethodKind::ApiKey, &public_key, &tag)
        .map_err(|_| SignInError::NotVouchedFor)?;
    let account_key = master.account_key();
    let identity = account_key.identity_keys(unlocking.master_key_version).public();
    if identity.to_bytes() != own.identity.as_slice() {
        return Err(SignInError::AnotherIdentity);
    }
    let master_key_version = unlocking.master_key_version;
    Ok(Opened {
        client: client.clone(),
        account: own.account,
        home: own.home,
        key: account_key,
        master_key_version,
    })
}

/// How the other half is hashed: it is 256 random bits, so the least there is does.
const SLOWNESS: KdfParams = KdfParams::FLOOR;
