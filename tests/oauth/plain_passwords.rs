// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Old clients that show a name and a password.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Engine, Exchange, Machine, World, on_both_engines};
use serde_json::json;

use super::app::{App, House, Tokens, code, decoded, get, refused, text};

on_both_engines!(
    an_old_client_gets_tokens_by_a_plain_password_where_that_is_allowed,
    what_a_plain_password_opened_ends_with_it,
    a_hash_of_another_system_is_taken_and_replaced,
    names_and_passwords_are_not_guessed,
);

const PASSWORD: &str = "seven plain horses";

/// A backend that cannot run the client.
fn backend(house: &House) -> App {
    house.app(&[
        "--grants",
        "password,refresh_token",
        "--scopes",
        "openid,profile,offline_access,device.read",
    ])
}

fn show(app: &App, name: &str, password: &str) -> Exchange {
    app.post("/api/v1/auth/token", &[("grant_type", "password"), ("username", name), ("password", password)])
}

#[track_caller]
fn set(house: &House, person: &Machine, name: &str, password: &str) {
    let arguments = ["tenant", "plain-passwords", "set", name, "--plain-password-stdin", "--tenant"];
    person
        .run_with(arguments.into_iter().chain([house.tenant.as_str(), "--json"]), &format!("{password}\n"))
        .done();
}

fn account(person: &Machine) -> String {
    text(&person.run(["whoami", "--json"]).json()["account"])
}

fn an_old_client_gets_tokens_by_a_plain_password_where_that_is_allowed(world: World) {
    let house = House::founded(&world);
    let app = backend(&house);
    let bea = house.member(&world);

    // Off, until somebody says otherwise.
    let arguments = ["tenant", "plain-passwords", "set", "bea", "--plain-password-stdin", "--tenant"];
    let own = |end: [&str; 2]| bea.run_with(arguments.into_iter().chain(end), &format!("{PASSWORD}\n"));
    assert_eq!(own([&house.tenant, "--json"]).refused(1).code, "conflict");
    assert_eq!(refused(&show(&app, "bea", PASSWORD)), (400, "unauthorized_client".to_owned()));
    let allow = |person: &Machine| {
        person.run(["tenant", "plain-passwords", "allow", "--tenant", &house.tenant, "--json"])
    };
    assert_eq!(allow(&bea).refused(5).code, "forbidden", "a member allows nothing");
    allow(&house.owner).done();
    own([&house.tenant, "--json"]).done();

    let answer = show(&app, "Bea", PASSWORD);
    let tokens = Tokens::of(&answer);
    let claims = decoded(&tokens.access).1;
    assert_eq!(claims["user_id"], json!(account(&bea)));
    assert_eq!(claims["tenant_id"], json!(house.tenant));
    assert_eq!(decoded(&tokens.id).1["sub"], claims["sub"]);
    assert_eq!(get(&world, "/oauth/userinfo", &tokens.access).status, 200);
    let again = Tokens::of(&app.refresh(&tokens.refresh));
    assert!(app.is_active(&again.access));

    // It opens that tenant within the client's scopes, and nothing of the account.
    for path in ["/api/v1/account", "/api/v1/collections", "/api/v1/sessions", "/api/v1/methods"] {
        let answer = get(&world, path, &tokens.access);
        assert!([401, 403, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
    let members = format!("/api/v1/tenants/{}/members", house.tenant);
    assert_eq!(get(&world, &members, &tokens.access).status, 403);

    // Only for a client that may, and only there.
    let other = house.usual();
    assert_eq!(refused(&show(&other, "bea", PASSWORD)), (400, "unauthorized_client".to_owned()));
    let fields = [("grant_type", "password"), ("username", "bea"), ("password", PASSWORD)];
    assert_eq!(refused(&app.token(&fields)), (400, "unsupported_grant_type".to_owned()));
    let nobody = App { secret: None, ..app.clone() };
    assert_eq!(refused(&show(&nobody, "bea", PASSWORD)), (401, "invalid_client".to_owned()));
    let wider = [&fields[..], &[("scope", "device.read member.read")]].concat();
    assert_eq!(refused(&app.post("/api/v1/auth/token", &wider)), (400, "invalid_scope".to_owned()));
    let public = ["clients", "create", "Page", "--public", "--grants", "password", "--scopes", "openid"];
    assert_eq!(house.run(&public).refused(1).code, "invalid_field");

    // It is in the history, and the password is nowhere.
    let history = || house.owner.run(["log", "--tenant", &house.tenant, "--json"]).done().stdout;
    let until = Instant::now() + Duration::from_secs(20);
    while !history().contains("by_plain_password") {
        assert!(Instant::now() < until, "{}", history());
        thread::sleep(Duration::from_millis(100));
    }
    let log = history();
    for place in [log, world.log()] {
        assert!(!place.contains(PASSWORD) && !place.contains(&tokens.access));
    }
    let discovery = get(&world, "/.well-known/openid-configuration", "").json();
    assert!(!discovery["grant_types_supported"].as_array().unwrap().contains(&json!("password")));
    // How somebody came is a claim that discovery knows.
    assert_eq!(decoded(&tokens.id).1["amr"], json!(["pwd"]));
    assert!(discovery["claims_supported"].as_array().unwrap().contains(&json!("amr")));
}

fn what_a_plain_password_opened_ends_with_it(world: World) {
    let house = House::founded(&world);
    let app = backend(&house);
    let bea = house.member(&world);
    house.run(&["plain-passwords", "allow"]).done();
    set(&house, &bea, "bea", PASSWORD);
    let tokens = || Tokens::of(&show(&app, "bea", PASSWORD));
    let first = tokens();

    // Signing out has nothing to do with it: the old client knows no session.
    bea.run(["logout"]).done();
    assert!(app.is_active(&first.access));
    house.run(&["plain-passwords", "forbid"]).done();
    assert!(!app.is_active(&first.access));
    assert_eq!(refused(&app.refresh(&first.refresh)), (400, "invalid_grant".to_owned()));
    house.run(&["plain-passwords", "allow"]).done();
    assert!(app.is_active(&first.access));

    let carl = house.member(&world);
    set(&house, &carl, "carl", PASSWORD);
    let of_carl = || Tokens::of(&show(&app, "carl", PASSWORD));
    let before = of_carl();
    set(&house, &carl, "carl", "another plain password");
    assert!(!app.is_active(&before.access), "another password was set");
    assert_eq!(refused(&show(&app, "carl", PASSWORD)), (400, "invalid_grant".to_owned()));
    set(&house, &carl, "carl", PASSWORD);
    let before = of_carl();
    let whole = account(&carl);
    house.run(&["members", "suspend", &whole]).done();
    assert!(!app.is_active(&before.access));
    assert_eq!(refused(&show(&app, "carl", PASSWORD)), (400, "invalid_grant".to_owned()));
    house.run(&["members", "resume", &whole]).done();
    assert!(app.is_active(&before.access));

    // Who was taken out and comes in again sets another.
    house.run(&["members", "remove", &whole]).done();
    assert!(!app.is_active(&before.access));
    let made = house.run(&["invitations", "create", "--label", "Carl"]).json();
    carl.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
    assert!(!app.is_active(&before.access));
    assert_eq!(refused(&show(&app, "carl", PASSWORD)), (400, "invalid_grant".to_owned()));
    set(&house, &carl, "carl", PASSWORD);
    let last = of_carl();
    house.run(&["plain-passwords", "remove", &whole]).done();
    assert!(!app.is_active(&last.access));
}

fn a_hash_of_another_system_is_taken_and_replaced(world: World) {
    let house = House::founded(&world);
    let app = backend(&house);
    let bea = house.member(&world);
    house.run(&["plain-passwords", "allow"]).done();
    let ends = ["--tenant", house.tenant.as_str(), "--json"];
    let import = |by: &Machine, member: &str, name: &str, hash: &str| {
        let start = ["tenant", "plain-passwords", "import", member, "--name", name, "--hash-stdin"];
        by.run_with(start.into_iter().chain(ends), &format!("{hash}\n"))
    };
    let whole = account(&bea);
    // "correct horse battery staple", by bcrypt of cost 4.
    let bcrypt = "$2b$04$kQGd/Wm0zASddF4JdECEKu3fjCZyXc1Ek.GPCfltqIGZgJkYMb.Pu";
    for bad in [
        "secret",
        "$2x$04$kQGd/Wm0zASddF4JdECEKu3fjCZyXc1Ek.GPCfltqIGZgJkYMb.Pu",
        "$argon2id$v=19$m=4194304,t=9,p=1$YWFhYWFhYWE$aaaa",
        // What whoever runs the server may import, and a tenant may not.
        "$argon2id$v=19$m=131072,t=2,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
        &bcrypt.replace("$04$", "$13$"),
    ] {
        assert_eq!(import(&house.owner, &whole, "bea", bad).refused(1).code, "invalid_field", "{bad}");
    }
    assert_eq!(import(&bea, &account(&house.owner), "bea", bcrypt).refused(5).code, "forbidden");
    assert_eq!(import(&bea, &whole, "bea", bcrypt).refused(1).code, "invalid_field", "for oneself");
    import(&house.owner, &whole, "bea", bcrypt).done();
    let listed = || house.run(&["plain-passwords"]).json()["plain_passwords"][0].clone();
    assert_eq!((&listed()["imported"], &listed()["set_by"]), (&json!(true), &json!(account(&house.owner))));
    assert_eq!(refused(&show(&app, "bea", "correct horse battery")), (400, "invalid_grant".to_owned()));
    Tokens::of(&show(&app, "bea", "correct horse battery staple"));
    assert_eq!(listed()["imported"], json!(false), "our own hash is in its place");
    let tokens = Tokens::of(&show(&app, "bea", "correct horse battery staple"));

    // An imported password is the word of who imported it, and opens no more than they could give.
    house.run(&["grants", "give", &whole, "owner"]).done();
    let carl = house.member(&world);
    let third = account(&carl);
    house.run(&["grants", "give", &third, "admin"]).done();
    assert_eq!(import(&carl, &whole, "bea", bcrypt).refused(5).code, "forbidden", "an admin makes no owner");
    assert!(app.is_active(&tokens.access));
    bea.run([
        "tenant",
        "grants",
        "take",
        &account(&house.owner),
        "owner",
        "--tenant",
        &house.tenant,
        "--json",
    ])
    .done();
    assert!(!app.is_active(&tokens.access), "who imported it could not give that any more");
    set(&house, &bea, "bea", PASSWORD);
    Tokens::of(&show(&app, "bea", PASSWORD));
}

fn names_and_passwords_are_not_guessed(world: World) {
    let house = House::founded(&world);
    let app = backend(&house);
    let bea = house.member(&world);
    house.run(&["plain-passwords", "allow"]).done();
    set(&house, &bea, "bea", PASSWORD);
    let carl = house.member(&world);
    let start = ["tenant", "plain-passwords", "set", "BEA", "--plain-password-stdin", "--tenant"];
    let taken =
        carl.run_with(start.into_iter().chain([house.tenant.as_str(), "--json"]), &format!("{PASSWORD}\n"));
    assert_eq!(taken.refused(1).code, "conflict");

    // A name that nobody has and a wrong password are one answer.
    let (unknown, wrong) = (show(&app, "dora", PASSWORD), show(&app, "bea", "not her password"));
    assert_eq!((unknown.status, &unknown.response), (wrong.status, &wrong.response));
    assert_eq!(code(&wrong), "invalid_grant");

    // After some, there is a wait; for that name alone, and whatever name it is.
    for name in ["bea", "dora"] {
        let tries = (0..12).map(|_| show(&app, name, "not her password").status).collect::<Vec<_>>();
        assert!(tries.contains(&429), "{name}: {tries:?}");
        let slowed = show(&app, name, "not her password");
        assert_eq!(slowed.status, 429);
        assert!(slowed.header("retry-after").is_some());
    }
    assert_eq!(show(&app, "bea", PASSWORD).status, 429, "not even with the right one");
    set(&house, &carl, "carl", PASSWORD);
    Tokens::of(&show(&app, "carl", PASSWORD));

    // Another tenant's client knows none of them.
    let elsewhere = House::founded(&world);
    elsewhere.run(&["plain-passwords", "allow"]).done();
    assert_eq!(refused(&show(&backend(&elsewhere), "carl", PASSWORD)), (400, "invalid_grant".to_owned()));
}

#[test]
fn who_tries_passwords_in_one_tenant_keeps_nobody_waiting_in_another() {
    let world = World::started(Engine::Sqlite);
    let (flooded, calm) = (House::founded(&world), House::founded(&world));
    for house in [&flooded, &calm] {
        house.run(&["plain-passwords", "allow"]).done();
    }
    set(&calm, &calm.owner, "carl", PASSWORD);
    let (flooding, app) = (backend(&flooded), backend(&calm));

    // As many as the server takes of one address at a time, each for a name of its own: none is slowed down for what it tries.
    let answered = AtomicUsize::new(0);
    let (statuses, before) = thread::scope(|scope| {
        let (flooding, answered) = (&flooding, &answered);
        let tries: Vec<_> = (0..FLOOD)
            .map(|number| {
                scope.spawn(move || {
                    let status = show(flooding, &format!("nobody-{number}"), PASSWORD).status;
                    answered.fetch_add(1, Ordering::SeqCst);
                    status
                })
            })
            .collect();
        while answered.load(Ordering::SeqCst) < FLOOD / 10 {
            thread::sleep(Duration::from_millis(5));
        }
        Tokens::of(&show(&app, "carl", PASSWORD));
        let before = answered.load(Ordering::SeqCst);
        (tries.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>(), before)
    });
    assert!(before < FLOOD / 2, "{before} of {FLOOD} came first");
    // They wait for each other, and are refused when that takes too long.
    assert!(statuses.iter().all(|status| [400, 503].contains(status)), "{statuses:?}");
}

const FLOOD: usize = 120;
