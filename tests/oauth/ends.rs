// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whatever a token hangs on: when it ends, the token does, at once.

use harness::{World, on_both_engines};

use super::app::{App, House, Tokens, USUAL, code, get, refused, said, text};

on_both_engines!(
    tokens_end_with_the_session_unless_they_were_to_go_on,
    tokens_end_with_the_member_the_tenant_and_the_client,
    tokens_stand_still_while_the_account_is_suspended,
    a_client_revokes_its_own_tokens,
    what_a_client_may_ask_for_no_more_its_tokens_lose,
    a_client_that_leads_elsewhere_is_asked_about_again,
);

/// Whether tokens do nothing any more, wherever they are shown.
#[track_caller]
fn are_dead(world: &World, house: &House, app: &App, tokens: &Tokens) {
    for path in
        ["/oauth/userinfo", &format!("/api/v1/tenants/{}/devices", house.tenant), "/api/v1/forward-auth"]
    {
        let refused = get(world, path, &tokens.access);
        assert!([401, 403].contains(&refused.status), "{path}: {} {}", refused.status, said(&refused));
    }
    assert!(!app.is_active(&tokens.access));
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (400, "invalid_grant".to_owned()));
}

#[track_caller]
fn are_alive(world: &World, house: &House, tokens: &Tokens) {
    for path in
        ["/oauth/userinfo", &format!("/api/v1/tenants/{}/devices", house.tenant), "/api/v1/forward-auth"]
    {
        let answer = get(world, path, &tokens.access);
        assert_eq!(answer.status, 200, "{path}: {}", said(&answer));
    }
}

fn tokens_end_with_the_session_unless_they_were_to_go_on(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let laptop = world.machine();
    let person = laptop.sign_up();
    let made = house.run(&["invitations", "create", "--label", "Bea", "--role", "viewer"]).json();
    laptop.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
    let bound = app.tokens(&laptop, &[]);
    let offline = app.tokens(&laptop, &[("scope", "openid device.read offline_access")]);
    are_alive(&world, &house, &bound);
    are_alive(&world, &house, &offline);
    laptop.run(["logout"]).done();
    are_dead(&world, &house, &app, &bound);
    are_alive(&world, &house, &offline);
    let offline = Tokens::of(&app.refresh(&offline.refresh));

    // But not past the password that opened the session.
    laptop.sign_in(&person).done();
    let desktop = world.machine();
    desktop.sign_in(&person).done();
    desktop.change_password(&person, "another long enough password").done();
    are_dead(&world, &house, &app, &offline);
}

fn tokens_end_with_the_member_the_tenant_and_the_client(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let bea = world.machine();
    bea.sign_up();
    let made = house.run(&["invitations", "create", "--label", "Bea", "--role", "viewer"]).json();
    bea.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
    let account = text(&bea.run(["whoami", "--json"]).json()["account"]);
    let tokens = app.tokens(&bea, &[("scope", "openid device.read offline_access")]);
    are_alive(&world, &house, &tokens);

    house.run(&["members", "suspend", &account]).done();
    for path in ["/oauth/userinfo", "/api/v1/forward-auth"] {
        let refused = get(&world, path, &tokens.access);
        assert_eq!((refused.status, code(&refused)), (403, "suspended".to_owned()), "{path}");
    }
    are_dead(&world, &house, &app, &tokens);
    house.run(&["members", "resume", &account]).done();
    are_alive(&world, &house, &tokens);
    let tokens = Tokens::of(&app.refresh(&tokens.refresh));

    // A tenant that is being deleted is suspended, until that is taken back.
    house.run(&["delete", "--yes"]).done();
    are_dead(&world, &house, &app, &tokens);
    assert_eq!(bea.run(["authorize", &app.link(&[]), "--yes", "--json"]).refused(5).code, "tenant_suspended");
    house.run(&["restore"]).done();
    are_alive(&world, &house, &tokens);

    house.run(&["members", "remove", &account]).done();
    are_dead(&world, &house, &app, &tokens);
    let made = house.run(&["invitations", "create", "--label", "Bea"]).json();
    bea.run(["tenant", "join", &text(&made["link"]), "--json"]).done();

    let tokens = app.tokens(&bea, &[]);
    house.run(&["clients", "delete", &app.id]).done();
    assert_eq!(code(&get(&world, "/oauth/userinfo", &tokens.access)), "token_revoked");
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (401, "invalid_client".to_owned()));
    assert_eq!(app.ask(&[]).status, 422);

    // With the account goes what hangs on it.
    let app = house.usual();
    let tokens = app.tokens(&bea, &[("scope", "openid device.read offline_access")]);
    bea.run(["tenant", "leave", "--tenant", &house.tenant, "--json"]).done();
    are_dead(&world, &house, &app, &tokens);
}

fn tokens_stand_still_while_the_account_is_suspended(mut world: World) {
    let root = world.machine();
    root.sign_up();
    let account = |machine: &harness::Machine| text(&machine.run(["whoami", "--json"]).json()["account"]);
    let administrator = account(&root);
    world.stop();
    let granted = world.command("admin grant").arg(&administrator).arg("administrator").output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    world.start();
    let house = House::founded(&world);
    let app = house.usual();
    let suspended = account(&house.owner);
    for scope in ["openid profile device.read", "openid device.read offline_access"] {
        let tokens = app.tokens(&house.owner, &[("scope", scope)]);
        let session = std::fs::read_to_string(house.owner.config().join("session")).unwrap();
        root.run(["accounts", "suspend", &suspended, "--reason", "abuse", "--json"]).done();
        are_dead(&world, &house, &app, &tokens);
        let refused = get(&world, "/api/v1/forward-auth", session.trim());
        assert_eq!((refused.status, code(&refused)), (403, "suspended".to_owned()));
        root.run(["accounts", "resume", &suspended, "--json"]).done();
        are_alive(&world, &house, &tokens);
    }
}

fn a_client_revokes_its_own_tokens(world: World) {
    let house = House::founded(&world);
    let (app, other) = (house.usual(), house.usual());
    let tokens = app.tokens(&house.owner, &[]);
    // Another client's word is nothing, and is answered alike.
    for token in [&tokens.access, &tokens.refresh] {
        assert_eq!(other.post("/oauth/revoke", &[("token", token)]).status, 200);
    }
    are_alive(&world, &house, &tokens);
    for nonsense in ["nonsense", "bcr_", "a.b.c"] {
        assert_eq!(app.post("/oauth/revoke", &[("token", nonsense)]).status, 200, "{nonsense}");
    }
    // One access token by itself; the refresh token with all.
    let next = Tokens::of(&app.refresh(&tokens.refresh));
    assert_eq!(app.post("/oauth/revoke", &[("token", &next.access)]).status, 200);
    assert_eq!(code(&get(&world, "/oauth/userinfo", &next.access)), "token_revoked");
    are_alive(&world, &house, &tokens);
    assert_eq!(app.post("/oauth/revoke", &[("token", &next.refresh)]).status, 200);
    are_dead(&world, &house, &app, &tokens);
}

fn what_a_client_may_ask_for_no_more_its_tokens_lose(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let tokens = app.tokens(&house.owner, &[]);
    let devices = format!("/api/v1/tenants/{}/devices", house.tenant);
    assert_eq!(get(&world, &devices, &tokens.access).status, 200);
    let elsewhere = ["--redirect-uri", "https://new.example/callback"];
    let change =
        |arguments: &[&str]| house.run(&[&["clients", "change", app.id.as_str()], arguments].concat());
    let changed =
        change(&[&["--scopes", "openid,profile", "--name", "Renamed"], &elsewhere[..]].concat()).json();
    assert_eq!(changed["name"], "Renamed");
    assert_eq!(changed["scopes"], serde_json::json!(["openid", "profile"]));
    assert_eq!(
        changed["grants"],
        serde_json::json!(["authorization_code", "refresh_token"]),
        "what is not named stays"
    );

    let refused_token = get(&world, &devices, &tokens.access);
    assert_eq!((refused_token.status, code(&refused_token)), (401, "token_revoked".to_owned()));
    let more = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.as_str()),
        ("scope", "device.read"),
    ];
    assert_eq!(refused(&app.token(&more)), (400, "invalid_scope".to_owned()));
    let next = app.refresh(&tokens.refresh);
    assert_eq!(next.json()["scope"], "openid profile", "{}", said(&next));
    assert_eq!(get(&world, "/oauth/userinfo", &Tokens::of(&next).access).status, 200);
    assert_eq!(app.ask(&[("scope", "openid")]).status, 422, "the place to return to is registered no more");

    // Nor are tokens good any more for a service that their client is not for any longer.
    let app = house.app(&[&USUAL[..], &["--resource", "https://api.example"]].concat());
    let tokens = app.tokens(&house.owner, &[]);
    assert!(app.is_active(&tokens.access));
    house.run(&["clients", "change", &app.id, "--resource", "https://other.example"]).done();
    assert!(!app.is_active(&tokens.access));
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (400, "invalid_target".to_owned()));

    assert_eq!(change(&["--redirect-uri", "http://app.example/plain"]).refused(1).code, "invalid_field");
    assert_eq!(
        change(&["--signing-alg", "HS256"]).refused(1).code,
        "invalid_field",
        "it has no resources of its own"
    );
}

fn a_client_that_leads_elsewhere_is_asked_about_again(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let bea = house.member(&world);
    let new = |app: &App| {
        let answered = bea.run(["authorize", &app.link(&[]), "--yes", "--json"]).json();
        answered["request"]["new_scopes"].as_array().expect("scopes").len()
    };
    assert_eq!((new(&app), new(&app)), (3, 0), "what was allowed is remembered");
    house.run(&["clients", "change", &app.id, "--name", "Another name"]).done();
    assert_eq!(new(&app), 0);
    let elsewhere =
        ["--redirect-uri", super::app::CALLBACK, "--redirect-uri", "https://elsewhere.example/callback"];
    house.run(&[&["clients", "change", app.id.as_str()][..], &elsewhere].concat()).done();
    assert_eq!(new(&app), 3, "nobody allowed that it leads there");

    // Which program shows a public client's id on this machine, nobody knows.
    let anybody = house.app(&[
        "--public",
        "--grants",
        "authorization_code",
        "--redirect-uri",
        "http://127.0.0.1/callback",
        "--scopes",
        "openid",
    ]);
    let asked = || {
        let link = anybody.link(&[("redirect_uri", "http://127.0.0.1:4000/callback"), ("scope", "openid")]);
        let answered = bea.run(["authorize", &link, "--yes", "--json"]).json();
        answered["request"]["new_scopes"].as_array().expect("scopes").len()
    };
    assert_eq!((asked(), asked()), (1, 1));
}
