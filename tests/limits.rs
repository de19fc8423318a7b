// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How often may be asked: by one address, with one token, of one route, in one tenant; by several servers together when there is a
//! Redis, and by each alone when there is none any more.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::{Engine, Redis, Request, World, on_both_engines};
use serde_json::Value;

use crate::strangers::session_token;

on_both_engines!(
    a_token_has_a_limit_of_its_own,
    a_route_has_a_limit_of_its_own,
    health_is_told_whatever_was_asked_before,
    a_tenant_has_a_limit_that_strangers_do_not_use_up,
    a_limit_of_a_route_that_there_is_not_stops_the_start,
    one_address_keeps_no_more_answers_waiting_than_are_its_own,
    one_address_keeps_no_more_connections_open_than_are_its_own,
);

fn a_token_has_a_limit_of_its_own(mut world: World) {
    let (laptop, other) = (world.machine(), world.machine());
    laptop.sign_up();
    other.sign_up();
    world.set("BAILIWICK_TOKEN_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_TOKEN_REQUEST_BURST", "3");
    world.restart();
    let ask = |token: &str| Request::new("GET", "/api/v1/account").bearer(token).send(&world.url());
    let token = session_token(&laptop);
    let answers: Vec<_> = (0..12).map(|_| ask(&token)).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("it comes to an end");
    assert_eq!(answers[0].status, 200);
    assert_eq!(refused.json()["code"], "too_many_requests");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(refused.header("ratelimit").unwrap().contains("\"token\";r=0"), "{refused:?}");
    let told = answers[0].header("ratelimit-policy").unwrap();
    assert_eq!(told, "\"token\";q=3;w=3, \"address\";q=1000;w=5");
    assert_eq!(ask(&session_token(&other)).status, 200, "another one goes on from the same address");
}

#[test]
fn a_token_that_is_spelled_otherwise_is_the_same_token() {
    let mut world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let token = session_token(&laptop);
    let spelled = [
        ("authorization", format!("Bearer {token}")),
        ("authorization", format!("bearer {token}")),
        ("Authorization", format!("BEARER {token}")),
        ("authorization", format!("Bearer    {token}")),
        ("authorization", format!("  bEaReR \t{token} ")),
        ("cookie", format!("other=1; bailiwick={token}")),
    ];
    let asks = ["/api/v1/account", "/api/v1/forward-auth"].into_iter().flat_map(|path| {
        spelled.iter().map(move |(name, value)| Request::new("GET", path).header(name, value))
    });
    let asks: Vec<_> = asks.collect();
    for ask in &asks {
        assert_eq!(ask.send(&world.url()).status, 200, "{ask:?}");
    }
    world.set("BAILIWICK_TOKEN_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_TOKEN_REQUEST_BURST", "3");
    world.restart();
    let begun = Instant::now();
    let answers: Vec<_> = asks.iter().map(|ask| ask.send(&world.url())).collect();
    let passed = answers.iter().filter(|answer| answer.status == 200).count() as u64;
    assert!(passed <= 3 + begun.elapsed().as_secs() + 1, "{passed} of {} passed", asks.len());
    let refused = answers.iter().filter(|answer| answer.status == 429).count() as u64;
    assert_eq!(passed + refused, asks.len() as u64);
}

fn a_route_has_a_limit_of_its_own(mut world: World) {
    world.set("BAILIWICK_ROUTE_LIMITS", "GET /.well-known/bailiwick 1/2, POST /api/v1/signup/start 5/50");
    world.restart();
    let ask = |path: &str| Request::new("GET", path).send(&world.url()).status;
    let answers: Vec<_> = (0..12).map(|_| ask("/.well-known/bailiwick")).collect();
    assert!(answers[0] == 200 && answers.contains(&429), "{answers:?}");
    assert_eq!(ask("/livez"), 200);
}

fn health_is_told_whatever_was_asked_before(mut world: World) {
    world.set("BAILIWICK_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_REQUEST_BURST", "2");
    world.restart();
    let ask = |path: &str| Request::new("GET", path).send(&world.url()).status;
    assert!((0..20).any(|_| ask("/.well-known/bailiwick") == 429));
    let health: Vec<_> = (0..20).map(|_| (ask("/livez"), ask("/readyz"))).collect();
    assert_eq!(health, [(200, 200); 20]);
}

fn a_tenant_has_a_limit_that_strangers_do_not_use_up(mut world: World) {
    let (ada, mallory) = (world.machine(), world.machine());
    ada.sign_up();
    mallory.sign_up();
    let made = ada.run(["tenant", "create", "Acme", "--json"]).json();
    let tenant = made["id"].as_str().expect("an id").to_owned();
    world.set("BAILIWICK_TENANT_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_TENANT_REQUEST_BURST", "4");
    world.restart();
    let path = format!("/api/v1/tenants/{tenant}/organisations");
    let ask = |token: &str| Request::new("GET", &path).bearer(token).send(&world.url());
    let (own, strange) = (session_token(&ada), session_token(&mallory));
    for _ in 0..20 {
        assert_eq!(ask(&strange).status, 404);
    }
    let answers: Vec<_> = (0..15).map(|_| ask(&own)).collect();
    assert_eq!(answers[0].status, 200, "nobody used it up");
    let refused = answers.iter().find(|answer| answer.status == 429).expect("it comes to an end");
    assert!(refused.header("ratelimit").unwrap().contains("\"tenant\";r=0"), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    // Who is a stranger does not learn by it that there is such a tenant.
    assert_eq!(ask(&strange).status, 404);
    assert_eq!(Request::new("GET", "/api/v1/account").bearer(&own).send(&world.url()).status, 200);
}

fn a_limit_of_a_route_that_there_is_not_stops_the_start(mut world: World) {
    world.stop();
    world.set("BAILIWICK_ROUTE_LIMITS", "GET /api/v1/nothing 1/2");
    let refusal = world.try_start().expect_err("it would limit nothing");
    assert!(refusal.said.contains("route_limits") && refusal.said.contains("/api/v1/nothing"), "{refusal:?}");
}

/// Of 16 MiB of answers that may wait an address has four, the document has 1.1. By HTTP/2 a client says itself that it takes nothing.
fn one_address_keeps_no_more_answers_waiting_than_are_its_own(mut world: World) {
    world.set("BAILIWICK_CONCURRENT_REQUESTS", "8");
    world.restart();
    let ask = |path: &str| Request::new("GET", path).send(&world.url()).status;
    let document = "/openapi.json";
    assert_eq!(ask(document), 200);
    let mut greedy = Http2::taking_nothing(&world.url());
    let answers: Vec<_> = (0..6).map(|_| greedy.ask(document)).collect();
    assert_eq!(answers, [200, 200, 200, 503, 503, 503]);
    assert_eq!(ask(document), 503, "it is the same address");
    assert_eq!(ask("/.well-known/bailiwick"), 200, "what is short waits nowhere");
    drop(greedy);
    let begun = Instant::now();
    while ask(document) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "places are free again with their connection");
    }
}

/// Of 64 connections an address has 16.
fn one_address_keeps_no_more_connections_open_than_are_its_own(mut world: World) {
    world.set("BAILIWICK_CONNECTIONS", "64");
    world.restart();
    let connect = || {
        let stream = TcpStream::connect(authority(&world.url())).expect("the port is open");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        stream
    };
    // Closed at once, or waited for.
    let is_refused = |mut stream: &TcpStream| match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    };
    let open: Vec<_> = (0..20).map(|_| connect()).collect();
    let refused = open.iter().filter(|stream| is_refused(stream)).count();
    assert!((4..=6).contains(&refused), "{refused} of 20 refused: the test's own may have some of the 16");
    drop(open);
    let begun = Instant::now();
    while is_refused(&connect()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "places are free again with their connection");
    }
    assert_eq!(Request::new("GET", "/livez").send(&world.url()).status, 200);
}

/// A client of HTTP/2 (RFC 9113), frame by frame, that opens no window.
struct Http2 {
    stream: TcpStream,
    authority: String,
    last: u32,
}

impl Http2 {
    fn taking_nothing(url: &str) -> Self {
        let authority = authority(url).to_owned();
        let mut stream = TcpStream::connect(&authority).expect("the port is open");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface");
        // SETTINGS_HEADER_TABLE_SIZE and SETTINGS_INITIAL_WINDOW_SIZE are 0.
        stream
            .write_all(&[0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])
            .expect("settings");
        Http2 { stream, authority, last: u32::MAX }
    }

    /// The status of what is asked, whose body stays where it is.
    fn ask(&mut self, path: &str) -> u16 {
        self.last = self.last.wrapping_add(2);
        // HPACK (RFC 7541): `:method: GET` and `:scheme: http` by number, `:path` and `:authority` as they are.
        let mut block = vec![0x82, 0x86];
        for (name, value) in [(0x04, path), (0x01, self.authority.as_str())] {
            block.extend([name, u8::try_from(value.len()).expect("short")]);
            block.extend(value.as_bytes());
        }
        let length = u8::try_from(block.len()).expect("short");
        // END_STREAM and END_HEADERS
        let mut frame = vec![0, 0, length, 1, 0x5];
        frame.extend(self.last.to_be_bytes());
        frame.extend(block);
        self.stream.write_all(&frame).expect("a request");
        loop {
            let (kind, stream, payload) = self.frame();
            if kind == 1 && stream == self.last {
                return status(&payload);
            }
        }
    }

    fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).expect("a frame");
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).expect("its payload");
        (kind, u32::from_be_bytes(stream), payload)
    }
}

/// The status at the beginning of a block of headers, behind what says how large the table is: by number, or as a literal.
fn status(block: &[u8]) -> u16 {
    let start = block.iter().position(|byte| *byte != 0x20).expect("headers");
    match &block[start..] {
        [0x88, ..] => 200,
        // In Huffman's code
        [0x08 | 0x48, 0x83, 0x6c, 0x0c, 0xff, ..] => 503,
        other => panic!("neither 200 nor 503: {other:02x?}"),
    }
}

fn authority(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

#[test]
fn two_servers_count_together_and_each_alone_once_redis_is_gone() {
    let mut redis = Redis::with_tls();
    let mut world = World::on(Engine::Postgresql);
    share(&mut world, &redis.url());
    world.set("BAILIWICK_REDIS_CA_FILE", redis.authority());
    world.start();
    let mut beside = world.beside();
    beside.start();
    until(&world, SHARED, 1);
    until(&beside, SHARED, 1);

    let (begun, mut passed) = (Instant::now(), 0);
    for _ in 0..20 {
        for server in [&world, &beside] {
            passed += u64::from(ask(server).status == 200);
        }
    }
    // One more each second.
    let most = 20 + begun.elapsed().as_secs() + 1;
    assert!(passed <= most, "{passed} passed, of {most} for both together");
    let refused = ask(&world);
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());

    redis.kill();
    // The first that asks notices; nobody's request fails because of it. Who is over their own limit asks nobody.
    for server in [&world, &beside] {
        let begun = Instant::now();
        while !server.log().contains(LOST) {
            assert!([200, 429].contains(&ask(server).status));
            assert!(begun.elapsed() < Duration::from_secs(60), "never said: {LOST}");
        }
    }
    assert_eq!(metric(&world, "bailiwick_limits_shared"), 0.0);
    let more: Vec<_> = (0..5).map(|_| ask(&beside).status).collect();
    assert!(more.iter().all(|status| [200, 429].contains(status)), "{more:?}");
    let alone: Vec<_> = (0..60).map(|_| ask(&world).status).collect();
    assert!(alone.contains(&429), "its own limit goes on");

    redis.start();
    until(&world, SHARED, 2);
    assert_eq!(metric(&world, "bailiwick_limits_shared"), 1.0);
}

#[test]
fn a_redis_whose_certificate_nobody_signed_is_not_believed() {
    let redis = Redis::with_tls();
    let mut world = World::on(Engine::Sqlite);
    share(&mut world, &redis.url());
    world.start();
    until(&world, "Redis cannot be reached", 1);
    assert_eq!(ask(&world).status, 200);
    assert!(!world.log().contains(SHARED), "{}", world.log());
}

#[test]
fn installations_on_one_redis_do_not_count_together_and_it_learns_no_address() {
    let redis = Redis::plain();
    let mut worlds = [World::on(Engine::Sqlite), World::on(Engine::Sqlite)];
    for world in &mut worlds {
        share(world, &redis.url());
        world.start();
        until(world, SHARED, 1);
        for _ in 0..15 {
            assert_eq!(ask(world).status, 200);
        }
    }
    let keys = redis.keys();
    assert!(keys.len() >= 2, "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("{bailiwick}:limit:") && !key.contains("127")), "{keys:?}");
}

#[test]
fn a_redis_without_tls_elsewhere_is_refused_in_production() {
    let mut world = World::on(Engine::Sqlite);
    for (name, value) in [
        ("PRODUCTION", "true"),
        ("PUBLIC_URL", "https://id.example"),
        ("SMTP_URL", "smtps://mail.example"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("REDIS_URL", "redis://cache.example:6379"),
    ] {
        world.set(format!("BAILIWICK_{name}"), value);
    }
    let refusal = world.try_start().expect_err("it is not safe");
    assert!(refusal.said.contains("redis_url") && refusal.said.contains("rediss://"), "{refusal:?}");
}

const SHARED: &str = "limits are counted in Redis";
const LOST: &str = "Redis does not answer";

/// One a second, twenty at once.
fn share(world: &mut World, redis: &str) {
    world.set("BAILIWICK_REDIS_URL", redis);
    world.set("BAILIWICK_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_REQUEST_BURST", "20");
}

fn ask(world: &World) -> harness::Exchange {
    Request::new("GET", "/.well-known/bailiwick").send(&world.url())
}

/// Waits until the log has said so, this many times.
#[track_caller]
fn until(world: &World, said: &str, times: usize) {
    let begun = Instant::now();
    while world.log().matches(said).count() < times {
        assert!(begun.elapsed() < Duration::from_secs(60), "never said: {said}");
        std::thread::yield_now();
    }
}

/// A metric, once the limit lets it be asked for.
#[track_caller]
fn metric(world: &World, name: &str) -> f64 {
    let begun = Instant::now();
    loop {
        let answer = Request::new("GET", "/metrics").send(&world.url());
        if answer.status == 200 {
            let text = String::from_utf8_lossy(&answer.response).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the metric");
            return line.trim().parse().expect("a number");
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", answer.json() as Value);
        std::thread::yield_now();
    }
}
