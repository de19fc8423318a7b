// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder: path from the folder, and content.
pub type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// Reads a folder.
pub(crate) fn read_tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    visit(folder, &mut |path| {
        let name = path.strip_prefix(folder).expect("inside").to_owned();
        tree.insert(name, fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    });
    tree
}

/// Calls `seen` with each regular file under a folder.
pub fn visit(folder: &Path, seen: &mut dyn FnMut(&Path)) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        // A file may go while others are listed: a server is running.
        let Ok(entry) = entry else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            visit(&entry.path(), seen);
        } else if kind.is_file() {
            seen(&entry.path());
        }
    }
}

/// Copies a folder's files.
pub fn copy_tree(from: &Path, to: &Path) {
    visit(from, &mut |path| {
        let target = to.join(path.strip_prefix(from).expect("inside"));
        fs::create_dir_all(target.parent().expect("a file is in a folder")).expect("a folder");
        fs::copy(path, &target).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    });
}

/// Two folders hold the same files with the same bytes.
#[track_caller]
pub fn assert_same_tree(left: &Path, right: &Path) {
    let (left, right) = (read_tree(left), read_tree(right));
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right), "the same files");
    for (name, bytes) in &left {
        assert!(right[name] == *bytes, "{} has other bytes", name.display());
    }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
