// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys, as programs use them, as thieves try them, and as their owners and finders deal with them.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use harness::{
    Engine, Exchange, Files, Machine, Outcome, Recorder, Request, Role, World, noise, on_both_engines,
};
use serde_json::{Value, json};

on_both_engines!(
    a_key_works_without_a_login_and_sends_only_its_first_half,
    a_key_does_what_its_scopes_say,
    a_key_changes_nothing_about_how_one_gets_in,
    a_key_that_is_over_or_was_never_one_is_refused,
    a_key_that_does_not_unlock_opens_nothing,
    a_key_outlives_the_rotation_of_the_master_key,
    a_new_address_gets_nothing_until_the_owner_approves_it,
    an_address_is_taken_from_trusted_proxies_alone,
    a_thief_with_many_addresses_fills_neither_the_mailbox_nor_the_history,
    a_key_that_was_found_can_be_reported,
);

fn a_key_works_without_a_login_and_sends_only_its_first_half(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    laptop.put(&file(&laptop, "before", 300_000), "before").done();
    let key = Key::made(&laptop, &["--label", "nightly", "--scopes", "write,log"]);
    assert_eq!(key.text.split('_').count(), 4, "bwk, two halves, a checksum");

    let wire = Recorder::before(&world.url());
    let program = world.machine().through(wire.url());
    let local = file(&program, "after", 400_000);
    key.run(&program, [OsStr::new("put"), local.as_os_str(), OsStr::new("after"), OsStr::new("--json")])
        .done();
    let names: Vec<_> =
        key.run(&program, ["ls", "--json"]).entries().iter().map(|file| file["name"].clone()).collect();
    assert!(format!("{names:?}").contains("before") && format!("{names:?}").contains("after"), "{names:?}");
    let fetched = program.scratch("fetched");
    key.run(&program, [OsStr::new("get"), OsStr::new("before"), fetched.as_os_str(), OsStr::new("--json")])
        .done();
    assert_eq!(fs::read(&fetched).unwrap(), noise(1, 300_000));
    laptop.get("after", &laptop.scratch("fetched")).done();
    assert_eq!(fs::read(laptop.scratch("fetched")).unwrap(), noise(1, 400_000));

    // From a file as well, and it says what it is.
    let path = program.scratch("key");
    fs::write(&path, format!("{}\n", key.text)).unwrap();
    let who = program
        .run([OsStr::new("whoami"), OsStr::new("--api-key-file"), path.as_os_str(), OsStr::new("--json")])
        .json();
    assert_eq!((&who["api_key"], &who["unlocks"]), (&json!(key.id), &json!(true)), "{who}");

    // The history names the key, and the key may read it.
    for action in ["file.read", "file.write", "item.write"] {
        let log = || key.run(&program, ["log", "--json"]).entries();
        logged(log, 1, |record| record["via"] == key.id.as_str() && record["action"] == action);
    }
    assert_eq!(key.run(&program, ["verify", "--json"]).json()["verified"], json!(true));
    laptop.verified_records();

    // Where a key does not do, that is said.
    let refused = key.run(&program, ["sessions", "--json"]).refused(4);
    assert_eq!(refused.code, "not_signed_in");
    assert!(refused.document["message"].to_string().contains("an API key cannot do this"), "{refused:?}");
    let passed_over = key.run(&laptop, ["sessions"]).done();
    assert!(passed_over.stderr.contains("An API key cannot do this"), "{passed_over}");

    let unlocking = key.text.split('_').nth(2).unwrap();
    assert!(!contains(&wire.bytes(), unlocking), "the half that unlocks stays where the key is");
    for form in [key.text.as_str(), unlocking, key.auth.as_str()] {
        assert!(!world.log().contains(form), "no part of a key is in the log");
    }
}

fn a_key_does_what_its_scopes_say(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    laptop.put(&file(&laptop, "a", 100), "a").done();
    let reads = Key::made(&laptop, &["--scopes", "read"]);
    let program = world.machine();
    reads.run(&program, ["ls", "--json"]).done();
    reads.run(&program, ["get", "a", program.scratch("a").to_str().unwrap(), "--json"]).done();
    let local = file(&program, "b", 100);
    let put = reads.run(&program, ["put", local.to_str().unwrap(), "b", "--json"]).refused(5);
    assert_eq!(put.code, "forbidden");
    assert_eq!(reads.run(&program, ["rm", "a", "--json"]).refused(5).code, "forbidden");
    assert_eq!(reads.run(&program, ["log", "--json"]).refused(5).code, "forbidden");

    // A scope is one of those that keys may have, or the key is not made.
    for scope in
        ["*", "session.end", "account.delete", "method.add", "api_key.create", "item.later", "platform.read"]
    {
        let refused = laptop.run(["api-keys", "create", "--scopes", scope, "--json"]).refused(1);
        assert_eq!(refused.code, "invalid_field", "{scope}");
    }
}

fn a_key_changes_nothing_about_how_one_gets_in(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let key = Key::made(&laptop, &["--scopes", "write,log"]);
    let other = Key::made(&laptop, &[]);
    let session = laptop.run(["whoami", "--json"]).json()["session"].as_str().unwrap().to_owned();
    let approve = format!("/api/v1/api-keys/{}/approve", key.id);
    let deny = format!("/api/v1/api-keys/{}/deny", other.id);
    let revoke = format!("/api/v1/account/methods/{}", other.id);
    let end = format!("/api/v1/sessions/{session}");
    let anywhere = json!({ "network": "0.0.0.0/0" });
    for (method, path, body) in [
        ("GET", "/api/v1/account", None),
        ("GET", "/api/v1/account/methods", None),
        ("GET", "/api/v1/sessions", None),
        ("GET", "/api/v1/devices", None),
        ("GET", "/api/v1/api-keys", None),
        ("GET", "/api/v1/session/server-half", None),
        ("POST", "/api/v1/tokens", None),
        ("POST", "/api/v1/signout", None),
        ("POST", "/api/v1/sessions/end-others", None),
        ("DELETE", end.as_str(), None),
        ("POST", "/api/v1/step-up/start", Some(json!({ "opaque_request": "AA" }))),
        ("POST", "/api/v1/account/password/start", Some(json!({ "opaque_request": "AA" }))),
        ("POST", "/api/v1/account/totp/start", None),
        ("PUT", "/api/v1/account/backup-codes", Some(json!({ "backup_codes": [] }))),
        ("POST", "/api/v1/account/master-key", Some(json!({}))),
        ("POST", "/api/v1/api-keys", Some(json!({}))),
        ("POST", approve.as_str(), Some(anywhere.clone())),
        ("POST", deny.as_str(), Some(anywhere)),
        ("DELETE", revoke.as_str(), None),
        ("DELETE", "/api/v1/account", None),
    ] {
        let mut request = Request::new(method, path).bearer(&key.auth);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send(&world.url());
        assert_eq!((answer.status, code(&answer)), (403, "forbidden".to_owned()), "{method} {path}");
    }
    // Of itself it learns what it needs, of others nothing.
    let own = Request::new("GET", "/api/v1/api-key").bearer(&key.auth).send(&world.url());
    assert_eq!((own.status, own.json()["id"].as_str()), (200, Some(key.id.as_str())));
    assert!(!String::from_utf8_lossy(&own.response).contains(&other.id));
    let token = fs::read_to_string(laptop.config().join("session")).unwrap();
    let by_session = Request::new("GET", "/api/v1/api-key").bearer(token.trim()).send(&world.url());
    assert_eq!(by_session.status, 403, "a session is no key");
    laptop.run(["whoami", "--json"]).done();
    other.run(&world.machine(), ["whoami", "--json"]).done();
}

fn a_key_that_is_over_or_was_never_one_is_refused(mut world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let eve = world.machine();
    eve.sign_up();
    let (key, eves) = (Key::made(&laptop, &[]), Key::made(&eve, &[]));
    let show = |world: &World, bearer: &str| {
        Request::new("GET", "/api/v1/api-key").bearer(bearer).send(&world.url())
    };
    assert_eq!(show(&world, &key.auth).status, 200);

    // The whole key is more than anybody should send.
    let whole = show(&world, &key.text);
    assert_eq!((whole.status, code(&whole)), (401, "unlocking_half_sent".to_owned()));
    assert!(!world.log().contains(&key.text));
    // Cut, mistyped, two halves of different keys.
    let [_, auth, unlock, sum] = key.text.split('_').collect::<Vec<_>>()[..] else { panic!("four parts") };
    let own_sum = key.auth.rsplit('_').next().unwrap();
    let flipped = format!("{}{}", &auth[..65], if auth.ends_with('a') { 'b' } else { 'a' });
    for malformed in [
        format!("bwk_{auth}"),
        format!("bwk_{auth}_{sum}"),
        format!("bwk_{unlock}_{own_sum}"),
        format!("bwk_{flipped}_{own_sum}"),
        format!("bwk_{}_{own_sum}", &auth[..60]),
        "bwk_".to_owned(),
    ] {
        let answer = show(&world, &malformed);
        assert_eq!((answer.status, code(&answer)), (401, "token_malformed".to_owned()), "{malformed}");
    }
    // A key that was never made: of this home, of no home. What is answered does not tell which.
    let home =
        |machine: &Machine| machine.run(["whoami", "--json"]).json()["home"].as_str().unwrap().to_owned();
    let unknown = show(&world, &forged(&home(&laptop)));
    let nowhere = show(&world, &forged("ten_00000000000040008000000000000001"));
    assert_eq!((unknown.status, code(&unknown)), (401, "api_key_unknown".to_owned()));
    assert_eq!(without_its_own(&unknown), without_its_own(&nowhere));

    // Revoked, it is over at once, and stays so when the server had no time to do anything about it later.
    let revoked = laptop.run(["api-keys", "revoke", &key.id, "--json"]).json();
    assert_eq!(revoked["revoked"], json!(key.id));
    assert_eq!(code(&show(&world, &key.auth)), "api_key_unknown");
    assert_eq!(without_its_own(&show(&world, &key.auth)), without_its_own(&unknown));
    world.kill();
    world.start();
    assert_eq!(code(&show(&world, &key.auth)), "api_key_unknown");
    assert_eq!(key.run(&world.machine(), ["ls", "--json"]).refused(4).code, "api_key_unknown");

    // Expired.
    for when in ["0m", "2020-01-01"] {
        let late = eve.run(["api-keys", "create", "--expires", when, "--json"]).refused(1);
        assert_eq!(late.code, "invalid_field");
    }
    assert_eq!(show(&world, &eves.auth).status, 200);
    end_all_keys(&world);
    assert_eq!(code(&show(&world, &eves.auth)), "api_key_expired");
    let listed = eve.run(["api-keys", "--json"]).entries();
    assert_eq!(listed[0]["status"], json!("expired"));
}

fn a_key_that_does_not_unlock_opens_nothing(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    laptop.put(&file(&laptop, "a", 100), "a").done();
    let key = Key::made(&laptop, &["--no-unlock", "--scopes", "read,log"]);
    assert_eq!(key.text.split('_').count(), 3);
    let program = world.machine();
    assert_eq!(key.run(&program, ["ls", "--json"]).refused(5).code, "does_not_unlock");
    key.run(&program, ["log", "--json"]).done();
    let own = Request::new("GET", "/api/v1/api-key").bearer(&key.text).send(&world.url());
    assert_eq!((own.status, own.json()["unlocking"].clone()), (200, Value::Null));
    let usage = Request::new("GET", "/api/v1/usage").bearer(&key.text).send(&world.url());
    assert_eq!(usage.status, 200, "the whole of such a key is what is sent");
}

fn a_key_outlives_the_rotation_of_the_master_key(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    laptop.put(&file(&laptop, "a", 1_000), "a").done();
    let (key, mute) = (Key::made(&laptop, &["--scopes", "write"]), Key::made(&laptop, &["--no-unlock"]));
    laptop.rotate_key(&ada).done();
    let program = world.machine();
    let fetched = program.scratch("a");
    key.run(&program, ["get", "a", fetched.to_str().unwrap(), "--json"]).done();
    assert_eq!(fs::read(&fetched).unwrap(), noise(1, 1_000));
    mute.run(&program, ["whoami", "--json"]).done();
}

fn a_new_address_gets_nothing_until_the_owner_approves_it(mut world: World) {
    // This test is the proxy: it says from where it asks.
    world.set("BAILIWICK_TRUSTED_PROXIES", "127.0.0.1");
    world.restart();
    let laptop = world.machine();
    laptop.sign_up();
    let key = Key::made(&laptop, &["--label", "nightly"]);
    let from = |world: &World, address: &str| {
        Request::new("GET", "/api/v1/usage")
            .header("x-forwarded-for", address)
            .bearer(&key.auth)
            .send(&world.url())
    };
    let refused =
        |answer: &Exchange| (answer.status, code(answer)) == (403, "address_not_approved".to_owned());
    // Where it was made it works.
    assert_eq!(from(&world, "127.0.0.1").status, 200);

    for _ in 0..3 {
        assert!(refused(&from(&world, "203.0.113.7")));
    }
    let answer = from(&world, "2001:db8:1:2:3::5").json();
    assert!(answer["detail"].as_str().unwrap().contains("2001:db8:1:2::/64"), "{answer}");
    let noted = logged(|| laptop.log(), 2, |record| record["action"] == "api_key.refuse");
    assert!(noted.iter().all(|record| record["subject"] == key.id.as_str()), "{noted:?}");

    // The owner is told of each network once.
    world.restart();
    let told = |world: &World| {
        let letters = world.letters();
        letters.iter().filter(|letter| letter.contains("was refused")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(told(&world).len(), 2);
    assert!(told(&world).iter().any(|letter| letter.contains("203.0.113.7") && letter.contains("nightly")));

    let seen = laptop.run(["api-keys", "addresses", &key.id, "--json"]).json();
    assert_eq!(seen["approved"], json!(["127.0.0.1"]));
    let states: Vec<_> =
        seen["refused"].as_array().unwrap().iter().map(|seen| (&seen["network"], &seen["state"])).collect();
    assert_eq!(states.len(), 2);
    assert!(states.iter().all(|(_, state)| *state == "pending"), "{seen}");

    laptop.run(["api-keys", "approve", &key.id, "203.0.113.7", "--json"]).done();
    // However it is spelt.
    for spelling in ["203.0.113.7", "::ffff:203.0.113.7", "64:ff9b::203.0.113.7", "203.0.113.7:4711"] {
        assert_eq!(from(&world, spelling).status, 200, "{spelling}");
    }
    for other in ["203.0.113.8", "::203.0.113.7", "2002:cb00:7107::1", "unknown, 198.51.100.1"] {
        assert!(refused(&from(&world, other)), "{other}");
    }
    laptop.run(["api-keys", "approve", &key.public_id, "2001:db8:1:2::/64", "--json"]).done();
    assert_eq!(from(&world, "2001:db8:1:2::9").status, 200);
    assert!(refused(&from(&world, "2001:db8:1:3::9")));

    // What is denied stays refused, and is told no more; what is no longer approved is refused at once.
    laptop.run(["api-keys", "deny", &key.id, "198.51.100.77", "--json"]).done();
    assert!(refused(&from(&world, "198.51.100.77")));
    laptop.run(["api-keys", "deny", &key.id, "203.0.113.7", "--json"]).done();
    assert!(refused(&from(&world, "203.0.113.7")));
    laptop.run(["api-keys", "approve", &key.id, "198.51.100.0/24", "--json"]).done();
    let around = laptop.run(["api-keys", "deny", &key.id, "198.51.100.9", "--json"]).refused(1);
    assert_eq!(around.code, "invalid_field", "a network around it is approved");
    for nonsense in ["everywhere", "10.0.0.1/8", "300.1.1.1", ""] {
        let refused = laptop.run(["api-keys", "approve", &key.id, nonsense, "--json"]).refused(1);
        assert_eq!(refused.code, "invalid_field", "{nonsense}");
    }
    world.restart();
    assert!(!told(&world).iter().any(|letter| letter.contains("198.51.100.77")));
}

fn an_address_is_taken_from_trusted_proxies_alone(mut world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let key = Key::made(&laptop, &["--allow", "203.0.113.7", "--allow", "198.51.100.0/24"]);
    let ask = |world: &World, headers: &[(&str, &str)]| {
        let request = Request::new("GET", "/api/v1/usage").bearer(&key.auth);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send(&world.url()).status
    };
    // Nobody is trusted: what the caller says of its address is nothing.
    for name in
        ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip"]
    {
        let value = if name == "forwarded" { "for=203.0.113.7" } else { "203.0.113.7" };
        assert_eq!(ask(&world, &[(name, value)]), 403, "{name}");
    }
    // Somebody else is trusted.
    world.set("BAILIWICK_TRUSTED_PROXIES", "10.0.0.0/8");
    world.restart();
    assert_eq!(ask(&world, &[("x-forwarded-for", "203.0.113.7")]), 403);

    world.set("BAILIWICK_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8");
    world.restart();
    assert_eq!(ask(&world, &[("x-forwarded-for", "203.0.113.7")]), 200);
    assert_eq!(ask(&world, &[("x-forwarded-for", "198.51.100.9, 10.0.0.3")]), 200, "through two proxies");
    // A caller that writes an approved address, or a proxy's, in front of its own.
    for chain in [
        "203.0.113.7, 192.0.2.1",
        "203.0.113.7, 10.0.0.3, 192.0.2.1",
        "192.0.2.1, 10.0.0.3",
        "203.0.113.7, x",
    ] {
        assert_eq!(ask(&world, &[("x-forwarded-for", chain)]), 403, "{chain}");
    }
    assert_eq!(ask(&world, &[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-for", "192.0.2.1")]), 403);
    // The proxy writes one header; the other is the caller's own.
    assert_eq!(ask(&world, &[("forwarded", "for=203.0.113.7")]), 403);
    assert_eq!(ask(&world, &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=203.0.113.7")]), 403);
    world.set("BAILIWICK_FORWARDED_HEADER", "forwarded");
    world.restart();
    assert_eq!(ask(&world, &[("forwarded", "for=203.0.113.7")]), 200);
    assert_eq!(ask(&world, &[("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=192.0.2.1")]), 403);
    assert_eq!(ask(&world, &[("forwarded", "for=203.0.113.7, for=192.0.2.1")]), 403);
}

fn a_thief_with_many_addresses_fills_neither_the_mailbox_nor_the_history(mut world: World) {
    world.set("BAILIWICK_TRUSTED_PROXIES", "127.0.0.1");
    world.restart();
    let laptop = world.machine();
    laptop.sign_up();
    let key = Key::made(&laptop, &[]);
    for n in 0..120 {
        let answer = Request::new("GET", "/api/v1/usage")
            .header("x-forwarded-for", &format!("203.0.113.{n}"))
            .bearer(&key.auth)
            .send(&world.url());
        assert_eq!(code(&answer), "address_not_approved");
    }
    let seen = laptop.run(["api-keys", "addresses", &key.id, "--json"]).json();
    assert_eq!(seen["refused"].as_array().unwrap().len(), 100);
    let refusals = logged(|| laptop.log(), 101, |record| record["action"] == "api_key.refuse").len();
    assert!((101..=103).contains(&refusals), "one for each network, then one a minute: {refusals}");
    world.restart();
    let letters = world.letters().iter().filter(|letter| letter.contains("was refused")).count();
    assert_eq!(letters, 5, "letters a day");
    // The owner may still approve what found no room.
    laptop.run(["api-keys", "approve", &key.id, "203.0.113.119", "--json"]).done();
    let answer = Request::new("GET", "/api/v1/usage")
        .header("x-forwarded-for", "203.0.113.119")
        .bearer(&key.auth)
        .send(&world.url());
    assert_eq!(answer.status, 200);
}

fn a_key_that_was_found_can_be_reported(mut world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let (shown, named) =
        (Key::made(&laptop, &["--label", "shown"]), Key::made(&laptop, &["--label", "named"]));
    let home = laptop.run(["whoami", "--json"]).json()["home"].as_str().unwrap().to_owned();
    let report = |world: &World, body: Value| {
        Request::new("POST", "/api/v1/api-keys/report").json(&body).send(&world.url())
    };
    // Whoever reports learns nothing: known and unknown are answered alike.
    let finder = world.machine();
    let unknown = report(&world, json!({ "api_key": forged(&home) }));
    let nowhere = report(&world, json!({ "api_key": forged("ten_00000000000040008000000000000001") }));
    let no_name = report(&world, json!({ "public_id": "0000000000000000", "home": home }));
    let name = report(&world, json!({ "public_id": named.public_id, "home": home }));
    finder.run_with(["api-keys", "report", "--key-stdin", "--json"], &format!("{}\n", shown.text)).done();
    let again = report(&world, json!({ "api_key": shown.auth }));
    for answer in [&unknown, &nowhere, &no_name, &name, &again] {
        assert_eq!((answer.status, answer.response.len()), (202, 0));
    }
    for malformed in [
        json!({}),
        json!({ "api_key": "bwk_x" }),
        json!({ "public_id": "0000000000000000" }),
        json!({ "api_key": shown.auth, "home": home }),
    ] {
        assert_eq!(report(&world, malformed.clone()).status, 422, "{malformed}");
    }

    // What was shown is over at once; what was named still works, is marked, and its owner hears of it at its next use.
    assert_eq!(shown.run(&world.machine(), ["ls", "--json"]).refused(4).code, "api_key_unknown");
    let listed = laptop.run(["api-keys", "--json"]).entries();
    assert_eq!(listed.len(), 1);
    assert!(!listed[0]["reported_at"].is_null(), "{listed:?}");
    let reports = logged(|| laptop.log(), 2, |record| record["action"] == "api_key.report");
    let about: Vec<_> = reports.iter().map(|record| record["subject"].as_str().unwrap()).collect();
    assert_eq!(about, [&named.id, &shown.id]);
    named.run(&world.machine(), ["whoami", "--json"]).done();
    // The note of its use is written aside from the request.
    logged(
        || laptop.log(),
        1,
        |record| record["actor"] == "system:api-keys" && record["subject"] == named.id.as_str(),
    );
    world.restart();
    let letters = world.letters();
    let about = |label: &str| {
        letters.iter().filter(|letter| letter.contains("was found") && letter.contains(label)).count()
    };
    assert_eq!((about("shown"), about("named")), (1, 1));

    // Somebody who reports and reports has to wait.
    let refused = (0..200).any(|_| report(&world, json!({ "api_key": forged(&home) })).status == 429);
    assert!(refused, "reports are limited");
}

/// A key as its owner was shown it.
struct Key {
    text: String,
    /// The half that is sent.
    auth: String,
    id: String,
    public_id: String,
}

impl Key {
    #[track_caller]
    fn made(machine: &Machine, arguments: &[&str]) -> Self {
        let made = machine.run([&["api-keys", "create"], arguments, &["--json"]].concat()).json();
        let field = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name} in {made}")).to_owned();
        let text = field("api_key");
        let key: keyring::ApiKey = text.parse().expect("a key");
        Self { auth: key.auth().to_text().to_string(), id: field("id"), public_id: field("public_id"), text }
    }

    /// Runs a command with the key alone.
    #[track_caller]
    fn run<S: AsRef<OsStr>>(&self, machine: &Machine, arguments: impl IntoIterator<Item = S>) -> Outcome {
        machine.run_in(arguments, &[("BAILIWICK_API_KEY", self.text.as_str())])
    }
}

/// The sent half of a key that was never made, of this home.
fn forged(home: &str) -> String {
    let home = uuid::Uuid::try_parse(home.trim_start_matches("ten_")).expect("a home");
    let home = keyring::TenantId::from_bytes(*home.as_bytes());
    keyring::ApiKey::generate(home, false, &mut keyring::SystemRng).to_text().to_string()
}

/// The records of a kind, once there are so many: they are numbered a moment after they are written.
#[track_caller]
fn logged(log: impl Fn() -> Vec<Value>, least: usize, of_kind: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut looks = 0;
    loop {
        let records = log();
        let found: Vec<_> = records.iter().filter(|record| of_kind(record)).cloned().collect();
        if found.len() >= least {
            return found;
        }
        looks += 1;
        assert!(looks < 300, "{least} records of the kind: {records:?}");
    }
}

fn file(machine: &Machine, name: &str, length: usize) -> PathBuf {
    let path = machine.scratch(name);
    fs::write(&path, noise(1, length)).unwrap();
    path
}

/// Ends every key, as time would.
fn end_all_keys(world: &World) {
    match world.engine() {
        Engine::Sqlite => {
            for path in Files::under(world.data()).with_table("api_key") {
                Files::open(&path).execute("UPDATE api_key SET expires_at = 1", []).unwrap();
            }
        }
        Engine::Postgresql => {
            world.database().run(Role::Superuser, "UPDATE api_key SET expires_at = 1").unwrap();
        }
    }
}

#[track_caller]
fn code(answer: &Exchange) -> String {
    answer.json()["code"].as_str().unwrap_or_else(|| panic!("a code: {}", answer.json())).to_owned()
}

/// A refusal without what differs between any two: its date, and the request's id.
fn without_its_own(answer: &Exchange) -> (u16, Vec<(String, String)>, Value) {
    let mut headers = answer.response_headers.clone();
    headers.retain(|(name, _)| name != "date" && name != "x-request-id" && !name.starts_with("ratelimit"));
    let mut body = answer.json();
    body.as_object_mut().and_then(|fields| fields.remove("request"));
    (answer.status, headers, body)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
