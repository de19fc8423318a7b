// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server's work for a sign-in's first step, on the embedded engine: for an address that it knows, and for one that it
//! does not. The two must not differ by what anybody could measure. The second step's proof is a fraction of it.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark stops where it cannot measure")]

use custody::{Custody, RootKeys};
use divan::Bencher;
use identity::{DeviceInfo, Identity, Place, Settings, SignupFinish, SignupStart};
use keyring::password::{Login, Registration};
use keyring::{
    BackupCode, Email, EmailHash, EmailKey, KdfParams, MasterKey, MasterKeyPlace, MethodKind, Password,
    SystemRng,
};
use store::testing::TestStore;
use store::{Entry, Record, TenantId};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

#[divan::bench(args = ["ada@example.org", "nobody@example.org"], sample_count = 1000)]
fn start(bencher: Bencher, address: &str) {
    let runtime = Runtime::new().unwrap();
    let (store, identity) = runtime.block_on(server_with_ada());
    let email = Email::parse(address).unwrap().hash();
    let request = Login::start(&Password::new("x").unwrap(), &mut SystemRng).unwrap().1;
    bencher.bench_local(|| runtime.block_on(first_step(&store, &identity, &email, &request)));
}

async fn first_step(store: &TestStore, identity: &Identity, email: &EmailHash, request: &[u8]) -> String {
    let mut view = store.door.read(TenantId::PLATFORM).await.unwrap();
    identity.signin_start(&mut view, email, None, request).await.unwrap().state
}

async fn server_with_ada() -> (TestStore, Identity) {
    let store = store::testing::sqlite(&[custody::MIGRATIONS, identity::MIGRATIONS]).await.unwrap();
    let root = RootKeys::from_secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let mut tx = store.door.write(TenantId::PLATFORM, entry()).await.unwrap();
    let custody = Custody::open(root, &mut tx).await.unwrap();
    let settings = Settings { kdf: KdfParams::FLOOR, ..Settings::default() };
    let identity = Identity::open(custody, &mut tx, settings).await.unwrap();
    tx.commit(Record::about("server")).await.unwrap();

    let mut rng = SystemRng;
    let email = Email::parse("ada@example.org").unwrap();
    let email_key = EmailKey::from_bytes([7; 32]);
    let password = Password::new("correct horse").unwrap();
    let (registration, opaque_request) = Registration::start(&password, &mut rng).unwrap();
    let start = SignupStart {
        email_hash: email.hash(),
        email_key: email_key.clone(),
        sealed_email: email_key.seal(&email, &identity::NO_ACCOUNT, &mut rng),
        opaque_request,
    };
    let mut view = store.door.read(TenantId::PLATFORM).await.unwrap();
    let started = identity.signup_start(&mut view, &start).await.unwrap();
    let now = view.now();
    drop(view);
    let finished = registration.finish(&started.opaque_response, started.kdf, &mut rng).unwrap();
    let (master, public_key) = (MasterKey::generate(&mut rng), finished.secret.key_pair().public_key());
    let (account, method) =
        (started.account.into(), keyring::MethodId::from_bytes(*started.method.as_bytes()));
    let finish = SignupFinish {
        code: None,
        opaque_record: finished.upload,
        sealed_master_key: master.seal_to(
            &public_key,
            &MasterKeyPlace { account, method, key_version: 1 },
            &mut rng,
        ),
        tag: master.authenticate_method(&account, &method, MethodKind::Password, &public_key),
        public_key,
        backup_codes: BackupCode::generate_all(&mut rng).iter().map(|code| code.lookup(&account)).collect(),
        identity_public: master.account_key().identity_keys(1).public(),
        email_key,
        device: DeviceInfo::new("bench", "Linux").unwrap(),
    };
    let signup = identity.signup_verify(identity.signup_state(now, &started.state).unwrap(), finish).unwrap();
    let mut tx = store.door.write(TenantId::PLATFORM, entry()).await.unwrap();
    let reserved = identity.signup_reserve(&mut tx, signup).await.unwrap();
    tx.commit(Record::about("ada")).await.unwrap();
    store.door.create_tenant(reserved.home()).await.unwrap();
    let mut tx = store.door.write(reserved.home(), entry()).await.unwrap();
    let place = Place::of("192.0.2.1".parse().unwrap());
    identity.signup_found(&mut tx, &reserved, &place).await.unwrap();
    tx.commit(Record::about("ada")).await.unwrap();
    let mut tx = store.door.write(TenantId::PLATFORM, entry()).await.unwrap();
    identity.signup_live(&mut tx, &reserved).await.unwrap();
    tx.commit(Record::about("ada")).await.unwrap();
    (store, identity)
}

fn entry() -> Entry {
    Entry { actor: "bench".into(), via: String::new(), action: "bench".into(), request: String::new() }
}
