// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in through other identity providers, adding them to an account, and setting them up.
//!
//! Such a sign-in proves who somebody is and opens nothing. The account's data open by what this device kept, or by a method of the
//! account's own.

use data_encoding::BASE64URL_NOPAD;
use keyring::{Email, EmailSalt, MasterKey, MethodKind, RecoveryKey, SystemRng};
use protocol::federation::{
    Domain, Domains, NewDomain, NewProvider, Provider, ProviderAnswer, ProviderChange, ProviderFinish,
    ProviderFinished, ProviderLinked, ProviderRequirement, ProviderSignUp, ProviderSignUpStarted,
    ProviderSignedUp, ProviderStart, ProviderStarted, Providers, SignInProviders,
};
use protocol::signin::{Device, RecoveryStepUp, Session, SteppedUp};
use protocol::{AccountId, DeviceId, MethodId, ProviderId, Secret, SessionId, TenantId};
use rand_core::Rng as _;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::signin::{SignInError, SignedIn, Unlocked, email_key, unlock};
use super::unlocking::recovery_keys;
use super::{Call, Client, RequestError};

/// By which provider somebody comes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Through {
    /// The tenant whose provider it is.
    pub tenant: Option<TenantId>,
    /// The provider; not needed where a tenant has one.
    pub provider: Option<ProviderId>,
    /// The domain whose tenant's provider it is.
    pub domain: Option<String>,
}

/// A sign-in at another provider that was begun.
pub struct Elsewhere {
    client: Client,
    verifier: Zeroizing<String>,
    started: ProviderStarted,
}

/// What is kept of a sign-in that was begun by a page that is left for it: by it alone the answer can be used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Away {
    verifier: Secret,
    state: Secret,
    name: String,
}

/// What a browser brought back.
#[derive(Clone, Debug, Deserialize)]
pub struct Returned {
    /// The state.
    pub state: Secret,
    /// The code.
    pub code: Secret,
    /// Who answers, where it says so.
    #[serde(default)]
    pub issuer: Option<String>,
}

/// What came of it.
pub enum Came {
    /// Signed in.
    In(Box<CameIn>),
    /// There is no account yet: one can be made.
    New(Box<NewByProvider>),
}

/// A session that opens nothing yet.
pub struct CameIn {
    /// Acts with the session.
    pub client: Client,
    /// The session, as the server gave it.
    pub session: Session,
    /// The account's number.
    pub number: String,
    /// Whether it is good in the tenant whose provider it is only, until a method of the account's own is shown.
    pub confined: bool,
    /// The tenant whose provider it is.
    pub tenant: Option<TenantId>,
    identity: Vec<u8>,
}

/// A session whose account's data are not open.
#[derive(Clone, Debug)]
pub struct LockedSession {
    /// The server.
    pub server: String,
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The session.
    pub session: SessionId,
    /// The device.
    pub device: DeviceId,
}

/// Somebody whom a provider vouches for and who has no account yet.
pub struct NewByProvider {
    client: Client,
    started: ProviderSignUpStarted,
}

impl Elsewhere {
    /// Begins. `redirect` is where a program of this machine waits for the browser.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn start(
        client: &Client,
        through: &Through,
        redirect: Option<String>,
    ) -> Result<Self, RequestError> {
        Self::at(client, "/api/v1/signin/provider/start", through, redirect).await
    }

    /// Begins to add a provider to the account that is signed in.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn start_link(
        client: &Client,
        through: &Through,
        redirect: Option<String>,
    ) -> Result<Self, RequestError> {
        Self::at(client, "/api/v1/account/providers/start", through, redirect).await
    }

    async fn at(
        client: &Client,
        path: &str,
        through: &Through,
        redirect: Option<String>,
    ) -> Result<Self, RequestError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRng.fill_bytes(bytes.as_mut_slice());
        let verifier = Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_slice()));
        let Through { tenant, provider, domain } = through.clone();
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
        let request = ProviderStart { tenant, provider, domain, challenge, redirect };
        let started = client.post(path, &request).await?;
        Ok(Elsewhere { client: client.clone(), verifier, started })
    }

    /// Where the browser goes.
    pub fn url(&self) -> &str {
        self.started.url.expose()
    }

    /// What the provider is called.
    pub fn name(&self) -> &str {
        &self.started.name
    }

    /// Whether a browser's answer is to this.
    pub fn is_answered_by(&self, state: &str) -> bool {
        self.started.state.expose() == state
    }

    /// What a page keeps that does not outlive the way there.
    pub fn away(&self) -> Away {
        let verifier = Secret::from(self.verifier.as_str().to_owned());
        Away { verifier, state: self.started.state.clone(), name: self.started.name.clone() }
    }

    /// Goes on with what was kept.
    pub fn resumed(client: &Client, away: Away) -> Self {
        let Away { verifier, state, name } = away;
        let verifier = Zeroizing::new(verifier.expose().to_owned());
        let started = ProviderStarted { url: Secret::from(String::new()), state, name };
        Elsewhere { client: client.clone(), verifier, started }
    }

    /// Finishes with what the browser brought back. The client acts with the session from then on.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn finish(self, returned: Returned, device: Device) -> Result<Came, RequestError> {
        let client = self.client.clone();
        let finish = ProviderFinish { answer: self.answer(returned), device };
        let ProviderFinished { signed_in, confined, sign_up, tenant } =
            client.post("/api/v1/signin/provider/finish", &finish).await?;
        match (signed_in, sign_up) {
            (Some(signed_in), _) => {
                client.set_token(Some(signed_in.session.token.clone()));
                Ok(Came::In(Box::new(CameIn {
                    client,
                    number: signed_in.account_number,
                    identity: signed_in.identity.into_vec(),
                    session: signed_in.session,
                    confined,
                    tenant,
                })))
            }
            (None, Some(started)) => Ok(Came::New(Box::new(NewByProvider { client, started }))),
            (None, None) => Err(RequestError::Malformed {
                what: "the server's answer",
                error: "neither a session nor a way to an account".to_owned(),
            }),
        }
    }

    /// Adds the provider to the account, with what the browser brought back.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn link(self, returned: Returned) -> Result<MethodId, RequestError> {
        let client = self.client.clone();
        let linked: ProviderLinked =
            client.post("/api/v1/account/providers/finish", &self.answer(returned)).await?;
        Ok(linked.method)
    }

    fn answer(&self, Returned { state, code, issuer }: Returned) -> ProviderAnswer {
        ProviderAnswer { state, code, issuer, verifier: Secret::from(self.verifier.as_str().to_owned()) }
    }
}

impl CameIn {
    /// What is kept of it while it opens nothing.
    pub fn locked(&self) -> LockedSession {
        LockedSession {
            server: self.client.server().to_owned(),
            account: self.session.account,
            number: self.number.clone(),
            home: self.session.home,
            session: self.session.id,
            device: self.session.device,
        }
    }

    /// Whether these are the identity keys that the server shows of the account.
    pub fn is_of(&self, account: &Unlocked) -> bool {
        account.account == self.session.account && account.identity().to_bytes() == self.identity
    }

    /// Opens the account's data with a recovery key. The session is no longer good in one tenant only.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn unlock_with_recovery_key(self, key: &RecoveryKey) -> Result<SignedIn, SignInError> {
        let body = RecoveryStepUp { lookup: (*key.lookup().expose()).into() };
        let stepped_up: SteppedUp = self.client.post("/api/v1/step-up/recovery-key", &body).await?;
        let keys = recovery_keys(stepped_up.unlocking.as_ref(), key).await?;
        let signed_in = protocol::signin::SignedIn {
            account_number: self.number,
            method: stepped_up.method,
            method_kind: MethodKind::RecoveryKey.as_str().to_owned(),
            unlocking: stepped_up.unlocking,
            identity: self.identity.into(),
            new_device: false,
            backup_codes_left: 0,
            address: stepped_up.address,
            session: Session { token: stepped_up.token, fresh_until: stepped_up.fresh_until, ..self.session },
        };
        unlock(self.client, signed_in, &keys, MethodKind::RecoveryKey, None)
    }
}

impl NewByProvider {
    /// The address that the account will have.
    pub fn email(&self) -> &str {
        self.started.email.expose()
    }

    /// Makes the account: its master key and its identity, which this device keeps. The client acts with its first session from
    /// then on. Nothing but this device opens the account's data: offer a recovery key at once.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_up(self, device: Device) -> Result<(Unlocked, Session), SignInError> {
        let NewByProvider { client, started } = self;
        let email = Email::parse(started.email.expose())?;
        let email_salt = started.email_salt.to_array().map(EmailSalt::from_bytes);
        let email_salt = email_salt.ok_or(SignInError::Malformed("the email salt"))?;
        let email_key = email_key(&email, email_salt).await?;
        let master = MasterKey::generate(&mut SystemRng);
        let sign_up = ProviderSignUp {
            ticket: started.ticket,
            email_key: (*email_key.expose()).into(),
            identity: master.account_key().identity_keys(1).public().to_bytes().into(),
            device,
        };
        let ProviderSignedUp { account_number, session } =
            client.post("/api/v1/signup/provider", &sign_up).await?;
        if session.account != started.account || session.home != started.home {
            return Err(SignInError::AnotherAccount);
        }
        client.set_token(Some(session.token.clone()));
        let account = Unlocked {
            client,
            account: session.account,
            number: account_number,
            home: session.home,
            session: session.id,
            device: session.device,
            master,
            master_key_version: 1,
            email,
            email_salt,
        };
        Ok((account, session))
    }
}

impl Client {
    /// The platform's providers.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn sign_in_providers(&self) -> Result<SignInProviders, RequestError> {
        self.get("/api/v1/signin/providers").await
    }

    /// The providers of a tenant, or of the platform.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn providers(&self, tenant: Option<TenantId>) -> Result<Providers, RequestError> {
        self.get(&providers(tenant)).await
    }

    /// Sets a provider up.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn create_provider(
        &self,
        tenant: Option<TenantId>,
        new: &NewProvider,
    ) -> Result<Provider, RequestError> {
        self.post(&providers(tenant), new).await
    }

    /// Changes a provider.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn change_provider(
        &self,
        tenant: Option<TenantId>,
        provider: ProviderId,
        change: &ProviderChange,
    ) -> Result<Provider, RequestError> {
        let path = format!("{}/{provider}", providers(tenant));
        self.fetch(Call::new(Method::PATCH, &path).json(change)?).await
    }

    /// Takes a provider away.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn delete_provider(
        &self,
        tenant: Option<TenantId>,
        provider: ProviderId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("{}/{provider}", providers(tenant)))).await
    }

    /// Asks a tenant's provider for its metadata and keys, now.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn test_provider(&self, tenant: TenantId, provider: ProviderId) -> Result<(), RequestError> {
        let path = format!("{}/{provider}/test", providers(Some(tenant)));
        self.done(Call::new(Method::POST, &path)).await
    }

    /// Says whether members come in by the tenant's providers only.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn require_provider(&self, tenant: TenantId, required: bool) -> Result<(), RequestError> {
        let path = format!("/api/v1/tenants/{tenant}/provider-requirement");
        self.done(Call::new(Method::PUT, &path).json(&ProviderRequirement { required })?).await
    }

    /// The domains of a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn domains(&self, tenant: TenantId) -> Result<Domains, RequestError> {
        self.get(&domains(tenant)).await
    }

    /// Notes a domain that is to be proved.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn add_domain(&self, tenant: TenantId, name: &str) -> Result<Domain, RequestError> {
        self.post(&domains(tenant), &NewDomain { name: name.to_owned() }).await
    }

    /// Has the server look for the proof.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn verify_domain(&self, tenant: TenantId, name: &str) -> Result<Domain, RequestError> {
        let path = format!("{}/{}/verify", domains(tenant), segment(name));
        self.fetch(Call::new(Method::POST, &path)).await
    }

    /// Takes a domain away from the tenant.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn remove_domain(&self, tenant: TenantId, name: &str) -> Result<(), RequestError> {
        let path = format!("{}/{}", domains(tenant), segment(name));
        self.done(Call::new(Method::DELETE, &path)).await
    }

    /// Says, as an administrator of the platform, that a domain is the tenant's that asked for it.
    ///
    /// # Errors
    /// As [`create_provider`](Self::create_provider).
    pub async fn confirm_domain(&self, tenant: TenantId, name: &str) -> Result<(), RequestError> {
        let path = format!("/api/v1/platform/tenants/{tenant}/domains/{}", segment(name));
        self.done(Call::new(Method::PUT, &path)).await
    }
}

fn providers(tenant: Option<TenantId>) -> String {
    match tenant {
        Some(tenant) => format!("/api/v1/tenants/{tenant}/providers"),
        None => "/api/v1/platform/providers".to_owned(),
    }
}

fn domains(tenant: TenantId) -> String {
    format!("/api/v1/tenants/{tenant}/domains")
}

/// A domain in a path: what cannot stand there is left out, and is no domain.
fn segment(name: &str) -> String {
    name.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-')).collect()
}
