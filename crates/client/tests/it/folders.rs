// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is found in a local folder.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use client::files::{LocalFile, Tree};

#[test]
fn a_folder_is_walked_by_name_and_links_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/c")).unwrap();
    for name in ["z", "a", "b/c/d", "b/a"] {
        fs::write(root.join(name), name).unwrap();
    }
    symlink("/etc/passwd", root.join("link")).unwrap();
    symlink(root, root.join("b/around")).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();

    let tree = Tree::walk(root).unwrap();
    let names: Vec<&str> = tree.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a", "b/a", "b/c/d", "z"]);
    assert_eq!(tree.skipped.len(), 3, "{:?}", tree.skipped);
    assert_eq!(tree.files[2].size, 5);
}

#[test]
fn empty_folders_and_what_is_no_file_are_said_to_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("full/empty")).unwrap();
    fs::write(root.join("full/file"), "").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let tree = Tree::walk(root).unwrap();
    let skipped: Vec<_> =
        tree.skipped.iter().map(|(path, why)| (path.strip_prefix(root).unwrap(), why.as_str())).collect();
    assert_eq!(
        skipped,
        [
            (Path::new("full/empty"), "it is an empty folder"),
            (Path::new("socket"), "it is neither a file nor a folder"),
        ]
    );
    assert!(tree.may_hide(&"socket".parse().unwrap()), "a file of that name may be gone or not");
    assert!(!tree.may_hide(&"full/other".parse().unwrap()));
}

#[test]
fn a_folder_that_cannot_be_read_is_named_and_the_others_are_walked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("z"), "").unwrap();
    // Whoever is root reads every folder, but not one whose name is longer than the system takes.
    let part = "d".repeat(200);
    let parts = (4090 - part.len()) / (part.len() + 1);
    std::env::set_current_dir(root).unwrap();
    for _ in 0..=parts {
        fs::create_dir(&part).unwrap();
        std::env::set_current_dir(&part).unwrap();
    }
    let left = 4090 - (parts + 1) * (part.len() + 1);
    fs::create_dir("e".repeat(left.max(1))).unwrap();
    std::env::set_current_dir("/").unwrap();

    let tree = Tree::walk(root).unwrap();
    assert_eq!(tree.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["z"]);
    let [(path, why)] = &tree.unreadable[..] else { panic!("{:?}", tree.unreadable) };
    assert!(path.starts_with(root.join(&part)) && !why.is_empty(), "{}: {why}", path.display());
    let hidden = path.strip_prefix(root).unwrap().to_str().unwrap().parse().unwrap();
    assert!(tree.may_hide(&hidden), "nobody can say that it is gone");
    assert!(!tree.may_hide(&"y".parse().unwrap()));
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(LocalFile::at(folder.path()).is_err());
    assert!(LocalFile::at(&folder.path().join("nothing")).is_err());
}
