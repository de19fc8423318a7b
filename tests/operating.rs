// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starting, checking, stopping: what an operator sees.

use std::process::Stdio;

use harness::{Engine, World, on_both_engines};

on_both_engines!(
    a_sound_configuration_passes_the_check,
    stopping_ends_well_and_loses_nothing,
    two_servers_do_not_share_a_data_folder,
);

fn a_sound_configuration_passes_the_check(mut world: World) {
    world.stop();
    let output = world.command("check").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn stopping_ends_well_and_loses_nothing(mut world: World) {
    let machine = world.machine();
    machine.sign_up();
    let note = machine.scratch("note");
    std::fs::write(&note, "a note").unwrap();
    machine.put(&note, "note").done();
    assert!(world.stop().success());
    world.start();
    machine.get("note", &machine.scratch("copy")).done();
    machine.verified_records();
}

fn two_servers_do_not_share_a_data_folder(world: World) {
    if world.engine() == Engine::Postgresql {
        // There, any number of servers is welcome.
        return;
    }
    let port = harness::free_port();
    let mut command = world.command("serve");
    let output =
        command.args(["--listen", &format!("127.0.0.1:{port}")]).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("use"), "should say that the folder is in use: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_open_network_without_tls_is_refused() {
    let world = World::on(Engine::Sqlite);
    let listen = format!("0.0.0.0:{}", harness::free_port());
    for subcommand in ["serve", "check"] {
        let output = world.command(subcommand).args(["--listen", &listen]).output().unwrap();
        assert!(!output.status.success(), "{subcommand}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        assert!(said.contains("tls"), "{subcommand} should say what to set: {said}");
    }
}

#[test]
fn a_database_that_is_not_there_is_said_so() {
    let mut world = World::on(Engine::Postgresql);
    world.log_in_by(Some(format!("postgres://nobody:nothing@127.0.0.1:{}/nowhere", harness::free_port())));
    let refusal = world.try_start().expect_err("no database");
    assert_ne!(refusal.status, Some(0));
    assert!(refusal.said.to_lowercase().contains("database"), "{}", refusal.said);
    assert!(!refusal.said.contains("panicked"), "{}", refusal.said);
    assert!(!refusal.said.contains("nothing"), "the password stays out of the log: {}", refusal.said);
    world.log_in_by(None);
    world.start();
}
