// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A service of somebody's own, with `bailiwick-tower` in front of it: it verifies tokens by the key set, and hears on the stream
//! what has ended.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Extension, Router};
use bailiwick_tower::{Guard, Settings, Token};
use harness::{Engine, Exchange, Request, World, on_both_engines};

use super::app::{App, CALLBACK, House, code, said, text};

on_both_engines!(
    a_service_takes_tokens_by_the_key_set_and_refuses_them_once_they_have_ended,
    a_service_that_hears_nothing_lets_nobody_in,
    whoever_serves_nothing_does_not_follow,
);

const AUDIENCE: &str = "https://api.example";

/// How long what ended may go on at a service, on a crowded machine. One second, where nothing else runs.
const PUSHED_WITHIN: Duration = Duration::from_secs(3);

fn a_service_takes_tokens_by_the_key_set_and_refuses_them_once_they_have_ended(world: World) {
    let house = House::founded(&world);
    let (api, app) = (serving(&house), for_the_api(&house));
    let (bea, cleo) = (house.member(&world), house.member(&world));
    let service = begin(&world.url(), &world.url(), &api);
    let tokens = app.tokens(&bea, &[("resource", AUDIENCE)]);
    let others = app.tokens(&cleo, &[("resource", AUDIENCE)]);

    let passed = until(&service, &tokens.access, 200);
    let account = text(&bea.run(["whoami", "--json"]).json()["account"]);
    assert_eq!(said(&passed), format!("{account} {}", house.tenant));
    assert_eq!(ask(&service, &others.access).status, 200);
    // It asks the server about a token once, and then by itself.
    let asked = introspections(&world);
    for _ in 0..20 {
        assert_eq!(ask(&service, &tokens.access).status, 200);
    }
    assert_eq!(introspections(&world), asked);

    // Those of an application that knows ES256 alone pass as well.
    let es256 = house.app(&[&FOR_THE_API[..], &["--signing-alg", "ES256"]].concat());
    let token = es256.tokens(&bea, &[("resource", AUDIENCE)]).access;
    assert_eq!(ask(&service, &token).status, 200);

    // What is none of its tokens does not pass.
    let own = text(&bea.run(["token", "--json"]).json()["access_token"]);
    let elsewhere = house.usual().tokens(&bea, &[]);
    for (token, status, why) in [
        (own.as_str(), 401, "token_wrong_audience"),
        (&elsewhere.access, 401, "token_wrong_audience"),
        (&elsewhere.id, 401, "token_untrusted"),
        ("nonsense", 401, "token_malformed"),
    ] {
        let refused = ask(&service, token);
        assert_eq!((refused.status, code(&refused)), (status, why.to_owned()));
    }
    let nobody = Request::new("GET", "/").send(&service);
    assert_eq!((nobody.status, code(&nobody)), (401, "not_signed_in".to_owned()));
    let less = app.tokens(&bea, &[("resource", AUDIENCE), ("scope", "openid")]);
    let refused = ask(&service, &less.access);
    assert_eq!((refused.status, code(&refused)), (403, "insufficient_scope".to_owned()));

    // Whatever it hangs on, its end is pushed.
    bea.run(["logout"]).done();
    assert_ends(&service, &tokens.access);
    assert_eq!(ask(&service, &others.access).status, 200, "somebody else's goes on");
    let member = text(&cleo.run(["whoami", "--json"]).json()["account"]);
    house.run(&["members", "suspend", &member]).done();
    assert_ends(&service, &others.access);
}

fn a_service_that_hears_nothing_lets_nobody_in(mut world: World) {
    let house = House::founded(&world);
    let (api, app) = (serving(&house), for_the_api(&house));
    let bea = house.member(&world);
    let service = begin(&world.url(), &world.url(), &api);
    let token = app.tokens(&bea, &[("resource", AUDIENCE)]).access;
    until(&service, &token, 200);
    world.kill();
    let refused = until(&service, &token, 503);
    assert_eq!(code(&refused), "unavailable");
    assert!(refused.header("retry-after").is_some());
    world.start();
    until(&service, &token, 200);
    // What ended while it heard nothing has ended.
    world.kill();
    until(&service, &token, 503);
    world.start();
    bea.run(["logout"]).done();
    let answer = until(&service, &token, 401);
    assert_eq!(code(&answer), "token_revoked");
}

fn whoever_serves_nothing_does_not_follow(world: World) {
    let house = House::founded(&world);
    let follow = |app: &App, secret: &str| {
        let pair = data_encoding::BASE64.encode(format!("{}:{secret}", app.client_id).as_bytes());
        let request =
            Request::new("GET", "/oauth/revocations").header("authorization", &format!("Basic {pair}"));
        request.send(&world.url())
    };
    let (api, app) = (serving(&house), house.usual());
    assert_eq!(follow(&api, api.secret.as_deref().unwrap()).status, 200);
    assert_eq!(follow(&api, "another secret").status, 401);
    assert_eq!(code(&follow(&app, app.secret.as_deref().unwrap())), "unauthorized_client");
    assert_eq!(Request::new("GET", "/oauth/revocations").send(&world.url()).status, 401);
}

#[test]
fn what_ends_at_one_server_is_pushed_by_the_other() {
    let mut world = World::on(Engine::Postgresql);
    // One issuer, at two addresses.
    let url = world.url();
    world.set("BAILIWICK_PUBLIC_URL", &url);
    world.start();
    let mut beside = world.beside();
    beside.start();
    let house = House::founded(&world);
    let (api, app) = (serving(&house), for_the_api(&house));
    let bea = house.member(&world);
    let service = begin(&world.url(), &beside.url(), &api);
    let token = app.tokens(&bea, &[("resource", AUDIENCE)]).access;
    until(&service, &token, 200);
    bea.run(["logout"]).done();
    assert_ends(&service, &token);
}

/// The client that stands for the service.
fn serving(house: &House) -> App {
    house.app(&["--serves", AUDIENCE])
}

/// An application whose tokens are for the service.
fn for_the_api(house: &House) -> App {
    house.app(&FOR_THE_API)
}

const FOR_THE_API: [&str; 8] = [
    "--grants",
    "authorization_code,refresh_token",
    "--redirect-uri",
    CALLBACK,
    "--scopes",
    "openid,profile,device.read",
    "--resource",
    AUDIENCE,
];

/// Begins a service that says who calls it; where it is.
fn begin(issuer: &str, reached_at: &str, api: &App) -> String {
    let mut settings =
        Settings::new(issuer, AUDIENCE, api.client_id.as_str(), api.secret.as_deref().expect("a secret"));
    settings.reached_at = Some(reached_at.to_owned());
    settings.stale_after = Duration::from_secs(3);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let guard = Guard::new(settings).expect("settings");
            let hello = |Extension(token): Extension<Token>| async move {
                format!("{} {}", token.subject, token.tenant)
            };
            let router = Router::new().route("/", get(hello)).layer(guard.layer().requiring("device.read"));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            sender.send(listener.local_addr().expect("its address")).expect("somebody waits");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    format!("http://{}", receiver.recv().expect("it began"))
}

fn ask(service: &str, token: &str) -> Exchange {
    Request::new("GET", "/").bearer(token).send(service)
}

/// Asks until the answer has this status.
#[track_caller]
fn until(service: &str, token: &str, status: u16) -> Exchange {
    let begun = Instant::now();
    loop {
        let answer = ask(service, token);
        if answer.status == status {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{} {}", answer.status, said(&answer));
    }
}

#[track_caller]
fn assert_ends(service: &str, token: &str) {
    let begun = Instant::now();
    let answer = until(service, token, 401);
    let took = begun.elapsed();
    assert_eq!(code(&answer), "token_revoked");
    assert!(took < PUSHED_WITHIN, "it went on for {took:?}");
}

/// How often the server was asked what a token is worth.
fn introspections(world: &World) -> String {
    let metrics = said(&Request::new("GET", "/metrics").send(&world.url()));
    let is_it =
        |line: &&str| line.starts_with("bailiwick_requests_total") && line.contains("/oauth/introspect");
    metrics.lines().filter(is_it).collect()
}
