// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The root key: made once, never by default, never beside the data.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use custody::{Custody, KeyError, LocationError, RootKeyError, RootKeys, check_location};
use store::TenantId;

use crate::world::worlds;

#[tokio::test]
async fn the_first_start_makes_a_key_that_only_its_owner_reads_and_the_second_finds_it() {
    for world in worlds().await {
        let path = world.root_path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(world.keys.path()).unwrap().count(), 1, "nothing is left beside it");
        let before = fs::read(&path).unwrap();

        let mut tx = world.write(TenantId::PLATFORM).await;
        let root = RootKeys::file(&path, &mut tx).await.unwrap();
        let custody = Custody::open(root, &mut tx).await.unwrap();
        assert_eq!(custody.root_key_id(), world.custody.root_key_id());
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_missing_key_is_named_and_no_new_one_is_made() {
    for world in worlds().await {
        fs::remove_file(world.root_path()).unwrap();
        let mut tx = world.write(TenantId::PLATFORM).await;
        let error = RootKeys::file(world.root_path(), &mut tx).await.err().unwrap();
        assert!(matches!(&error, RootKeyError::Missing { .. }), "{error}");
        let sentence = error.to_string();
        assert!(sentence.starts_with("the root key is missing: "), "{sentence}");
        assert!(sentence.contains(world.custody.root_key_id().as_str()), "{sentence}");
        assert!(sentence.ends_with("restore it; a new one would not open anything"), "{sentence}");
        assert!(!world.root_path().exists());
    }
}

#[tokio::test]
async fn a_wrong_key_is_named_from_a_file_and_from_a_secret() {
    for world in worlds().await {
        let other = world.keys.path().join("other.key");
        RootKeys::create(&other).unwrap();
        let mut tx = world.write(TenantId::PLATFORM).await;
        let error = RootKeys::file(&other, &mut tx).await.err().unwrap();
        assert!(matches!(&error, RootKeyError::Wrong { .. }), "{error}");
        assert!(error.to_string().contains(world.custody.root_key_id().as_str()), "{error}");

        let error = Custody::open(RootKeys::generate(), &mut tx).await.err().unwrap();
        assert!(matches!(&error, KeyError::WrongRoot { .. }), "{error}");
        assert!(error.to_string().contains(world.custody.root_key_id().as_str()), "{error}");
    }
}

#[tokio::test]
async fn a_key_is_held_against_a_database_without_making_one() {
    for world in worlds().await {
        let needed: Vec<(String,)> =
            world.read(TenantId::PLATFORM).await.query(RootKeys::NEEDED, store::params![]).await.unwrap();
        assert_eq!(needed, [(world.custody.root_key_id().as_str().to_owned(),)]);
        let (own, other) = (world.root_path(), world.keys.path().join("other.key"));
        assert!(RootKeys::load_needed(&own, needed.clone()).unwrap().is_some());
        assert!(RootKeys::load(&own).unwrap().unwrap().require(needed.clone()).is_ok());
        let error = RootKeys::generate().require(needed.clone()).err().unwrap();
        assert!(matches!(error, KeyError::WrongRoot { .. }), "{error}");

        let error = RootKeys::load_needed(&other, needed.clone()).err().unwrap();
        assert!(matches!(error, RootKeyError::Missing { .. }), "{error}");
        assert!(RootKeys::load_needed(&other, Vec::new()).unwrap().is_none() && !other.exists());
        RootKeys::create(&other).unwrap();
        let error = RootKeys::load_needed(&other, needed).err().unwrap();
        assert!(matches!(error, RootKeyError::Wrong { .. }), "{error}");
    }
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    RootKeys::create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = RootKeys::load(&path).err().unwrap();
        assert!(matches!(error, RootKeyError::Exposed { .. }), "{error}");
    }
    assert!(RootKeys::load(&path).err().unwrap().to_string().contains("chmod 600"));
}

#[test]
fn a_file_is_never_overwritten_and_of_many_starters_one_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let made = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..8).map(|_| scope.spawn(|| RootKeys::create(&path))).collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).filter(Result::is_ok).count()
    });
    assert_eq!(made, 1);
    assert!(RootKeys::load(&path).unwrap().is_some());
    assert!(matches!(RootKeys::create(&path), Err(RootKeyError::Exists(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_damaged_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    RootKeys::create(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for (text, line) in [
        (String::new(), 1),
        (good[..good.len() / 2].to_owned(), 1),
        (format!("{good}AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), 2),
        (good.replace("-v1:", "-v1:f"), 1),
    ] {
        fs::write(&path, text).unwrap();
        match RootKeys::load(&path).err().unwrap() {
            RootKeyError::Damaged { line: at, .. } => assert_eq!(at, line),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn production_refuses_a_key_inside_the_data_folder_and_development_warns() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let inside = data.join("keys").join("root.key");
    let outside = folder.path().join("root.key");
    assert!(matches!(check_location(&inside, &data, true), Err(LocationError::InsideData { .. })));
    assert!(check_location(&inside, &data, false).unwrap().unwrap().to_string().contains("data folder"));
    assert!(check_location(&outside, &data, true).unwrap().is_none());

    let link = folder.path().join("elsewhere");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    let linked = check_location(&link.join("root.key"), &data, true);
    assert!(matches!(linked, Err(LocationError::InsideData { .. })), "a link does not hide it");
    let linked = check_location(&inside, &link, true);
    assert!(matches!(linked, Err(LocationError::InsideData { .. })), "nor one to the data folder");
}
