// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tiles, entry bundles and frontiers from anywhere: paths have one spelling, contents one length.
#![no_main]

use ledger::{EntryBundle, Frontier, Tile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(frontier) = Frontier::decode(input) {
        assert_eq!(frontier.encode(), input);
        let _ = frontier.root();
    }
    // A path, a line's end, contents.
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, contents) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let Ok(path) = std::str::from_utf8(path) else { return };
    if let Ok(tile) = path.parse::<Tile>() {
        assert_eq!(tile.to_string(), path);
        assert!((1..=256).contains(&tile.width()));
        if let Ok(nodes) = tile.decode(contents) {
            assert_eq!(nodes.len(), usize::from(tile.width()));
        }
        let _ = (tile.first_node(), tile.is_within(u64::MAX), tile.is_within(contents.len() as u64));
    }
    if let Ok(bundle) = path.parse::<EntryBundle>() {
        assert_eq!(bundle.to_string(), path);
        if let Ok(entries) = bundle.decode(contents) {
            assert_eq!(EntryBundle::encode(&entries).expect("entries that were read fit"), contents);
        }
        let _ = bundle.is_within(u64::MAX);
    }
});
