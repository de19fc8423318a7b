// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys against the real server: whole ceremonies with an authenticator in software and with a real browser's, and what
//! a thief would try.

use std::sync::Mutex;

use client::passkey::{AuthenticatorError, PasskeyError, PasskeySignUp, SignedInByPasskey};
use client::{Client, Drive, Options, RemotePath, Unlocked};
use data_encoding::BASE64URL_NOPAD;
use harness::{
    Authenticator, Engine, Exchange, Machine, Person, Recorder, Request, Secrets, World, on_both_engines,
};
use keyring::passkey::PRF_INPUT;
use serde_json::{Value, json};

use crate::front_end::{InBrowser, InSoftware, client_of, device, done, origin, unlocked};

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
    a_count_that_went_back_is_told_to_the_owner_once_a_day_and_to_nobody_else,
    an_account_is_made_with_a_passkey_and_no_password,
    a_passkey_that_cannot_unlock_makes_no_account,
    what_is_changed_in_a_sign_up_with_a_passkey_makes_no_account,
    an_account_of_a_passkey_gets_a_password_after_a_second_factor,
    a_real_browser_makes_a_passkey_and_signs_in_with_it,
    a_real_browser_makes_an_account_with_a_passkey,
);

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
    for told in ["A passkey was added", "New device signed in"] {
        world.letter(&[told]);
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
    if world.engine() == Engine::Postgresql {
        assert_eq!(names.in_bytes(&world.database().dump()), [""; 0]);
    }
}

fn a_real_browser_makes_a_passkey_and_signs_in_with_it(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let letter = laptop.scratch("letter");
    std::fs::write(&letter, "dear").unwrap();
    laptop.put(&letter, "letter").done();

    let browser = InBrowser::on(&format!("{}/livez", origin(&world)));
    let account = unlocked(&world, &ada);
    assert!(done(account.add_passkey(&browser, "browser")).unwrap().unlocks);
    opens_her_files(&world, &ada, &browser);
    done(account.client.step_up_with_passkey(&browser)).unwrap();
    let again = done(account.add_passkey(&browser, ""));
    assert!(matches!(again, Err(PasskeyError::Authenticator(AuthenticatorError::AlreadyThere))));
    opens_her_files(&world, &ada, &browser);

    // On a page by another name the browser itself refuses, and so would the server.
    let elsewhere = InBrowser::on(&format!("{}/livez", world.url()));
    let refused = sign_in(&world, &elsewhere);
    assert!(matches!(refused, Err(PasskeyError::Authenticator(_))));
}

fn a_count_that_went_back_is_told_to_the_owner_once_a_day_and_to_nobody_else(mut world: World) {
    let (laptop, ada, phone) = with_passkey(&world);
    let thief = phone.0.copied();
    opens_her_files(&world, &ada, &phone);
    opens_her_files(&world, &ada, &phone);
    for _ in 0..3 {
        let attempt = Attempt::started(&world);
        let answer = attempt.finish(&attempt.shown_by(&thief));
        assert_eq!((answer.status, code(&answer)), (401, "invalid_credentials".into()));
        assert!(!String::from_utf8_lossy(&answer.response).contains("count"));
        *thief.count.lock().unwrap() = 1;
    }
    // A step-up with it is told as well, but not twice a day.
    let account = unlocked(&world, &ada);
    *phone.0.count.lock().unwrap() = 1;
    assert!(done(account.client.step_up_with_passkey(&phone)).is_err());
    let refused =
        |laptop: &Machine| laptop.log().iter().filter(|record| record["action"] == "passkey.refuse").count();
    assert!((0..100).any(|_| refused(&laptop) == 1), "in the history once, as in the mailbox");
    laptop.verified_records();
    world.stop();
    let told: Vec<_> =
        world.letters().into_iter().filter(|letter| letter.contains("may have been copied")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("phone") && told[0].contains("revoke this passkey"), "{told:?}");
}

/// An address that nobody has.
fn somebody() -> String {
    format!("{}@example.org", harness::unique("person-"))
}

/// An account that was made with a passkey alone.
fn signed_up(world: &World, email: &str, authenticator: &impl client::passkey::Authenticator) -> Unlocked {
    let client = client_of(world);
    done(async {
        let sign_up = PasskeySignUp::start(&client, email).await.unwrap();
        assert!(!sign_up.code_required());
        sign_up.finish(authenticator, "phone", None, device()).await.unwrap().0
    })
}

/// Puts what the file `letter` holds for whoever looks for it.
fn put_letter(world: &World, account: &Unlocked) {
    let letter = world.folder().join("letter");
    std::fs::write(&letter, "dear").unwrap();
    done(async {
        let mut drive = Drive::open(account).await.unwrap();
        drive.ensure().await.unwrap();
        let bytes = std::fs::File::open(&letter).unwrap();
        let path = RemotePath::parse("letter").unwrap();
        drive.put_stream(bytes, &path, world.folder(), &|_| {}).await.unwrap();
    });
}

fn person_of(account: &Unlocked, email: &str) -> Person {
    Person::new(email, "", &account.number, &"A".repeat(32), Vec::new())
}

fn an_account_is_made_with_a_passkey_and_no_password(world: World) {
    let (email, phone) = (somebody(), InSoftware::of(&world));
    let account = signed_up(&world, &email, &phone);
    put_letter(&world, &account);
    let ada = person_of(&account, &email);
    opens_her_files(&world, &ada, &phone);

    // A recovery key is offered, and opens the same; the command line takes it from there.
    let paper = done(account.add_recovery_key("paper")).unwrap();
    let laptop = world.machine();
    let login = ["login", "--recovery-key-stdin", "--json"];
    laptop.run_with(login, &format!("{}\n", paper.key.as_str())).done();
    laptop.get("letter", &laptop.scratch("letter")).done();
    assert_eq!(std::fs::read(laptop.scratch("letter")).unwrap(), b"dear");
    let who = laptop.run(["whoami", "--json"]).json();
    assert_eq!((&who["account_id"], &who["backup_codes_left"]), (&json!(account.number), &json!(0)));

    // The address is taken, and no password lets anybody in.
    let other = world.machine();
    assert_eq!(other.try_sign_up(&email, "somebody else's").refused(1).code, "account_exists");
    assert_eq!(other.sign_in(&Person::nobody(&email)).refused(4).code, "invalid_credentials");
    let again = done(async {
        let sign_up = PasskeySignUp::start(&client_of(&world), &email).await.unwrap();
        sign_up.finish(&InSoftware::of(&world), "", None, device()).await
    });
    assert!(matches!(again, Err(PasskeyError::Request(error)) if error.is(protocol::Code::AccountExists)));

    // One of the two may go, and the other stays.
    let methods = done(account.client.methods()).unwrap().methods;
    let kinds: Vec<_> = methods.iter().map(|method| method.kind.as_str()).collect();
    assert_eq!(kinds, ["passkey", "recovery-key"]);
    done(account.revoke_method(methods[1].id)).unwrap();
    let last = done(account.revoke_method(methods[0].id));
    assert!(last.unwrap_err().to_string().contains("last login method"));
    opens_her_files(&world, &ada, &phone);
}

fn a_passkey_that_cannot_unlock_makes_no_account(world: World) {
    let old = InSoftware(Authenticator { has_prf: false, ..Authenticator::on(&origin(&world)) });
    let email = somebody();
    let refused = done(async {
        let sign_up = PasskeySignUp::start(&client_of(&world), &email).await.unwrap();
        sign_up.finish(&old, "", None, device()).await
    });
    assert!(matches!(refused, Err(PasskeyError::CannotUnlock)));
    // The address is free.
    world.machine().sign_up_as(&email, "correct horse battery");
}

fn what_is_changed_in_a_sign_up_with_a_passkey_makes_no_account(world: World) {
    let email = somebody();
    let refused = |authenticator: &dyn Fn() -> Authenticator| {
        let answer = done(async {
            let sign_up = PasskeySignUp::start(&client_of(&world), &somebody()).await.unwrap();
            sign_up.finish(&InSoftware(authenticator()), "", None, device()).await
        });
        let Err(PasskeyError::Request(error)) = answer else { panic!("it is refused") };
        error.code().unwrap()
    };
    let honest = || Authenticator::on(&origin(&world));
    for liar in [
        &(|| Authenticator { origin: "https://evil.example".into(), ..honest() })
            as &dyn Fn() -> Authenticator,
        &|| Authenticator { rp_id: Some("evil.example".into()), ..honest() },
        &|| Authenticator { verifies_user: false, ..honest() },
    ] {
        assert_eq!(refused(liar), protocol::Code::InvalidField);
    }

    // A state is good for the method that it was sealed for, and for its own challenge.
    let start = |path: &str, more: Value| {
        let email = keyring::Email::parse(&email).unwrap();
        let hash = BASE64URL_NOPAD.encode(email.hash().as_bytes());
        let salt = Request::new("post", "/api/v1/signup/salt").json(&json!({ "email_hash": hash }));
        let salt: [u8; 16] = BASE64URL_NOPAD
            .decode(salt.send(&world.url()).json()["email_salt"].as_str().unwrap().as_bytes())
            .unwrap()
            .try_into()
            .unwrap();
        let key = keyring::EmailKey::derive(&email, &keyring::EmailSalt::from_bytes(salt)).unwrap();
        let nobody = keyring::AccountId::from_bytes([0; 16]);
        let sealed = key.seal(&email, &nobody, &mut keyring::SystemRng).into_bytes();
        let mut body = json!({
            "email_hash": hash,
            "email_key": BASE64URL_NOPAD.encode(key.expose()),
            "sealed_email": BASE64URL_NOPAD.encode(&sealed),
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = Request::new("post", path).json(&body).send(&world.url());
        assert_eq!(answer.status, 200, "{path}");
        (answer.json(), BASE64URL_NOPAD.encode(key.expose()))
    };
    let (_, opaque) = keyring::password::Registration::start(
        &keyring::Password::new("a password").unwrap(),
        &mut keyring::SystemRng,
    )
    .unwrap();
    let opaque = json!({ "opaque_request": BASE64URL_NOPAD.encode(&opaque) });
    let (of_password, email_key) = start("/api/v1/signup/start", opaque);
    let (of_passkey, _) = start("/api/v1/signup/passkey/start", json!({}));
    let text = |value: &Value| BASE64URL_NOPAD.decode(value.as_str().unwrap().as_bytes()).unwrap();
    let user = text(&of_passkey["options"]["user"]["id"]);
    let finish = |state: &Value, challenge: &[u8], version: u32| {
        let made = honest().create("localhost", challenge, &user, &[], Some(PRF_INPUT)).unwrap();
        let master = keyring::MasterKey::generate(&mut keyring::SystemRng);
        let keys = keyring::MethodSecret::of_passkey(&made.prf.unwrap()).unwrap().key_pair().public_key();
        let of = |name: &str| keyring::AccountId::from_bytes(uuid(&of_passkey[name]));
        let method = keyring::MethodId::from_bytes(uuid(&of_passkey["method"]));
        let place = keyring::MasterKeyPlace { account: of("account"), method, key_version: 1 };
        let sealed = master.seal_to(&keys, &place, &mut keyring::SystemRng);
        let tag = master.authenticate_method(&of("account"), &method, keyring::MethodKind::Passkey, &keys);
        let body = json!({
            "state": state,
            "credential": {
                "client_data_json": BASE64URL_NOPAD.encode(&made.client_data_json),
                "attestation_object": BASE64URL_NOPAD.encode(&made.attestation_object),
            },
            "unlocking": {
                "public_key": BASE64URL_NOPAD.encode(&keys.to_bytes()),
                "sealed_master_key": BASE64URL_NOPAD.encode(sealed.as_bytes()),
                "method_tag": BASE64URL_NOPAD.encode(tag.as_bytes()),
                "master_key_version": version,
            },
            "identity": BASE64URL_NOPAD.encode(&master.account_key().identity_keys(1).public().to_bytes()),
            "email_key": email_key,
            "device": { "name": "a browser", "platform": "test" },
        });
        let answer = Request::new("post", "/api/v1/signup/passkey/finish").json(&body).send(&world.url());
        (answer.status, answer.json()["field"].as_str().unwrap_or_default().to_owned())
    };
    let challenge = text(&of_passkey["options"]["challenge"]);
    assert_eq!(finish(&of_password["state"], &challenge, 1), (422, "state".into()));
    assert_eq!(finish(&json!("no state"), &challenge, 1), (422, "state".into()));
    assert_eq!(finish(&of_passkey["state"], &[7; 32], 1), (422, "credential".into()));
    assert_eq!(finish(&of_passkey["state"], &challenge, 2), (422, "unlocking".into()));
    assert_eq!(finish(&of_passkey["state"], &challenge, 1).0, 201, "as it should be");
    // Once: another passkey under the same state is another account, and the address is taken.
    assert_eq!(finish(&of_passkey["state"], &challenge, 1).0, 409);
}

fn uuid(text: &Value) -> [u8; 16] {
    let id = text.as_str().unwrap().rsplit('_').next().unwrap();
    *uuid::Uuid::parse_str(id).unwrap().as_bytes()
}

fn an_account_of_a_passkey_gets_a_password_after_a_second_factor(world: World) {
    let (email, phone) = (somebody(), InSoftware::of(&world));
    let account = signed_up(&world, &email, &phone);
    put_letter(&world, &account);
    let paper = done(account.add_recovery_key("")).unwrap();
    let laptop = world.machine();
    let login = ["login", "--recovery-key-stdin", "--json"];
    laptop.run_with(login, &format!("{}\n", paper.key.as_str())).done();

    let set = ["password", "--forgotten", "--password-stdin", "--json"];
    let refused = laptop.run_with(set, "a correct horse\n").refused(1);
    assert_eq!(refused.code, "no_second_factor", "nobody could sign in with it");
    let started = laptop.run(["totp", "start", "--json"]).json();
    let text = |name: &str| started[name].as_str().expect("text").to_owned();
    let ada = Person::new(&email, "a correct horse", &account.number, &text("totp_secret"), Vec::new());
    let harness::Factor::Otp(code) = ada.factor() else { panic!("its first code is the app's") };
    laptop.run(["totp", "finish", "--state", &text("state"), "--code", &code, "--json"]).done();
    laptop.run_with(set, "a correct horse\n").done();

    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    desktop.get("letter", &desktop.scratch("letter")).done();
    opens_her_files(&world, &ada, &phone);
    laptop.verified_records();
    for told in ["An authenticator was added", "password was changed"] {
        world.letter(&[told]);
    }
}

fn a_real_browser_makes_an_account_with_a_passkey(world: World) {
    let browser = InBrowser::on(&format!("{}/livez", origin(&world)));
    let email = somebody();
    let account = signed_up(&world, &email, &browser);
    put_letter(&world, &account);
    opens_her_files(&world, &person_of(&account, &email), &browser);
    done(account.client.step_up_with_passkey(&browser)).unwrap();
}
