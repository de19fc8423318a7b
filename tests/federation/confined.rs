// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a tenant's word alone is good for: that tenant. And a tenant that wants no other.

use harness::{Exchange, Request, World, on_both_engines};
use serde_json::json;

use super::browser::follow;
use super::house::{House, code, parameter, said, text};
use super::liar::Liar;

on_both_engines!(
    a_tenants_administrator_gets_into_that_tenant_and_nowhere_else,
    a_tenant_that_wants_its_own_provider_lets_nobody_in_otherwise,
);

/// Adds the tenant's provider to the account that is signed in on a machine.
fn linked(world: &World, house: &House, liar: &Liar, machine: &harness::Machine) {
    let mut link = machine.talk(["methods", "add-provider", &house.tenant, "--json"]);
    let url = text(&link.hears("open")["url"]);
    come_back(world, house, liar, &url);
    link.hears("linked");
    link.ends().done();
}

fn come_back(world: &World, house: &House, liar: &Liar, url: &str) {
    liar.expects(&parameter(url, "nonce").expect("a nonce"));
    let provider = text(&house.run(&["providers", "list"]).json()["providers"][0]["id"]);
    let state = parameter(url, "state").expect("a state");
    let iss = liar.url().replace(':', "%3A").replace('/', "%2F");
    let back = format!("{}/federation/{provider}/callback?state={state}&code=c&iss={iss}", world.url());
    assert_eq!(follow(&back).1.status, 200);
}

fn a_tenants_administrator_gets_into_that_tenant_and_nowhere_else(mut world: World) {
    let (house, liar) = (House::founded(&mut world), Liar::served());
    house.run(&["providers", "create", "Own", "--issuer", liar.url(), "--client-id", "bailiwick"]).json();
    // Bea is a member here, runs a tenant of her own, and keeps files.
    let bea = house.member(&world);
    linked(&world, &house, &liar, &bea);
    let hers = text(&bea.run(["tenant", "create", "Bea's", "--json"]).json()["id"]);
    let letter = bea.scratch("letter");
    std::fs::write(&letter, "secret").expect("a file");
    bea.put(&letter, "letter").done();
    let home = text(&bea.run(["whoami", "--json"]).json()["home"]);
    let own_session = text(&bea.run(["whoami", "--json"]).json()["session"]);

    // Whoever runs the provider makes it say that they are her.
    let thief = world.machine();
    let mut login = thief.talk(["login", "--provider", &house.tenant, "--json"]);
    let url = text(&login.hears("open")["url"]);
    come_back(&world, &house, &liar, &url);
    let said = login.hears("signed_in");
    login.ends().done();
    assert_eq!((&said["confined"], &said["unlocked_by"]), (&json!(true), &json!(null)), "{said}");
    world.letter(&["new device"]);

    let token = std::fs::read_to_string(thief.config().join("session")).expect("a token");
    let ask = |method: &str, path: &str| Request::new(method, path).bearer(token.trim()).send(&world.url());
    let get = |path: &str| ask("GET", path);
    let refused = |answer: &Exchange| (answer.status, code(answer));
    assert_eq!(get(&format!("/api/v1/tenants/{}", house.tenant)).status, 200);
    let tenants = get("/api/v1/tenants").json();
    assert_eq!(tenants["tenants"].as_array().expect("tenants").len(), 1, "{tenants}");
    assert_eq!(refused(&get(&format!("/api/v1/tenants/{hers}"))), (404, "not_found".to_owned()));
    assert_eq!(refused(&get(&format!("/api/v1/tenants/{hers}/members"))), (404, "not_found".to_owned()));
    let forbidden = (403, "forbidden".to_owned());
    // Nor is anybody else told that the thief is she: no service behind a proxy, and none that verifies tokens itself.
    for query in ["", "?audience=https%3A%2F%2Fpayroll.example", &format!("?tenant={hers}")] {
        let passed = get(&format!("/api/v1/forward-auth{query}"));
        assert_eq!((passed.status, passed.header("x-bailiwick-user")), (403, None), "{query}");
    }
    let here = get(&format!("/api/v1/forward-auth?tenant={}", house.tenant));
    assert_eq!((here.status, here.header("x-bailiwick-scope")), (200, Some("")));
    assert_eq!(ask("POST", "/api/v1/tokens").status, 403);
    for path in [
        "/api/v1/account/methods",
        "/api/v1/collections",
        "/api/v1/sessions",
        "/api/v1/devices",
        "/api/v1/usage",
        "/api/v1/account/api-keys",
    ] {
        let answer = get(path);
        assert!(matches!(answer.status, 403 | 404), "{path}: {} {}", answer.status, self::said(&answer));
    }
    assert_eq!(refused(&get(&format!("/api/v1/log/{home}/records"))), forbidden);
    assert_eq!(refused(&ask("DELETE", &format!("/api/v1/sessions/{own_session}"))), forbidden);
    assert_eq!(refused(&ask("POST", "/api/v1/sessions/end-others")), forbidden);
    let lookup = json!({ "id": format!("mth_{}", "1".repeat(32)), "label": "", "lookup": "A".repeat(43), "unlocking": {} });
    let add = Request::new("POST", "/api/v1/account/recovery-keys")
        .json(&lookup)
        .bearer(token.trim())
        .send(&world.url());
    assert!(matches!(add.status, 403 | 422), "{}", self::said(&add));
    let delete = ask("DELETE", "/api/v1/account");
    assert_eq!(delete.status, 403, "{}", self::said(&delete));
    // A token made of it is worth no more.
    let issued = ask("POST", "/api/v1/tokens");
    if issued.status == 200 {
        let token = text(&issued.json()["access_token"]);
        let answer =
            Request::new("GET", &format!("/api/v1/tenants/{hers}")).bearer(&token).send(&world.url());
        assert_eq!(answer.status, 404);
        let answer = Request::new("GET", "/api/v1/collections").bearer(&token).send(&world.url());
        assert_eq!(answer.status, 403);
    }
    bea.get("letter", &bea.scratch("copy")).done();

    // On her own device the same sign-in is all hers, and no fresh proof.
    let mut login = bea.talk(["login", "--provider", &house.tenant, "--force", "--json"]);
    let url = text(&login.hears("open")["url"]);
    come_back(&world, &house, &liar, &url);
    assert_eq!(login.hears("signed_in")["unlocked_by"], json!("device"));
    login.ends().done();
    bea.run(["tenant", "show", "--tenant", &hers, "--json"]).json();
    let create = ["tenant", "service-accounts", "create", "x", "--tenant", &hers, "--json"];
    assert_eq!(bea.run(create).refused(5).code, "step_up_required");
    // Taking the method away ends what it opened.
    let methods = bea.run(["methods", "--json"]).json();
    let methods = methods["methods"].as_array().expect("methods").clone();
    assert!(methods.iter().any(|method| method["kind"] == "provider" && method["unlocks"] == json!(false)));
}

fn a_tenant_that_wants_its_own_provider_lets_nobody_in_otherwise(mut world: World) {
    let (house, liar) = (House::founded(&mut world), Liar::served());
    assert_eq!(house.run(&["providers", "require"]).refused(1).code, "conflict", "there is none");
    house.run(&["providers", "create", "Own", "--issuer", liar.url(), "--client-id", "bailiwick"]).json();
    let bea = house.member(&world);
    linked(&world, &house, &liar, &bea);
    let key = bea.run(["api-keys", "create", "--no-unlock", "--scopes", "tenant.read", "--json"]).json();
    let by_key = || {
        let path = format!("/api/v1/tenants/{}", house.tenant);
        let answer = Request::new("GET", &path).bearer(&text(&key["api_key"])).send(&world.url());
        (answer.status, code(&answer))
    };
    assert_eq!(by_key().0, 200);
    house.run(&["providers", "require"]).json();
    let show = ["tenant", "show", "--tenant", house.tenant.as_str(), "--json"];
    assert_eq!(bea.run(show).refused(5).code, "provider_required");
    assert_eq!(by_key(), (403, "provider_required".to_owned()));
    let tenants = bea.run(["tenant", "list", "--json"]).json();
    assert_eq!(tenants["tenants"], json!([]), "{tenants}");
    // Owners are let in by any way: somebody has to mend what a provider cannot do any more.
    house.run(&["providers", "list"]).json();
    assert_eq!(house.run(&["providers", "delete", "Own"]).refused(1).code, "conflict");

    let mut login = bea.talk(["login", "--provider", &house.tenant, "--force", "--json"]);
    let url = text(&login.hears("open")["url"]);
    come_back(&world, &house, &liar, &url);
    login.hears("signed_in");
    login.ends().done();
    bea.run(show).json();
    house.run(&["members", "suspend", "Bea"]).json();
    assert_eq!(bea.run(show).refused(5).code, "suspended");
    house.run(&["members", "resume", "Bea"]).json();
    house.run(&["providers", "do-not-require"]).json();
    assert_eq!(by_key().0, 200);
}
