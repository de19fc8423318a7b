// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is backed up comes back, wherever blobs are kept: in the data folder, or in a bucket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::{Bucket, Engine, World, assert_same_tree, noise};
use serde_json::Value;

#[test]
fn a_backup_taken_while_the_server_runs_brings_everything_back() {
    comes_back(World::on(Engine::Sqlite), None);
}

#[test]
fn files_in_a_bucket_are_stored_read_backed_up_and_put_back_on_sqlite() {
    let Some(bucket) = bucket() else { return };
    comes_back(World::on(Engine::Sqlite), Some(bucket));
}

#[test]
fn files_in_a_bucket_are_stored_read_backed_up_and_put_back_on_postgresql() {
    let Some(bucket) = bucket() else { return };
    comes_back(World::on(Engine::Postgresql), Some(bucket));
}

fn bucket() -> Option<Bucket> {
    let bucket = Bucket::of_this_run();
    if bucket.is_none() {
        eprintln!("skipped: there is no S3 API here (scripts/with-s3 starts one)");
    }
    bucket
}

fn comes_back(mut world: World, bucket: Option<Bucket>) {
    if let Some(bucket) = &bucket {
        bucket.keep_blobs_of(&mut world);
    }
    world.start();
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let folder = world.folder().join("photos");
    fs::create_dir_all(folder.join("deep")).unwrap();
    // In the item, in the database, in one part, in three.
    for (seed, size) in [100, 200 << 10, 1 << 20, 20 << 20].into_iter().enumerate() {
        fs::write(folder.join("deep").join(size.to_string()), noise(seed as u64, size)).unwrap();
    }
    laptop.put(&folder, "photos").done();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    desktop.get("photos", &desktop.scratch("photos")).done();
    assert_same_tree(&folder, &desktop.scratch("photos"));
    assert_eq!(world.data().join("blobs").exists(), bucket.is_none());
    if let Some(bucket) = &bucket {
        assert!(!world.log().contains(&bucket.key), "the access key is a secret");
    }

    let copy = world.folder().join("backup");
    let arguments: &[&str] = if world.engine() == Engine::Sqlite { &[] } else { &["--blobs-only"] };
    let answer = run(&world, "backup", arguments, &copy).unwrap();
    assert_eq!(answer["blob_parts"], 4, "{answer}");
    assert_eq!(answer["may_lack_deleted_files"], false, "{answer}");
    assert!(run(&world, "backup", arguments, &copy).unwrap_err().contains("exists already"));

    // A new place, with the root key beside it, and an empty part of the bucket.
    world.stop();
    let data = world.folder().join("put back");
    fs::copy(world.root_key(), with_suffix(&data, ".root-key")).unwrap();
    assert!(run(&world, "restore", &[], &copy).unwrap_err().contains("exists already"), "over the old data");
    world.keep_data_in(&data);
    if let Some(bucket) = &bucket {
        bucket.keep_blobs_of(&mut world);
    }
    let mark = copy.join("backup-complete");
    fs::rename(&mark, world.folder().join("mark")).unwrap();
    assert!(run(&world, "restore", &[], &copy).unwrap_err().contains("not a complete backup"));
    fs::rename(world.folder().join("mark"), &mark).unwrap();
    run(&world, "restore", &[], &copy).unwrap();
    world.start();
    let phone = world.machine();
    phone.sign_in(&ada).done();
    phone.get("photos", &phone.scratch("photos")).done();
    assert_same_tree(&folder, &phone.scratch("photos"));
    phone.verified_records();
}

#[test]
fn a_bucket_that_refuses_the_key_or_does_not_answer_stops_the_start() {
    let Some(bucket) = bucket() else { return };
    let mut world = World::on(Engine::Sqlite);
    bucket.keep_blobs_of(&mut world);
    world.start();
    world.stop();
    assert!(world.command("check").stderr(Stdio::null()).status().unwrap().success());

    world.set("BAILIWICK_S3_SECRET_ACCESS_KEY_FILE", world.folder().join("nothing"));
    assert!(world.try_start().unwrap_err().said.contains("s3_secret_access_key cannot be read"));
    fs::write(world.folder().join("nothing"), "another key").unwrap();
    let checked = world.command("check").output().unwrap();
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let said = world.try_start().unwrap_err().said;
    assert!(said.contains("the store of files cannot be used") && !said.contains("another key"), "{said}");
}

/// Runs an operator's command, with `--json`; the error is what it said.
fn run(world: &World, command: &str, arguments: &[&str], path: &Path) -> Result<Value, String> {
    let output = world
        .command(command)
        .args(arguments)
        .arg(path)
        .arg("--json")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}")))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
