// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the HTTP interface promises to programs: preconditions, repetition, limits, and downloads that end with their session.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use harness::{Exchange, Machine, Recorder, Request, World, noise, on_both_engines, unique};
use serde_json::{Value, json};

on_both_engines!(
    a_change_under_a_key_happens_once,
    replacing_whatever_is_there_fails_when_nothing_is,
    every_answer_says_what_is_left_to_ask_for,
    an_error_does_not_repeat_what_was_sent,
    a_download_ends_with_its_session,
    downloads_of_one_home_are_bounded_and_leave_the_others_theirs,
    downloads_of_several_homes_at_one_address_leave_the_others_theirs,
);

/// A collection of somebody who is signed in, and how to speak for them.
struct Home {
    url: String,
    token: String,
    collection: String,
}

impl Home {
    fn made(world: &World) -> (Home, Machine) {
        let wire = Recorder::before(&world.url());
        let machine = world.machine().through(wire.url());
        machine.sign_up();
        machine.run(["whoami", "--json"]).done();
        let token = wire.credentials().into_iter().find(|token| token.starts_with("bws_")).expect("a token");
        let home = Home { url: world.url(), token, collection: unique("col_") };
        let new = json!({
            "id": home.collection, "kind": "test", "sealed_key": text(100), "sealed_meta": text(10),
        });
        assert_eq!(home.ask("POST", "/api/v1/collections", &[], Some(&new)).status, 201);
        (home, machine)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Exchange {
        let mut request = Request::new(method, path).bearer(&self.token);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        body.map_or(request.clone(), |body| request.json(body)).send(&self.url)
    }

    fn item(&self, item: &str) -> String {
        format!("/api/v1/collections/{}/items/{item}", self.collection)
    }
}

fn text(length: usize) -> String {
    BASE64URL_NOPAD.encode(&noise(3, length))
}

fn a_change_under_a_key_happens_once(mut world: World) {
    let (home, machine) = Home::made(&world);
    let path = home.item(&unique("itm_"));
    let key = unique("key-");
    let headers = [("if-none-match", "*"), ("idempotency-key", key.as_str())];
    let put = json!({ "sealed": text(50) });
    let first = home.ask("PUT", &path, &headers, Some(&put));
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None));
    for _ in 0..2 {
        let again = home.ask("PUT", &path, &headers, Some(&put));
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
        assert_eq!((&again.response, again.header("etag")), (&first.response, first.header("etag")));
        assert_eq!(home.ask("GET", &path, &[], None).json()["version"], 1, "it was not done again");
        world.restart();
    }
    let other = home.ask("PUT", &path, &headers, Some(&json!({ "sealed": text(51) })));
    assert_eq!((other.status, other.json()["field"].as_str()), (422, Some("idempotency-key")));
    let elsewhere = home.ask("PUT", &home.item(&unique("itm_")), &headers, Some(&put));
    assert_eq!(elsewhere.status, 422, "another path is another request");

    machine.verified_records();

    // An upload that is begun twice is begun once.
    let uploads = format!("/api/v1/collections/{}/uploads", home.collection);
    let begin =
        |key: &str| home.ask("POST", &uploads, &[("idempotency-key", key)], Some(&json!({ "size": 10 })));
    let key = unique("key-");
    assert_eq!(begin(&key).json()["id"], begin(&key).json()["id"]);
    assert_ne!(begin(&key).json()["id"], begin(&unique("key-")).json()["id"]);

    // A tenant that is founded twice is founded once.
    let new = json!({ "name": "Acme", "label": "Ada" });
    let found = |key: &str| home.ask("POST", "/api/v1/tenants", &[("idempotency-key", key)], Some(&new));
    let key = unique("key-");
    let (first, again) = (found(&key), found(&key));
    assert_eq!((first.status, again.status), (201, 201), "{first:?} {again:?}");
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_ne!(first.json()["id"], found(&unique("key-")).json()["id"]);
    // Also when no more may be founded.
    world.set("BAILIWICK_TENANTS_PER_ACCOUNT", "2");
    world.restart();
    assert_eq!(found(&unique("key-")).status, 409);
    assert_eq!(found(&key).json()["id"], first.json()["id"]);

    // What failed did nothing, and may be tried again under its key.
    let key = unique("key-");
    let headers = [("if-match", "\"7\""), ("idempotency-key", key.as_str())];
    assert_eq!(home.ask("PUT", &path, &headers, Some(&put)).status, 409);
    assert_eq!(home.ask("PUT", &path, &headers, Some(&put)).status, 409);

    // Somebody else's key is their own.
    let (eve, _) = Home::made(&world);
    let path = eve.item(&unique("itm_"));
    let headers = [("if-none-match", "*"), ("idempotency-key", key.as_str())];
    assert_eq!(eve.ask("PUT", &path, &headers, Some(&put)).status, 200);
    let long = "k".repeat(256);
    let refused = eve.ask("PUT", &path, &[("if-match", "*"), ("idempotency-key", &long)], Some(&put));
    assert_eq!(refused.status, 422);
}

fn replacing_whatever_is_there_fails_when_nothing_is(world: World) {
    let (home, _) = Home::made(&world);
    let path = home.item(&unique("itm_"));
    let put = |header| home.ask("PUT", &path, &[header], Some(&json!({ "sealed": text(5) })));
    let missing = put(("if-match", "*"));
    assert_eq!((missing.status, missing.json()["code"].as_str()), (412, Some("precondition_failed")));
    assert_eq!(put(("if-none-match", "*")).status, 200);
    assert_eq!(put(("if-match", "*")).status, 200);
}

fn every_answer_says_what_is_left_to_ask_for(mut world: World) {
    world.set("BAILIWICK_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_REQUEST_BURST", "5");
    world.restart();
    let ask = || Request::new("GET", "/.well-known/bailiwick").send(&world.url());
    let left = |answer: &Exchange| {
        let said = answer.header("ratelimit").expect("what is left");
        let left = said.strip_prefix("\"address\";r=").and_then(|rest| rest.split_once(";t="));
        left.expect("RateLimit of the draft").0.parse::<u32>().expect("a number")
    };
    let first = ask();
    assert_eq!(first.header("ratelimit-policy"), Some("\"address\";q=5;w=5"));
    assert!(left(&first) <= 4);
    let refused = (0..100).map(|_| ask()).find(|answer| answer.status == 429).expect("a limit");
    assert_eq!(left(&refused), 0);
    assert!(refused.header("retry-after").is_some());
}

fn an_error_does_not_repeat_what_was_sent(world: World) {
    let (home, _) = Home::made(&world);
    let secret = unique("secret-");
    let changes = format!("/api/v1/collections/{}/changes", home.collection);
    for (path, body) in [
        ("/api/v1/signin/password/start".to_owned(), Some(json!({ "email_hash": secret }))),
        ("/api/v1/signup/salt".to_owned(), Some(json!({ "email_hash": { "of": secret } }))),
        (home.item(&unique("itm_")), Some(json!({ "sealed": "", "upload": secret }))),
        (home.item(&unique("itm_")), Some(json!({ format!("{secret} x"): 1 }))),
        (format!("{changes}?after={secret}"), None),
        (format!("{changes}?{secret}%20x=1"), None),
    ] {
        let method = match &body {
            None => "GET",
            Some(_) if path.contains("/items/") => "PUT",
            Some(_) => "POST",
        };
        let answer = home.ask(method, &path, &[("if-match", "*")], body.as_ref());
        assert_eq!(answer.status, 422, "{method} {path}");
        let said = String::from_utf8_lossy(&answer.response).into_owned();
        assert!(!said.contains(&secret), "{said}");
    }
}

/// Somebody who took a token, and reads a large file with it: slowly.
struct SlowReader {
    address: String,
    path: String,
    token: String,
}

/// A download that has begun: its first bytes were taken.
struct Begun {
    socket: TcpStream,
    first: Vec<u8>,
}

impl SlowReader {
    const SIZE: usize = 64 << 20;

    /// Of a file that the machine puts and gets by way of a recorder.
    fn made(world: &World, wire: &Recorder, machine: &Machine) -> Self {
        let local = machine.scratch("large");
        fs::write(&local, noise(5, Self::SIZE)).unwrap();
        machine.put(&local, "large").done();
        wire.forget();
        machine.get("large", &machine.scratch("copy")).done();
        let exchanges = wire.exchanges();
        let download = exchanges.iter().find(|exchange| exchange.path.ends_with("/file")).expect("a file");
        let token = wire.credentials().into_iter().find(|token| token.starts_with("bws_")).expect("a token");
        let address = world.url().trim_start_matches("http://").to_owned();
        Self { address, path: download.path.clone(), token }
    }

    fn begin(&self) -> Begun {
        self.begin_with("")
    }

    /// As a proxy says that somebody from there asked.
    fn begin_from(&self, from: &str) -> Begun {
        self.begin_with(&format!("x-forwarded-for: {from}\r\n"))
    }

    fn begin_with(&self, headers: &str) -> Begun {
        let Self { address, path, token } = self;
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
        )
        .unwrap();
        let mut first = Vec::new();
        (&mut socket).take(64 << 10).read_to_end(&mut first).unwrap();
        Begun { socket, first }
    }
}

impl Begun {
    fn head(&self) -> String {
        let head = self.first.split(|byte| *byte == b'\n').take_while(|line| line.len() > 1);
        String::from_utf8_lossy(&head.collect::<Vec<_>>().join(&b'\n')).to_lowercase()
    }

    fn is_sent(&self) -> bool {
        self.first.starts_with(b"HTTP/1.1 200") || self.first.starts_with(b"HTTP/1.1 206")
    }

    /// Takes all that comes, and says how many bytes the answer had.
    fn rest(mut self) -> usize {
        let (mut all, mut buffer) = (self.first.len(), vec![0; 1 << 20]);
        while let Ok(length @ 1..) = self.socket.read(&mut buffer) {
            all += length;
        }
        all
    }
}

fn a_download_ends_with_its_session(world: World) {
    let wire = Recorder::before(&world.url());
    let machine = world.machine().through(wire.url());
    let ada = machine.sign_up();
    let reader = SlowReader::made(&world, &wire, &machine);
    assert!(reader.begin().rest() > SlowReader::SIZE, "a session that lives reads all of it");
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let thief = reader.begin();
    assert!(thief.is_sent(), "{}", thief.head());
    desktop.run(["sessions", "end-others", "--json"]).done();
    assert!(thief.rest() < SlowReader::SIZE, "what was on its way, and no more");
}

fn downloads_of_one_home_are_bounded_and_leave_the_others_theirs(world: World) {
    let wire = Recorder::before(&world.url());
    let machine = world.machine().through(wire.url());
    machine.sign_up();
    let reader = SlowReader::made(&world, &wire, &machine);
    let mut held: Vec<_> = (0..32).map(|_| reader.begin()).collect();
    assert!(held.iter().all(Begun::is_sent), "{}", held[31].head());
    let refused = reader.begin();
    assert!(refused.first.starts_with(b"HTTP/1.1 429"), "{}", refused.head());
    assert!(refused.head().contains("\nretry-after: "), "{}", refused.head());

    let other = world.machine();
    other.sign_up();
    let film = other.scratch("film");
    fs::write(&film, noise(6, 1 << 20)).unwrap();
    other.put(&film, "film").done();
    other.get("film", &other.scratch("copy")).done();

    held.pop();
    assert!(reader.begin().is_sent(), "there is a place again");
}

/// Of eight places an address has two.
fn downloads_of_several_homes_at_one_address_leave_the_others_theirs(mut world: World) {
    let readers = [(); 2].map(|()| {
        let wire = Recorder::before(&world.url());
        let machine = world.machine().through(wire.url());
        machine.sign_up();
        SlowReader::made(&world, &wire, &machine)
    });
    world.set("BAILIWICK_TRUSTED_PROXIES", "127.0.0.1");
    world.set("BAILIWICK_CONCURRENT_REQUESTS", "16");
    world.restart();
    let [one, two] = &readers;
    let held = [one.begin_from("203.0.113.7"), two.begin_from("203.0.113.7")];
    assert!(held.iter().all(Begun::is_sent), "{}", held[1].head());
    let refused = two.begin_from("203.0.113.7");
    assert!(refused.first.starts_with(b"HTTP/1.1 429"), "{}", refused.head());
    assert!(refused.head().contains("\nretry-after: "), "{}", refused.head());
    assert!(two.begin_from("198.51.100.1").is_sent(), "somebody elsewhere");
    drop(held);
    assert!(two.begin_from("203.0.113.7").is_sent(), "there is a place again");
}
