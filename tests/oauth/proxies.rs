// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Services behind a proxy that asks Bailiwick who may pass.

use harness::{Request, World, on_both_engines};
use serde_json::json;

use super::app::{CALLBACK, House, Tokens, code, decoded, get, said, text};

on_both_engines!(a_request_passes_with_what_it_shows_and_never_with_what_it_says);

fn a_request_passes_with_what_it_shows_and_never_with_what_it_says(world: World) {
    let house = House::founded(&world);
    let (app, bea) = (house.usual(), house.member(&world));
    let token = app.tokens(&bea, &[]).access;
    let account = text(&bea.run(["whoami", "--json"]).json()["account"]);
    let check = "/api/v1/forward-auth";

    // Whatever stands in the request, the answer's headers are of who shows the token; each is there.
    let spoofed = Request::new("GET", check)
        .bearer(&token)
        .header("x-bailiwick-user", "acc_00000000000000000000000000000000")
        .header("x-bailiwick-agent", "somebody")
        .header("x-bailiwick-identity", "e30.e30.")
        .header("x-original-uri", "/admin")
        .send(&world.url());
    assert_eq!(spoofed.status, 200, "{}", said(&spoofed));
    for (name, value) in [
        ("x-bailiwick-subject", account.as_str()),
        ("x-bailiwick-user", &account),
        ("x-bailiwick-tenant", &house.tenant),
        ("x-bailiwick-client", &app.client_id),
        ("x-bailiwick-agent", ""),
        ("x-bailiwick-scope", "device.read openid profile"),
    ] {
        assert_eq!(spoofed.header(name), Some(value), "{name}");
    }
    let (header, claims) = decoded(spoofed.header("x-bailiwick-identity").unwrap());
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("bailiwick-identity+jwt")));
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!(account), &json!(world.url())));
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 60);

    let asks = |query: &str, token: &str| get(&world, &format!("{check}?{query}"), token);
    let refused = asks("scope=device.read%20openid", &token);
    assert_eq!(
        (refused.status, code(&refused)),
        (422, "invalid_field".to_owned()),
        "in which tenant, is not said"
    );
    let here = |scope: &str| format!("scope={scope}&tenant={}", house.tenant);
    assert_eq!(asks(&here("device.read%20openid"), &token).status, 200);
    let refused = asks(&here("device.write"), &token);
    assert_eq!((refused.status, code(&refused)), (403, "insufficient_scope".to_owned()));
    let refused = asks("audience=https%3A%2F%2Fapi.example", &token);
    assert_eq!((refused.status, code(&refused)), (401, "token_wrong_audience".to_owned()));
    assert_eq!(asks(&format!("tenant={}", house.tenant), &token).status, 200);
    let other = text(&bea.run(["tenant", "create", "Other", "--json"]).json()["id"]);
    assert_eq!(asks(&format!("tenant={other}"), &token).status, 403, "it is in there, its token is not");
    assert_eq!(asks("nonsense=1", &token).status, 422);
    // Where no application's token is wanted, none passes, in its own tenant neither.
    for query in ["client=none".to_owned(), format!("client=none&tenant={}", house.tenant)] {
        let refused = asks(&query, &token);
        assert_eq!((refused.status, code(&refused)), (403, "forbidden".to_owned()), "{query}");
        assert_eq!(refused.header("x-bailiwick-user"), None, "{query}");
    }
    assert_eq!(asks("client=none", "nonsense").status, 401);
    assert_eq!(asks("client=any", &token).status, 422);

    // A token for a service passes for that service.
    let api = house.app(&[
        "--grants",
        "authorization_code",
        "--redirect-uri",
        CALLBACK,
        "--scopes",
        "openid,profile,device.read",
        "--resource",
        "https://api.example",
    ]);
    let for_api = api.tokens(&bea, &[]).access;
    let refused = asks("audience=https%3A%2F%2Fapi.example", &for_api);
    assert_eq!((refused.status, code(&refused)), (422, "invalid_field".to_owned()), "whose, is not said");
    let asked = format!("audience=https%3A%2F%2Fapi.example&tenant={}", house.tenant);
    let passed = asks(&asked, &for_api);
    assert_eq!(passed.status, 200);
    assert_eq!(decoded(passed.header("x-bailiwick-identity").unwrap()).1["aud"], "https://api.example");
    assert_eq!(asks("", &for_api).status, 401);

    // Another tenant says that its client is for the same.
    let evil = House::founded(&world);
    let service = text(&evil.run(&["service-accounts", "create", "nightly"]).json()["id"]);
    let made = ["--grants", "client_credentials", "--scopes", "payroll.admin", "--service-account", &service];
    let theirs = evil.app(&[&made[..], &["--resource", "https://api.example"]].concat());
    let theirs = Tokens::of(&theirs.token(&[("grant_type", "client_credentials")])).access;
    let by_client = format!("{asked}&client=none").replace(&house.tenant, &evil.tenant);
    assert_eq!(asks(&by_client, &theirs).status, 403, "a service account, by a client");
    assert_eq!(asks(&asked, &theirs).status, 403);
    assert_eq!(asks("audience=https%3A%2F%2Fapi.example", &theirs).status, 422);

    // Sessions, access tokens, API keys and service accounts' keys pass too, each for what it may.
    let session = std::fs::read_to_string(bea.config().join("session")).unwrap();
    let session = session.trim();
    let own = text(&bea.run(["token", "--json"]).json()["access_token"]);
    let key = text(
        &bea.run(["api-keys", "create", "--no-unlock", "--scopes", "item.read", "--json"]).json()["api_key"],
    );
    for token in [session, &own, &key] {
        let passed = asks("", token);
        assert_eq!(passed.status, 200, "{}", said(&passed));
        assert_eq!(passed.header("x-bailiwick-scope"), Some(""), "a session has none of its own");
        assert_eq!(passed.header("x-bailiwick-user"), Some(account.as_str()));
        assert_eq!(passed.header("x-bailiwick-client"), Some(""));
        assert_eq!(asks("client=none", token).status, 200, "its bearer's own");
    }
    assert_eq!(asks(&format!("client=none&tenant={}", house.tenant), &own).status, 200);
    // A scope is what its bearer may in the tenant, by session or key.
    let passed = asks(&here("tenant.read"), session);
    assert_eq!((passed.status, passed.header("x-bailiwick-scope")), (200, Some("tenant.read")));
    assert_eq!(asks(&here("tenant.read"), &key).status, 403, "the key is for something else");
    for more in ["device.delete", "tenant.delete", "member.read", "item.reads"] {
        assert_eq!(asks(&here(more), session).status, 403, "{more}: a member without a role");
    }
    assert_eq!(asks(&format!("tenant={}", house.tenant), session).status, 200);
    assert_eq!(asks("tenant=ten_00000000000080008000000000000000", session).status, 403);
    let service = text(&house.run(&["service-accounts", "create", "nightly"]).json()["id"]);
    let key = text(&house.run(&["service-accounts", "create-key", &service]).json()["key"]);
    let passed = asks("client=none", &key);
    assert_eq!((passed.status, passed.header("x-bailiwick-subject")), (200, Some(service.as_str())));
    assert_eq!(passed.header("x-bailiwick-user"), Some(""));
    // It is in its tenant whatever its roles, which say what it may there.
    let passed = asks(&format!("tenant={}", house.tenant), &key);
    assert_eq!(passed.status, 200, "{}", said(&passed));
    assert_eq!(passed.header("x-bailiwick-tenant"), Some(house.tenant.as_str()));
    assert_eq!(asks(&here("device.read"), &key).status, 403, "it has no role");
    assert_eq!(asks(&format!("tenant={}", evil.tenant), &key).status, 403, "another tenant");

    for nobody in ["", "nonsense", "bws_nonsense"] {
        assert_eq!(get(&world, check, nobody).status, 401, "{nobody}");
    }
    let nobody = Request::new("GET", check).header("x-bailiwick-user", &account).send(&world.url());
    assert_eq!((nobody.status, nobody.header("x-bailiwick-user")), (401, None));
    house.run(&["service-accounts", "suspend", &service]).done();
    let refused = asks("", &key);
    assert_eq!((refused.status, code(&refused)), (403, "suspended".to_owned()));
    bea.run(["logout"]).done();
    for token in [session, &own, &token] {
        assert_eq!(get(&world, check, token).status, 401, "it ends at once");
    }
}
