// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is found in a local folder.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

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
fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(LocalFile::at(folder.path()).is_err());
    assert!(LocalFile::at(&folder.path().join("nothing")).is_err());
}
