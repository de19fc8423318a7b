// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accounts by the thousand, cheaply: a client that says what every client says, and hashes nothing.
//!
//! The slow hash runs on clients alone, and the server cannot tell whether it ran: OPAQUE's messages are the same with any
//! key-stretching function. So this client uses none, and everything that the server does is what it does for everybody.
//! The rest of what a client makes (the method's keys, the sealed master key) is made once and shown for all.

use std::sync::OnceLock;

use data_encoding::BASE64URL_NOPAD;
use keyring::password::server::{RegistrationRecord, ServerSetup};
use keyring::{Email, EmailKey, MasterKey, MasterKeyPlace, MethodKind, MethodSecret, SystemRng};
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, Identifiers, RegistrationResponse, Ristretto255,
    TripleDh,
};
use rand_core_06::OsRng;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machine::cpu_of_this;
use crate::wire::{Answer, Wire};

/// Somebody with an account.
pub struct Somebody {
    email: Email,
    email_key: EmailKey,
    password: Vec<u8>,
    backup_codes: Vec<[u8; 32]>,
    /// The token of the newest session.
    pub token: String,
    /// The account's home.
    pub home: String,
    device_token: Option<String>,
}

/// A sign-in for which the client has its messages ready.
pub struct Proof {
    /// The request that finishes it.
    pub finish: Vec<u8>,
}

impl Somebody {
    /// Signs up somebody new.
    #[track_caller]
    pub fn signs_up(wire: &mut Wire) -> Self {
        let email = address("person");
        let email_key = EmailKey::from_bytes(random());
        let password = Uuid::new_v4().simple().to_string().into_bytes();
        let blinded = ClientRegistration::<Suite>::start(&mut OsRng, &password).expect("OPAQUE");
        let nobody_yet = keyring::AccountId::from_bytes([0; 16]);
        let started = wire
            .post(
                "/api/v1/signup/start",
                None,
                &json!({
                    "email_hash": text(email.hash().as_bytes()),
                    "email_key": text(email_key.expose()),
                    "sealed_email": text(email_key.seal(&email, &nobody_yet, &mut SystemRng).as_bytes()),
                    "opaque_request": text(&blinded.message.serialize()),
                }),
            )
            .json();
        let response =
            RegistrationResponse::deserialize(&bytes(&started["opaque_response"])).expect("OPAQUE");
        let registered = blinded
            .state
            .finish(&mut OsRng, &password, response, ClientRegistrationFinishParameters::default())
            .expect("OPAQUE");
        let backup_codes: Vec<[u8; 32]> = (0..10).map(|_| random()).collect();
        let keys = Keys::get();
        let finished = wire
            .post(
                "/api/v1/signup/finish",
                None,
                &json!({
                    "state": started["state"],
                    "opaque_upload": text(&registered.message.serialize()),
                    "email_key": text(email_key.expose()),
                    "kdf": started["kdf"],
                    "public_key": keys.public_key,
                    "sealed_master_key": keys.sealed_master_key,
                    "method_tag": keys.method_tag,
                    "identity": keys.identity,
                    "backup_codes": backup_codes.iter().map(|code| text(code)).collect::<Vec<_>>(),
                    "device": { "name": "bench", "platform": "bench" },
                }),
            )
            .json();
        let session = &finished["session"];
        let string = |name: &str| session[name].as_str().expect("a string").to_owned();
        Self {
            email,
            email_key,
            password,
            backup_codes,
            token: string("token"),
            home: string("home"),
            device_token: session["device_token"].as_str().map(str::to_owned),
        }
    }

    /// How many sign-ins are left: each takes a backup code.
    pub fn sign_ins_left(&self) -> usize {
        self.backup_codes.len()
    }

    /// Signs in with the password and the next backup code, on the known device.
    #[track_caller]
    pub fn signs_in(&mut self, wire: &mut Wire) {
        let blinded = ClientLogin::<Suite>::start(&mut OsRng, &self.password).expect("OPAQUE");
        let started = start(wire, &self.email, &blinded.message.serialize()).json();
        let response = CredentialResponse::deserialize(&bytes(&started["opaque_response"])).expect("OPAQUE");
        let parameters = ClientLoginFinishParameters::new(Some(CONTEXT), Identifiers::default(), None);
        let proven = blinded
            .state
            .finish(&mut OsRng, &self.password, response, parameters)
            .expect("the server knows the password, under the context of `keyring::password`");
        let code = self.backup_codes.pop().expect("a backup code");
        let answer = wire.post(
            "/api/v1/signin/password/finish",
            None,
            &json!({
                "state": started["state"],
                "opaque_finalization": text(&proven.message.serialize()),
                "email_key": text(self.email_key.expose()),
                "second_factor": { "backup_code": text(&code) },
                "device": { "token": self.device_token, "name": "bench", "platform": "bench" },
            }),
        );
        let signed_in = answer.json();
        assert_eq!(signed_in["new_device"], false, "the device is known");
        self.token = signed_in["session"]["token"].as_str().expect("a token").to_owned();
    }

    /// Her address.
    pub fn email(&self) -> &Email {
        &self.email
    }
}

/// An address that nobody has.
pub fn address(prefix: &str) -> Email {
    Email::parse(&format!("{prefix}-{}@example.org", Uuid::new_v4().simple())).expect("an address")
}

/// The request that starts a sign-in with any password.
pub fn start_request(wire: &Wire, email: &Email) -> Vec<u8> {
    let blinded = ClientLogin::<Suite>::start(&mut OsRng, b"a wrong password").expect("OPAQUE");
    wire.request("POST", START, None, "", Some(&start_body(email, &blinded.message.serialize())))
}

/// The request that finishes it with a proof that is none.
pub fn finish_request(wire: &Wire, started: &Answer) -> Proof {
    let body = json!({
        "state": started.json()["state"],
        "opaque_finalization": text(&[random::<32>(), random::<32>()].concat()),
        "email_key": text(&random::<32>()),
        "second_factor": { "backup_code": text(&random::<32>()) },
        "device": { "name": "bench", "platform": "bench" },
    });
    Proof { finish: wire.request("POST", "/api/v1/signin/password/finish", None, "", Some(&body)) }
}

/// Seconds of processor time that the server's side of OPAQUE takes for one sign-in, without anything around it.
pub fn opaque(count: u32) -> f64 {
    let setup = ServerSetup::generate(&mut SystemRng);
    let (index, password) = (random::<32>(), b"a password");
    let blinded = ClientRegistration::<Suite>::start(&mut OsRng, password).expect("OPAQUE");
    let response = setup.registration_response(&blinded.message.serialize(), &index).expect("OPAQUE");
    let response = RegistrationResponse::deserialize(&response).expect("OPAQUE");
    let registered =
        blinded.state.finish(&mut OsRng, password, response, ClientRegistrationFinishParameters::default());
    let upload = registered.expect("OPAQUE").message.serialize();
    let record = RegistrationRecord::from_upload(&upload).expect("OPAQUE").to_bytes();
    let blinded = ClientLogin::<Suite>::start(&mut OsRng, password).expect("OPAQUE").message.serialize();
    let before = cpu_of_this();
    for _ in 0..count {
        let record = RegistrationRecord::from_bytes(&record).expect("OPAQUE");
        let (state, _) = setup.login_start(Some(&record), &index, &blinded, &mut SystemRng).expect("OPAQUE");
        // Refused after the same work as what is accepted.
        assert!(state.finish(&[7; 64]).is_err());
    }
    (cpu_of_this() - before).as_secs_f64() / f64::from(count)
}

fn start(wire: &mut Wire, email: &Email, opaque_request: &[u8]) -> Answer {
    wire.post(START, None, &start_body(email, opaque_request))
}

fn start_body(email: &Email, opaque_request: &[u8]) -> Value {
    json!({ "email_hash": text(email.hash().as_bytes()), "opaque_request": text(opaque_request) })
}

/// What a client makes once, in the form in which it is sent.
struct Keys {
    public_key: String,
    sealed_master_key: String,
    method_tag: String,
    identity: String,
}

impl Keys {
    fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| {
            let (account, method) =
                (keyring::AccountId::from_bytes([1; 16]), keyring::MethodId::from_bytes([2; 16]));
            let pair = MethodSecret::from_bytes(&random::<32>()).expect("a secret").key_pair();
            let public_key = pair.public_key();
            let master = MasterKey::generate(&mut SystemRng);
            let place = MasterKeyPlace { account, method, key_version: 1 };
            let tag = master.authenticate_method(&account, &method, MethodKind::Password, &public_key);
            Self {
                sealed_master_key: text(master.seal_to(&public_key, &place, &mut SystemRng).as_bytes()),
                method_tag: text(tag.as_bytes()),
                identity: text(&master.account_key().identity_keys(1).public().to_bytes()),
                public_key: text(&public_key.to_bytes()),
            }
        })
    }
}

/// OPAQUE as `keyring` has it, without the slow hash.
struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2_010::Sha512>;
    type Ksf = opaque_ke::ksf::Identity;
}

/// Bytes as the protocol writes them.
pub fn text(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// What the protocol wrote.
pub fn bytes(text: &Value) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_str().expect("a string").as_bytes()).expect("base64url")
}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    use rand_core_06::RngCore;
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

const START: &str = "/api/v1/signin/password/start";
const CONTEXT: &[u8] = b"bailiwick/v1/password";
