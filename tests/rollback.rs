// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server that shows less than it has, or what it had before: devices that saw more notice, and lose nothing.

use std::fs;
use std::path::Path;

use harness::{Engine, Files, Machine, Outcome, Role, World, copy_tree, on_both_engines};

on_both_engines!(a_list_that_is_merely_shorter_removes_nothing, what_was_removed_is_removed_here_as_well);

#[test]
fn an_older_master_key_is_refused_by_a_device_that_saw_the_newer() {
    let mut world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let before = keep_copy(&mut world);
    laptop.rotate_key(&ada).done();
    go_back(&mut world, &before);

    let refused = laptop.sign_in(&ada).refused(3);
    assert_eq!(refused.code, "master_key_rolled_back");
    assert!(refused.document["message"].as_str().unwrap().contains("version 1"), "{:?}", refused.document);
    // What the device had is what it still has; only the operator's word changes that.
    let input = format!("{}\n", ada.password.borrow());
    let code = ada.backup_code();
    let accepted = ["login", "--email", &ada.email, "--password-stdin", "--backup-code", &code, "--json"];
    laptop.run_with(accepted.iter().chain(&["--accept-older-key"]), &input).done();
    laptop.run(["ls", "--json"]).done();
    world.machine().sign_in(&ada).done();
}

#[test]
fn files_as_they_were_before_are_not_taken_for_the_newest() {
    let mut world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    put(&laptop, "note", "first");
    let before = keep_copy(&mut world);
    put(&laptop, "note", "second");
    let here = laptop.scratch("here");
    pull(&laptop, &here, &[]).done();
    go_back(&mut world, &before);

    assert_eq!(pull(&laptop, &here, &["--delete"]).refused(3).code, "rolled_back");
    assert_eq!(fs::read_to_string(here.join("note")).unwrap(), "second");
}

#[test]
fn files_as_they_were_before_are_not_taken_for_the_newest_by_who_signed_in_anew() {
    let mut world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    let ada = laptop.sign_up();
    put(&laptop, "note", "first");
    let before = keep_copy(&mut world);
    put(&laptop, "note", "second");
    let here = laptop.scratch("here");
    pull(&laptop, &here, &[]).done();
    laptop.run(["logout"]).done();
    go_back(&mut world, &before);

    laptop.sign_in(&ada).done();
    assert_eq!(pull(&laptop, &here, &["--delete"]).refused(3).code, "rolled_back");
    assert_eq!(fs::read_to_string(here.join("note")).unwrap(), "second");
    pull(&laptop, &here, &["--start-over"]).done();
}

#[test]
fn a_list_as_it_was_before_is_shown_with_a_warning_until_it_is_longer() {
    let mut world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    let ada = laptop.sign_up();
    put(&laptop, "first", "first");
    let before = keep_copy(&mut world);
    put(&laptop, "second", "second");
    assert_eq!(laptop.run(["ls"]).done().stderr, "");
    go_back(&mut world, &before);

    // It is known by what this device did, without another look at the list.
    let listed = laptop.run(["ls"]).done();
    assert_eq!(listed.stdout, "first\n");
    assert!(listed.stderr.contains("older list") && listed.stderr.contains("`bailiwick verify`"), "{listed}");
    let older = laptop.run(["ls", "--json"]).json()["older_list"].clone();
    assert!(older["seen"].as_u64().unwrap() > older["shown"].as_u64().unwrap(), "{older}");
    let got = laptop.get("first", &laptop.scratch("copy")).json();
    assert_eq!(got["older_list"], older, "{got}");

    // Who never saw more has nothing to be warned of; nor does it last when there is more than there was.
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    assert_eq!(desktop.run(["ls"]).done().stderr, "");
    put(&desktop, "third", "third");
    put(&desktop, "fourth", "fourth");
    assert_eq!(laptop.run(["ls"]).done().stderr, "");
}

fn a_list_that_is_merely_shorter_removes_nothing(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    put(&laptop, "first", "first");
    put(&laptop, "second", "second");
    let here = laptop.scratch("here");
    pull(&laptop, &here, &[]).done();

    let sql = "DELETE FROM item WHERE sequence = (SELECT min(sequence) FROM item)";
    match world.engine() {
        Engine::Sqlite => {
            let homes = Files::under(world.data()).with_table("item");
            let gone: usize = homes.iter().map(|path| Files::open(path).execute(sql, []).unwrap()).sum();
            assert_eq!(gone, 1);
        }
        Engine::Postgresql => {
            world.database().run(Role::Superuser, sql).unwrap();
        }
    }

    let refused = pull(&laptop, &here, &["--delete"]).refused(3);
    assert_eq!(refused.code, "list_incomplete");
    assert!(refused.document["message"].as_str().unwrap().contains("first"), "{:?}", refused.document);
    assert_eq!(fs::read_dir(&here).unwrap().count(), 2, "nothing was removed");

    pull(&laptop, &here, &["--start-over"]).done();
    pull(&laptop, &here, &["--delete"]).done();
    assert_eq!(fs::read_to_string(here.join("first")).unwrap(), "first", "what is here is kept");
}

fn what_was_removed_is_removed_here_as_well(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    put(&laptop, "note", "a note");
    put(&laptop, "folder/within", "a letter");
    let here = laptop.scratch("here");
    pull(&laptop, &here, &[]).done();

    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    desktop.run(["rm", "-r", "folder", "--json"]).done();
    // A file takes the folder's name.
    put(&desktop, "folder", "a file");
    pull(&laptop, &here, &["--delete"]).done();
    assert_eq!(fs::read_to_string(here.join("folder")).unwrap(), "a file");
    assert_eq!(fs::read_to_string(here.join("note")).unwrap(), "a note");
}

#[track_caller]
fn put(machine: &Machine, name: &str, content: &str) {
    let local = machine.scratch("to put");
    fs::write(&local, content).unwrap();
    machine.put(&local, name).done();
}

#[track_caller]
fn pull(machine: &Machine, here: &Path, options: &[&str]) -> Outcome {
    let here = here.to_str().unwrap();
    machine.run(["sync", here, "/", "--pull", "--json"].iter().chain(options))
}

/// A copy of all that the server keeps.
fn keep_copy(world: &mut World) -> std::path::PathBuf {
    world.stop();
    let copy = world.folder().join("before");
    copy_tree(world.data(), &copy);
    world.start();
    copy
}

/// Puts the server back to where it was.
fn go_back(world: &mut World, copy: &Path) {
    world.stop();
    fs::remove_dir_all(world.data()).unwrap();
    copy_tree(copy, world.data());
    world.start();
}
