// SPDX-License-Identifier: Apache-2.0 OR MIT
use ledger::{Frontier, FrontierError, Hash, HashReader, MAX_SIZE, MemoryTree, Node, TreeHead, read_root};
use proptest::prelude::*;

use crate::reference;

#[test]
fn the_published_roots_are_reproduced() {
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), Hash::EMPTY);
    for (size, leaf) in reference::ct_leaves().into_iter().enumerate() {
        assert_eq!(frontier.root(), reference::hash(reference::CT_ROOTS[size]));
        frontier.append(leaf);
    }
    let head = TreeHead { size: 8, root: reference::hash(reference::CT_ROOTS[8]) };
    assert_eq!(frontier.head(), head);
}

#[test]
fn every_size_has_the_root_of_the_definition() {
    let leaves = reference::leaves(300);
    let tree: MemoryTree = leaves.iter().copied().collect();
    let mut frontier = Frontier::default();
    for size in 0..leaves.len() {
        let root = reference::root(&leaves[..size]);
        assert_eq!(frontier.root(), root);
        assert_eq!(read_root(&tree, size as u64), Ok(root));
        assert_eq!(Frontier::read(&tree, size as u64).as_ref(), Ok(&frontier));
        frontier.append(leaves[size]);
    }
    assert_eq!(tree.leaves(), leaves);
}

#[test]
fn appending_names_each_node_when_it_becomes_complete_and_once() {
    let leaves = reference::leaves(600);
    let mut frontier = Frontier::default();
    let mut nodes: Vec<Node> = Vec::new();
    for leaf in &leaves {
        let before = nodes.len();
        frontier.append_each(*leaf, |node| nodes.push(node));
        let ends = nodes[before..].iter().map(|node| (node.index + 1) << node.level);
        assert!(ends.into_iter().all(|end| end == frontier.size()));
    }
    for node in &nodes {
        let start = (node.index << node.level) as usize;
        assert_eq!(node.hash, reference::root(&leaves[start..start + (1 << node.level)]));
    }
    let complete: u64 = (0..64).map(|level| frontier.size() >> level).sum();
    assert_eq!(nodes.len() as u64, complete);
    assert_eq!(nodes.iter().filter(|node| node.is_stored()).count(), 600 + 2);
}

#[test]
fn a_node_that_is_not_complete_cannot_be_read() {
    let tree: MemoryTree = reference::leaves(5).into_iter().collect();
    assert!(tree.read(2, 0).is_ok());
    assert!(tree.read(2, 1).is_err());
    assert!(tree.read(0, 5).is_err());
    assert!(tree.read(255, u64::MAX).is_err());
}

#[test]
fn a_persisted_frontier_is_read_strictly() {
    let mut frontier = Frontier::default();
    reference::leaves(11).into_iter().for_each(|leaf| frontier.append(leaf));
    let bytes = frontier.encode();
    assert_eq!(Frontier::decode(&bytes), Ok(frontier.clone()));
    for end in 0..bytes.len() {
        assert!(Frontier::decode(&bytes[..end]).is_err());
    }
    assert!(Frontier::decode(&[&bytes[..], &[0]].concat()).is_err());
    let one_more_peak = [&bytes[..], &[0; 32]].concat();
    assert_eq!(Frontier::decode(&one_more_peak), Err(FrontierError::Length { size: 11, peaks: 4 }));
    assert_eq!(Frontier::decode(&[2; 9]), Err(FrontierError::Version(2)));
    let peaks = vec![Hash::EMPTY; 64];
    assert_eq!(Frontier::from_peaks(u64::MAX, peaks), Err(FrontierError::TooLarge(u64::MAX)));
    assert!(Frontier::from_peaks(MAX_SIZE, vec![Hash::EMPTY; 63]).is_ok());
}

#[test]
fn a_hash_has_one_spelling_in_each_encoding() {
    let hash = Hash::leaf(b"x");
    assert_eq!(Hash::from_hex(&hash.to_string()), Ok(hash));
    assert_eq!(Hash::from_base64(&hash.to_base64()), Ok(hash));
    assert!(Hash::from_hex(&hash.to_string().to_uppercase()).is_err());
    assert!(Hash::from_hex(&hash.to_string()[2..]).is_err());
    assert!(Hash::from_base64(hash.to_base64().trim_end_matches('=')).is_err());
    // The last digit before the padding has two bits that must be zero.
    assert!(Hash::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=").is_err());
}

proptest! {
    #[test]
    fn any_frontier_survives_being_persisted(size in 0..=MAX_SIZE, seed: u64) {
        let peak = |n: u32| Hash::leaf(&[&seed.to_be_bytes()[..], &n.to_be_bytes()].concat());
        let frontier = Frontier::from_peaks(size, (0..size.count_ones()).map(peak).collect()).unwrap();
        prop_assert_eq!(Frontier::decode(&frontier.encode()), Ok(frontier));
    }
}
