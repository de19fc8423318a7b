// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Providers that do not answer: whom they keep waiting, and how often they are asked.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Engine, Request, World, unique};
use serde_json::{Value, json};

use super::attacks::with_liar;
use super::house::{House, challenge, code, parameter, said, text};
use super::liar::{Liar, Lie};

/// Takes connections, and says nothing.
#[derive(Clone)]
struct Silent {
    url: String,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Silent {
    fn served() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let silent = Silent { url, held: Arc::default() };
        let held = Arc::clone(&silent.held);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                held.lock().expect("no panic").push(stream);
            }
        });
        silent
    }

    /// How many connections it was asked by.
    fn asked(&self) -> usize {
        self.held.lock().expect("no panic").len()
    }
}

fn start(tenant: &str) -> Value {
    json!({ "tenant": tenant, "challenge": challenge(&unique("verifier-of-")) })
}

const UNAVAILABLE: (u16, &str) = (502, "provider_unavailable");

/// How long the server waits for a provider, and for a turn at asking one.
const PATIENCE: Duration = Duration::from_secs(10);
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// How many of one tenant's ask at a time.
const OF_ONE: usize = 5;

#[test]
fn a_provider_that_never_answers_keeps_its_own_people_waiting_and_nobody_else() {
    let mut world = World::started(Engine::Sqlite);
    // So that the flood comes from everywhere.
    world.set("BAILIWICK_TRUSTED_PROXIES", "127.0.0.1");
    let (house, silent) = (House::founded(&mut world), Silent::served());
    let create = ["providers", "create", "Silent", "--issuer", &silent.url, "--client-id", "bailiwick"];
    house.run(&create).json();
    let (eve, liar) = (world.machine(), Liar::served());
    eve.sign_up();
    let other = text(&eve.run(["tenant", "create", "Eve's", "--json"]).json()["id"]);
    let create = ["tenant", "providers", "create", "Own", "--issuer", liar.url(), "--client-id", "bailiwick"];
    eve.run(create.into_iter().chain(["--json"])).json();

    // More at once than the server asks of all tenants' providers together.
    let flood: Vec<_> = (0..80)
        .map(|number| {
            let (body, server) = (start(&house.tenant), world.url());
            thread::spawn(move || {
                let from = format!("203.0.113.{number}");
                let request = Request::new("POST", "/api/v1/signin/provider/start").json(&body);
                let request = request.header("x-forwarded-for", &from).patience(2 * PATIENCE);
                let answer = request.send(&server);
                (answer.status, code(&answer))
            })
        })
        .collect();
    let begun = Instant::now();
    while silent.asked() < 4 {
        assert!(begun.elapsed() < PATIENCE, "{} came", silent.asked());
        thread::sleep(Duration::from_millis(5));
    }
    // The others' providers are asked meanwhile, whether what they say is good or not.
    for number in 1..=10 {
        let begun = Instant::now();
        let begins = house.begin(&json!({ "tenant": other }));
        liar.expects(&parameter(&begins.url, "nonce").expect("a nonce"));
        let finished = house.finish(&begins, Some(liar.url()));
        assert_eq!(code(&finished), "not_linked", "{}", said(&finished));
        assert_eq!(liar.asked().iter().filter(|asked| *asked == "POST /token").count(), number);
        assert!(begun.elapsed() < TURN_WITHIN, "it waited for {:?}", begun.elapsed());
    }
    assert_eq!(silent.asked(), OF_ONE, "of one tenant's so many are asked at a time");
    for one in flood {
        assert_eq!(one.join().expect("an answer"), (UNAVAILABLE.0, UNAVAILABLE.1.to_owned()));
    }

    // Once it did not answer in time, it is not asked again at once: nobody waits for it anew.
    let begun = Instant::now();
    let again = house.post("/api/v1/signin/provider/start", &start(&house.tenant));
    assert_eq!((again.status, code(&again).as_str()), UNAVAILABLE);
    assert!(begun.elapsed() < TURN_WITHIN, "it took {:?}", begun.elapsed());
    assert_eq!(silent.asked(), OF_ONE);
}

#[test]
fn a_provider_that_failed_is_asked_again_when_somebody_who_manages_it_says_so() {
    let mut world = World::started(Engine::Sqlite);
    let (house, liar, _) = with_liar(&mut world);
    let begin = || {
        let answer = house.post("/api/v1/signin/provider/start", &start(&house.tenant));
        (answer.status, code(&answer))
    };
    let unavailable = (UNAVAILABLE.0, UNAVAILABLE.1.to_owned());
    liar.lies(Lie { down: true, ..Lie::default() });
    for _ in 0..5 {
        assert_eq!(begin(), unavailable);
    }
    assert_eq!(liar.asked(), ["GET /.well-known/openid-configuration"]);
    let tried = house.run(&["providers", "test", "Liar"]).refused(1);
    assert_eq!((tried.code.as_str(), liar.asked().len()), (UNAVAILABLE.1, 2));
    liar.lies(Lie::default());
    assert_eq!(begin(), unavailable, "it is not asked for whoever comes");
    assert_eq!(liar.asked().len(), 2);
    house.run(&["providers", "test", "Liar"]).done();
    assert_eq!(begin().0, 200);
}
