// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Earlier versions of files: read, put back, and gone when they should be.

use std::fs;

use harness::{Machine, Request, World, noise, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    what_a_file_was_is_read_and_put_back,
    versions_outlive_keys_that_come_later,
    a_collection_keeps_as_many_as_it_is_told,
    who_is_shared_with_sees_no_versions,
);

/// Puts these bytes as the file.
fn put(machine: &Machine, name: &str, content: &[u8]) {
    let local = machine.scratch("to put");
    fs::write(&local, content).expect("a file");
    machine.put(&local, name).done();
}

fn numbers(machine: &Machine, name: &str) -> Vec<u64> {
    let said = machine.run(["versions", name, "--json"]).json();
    let versions = said["versions"].as_array().expect("versions");
    versions.iter().map(|one| one["version"].as_u64().expect("a number")).collect()
}

fn at_version(machine: &Machine, name: &str, version: u64) -> Vec<u8> {
    let copy = machine.scratch(&format!("copy of {version}"));
    let local = copy.to_str().expect("a path");
    machine.run(["get", name, local, "--at-version", &version.to_string(), "--force", "--json"]).done();
    fs::read(copy).expect("a file")
}

fn what_a_file_was_is_read_and_put_back(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    // Within the item, and beside it.
    let contents = [noise(1, 40_000), noise(2, 700_000), noise(3, 100)];
    for content in &contents {
        put(&laptop, "letter", content);
    }
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    assert_eq!(numbers(&desktop, "letter"), [3, 2, 1]);
    for (version, content) in (1..).zip(&contents) {
        assert!(at_version(&desktop, "letter", version) == *content, "version {version}");
    }
    let reverted = desktop.run(["versions", "letter", "--revert", "2", "--json"]).json();
    assert_eq!((&reverted["version"], &reverted["as_of"]), (&json!(4), &json!(2)));
    laptop.get("letter", &laptop.scratch("now")).done();
    assert!(fs::read(laptop.scratch("now")).expect("a file") == contents[1]);
    assert!(at_version(&laptop, "letter", 3) == contents[2], "what it was in between is kept, too");

    let export = laptop.scratch("export");
    let made = laptop.run(["export", export.to_str().expect("a path"), "--decrypt", "--json"]).json();
    assert_eq!((&made["exported"]["items"], &made["exported"]["versions"]), (&json!(1), &json!(3)));
    for (version, content) in (1..).zip(&contents) {
        let earlier = export.join(format!("open/(earlier versions)/letter (version {version})"));
        assert!(fs::read(&earlier).expect("a file") == *content, "{}", earlier.display());
    }

    assert_eq!(laptop.run(["versions", "letter", "--revert", "9", "--json"]).refused(1).code, "not_found");
    assert_eq!(laptop.run(["versions", "letter", "--revert", "4", "--json"]).refused(2).code, "wrong_usage");
    assert_eq!(laptop.run(["versions", "nothing", "--json"]).refused(1).code, "not_found");
    laptop.run(["rm", "letter", "--json"]).done();
    put(&laptop, "letter", b"anew");
    assert_eq!(numbers(&laptop, "letter").len(), 1, "who removes a file removes its past");
    laptop.verified_records();
}

fn versions_outlive_keys_that_come_later(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let (old, new) = (noise(4, 300_000), noise(5, 300_000));
    put(&laptop, "letter", &old);
    laptop.rotate_key(&ada).done();
    put(&laptop, "letter", &new);
    assert!(at_version(&laptop, "letter", 1) == old);
    // A new key of the collection, since somebody is let out.
    let bob = world.machine();
    bob.sign_up();
    let his = number(&bob);
    laptop.run(["share", "--with", &his, "--json"]).done();
    laptop.run(["unshare", "--with", &his, "--json"]).done();
    put(&laptop, "letter", &noise(6, 10));
    assert!(at_version(&laptop, "letter", 1) == old);
    laptop.run(["versions", "letter", "--revert", "1", "--json"]).done();
    laptop.get("letter", &laptop.scratch("now")).done();
    assert!(fs::read(laptop.scratch("now")).expect("a file") == old);
}

fn a_collection_keeps_as_many_as_it_is_told(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    for version in 1..=3_u8 {
        put(&laptop, "letter", &[version; 100]);
    }
    let used = || laptop.run(["whoami", "--json"]).json()["usage"]["bytes"].as_u64();
    let listed = || -> Value {
        laptop.run(["collections", "--json"]).json()["collections"][0]["kept_versions"].clone()
    };
    assert_eq!(listed(), json!(10));
    laptop.run(["collections", "keep", "Files", "1", "--json"]).done();
    put(&laptop, "letter", &[4; 100]);
    assert_eq!(numbers(&laptop, "letter"), [4, 3]);
    let before = used();
    let unasked = laptop.run(["collections", "keep", "Files", "0", "--json"]).refused(2);
    assert_eq!(unasked.code, "wrong_usage");
    laptop.run(["collections", "keep", "Files", "0", "--yes", "--json"]).done();
    assert_eq!((numbers(&laptop, "letter"), listed()), (vec![4], json!(0)));
    assert!(used() < before, "{before:?}");
    laptop.run(["collections", "keep", "Files", "101", "--json"]).refused(2);
}

fn who_is_shared_with_sees_no_versions(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    put(&laptop, "letter", b"one");
    put(&laptop, "letter", b"two");
    let bob = world.machine();
    bob.sign_up();
    let (his, hers) = (number(&bob), number(&laptop));
    laptop.run(["share", "--with", &his, "--write", "--json"]).done();
    bob.run(["ls", "--shared", &hers, "--json"]).done();
    assert_eq!(bob.run(["versions", "letter", "--shared", &hers, "--json"]).refused(2).code, "wrong_usage");

    // Nor does the server tell, by its own routes or by those of what is shared.
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let home = text(&laptop.run(["whoami", "--json"]).json()["home"]);
    let collection = text(&laptop.run(["collections", "--json"]).json()["collections"][0]["id"]);
    let item = text(&laptop.run(["ls", "--json"]).json()["files"][0]["item"]);
    let token = bob.run(["token"]).done().stdout;
    for place in ["".to_owned(), format!("/shares/{home}")] {
        for rest in ["", "/1", "/1/file"] {
            let path = format!("/api/v1{place}/collections/{collection}/items/{item}/versions{rest}");
            let answer = Request::new("GET", &path).bearer(token.trim()).send(&world.url());
            assert_eq!(answer.status, 404, "{path}");
        }
    }
}

fn number(machine: &Machine) -> String {
    machine.run(["whoami", "--json"]).json()["account_id"].as_str().expect("a number").to_owned()
}
