// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The straight way through the house, exactly in its scripted form.

use std::fs;
use std::path::Path;

use harness::{Machine, World, assert_same_tree, copy_tree, noise, on_both_engines};

on_both_engines!(a_folder_kept_sealed_on_one_machine_comes_back_identical_on_another);

fn a_folder_kept_sealed_on_one_machine_comes_back_identical_on_another(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();

    let project = world.folder().join("project");
    copy_tree(&sources(), &project);
    fs::write(project.join("64 MiB.bin"), noise(64, 64 << 20)).unwrap();
    laptop.put(&project, "project").done();

    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let fetched = desktop.scratch("project");
    desktop.get("project", &fetched).done();
    assert_same_tree(&project, &fetched);

    assert_history_is_whole(&desktop);
    let who = desktop.run(["whoami", "--json"]).json();
    assert_eq!(who["account_id"], ada.account_id.as_str(), "{who}");
    assert_eq!(desktop.sessions().len(), 2, "the laptop's and the desktop's");

    desktop.run(["rm", "project/64 MiB.bin", "--json"]).done();
    laptop.get("project/64 MiB.bin", &laptop.scratch("gone")).refused(1);
    desktop.run(["logout"]).done();
    desktop.run(["whoami", "--json"]).refused(4);
    assert_history_is_whole(&laptop);
}

/// `verify` says what it checked, and `log` shows as many records.
fn assert_history_is_whole(machine: &Machine) {
    let before = machine.log();
    let verified = machine.verified_records();
    assert!(
        verified >= before.len() as u64,
        "verify covers the {} records of the log: {verified}",
        before.len()
    );
    assert!(before.len() >= 3, "a sign-up, a file and a sign-in are at least three records: {before:#?}");
}

/// The repository's own sources.
fn sources() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}
