// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Applications that are told of sign-outs (OpenID Connect Back-Channel Logout 1.0).

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Home, World, on_both_engines};
use serde_json::json;

use super::app::{App, CALLBACK, House, Tokens, decoded, get, parameter, text};

on_both_engines!(
    an_application_is_told_when_somebody_is_signed_out_of_it,
    an_application_that_does_not_answer_keeps_no_other_tenant_waiting,
    who_is_told_is_nobody_inside,
);

/// An application that takes what it is told.
#[derive(Clone)]
struct Ear {
    uri: String,
    heard: Arc<Mutex<Vec<String>>>,
    /// What it answers next, 200 when that is empty.
    answers: Arc<Mutex<Vec<u16>>>,
    /// How many messages came, answered or not.
    came: Arc<AtomicUsize>,
    /// Whether it answers at all.
    speaks: Arc<(Mutex<bool>, Condvar)>,
}

impl Ear {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let uri = format!("http://{}/signed-out", listener.local_addr().expect("its address"));
        let ear = Ear {
            uri,
            heard: Arc::default(),
            answers: Arc::default(),
            came: Arc::default(),
            speaks: Arc::new((Mutex::new(true), Condvar::new())),
        };
        let this = ear.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let this = this.clone();
                thread::spawn(move || this.listen(stream));
            }
        });
        ear
    }

    fn listen(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        // The form is short: it is whole once its end was seen.
        while let Ok(read @ 1..) = stream.read(&mut part) {
            bytes.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        self.came.fetch_add(1, Ordering::SeqCst);
        let (speaks, changed) = &*self.speaks;
        drop(changed.wait_while(speaks.lock().expect("no panic"), |speaks| !*speaks));
        let status = self.answers.lock().expect("no panic").pop().unwrap_or(200);
        let _ = write!(stream, "HTTP/1.1 {status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        self.heard.lock().expect("no panic").push(String::from_utf8_lossy(&bytes).into_owned());
    }

    fn answers_at_all(&self, speaks: bool) {
        *self.speaks.0.lock().expect("no panic") = speaks;
        self.speaks.1.notify_all();
    }

    /// Waits until so many messages came, answered or not.
    #[track_caller]
    fn is_told(&self, times: usize) {
        until(|| self.came.load(Ordering::SeqCst) >= times, || format!("{:?} came", self.came));
    }

    /// The logout token of the message of this number, once it is there.
    #[track_caller]
    fn hears(&self, number: usize) -> String {
        until(|| self.count() >= number, || format!("nothing was heard: {}", self.count()));
        let message = self.heard.lock().expect("no panic")[number - 1].clone();
        let (head, body) = message.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("POST /signed-out "), "{head}");
        assert!(head.contains("application/x-www-form-urlencoded"), "{head}");
        parameter(&format!("?{body}"), "logout_token").expect("a token")
    }

    fn count(&self) -> usize {
        self.heard.lock().expect("no panic").len()
    }
}

fn application(house: &House, ear: &Ear) -> App {
    house.app(&[
        "--grants",
        "authorization_code,refresh_token",
        "--redirect-uri",
        CALLBACK,
        "--scopes",
        "openid,profile,offline_access,device.read",
        "--backchannel-logout-uri",
        &ear.uri,
    ])
}

fn listening(world: &mut World) -> House {
    world.set("BAILIWICK_PROVIDER_NETWORKS", "127.0.0.0/8");
    world.restart();
    House::founded(world)
}

/// Makes the notes of grants older: each is looked at once its grant has surely begun, which is five seconds later.
fn settle(world: &World) {
    Home::directory(world).update("oauth_logout", "noted_at = noted_at - 5000", "due_at IS NULL");
}

#[track_caller]
fn until(mut is_so: impl FnMut() -> bool, otherwise: impl Fn() -> String) {
    let end = Instant::now() + Duration::from_secs(45);
    while !is_so() {
        assert!(Instant::now() < end, "{}", otherwise());
        thread::sleep(Duration::from_millis(20));
    }
}

fn an_application_is_told_when_somebody_is_signed_out_of_it(mut world: World) {
    let house = listening(&mut world);
    let ear = Ear::open();
    let app = application(&house, &ear);
    let laptop = world.machine();
    let person = laptop.sign_up();
    let made = house.run(&["invitations", "create", "--label", "Bea"]).json();
    laptop.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
    let bound = app.tokens(&laptop, &[]);
    let offline = app.tokens(&laptop, &[("scope", "openid offline_access")]);
    let hidden = app.tokens(&laptop, &[("scope", "device.read")]);
    settle(&world);
    assert_eq!(ear.count(), 0);

    // She signs out: of what hung on her session.
    ear.answers.lock().unwrap().push(503);
    laptop.run(["logout"]).done();
    let token = ear.hears(1);
    let (header, claims) = decoded(&token);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!("EdDSA")));
    let signed_in = decoded(&bound.id).1;
    for name in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[name], signed_in[name], "{name}");
    }
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert!(claims["jti"].is_string() && claims.get("nonce").is_none());
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 120);
    // It was not taken: again, and by another token. The pause until then is over sooner here.
    Home::directory(&world).update("oauth_logout", "due_at = due_at - 20000", "tries = 1");
    let again = ear.hears(2);
    assert_ne!(again, token);
    assert_eq!(decoded(&again).1["sid"], claims["sid"]);
    // It is none of the tokens that let anybody in.
    assert!(!app.is_active(&token));
    assert_eq!(get(&world, "/oauth/userinfo", &token).status, 401);
    assert_eq!(get(&world, &format!("/oauth/logout?id_token_hint={token}"), "").status, 422);
    assert!(app.is_active(&offline.access) && !app.is_active(&hidden.access));

    // Her password changes, and what went on without a session ends; also while the server was away.
    laptop.sign_in(&person).done();
    let other = world.machine();
    other.sign_in(&person).done();
    other.change_password(&person, "another long enough password").done();
    world.restart();
    let sid = |number| decoded(&ear.hears(number)).1["sid"].clone();
    assert_eq!(sid(3), decoded(&offline.id).1["sid"]);

    // A client that signs somebody out itself is not told of that.
    let own = app.tokens(&other, &[]);
    let carl = house.member(&world);
    let of_carl = app.tokens(&carl, &[]);
    settle(&world);
    let hint = get(&world, &format!("/oauth/logout?id_token_hint={}", own.id), "");
    assert_eq!(hint.status, 303);
    let account = text(&carl.run(["whoami", "--json"]).json()["account"]);
    house.run(&["members", "remove", &account]).done();
    assert_eq!(sid(4), decoded(&of_carl.id).1["sid"], "a member was taken out");
    // Once nobody is waited for any more, nobody else was told.
    let notes = || Home::directory(&world).rows("oauth_logout", ["due_at", "tries"]);
    until(|| notes().is_empty(), || format!("{:?}", notes()));
    assert_eq!(ear.count(), 4);
    assert!(!world.log().contains(&token));
    let _: Tokens = own;
}

fn an_application_that_does_not_answer_keeps_no_other_tenant_waiting(mut world: World) {
    let (house, other) = (listening(&mut world), House::founded(&world));
    let (silent, ear) = (Ear::open(), Ear::open());
    silent.answers_at_all(false);
    let (slow, app) = (application(&house, &silent), application(&other, &ear));
    for _ in 0..3 {
        slow.tokens(&house.owner, &[]);
    }
    app.tokens(&other.owner, &[]);
    settle(&world);

    // All three have ended: two of a tenant are told at a time, and not even these hold up another tenant's.
    house.owner.run(["logout"]).done();
    silent.is_told(2);
    other.owner.run(["logout"]).done();
    ear.hears(1);
    assert_eq!((silent.came.load(Ordering::SeqCst), silent.count()), (2, 0), "it is waited for still");

    silent.answers_at_all(true);
    silent.is_told(3);
}

fn who_is_told_is_nobody_inside(mut world: World) {
    let house = House::founded(&world);
    let create = |uri: &str| {
        house.run(&[
            "clients",
            "create",
            "App",
            "--grants",
            "authorization_code",
            "--redirect-uri",
            CALLBACK,
            "--scopes",
            "openid",
            "--backchannel-logout-uri",
            uri,
        ])
    };
    for uri in [
        "http://app.example/signed-out",
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://user@app.example/",
        "https://app.example/#a",
        "file:///etc/passwd",
        "app.example",
    ] {
        assert_eq!(create(uri).refused(1).code, "invalid_field", "{uri}");
    }
    let made = create("https://app.example/signed-out").json();
    assert_eq!(made["backchannel_logout_uri"], json!("https://app.example/signed-out"));
    let id = text(&made["id"]);
    let change = |uri: &str| house.run(&["clients", "change", &id, "--backchannel-logout-uri", uri]);
    assert_eq!(change("https://192.168.0.1/").refused(1).code, "invalid_field");
    assert!(change("").json().get("backchannel_logout_uri").is_none());
    // What was good before the operator took it back is not asked.
    world.set("BAILIWICK_PROVIDER_NETWORKS", "127.0.0.0/8");
    world.restart();
    let ear = Ear::open();
    let app = application(&house, &ear);
    let bea = house.member(&world);
    app.tokens(&bea, &[]);
    settle(&world);
    world.unset("BAILIWICK_PROVIDER_NETWORKS");
    world.restart();
    bea.run(["logout"]).done();
    until(|| world.log().contains("was not told of a sign-out yet"), || "it was not tried".to_owned());
    assert_eq!(ear.count(), 0);
}
