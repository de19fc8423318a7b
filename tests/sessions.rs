// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions that have ended are over, at once, everywhere, and after a restart.

use std::fs;

use harness::{Factor, World, on_both_engines, visit};
use serde_json::json;

on_both_engines!(
    a_session_that_logged_out_is_refused_at_once,
    a_session_ended_from_elsewhere_is_refused_at_once,
    an_ended_session_stays_ended_after_a_restart,
    somebody_elses_session_cannot_be_ended,
    what_sync_remembers_outlives_the_session_for_the_same_account_alone,
);

fn a_session_that_logged_out_is_refused_at_once(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let stolen = laptop.copied();
    stolen.run(["whoami", "--json"]).done();

    laptop.run(["logout"]).done();

    for arguments in
        [&["whoami", "--json"][..], &["ls", "--json"], &["sessions", "--json"], &["log", "--json"]]
    {
        assert_eq!(stolen.run(arguments).refused(4).code, "session_ended", "{arguments:?}");
    }
}

fn a_session_ended_from_elsewhere_is_refused_at_once(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();

    laptop.run(["sessions", "end", &other_session(&laptop), "--json"]).done();

    assert_eq!(desktop.run(["ls", "--json"]).refused(4).code, "session_ended");
    assert_eq!(laptop.sessions().len(), 1);
    laptop.run(["ls", "--json"]).done();
}

fn an_ended_session_stays_ended_after_a_restart(mut world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    laptop.run(["sessions", "end", &other_session(&laptop), "--json"]).done();
    // The server had no time to do anything about it later.
    world.kill();
    world.start();
    assert_eq!(desktop.run(["ls", "--json"]).refused(4).code, "session_ended");
    laptop.run(["ls", "--json"]).done();
}

fn somebody_elses_session_cannot_be_ended(world: World) {
    let ada_laptop = world.machine();
    let ada = ada_laptop.sign_up();
    let ada_desktop = world.machine();
    ada_desktop.sign_in_with(&ada, &ada.password.borrow(), &Factor::BackupCode(ada.backup_code())).done();
    let eve_laptop = world.machine();
    eve_laptop.sign_up();

    let id = other_session(&ada_laptop);
    assert_eq!(eve_laptop.run(["sessions", "end", &id, "--json"]).refused(1).code, "not_found");
    ada_desktop.run(["ls", "--json"]).done();
}

fn what_sync_remembers_outlives_the_session_for_the_same_account_alone(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let eve = world.machine().sign_up();
    let here = laptop.scratch("here");
    fs::create_dir(&here).unwrap();
    for name in ["changed by ada", "removed by ada"] {
        fs::write(here.join(name), "first").unwrap();
    }
    let push = || laptop.run(["sync", here.to_str().unwrap(), "/", "--delete", "--json"]).json();
    push();
    laptop.run(["logout"]).done();
    visit(laptop.config(), &mut |path| {
        let text = format!("{} {}", path.display(), String::from_utf8_lossy(&fs::read(path).unwrap()));
        assert!(path.starts_with(&here) || !text.contains("by ada"), "in plain: {text}");
    });

    laptop.sign_in(&eve).done();
    fs::remove_file(here.join("removed by ada")).unwrap();
    assert_eq!(push()["removed"], json!([]), "Eve never had it");
    laptop.run(["logout"]).done();

    fs::write(here.join("changed by ada"), "second").unwrap();
    laptop.sign_in(&ada).done();
    let pushed = push();
    assert_eq!(pushed["removed"], json!(["removed by ada"]));
    assert_eq!((&pushed["copied"], &pushed["conflicts"]), (&json!(["changed by ada"]), &json!([])));

    // Nor does it end with a session that another one replaces.
    laptop.sign_in(&ada).done();
    fs::remove_file(here.join("changed by ada")).unwrap();
    assert_eq!(push()["removed"], json!(["changed by ada"]));
}

/// The id of the session that is not the asking machine's.
#[track_caller]
fn other_session(machine: &harness::Machine) -> String {
    let sessions = machine.sessions();
    let other = sessions.iter().find(|session| session["current"] != true).expect("another session");
    other["id"].as_str().unwrap_or_else(|| panic!("a session has an id: {other}")).to_owned()
}
