// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys against the real server: whole ceremonies with an authenticator in software and with a real browser's, and what
//! a thief would try.

use std::sync::Mutex;

use client::passkey::{AuthenticatorError, Created, PasskeyError, Shown, SignedInByPasskey};
use client::{Client, Drive, Options, Proof, RemotePath, SignIn, Unlocked};
use data_encoding::BASE64URL_NOPAD;
use harness::{
    Authenticator, Chromium, Exchange, Factor, Machine, Person, Recorder, Request, Secrets, World,
    on_both_engines,
};
use keyring::passkey::PRF_INPUT;
use protocol::Secret;
use protocol::passkeys::{CreationOptions, CredentialDescriptor, RequestOptions};
use serde_json::{Value, json};

on_both_engines!(
    a_passkey_signs_in_without_an_address_and_opens_the_same_files,
    an_authenticator_that_evaluates_later_is_asked_once_more,
    a_passkey_without_prf_signs_in_and_leaves_the_data_locked,
    a_passkey_outlives_a_new_password_and_a_new_master_key,
    a_passkey_makes_a_session_fresh,
    an_assertion_works_once_and_every_wrong_one_is_answered_alike,
    a_lock_on_passwords_locks_no_passkey,
    whoever_guesses_at_passkeys_has_to_wait,
    nothing_of_a_passkey_that_unlocks_or_names_is_kept_in_plain,
    a_real_browser_makes_a_passkey_and_signs_in_with_it,
);

/// An authenticator in software, on a page of the server's own.
struct InSoftware(Authenticator);

impl InSoftware {
    fn of(world: &World) -> Self {
        Self(Authenticator::on(&origin(world)))
    }
}

impl client::passkey::Authenticator for InSoftware {
    async fn create(&self, options: &CreationOptions) -> Result<Created, AuthenticatorError> {
        let made = self.0.create(
            &options.rp.id,
            options.challenge.as_slice(),
            options.user.id.as_slice(),
            &ids(&options.exclude_credentials),
            Some(options.extensions.prf.eval.first.as_slice()),
        );
        let made = made.ok_or(AuthenticatorError::AlreadyThere)?;
        Ok(Created {
            id: made.id,
            client_data_json: made.client_data_json,
            attestation_object: made.attestation_object,
            has_prf: made.prf_enabled,
            prf: made.prf.map(Into::into),
        })
    }

    async fn get(&self, options: &RequestOptions) -> Result<Shown, AuthenticatorError> {
        let shown = self.0.get(
            &options.rp_id,
            options.challenge.as_slice(),
            &ids(&options.allow_credentials),
            Some(options.extensions.prf.eval.first.as_slice()),
        );
        let shown = shown.ok_or(AuthenticatorError::NotAllowed)?;
        Ok(Shown {
            id: shown.id,
            user_handle: shown.user_handle,
            client_data_json: shown.client_data_json,
            authenticator_data: shown.authenticator_data,
            signature: shown.signature,
            prf: shown.prf.map(Into::into),
        })
    }
}

fn ids(descriptors: &[CredentialDescriptor]) -> Vec<Vec<u8>> {
    descriptors.iter().map(|descriptor| descriptor.id.as_slice().to_vec()).collect()
}

/// The page that a browser shows, by the name that passkeys are bound to on this machine.
fn origin(world: &World) -> String {
    world.url().replace("127.0.0.1", "localhost")
}

fn client_of(world: &World) -> Client {
    Client::new(&world.url(), &Options::default()).unwrap()
}

fn device() -> protocol::signin::Device {
    protocol::signin::Device { token: None, name: "a browser".into(), platform: "test".into() }
}

/// Waits for what the client does.
fn done<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A fresh session of the client library, by password.
fn unlocked(world: &World, person: &Person) -> Unlocked {
    let proof = match person.factor() {
        Factor::Otp(code) => Proof::Totp(Secret::from(code)),
        Factor::BackupCode(code) => Proof::BackupCode(Secret::from(code)),
    };
    let client = client_of(world);
    done(async {
        let password = person.password.borrow().clone();
        let started = SignIn::start(&client, &person.email, &password, None).await.unwrap();
        started.finish(proof, device()).await.unwrap().account
    })
}

/// Somebody with a file and a passkey.
fn with_passkey(world: &World) -> (Machine, Person, InSoftware) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let letter = laptop.scratch("letter");
    std::fs::write(&letter, &ada.email).unwrap();
    laptop.put(&letter, "letter").done();
    let phone = InSoftware::of(world);
    let added = done(unlocked(world, &ada).add_passkey(&phone, "phone")).unwrap();
    assert!(added.unlocks);
    (laptop, ada, phone)
}

fn sign_in(
    world: &World,
    authenticator: &impl client::passkey::Authenticator,
) -> Result<SignedInByPasskey, PasskeyError> {
    done(client_of(world).sign_in_with_passkey(authenticator, device()))
}

#[track_caller]
fn opens_her_files(world: &World, ada: &Person, authenticator: &impl client::passkey::Authenticator) {
    let SignedInByPasskey::Unlocked(signed_in) = sign_in(world, authenticator).unwrap() else {
        panic!("the passkey unlocks");
    };
    assert_eq!(signed_in.account.number, ada.account_id);
    let fetched = world.folder().join("fetched");
    let _ = std::fs::remove_file(&fetched);
    done(async {
        let drive = Drive::open(&signed_in.account).await.unwrap();
        let names: Vec<_> =
            drive.list().await.unwrap().into_iter().map(|file| file.content.path.to_string()).collect();
        assert_eq!(names, [RemotePath::parse("letter").unwrap().to_string()]);
    });
}

fn a_passkey_signs_in_without_an_address_and_opens_the_same_files(world: World) {
    let (laptop, ada, phone) = with_passkey(&world);
    opens_her_files(&world, &ada, &phone);
    let letters = world.letters();
    for told in ["A passkey was added", "New device signed in"] {
        assert!(letters.iter().any(|letter| letter.contains(told)), "{told}");
    }
    let listed = laptop.run(["passkeys", "--json"]).json();
    let passkeys = listed["methods"].as_array().unwrap();
    assert_eq!((passkeys.len(), &passkeys[0]["label"]), (1, &json!("phone")));
    assert!(!passkeys[0]["last_used_at"].is_null());
    // The authenticator that has one is not given a second.
    let again = done(unlocked(&world, &ada).add_passkey(&phone, ""));
    assert!(matches!(again, Err(PasskeyError::Authenticator(AuthenticatorError::AlreadyThere))));
    // Another is.
    let key = InSoftware::of(&world);
    done(unlocked(&world, &ada).add_passkey(&key, "key")).unwrap();
    opens_her_files(&world, &ada, &key);
    opens_her_files(&world, &ada, &phone);
    laptop.verified_records();
}

fn an_authenticator_that_evaluates_later_is_asked_once_more(world: World) {
    let ada = world.machine().sign_up();
    let key =
        InSoftware(Authenticator { evaluates_at_creation: false, ..Authenticator::on(&origin(&world)) });
    assert!(done(unlocked(&world, &ada).add_passkey(&key, "")).unwrap().unlocks);
    assert!(matches!(sign_in(&world, &key).unwrap(), SignedInByPasskey::Unlocked(_)));
}

fn a_passkey_without_prf_signs_in_and_leaves_the_data_locked(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let key = InSoftware(Authenticator { has_prf: false, ..Authenticator::on(&origin(&world)) });
    assert!(!done(unlocked(&world, &ada).add_passkey(&key, "old key")).unwrap().unlocks);
    let SignedInByPasskey::Locked(locked) = sign_in(&world, &key).unwrap() else {
        panic!("it cannot unlock");
    };
    assert!(locked.to_string().contains("stay locked"), "{locked}");
    assert_eq!(done(locked.client.account()).unwrap().number, ada.account_id);
    assert!(laptop.run(["passkeys"]).done().stdout.contains("stay locked"));
    // It is no way out for the password, which alone opens the data.
    let methods = done(locked.client.methods()).unwrap().methods;
    let password = methods.iter().find(|method| method.kind == "password").unwrap();
    let token = unlocked(&world, &ada).client.token().unwrap();
    let answer = Request::new("delete", &format!("/api/v1/account/methods/{}", password.id))
        .bearer(token.expose())
        .send(&world.url());
    assert_eq!((answer.status, code(&answer)), (409, "last_method".into()));
}

fn a_passkey_outlives_a_new_password_and_a_new_master_key(world: World) {
    let (laptop, ada, phone) = with_passkey(&world);
    laptop.change_password(&ada, "another correct horse").done();
    opens_her_files(&world, &ada, &phone);
    laptop.rotate_key(&ada).done();
    opens_her_files(&world, &ada, &phone);
}

fn a_passkey_makes_a_session_fresh(world: World) {
    let (_, ada, phone) = with_passkey(&world);
    let account = unlocked(&world, &ada);
    let before = account.client.token().unwrap();
    let after = done(account.client.step_up_with_passkey(&phone)).unwrap();
    assert_ne!(before.expose(), after.expose());
    let asked = |token: &str| Request::new("get", "/api/v1/account").bearer(token).send(&world.url()).status;
    assert_eq!((asked(before.expose()), asked(after.expose())), (401, 200));
    // Nobody else's does, and none that was made for nobody.
    let bea = world.machine().sign_up();
    let stranger = unlocked(&world, &bea);
    let refused = done(stranger.client.step_up_with_passkey(&phone));
    assert!(refused.is_err());
    // Without a session's own token there is nothing to make fresh and nothing to add.
    let token = done(account.client.access_token()).unwrap().access_token;
    for path in ["/api/v1/step-up/passkey/start", "/api/v1/account/passkeys/start"] {
        let answer = Request::new("post", path).bearer(token.expose()).send(&world.url());
        assert_eq!(answer.status, 403, "{path}");
    }
}

/// A sign-in in the hands of somebody who changes what is sent.
struct Attempt<'a> {
    world: &'a World,
    state: Value,
    challenge: Vec<u8>,
}

impl<'a> Attempt<'a> {
    fn started(world: &'a World) -> Self {
        let answer = Request::new("post", "/api/v1/signin/passkey/start").send(&world.url());
        let started: Value = serde_json::from_slice(&answer.response).unwrap();
        let challenge = started["options"]["challenge"].as_str().unwrap();
        assert_eq!(started["options"]["userVerification"], "required");
        assert_eq!(started["options"]["rpId"], "localhost");
        assert_eq!(started["options"]["allowCredentials"], json!([]));
        Self {
            world,
            challenge: BASE64URL_NOPAD.decode(challenge.as_bytes()).unwrap(),
            state: started["state"].clone(),
        }
    }

    fn shown_by(&self, authenticator: &Authenticator) -> harness::Shown {
        authenticator.get("localhost", &self.challenge, &[], None).expect("a passkey")
    }

    fn finish(&self, shown: &harness::Shown) -> Exchange {
        let text = |bytes: &[u8]| json!(BASE64URL_NOPAD.encode(bytes));
        let body = json!({
            "state": self.state,
            "user_handle": text(&shown.user_handle),
            "credential": {
                "id": text(&shown.id),
                "client_data_json": text(&shown.client_data_json),
                "authenticator_data": text(&shown.authenticator_data),
                "signature": text(&shown.signature),
            },
            "device": { "name": "a browser", "platform": "test" },
        });
        Request::new("post", "/api/v1/signin/passkey/finish").json(&body).send(&self.world.url())
    }
}

fn code(answer: &Exchange) -> String {
    let problem: Value = serde_json::from_slice(&answer.response).unwrap();
    problem["code"].as_str().unwrap_or_default().to_owned()
}

fn an_assertion_works_once_and_every_wrong_one_is_answered_alike(world: World) {
    let (laptop, _, phone) = with_passkey(&world);
    let phone = phone.0;
    let attempt = Attempt::started(&world);
    let shown = attempt.shown_by(&phone);
    assert_eq!(attempt.finish(&shown).status, 200);

    let again = Attempt::started(&world);
    let with = |change: fn(&mut harness::Shown)| {
        let mut shown = again.shown_by(&phone);
        change(&mut shown);
        again.finish(&shown)
    };
    let by = |change: fn(&mut Authenticator)| {
        let mut liar = phone.copied();
        change(&mut liar);
        again.finish(&again.shown_by(&liar))
    };
    let tries: [(&str, &dyn Fn() -> Exchange); 13] = [
        ("a replay", &|| attempt.finish(&shown)),
        ("a replay with a new challenge", &|| again.finish(&shown)),
        ("an unknown handle", &|| with(|shown| shown.user_handle = vec![7; 16])),
        ("a handle of another length", &|| with(|shown| shown.user_handle = vec![7; 20])),
        ("an unknown passkey", &|| with(|shown| shown.id = vec![7; 32])),
        ("a changed signature", &|| with(|shown| *shown.signature.last_mut().unwrap() ^= 1)),
        ("a changed counter", &|| with(|shown| shown.authenticator_data[36] ^= 0x40)),
        ("an answer that is none", &|| with(|shown| shown.client_data_json = b"{}".to_vec())),
        ("another page", &|| by(|liar| liar.origin = "https://evil.example".into())),
        ("another domain", &|| by(|liar| liar.rp_id = Some("evil.example".into()))),
        ("nobody verified", &|| by(|liar| liar.verifies_user = false)),
        ("a counter that went back", &|| by(|liar| liar.count = Mutex::new(1))),
        ("a counter that stopped", &|| by(|liar| liar.count = Mutex::new(0))),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for (number, (what, tried)) in tries.iter().enumerate() {
        let answer = tried();
        assert_eq!((answer.status, code(&answer)), (401, "invalid_credentials".into()), "{what}");
        let mut problem = answer.json();
        problem["request"].take();
        answers.push(problem);
        // The owner comes in between: what failed is forgiven, and none of it harmed the passkey.
        if number % 4 == 3 {
            let hers = Attempt::started(&world);
            assert_eq!(hers.finish(&hers.shown_by(&phone)).status, 200, "after {what}");
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all: {answers:?}");
    let last = Attempt::started(&world);
    assert_eq!(last.finish(&last.shown_by(&phone)).status, 200);
    laptop.verified_records();
}

fn a_lock_on_passwords_locks_no_passkey(world: World) {
    let (_, ada, phone) = with_passkey(&world);
    let password = keyring::Password::new("not the password").unwrap();
    let (_, opaque_request) = keyring::password::Login::start(&password, &mut keyring::SystemRng).unwrap();
    let email = keyring::Email::parse(&ada.email).unwrap().hash();
    let text = |bytes: &[u8]| json!(BASE64URL_NOPAD.encode(bytes));
    let guess = json!({ "email_hash": text(email.as_bytes()), "opaque_request": text(&opaque_request) });
    let guess = Request::new("post", "/api/v1/signin/password/start").json(&guess);
    assert!((0..20).any(|_| guess.send(&world.url()).status == 429), "passwords are locked by now");
    opens_her_files(&world, &ada, &phone);
}

fn whoever_guesses_at_passkeys_has_to_wait(world: World) {
    let attempt = Attempt::started(&world);
    let stranger = Authenticator::on(&origin(&world));
    stranger.create("localhost", &[1; 32], &[9; 16], &[], None).unwrap();
    let mut answers = (0..100).map(|_| attempt.finish(&attempt.shown_by(&stranger)));
    let waits = answers.find(|answer| answer.status == 429).expect("guessing is slowed down");
    assert!(waits.header("retry-after").is_some());
}

fn nothing_of_a_passkey_that_unlocks_or_names_is_kept_in_plain(mut world: World) {
    world.set("BAILIWICK_LOG_LEVEL", "trace");
    world.restart();
    let wire = Recorder::before(&world.url());
    let ada = world.machine().sign_up();
    let phone = InSoftware::of(&world);
    let account = unlocked(&world, &ada);
    let through = Client::new(wire.url(), &Options::default()).unwrap();
    through.set_token(account.client.token());
    done(Unlocked { client: through.clone(), ..account }.add_passkey(&phone, "phone")).unwrap();
    done(through.sign_in_with_passkey(&phone, device())).unwrap();

    let shown = phone.0.get("localhost", &[1; 32], &[], Some(PRF_INPUT)).unwrap();
    let mut unlocks = Secrets::new();
    unlocks.add("the output of the PRF", shown.prf.unwrap());
    for exchange in wire.exchanges() {
        let sent = [&exchange.request[..], &exchange.response[..]].concat();
        assert_eq!(unlocks.in_bytes(&sent), [""; 0], "{}", exchange.path);
    }
    let mut names = unlocks;
    names.add("the user handle", &shown.user_handle);
    names.add("the credential id", &shown.id);
    world.stop();
    assert_eq!(names.under(world.data()), [""; 0]);
    assert_eq!(names.in_bytes(world.log().as_bytes()), [""; 0]);
    if world.engine() == harness::Engine::Postgresql {
        assert_eq!(names.in_bytes(&world.database().dump()), [""; 0]);
    }
}

/// A browser's own authenticator, asked by the page as a front end would ask it.
struct InBrowser(Mutex<Chromium>);

impl InBrowser {
    fn ask(&self, script: &str, options: Value) -> Result<Value, AuthenticatorError> {
        let script = format!("{{ {SCRIPT}; ({script})({options}) }}");
        let answer = self.0.lock().unwrap().evaluate(&script);
        match answer["error"].as_str() {
            None => Ok(answer),
            Some("NotAllowedError") => Err(AuthenticatorError::NotAllowed),
            Some("InvalidStateError") => Err(AuthenticatorError::AlreadyThere),
            Some(other) => Err(AuthenticatorError::Failed(other.to_owned())),
        }
    }
}

/// What every page of a front end does: options as they came, answers as base64url.
const SCRIPT: &str = r#"
    const text = (bytes) => bytes && btoa(String.fromCharCode(...new Uint8Array(bytes)))
        .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const asked = async (promise) => {
        try {
            const credential = await promise, response = credential.response;
            const { prf } = credential.getClientExtensionResults();
            return {
                id: credential.id, client_data_json: text(response.clientDataJSON),
                attestation_object: text(response.attestationObject),
                authenticator_data: text(response.authenticatorData), signature: text(response.signature),
                user_handle: text(response.userHandle), has_prf: prf?.enabled, prf: text(prf?.results?.first),
            };
        } catch (error) {
            return { error: error.name };
        }
    }
"#;

fn bytes(answer: &Value, name: &str) -> Vec<u8> {
    let text = answer[name].as_str().unwrap_or_default();
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

fn prf(answer: &Value) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    answer["prf"].is_string().then(|| bytes(answer, "prf").into())
}

impl client::passkey::Authenticator for InBrowser {
    async fn create(&self, options: &CreationOptions) -> Result<Created, AuthenticatorError> {
        let script = "(options) => asked(navigator.credentials.create(
            { publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }))";
        let made = self.ask(script, serde_json::to_value(options).unwrap())?;
        Ok(Created {
            id: bytes(&made, "id"),
            client_data_json: bytes(&made, "client_data_json"),
            attestation_object: bytes(&made, "attestation_object"),
            has_prf: made["has_prf"] == true,
            prf: prf(&made),
        })
    }

    async fn get(&self, options: &RequestOptions) -> Result<Shown, AuthenticatorError> {
        let script = "(options) => asked(navigator.credentials.get(
            { publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }))";
        let shown = self.ask(script, serde_json::to_value(options).unwrap())?;
        Ok(Shown {
            id: bytes(&shown, "id"),
            user_handle: bytes(&shown, "user_handle"),
            client_data_json: bytes(&shown, "client_data_json"),
            authenticator_data: bytes(&shown, "authenticator_data"),
            signature: bytes(&shown, "signature"),
            prf: prf(&shown),
        })
    }
}

fn a_real_browser_makes_a_passkey_and_signs_in_with_it(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let letter = laptop.scratch("letter");
    std::fs::write(&letter, "dear").unwrap();
    laptop.put(&letter, "letter").done();

    let browser = InBrowser(Mutex::new(Chromium::on(&format!("{}/livez", origin(&world)))));
    let account = unlocked(&world, &ada);
    assert!(done(account.add_passkey(&browser, "browser")).unwrap().unlocks);
    opens_her_files(&world, &ada, &browser);
    done(account.client.step_up_with_passkey(&browser)).unwrap();
    let again = done(account.add_passkey(&browser, ""));
    assert!(matches!(again, Err(PasskeyError::Authenticator(AuthenticatorError::AlreadyThere))));
    opens_her_files(&world, &ada, &browser);

    // On a page by another name the browser itself refuses, and so would the server.
    let elsewhere = InBrowser(Mutex::new(Chromium::on(&format!("{}/livez", world.url()))));
    let refused = sign_in(&world, &elsewhere);
    assert!(matches!(refused, Err(PasskeyError::Authenticator(_))));
}
