// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tokens that are bound to a key (DPoP, RFC 9449): what a thief of the token, of the refresh token, of a proof can do, which is
//! nothing.

use data_encoding::BASE64URL_NOPAD;
use harness::{Exchange, Request, World, on_both_engines, unique};
use serde_json::{Value, json};
use sha2_010::{Digest as _, Sha256};

use super::app::{
    App, CALLBACK, House, Tokens, USUAL, VERIFIER, code, decoded, get, parameter, refused, said, text,
};
use super::key::Key;

on_both_engines!(
    a_bound_token_is_worth_nothing_without_its_key,
    a_proof_is_good_once_for_its_request,
    a_public_clients_refresh_token_is_bound_to_its_key,
    a_code_may_be_bound_to_a_key_before_it_is_made,
    a_service_behind_a_proxy_gets_the_proof_checked,
    a_page_of_another_origin_shows_proofs_and_reads_the_answer,
);

fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs()).expect("a time")
}

/// The claims of a proof for this request.
fn claims(method: &str, uri: &str, token: Option<&str>) -> Value {
    let mut claims = json!({ "jti": unique("jti-"), "htm": method, "htu": uri, "iat": now() });
    if let Some(token) = token {
        claims["ath"] = json!(BASE64URL_NOPAD.encode(&Sha256::digest(token)));
    }
    claims
}

/// A form for the token endpoint with a proof by this key.
fn asked(app: &App, key: &Key, fields: &[(&str, &str)]) -> Exchange {
    let proof = key.proof(&claims("POST", &format!("{}/oauth/token", app.server), None));
    with_proof(app, &proof, fields)
}

fn with_proof(app: &App, proof: &str, fields: &[(&str, &str)]) -> Exchange {
    let own =
        [("client_id", app.client_id.as_str()), ("client_secret", app.secret.as_deref().unwrap_or_default())];
    let fields = [&own[..], fields].concat();
    Request::new("POST", "/oauth/token").header("dpop", proof).form(&fields).send(&app.server)
}

fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

/// A request that shows a bound token with this proof.
fn shows(server: &str, path: &str, token: &str, proof: &str) -> Exchange {
    Request::new("GET", path)
        .header("authorization", &format!("DPoP {token}"))
        .header("dpop", proof)
        .send(server)
}

fn a_bound_token_is_worth_nothing_without_its_key(world: World) {
    let house = House::founded(&world);
    let app = house.app(&[&USUAL[..], &["--dpop"]].concat());
    let refused_proof = (400, "invalid_dpop_proof".to_owned());
    let code_text = app.code(&house.owner, &[]);
    assert_eq!(refused(&app.redeem(&code_text)), refused_proof, "it gets bound tokens only");
    for key in [Key::p256(), Key::ed25519()] {
        let code_text = app.code(&house.owner, &[]);
        let answer = asked(&app, &key, &redemption(&code_text));
        let token = Tokens::of(&answer).access;
        assert_eq!(answer.json()["token_type"], "DPoP");
        let bound = decoded(&token).1["cnf"]["jkt"].clone();
        assert_eq!(text(&bound).len(), 43);
        let said = app.introspect(&token);
        assert_eq!((&said["token_type"], &said["cnf"]["jkt"]), (&json!("DPoP"), &bound));

        let devices = format!("/api/v1/tenants/{}/devices", house.tenant);
        for path in ["/oauth/userinfo", devices.as_str()] {
            let uri = format!("{}{path}", world.url());
            let good = || claims("GET", &uri, Some(&token));
            let passed = shows(&world.url(), path, &token, &key.proof(&good()));
            assert_eq!(passed.status, 200, "{}", super::app::said(&passed));

            let as_bearer = get(&world, path, &token);
            assert_eq!((as_bearer.status, code(&as_bearer)), (401, "invalid_dpop_proof".to_owned()));
            assert!(as_bearer.header("www-authenticate").is_some_and(|value| value.starts_with("DPoP ")));
            let bearer_with_proof = Request::new("GET", path)
                .bearer(&token)
                .header("dpop", &key.proof(&good()))
                .send(&world.url());
            assert_eq!(code(&bearer_with_proof), "invalid_dpop_proof");
            let another = shows(&world.url(), path, &token, &Key::p256().proof(&good()));
            assert_eq!(
                (another.status, code(&another)),
                (401, "invalid_dpop_proof".to_owned()),
                "another key"
            );
            let without = Request::new("GET", path)
                .header("authorization", &format!("DPoP {token}"))
                .send(&world.url());
            assert_eq!(code(&without), "invalid_dpop_proof");
        }
    }
    // A token that is bound to nothing is no better with a proof.
    let plain = house.usual().tokens(&house.owner, &[]).access;
    let uri = format!("{}/oauth/userinfo", world.url());
    let proof = Key::p256().proof(&claims("GET", &uri, Some(&plain)));
    assert_eq!(code(&shows(&world.url(), "/oauth/userinfo", &plain, &proof)), "invalid_dpop_proof");
    // What is no application's token is none by another scheme.
    let session = std::fs::read_to_string(house.owner.config().join("session")).unwrap();
    let devices = format!("/api/v1/tenants/{}/devices", house.tenant);
    assert_eq!(shows(&world.url(), &devices, session.trim(), &proof).status, 401);
}

fn a_proof_is_good_once_for_its_request(world: World) {
    let house = House::founded(&world);
    let (app, key) = (house.usual(), Key::p256());
    let endpoint = format!("{}/oauth/token", world.url());
    let refused_proof = (400, "invalid_dpop_proof".to_owned());

    let code_text = app.code(&house.owner, &[]);
    for (name, value) in [
        ("htm", json!("GET")),
        ("htu", json!(format!("{}/oauth/introspect", world.url()))),
        ("htu", json!("https://other.example/oauth/token")),
        ("iat", json!(now() - 3_600)),
        ("iat", json!(now() + 3_600)),
        ("jti", json!("")),
    ] {
        let mut claims = claims("POST", &endpoint, None);
        claims[name] = value;
        let answer = with_proof(&app, &key.proof(&claims), &redemption(&code_text));
        assert_eq!(refused(&answer), refused_proof, "{name}");
    }
    let twice = Request::new("POST", "/oauth/token")
        .header("dpop", &key.proof(&claims("POST", &endpoint, None)))
        .header("dpop", &key.proof(&claims("POST", &endpoint, None)))
        .form(&redemption(&code_text))
        .send(&world.url());
    assert!(twice.status >= 400 && twice.json().get("access_token").is_none());

    let proof = key.proof(&claims("POST", &endpoint, None));
    let tokens = Tokens::of(&with_proof(&app, &proof, &redemption(&code_text)));
    let again =
        with_proof(&app, &proof, &[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]);
    assert_eq!(refused(&again), refused_proof, "the same proof for other tokens");
    // That used nothing up.
    let tokens = Tokens::of(&asked(
        &app,
        &key,
        &[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)],
    ));

    let uri = format!("{}/oauth/userinfo", world.url());
    let show = |proof: &str| shows(&world.url(), "/oauth/userinfo", &tokens.access, proof);
    let proof = key.proof(&claims("GET", &uri, Some(&tokens.access)));
    assert_eq!(show(&proof).status, 200);
    let replayed = show(&proof);
    assert_eq!((replayed.status, code(&replayed)), (401, "invalid_dpop_proof".to_owned()));
    for (what, claims) in [
        ("for another method", claims("POST", &uri, Some(&tokens.access))),
        ("for another route", claims("GET", &endpoint, Some(&tokens.access))),
        ("for no token", claims("GET", &uri, None)),
        ("for another token", claims("GET", &uri, Some("another"))),
    ] {
        assert_eq!(code(&show(&key.proof(&claims))), "invalid_dpop_proof", "{what}");
    }
}

fn a_public_clients_refresh_token_is_bound_to_its_key(world: World) {
    let house = House::founded(&world);
    let app = house.app(&[&USUAL[..], &["--public"]].concat());
    let key = Key::ed25519();
    let code_text = app.code(&house.owner, &[]);
    let tokens = Tokens::of(&asked(&app, &key, &redemption(&code_text)));
    let fields = |token| [("grant_type", "refresh_token"), ("refresh_token", token)];
    let grant = (400, "invalid_grant".to_owned());
    assert_eq!(refused(&asked(&app, &Key::ed25519(), &fields(&tokens.refresh))), grant, "a thief's key");
    assert_eq!(refused(&app.refresh(&tokens.refresh)), grant, "no key");
    let tokens = Tokens::of(&asked(&app, &key, &fields(&tokens.refresh)));
    assert_eq!(refused(&app.refresh(&tokens.refresh)), grant, "the next one too");
    Tokens::of(&asked(&app, &key, &fields(&tokens.refresh)));
}

fn a_code_may_be_bound_to_a_key_before_it_is_made(world: World) {
    let house = House::founded(&world);
    let (app, key) = (house.usual(), Key::p256());
    let code_text = app.code(&house.owner, &[]);
    let token = Tokens::of(&asked(&app, &key, &redemption(&code_text))).access;
    let thumbprint = text(&decoded(&token).1["cnf"]["jkt"]);
    let grant = (400, "invalid_grant".to_owned());

    let code_text = app.code(&house.owner, &[("dpop_jkt", &thumbprint)]);
    assert_eq!(refused(&app.redeem(&code_text)), grant, "no key");
    assert_eq!(refused(&asked(&app, &Key::p256(), &redemption(&code_text))), grant, "another key");
    Tokens::of(&asked(&app, &key, &redemption(&code_text)));

    let answer = app.ask(&[("dpop_jkt", "short")]);
    assert_eq!(answer.status, 303);
    let error = parameter(answer.header("location").unwrap(), "error");
    assert_eq!(error.as_deref(), Some("invalid_request"));
}

fn a_service_behind_a_proxy_gets_the_proof_checked(world: World) {
    let house = House::founded(&world);
    let (app, key) = (house.usual(), Key::ed25519());
    let code_text = app.code(&house.owner, &[]);
    let token = Tokens::of(&asked(&app, &key, &redemption(&code_text))).access;
    let check = |uri: &str, claims: &Value| {
        Request::new("GET", "/api/v1/forward-auth")
            .header("authorization", &format!("DPoP {token}"))
            .header("dpop", &key.proof(claims))
            .header("x-forwarded-method", "POST")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "api.example")
            .header("x-forwarded-uri", uri)
            .send(&world.url())
    };
    let good = || claims("POST", "https://api.example/orders", Some(&token));
    let passed = check("/orders?page=2", &good());
    assert_eq!(passed.status, 200, "{}", said(&passed));
    assert_eq!(check("/admin", &good()).status, 401);
    assert_eq!(
        get(&world, "/api/v1/forward-auth", &token).status,
        401,
        "as a bearer token it is worth nothing"
    );
}

fn a_page_of_another_origin_shows_proofs_and_reads_the_answer(world: World) {
    let asks = |path: &str| {
        Request::new("OPTIONS", path)
            .header("origin", "https://spa.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,dpop,content-type")
            .send(&world.url())
    };
    for path in ["/oauth/token", "/oauth/userinfo", "/oauth/revoke"] {
        let answer = asks(path);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")), "{path}");
        let headers = answer.header("access-control-allow-headers").unwrap().to_owned();
        assert!(headers.contains("dpop") && headers.contains("authorization"), "{path}: {headers}");
        assert!(answer.header("access-control-allow-credentials").is_none(), "{path}");
    }
    // An error is read, too.
    let refused = Request::new("POST", "/oauth/token").header("origin", "https://spa.example");
    let refused = refused.form(&[("grant_type", "none")]).send(&world.url());
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, Some("*")));
    // Nothing else is for pages of other origins.
    for path in ["/api/v1/account", "/api/v1/auth/token", "/oauth/introspect", "/oauth/par"] {
        let answer = asks(path);
        assert!(answer.header("access-control-allow-origin").is_none(), "{path}");
    }
}
