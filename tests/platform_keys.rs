// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The platform's keys by the network: its people see which there are, those who run it make and remove signing keys.

use data_encoding::BASE64URL_NOPAD;
use harness::{Exchange, Machine, Request, World, on_both_engines};
use serde_json::{Value, json};

use crate::strangers::session_token;

on_both_engines!(
    a_signing_key_is_replaced_and_one_that_leaked_is_taken_away,
    only_the_platforms_people_see_its_keys_and_auditors_do_not_change_them,
);

/// Somebody with a role on the platform.
fn with_role(world: &mut World, role: &str) -> Machine {
    let machine = world.machine();
    machine.sign_up();
    let account = machine.run(["whoami", "--json"]).json()["account"].clone();
    world.stop();
    let granted = world.command("admin grant").args([account.as_str().expect("an id"), role]).output();
    assert!(granted.expect("the binary").status.success());
    world.start();
    machine
}

fn ask(world: &World, machine: &Machine, method: &str, path: &str) -> Exchange {
    Request::new(method, &format!("/api/v1/platform/{path}"))
        .bearer(&session_token(machine))
        .send(&world.url())
}

fn kid(token: &str) -> String {
    let header = BASE64URL_NOPAD.decode(token.split('.').next().expect("a header").as_bytes());
    let header: Value = serde_json::from_slice(&header.expect("base64url")).expect("JSON");
    header["kid"].as_str().expect("a key id").to_owned()
}

fn a_signing_key_is_replaced_and_one_that_leaked_is_taken_away(mut world: World) {
    let root = with_role(&mut world, "administrator");
    let laptop = world.machine();
    laptop.sign_up();
    let token =
        || laptop.run(["token", "--json"]).json()["access_token"].as_str().expect("a token").to_owned();
    let taken = |token: &str| Request::new("GET", "/api/v1/usage").bearer(token).send(&world.url());
    let keys = || ask(&world, &root, "GET", "keys").json();
    let old = token();
    let before = keys();
    assert_eq!(before["signing_keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&before["signing_keys"][0]["kid"], &before["signing_keys"][0]["is_signing"]),
        (&json!(kid(&old)), &json!(true))
    );
    let root_key = std::fs::read_to_string(world.root_key()).expect("the root key's file");
    for word in root_key.split_whitespace().filter(|word| word.len() > 30) {
        assert!(!before.to_string().contains(word), "the key itself is nobody's to see");
    }

    assert_eq!(ask(&world, &root, "POST", "signing-keys").status, 204);
    let new = token();
    assert_ne!(kid(&new), kid(&old));
    assert_eq!((taken(&old).status, taken(&new).status), (200, 200), "what was signed goes on");
    let both = keys();
    let is_signing: Vec<_> = both["signing_keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| (&key["kid"], &key["is_signing"]))
        .collect();
    assert_eq!(is_signing, [(&json!(kid(&old)), &json!(false)), (&json!(kid(&new)), &json!(true))]);
    assert!(both["signing_keys"][0]["verifies_until"].is_i64());
    let published = Request::new("GET", "/.well-known/jwks.json").send(&world.url()).json();
    assert_eq!(published["keys"].as_array().map(Vec::len), Some(4), "two halves of each");

    let leaked = format!("signing-keys/{}", kid(&old));
    assert_eq!(ask(&world, &root, "DELETE", &leaked).status, 204);
    let refused = taken(&old);
    assert_eq!(refused.status, 401, "{:?}", refused.json());
    assert_eq!(taken(&new).status, 200);
    assert_eq!(ask(&world, &root, "DELETE", &leaked).status, 404);
    // The one that signs may have leaked as well: another signs from then on.
    assert_eq!(ask(&world, &root, "DELETE", &format!("signing-keys/{}", kid(&new))).status, 204);
    assert_eq!((taken(&new).status, taken(&token()).status), (401, 200));
    world.restart();
    let taken = |token: &str| Request::new("GET", "/api/v1/usage").bearer(token).send(&world.url()).status;
    assert_eq!((taken(&new), taken(&token())), (401, 200));
}

fn only_the_platforms_people_see_its_keys_and_auditors_do_not_change_them(mut world: World) {
    let roles = ["operator", "auditor"].map(|role| with_role(&mut world, role));
    let anybody = world.machine();
    anybody.sign_up();
    for machine in &roles {
        assert_eq!(ask(&world, machine, "GET", "keys").status, 200);
    }
    assert_eq!(ask(&world, &anybody, "GET", "keys").status, 403);
    let key = ask(&world, &roles[0], "GET", "keys").json()["signing_keys"][0]["kid"].clone();
    let key = key.as_str().expect("a key id");
    for machine in [&roles[1], &anybody] {
        for (method, path) in [("POST", "signing-keys".to_owned()), ("DELETE", format!("signing-keys/{key}"))]
        {
            let refused = ask(&world, machine, method, &path);
            assert_eq!(
                (refused.status, refused.json()["code"].clone()),
                (403, json!("forbidden")),
                "{method} {path}"
            );
        }
    }
    assert_eq!(ask(&world, &roles[0], "GET", "keys").json()["signing_keys"][0]["kid"], key);
    assert_eq!(ask(&world, &roles[0], "POST", "signing-keys").status, 204);
}
