// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What providers, their people and strangers try, and do not get.

use std::time::{Duration, Instant};

use harness::{Request, World, on_both_engines};
use serde_json::{Value, json};

use super::browser::follow;
use super::house::{Begun, House, challenge, code, device, parameter, said, text};
use super::liar::{Liar, Lie};

on_both_engines!(
    a_provider_that_lies_lets_nobody_in,
    nobody_finishes_what_somebody_else_began,
    an_answer_is_good_once_and_for_its_own_provider,
    nobody_is_somebody_by_their_address_alone,
    nobody_gives_by_a_provider_what_they_could_not_give,
    a_provider_does_not_lead_inside,
);

/// A tenant with a provider that lies.
pub(super) fn with_liar(world: &mut World) -> (House, Liar, String) {
    let (house, liar) = (House::founded(world), Liar::served());
    let create =
        ["providers", "create", "Liar", "--issuer", liar.url(), "--client-id", "bailiwick", "--joins"];
    let provider = text(&house.run(&create).json()["id"]);
    house.proves("acme.example");
    (house, liar, provider)
}

/// What comes of a sign-in in which the provider lies like this.
fn tries(house: &House, liar: &Liar, lie: Lie) -> (u16, String) {
    liar.lies(Lie::default());
    let begun = house.begin(&json!({}));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    liar.lies(lie);
    let answer = house.finish(&begun, Some(liar.url()));
    liar.lies(Lie::default());
    (answer.status, code(&answer))
}

fn a_provider_that_lies_lets_nobody_in(mut world: World) {
    let (house, liar, _) = with_liar(&mut world);
    assert_eq!(tries(&house, &liar, Lie::default()).0, 200, "when it does not lie");
    let claims = |claims: Value| Lie { claims, ..Lie::default() };
    let refused = (401, "provider_refused".to_owned());
    for lie in [
        claims(json!({ "iss": "https://id.example" })),
        claims(json!({ "iss": format!("{}/", liar.url()) })),
        claims(json!({ "aud": "another" })),
        claims(json!({ "aud": ["bailiwick", "another"] })),
        claims(json!({ "azp": "another" })),
        claims(json!({ "nonce": "another" })),
        claims(json!({ "nonce": null })),
        claims(json!({ "exp": 1_000_000_000 })),
        claims(json!({ "iat": 4_000_000_000_i64 })),
        claims(json!({ "iat": 1_000_000_000 })),
        claims(json!({ "sub": "" })),
        claims(json!({ "sub": null })),
        Lie { algorithm: Some("none"), ..Lie::default() },
        Lie { algorithm: Some("HS256"), ..Lie::default() },
        Lie { algorithm: Some("RS256"), ..Lie::default() },
        Lie { other_key: true, ..Lie::default() },
        Lie { unknown_key: true, ..Lie::default() },
        Lie { answer: Some((400, json!({ "error": "invalid_grant" }).to_string())), ..Lie::default() },
    ] {
        assert_eq!(tries(&house, &liar, lie.clone()), refused, "{lie:?}");
    }
    // Of made-up keys it is not asked time and again.
    let keys = |liar: &Liar| liar.asked().iter().filter(|asked| *asked == "GET /jwks").count();
    let before = keys(&liar);
    for _ in 0..5 {
        assert_eq!(tries(&house, &liar, Lie { unknown_key: true, ..Lie::default() }), refused);
    }
    assert_eq!(keys(&liar), before, "within half a minute");

    let unavailable = (502, "provider_unavailable".to_owned());
    let inner = Liar::served();
    for lie in [
        Lie { answer: Some((200, "{".to_owned())), ..Lie::default() },
        Lie { answer: Some((200, json!({ "access_token": "x" }).to_string())), ..Lie::default() },
        Lie { answer: Some((200, "x".repeat(2_000_000))), ..Lie::default() },
        Lie { answer: Some((503, String::new())), ..Lie::default() },
        Lie { redirect: Some(format!("{}/token", inner.url())), ..Lie::default() },
    ] {
        assert_eq!(tries(&house, &liar, lie.clone()), unavailable, "{lie:?}");
    }
    assert_eq!(inner.asked(), [""; 0], "a code and a secret are not sent on");
    let began = Instant::now();
    assert_eq!(tries(&house, &liar, Lie { wait: Duration::from_secs(25), ..Lie::default() }), unavailable);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    // Metadata of somebody else's, and endpoints where they must not be.
    for (lie, what) in [
        (Lie { issuer: Some("https://id.example".to_owned()), ..Lie::default() }, "another issuer"),
        (
            Lie {
                endpoint: Some(("token_endpoint", "http://id.example/token".to_owned())),
                ..Lie::default()
            },
            "no TLS",
        ),
        (
            Lie { endpoint: Some(("jwks_uri", "https://169.254.169.254/keys".to_owned())), ..Lie::default() },
            "inside",
        ),
    ] {
        world.restart();
        liar.lies(lie);
        let body = json!({ "tenant": house.tenant, "challenge": challenge("x") });
        let answer = house.post("/api/v1/signin/provider/start", &body);
        assert_eq!((answer.status, code(&answer)), unavailable, "{what}");
    }
}

fn nobody_finishes_what_somebody_else_began(mut world: World) {
    let (house, liar, provider) = with_liar(&mut world);
    let begun = house.begin(&json!({}));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    let over = (410, "sign_in_over".to_owned());
    let as_other = |begun: &Begun| {
        let answer = house.finish(begun, Some(liar.url()));
        (answer.status, code(&answer))
    };
    // Whoever has the state and the code, and not the verifier.
    for verifier in ["", "another", challenge(&begun.verifier).as_str()] {
        let stolen = Begun { url: String::new(), state: begun.state.clone(), verifier: verifier.to_owned() };
        assert_eq!(as_other(&stolen), over, "{verifier}");
    }
    // A state that was made up, changed, or is a ticket's.
    for state in ["", "AAAA", &begun.state[1..], &format!("{}A", begun.state)] {
        let made_up = Begun { url: String::new(), state: state.to_owned(), verifier: begun.verifier.clone() };
        assert_eq!(as_other(&made_up), over, "{state}");
    }
    assert!(!liar.asked().iter().any(|asked| asked.contains("/token")), "nothing was asked for it");

    // The browser is sent on to the client that began, and to nobody else.
    let callback = |provider: &str, query: &str| {
        Request::new("GET", &format!("/federation/{provider}/callback?{query}")).send(&world.url())
    };
    let good = callback(&provider, &format!("state={}&code=c&iss=x", begun.state));
    assert_eq!(good.status, 303, "{}", said(&good));
    let to = good.header("location").expect("a location");
    assert!(to.starts_with(&format!("{}/#provider?state=", world.url())), "{to}");
    assert_eq!(good.header("cache-control"), Some("no-store"));
    let other = format!("pvd_{}", "0".repeat(32));
    for (provider, query) in [
        (provider.as_str(), "code=c".to_owned()),
        (&provider, format!("state={0}&state={0}&code=c", begun.state)),
        (&provider, "state=made-up&code=c".to_owned()),
        (&other, format!("state={}&code=c", begun.state)),
    ] {
        assert_eq!(callback(provider, &query).status, 410, "{provider} {query}");
    }
    // What a provider says beside the name of an error is not passed on.
    let error = callback(
        &provider,
        &format!("state={}&error=access_denied&error_description=%3Cscript%3E", begun.state),
    );
    let to = error.header("location").expect("a location");
    assert!(to.contains("error=access_denied") && !to.contains("script"), "{to}");
    let error = callback(&provider, &format!("state={}&error=%3Cscript%3E", begun.state));
    assert!(!error.header("location").expect("a location").contains("script"));
    for redirect in
        ["https://evil.example/", "http://127.0.0.1@evil.example/", "http://localhost:1/", "javascript:x"]
    {
        let body = json!({ "tenant": house.tenant, "challenge": challenge("x"), "redirect": redirect });
        let answer = house.post("/api/v1/signin/provider/start", &body);
        assert_eq!((answer.status, code(&answer)), (422, "invalid_field".to_owned()), "{redirect}");
    }
}

fn an_answer_is_good_once_and_for_its_own_provider(mut world: World) {
    let (house, liar, first) = with_liar(&mut world);
    let other = Liar::served();
    let create = ["providers", "create", "Other", "--issuer", other.url(), "--client-id", "bailiwick"];
    let second = text(&house.run(&create).json()["id"]);
    // Ada links the first one, so that there is something to sign in to.
    let ada = house.member(&world);
    let mut link = ada.talk(["methods", "add-provider", &format!("{}/{first}", house.tenant), "--json"]);
    let url = text(&link.hears("open")["url"]);
    liar.expects(&parameter(&url, "nonce").expect("a nonce"));
    let state = parameter(&url, "state").expect("a state");
    let iss = liar.url().replace(':', "%3A").replace('/', "%2F");
    let path = format!("{}/federation/{first}/callback?state={state}&code=c&iss={iss}", world.url());
    assert_eq!(follow(&path).1.status, 200);
    link.hears("linked");
    link.ends().done();

    // A mix-up: the one's answer, brought as the other's (RFC 9207).
    let begun = house.begin(&json!({ "provider": first }));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    for issuer in [Some(other.url()), Some("https://id.example"), None] {
        let answer = house.finish(&begun, issuer);
        assert_eq!((answer.status, code(&answer)), (401, "provider_refused".to_owned()), "{issuer:?}");
    }
    assert_eq!(other.asked(), [""; 0]);
    // The right one is good, once.
    assert_eq!(house.finish(&begun, Some(liar.url())).status, 200);
    let again = house.finish(&begun, Some(liar.url()));
    assert_eq!((again.status, code(&again)), (401, "invalid_credentials".to_owned()), "{}", said(&again));

    // The same person at another provider is another person.
    let begun = house.begin(&json!({ "provider": second }));
    other.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    let answer = house.finish(&begun, Some(other.url()));
    assert_eq!((answer.status, code(&answer)), (403, "not_linked".to_owned()), "{}", said(&answer));

    // Nor is it for another tenant, which has the same provider.
    let eve = world.machine();
    eve.sign_up();
    let tenant = text(&eve.run(["tenant", "create", "Eve's", "--json"]).json()["id"]);
    let create = [
        "tenant",
        "providers",
        "create",
        "Same",
        "--issuer",
        liar.url(),
        "--client-id",
        "bailiwick",
        "--json",
    ];
    eve.run(create).json();
    let begun = house.begin(&json!({ "tenant": tenant }));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    let answer = house.finish(&begun, Some(liar.url()));
    assert_eq!((answer.status, code(&answer)), (403, "not_linked".to_owned()), "{}", said(&answer));

    // Once the provider is taken away, or changed its issuer's place, what was begun is over.
    let begun = house.begin(&json!({ "provider": first }));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    house.run(&["providers", "change", &first, "--disable"]).json();
    assert_eq!(house.finish(&begun, Some(liar.url())).status, 404);
    house.run(&["providers", "delete", &first]).json();
    assert_eq!(house.finish(&begun, Some(liar.url())).status, 404);
}

fn nobody_is_somebody_by_their_address_alone(mut world: World) {
    let (house, liar, _) = with_liar(&mut world);
    // Ada has an account of her own, by an address of the tenant's domain.
    let ada = world.machine();
    ada.sign_up_as("ada@acme.example", "correct horse battery staple");
    let ticket = |claims: Value| {
        let begun = house.begin(&json!({}));
        liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
        liar.lies(Lie { claims, ..Lie::default() });
        let answer = house.finish(&begun, Some(liar.url()));
        (answer.status, answer.json())
    };
    let (status, said) = ticket(json!({}));
    assert_eq!((status, &said["signed_in"]), (200, &json!(null)), "{said}");
    let made = json!({
        "ticket": said["sign_up"]["ticket"], "email_key": "A".repeat(43), "identity": "AA", "device": device(),
    });
    let answer = house.post("/api/v1/signup/provider", &made);
    assert_eq!(answer.status, 422, "no keys: {}", self::said(&answer));
    let newcomer = world.machine();
    let mut login = newcomer.talk(["login", "--provider", &house.tenant, "--json"]);
    let url = text(&login.hears("open")["url"]);
    liar.lies(Lie::default());
    liar.expects(&parameter(&url, "nonce").expect("a nonce"));
    let provider = text(&house.run(&["providers", "list"]).json()["providers"][0]["id"]);
    let state = parameter(&url, "state").expect("a state");
    let iss = liar.url().replace(':', "%3A").replace('/', "%2F");
    follow(&format!("{}/federation/{provider}/callback?state={state}&code=c&iss={iss}", world.url()));
    assert_eq!(login.ends().refused(1).code, "account_exists");
    // Ada's own tenants, methods and sessions are as they were.
    assert_eq!(ada.sessions().len(), 1);

    // An address that is not verified, of another domain, or none, makes no account.
    liar.is_asked_for("eve", "eve@acme.example");
    for claims in [
        json!({ "email_verified": false }),
        json!({ "email_verified": null }),
        json!({ "email": null }),
        json!({ "email": "eve@evil.example" }),
        json!({ "email": "eve@acme.example.evil.example" }),
        json!({ "email": "eve@sub.acme.example" }),
        json!({ "email": "acme.example" }),
        json!({ "email": "a\n@acme.example" }),
    ] {
        let (status, said) = ticket(claims.clone());
        assert_eq!((status, &said["code"]), (403, &json!("not_linked")), "{claims}: {said}");
    }
    // Nor does one of a domain that is the tenant's no more.
    assert_eq!(ticket(json!({})).0, 200);
    house.run(&["domains", "remove", "acme.example"]).json();
    assert_eq!(ticket(json!({})).0, 403);

    // A domain is one tenant's.
    house.proves("acme.example");
    let eve = world.machine();
    eve.sign_up();
    eve.run(["tenant", "create", "Eve's", "--json"]).json();
    let added = eve.run(["tenant", "domains", "add", "acme.example", "--json"]).json();
    let verify = ["tenant", "domains", "verify", "acme.example", "--json"];
    assert_eq!(eve.run(verify).refused(1).code, "invalid_field", "the proof is of one tenant");
    let own = house.run(&["domains", "add", "acme.example"]).json();
    house.zone.write(&text(&added["record"]), &[&text(&added["proof"]), &text(&own["proof"])]);
    assert_eq!(eve.run(verify).refused(1).code, "conflict", "the tenant's own proof stands there, too");
}

fn nobody_gives_by_a_provider_what_they_could_not_give(mut world: World) {
    let (house, liar, provider) = with_liar(&mut world);
    let refused = |outcome: harness::Outcome, code: &str| assert_eq!(outcome.refused(1).code, code);
    let change = |gives: &str| house.run(&["providers", "change", &provider, "--gives", gives]);
    refused(change("owner"), "invalid_field");
    refused(change("it=owner"), "invalid_field");
    refused(change(&format!("rol_{}", "0".repeat(32))), "invalid_field");
    refused(change(&format!("viewer@org_{}", "0".repeat(32))), "invalid_field");
    // Whoever sets providers up and may not much else.
    let bea = house.member(&world);
    let account = text(&bea.run(["whoami", "--json"]).json()["account"]);
    let actions = "provider.read,provider.write,member.invite,device.read";
    let role = house.run(&["roles", "create", "Doors", "--actions", actions]).json();
    house.run(&["grants", "give", &account, &text(&role["role"])]).done();
    let of_bea = |arguments: &[&str]| {
        bea.run(["tenant", "providers", "change", &provider].iter().chain(arguments).chain(&["--json"]))
    };
    assert_eq!(of_bea(&["--gives", "admin"]).refused(5).code, "forbidden");
    assert_eq!(of_bea(&["--gives", "viewer"]).refused(5).code, "forbidden");
    let own = text(&role["role"]);
    of_bea(&["--gives", &format!("it={own}")]).done();

    // It is given as long as she may give it.
    let sign_in = |event: &str, machine: &harness::Machine| {
        let mut login = machine.talk(["login", "--provider", &house.tenant, "--force", "--json"]);
        let url = text(&login.hears("open")["url"]);
        liar.expects(&parameter(&url, "nonce").expect("a nonce"));
        let (state, iss) =
            (parameter(&url, "state").expect("a state"), liar.url().replace(':', "%3A").replace('/', "%2F"));
        follow(&format!("{}/federation/{provider}/callback?state={state}&code=c&iss={iss}", world.url()));
        let said = login.hears(event);
        login.ends().done();
        said
    };
    let ada = world.machine();
    let said = sign_in("signed_up", &ada);
    let roles = || {
        let grants = house.run(&["grants", "list", "--of", &text(&said["account"])]).json();
        grants["grants"].as_array().expect("grants").len()
    };
    assert_eq!(roles(), 1);
    house.run(&["grants", "take", &account, &own]).done();
    sign_in("signed_in", &ada);
    assert_eq!(roles(), 0, "who wrote it may not give it any more");

    // Nor has she it believed of others than before, while it gives what she may not.
    house.run(&["grants", "give", &account, &own]).done();
    change("it=admin").done();
    for otherwise in [&["--groups-claim", "nickname"][..], &["--client-id", "hers"], &["--trusts-addresses"]]
    {
        assert_eq!(of_bea(otherwise).refused(5).code, "forbidden", "{otherwise:?}");
    }
    of_bea(&["--name", "Another name"]).done();

    // What it gave goes with it.
    sign_in("signed_in", &ada);
    assert_eq!(roles(), 1);
    house.run(&["providers", "delete", "Another name"]).done();
    assert_eq!(roles(), 0);
}

fn a_provider_does_not_lead_inside(mut world: World) {
    let house = House::founded(&mut world);
    world.unset("BAILIWICK_PROVIDER_NETWORKS");
    world.restart();
    for issuer in [
        "http://127.0.0.1:1",
        "http://localhost:1",
        "https://127.0.0.1",
        "https://[::1]",
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://[fd00::1]",
        "https://0x7f000001",
        "http://id.example",
        "https://u:p@id.example",
        "file:///etc/passwd",
        "https://id.example/?q",
    ] {
        let create = ["providers", "create", "Inside", "--issuer", issuer, "--client-id", "bailiwick"];
        let refused = house.run(&create).refused(1);
        assert_eq!(refused.code, "invalid_field", "{issuer}");
    }
    // A name that leads inside is found out when it is asked.
    let create =
        ["providers", "create", "Inside", "--issuer", "https://localhost", "--client-id", "bailiwick"];
    house.run(&create).json();
    let tested = house.run(&["providers", "test", "Inside"]).refused(1);
    assert_eq!(tested.code, "provider_unavailable");
}
