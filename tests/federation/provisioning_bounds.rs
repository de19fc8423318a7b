// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much a provisioning system may send at once (SCIM 2.0): what is more is refused in the standard's words, and changes nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use harness::{World, on_both_engines};
use serde_json::{Map, Value, json};

use super::house::{House, text};
use super::provisioning::{Teller, error};

on_both_engines!(what_is_too_much_is_refused_and_changes_nothing);

fn what_is_too_much_is_refused_and_changes_nothing(mut world: World) {
    let house = House::founded(&mut world);
    let teller = Teller::of(&world, &house);
    let id = text(&teller.made("Users", &json!({ "userName": "ada@acme.example" }))["id"]);
    let body = json!({ "displayName": "Crew", "members": [{ "value": id }] });
    let group = format!("Groups/{}", text(&teller.made("Groups", &body)["id"]));
    let user = format!("Users/{id}");
    let read = || [&user, &group].map(|path| teller.ask("GET", path, None).json());
    let before = read();
    let patched = |path: &str, operations: Value| {
        error(&teller.ask("PATCH", path, Some(&json!({ "Operations": operations }))))
    };
    let refused = |status: u16, kind: &str| (status, kind.to_owned());
    let (many, value) = (refused(400, "tooMany"), refused(400, "invalidValue"));
    let rename = json!({ "op": "replace", "path": "displayName", "value": "Half" });

    // Changes: as operations, and as the fields of a value, which have as many spellings as somebody wants.
    assert_eq!(patched(&user, json!(vec![&rename; 101])), many);
    let spelled = |from: u32, to: u32| json!({ "op": "add", "value": spellings(from..to) });
    assert_eq!(patched(&user, json!([spelled(0, 101)])), many);
    assert_eq!(patched(&group, json!([spelled(0, 60), spelled(60, 101)])), many);

    // Lists: whatever is done with them, and whoever is in them.
    let list = |length: usize| vec![json!({}); length];
    assert_eq!(
        patched(&user, json!([rename, { "op": "add", "path": "emails", "value": list(10_001) }])),
        many
    );
    let named = json!({ "op": "remove", "path": "members", "value": vec![json!({ "value": id }); 10_001] });
    assert_eq!(patched(&group, json!([rename, named])), many);
    assert_eq!(patched(&user, json!([{ "op": "add", "path": "emails", "value": list(17) }])), value);
    let numbered: Vec<Value> = (0..10_000).map(|number| json!({ "value": number })).collect();
    let more = json!([rename, { "op": "add", "path": "members", "value": numbered }]);
    assert_eq!(patched(&group, more), many, "with who is in it, they are too many");
    let large = json!({ "displayName": "Large", "members": list(10_001) });
    for (method, path) in [("POST", "Groups"), ("PUT", group.as_str())] {
        assert_eq!(error(&teller.ask(method, path, Some(&large))), many, "{method}");
    }

    // Texts, paths and filters.
    let long = "a".repeat(600);
    assert_eq!(patched(&user, json!([rename, { "op": "add", "path": "displayName", "value": long }])), value);
    let path = format!("emails[type eq \"{long}\"].value");
    assert_eq!(
        patched(&user, json!([rename, { "op": "add", "path": path, "value": "x" }])),
        refused(400, "invalidPath")
    );
    let clauses = ["id%20eq%20%22a%22"; 5].join("%20and%20");
    assert_eq!(
        error(&teller.ask("GET", &format!("Groups?filter={clauses}"), None)),
        refused(400, "invalidFilter")
    );

    // Bodies: one byte more than may be, and deeper than anybody reads.
    let frame = r#"{"displayName":"Half","externalId":""}"#.len();
    let external = "a".repeat(512 * 1024 + 1 - frame);
    let body = format!(r#"{{"displayName":"Half","externalId":"{external}"}}"#);
    assert_eq!(error(&teller.send("PUT", &group, body.into_bytes())), refused(413, ""));
    let refusal = to_an_announcement(&teller, &group, 512 * 1024 + 1);
    assert!(
        refusal.starts_with("HTTP/1.1 413 ") && refusal.contains("scim:api:messages:2.0:Error"),
        "{refusal}"
    );
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let body = format!(
            r#"{{"Operations":[{{"op":"replace","path":"displayName","value":"Half"}},{{"op":"add","path":"emails","value":{deep}}}]}}"#
        );
        let answer = teller.send("PATCH", &user, body.into_bytes());
        assert_eq!(error(&answer), refused(400, "invalidSyntax"), "{open}");
    }

    // What is refused halfway, behind what was good, is not there by half either.
    let nobody = json!([{ "value": id }, { "value": format!("usr_{}", "0".repeat(32)) }]);
    assert_eq!(patched(&group, json!([rename, { "op": "add", "path": "members", "value": nobody }])), value);
    let half = json!({ "displayName": "Half", "members": nobody });
    assert_eq!(error(&teller.ask("PUT", &group, Some(&half))), value);
    assert_eq!(error(&teller.ask("POST", "Groups", Some(&half))), value);
    assert_eq!(read(), before);
    for name in ["Half", "Large"] {
        assert_eq!(teller.found("Groups", &format!("displayName eq \"{name}\"")), [Value::Null; 0]);
        assert!(!house.run(&["teams", "list"]).json().to_string().contains(name), "no team either");
    }

    // As much as may be is taken.
    let (hundred, fields) = (json!(vec![&rename; 100]), json!([spelled(0, 100)]));
    for operations in [hundred, fields] {
        let body = json!({ "Operations": operations });
        assert_eq!(teller.ask("PATCH", &user, Some(&body)).status, 200);
    }
}

/// What is answered to a body that is announced, before any of it comes.
fn to_an_announcement(teller: &Teller<'_>, path: &str, length: usize) -> String {
    let Teller { server, tenant, key, .. } = teller;
    let mut stream = TcpStream::connect(server.trim_start_matches("http://")).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
    let head = format!(
        "PUT /scim/v2/{tenant}/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/scim+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// The attribute's name, each time with other capital letters.
fn spellings(which: std::ops::Range<u32>) -> Map<String, Value> {
    let spelling = |bits: u32| -> String {
        let letter = |(at, letter): (usize, char)| match bits >> at & 1 {
            1 => letter.to_ascii_uppercase(),
            _ => letter.to_ascii_lowercase(),
        };
        "displayname".chars().enumerate().map(letter).collect()
    };
    which.map(|bits| (spelling(bits), json!("Half"))).collect()
}
