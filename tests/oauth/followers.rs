// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who follows what may have ended tokens: of whom they hear, and how many there may be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use harness::{Engine, Machine, Request, World, on_both_engines};
use serde_json::{Value, json};
use sha2_010::{Digest as _, Sha256};

use super::app::{App, House, said, text};
use crate::strangers::session_token;

on_both_engines!(who_follows_hears_of_its_own_people_alone);

/// A service that follows.
struct Follower(BufReader<TcpStream>);

/// What it was told in place of the stream.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    status: String,
    retry_after: Option<String>,
}

impl Follower {
    fn of(api: &App) -> Result<Self, Refused> {
        let pair = format!("{}:{}", api.client_id, api.secret.as_deref().expect("a secret"));
        let address = api.server.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
        let authorization = BASE64.encode(pair.as_bytes());
        write!(
            stream,
            "GET /oauth/revocations HTTP/1.1\r\nhost: {address}\r\nauthorization: Basic {authorization}\r\n\r\n"
        )
        .expect("it reads");
        let mut follower = Follower(BufReader::new(stream));
        let head: Vec<String> =
            std::iter::from_fn(|| Some(follower.line())).take_while(|line| !line.is_empty()).collect();
        if head[0].contains(" 200 ") {
            return Ok(follower);
        }
        let status = head[0].split(' ').nth(1).expect("a status").to_owned();
        let retry_after = head.iter().find_map(|line| line.strip_prefix("retry-after: ")).map(str::to_owned);
        Err(Refused { status, retry_after })
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).expect("a line") > 0, "the stream has ended");
        line.trim_end().to_owned()
    }

    /// Whether its stream is over. What it says until then is passed over.
    fn has_ended(&mut self) -> bool {
        self.0.get_ref().set_read_timeout(Some(Duration::from_millis(1))).expect("a time");
        let mut line = String::new();
        loop {
            match self.0.read_line(&mut line) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Of whose tokens it is told next to ask anew. Of clients it is told when they are made: they are passed over.
    fn hears(&mut self) -> Value {
        loop {
            let line = self.line();
            let data = line.strip_prefix("data: ").filter(|data| data.starts_with('{'));
            let Some(data) = data else { continue };
            let mut event: Value = serde_json::from_str(data).expect("JSON");
            if event["claim"] != "client_id" {
                event.as_object_mut().expect("an object").remove("at");
                return event;
            }
        }
    }
}

/// The client that stands for a service.
fn serving(house: &House) -> App {
    house.app(&["--serves", "https://api.example"])
}

/// What is heard of somebody.
fn of(person: &Machine) -> Value {
    let account = text(&person.run(["whoami", "--json"]).json()["account"]);
    json!({ "claim": "sub", "sha256": BASE64URL_NOPAD.encode(&Sha256::digest(account)) })
}

fn who_follows_hears_of_its_own_people_alone(world: World) {
    let (house, other) = (House::founded(&world), House::founded(&world));
    let in_both = house.member(&world);
    let made = other.run(&["invitations", "create", "--label", "Bea"]).json();
    in_both.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
    let of_both = of(&in_both);
    let (of_house, of_other) = (of(&house.owner), of(&other.owner));

    let mut own = Follower::of(&serving(&house)).expect("it follows");
    let mut theirs = Follower::of(&serving(&other)).expect("it follows");
    for follower in [&mut own, &mut theirs] {
        assert_eq!(follower.hears(), json!({ "claim": null }), "all is asked about first");
    }
    // Each stream is in order: what came before what is heard last was heard, or never is.
    in_both.run(["logout"]).done();
    other.owner.run(["logout"]).done();
    assert_eq!(theirs.hears(), of_both);
    assert_eq!(theirs.hears(), of_other);
    house.owner.run(["logout"]).done();
    assert_eq!(own.hears(), of_both);
    assert_eq!(own.hears(), of_house, "nothing was heard of who is in the other tenant alone");
}

#[test]
fn a_tenant_has_so_many_followers_and_takes_no_places_of_others() {
    let world = World::started(Engine::Sqlite);
    let (house, other) = (House::founded(&world), House::founded(&world));
    let (api, theirs) = (serving(&house), serving(&other));
    let mut followers: Vec<_> = (0..OF_ONE).map(|_| Follower::of(&api).expect("it follows")).collect();
    let full = Refused { status: "429".to_owned(), retry_after: Some("30".to_owned()) };
    assert_eq!(Follower::of(&api).err(), Some(full));
    // Another client of the tenant has no more places.
    assert!(Follower::of(&serving(&house)).is_err());
    assert!(Follower::of(&theirs).is_ok());
    // Those who follow go on.
    for follower in &mut followers {
        follower.hears();
    }

    // A place is free once its follower has gone.
    drop(followers.pop());
    follows(&api);
}

/// Waits for a place.
#[track_caller]
fn follows(api: &App) {
    let begun = Instant::now();
    while Follower::of(api).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "there is no place");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_has_so_many_followers_altogether() {
    let mut world = World::on(Engine::Sqlite);
    world.set("BAILIWICK_REQUESTS_PER_SECOND", "100000");
    world.set("BAILIWICK_REQUEST_BURST", "100000");
    world.set("BAILIWICK_TENANTS_PER_ACCOUNT", "100");
    world.start();
    let owner = world.machine();
    owner.sign_up();
    let session = session_token(&owner);
    let post = |path: &str, body: Value| {
        let answer = Request::new("POST", path).bearer(&session).json(&body).send(&world.url());
        assert!([200, 201].contains(&answer.status), "{}", said(&answer));
        answer.json()
    };
    // Without the command line, which would take its time.
    let service = || {
        let tenant = text(&post("/api/v1/tenants", json!({ "name": "Acme", "label": "Ada" }))["id"]);
        let client = json!({ "name": "Api", "authentication": "secret", "grants": [], "serves": ["https://api.example"] });
        let made = post(&format!("/api/v1/tenants/{tenant}/clients"), client);
        let (id, client_id) = (text(&made["id"]), text(&made["client_id"]));
        App { id, client_id, secret: made["client_secret"].as_str().map(str::to_owned), server: world.url() }
    };
    let mut followers = Vec::new();
    for _ in 0..OF_ALL / OF_ONE {
        let api = service();
        followers.extend((0..OF_ONE).map(|_| Follower::of(&api).expect("it follows")));
    }
    // A tenant that has none gets a place of one that has more, and no more than that.
    let late = service();
    let first = Follower::of(&late).expect("it follows");
    let ended: Vec<bool> = followers.iter_mut().map(Follower::has_ended).collect();
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
    assert!(Follower::of(&late).is_ok(), "as long as others have more");
    drop(first);
}

const OF_ONE: usize = 64;
const OF_ALL: usize = 2_048;
