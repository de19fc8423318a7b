// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What other programs rely on: exit statuses, and that `--json` means JSON and nothing else.

use harness::{Engine, Machine, World, free_port};

#[test]
fn wrong_usage_is_status_2() {
    let machine = Machine::new(&unreachable_server());
    for arguments in [&["no-such-command"][..], &["put"], &["login", "--email"], &["ls", "--no-such-option"]]
    {
        let outcome = machine.run(arguments);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert_eq!(outcome.stdout, "", "{outcome}");
    }
}

#[test]
fn not_signed_in_is_status_4() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    for arguments in [
        &["whoami", "--json"][..],
        &["ls", "--json"],
        &["sessions", "--json"],
        &["log", "--json"],
        &["verify", "--json"],
        &["get", "a", "b", "--json"],
        &["rm", "a", "--json"],
    ] {
        assert_eq!(machine.run(arguments).refused(4).code, "not_signed_in", "{arguments:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_status_6() {
    let mut world = World::started(Engine::Sqlite);
    let machine = world.machine();
    machine.sign_up();
    world.stop();
    for arguments in [&["ls", "--json"][..], &["whoami", "--json"], &["verify", "--json"]] {
        machine.run(arguments).refused(6);
    }
    Machine::new(&unreachable_server()).try_sign_up("ada@example.org", "correct horse battery").refused(6);
}

#[test]
fn what_is_not_there_is_status_1() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    machine.sign_up();
    assert_eq!(machine.get("nothing", &machine.scratch("nothing")).refused(1).code, "not_found");
    assert_eq!(machine.run(["rm", "nothing", "--json"]).refused(1).code, "not_found");
    machine.put(&machine.scratch("never written"), "nothing").refused(1);
    assert!(!machine.scratch("nothing").exists(), "a failed fetch leaves nothing behind");
}

#[test]
fn every_json_answer_is_json_and_nothing_else() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    machine.sign_up();
    let note = machine.scratch("note");
    std::fs::write(&note, "a note").unwrap();
    machine.put(&note, "note").json();
    machine.get("note", &machine.scratch("copy")).json();
    for arguments in [&["whoami", "--json"][..], &["verify", "--json"], &["rm", "note", "--json"]] {
        machine.run(arguments).json();
    }
    for arguments in [&["ls", "--json"][..], &["log", "--json"], &["sessions", "--json"]] {
        machine.run(arguments).entries();
    }
}

#[test]
fn a_password_that_everybody_has_is_refused() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    for password in ["password", "password1234", "12345678", "aaaaaaaa", "short"] {
        assert_eq!(
            machine.try_sign_up("ada@example.org", password).refused(1).code,
            "weak_password",
            "{password}"
        );
    }
    let ada = machine.sign_up();
    assert_eq!(machine.change_password(&ada, "Football2024").refused(1).code, "weak_password");
}

#[test]
fn a_scope_that_there_is_not_is_named_beside_those_that_there_are() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    machine.sign_up();
    let create = |scopes: &str| machine.run(["api-keys", "create", "--scopes", scopes, "--json"]);
    let refused = create("read,nonsense").refused(1);
    assert_eq!(refused.code, "invalid_field");
    let said = refused.document["message"].as_str().unwrap();
    assert!(said.contains("\"nonsense\"") && !said.contains("\"item.read\""), "{said}");
    let (_, names) = said.split_once("by their names ").expect("those that there are");
    assert_eq!(names.split(", ").count(), 30, "{names}");
    create(&names.replace(' ', "")).done();
}

#[test]
fn a_slip_does_not_ask_for_what_the_environment_says() {
    let machine = Machine::new(&unreachable_server());
    let slip = machine.run(["verify", "--open"]);
    assert_eq!(slip.status, Some(2), "{slip}");
    assert!(slip.stderr.contains("Usage:") && slip.stderr.contains("--export"), "{slip}");
    assert!(!slip.stderr.contains("--server") && !slip.stderr.contains("--config-dir"), "{slip}");
}

fn unreachable_server() -> String {
    format!("http://127.0.0.1:{}", free_port())
}
