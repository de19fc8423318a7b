// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A full disk, a corrupt file, a lost or wrong key, a clock set back: a clear sentence, a non-zero exit, and
//! nothing damaged. Once the world is mended, everything is there.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Database, Engine, Files, Machine, Refusal, Role, World, noise, on_both_engines};

on_both_engines!(
    a_missing_root_key_is_not_replaced,
    a_wrong_root_key_is_refused,
    a_clock_set_back_damages_nothing,
    a_secret_in_what_an_engine_says_is_masked_in_the_log_and_told_to_nobody,
);

fn a_missing_root_key_is_not_replaced(mut world: World) {
    let kept = Kept::in_world(&world);
    world.stop();
    let (key, aside) = (world.root_key(), world.folder().join("aside"));
    fs::rename(&key, &aside).unwrap();

    let refusal = world.try_start().expect_err("no root key");
    assert_says(&refusal, &["key"]);
    assert!(!key.exists(), "a new key would lock the data away for ever");

    fs::rename(&aside, &key).unwrap();
    world.start();
    kept.is_all_there();
}

fn a_wrong_root_key_is_refused(mut world: World) {
    let kept = Kept::in_world(&world);
    world.stop();
    let mut other = World::started(Engine::Sqlite);
    other.stop();
    let (key, wrong) = (fs::read(world.root_key()).unwrap(), fs::read(other.root_key()).unwrap());
    assert_ne!(key, wrong, "each installation makes a key of its own");

    overwrite(&world.root_key(), &wrong);
    assert_says(&world.try_start().expect_err("another root key"), &["key"]);
    overwrite(&world.root_key(), &key[..key.len() / 2]);
    assert_says(&world.try_start().expect_err("half a root key"), &["key"]);

    overwrite(&world.root_key(), &key);
    world.start();
    kept.is_all_there();
}

fn a_clock_set_back_damages_nothing(mut world: World) {
    let kept = Kept::in_world(&world);
    world.stop();
    world.set("LD_PRELOAD", faketime());
    world.set("FAKETIME", "-2d");
    world.set("DONT_FAKE_MONOTONIC", "1");
    match world.try_start() {
        Err(refusal) => assert_says(&refusal, &["clock"]),
        Ok(()) => {
            assert!(world.log().contains("clock"), "the operator is told: {}", world.log());
            kept.is_all_there();
            world.stop();
        }
    }
    world.unset("LD_PRELOAD");
    world.start();
    kept.is_all_there();
}

fn a_secret_in_what_an_engine_says_is_masked_in_the_log_and_told_to_nobody(world: World) {
    let kept = Kept::in_world(&world);
    let token = format!("bws_{}", "k3Yq".repeat(16));
    let place = format!("place for ada@example.org with {token}");
    match world.engine() {
        Engine::Sqlite => {
            let block = format!(
                "CREATE TRIGGER no_item BEFORE INSERT ON item BEGIN INSERT INTO \"{place}\" VALUES (1); END"
            );
            for file in Files::under(world.data()).with_table("item") {
                let connection = Files::open(&file);
                connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                connection.execute_batch(&block).unwrap();
            }
        }
        Engine::Postgresql => {
            let block = format!(
                "CREATE FUNCTION no_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no {place}'; END $$; \
                 CREATE TRIGGER no_item BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION no_item()"
            );
            world.database().run(Role::Superuser, &block).unwrap();
        }
    }
    let note = kept.machine.scratch("refused");
    fs::write(&note, "a note").unwrap();
    let outcome = kept.machine.put(&note, "refused");
    assert!(!outcome.is_done(), "{outcome}");
    assert!(!outcome.to_string().contains("place for"), "{outcome}");
    let log = world.log();
    assert!(log.contains("place for ***REDACTED*** with ***REDACTED***"), "{log}");
    assert!(!log.contains(&token) && !log.contains("ada@example.org"), "{log}");
}

#[test]
fn a_corrupt_directory_is_refused_at_the_start() {
    let mut world = World::started(Engine::Sqlite);
    let kept = Kept::in_world(&world);
    world.stop();
    let directory = directory_file(&world);
    let whole = fs::read(&directory).unwrap();
    for damage in [
        damaged(&whole, 0, 64),
        damaged(&whole, whole.len() / 3, whole.len() / 3),
        whole[..whole.len() / 2].to_vec(),
    ] {
        overwrite(&directory, &damage);
        let refusal = world.try_start().expect_err("a corrupt directory");
        assert_says(&refusal, &["corrupt", "malformed", "damaged", "not a database"]);
        assert_eq!(
            fs::read(&directory).unwrap().len(),
            damage.len(),
            "the file is left for whoever mends it"
        );
    }
    overwrite(&directory, &whole);
    world.start();
    kept.is_all_there();
}

#[test]
fn a_corrupt_home_stops_its_owner_and_nobody_else() {
    let mut world = World::started(Engine::Sqlite);
    let ada = Kept::in_world(&world);
    world.stop();
    let before = Files::under(world.data()).all().to_vec();
    world.start();
    let eve = Kept::in_world(&world);
    world.stop();
    let after = Files::under(world.data());
    let home = after.all().iter().find(|path| !before.contains(path)).expect("a file for the second home");
    let whole = fs::read(home).unwrap();

    overwrite(home, &damaged(&whole, whole.len() / 4, whole.len() / 2));
    world.start();
    let outcome = eve.machine.verify();
    assert_eq!(outcome.status, Some(1), "{outcome}");
    ada.is_all_there();
    assert!(!world.log().contains("panicked"), "{}", world.log());
    world.stop();

    overwrite(home, &whole);
    world.start();
    eve.is_all_there();
    ada.is_all_there();
}

#[test]
fn a_full_disk_loses_nothing_on_sqlite() {
    let Some(disk) = SmallDisk::of("24m") else { return };
    let mut world = World::on(Engine::Sqlite);
    world.keep_data_in(&disk.folder.path().join("data"));
    world.start();
    fills_up_and_recovers(world, &disk);
}

#[test]
fn a_full_disk_loses_nothing_on_postgresql() {
    let Some(disk) = SmallDisk::of("96m") else { return };
    let mut world = World::with_database(Engine::Postgresql, Some(disk.database()));
    world.keep_data_in(&disk.folder.path().join("data"));
    world.start();
    fills_up_and_recovers(world, &disk);
}

fn fills_up_and_recovers(mut world: World, disk: &SmallDisk) {
    let kept = Kept::in_world(&world);
    let ballast = disk.fill();
    let large = kept.machine.scratch("large");
    fs::write(&large, noise(1, 8 << 20)).unwrap();
    let problem = kept.machine.put(&large, "large").refused(1);
    assert_eq!(problem.code, "storage_full");
    for count in 0..3 {
        let small = kept.machine.scratch("small");
        fs::write(&small, noise(count, 200_000)).unwrap();
        // A small one may still fit; if it does not, that is said.
        let outcome = kept.machine.put(&small, &format!("small {count}"));
        if !outcome.is_done() {
            assert_eq!(outcome.refused(1).code, "storage_full");
        }
    }
    assert!(!world.log().contains("panicked"), "{}", world.log());

    fs::remove_file(ballast).unwrap();
    kept.is_all_there();
    kept.machine.get("large", &kept.machine.scratch("half")).refused(1);
    kept.machine.put(&large, "large").done();
    world.restart();
    kept.is_all_there();
}

/// Somebody's file and history, to be found again after whatever happens.
struct Kept {
    machine: Machine,
    content: Vec<u8>,
}

impl Kept {
    fn in_world(world: &World) -> Self {
        let machine = world.machine();
        machine.sign_up();
        let content = noise(42, 400_000);
        let file = machine.scratch("file");
        fs::write(&file, &content).unwrap();
        machine.put(&file, "kept").done();
        machine.verified_records();
        Self { machine, content }
    }

    /// The file has its bytes, the history is whole, and both go on.
    #[track_caller]
    fn is_all_there(&self) {
        let copy = self.machine.scratch("copy");
        self.machine.get("kept", &copy).done();
        assert!(fs::read(&copy).unwrap() == self.content, "other bytes");
        self.machine.put(&copy, "kept again").done();
        self.machine.verified_records();
    }
}

/// A non-zero exit, one of these words, and no panic.
#[track_caller]
fn assert_says(refusal: &Refusal, words: &[&str]) {
    assert!(refusal.status.is_some_and(|status| status != 0), "{refusal:?}");
    let said = refusal.said.to_lowercase();
    assert!(words.iter().any(|word| said.contains(word)), "should say one of {words:?}: {}", refusal.said);
    assert!(!said.contains("panicked"), "{}", refusal.said);
}

/// The platform's own file: the one that is there before anybody signs up.
fn directory_file(world: &World) -> PathBuf {
    let mut empty = World::started(Engine::Sqlite);
    empty.stop();
    let files = Files::under(empty.data());
    let name = files.all()[0].strip_prefix(empty.data()).unwrap();
    world.data().join(name)
}

fn damaged(bytes: &[u8], at: usize, length: usize) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    damaged[at..at + length].copy_from_slice(&noise(3, length));
    damaged
}

/// New bytes in the same file, whose owner and mode stay.
fn overwrite(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(0).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Debian's libfaketime.
fn faketime() -> PathBuf {
    let libraries = fs::read_dir("/usr/lib").unwrap().map_while(Result::ok);
    libraries
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
        .expect("libfaketime; scripts/install-test-deps installs it")
}

/// A file system of a few megabytes, in memory.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// None where one may not be mounted: only the machine's owner can.
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("bailiwick-disk.").tempdir().unwrap();
        let options = format!("size={size},mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output()
            .unwrap();
        if !mounted.status.success() {
            eprintln!(
                "skipped: a small disk cannot be mounted: {}",
                String::from_utf8_lossy(&mounted.stderr)
            );
            return None;
        }
        Some(Self { folder })
    }

    /// A database that lives here.
    fn database(&self) -> Database {
        let folder = self.folder.path().join("tablespace");
        fs::create_dir(&folder).unwrap();
        Database::create_in(&folder)
    }

    /// Leaves a quarter of a megabyte, and gives the file that took the rest.
    fn fill(&self) -> PathBuf {
        let ballast = self.folder.path().join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        let block = vec![0; 64 << 10];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(256 << 10)).unwrap();
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
