// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The request audit: every request leaves a line in the history that it belongs to, which the log proves; nothing of what was
//! in it; and no line is lost.

use std::fs;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use harness::{Engine, Files, Machine, Request, Role, World, on_both_engines};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::strangers::session_token;

on_both_engines!(
    every_request_has_a_line_in_the_history_that_it_belongs_to,
    a_stranger_writes_no_line_into_a_tenant,
    what_is_kept_of_a_body_is_a_hash_that_can_be_held_against_it,
    nothing_is_lost_when_the_server_stops,
    what_was_answered_outlives_a_kill,
    a_line_that_somebody_changed_is_not_shown,
    who_may_not_read_requests_does_not,
    the_audit_can_keep_to_changes_or_be_off,
);

fn every_request_has_a_line_in_the_history_that_it_belongs_to(mut world: World) {
    record_each_second(&mut world);
    let laptop = world.machine();
    let person = laptop.sign_up();
    let tenant = text(&laptop.run(["tenant", "create", "Acme", "--json"]).json(), "/id");
    let token = session_token(&laptop);
    let account = text(&ask(&world, &token, "/api/v1/account"), "/id");
    let in_tenant = Request::new("GET", &format!("/api/v1/tenants/{tenant}/organisations")).bearer(&token);
    let in_tenant = in_tenant.send(&world.url());
    let refused = Request::new("GET", &format!("/api/v1/tenants/{tenant}/collections/col_{:032x}", 7));
    assert_eq!(refused.bearer(&token).send(&world.url()).status, 404);

    let is = |route: &'static str, status: u64| {
        move |line: &Value| line["route"] == route && line["status"] == status && line["proven"] == true
    };
    let home = until_line(&laptop, &[], is("GET /api/v1/account", 200));
    let line = home.iter().find(|line| is("GET /api/v1/account", 200)(line)).unwrap();
    assert_eq!(line["actor"], account, "{line}");
    assert!(line["via"].as_str().unwrap().starts_with("ses_"), "{line}");
    assert!(line["answered"].as_u64().unwrap() > 10 && line["took_us"].as_u64().unwrap() > 0, "{line}");

    let of_tenant = ["--tenant", tenant.as_str()];
    let route = "GET /api/v1/tenants/{tenant}/organisations";
    let lines = until_line(&laptop, &of_tenant, is(route, 200));
    let line = lines.iter().find(|line| is(route, 200)(line)).unwrap();
    assert_eq!(line["request"], in_tenant.header("x-request-id").unwrap(), "{line}");
    // What it refuses is part of its history too.
    until_line(&laptop, &of_tenant, is("GET /api/v1/tenants/{tenant}/collections/{tenant_collection}", 404));
    assert!(!home.iter().any(|line| line["route"] == route), "not in the home as well");
    assert!(laptop.verify().is_done());

    // Who is nobody is counted, by whoever audits the platform.
    for _ in 0..7 {
        assert_eq!(Request::new("GET", "/api/v1/nothing-here").send(&world.url()).status, 404);
    }
    make_auditor(&mut world, &person.account_id);
    let unmatched = |line: &Value| line["route"] == "GET unmatched" && line["status"] == 404;
    let lines = until_line(&laptop, &["--platform"], unmatched);
    let times = lines.iter().filter(|line| unmatched(line)).map(|line| line["times"].as_u64().unwrap());
    assert_eq!(times.sum::<u64>(), 7);
}

fn a_stranger_writes_no_line_into_a_tenant(mut world: World) {
    record_each_second(&mut world);
    let (ada, mallory) = (world.machine(), world.machine());
    ada.sign_up();
    mallory.sign_up();
    let tenant = text(&ada.run(["tenant", "create", "Acme", "--json"]).json(), "/id");
    let token = session_token(&mallory);
    let stranger = text(&ask(&world, &token, "/api/v1/account"), "/id");
    let path = format!("/api/v1/tenants/{tenant}/organisations");
    for _ in 0..5 {
        assert_eq!(Request::new("GET", &path).bearer(&token).send(&world.url()).status, 404);
        assert_eq!(Request::new("GET", &path).bearer("bws_nonsense").send(&world.url()).status, 401);
    }
    let is_theirs = |line: &Value| line["route"] == "GET /api/v1/tenants/{tenant}/organisations";
    until_line(&mallory, &[], is_theirs);
    // Ada's come later than theirs, so theirs would be there.
    ada.run(["tenant", "organisations", "create", "North", "--tenant", &tenant]).done();
    let made = |line: &Value| line["route"] == "POST /api/v1/tenants/{tenant}/organisations";
    let lines = until_line(&ada, &["--tenant", &tenant], made);
    assert!(!lines.iter().any(|line| line["actor"] == stranger || line["status"] == 401), "{lines:?}");
}

fn what_is_kept_of_a_body_is_a_hash_that_can_be_held_against_it(mut world: World) {
    record_each_second(&mut world);
    let laptop = world.machine();
    let person = laptop.sign_up();
    let token = session_token(&laptop);
    let body = json!({ "name": "a name that nobody else uses" }).to_string().into_bytes();
    let sent =
        Request::new("POST", "/api/v1/tenants").header("content-type", "application/json").body(body.clone());
    let sent = sent.bearer(&token).send(&world.url());
    let id = sent.header("x-request-id").unwrap().to_owned();
    let lines = until_line(&laptop, &[], |line| line["request"] == id.as_str());
    let line = lines.iter().find(|line| line["request"] == id.as_str()).unwrap();
    let salt = BASE64URL_NOPAD.decode(text(line, "/salt").as_bytes()).unwrap();
    let hash = |body: &[u8]| {
        let salted = [salt.as_slice(), digest(&SHA256, body).as_ref()].concat();
        BASE64URL_NOPAD.encode(digest(&SHA256, &salted).as_ref())
    };
    assert_eq!((&line["sent"], &line["sent_hash"]), (&json!(body.len()), &json!(hash(&body))));
    assert_eq!(line["answered_hash"], json!(hash(&sent.response)));
    assert_eq!(line["answered"], json!(sent.response.len()));

    // Neither what was sent nor who showed what stands anywhere in what is kept of it.
    let kept = laptop.run(["log", "--requests", "--json"]).done().stdout;
    for secret in [token.as_str(), &*person.password.borrow(), &person.email, "a name that nobody else uses"]
    {
        assert!(!kept.contains(secret), "{secret}");
    }
}

fn nothing_is_lost_when_the_server_stops(mut world: World) {
    world.set("BAILIWICK_REQUEST_AUDIT_SECONDS", "300");
    world.restart();
    let laptop = world.machine();
    laptop.sign_up();
    let ids = many(&world, &session_token(&laptop));
    world.stop();
    let spools = fs::read_dir(world.data().join("requests")).unwrap();
    assert_eq!(spools.map(|spool| spool.unwrap().metadata().unwrap().len()).sum::<u64>(), 0);
    world.start();
    assert_has_each(&laptop, &ids);
}

fn what_was_answered_outlives_a_kill(mut world: World) {
    world.set("BAILIWICK_REQUEST_AUDIT_SECONDS", "300");
    world.restart();
    let laptop = world.machine();
    laptop.sign_up();
    let ids = many(&world, &session_token(&laptop));
    world.kill();
    world.start();
    until_line(&laptop, &[], |line| line["request"] == ids[0].as_str());
    assert_has_each(&laptop, &ids);
    assert!(laptop.verify().is_done());
}

#[test]
fn while_nothing_can_be_recorded_there_are_only_so_many_spools_and_no_line_is_lost() {
    let mut world = World::started(Engine::Sqlite);
    world.set("BAILIWICK_REQUEST_AUDIT_SECONDS", "300");
    world.restart();
    let laptop = world.machine();
    laptop.sign_up();
    let token = session_token(&laptop);
    many(&world, &token);
    world.kill();
    // As many as may wait, as servers would have left that were killed one after the other.
    let folder = world.data().join("requests");
    let spools = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let left = spools().into_iter().find(|path| path.metadata().unwrap().len() > 0).expect("a spool");
    for number in spools().len()..WAITING_SPOOLS {
        fs::copy(&left, folder.join(format!("{number:032x}.spool"))).unwrap();
    }
    let files = Files::under(world.data()).with_table("record");
    let in_each = |sql: &str| {
        for path in &files {
            let connection = Files::open(path);
            connection.busy_timeout(Duration::from_secs(30)).unwrap();
            connection.execute_batch(sql).unwrap();
        }
    };
    in_each(
        "CREATE TRIGGER nothing_is_recorded BEFORE INSERT ON record WHEN NEW.action = 'request.record'
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    );
    world.set("BAILIWICK_REQUEST_AUDIT_SECONDS", "1");
    world.start();

    // Through some rounds, each of which has lines.
    let said = "requests were not recorded; it will be tried again";
    let tries = || world.log().matches(said).count();
    let in_a_round = 2 * WAITING_SPOOLS;
    let mut ids = Vec::new();
    while tries() < 5 * in_a_round {
        // Below what one address may ask.
        ids.extend(many(&world, &token));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(spools().len(), WAITING_SPOOLS + 1, "those, and the one that is written");

    in_each("DROP TRIGGER nothing_is_recorded");
    let begun = Instant::now();
    while spools().len() > 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", spools());
        std::thread::sleep(Duration::from_millis(50));
    }
    until_line(&laptop, &[], |line| line["request"] == ids[ids.len() - 1].as_str());
    assert_has_each(&laptop, &ids);
}

/// How many wait to be recorded before no more are begun.
const WAITING_SPOOLS: usize = 16;

fn a_line_that_somebody_changed_is_not_shown(mut world: World) {
    record_each_second(&mut world);
    let laptop = world.machine();
    laptop.sign_up();
    ask(&world, &session_token(&laptop), "/api/v1/account");
    until_line(&laptop, &[], |line| line["route"] == "GET /api/v1/account");
    let sql =
        "UPDATE record SET details = substr(details, 1, length(details) - 1) WHERE action = 'request.record'";
    match world.engine() {
        Engine::Sqlite => {
            for path in Files::under(world.data()).with_table("record") {
                let connection = Files::open(&path);
                connection.busy_timeout(Duration::from_secs(30)).unwrap();
                let triggers: Vec<String> = connection
                    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
                    .unwrap()
                    .query_map([], |row| row.get(0))
                    .and_then(Iterator::collect)
                    .unwrap();
                let dropped: String = triggers.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
                connection.execute_batch(&format!("{dropped}{sql};")).unwrap();
            }
        }
        Engine::Postgresql => {
            let sql = format!("SET session_replication_role = replica; {sql}");
            world.database().rows(Role::Superuser, &sql);
        }
    }
    assert_eq!(laptop.run(["log", "--requests", "--json"]).status, Some(3));
    assert_eq!(laptop.verify().status, Some(3));
}

fn who_may_not_read_requests_does_not(world: World) {
    let (ada, bea) = (world.machine(), world.machine());
    ada.sign_up();
    bea.sign_up();
    let tenant = text(&ada.run(["tenant", "create", "Acme", "--json"]).json(), "/id");
    let token = session_token(&bea);
    let path = format!("/api/v1/log/{tenant}/requests");
    let read = |token: &str, path: &str| Request::new("GET", path).bearer(token).send(&world.url()).status;
    assert_eq!(read(&token, &path), 404, "a stranger");
    let link = text(
        &ada.run(["tenant", "invitations", "create", "--label", "Bea", "--role", "viewer", "--json"]).json(),
        "/link",
    );
    bea.run(["tenant", "join", &link]).done();
    assert_eq!(read(&token, &path), 403, "who only looks at devices");
    assert_eq!(read(&token, "/api/v1/log/platform/requests"), 403, "nor who has no role on the platform");
    assert_eq!(read(&session_token(&ada), &path), 200);
}

fn the_audit_can_keep_to_changes_or_be_off(mut world: World) {
    record_each_second(&mut world);
    world.set("BAILIWICK_REQUEST_AUDIT", "changes");
    world.restart();
    let laptop = world.machine();
    laptop.sign_up();
    ask(&world, &session_token(&laptop), "/api/v1/account");
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    let lines = until_line(&laptop, &[], |line| {
        line["route"] == "PUT /api/v1/collections/{collection}/items/{item}" && line["status"] == 200
    });
    assert!(!lines.iter().any(|line| line["route"] == "GET /api/v1/account"), "{lines:?}");
    world.set("BAILIWICK_REQUEST_AUDIT", "off");
    world.restart();
    let before = lines_of(&laptop, &[]).len();
    laptop.run(["tenant", "create", "Bolt"]).done();
    world.restart();
    assert_eq!(lines_of(&laptop, &[]).len(), before);
}

fn record_each_second(world: &mut World) {
    world.set("BAILIWICK_REQUEST_AUDIT_SECONDS", "1");
    world.restart();
}

/// The ids of some requests that were answered.
fn many(world: &World, token: &str) -> Vec<String> {
    let one = |_| {
        let answer = Request::new("GET", "/api/v1/account").bearer(token).send(&world.url());
        assert_eq!(answer.status, 200);
        answer.header("x-request-id").unwrap().to_owned()
    };
    (0..40).map(one).collect()
}

#[track_caller]
fn assert_has_each(laptop: &Machine, ids: &[String]) {
    let lines = lines_of(laptop, &[]);
    for id in ids {
        assert!(lines.iter().any(|line| line["request"] == id.as_str()), "{id} is lost");
    }
}

fn lines_of(laptop: &Machine, of: &[&str]) -> Vec<Value> {
    let done = laptop.run(["log", "--requests", "--json"].iter().chain(of)).done();
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until a line is there, and gives them all.
#[track_caller]
fn until_line(laptop: &Machine, of: &[&str], mut is_it: impl FnMut(&Value) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let lines = lines_of(laptop, of);
        if lines.iter().any(&mut is_it) {
            return lines;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no such line: {lines:?}");
    }
}

fn make_auditor(world: &mut World, number: &str) {
    world.stop();
    let granted = world.command("admin grant").args([number, "auditor"]).output().unwrap();
    assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
    world.start();
}

fn ask(world: &World, token: &str, path: &str) -> Value {
    Request::new("GET", path).bearer(token).send(&world.url()).json()
}

fn text(value: &Value, at: &str) -> String {
    let found = value.pointer(at).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {at}: {value}")).to_owned()
}
