// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server with its database and its clock, and people with their clients.

use custody::{Custody, RootKeys};
use identity::{
    AccountId, AuthenticatedSession, DeviceInfo, DeviceToken, Identity, LoginMethod, MethodId, NewSession,
    Place, SecondFactor, SessionError, SessionToken, Settings, SignedIn, SignedUp, SigninError, SigninFinish,
    Signup, SignupError, SignupFinish, SignupStart, SignupStarted, SteppedUp, TotpSecret,
};
use keyring::password::{Login, Registration};
use keyring::{
    BackupCode, Email, EmailKey, KdfParams, MasterKey, MasterKeyPlace, MethodKind, MethodSecret, Password,
    SystemRng,
};
use store::testing::TestStore;
use store::{Entry, ReadTx, Record, Store, TenantId, WriteTx};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;
const ROOMS: &[&[store::Migration]] = &[custody::MIGRATIONS, identity::MIGRATIONS];
const ROOT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) identity: Identity,
}

/// A world on each engine.
pub(crate) async fn worlds() -> Vec<World> {
    worlds_with(settings()).await
}

pub(crate) async fn worlds_with(settings: Settings) -> Vec<World> {
    let mut worlds = Vec::new();
    for store in store::testing::engines(ROOMS).await.unwrap() {
        let identity = open(&store, settings.clone()).await;
        worlds.push(World { store, identity });
    }
    worlds
}

/// As a server without configuration, but with the cheapest hash that clients accept.
pub(crate) fn settings() -> Settings {
    Settings { kdf: KdfParams::FLOOR, ..Settings::default() }
}

async fn open(store: &TestStore, settings: Settings) -> Identity {
    let mut tx = store.door.write(TenantId::PLATFORM, entry()).await.unwrap();
    let custody = Custody::open(RootKeys::from_secret(ROOT_KEY).unwrap(), &mut tx).await.unwrap();
    let identity = Identity::open(custody, &mut tx, settings).await.unwrap();
    tx.commit(Record::about("server")).await.unwrap();
    identity
}

impl World {
    pub(crate) async fn read(&self, tenant: TenantId) -> ReadTx {
        self.store.door.read(tenant).await.unwrap()
    }

    pub(crate) async fn write(&self, tenant: TenantId) -> WriteTx {
        self.enter(tenant).await.unwrap()
    }

    /// A transaction in a home that may not be there.
    pub(crate) async fn enter(&self, tenant: TenantId) -> Result<WriteTx, store::StoreError> {
        self.store.door.write(tenant, entry()).await
    }

    pub(crate) async fn directory(&self) -> WriteTx {
        self.write(TenantId::PLATFORM).await
    }

    pub(crate) fn now(&self) -> i64 {
        store::Clock::now_ms(&*self.store.clock)
    }

    pub(crate) fn wait(&self, ms: i64) {
        self.store.clock.advance(ms);
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(self) -> World {
        let settings = self.identity.settings().clone();
        self.store.store.close().await;
        let TestStore { name, store, door, clock, config, folder } = self.store;
        drop((store, door, self.identity));
        let (store, door) = Store::open(&config, ROOMS, clock.clone()).await.unwrap();
        let store = TestStore { name, store, door, clock, config, folder };
        let identity = open(&store, settings).await;
        World { store, identity }
    }

    pub(crate) async fn authenticate(
        &self,
        token: &SessionToken,
    ) -> Result<AuthenticatedSession, SessionError> {
        self.identity.authenticate(&mut self.read(token.home()).await, token).await
    }

    /// The session of a token that is good.
    pub(crate) async fn session(&self, token: &SessionToken) -> AuthenticatedSession {
        self.authenticate(token).await.unwrap()
    }

    pub(crate) async fn is_live(&self, token: &SessionToken) -> bool {
        self.authenticate(token).await.is_ok()
    }

    pub(crate) async fn signup_start(&self, person: &Person) -> (SignupStarted, Registration) {
        let (request, registration) = person.signup_request();
        let started =
            self.identity.signup_start(&mut self.read(TenantId::PLATFORM).await, &request).await.unwrap();
        (started, registration)
    }

    /// The whole finish, as the server calls it.
    pub(crate) async fn signup_finish(
        &self,
        state: &str,
        finish: SignupFinish,
    ) -> Result<SignedUp, SignupError> {
        let signup = self.identity.signup_verify(self.identity.signup_state(self.now(), state)?, finish)?;
        self.make(signup).await
    }

    /// What every finish comes to.
    pub(crate) async fn make(&self, signup: Signup) -> Result<SignedUp, SignupError> {
        let mut tx = self.directory().await;
        let reserved = self.identity.signup_reserve(&mut tx, signup).await?;
        commit(tx).await;

        self.store.door.create_tenant(reserved.home()).await.unwrap();
        let mut tx = self.write(reserved.home()).await;
        let signed_up = self.identity.signup_found(&mut tx, &reserved, &here()).await?;
        commit(tx).await;

        let mut tx = self.directory().await;
        self.identity.signup_live(&mut tx, &reserved).await?;
        commit(tx).await;
        Ok(signed_up)
    }

    /// Somebody who has just signed up.
    pub(crate) async fn sign_up(&self, name: &str) -> (Person, NewSession) {
        let mut person = Person::new(name);
        let (started, registration) = self.signup_start(&person).await;
        let finish = person.signup_finish(&started, registration, None);
        let signed_up = self.signup_finish(&started.state, finish).await.unwrap();
        person.totp = signed_up.totp.map(|totp| totp.secret);
        (person, signed_up.session)
    }

    /// The first half of a sign-in: the state, and the proof that the client makes of its password.
    pub(crate) async fn prove(&self, person: &Person, password: &str) -> (String, Vec<u8>) {
        let password = Password::new(password).unwrap();
        let (login, request) = Login::start(&password, &mut SystemRng).unwrap();
        let mut view = self.read(TenantId::PLATFORM).await;
        let started =
            self.identity.signin_start(&mut view, &person.email.hash(), None, &request).await.unwrap();
        let proof = match login.finish(&started.opaque_response, started.kdf, &mut SystemRng) {
            Ok(finished) => finished.finalization,
            Err(_) => vec![7; 64],
        };
        (started.state, proof)
    }

    /// The second half, as the server calls it.
    pub(crate) async fn finish(
        &self,
        state: &str,
        proof: &[u8],
        finish: &SigninFinish,
    ) -> Result<SignedIn, SigninError> {
        let state = self.identity.signin_state(self.now(), state)?;
        let proven = self.identity.signin_verify(self.now(), state, proof)?;
        let mut tx = self.write(proven.home()).await;
        let signed_in = self.identity.signin_finish(&mut tx, &proven, finish, &here()).await?;
        tx.commit(Record::about("test")).await?;
        Ok(signed_in)
    }

    pub(crate) async fn try_sign_in(
        &self,
        person: &Person,
        factor: SecondFactor,
    ) -> Result<SignedIn, SigninError> {
        let (state, proof) = self.prove(person, &person.password).await;
        self.finish(&state, &proof, &person.signin_finish(factor)).await
    }

    /// Signs in with the authenticator's next code.
    pub(crate) async fn sign_in(&self, person: &Person) -> SignedIn {
        self.try_sign_in(person, self.next_code(person)).await.unwrap()
    }

    /// The code of the next step, half a minute later.
    pub(crate) fn next_code(&self, person: &Person) -> SecondFactor {
        self.wait(30_000);
        SecondFactor::Totp(person.totp().code_at(self.now()))
    }

    /// Proves both factors again.
    pub(crate) async fn step_up(
        &self,
        person: &Person,
        token: &SessionToken,
    ) -> Result<SteppedUp, SigninError> {
        let (state, proof) = self.stepup_prove(person, token).await;
        let factor = self.next_code(person);
        self.stepup_finish(person, token, &state, &proof, factor).await
    }

    pub(crate) async fn stepup_prove(&self, person: &Person, token: &SessionToken) -> (String, Vec<u8>) {
        let session = self.session(token).await;
        let password = Password::new(&person.password).unwrap();
        let (login, request) = Login::start(&password, &mut SystemRng).unwrap();
        let mut view = self.read(TenantId::PLATFORM).await;
        let started = self.identity.stepup_start(&mut view, &session, &request).await.unwrap();
        let finished = login.finish(&started.opaque_response, started.kdf, &mut SystemRng).unwrap();
        (started.state, finished.finalization)
    }

    pub(crate) async fn stepup_finish(
        &self,
        person: &Person,
        token: &SessionToken,
        state: &str,
        proof: &[u8],
        factor: SecondFactor,
    ) -> Result<SteppedUp, SigninError> {
        let session = self.authenticate(token).await.map_err(|_| SigninError::InvalidCredentials)?;
        let state = self.identity.stepup_state(self.now(), &session, state)?;
        let proven = self.identity.signin_verify(self.now(), state, proof)?;
        let mut tx = self.write(proven.home()).await;
        let stepped =
            self.identity.stepup_finish(&mut tx, &session, &proven, &factor, &person.email_key).await?;
        tx.commit(Record::about("test")).await?;
        Ok(stepped)
    }
}

/// Somebody with a client.
pub(crate) struct Person {
    pub(crate) email: Email,
    pub(crate) password: String,
    pub(crate) email_key: EmailKey,
    pub(crate) master: MasterKey,
    pub(crate) codes: [BackupCode; 10],
    pub(crate) account: AccountId,
    pub(crate) home: TenantId,
    pub(crate) method: MethodId,
    pub(crate) totp: Option<TotpSecret>,
    pub(crate) device_token: Option<DeviceToken>,
    /// What the password unlocks with.
    pub(crate) secret: Option<MethodSecret>,
}

impl Person {
    pub(crate) fn new(name: &str) -> Self {
        let mut rng = SystemRng;
        Person {
            email: Email::parse(&format!("{name}@example.org")).unwrap(),
            password: format!("correct horse of {name}"),
            // The server never derives it, so the tests save the hash.
            email_key: EmailKey::from_bytes(
                keyring::sealed::SealingKey::generate(&mut rng).expose().to_owned(),
            ),
            master: MasterKey::generate(&mut rng),
            codes: BackupCode::generate_all(&mut rng),
            account: AccountId::random(),
            home: TenantId::random(),
            method: MethodId::random(),
            totp: None,
            device_token: None,
            secret: None,
        }
    }

    pub(crate) fn totp(&self) -> &TotpSecret {
        self.totp.as_ref().unwrap()
    }

    pub(crate) fn signup_request(&self) -> (SignupStart, Registration) {
        let password = Password::new(&self.password).unwrap();
        let (registration, opaque_request) = Registration::start(&password, &mut SystemRng).unwrap();
        let sealed_email = self.email_key.seal(&self.email, &identity::NO_ACCOUNT, &mut SystemRng);
        let request = SignupStart {
            email_hash: self.email.hash(),
            email_key: self.email_key.clone(),
            sealed_email,
            opaque_request,
        };
        (request, registration)
    }

    pub(crate) fn signup_finish(
        &mut self,
        started: &SignupStarted,
        registration: Registration,
        code: Option<&str>,
    ) -> SignupFinish {
        (self.account, self.home, self.method) = (started.account, started.home, started.method);
        let finished = registration.finish(&started.opaque_response, started.kdf, &mut SystemRng).unwrap();
        let public_key = finished.secret.key_pair().public_key();
        let sealed_master_key =
            self.master.seal_to(&public_key, &self.place(started.method, 1), &mut SystemRng);
        let tag = self.tag(started.method, &public_key);
        self.secret = Some(finished.secret);
        SignupFinish {
            code: code.map(|code| code.to_owned().into()),
            opaque_record: finished.upload,
            public_key,
            sealed_master_key,
            tag,
            backup_codes: self.codes.iter().map(|code| code.lookup(&self.account.into())).collect(),
            identity_public: self.master.account_key().identity_keys(1).public(),
            email_key: self.email_key.clone(),
            device: device("first laptop"),
        }
    }

    pub(crate) fn signin_finish(&self, factor: SecondFactor) -> SigninFinish {
        SigninFinish {
            factor,
            email_key: self.email_key.clone(),
            device: device("laptop"),
            device_token: self.device_token.clone(),
        }
    }

    pub(crate) fn backup_code(&self, number: usize) -> SecondFactor {
        SecondFactor::BackupCode(self.codes[number].lookup(&self.account.into()))
    }

    pub(crate) fn place(&self, method: MethodId, key_version: u32) -> MasterKeyPlace {
        let method = keyring::MethodId::from_bytes(*method.as_bytes());
        MasterKeyPlace { account: self.account.into(), method, key_version }
    }

    pub(crate) fn tag(&self, method: MethodId, public_key: &keyring::MethodPublicKey) -> keyring::MethodTag {
        let method = keyring::MethodId::from_bytes(*method.as_bytes());
        self.master.authenticate_method(&self.account.into(), &method, MethodKind::Password, public_key)
    }

    /// Opens the master key that a sign-in gave, as the client does.
    pub(crate) fn opens(&self, signed_in: &SignedIn) -> bool {
        let pair = self.secret.as_ref().unwrap().key_pair();
        let unlocking = signed_in.method.unlocking.as_ref().unwrap();
        let place = self.place(signed_in.method.id, unlocking.master_key_version);
        unlocking.sealed_master_key.open(&pair, &place).is_ok_and(|key| key == self.master)
    }
}

pub(crate) fn device(name: &str) -> DeviceInfo {
    DeviceInfo::new(name, "Linux").unwrap()
}

pub(crate) fn here() -> Place {
    Place::of("192.0.2.17".parse().unwrap())
}

pub(crate) async fn commit(tx: WriteTx) {
    tx.commit(Record::about("test")).await.unwrap();
}

fn entry() -> Entry {
    Entry { actor: "test".into(), via: String::new(), action: "test".into(), request: "req_test".into() }
}

/// The public key of a method that unlocks.
pub(crate) fn public_key(method: &LoginMethod) -> keyring::MethodPublicKey {
    keyring::MethodPublicKey::from_bytes(&method.unlocking.as_ref().unwrap().public_key).unwrap()
}
