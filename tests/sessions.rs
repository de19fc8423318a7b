// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions that have ended are over, at once, everywhere, and after a restart.

use harness::{Factor, World, on_both_engines};

on_both_engines!(
    a_session_that_logged_out_is_refused_at_once,
    a_session_ended_from_elsewhere_is_refused_at_once,
    an_ended_session_stays_ended_after_a_restart,
    somebody_elses_session_cannot_be_ended,
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

/// The id of the session that is not the asking machine's.
#[track_caller]
fn other_session(machine: &harness::Machine) -> String {
    let sessions = machine.sessions();
    let other = sessions.iter().find(|session| session["current"] != true).expect("another session");
    other["id"].as_str().unwrap_or_else(|| panic!("a session has an id: {other}")).to_owned()
}
