// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every way into an account: each opens the same files, none outlives its revocation, and one always stays.

use std::fs;

use client::files::Overwrite;
use client::passkey::{PasskeyError, SignedInByPasskey};
use client::{Drive, RemotePath};
use harness::{
    Engine, Factor, Files, Machine, Outcome, Recorder, Role, Secrets, World, noise, on_both_engines, unique,
};
use serde_json::Value;

use crate::front_end::{InSoftware, client_of, device, done, unlocked};

on_both_engines!(
    every_way_in_opens_the_same_file_until_it_is_revoked_and_the_last_one_stays,
    a_recovery_key_is_made_at_sign_up_and_tells_a_slip_of_the_pen_from_a_wrong_key,
    a_forgotten_password_and_a_lost_authenticator_are_replaced_by_who_has_the_recovery_key,
    a_step_up_takes_a_recovery_key_and_no_other_accounts,
    a_lock_on_passwords_locks_no_recovery_key,
    a_public_key_that_the_server_slipped_in_gets_nothing_and_is_told,
    a_copied_configuration_opens_nothing_once_its_device_was_ended_elsewhere,
    recovery_keys_are_nowhere_on_the_server_and_never_on_the_wire,
);

fn every_way_in_opens_the_same_file_until_it_is_revoked_and_the_last_one_stays(mut world: World) {
    // She signs up with a password, keeps a file, and adds every other way in.
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let content = noise(3, 300_000);
    put(&laptop, &content);
    let paper = new_recovery_key(&laptop, "in the safe");
    let phone = InSoftware::of(&world);
    assert!(done(unlocked(&world, &ada).add_passkey(&phone, "phone")).unwrap().unlocks);
    let program = world.machine();
    let key = new_api_key(&laptop, &program);
    let desktop = world.machine();
    let_in(&laptop, &desktop);
    assert_eq!(laptop.sessions().len(), 3, "the laptop, the desktop, and where the passkey was made");

    let opens_every_way = |desktop: &Machine| {
        assert_eq!(got(desktop), content, "the device that was let in");
        assert_eq!(by_passkey(&world, &phone).unwrap(), content, "the passkey");
        assert_eq!(by_api_key(&program, &key), content, "the API key");
        let borrowed = world.machine();
        by_recovery_key(&borrowed, &paper).done();
        assert_eq!(got(&borrowed), content, "the recovery key");
        let another = world.machine();
        another.sign_in(&ada).done();
        assert_eq!(got(&another), content, "the password");
    };
    opens_every_way(&desktop);

    // The password is forgotten; the key on paper opens the file, and sets a new password. What was signed in is so no more.
    let borrowed = world.machine();
    by_recovery_key(&borrowed, &paper).done();
    assert_eq!(got(&borrowed), content);
    let new = unique("another horse ");
    borrowed.run_with(["password", "--forgotten", "--password-stdin", "--json"], &format!("{new}\n")).done();
    for machine in [&laptop, &desktop] {
        assert_eq!(machine.run(["ls", "--json"]).refused(4).code, "session_ended");
    }
    assert_eq!(laptop.sign_in(&ada).refused(4).code, "invalid_credentials", "the old password is nothing");
    ada.password.replace(new);
    laptop.sign_in(&ada).done();
    assert_eq!(got(&laptop), content);

    // A new master key: no secret was entered, and every way still opens the file.
    laptop.rotate_key(&ada).done();
    assert_eq!(got(&laptop), content);
    assert_eq!(borrowed.run(["ls", "--json"]).refused(4).code, "session_ended");
    let_in(&laptop, &desktop);
    opens_every_way(&desktop);
    assert!(methods(&laptop).iter().all(|method| method["vouched"] == true));

    // Each goes, with what it opened, and the rest stays. The device first: it is no method, and ends like any other.
    let devices = laptop.run(["devices", "list", "--json"]).entries();
    let of_desktop = desktop.run(["whoami", "--json"]).json()["device"].clone();
    assert!(devices.iter().any(|device| device["id"] == of_desktop));
    laptop.run(["devices", "end", of_desktop.as_str().expect("an id"), "--json"]).done();
    assert_eq!(desktop.run(["ls", "--json"]).refused(4).code, "session_ended");

    by_recovery_key(&borrowed, &paper).done();
    let id = |kind: &str| {
        let methods = methods(&borrowed);
        let found = methods.iter().find(|method| method["kind"] == kind).expect("such a method");
        found["id"].as_str().expect("an id").to_owned()
    };
    let (password, recovery) = (id("password"), id("recovery-key"));
    let revoke = |method: &str| borrowed.run(["methods", "revoke", method, "--json"]);
    let refused_key = || program.run_in(["ls", "--json"], &[("BAILIWICK_API_KEY", &key)]);
    assert_eq!(revoke(&id("api-key")).json()["signed_out"], false);
    assert_eq!(refused_key().refused(4).code, "api_key_unknown");
    assert_eq!(by_passkey(&world, &phone).unwrap(), content);
    assert_eq!(revoke(&id("passkey")).json()["signed_out"], false);
    assert!(by_passkey(&world, &phone).is_err());
    assert_eq!(got(&laptop), content);
    assert_eq!(revoke(&password).json()["signed_out"], false);
    assert_eq!(laptop.run(["ls", "--json"]).refused(4).code, "session_ended");
    assert_eq!(laptop.sign_in(&ada).refused(4).code, "invalid_credentials");
    assert_eq!(got(&borrowed), content);
    assert_eq!(revoke(&recovery).refused(1).code, "last_method", "the key on paper is the last way in");
    assert_eq!(
        desktop.try_sign_up(&ada.email, "somebody else's horse").refused(1).code,
        "account_exists",
        "the address stays its owner's"
    );

    // A password again; now the key on paper may go, and the password is the one that stays.
    let newest = unique("yet another horse ");
    borrowed
        .run_with(["password", "--forgotten", "--password-stdin", "--json"], &format!("{newest}\n"))
        .done();
    ada.password.replace(newest);
    laptop.sign_in(&ada).done();
    let revoked = laptop.run(["recovery-key", "revoke", "--json"]).json();
    assert_eq!(revoked["signed_out"], false);
    assert_eq!(borrowed.run(["ls", "--json"]).refused(4).code, "session_ended");
    assert_eq!(by_recovery_key(&borrowed, &paper).refused(4).code, "invalid_credentials");
    let password = self::methods(&laptop)[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(laptop.run(["methods", "revoke", &password, "--json"]).refused(1).code, "last_method");
    assert_eq!(got(&laptop), content);
    laptop.verified_records();

    // What still waits is sent before the server ends.
    world.stop();
    let letters = world.letters().join("\n");
    for told in [
        "A recovery key was added",
        "A passkey was added",
        "An API key was added",
        "A device was let in",
        "recovery key was used",
        "password was changed",
        "keys were renewed",
        "An API key of your Bailiwick account was revoked",
        "A passkey of your Bailiwick account was revoked",
        "The password of your Bailiwick account was revoked",
        "A recovery key of your Bailiwick account was revoked",
    ] {
        assert!(letters.contains(told), "no letter says {told:?}");
    }
}

fn a_recovery_key_is_made_at_sign_up_and_tells_a_slip_of_the_pen_from_a_wrong_key(world: World) {
    let laptop = world.machine();
    let email = format!("{}@example.org", unique("person-"));
    let made = laptop
        .run_with(
            ["signup", "--email", &email, "--password-stdin", "--recovery-key", "--json"],
            "correct horse battery\n",
        )
        .json();
    let key = made["recovery_key"].as_str().expect("a recovery key").to_owned();
    assert_eq!(key.split('-').count(), 14, "fourteen groups");
    let other = world.machine();
    let mistyped: String = key.chars().enumerate().map(|(at, c)| if at == 7 { next(c) } else { c }).collect();
    let refused = by_recovery_key(&other, &mistyped).refused(1);
    assert_eq!(refused.code, "recovery_key_mistyped", "{:?}", refused.document);
    assert_eq!(by_recovery_key(&other, &key[..30]).refused(1).code, "recovery_key_mistyped");
    // As people type: lower case, spaces, the look-alikes.
    let typed = key.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    by_recovery_key(&other, &typed).done();

    // Another one in its place: the old one reads well, and lets nobody in.
    let replaced = laptop.run(["recovery-key", "replace", "--label", "new", "--json"]).json();
    let new = replaced["recovery_key"].as_str().expect("a recovery key").to_owned();
    assert_eq!(other.run(["ls", "--json"]).refused(4).code, "session_ended");
    assert_eq!(by_recovery_key(&other, &key).refused(4).code, "invalid_credentials");
    by_recovery_key(&other, &new).done();
    assert_eq!(methods(&laptop).len(), 2);
}

fn a_forgotten_password_and_a_lost_authenticator_are_replaced_by_who_has_the_recovery_key(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let key = new_recovery_key(&laptop, "");
    let borrowed = world.machine();
    by_recovery_key(&borrowed, &key).done();
    borrowed
        .run_with(["password", "--forgotten", "--password-stdin", "--json"], "a new horse, found\n")
        .done();
    ada.password.replace("a new horse, found".to_owned());
    let started = borrowed.run(["totp", "start", "--json"]).json();
    let text = |name: &str| started[name].as_str().expect("text").to_owned();
    let new = harness::Person::new(
        &ada.email,
        &ada.password.borrow(),
        &ada.account_id,
        &text("totp_secret"),
        Vec::new(),
    );
    let Factor::Otp(code) = new.factor() else { panic!("its first code is the app's") };
    borrowed.run(["totp", "finish", "--state", &text("state"), "--code", &code, "--json"]).done();
    assert_eq!(laptop.sign_in(&ada).refused(4).code, "invalid_credentials", "the lost app is nothing");
    laptop.sign_in_with(&new, &new.password.borrow(), &new.factor()).done();

    // Backup codes made after such a sign-in let in where the address is typed.
    let codes = borrowed.run(["codes", "--json"]).json();
    let code = codes["backup_codes"][0].as_str().expect("a code").to_owned();
    world.machine().sign_in_with(&new, &new.password.borrow(), &Factor::BackupCode(code)).done();
}

fn a_step_up_takes_a_recovery_key_and_no_other_accounts(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let key = new_recovery_key(&laptop, "");
    let eve = world.machine();
    eve.sign_up();
    let of_eve = new_recovery_key(&eve, "");
    age(&world);
    let create = ["recovery-key", "create", "--json"];
    assert_eq!(laptop.run(create).refused(5).code, "step_up_required");
    let prove = ["recovery-key", "create", "--recovery-key-stdin", "--json"];
    assert_eq!(laptop.run_with(prove, &format!("{of_eve}\n")).refused(4).code, "invalid_credentials");
    assert_eq!(laptop.run_with(prove, "not a key\n").refused(1).code, "recovery_key_mistyped");
    laptop.run_with(prove, &format!("{key}\n")).done();
    age(&world);
    let forgotten = ["password", "--forgotten", "--recovery-key-stdin", "--password-stdin", "--json"];
    laptop.run_with(forgotten, &format!("{key}\na new horse, found\n")).done();
}

fn a_lock_on_passwords_locks_no_recovery_key(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let key = new_recovery_key(&laptop, "");
    let thief = world.machine();
    let locked = (0..15).any(|_| {
        let tried = thief.sign_in_with(&ada, "not her horse", &Factor::Otp("000000".into()));
        tried.stderr.contains("too_many_requests")
    });
    assert!(locked, "guesses are slowed down");
    by_recovery_key(&world.machine(), &key).done();
}

fn a_public_key_that_the_server_slipped_in_gets_nothing_and_is_told(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    new_recovery_key(&laptop, "");
    assert!(methods(&laptop).iter().all(|method| method["vouched"] == true));
    // A well-formed key pair whose secret the server knows.
    let pair = keyring::MethodSecret::from_bytes(&[7; 32]).expect("a secret").key_pair();
    let own = data_encoding::HEXLOWER.encode(&pair.public_key().to_bytes());
    let blob = match world.engine() {
        Engine::Sqlite => format!("x'{own}'"),
        Engine::Postgresql => format!("'\\x{own}'"),
    };
    as_superuser(&world, &format!("UPDATE login_method SET public_key = {blob} WHERE kind = 'recovery-key'"));
    let listed = laptop.run(["methods", "--json"]);
    assert_eq!(listed.status, Some(3), "{listed}");
    assert!(listed.stderr.contains("server_not_trusted") && listed.stderr.contains("never vouched for"));
    let refused = laptop.rotate_key(&ada).refused(3);
    assert_eq!(refused.code, "server_not_trusted");
    // Nothing was sealed: the version is as it was.
    assert_eq!(laptop.run(["whoami", "--json"]).json()["master_key_version"], 1);
}

fn a_copied_configuration_opens_nothing_once_its_device_was_ended_elsewhere(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    put(&laptop, b"a secret");
    let stolen = laptop.copied();
    assert_eq!(got(&stolen), b"a secret", "while the device lives the copy is as good");
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let devices = desktop.run(["devices", "list", "--json"]).entries();
    assert_eq!(devices.len(), 2);
    let other = devices.iter().find(|device| device["current"] == false).expect("the laptop");
    desktop.run(["devices", "end", other["id"].as_str().expect("an id"), "--json"]).done();
    for arguments in [
        &["ls", "--json"][..],
        &["whoami", "--json"],
        &["get", "file", "copy", "--json"],
        &["methods", "--json"],
        &["token", "--json"],
        &["recovery-key", "create", "--json"],
    ] {
        assert_eq!(stolen.run(arguments).refused(4).code, "session_ended", "{arguments:?}");
        assert_eq!(laptop.run(arguments).refused(4).code, "session_ended", "{arguments:?}");
    }
    // The server's half is gone from the database, so nobody can be talked into giving it.
    let halves =
        count(&world, "SELECT count(*) FROM session WHERE ended_at IS NOT NULL AND server_half IS NOT NULL");
    assert_eq!(halves, 0);
    assert_eq!(count(&world, "SELECT count(*) FROM session WHERE ended_at IS NOT NULL"), 1);
    assert_eq!(got(&desktop), b"a secret");
}

fn recovery_keys_are_nowhere_on_the_server_and_never_on_the_wire(mut world: World) {
    let recorder = Recorder::before(&world.url());
    let laptop = world.machine().through(recorder.url());
    laptop.sign_up();
    let key = new_recovery_key(&laptop, "");
    by_recovery_key(&world.machine().through(recorder.url()), &key).done();
    let parsed = keyring::RecoveryKey::parse(&key).expect("a key");
    let mut secrets = Secrets::new();
    secrets.add("the recovery key", parsed.expose());
    secrets.add("its text", key.as_bytes());
    secrets.add("its text without dashes", key.replace('-', "").as_bytes());
    assert_eq!(secrets.in_bytes(&recorder.bytes()), Vec::<String>::new());
    secrets.add("its lookup value", parsed.lookup().expose());
    world.stop();
    assert_eq!(secrets.under(world.folder()), Vec::<String>::new());
    if world.engine() == Engine::Postgresql {
        assert_eq!(secrets.in_bytes(&world.database().dump()), Vec::<String>::new());
    }
}

fn put(machine: &Machine, content: &[u8]) {
    let path = machine.scratch("file");
    fs::write(&path, content).unwrap();
    machine.put(&path, "file").done();
}

#[track_caller]
fn got(machine: &Machine) -> Vec<u8> {
    let path = machine.scratch(&unique("copy-"));
    machine.get("file", &path).done();
    fs::read(path).unwrap()
}

#[track_caller]
fn new_recovery_key(machine: &Machine, label: &str) -> String {
    let made = machine.run(["recovery-key", "create", "--label", label, "--json"]).json();
    made["recovery_key"].as_str().expect("a recovery key").to_owned()
}

fn by_recovery_key(machine: &Machine, key: &str) -> Outcome {
    machine.run_with(["login", "--recovery-key-stdin", "--json"], &format!("{key}\n"))
}

#[track_caller]
fn methods(machine: &Machine) -> Vec<Value> {
    machine.run(["methods", "--json"]).entries()
}

/// An API key that opens the files, made for the network that the program is in.
#[track_caller]
fn new_api_key(machine: &Machine, program: &Machine) -> String {
    let made = machine.run(["api-keys", "create", "--label", "nightly", "--scopes", "read", "--json"]).json();
    let key = made["api_key"].as_str().expect("a key").to_owned();
    program.run_in(["whoami", "--json"], &[("BAILIWICK_API_KEY", &key)]).done();
    key
}

#[track_caller]
fn by_api_key(program: &Machine, key: &str) -> Vec<u8> {
    let path = program.scratch(&unique("copy-"));
    let get = ["get", "file", path.to_str().expect("a path"), "--json"];
    program.run_in(get, &[("BAILIWICK_API_KEY", key)]).done();
    fs::read(path).unwrap()
}

/// Lets a device in through one that is signed in and has proved itself a moment ago.
#[track_caller]
fn let_in(signed_in: &Machine, device: &Machine) {
    let mut asks = device.talk(["login", "--pair", "--force", "--json"]);
    let link = asks.hears("link")["link"].as_str().expect("a link").to_owned();
    let mut approves = signed_in.talk(["pair", "approve", "--yes", &link, "--json"]);
    approves.hears("asked");
    let code = approves.hears("code")["code"].as_str().expect("a code").to_owned();
    asks.hears("code_wanted");
    asks.says(&code);
    approves.hears("let_in");
    asks.hears("signed_in");
    asks.ends().done();
    approves.ends().done();
}

/// The file, by a passkey and nothing else.
fn by_passkey(world: &World, passkey: &InSoftware) -> Result<Vec<u8>, PasskeyError> {
    let client = client_of(world);
    done(async {
        let SignedInByPasskey::Unlocked(signed_in) = client.sign_in_with_passkey(passkey, device()).await?
        else {
            panic!("the passkey unlocks");
        };
        let drive = Drive::open(&signed_in.account).await.unwrap();
        let path = RemotePath::parse("file").unwrap();
        let entry = drive.find_file(&path).await.unwrap().expect("the file");
        let copy = world.folder().join(unique("copy-"));
        drive.get_file(&entry, &copy, Overwrite::No, &|_| {}).await.unwrap();
        Ok(fs::read(copy).unwrap())
    })
}

/// Another letter of Crockford's alphabet.
fn next(c: char) -> char {
    match c {
        'A' => 'B',
        _ => 'A',
    }
}

/// Every session's proof is an hour old.
fn age(world: &World) {
    as_superuser(world, "UPDATE session SET fresh_until = fresh_until - 3600000");
}

/// Runs a statement on every home.
fn as_superuser(world: &World, sql: &str) {
    match world.engine() {
        Engine::Postgresql => {
            world
                .database()
                .run(Role::Superuser, &format!("SET session_replication_role = replica; {sql}"))
                .unwrap();
        }
        Engine::Sqlite => {
            for path in Files::under(world.data()).with_table("login_method") {
                let connection = Files::open(&path);
                connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
                connection.execute_batch(sql).unwrap();
            }
        }
    }
}

fn count(world: &World, sql: &str) -> i64 {
    match world.engine() {
        Engine::Postgresql => world.database().rows(Role::Superuser, sql)[0].parse().unwrap(),
        Engine::Sqlite => Files::under(world.data())
            .with_table("login_method")
            .iter()
            .map(|path| Files::open(path).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap())
            .sum(),
    }
}
