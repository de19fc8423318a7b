// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What thieves and mix-ups try: codes, refresh tokens, redirects and tokens that are shown where they should not be.

use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use harness::{Request, World, on_both_engines};
use ring::hmac;
use serde_json::{Value, json};

use super::app::{
    App, CALLBACK, House, Tokens, VERIFIER, challenge, code, decoded, get, parameter, refused, said, text,
};

on_both_engines!(
    a_code_is_good_once_and_ends_what_it_gave_when_it_is_shown_again,
    a_code_is_good_for_its_client_and_its_proof_alone,
    nobody_is_sent_where_no_application_registered,
    a_request_without_a_proof_key_gets_no_code,
    a_refresh_token_is_good_once_and_ends_its_family_when_it_is_shown_again,
    a_refresh_token_that_is_shown_twice_at_once_gives_at_most_one,
    nobody_gets_more_scopes_than_were_consented_to,
    no_token_is_taken_for_another,
    an_application_of_one_tenant_is_nothing_in_another,
);

fn a_code_is_good_once_and_ends_what_it_gave_when_it_is_shown_again(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let code_text = app.code(&house.owner, &[]);
    let tokens = Tokens::of(&app.redeem(&code_text));
    assert_eq!(get(&world, "/oauth/userinfo", &tokens.access).status, 200);

    assert_eq!(refused(&app.redeem(&code_text)), (400, "invalid_grant".to_owned()));
    assert_eq!(code(&get(&world, "/oauth/userinfo", &tokens.access)), "token_revoked");
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (400, "invalid_grant".to_owned()));
    assert!(!app.is_active(&tokens.access) && !app.is_active(&tokens.refresh));

    // At the same time too: at most one gets tokens, and they are worth nothing then.
    let code_text = app.code(&house.owner, &[]);
    let answers: Vec<_> = thread::scope(|scope| {
        let asks: Vec<_> = (0..4).map(|_| scope.spawn(|| app.redeem(&code_text))).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(good.len() <= 1, "{} got tokens", good.len());
    for answer in good {
        assert_eq!(code(&get(&world, "/oauth/userinfo", &Tokens::of(answer).access)), "token_revoked");
    }
}

fn a_code_is_good_for_its_client_and_its_proof_alone(world: World) {
    let house = House::founded(&world);
    let (app, other) = (house.usual(), house.usual());
    let code_text = app.code(&house.owner, &[]);
    let redeem = |app: &App, changed: &[(&str, &str)]| {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code_text.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changed {
            fields.retain(|(known, _)| known != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        refused(&app.token(&fields))
    };
    let (grant, request) = ((400, "invalid_grant".to_owned()), (400, "invalid_request".to_owned()));
    assert_eq!(redeem(&other, &[]), grant, "another client's");
    assert_eq!(redeem(&app, &[("code_verifier", "")]), request);
    assert_eq!(redeem(&app, &[("code_verifier", &"A".repeat(43))]), grant);
    assert_eq!(
        redeem(&app, &[("code_verifier", &challenge(VERIFIER))]),
        grant,
        "the challenge is not the proof"
    );
    assert_eq!(redeem(&app, &[("redirect_uri", "http://127.0.0.1/callback")]), grant);
    assert_eq!(redeem(&app, &[("code", "")]), request);
    assert_eq!(redeem(&app, &[("code", &format!("bcc_{}", "A".repeat(64)))]), grant);
    let thief = App { secret: None, ..app.clone() };
    assert_eq!(
        redeem(&thief, &[]),
        (401, "invalid_client".to_owned()),
        "a confidential client without its secret"
    );
    let twice =
        app.token(&[("grant_type", "authorization_code"), ("code", &code_text), ("code", &code_text)]);
    assert_eq!(refused(&twice), request);
    let both = [("client_id", app.client_id.as_str()), ("client_secret", app.secret.as_deref().unwrap())];
    assert_eq!(redeem(&app, &both), request, "it proves itself in two ways");
    // None of that used it up.
    Tokens::of(&app.redeem(&code_text));
}

fn nobody_is_sent_where_no_application_registered(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    for elsewhere in [
        "https://evil.example/callback",
        "https://app.example/callback/",
        "https://app.example/callback/../evil",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/callbac",
        "https://app.example/Callback",
        "https://APP.example/callback",
        "https://app.example:443/callback",
        "https://app.example:8443/callback",
        "http://app.example/callback",
        "https://app.example@evil.example/callback",
        "https://user@app.example/callback",
        "https://app.example.evil.example/callback",
        "https://app.example%2eevil.example/callback",
        "https://app.example\\@evil.example/callback",
        " https://app.example/callback",
        "http://127.0.0.2:99/callback",
        "http://localhost:99/callback",
        "http://127.0.0.1:99@evil.example/callback",
        "http://127.0.0.1:99/callback2",
        "javascript:alert(1)",
    ] {
        let answer = app.ask(&[("redirect_uri", elsewhere)]);
        assert_eq!((answer.status, answer.header("location")), (422, None), "{elsewhere}");
        assert_eq!(answer.json()["field"], "redirect_uri");
    }
    // It has two, so it must say which.
    assert_eq!(app.ask(&[("redirect_uri", "")]).status, 422);
    // The port of a loopback address is its application's to choose.
    app.link(&[("redirect_uri", "http://127.0.0.1:49152/callback")]);
    for unknown in ["", "nobody", "cli_00000000000000000000000000000000.00000000000080008000000000000000"] {
        let answer = app.ask(&[("client_id", unknown)]);
        assert_eq!((answer.status, answer.header("location")), (422, None), "{unknown}");
    }
    // What else is wrong is told there, with the client's own word and the issuer's name.
    let back = app.ask(&[("scope", "openid everything")]);
    let location = back.header("location").unwrap();
    assert!(location.starts_with("https://app.example/callback?error=invalid_scope"), "{location}");
    assert_eq!(parameter(location, "state").as_deref(), Some("st/+="));
    assert_eq!(parameter(location, "iss"), Some(world.url()));
    // And what could lead elsewhere is not registered.
    for bad in [
        "javascript:alert(1)",
        "http://app.example/cb",
        "https://app.example/*",
        "https://a@app.example/",
        "https://app.example/#x",
        "/callback",
    ] {
        let made =
            house.run(&["clients", "create", "Bad", "--grants", "authorization_code", "--redirect-uri", bad]);
        if bad == "https://app.example/*" {
            // Not a pattern: a star is a star.
            let star = made.json();
            let app = App { client_id: text(&star["client_id"]), ..app.clone() };
            assert_eq!(app.ask(&[("redirect_uri", "https://app.example/callback")]).status, 422);
        } else {
            assert_eq!(made.refused(1).code, "invalid_field", "{bad}");
        }
    }
}

fn a_request_without_a_proof_key_gets_no_code(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    for changed in [
        vec![("code_challenge", "")],
        vec![("code_challenge_method", "")],
        vec![("code_challenge_method", "plain"), ("code_challenge", VERIFIER)],
        vec![("code_challenge", ""), ("code_challenge_method", "")],
        vec![("code_challenge", "short")],
        vec![("response_type", "token")],
        vec![("response_type", "code id_token")],
        vec![("response_type", "")],
    ] {
        let back = app.ask(&changed);
        let location = back.header("location").unwrap_or_else(|| panic!("{changed:?}: {}", said(&back)));
        assert!(
            parameter(location, "error").is_some() && !location.contains("authorize="),
            "{changed:?}: {location}"
        );
    }
}

fn a_refresh_token_is_good_once_and_ends_its_family_when_it_is_shown_again(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let first = app.tokens(&house.owner, &[]);
    let second = Tokens::of(&app.refresh(&first.refresh));
    let third = Tokens::of(&app.refresh(&second.refresh));
    // Somebody else's client, and what was made up, end nothing.
    let other = house.usual();
    assert_eq!(refused(&other.refresh(&first.refresh)), (400, "invalid_grant".to_owned()));
    let mut bytes = BASE64URL_NOPAD.decode(&first.refresh.as_bytes()[4..]).unwrap();
    bytes[30] ^= 1;
    let made_up = format!("bcr_{}", BASE64URL_NOPAD.encode(&bytes));
    assert_eq!(refused(&app.refresh(&made_up)), (400, "invalid_grant".to_owned()));
    assert_eq!(get(&world, "/oauth/userinfo", &third.access).status, 200);

    // The thief comes with the first one.
    assert_eq!(refused(&app.refresh(&first.refresh)), (400, "invalid_grant".to_owned()));
    assert_eq!(refused(&app.refresh(&third.refresh)), (400, "invalid_grant".to_owned()));
    for tokens in [&first, &second, &third] {
        assert_eq!(code(&get(&world, "/oauth/userinfo", &tokens.access)), "token_revoked");
    }
    // And it stands in the tenant's history.
    let token = std::fs::read_to_string(house.owner.config().join("session")).unwrap();
    let path = format!("/api/v1/log/{}/records?limit=500", house.tenant);
    let begun = Instant::now();
    while !said(&get(&world, &path, token.trim())).contains("client.refuse") {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not in the history");
        thread::sleep(Duration::from_millis(50));
    }
}

fn a_refresh_token_that_is_shown_twice_at_once_gives_at_most_one(mut world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    for _ in 0..3 {
        let tokens = app.tokens(&house.owner, &[]);
        let answers: Vec<_> = thread::scope(|scope| {
            let asks: Vec<_> = (0..4).map(|_| scope.spawn(|| app.refresh(&tokens.refresh))).collect();
            asks.into_iter().map(|ask| ask.join().unwrap()).collect()
        });
        let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).map(Tokens::of).collect();
        assert!(good.len() <= 1, "{} got tokens", good.len());
        for got in good {
            assert_eq!(code(&get(&world, "/oauth/userinfo", &got.access)), "token_revoked");
            assert_eq!(refused(&app.refresh(&got.refresh)), (400, "invalid_grant".to_owned()));
        }
    }
    // What ended stays so after a restart.
    let tokens = app.tokens(&house.owner, &[]);
    let next = Tokens::of(&app.refresh(&tokens.refresh));
    world.kill();
    world.start();
    assert_eq!(refused(&app.refresh(&tokens.refresh)), (400, "invalid_grant".to_owned()));
    assert_eq!(code(&get(&world, "/oauth/userinfo", &next.access)), "token_revoked");
}

fn nobody_gets_more_scopes_than_were_consented_to(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let tokens = app.tokens(&house.owner, &[("scope", "openid")]);
    for more in ["openid device.read", "device.read", "*"] {
        let answer = app.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", &tokens.refresh),
            ("scope", more),
        ]);
        assert_eq!(refused(&answer), (400, "invalid_scope".to_owned()), "{more}");
    }
    let elsewhere = app.token(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.refresh),
        ("resource", "https://other.example"),
    ]);
    assert_eq!(refused(&elsewhere), (400, "invalid_target".to_owned()));
    // None of that used it up.
    Tokens::of(&app.refresh(&tokens.refresh));
    let narrow = app.tokens(&house.owner, &[("scope", "device.read")]);
    let refused = get(&world, "/oauth/userinfo", &narrow.access);
    assert_eq!((refused.status, code(&refused)), (403, "insufficient_scope".to_owned()));
    assert_eq!(narrow.id, "", "no ID token without openid");
}

fn no_token_is_taken_for_another(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let tokens = app.tokens(&house.owner, &[]);
    let devices = format!("/api/v1/tenants/{}/devices", house.tenant);
    assert_eq!(get(&world, &devices, &tokens.access).status, 200);
    let own = text(&house.owner.run(["token", "--json"]).json()["access_token"]);

    // An ID token, a refresh token and a signed identity are no access tokens.
    let passed = get(&world, "/api/v1/forward-auth", &tokens.access);
    let identity = passed.header("x-bailiwick-identity").expect("an identity").to_owned();
    for path in [devices.as_str(), "/oauth/userinfo", "/api/v1/forward-auth"] {
        for token in [&tokens.id, &tokens.refresh, &identity] {
            let refused = get(&world, path, token);
            assert_eq!((refused.status, code(&refused)), (401, "token_malformed".to_owned()), "{path}");
        }
    }
    // A session's token is no client's.
    assert_eq!(get(&world, "/oauth/userinfo", &own).status, 401);
    assert!(!app.is_active(&own));

    // Another algorithm, another key, other claims.
    let (header, claims) = decoded(&tokens.access);
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    let signature = tokens.access.rsplit_once('.').unwrap().1;
    let keys = Request::new("GET", "/.well-known/jwks.json").send(&world.url()).json();
    let public = BASE64URL_NOPAD.decode(text(&keys["keys"][0]["x"]).as_bytes()).unwrap();
    let none = with(&header, "alg", json!("none"));
    let hs256 = format!("{}.{}", part(&with(&header, "alg", json!("HS256"))), part(&claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), hs256.as_bytes());
    let forged = [
        format!("{}.{}.", part(&none), part(&claims)),
        format!("{}.{}.{signature}", part(&none), part(&claims)),
        format!("{hs256}.{}", BASE64URL_NOPAD.encode(mac.as_ref())),
        format!("{}.{}.{signature}", part(&header), part(&with(&claims, "scope", json!("*")))),
        format!("{}.{}.{signature}", part(&header), part(&with(&claims, "exp", json!(9_999_999_999_i64)))),
        format!("{}.{}.{signature}", part(&with(&header, "typ", json!("JWT"))), part(&claims)),
        format!("{}.{}.{signature}", part(&with(&header, "jwk", keys["keys"][0].clone())), part(&claims)),
        tokens.access[..tokens.access.len() - 4].to_owned(),
    ];
    for token in &forged {
        for path in [devices.as_str(), "/oauth/userinfo", "/api/v1/forward-auth"] {
            let refused = get(&world, path, token);
            assert_eq!(refused.status, 401, "{path} {token}: {}", said(&refused));
            assert!(
                ["token_untrusted", "token_malformed"].contains(&code(&refused).as_str()),
                "{}",
                code(&refused)
            );
        }
        assert!(!app.is_active(token));
    }
    // Another server's.
    let elsewhere = World::started(world.engine());
    let there = House::founded(&elsewhere);
    let token = there.usual().tokens(&there.owner, &[]).access;
    assert_eq!(code(&get(&world, "/oauth/userinfo", &token)), "token_untrusted");
}

fn an_application_of_one_tenant_is_nothing_in_another(world: World) {
    let (house, other) = (House::founded(&world), House::founded(&world));
    let (app, theirs) = (house.usual(), other.usual());
    // The same client under another tenant's name.
    let (client, _) = app.client_id.split_once('.').unwrap();
    let (_, tenant) = theirs.client_id.split_once('.').unwrap();
    let moved = App { client_id: format!("{client}.{tenant}"), ..app.clone() };
    assert_eq!(moved.ask(&[]).status, 422);
    assert_eq!(
        refused(&moved.token(&[("grant_type", "client_credentials")])),
        (401, "invalid_client".to_owned())
    );

    // Who is not a member of its tenant does not sign in to it, and is not told what it is.
    let refusal = other.owner.run(["authorize", &app.link(&[]), "--yes", "--json"]).refused(1);
    assert_eq!(refusal.code, "not_found");
    assert!(!refusal.document.to_string().contains("App"), "{}", refusal.document);

    let tokens = app.tokens(&house.owner, &[]);
    assert!(!theirs.is_active(&tokens.access) && !theirs.is_active(&tokens.refresh));
    theirs.post("/oauth/revoke", &[("token", &tokens.access)]);
    theirs.post("/oauth/revoke", &[("token", &tokens.refresh)]);
    assert_eq!(get(&world, "/oauth/userinfo", &tokens.access).status, 200, "nobody else revokes it");
    assert_eq!(refused(&theirs.refresh(&tokens.refresh)), (400, "invalid_grant".to_owned()));
    Tokens::of(&app.refresh(&tokens.refresh));
}
