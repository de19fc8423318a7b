// SPDX-License-Identifier: Apache-2.0 OR MIT
//! People sign in to applications.

use data_encoding::BASE64URL_NOPAD;
use harness::{Request, World, on_both_engines, unique};
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2_010::{Digest as _, Sha256};

use super::app::{
    App, CALLBACK, House, Tokens, USUAL, VERIFIER, challenge, code, decoded, get, parameter, refused, said,
    text,
};

on_both_engines!(
    somebody_signs_in_to_an_application_and_it_learns_who_they_are,
    tokens_are_signed_by_what_their_client_knows,
    tokens_by_a_shared_key_are_for_services_of_the_tenants_own_alone,
    a_token_does_what_its_scopes_say_in_its_tenant_and_nowhere_else,
    a_consent_is_remembered_listed_and_taken_back,
    a_client_may_ask_for_a_fresh_proof,
    nobody_is_asked_where_nobody_is_to_be_asked,
    a_request_may_be_pushed_before_the_browser_comes,
    a_request_is_answered_in_the_browser_that_it_began_in,
    a_device_is_let_in_by_the_code_that_it_shows,
    an_application_signs_somebody_out,
);

fn somebody_signs_in_to_an_application_and_it_learns_who_they_are(world: World) {
    let house = House::founded(&world);
    let app = house.usual();

    let discovered = Request::new("GET", "/.well-known/openid-configuration").send(&world.url()).json();
    assert_eq!(discovered["issuer"], world.url());
    for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        assert!(text(&discovered[endpoint]).starts_with(&world.url()), "{endpoint}");
    }
    let same = Request::new("GET", "/.well-known/oauth-authorization-server").send(&world.url()).json();
    assert_eq!(discovered, same);

    let link = app.link(&[]);
    let answered = house.owner.run(["authorize", &link, "--yes", "--json"]).json();
    assert_eq!(answered["request"]["tenant"], house.tenant);
    assert_eq!(answered["request"]["redirect_host"], "app.example");
    assert_eq!(answered["request"]["scopes"], json!(["device.read", "openid", "profile"]));
    let redirect = text(&answered["redirect"]);
    assert!(redirect.starts_with(&format!("{CALLBACK}?")), "{redirect}");
    assert_eq!(parameter(&redirect, "state").as_deref(), Some("st/+="));
    assert_eq!(parameter(&redirect, "iss"), Some(world.url()));

    let answer = app.redeem(&parameter(&redirect, "code").unwrap());
    let tokens = Tokens::of(&answer);
    let document = answer.json();
    assert_eq!(
        (&document["token_type"], &document["scope"]),
        (&json!("Bearer"), &json!("device.read openid profile"))
    );
    let account = text(&house.owner.run(["whoami", "--json"]).json()["account"]);

    let (header, claims) = decoded(&tokens.access);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
    for (name, value) in [
        ("iss", world.url()),
        ("aud", world.url()),
        ("sub", account.clone()),
        ("user_id", account.clone()),
        ("tenant_id", house.tenant.clone()),
        ("client_id", app.client_id.clone()),
        ("scope", "device.read openid profile".to_owned()),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims.get("agent_id").is_none() && claims["exp"].as_i64() > claims["iat"].as_i64());

    let (header, claims) = decoded(&tokens.id);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("JWT"), &json!("EdDSA")));
    for (name, value) in [
        ("iss", world.url()),
        ("aud", app.client_id.clone()),
        ("sub", account.clone()),
        ("nonce", "n-1".to_owned()),
        ("name", "Owner".to_owned()),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["auth_time"].as_i64().is_some_and(|at| at > 0) && claims["at_hash"].is_string());
    let is_unknown = |name: &&String| !is_discovered(&discovered, name);
    let unknown: Vec<_> = claims.as_object().unwrap().keys().filter(is_unknown).collect();
    assert!(unknown.is_empty(), "a claim that discovery does not know: {unknown:?}");
    let keys = Request::new("GET", "/.well-known/jwks.json").send(&world.url()).json();
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]));

    let info = get(&world, "/oauth/userinfo", &tokens.access);
    assert_eq!(
        (info.status, info.json()),
        (200, json!({ "sub": account, "tenant_id": house.tenant, "name": "Owner" }))
    );

    // With the refresh token again, and for less.
    let less = app.token(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.refresh),
        ("scope", "openid"),
    ]);
    let next = Tokens::of(&less);
    assert_eq!(less.json()["scope"], "openid");
    assert_eq!(decoded(&next.access).1["scope"], "openid");
    assert!(decoded(&next.id).1.get("nonce").is_none());
    assert_eq!(
        get(&world, "/oauth/userinfo", &next.access).json(),
        json!({ "sub": account, "tenant_id": house.tenant })
    );
    // Less once is not less for ever.
    let again = app.refresh(&next.refresh);
    assert_eq!(again.json()["scope"], "device.read openid profile");

    // Nothing of it is in the log, and the tenant's history names it.
    for secret in [&tokens.access, &tokens.refresh, &tokens.id, app.secret.as_ref().unwrap()] {
        assert!(!world.log().contains(secret.as_str()), "a secret is in the log");
    }
}

/// Whether discovery says that there is this claim.
fn is_discovered(discovered: &Value, claim: &str) -> bool {
    discovered["claims_supported"].as_array().is_some_and(|names| names.contains(&json!(claim)))
}

fn tokens_are_signed_by_what_their_client_knows(world: World) {
    let house = House::founded(&world);
    let app = house.app(&[&USUAL[..], &["--signing-alg", "ES256"]].concat());
    let tokens = app.tokens(&house.owner, &[]);
    let keys = Request::new("GET", "/.well-known/jwks.json").send(&world.url()).json();
    for token in [&tokens.access, &tokens.id] {
        let (header, _) = decoded(token);
        assert_eq!(header["alg"], "ES256");
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
        assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("EC"), &json!("P-256"), &json!("ES256")));
        let coordinate = |name: &str| BASE64URL_NOPAD.decode(text(&key[name]).as_bytes()).unwrap();
        let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(message.as_bytes(), &signature)
            .unwrap();
    }
    let hash = BASE64URL_NOPAD.encode(&Sha256::digest(&tokens.access)[..16]);
    assert_eq!(
        decoded(&tokens.id).1["at_hash"],
        json!(hash),
        "half of the hash that goes with the signature"
    );
    assert_eq!(get(&world, "/oauth/userinfo", &tokens.access).status, 200);
    assert!(app.is_active(&tokens.access));
    let create = ["clients", "create", "Other", "--serves", "https://api.example", "--signing-alg", "none"];
    assert_eq!(house.run(&create).refused(1).code, "invalid_field");
}

fn tokens_by_a_shared_key_are_for_services_of_the_tenants_own_alone(world: World) {
    let house = House::founded(&world);
    let (ours, name) = (["--signing-alg", "HS256", "--resource", "https://api.example"], unique("Shared "));
    let arguments = [&["clients", "create", name.as_str()][..], &USUAL, &ours].concat();
    let made = house.run(&arguments).json();
    let app = App {
        id: text(&made["id"]),
        client_id: text(&made["client_id"]),
        secret: made["client_secret"].as_str().map(str::to_owned),
        server: world.url(),
    };
    let key_of = |key: &str| {
        let bytes = BASE64URL_NOPAD.decode(key.strip_prefix("bck_").unwrap().as_bytes()).unwrap();
        hmac::Key::new(hmac::HMAC_SHA256, &bytes)
    };
    let is_by = |token: &str, key: &str| {
        let (message, mac) = token.rsplit_once('.').unwrap();
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).unwrap();
        hmac::verify(&key_of(key), message.as_bytes(), &mac).is_ok()
    };
    let key = text(&made["token_key"]);
    let tokens = app.tokens(&house.owner, &[]);
    let (header, claims) = decoded(&tokens.access);
    assert_eq!((&header["alg"], &claims["aud"]), (&json!("HS256"), &json!("https://api.example")));
    assert!(is_by(&tokens.access, &key));
    assert_eq!(decoded(&tokens.id).0["alg"], "EdDSA");

    // Whoever has the key makes tokens of their own. So here nobody takes one, not even a true one.
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let mut own = claims.clone();
    own["aud"] = json!(world.url());
    own["scope"] = json!("openid device.read");
    let message = format!("{}.{}", part(&header), part(&own));
    let forged = format!(
        "{message}.{}",
        BASE64URL_NOPAD.encode(hmac::sign(&key_of(&key), message.as_bytes()).as_ref())
    );
    assert!(is_by(&forged, &key));
    for token in [&tokens.access, &forged] {
        for path in ["/oauth/userinfo", "/api/v1/forward-auth", &format!("/api/v1/tenants/{}", house.tenant)]
        {
            let refused = get(&world, path, token);
            assert_eq!((refused.status, code(&refused)), (401, "token_untrusted".to_owned()), "{path}");
        }
        assert!(!app.is_active(token));
    }
    let rotated = text(&house.run(&["clients", "rotate-token-key", &app.id]).json()["token_key"]);
    assert_ne!(rotated, key);
    let next = Tokens::of(&app.refresh(&tokens.refresh)).access;
    assert!(is_by(&next, &rotated) && !is_by(&next, &key));

    // Without a resource of its own, or for a client that keeps no secret, there is no such key.
    for arguments in [&USUAL[..], &[&USUAL[..], &["--public", "--resource", "https://api.example"]].concat()]
    {
        let create = [&["clients", "create", "No"], arguments, &["--signing-alg", "HS256"]].concat();
        assert_eq!(house.run(&create).refused(1).code, "invalid_field");
    }
    let other = house.usual();
    assert_eq!(house.run(&["clients", "rotate-token-key", &other.id]).refused(1).code, "invalid_field");
}

fn a_token_does_what_its_scopes_say_in_its_tenant_and_nowhere_else(world: World) {
    let house = House::founded(&world);
    let other = text(&house.owner.run(["tenant", "create", "Other", "--json"]).json()["id"]);
    let app = house.usual();
    let token = app.tokens(&house.owner, &[]).access;
    let of = |tenant: &str, path: &str| get(&world, &format!("/api/v1/tenants/{tenant}{path}"), &token);

    assert_eq!(of(&house.tenant, "/devices").status, 200);
    // Its owner may more, and is in another tenant, and has a home.
    let refused = of(&house.tenant, "/members");
    assert_eq!((refused.status, code(&refused)), (403, "forbidden".to_owned()));
    for path in ["", "/devices", "/members"] {
        assert_eq!(of(&other, path).status, 404, "{path}");
    }
    for path in [
        "/api/v1/account",
        "/api/v1/collections",
        "/api/v1/sessions",
        "/api/v1/tenants",
        "/api/v1/authorizations",
    ] {
        let refused = get(&world, path, &token);
        assert_eq!(refused.status, 401, "{path}: {}", said(&refused));
    }
    // A token gets its bearer no other one.
    let link = app.link(&[]);
    let request = link.split_once("#authorize=").unwrap().1;
    let approve = Request::new("POST", "/api/v1/authorize/approve").json(&json!({ "request": request }));
    assert_eq!(approve.clone().bearer(&token).send(&world.url()).status, 401);
    let own = text(&house.owner.run(["token", "--json"]).json()["access_token"]);
    assert_eq!(approve.bearer(&own).send(&world.url()).status, 403);

    // One that is for another service is none for Bailiwick's own routes.
    let app = house.app(&[
        "--grants",
        "authorization_code",
        "--redirect-uri",
        CALLBACK,
        "--scopes",
        "openid,profile,device.read",
        "--resource",
        "https://api.example",
    ]);
    let token = app.tokens(&house.owner, &[]).access;
    assert_eq!(decoded(&token).1["aud"], "https://api.example");
    let refused = get(&world, &format!("/api/v1/tenants/{}/devices", house.tenant), &token);
    assert_eq!((refused.status, code(&refused)), (401, "token_wrong_audience".to_owned()));
    // And nobody asks for what was not registered.
    let back = app.ask(&[("resource", "https://other.example")]);
    assert_eq!(parameter(back.header("location").unwrap(), "error").as_deref(), Some("invalid_target"));
}

fn a_consent_is_remembered_listed_and_taken_back(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let new_scopes = |changed: &[(&str, &str)]| {
        let link = app.link(changed);
        let request = link.split_once("#authorize=").unwrap().1;
        let token = std::fs::read_to_string(house.owner.config().join("session")).unwrap();
        let read = Request::new("POST", "/api/v1/authorize/read").json(&json!({ "request": request }));
        read.bearer(token.trim()).send(&world.url()).json()["new_scopes"].clone()
    };
    assert_eq!(new_scopes(&[("scope", "openid device.read")]), json!(["device.read", "openid"]));
    let tokens = app.tokens(&house.owner, &[("scope", "openid device.read")]);
    assert_eq!(new_scopes(&[("scope", "openid device.read")]), json!([]));
    assert_eq!(new_scopes(&[("scope", "openid profile")]), json!(["profile"]));
    assert_eq!(new_scopes(&[("scope", "openid"), ("prompt", "consent")]), json!(["openid"]));

    let listed = house.owner.run(["authorize", "--list", "--json"]).json();
    assert_eq!(listed["authorizations"][0]["client"], app.id);
    assert_eq!(listed["authorizations"][0]["scopes"], json!(["device.read", "openid"]));
    house.owner.run(["authorize", "--revoke", &app.id, "--json"]).done();
    assert_eq!(house.owner.run(["authorize", "--list", "--json"]).json(), json!({ "authorizations": [] }));
    assert_eq!(code(&get(&world, "/oauth/userinfo", &tokens.access)), "token_revoked");
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (400, "invalid_grant".to_owned()));
    assert_eq!(house.owner.run(["authorize", "--revoke", &app.id, "--json"]).refused(1).code, "not_found");

    // No is an answer too.
    let answered = house.owner.run(["authorize", &app.link(&[]), "--deny", "--json"]).json();
    let redirect = text(&answered["redirect"]);
    assert_eq!(parameter(&redirect, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&redirect, "state").as_deref(), Some("st/+="));
    assert_eq!(parameter(&redirect, "iss"), Some(world.url()));
}

fn a_client_may_ask_for_a_fresh_proof(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    // Just proved.
    house.owner.run(["authorize", &app.link(&[("prompt", "login")]), "--yes", "--json"]).done();
    house.owner.run(["authorize", &app.link(&[("max_age", "600")]), "--yes", "--json"]).done();
    // No proof is that fresh.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let refused =
        house.owner.run(["authorize", &app.link(&[("max_age", "1")]), "--yes", "--json"]).refused(5);
    assert_eq!(refused.code, "step_up_required");
    for wrong in
        [("prompt", "none login"), ("max_age", "-1"), ("response_mode", "fragment"), ("request", "e30.e30.")]
    {
        let back = app.ask(&[wrong]);
        assert!(parameter(back.header("location").unwrap(), "error").is_some(), "{wrong:?}");
    }
}

fn nobody_is_asked_where_nobody_is_to_be_asked(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let token = std::fs::read_to_string(house.owner.config().join("session")).unwrap();
    let answer = |how: &str, changed: &[(&str, &str)]| {
        let asked = app.ask(&[&[("prompt", "none"), ("scope", "openid")], changed].concat());
        let link = asked.header("location").unwrap();
        let (_, request) = link.split_once("/#silent=").unwrap_or_else(|| panic!("{link}"));
        let body = json!({ "request": request });
        Request::new("POST", &format!("/api/v1/authorize/{how}"))
            .json(&body)
            .bearer(token.trim())
            .send(&world.url())
    };
    let error = |how: &str, changed: &[(&str, &str)]| {
        let redirect = text(&answer(how, changed).json()["redirect"]);
        assert!(redirect.starts_with(CALLBACK) && parameter(&redirect, "code").is_none(), "{redirect}");
        assert_eq!(parameter(&redirect, "state").as_deref(), Some("st/+="));
        parameter(&redirect, "error").unwrap()
    };
    // Nobody is signed in; nobody has allowed it; it was allowed, and the proof is older than the client takes.
    assert_eq!(error("login-required", &[]), "login_required");
    assert_eq!(error("deny", &[]), "consent_required");
    app.tokens(&house.owner, &[("scope", "openid")]);
    assert_eq!(answer("read", &[]).json()["new_scopes"], json!([]));
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert_eq!(error("deny", &[("max_age", "1")]), "login_required");
    assert_eq!(code(&answer("approve", &[("max_age", "1")])), "step_up_required");
    let redirect = text(&answer("approve", &[]).json()["redirect"]);
    assert!(parameter(&redirect, "code").is_some(), "{redirect}");

    // A request that somebody is to see is not waved through, or away, without anybody.
    let link = app.link(&[]);
    let request = link.split_once("#authorize=").unwrap().1;
    let body = json!({ "request": request });
    let refused = Request::new("POST", "/api/v1/authorize/login-required").json(&body).send(&world.url());
    assert_eq!((refused.status, refused.json()["field"].clone()), (422, json!("request")));
    // In a browser it is answered where it began, and nowhere else.
    let asked = app.ask(&[("prompt", "none")]);
    let request = asked.header("location").unwrap().split_once("#silent=").unwrap().1.to_owned();
    let kept = asked.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let from = |cookie: Option<&str>| {
        let body = json!({ "request": request });
        let ask = Request::new("POST", "/api/v1/authorize/login-required")
            .json(&body)
            .header("origin", &world.url());
        let ask = match cookie {
            Some(cookie) => ask.header("cookie", cookie),
            None => ask,
        };
        ask.send(&world.url()).status
    };
    assert_eq!((from(None), from(Some(&kept))), (410, 200));
}

fn a_request_may_be_pushed_before_the_browser_comes(world: World) {
    let house = House::founded(&world);
    let (app, other) = (house.usual(), house.usual());
    let challenge = challenge(VERIFIER);
    let fields = [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let pushed = app.post("/oauth/par", &fields);
    assert_eq!(pushed.status, 201, "{}", said(&pushed));
    let uri = text(&pushed.json()["request_uri"]);
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"));
    let ask = |client: &str| {
        let query = harness::encoded(&[("client_id", client), ("request_uri", &uri)]);
        Request::new("GET", &format!("/oauth/authorize?{query}")).send(&world.url())
    };
    assert_eq!(ask(&other.client_id).status, 422, "it is another client's");
    let link = ask(&app.client_id).header("location").unwrap().to_owned();
    let answered = house.owner.run(["authorize", &link, "--yes", "--json"]).json();
    Tokens::of(&app.redeem(&parameter(&text(&answered["redirect"]), "code").unwrap()));
    // One request is one code: not by its link again, nor by another link of the same.
    let again = ask(&app.client_id).header("location").unwrap().to_owned();
    for link in [&link, &again] {
        let answered = house.owner.run(["authorize", link, "--yes", "--json"]);
        assert_eq!(answered.refused(1).code, "request_over");
    }

    // What is wrong is told at once, and who is not the client pushes nothing.
    let wrong =
        app.post("/oauth/par", &[("response_type", "code"), ("redirect_uri", "https://evil.example/")]);
    assert_eq!(refused(&wrong), (400, "invalid_request".to_owned()));
    let thief = super::app::App { secret: Some("bcs_".to_owned() + &"A".repeat(43)), ..app.clone() };
    let answer = thief.post("/oauth/par", &fields);
    assert_eq!(refused(&answer), (401, "invalid_client".to_owned()));
    assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic")));
}

fn a_request_is_answered_in_the_browser_that_it_began_in(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let asked = app.ask(&[]);
    let request = asked.header("location").unwrap().split_once("#authorize=").unwrap().1.to_owned();
    let cookie = asked.header("set-cookie").unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split_once(';').unwrap().0.to_owned();
    let other = app.ask(&[]).header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned();
    let token = std::fs::read_to_string(house.owner.config().join("session")).unwrap();
    let send = |path: &str, headers: &[(&str, &str)]| {
        let body = json!({ "request": request });
        let request = Request::new("POST", path).json(&body).bearer(token.trim());
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send(&world.url())
    };
    for path in ["/api/v1/authorize/read", "/api/v1/authorize/approve", "/api/v1/authorize/deny"] {
        for browser in [("origin", world.url()), ("sec-fetch-site", "same-origin".to_owned())] {
            let browser = (browser.0, browser.1.as_str());
            let refused = send(path, &[browser]);
            assert_eq!((refused.status, code(&refused)), (410, "request_over".to_owned()), "{path}");
            assert_eq!(send(path, &[browser, ("cookie", &other)]).status, 410, "{path}: another browser's");
        }
        let right = send(path, &[("origin", &world.url()), ("cookie", &format!("a=b; {cookie}"))]);
        assert_eq!(right.status, 200, "{path}: {}", said(&right));
    }
}

fn a_device_is_let_in_by_the_code_that_it_shows(world: World) {
    let house = House::founded(&world);
    let arguments = ["--public", "--grants", "device_code,refresh_token", "--scopes", "openid,device.read"];
    let (app, other) = (house.app(&arguments), house.app(&arguments));
    let begin = || {
        let begun = app.post("/oauth/device_authorization", &[("scope", "openid device.read")]);
        assert_eq!(begun.status, 200, "{}", said(&begun));
        begun.json()
    };
    let poll = |app: &super::app::App, device_code: &str| {
        app.token(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code),
        ])
    };
    let begun = begin();
    let (device, user) = (text(&begun["device_code"]), text(&begun["user_code"]));
    assert_eq!(begun["interval"], 5);
    assert!(text(&begun["verification_uri_complete"]).ends_with(&user));
    assert_eq!(refused(&poll(&app, &device)), (400, "authorization_pending".to_owned()));
    assert_eq!(refused(&poll(&app, &device)), (400, "slow_down".to_owned()));
    assert_eq!(refused(&poll(&other, &device)), (400, "expired_token".to_owned()), "another client's");

    // However it is typed; who answers sees where it came from.
    let typed = user.to_lowercase().replace('-', " ");
    let answered = house.owner.run(["authorize", "--code", &typed, "--yes", "--json"]).json();
    assert_eq!(answered["request"]["network"], "this machine");
    assert!(answered["redirect"].is_null());
    assert_eq!(
        house.owner.run(["authorize", "--code", &user, "--yes", "--json"]).refused(1).code,
        "request_over"
    );
    assert_eq!(refused(&poll(&other, &device)), (400, "expired_token".to_owned()));
    let tokens = Tokens::of(&poll(&app, &device));
    assert_eq!(get(&world, "/oauth/userinfo", &tokens.access).status, 200);
    assert_eq!(refused(&poll(&app, &device)), (400, "expired_token".to_owned()), "once");
    Tokens::of(&app.refresh(&tokens.refresh));

    let begun = begin();
    house.owner.run(["authorize", &text(&begun["verification_uri_complete"]), "--deny", "--json"]).done();
    assert_eq!(refused(&poll(&app, &text(&begun["device_code"]))), (400, "access_denied".to_owned()));

    // Whoever is not in the tenant lets nothing of it in, and guessing is slowed down.
    let begun = begin();
    let stranger = world.machine();
    stranger.sign_up();
    let user = text(&begun["user_code"]);
    assert_eq!(stranger.run(["authorize", "--code", &user, "--yes", "--json"]).refused(1).code, "not_found");
    let guess = || stranger.run(["authorize", "--code", "BBBB-BBBB", "--yes", "--json"]);
    let codes: Vec<_> = (0..12).map(|_| guess().refused(1).code).collect();
    assert!(
        codes.contains(&"request_over".to_owned()) && codes.contains(&"too_many_requests".to_owned()),
        "{codes:?}"
    );
}

fn an_application_signs_somebody_out(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let tokens = app.tokens(&house.owner, &[]);
    let out = |fields: &[(&str, &str)]| {
        Request::new("GET", &format!("/oauth/logout?{}", harness::encoded(fields))).send(&world.url())
    };
    // Nobody is sent elsewhere, and nothing ends by what is no ID token.
    let evil = out(&[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", "https://evil.example/")]);
    assert_eq!((evil.status, evil.header("location")), (422, None));
    assert_eq!(out(&[("id_token_hint", &tokens.access)]).status, 422);
    let plain = out(&[("post_logout_redirect_uri", "https://evil.example/")]);
    assert_eq!(plain.header("location"), Some(format!("{}/#signed-out", world.url()).as_str()));
    assert_eq!(get(&world, "/oauth/userinfo", &tokens.access).status, 200);

    let bye = "https://app.example/bye";
    let done = out(&[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", bye), ("state", "x&y")]);
    assert_eq!((done.status, done.header("location")), (303, Some("https://app.example/bye?state=x%26y")));
    assert_eq!(code(&get(&world, "/oauth/userinfo", &tokens.access)), "token_revoked");
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (400, "invalid_grant".to_owned()));
    // The person is still signed in to Bailiwick.
    house.owner.run(["whoami", "--json"]).done();
}
