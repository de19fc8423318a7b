// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs: clients for themselves, services that look at tokens, agents that act for somebody.

use data_encoding::BASE64URL_NOPAD;
use harness::{Engine, Exchange, Request, World, on_both_engines, unique};
use serde_json::json;

use super::app::{App, CALLBACK, House, Tokens, code, decoded, get, refused, said, text};
use super::key::Key;

on_both_engines!(
    a_program_gets_tokens_for_its_service_account,
    a_service_sees_the_tokens_that_are_for_it_and_no_others,
    a_client_proves_itself_by_a_signature_once,
    an_agent_does_less_and_both_are_named,
);

fn a_program_gets_tokens_for_its_service_account(world: World) {
    let house = House::founded(&world);
    let service = text(&house.run(&["service-accounts", "create", "nightly"]).json()["id"]);
    let app = house.app(&[
        "--grants",
        "client_credentials",
        "--scopes",
        "device.read,member.read",
        "--service-account",
        &service,
    ]);
    let ask =
        |fields: &[(&str, &str)]| app.token(&[&[("grant_type", "client_credentials")][..], fields].concat());
    let answer = ask(&[("scope", "device.read")]);
    let token = Tokens::of(&answer).access;
    assert!(answer.json().get("refresh_token").is_none() && answer.json().get("id_token").is_none());
    let claims = decoded(&token).1;
    assert_eq!((&claims["sub"], &claims["tenant_id"]), (&json!(service), &json!(house.tenant)));
    assert!(claims.get("user_id").is_none());

    // It does what the account's roles say, below its scopes.
    let of = |path: &str| get(&world, &format!("/api/v1/tenants/{}{path}", house.tenant), &token).status;
    assert_eq!(of("/devices"), 403, "it has no role yet");
    house.run(&["grants", "give", &service, "auditor"]).done();
    assert_eq!((of("/devices"), of("/members")), (200, 403));
    assert_eq!(get(&world, "/oauth/userinfo", &token).status, 403, "it is nobody");
    assert!(app.is_active(&token));

    for (asked, error) in [
        (vec![("scope", "device.read device.write")], "invalid_scope"),
        (vec![("scope", "*")], "invalid_scope"),
        (vec![("resource", "https://other.example")], "invalid_target"),
    ] {
        assert_eq!(refused(&ask(&asked)), (400, error.to_owned()), "{asked:?}");
    }
    assert_eq!(
        refused(&app.token(&[("grant_type", "password")])),
        (400, "unsupported_grant_type".to_owned())
    );
    assert_eq!(refused(&app.redeem("bcc_x")), (400, "unauthorized_client".to_owned()));
    assert_eq!(refused(&app.token(&[])), (400, "invalid_request".to_owned()));

    house.run(&["service-accounts", "suspend", &service]).done();
    assert!(!app.is_active(&token));
    assert_eq!(of("/devices"), 403);
    assert_eq!(refused(&ask(&[])), (400, "invalid_grant".to_owned()));
    house.run(&["service-accounts", "resume", &service]).done();
    assert_eq!(of("/devices"), 200);

    // Another secret, and the old one is worth nothing.
    let rotated = house.run(&["clients", "rotate-secret", &app.id]).json();
    assert_eq!(refused(&ask(&[])), (401, "invalid_client".to_owned()));
    let app = App { secret: Some(text(&rotated["client_secret"])), ..app };
    let fresh = Tokens::of(&app.token(&[("grant_type", "client_credentials")])).access;
    // By the form as well as by the header.
    let posted = Request::new("POST", "/oauth/token").form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &app.client_id),
        ("client_secret", app.secret.as_deref().unwrap()),
    ]);
    Tokens::of(&posted.send(&world.url()));
    assert_eq!(app.post("/oauth/revoke", &[("token", &fresh)]).status, 200);
    assert!(!app.is_active(&fresh) && app.is_active(&token));
    house.run(&["service-accounts", "delete", &service]).done();
    assert!(!app.is_active(&token));
    assert_eq!(
        refused(&app.token(&[("grant_type", "client_credentials")])),
        (400, "invalid_grant".to_owned())
    );
    assert!(!world.log().contains(&token), "no token is in the log");
}

fn a_service_sees_the_tokens_that_are_for_it_and_no_others(world: World) {
    let house = House::founded(&world);
    let app = house.app(&[
        "--grants",
        "authorization_code,refresh_token",
        "--redirect-uri",
        CALLBACK,
        "--scopes",
        "openid,profile,device.read",
        "--resource",
        "https://api.example",
    ]);
    let api = house.app(&["--serves", "https://api.example"]);
    let other = house.app(&["--serves", "https://other.example"]);
    let elsewhere = House::founded(&world).app(&["--serves", "https://api.example"]);
    let public = house.app(&["--public", "--grants", "device_code", "--scopes", "openid"]);
    let tokens = app.tokens(&house.owner, &[]);

    let seen = api.introspect(&tokens.access);
    assert_eq!(seen["active"], true, "{seen}");
    for (name, value) in
        [("aud", "https://api.example"), ("client_id", &app.client_id), ("tenant_id", &house.tenant)]
    {
        assert_eq!(seen[name], value, "{name}");
    }
    assert!(!api.is_active(&tokens.refresh), "a refresh token is its client's alone");
    assert!(app.is_active(&tokens.access) && app.is_active(&tokens.refresh));
    assert!(!other.is_active(&tokens.access) && !elsewhere.is_active(&tokens.access));
    assert_eq!(
        refused(&public.post("/oauth/introspect", &[("token", &tokens.access)])),
        (400, "unauthorized_client".to_owned())
    );
    let nobody =
        Request::new("POST", "/oauth/introspect").form(&[("token", &tokens.access)]).send(&world.url());
    assert_eq!(refused(&nobody), (401, "invalid_client".to_owned()));
    house.owner.run(["logout"]).done();
    assert!(!api.is_active(&tokens.access), "it ends at once");
}

fn a_client_proves_itself_by_a_signature_once(world: World) {
    let house = House::founded(&world);
    let service = text(&house.run(&["service-accounts", "create", "nightly"]).json()["id"]);
    let keys = [Key::ed25519(), Key::p256()];
    let file = house.owner.scratch("keys.json");
    std::fs::write(&file, json!({ "keys": keys.iter().map(Key::jwk).collect::<Vec<_>>() }).to_string())
        .unwrap();
    let file = file.to_str().unwrap();
    let create = [
        "--jwks",
        file,
        "--grants",
        "client_credentials",
        "--scopes",
        "device.read",
        "--service-account",
        &service,
    ];
    let app = house.app(&create);
    assert_eq!(app.secret, None);

    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let good = || json!({ "iss": app.client_id, "sub": app.client_id, "aud": world.url(), "exp": now + 120, "iat": now, "jti": unique("jti-") });
    let show = |assertion: &str| -> Exchange {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", app.client_id.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        Request::new("POST", "/oauth/token").form(&fields).send(&world.url())
    };
    for key in &keys {
        let assertion = key.assertion(&good());
        Tokens::of(&show(&assertion));
        assert_eq!(refused(&show(&assertion)), (401, "invalid_client".to_owned()), "once");
        // Whoever sees one on its way elsewhere has nothing by it, there or for tokens.
        for path in ["/oauth/introspect", "/oauth/revoke", "/oauth/par"] {
            let assertion = key.assertion(&good());
            let fields = [
                ("client_id", app.client_id.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.as_str()),
                ("token", "nonsense"),
            ];
            let at = |path: &str| Request::new("POST", path).form(&fields).send(&world.url());
            assert_ne!(at(path).status, 401, "{path}");
            assert_eq!(refused(&at(path)), (401, "invalid_client".to_owned()), "{path}, again");
            assert_eq!(refused(&show(&assertion)), (401, "invalid_client".to_owned()), "after {path}");
        }
        let endpoint = format!("{}/oauth/token", world.url());
        let mut claims = good();
        claims["aud"] = json!(["https://other.example", endpoint]);
        Tokens::of(&show(&key.assertion(&claims)));
        for (name, value) in [
            ("iss", json!("somebody")),
            ("sub", json!("somebody")),
            ("aud", json!("https://other.example")),
            ("exp", json!(now - 120)),
            ("exp", json!(now + 86_400)),
            ("iat", json!(now + 3_600)),
            ("nbf", json!(now + 3_600)),
            ("jti", json!("")),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(refused(&show(&key.assertion(&claims))), (401, "invalid_client".to_owned()), "{name}");
        }
        let (message, _) = assertion.rsplit_once('.').unwrap();
        let zeros = BASE64URL_NOPAD.encode(&[0; 64]);
        assert_eq!(refused(&show(&format!("{message}.{zeros}"))), (401, "invalid_client".to_owned()));
    }
    let none = format!(
        "{}.{}.",
        BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#),
        BASE64URL_NOPAD.encode(good().to_string().as_bytes())
    );
    assert_eq!(refused(&show(&none)), (401, "invalid_client".to_owned()));
    // Its id alone, or a secret, is no proof of it.
    assert_eq!(
        refused(&app.token(&[("grant_type", "client_credentials")])),
        (401, "invalid_client".to_owned())
    );

    // A private key is not taken.
    let private = house.owner.scratch("private.json");
    std::fs::write(
        &private,
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43), "d": "A".repeat(43) }] })
            .to_string(),
    )
    .unwrap();
    let create =
        ["clients", "create", "Bad", "--jwks", private.to_str().unwrap(), "--serves", "https://api.example"];
    assert_eq!(house.run(&create).refused(1).code, "invalid_field");
}

fn an_agent_does_less_and_both_are_named(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let agent = house.app(&["--grants", "token_exchange", "--scopes", "device.read,tenant.read,openid"]);
    let tokens = app.tokens(&house.owner, &[("scope", "openid profile device.read")]);
    let exchange = |client: &App, changed: &[(&str, &str)]| {
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", tokens.access.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("scope", "device.read"),
            ("purpose", "count the meters"),
        ];
        for (name, value) in changed {
            fields.retain(|(known, _)| known != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        client.token(&fields)
    };
    let answer = exchange(&agent, &[]);
    let token = Tokens::of(&answer).access;
    assert_eq!(answer.json()["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert!(answer.json().get("refresh_token").is_none());
    let claims = decoded(&token).1;
    let subject = decoded(&tokens.access).1;
    assert_eq!((&claims["sub"], &claims["user_id"]), (&subject["sub"], &subject["sub"]));
    assert_eq!(
        (&claims["agent_id"], &claims["act"]["sub"]),
        (&json!(agent.client_id), &json!(agent.client_id))
    );
    assert_eq!((&claims["scope"], &claims["purpose"]), (&json!("device.read"), &json!("count the meters")));
    assert!(claims["exp"].as_i64() <= subject["exp"].as_i64(), "not longer than what it came of");
    let of = |token: &str, path: &str| {
        get(&world, &format!("/api/v1/tenants/{}{path}", house.tenant), token).status
    };
    assert_eq!((of(&token, "/devices"), of(&token, "")), (200, 403));

    let (scope, grant) = ((400, "invalid_scope".to_owned()), (400, "invalid_grant".to_owned()));
    assert_eq!(
        refused(&exchange(&agent, &[("scope", "device.read tenant.read")])),
        scope,
        "more than the subject's"
    );
    assert_eq!(refused(&exchange(&agent, &[("scope", "profile")])), scope, "more than the agent's");
    assert_eq!(refused(&exchange(&agent, &[("scope", "openid")])), scope);
    assert_eq!(refused(&exchange(&agent, &[("scope", "")])), scope);
    assert_eq!(refused(&exchange(&agent, &[("subject_token", &token)])), grant, "an agent's agent");
    for other in [&tokens.id, &tokens.refresh] {
        assert_eq!(refused(&exchange(&agent, &[("subject_token", other)])), grant);
    }
    let own = text(&house.owner.run(["token", "--json"]).json()["access_token"]);
    assert_eq!(refused(&exchange(&agent, &[("subject_token", &own)])), grant, "a session's token");
    assert_eq!(refused(&exchange(&app, &[])), (400, "unauthorized_client".to_owned()));
    let elsewhere = House::founded(&world).app(&["--grants", "token_exchange", "--scopes", "device.read"]);
    assert_eq!(refused(&exchange(&elsewhere, &[])), grant, "another tenant's agent");

    // It ends with what it came of.
    assert_eq!(app.post("/oauth/revoke", &[("token", &tokens.refresh)]).status, 200);
    assert_eq!(
        code(&get(&world, &format!("/api/v1/tenants/{}/devices", house.tenant), &token)),
        "token_revoked"
    );
    assert_eq!(refused(&exchange(&agent, &[])), grant, "{}", said(&answer));
}

#[test]
fn nobody_makes_a_token_for_somebody_else_of_one_that_was_not_for_them() {
    let world = World::started(Engine::Sqlite);
    let house = House::founded(&world);
    let (api, other) = ("https://api.example", "https://other.example");
    let for_api = house.app(&[
        "--grants",
        "authorization_code",
        "--redirect-uri",
        CALLBACK,
        "--scopes",
        "openid,device.read",
        "--resource",
        api,
    ]);
    let agent = |more: &[&str]| {
        house.app(&[&["--grants", "token_exchange", "--scopes", "device.read"][..], more].concat())
    };
    let exchange = |client: &App, token: &str, more: &[(&str, &str)]| {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("scope", "device.read"),
        ];
        client.token(&[&fields[..], more].concat())
    };
    let scope = [("scope", "openid device.read")];
    let token = for_api.tokens(&house.owner, &scope).access;
    let target = (400, "invalid_target".to_owned());

    // Whoever was shown it makes none of it for this server's own routes, nor for another service, however that is asked for.
    let (own, elsewhere) = (agent(&[]), agent(&["--resource", other]));
    assert_eq!(refused(&exchange(&own, &token, &[])), target);
    assert_eq!(refused(&exchange(&own, &token, &[("resource", &world.url())])), target);
    assert_eq!(refused(&exchange(&own, &token, &[("resource", api)])), target);
    for ask in [vec![], vec![("resource", other)], vec![("audience", other)], vec![("audience", api)]] {
        assert_eq!(refused(&exchange(&elsewhere, &token, &ask)), target, "{ask:?}");
    }
    let of_ours = house.usual().tokens(&house.owner, &[]).access;
    assert_eq!(refused(&exchange(&elsewhere, &of_ours, &[])), target, "one for this server");
    let serves_another = agent(&["--serves", other, "--resource", other]);
    assert_eq!(refused(&exchange(&serves_another, &token, &[])), target, "it was not for this service");

    // For the same service it is for less; and the service that it was for hands it on, to whom it may.
    let audience = |answer: &Exchange| decoded(&Tokens::of(answer).access).1["aud"].clone();
    let same = agent(&["--resource", api]);
    assert_eq!(audience(&exchange(&same, &token, &[])), json!(api));
    let service = agent(&["--serves", api, "--resource", other]);
    assert_eq!(audience(&exchange(&service, &token, &[])), json!(other));
    assert_eq!(refused(&exchange(&service, &token, &[("resource", "https://third.example")])), target);
}
