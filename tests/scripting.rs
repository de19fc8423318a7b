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

fn unreachable_server() -> String {
    format!("http://127.0.0.1:{}", free_port())
}
