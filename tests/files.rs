// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files and folders: what goes in comes out.

use std::ffi::OsStr;
use std::fs;
use std::thread;

use harness::{World, assert_same_tree, noise, on_both_engines, unique};

on_both_engines!(
    names_and_sizes_of_every_kind_come_back,
    a_file_put_again_is_replaced,
    a_local_file_is_replaced_only_when_that_is_wanted,
    first_files_put_at_the_same_moment_are_all_there,
    a_removed_file_is_gone_for_every_machine,
    nobody_sees_the_files_of_another,
);

fn names_and_sizes_of_every_kind_come_back(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let folder = world.folder().join("kinds");
    fs::create_dir_all(folder.join("deep/er/and deeper")).unwrap();
    // Around the size of a chunk, and of what still travels inside an item.
    let chunk = 256 << 10;
    for (seed, size) in
        [0, 1, 4095, chunk - 17, chunk - 16, chunk - 1, chunk, chunk + 1, 3 * chunk].into_iter().enumerate()
    {
        fs::write(folder.join(format!("{size} bytes")), noise(seed as u64, size)).unwrap();
    }
    for name in
        ["grüße aus Køln", "数据", "-dash", "a'b\"c", "percent %2F", "deep/er/and deeper/.hidden", "emoji 🗝"]
    {
        fs::write(folder.join(name), unique(name)).unwrap();
    }
    laptop.put(&folder, "kinds of things").done();

    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    desktop.get("kinds of things", &desktop.scratch("kinds")).done();
    assert_same_tree(&folder, &desktop.scratch("kinds"));
    desktop.get("kinds of things/deep/er/and deeper/.hidden", &desktop.scratch("one")).done();
    assert_eq!(
        fs::read(folder.join("deep/er/and deeper/.hidden")).unwrap(),
        fs::read(desktop.scratch("one")).unwrap()
    );
}

fn a_file_put_again_is_replaced(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let note = laptop.scratch("note");
    for size in [10, 600_000, 20, 600_001] {
        fs::write(&note, noise(size, size as usize)).unwrap();
        laptop.put(&note, "note").done();
        let copy = desktop.scratch(&format!("note of {size} bytes"));
        desktop.get("note", &copy).done();
        assert!(fs::read(&note).unwrap() == fs::read(copy).unwrap(), "the newest, of {size} bytes");
    }
    assert_eq!(desktop.run(["ls", "--json"]).entries().len(), 1, "one file, not four");
}

fn a_local_file_is_replaced_only_when_that_is_wanted(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let (note, copy) = (laptop.scratch("note"), laptop.scratch("copy"));
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    fs::write(&copy, "written here since").unwrap();

    assert_eq!(laptop.get("note", &copy).refused(1).code, "exists");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "written here since");

    let forced =
        [OsStr::new("get"), "note".as_ref(), copy.as_os_str(), "--force".as_ref(), "--json".as_ref()];
    laptop.run(forced).done();
    assert_eq!(fs::read_to_string(&copy).unwrap(), "a note");
    // The same bytes once more are no reason to ask.
    laptop.get("note", &copy).done();
}

fn first_files_put_at_the_same_moment_are_all_there(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let machines: Vec<_> = (0..4)
        .map(|_| {
            let machine = world.machine();
            machine.sign_in(&ada).done();
            machine
        })
        .collect();
    thread::scope(|scope| {
        for (number, machine) in machines.iter().enumerate() {
            scope.spawn(move || {
                let note = machine.scratch("note");
                fs::write(&note, format!("note {number}")).unwrap();
                machine.put(&note, &format!("note {number}")).done();
            });
        }
    });
    assert_eq!(laptop.run(["ls", "--json"]).entries().len(), machines.len(), "all of them");
    for number in 0..machines.len() {
        let copy = laptop.scratch(&format!("copy {number}"));
        laptop.get(&format!("note {number}"), &copy).done();
        assert_eq!(fs::read_to_string(copy).unwrap(), format!("note {number}"));
    }
}

fn a_removed_file_is_gone_for_every_machine(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    desktop.get("note", &desktop.scratch("note")).done();
    laptop.run(["rm", "note", "--json"]).done();
    assert_eq!(desktop.get("note", &desktop.scratch("again")).refused(1).code, "not_found");
    assert!(desktop.run(["ls", "--json"]).entries().is_empty());
}

fn nobody_sees_the_files_of_another(world: World) {
    let ada = world.machine();
    ada.sign_up();
    let eve = world.machine();
    eve.sign_up();
    let note = ada.scratch("note");
    fs::write(&note, "a note").unwrap();
    ada.put(&note, "note").done();
    assert!(eve.run(["ls", "--json"]).entries().is_empty());
    assert_eq!(eve.get("note", &eve.scratch("note")).refused(1).code, "not_found");
    assert_eq!(eve.run(["rm", "note", "--json"]).refused(1).code, "not_found");
    ada.get("note", &ada.scratch("copy")).done();
}
