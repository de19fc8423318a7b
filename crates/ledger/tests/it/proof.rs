// SPDX-License-Identifier: Apache-2.0 OR MIT
use std::cell::Cell;
use std::convert::Infallible;

use ledger::{
    ConsistencyError, ConsistencyProof, Hash, HashReader, InclusionError, InclusionProof, MemoryTree,
    ProveError, TreeHead,
};

use crate::reference;

#[test]
fn every_leaf_of_every_small_tree_is_proved_as_defined_and_no_changed_bit_is_accepted() {
    let leaves = reference::leaves(130);
    let tree: MemoryTree = leaves.iter().copied().collect();
    for size in 1..=leaves.len() {
        let head = TreeHead { size: size as u64, root: reference::root(&leaves[..size]) };
        for index in 0..size {
            let proof = InclusionProof::prove(&tree, index as u64, size as u64).unwrap();
            assert_eq!(proof.0, reference::path(index, &leaves[..size]), "leaf {index} of {size}");
            proof.verify(index as u64, &leaves[index], &head).unwrap();
            for mutant in mutants(&proof.0) {
                assert!(InclusionProof(mutant).verify(index as u64, &leaves[index], &head).is_err());
            }
            let other = proof.verify(index as u64, &flipped(leaves[index], 5), &head);
            assert_eq!(other, Err(InclusionError::RootMismatch));
        }
    }
}

#[test]
fn a_proof_serves_no_other_leaf_number_and_no_other_size() {
    let leaves = reference::leaves(40);
    let tree: MemoryTree = leaves.iter().copied().collect();
    for size in 1..=leaves.len() as u64 {
        let head = TreeHead { size, root: reference::root(&leaves[..size as usize]) };
        for index in 0..size {
            let proof = InclusionProof::prove(&tree, index, size).unwrap();
            let leaf = leaves[index as usize];
            for other in (0..size + 2).filter(|other| *other != index) {
                assert!(proof.verify(other, &leaf, &head).is_err());
            }
            assert!(proof.verify(index, &leaf, &TreeHead { size: size * 2 + 1, ..head }).is_err());
        }
    }
}

#[test]
fn every_pair_of_small_trees_is_proved_as_defined_and_no_changed_bit_is_accepted() {
    let leaves = reference::leaves(130);
    let tree: MemoryTree = leaves.iter().copied().collect();
    let heads: Vec<_> = (0..=leaves.len())
        .map(|size| TreeHead { size: size as u64, root: reference::root(&leaves[..size]) })
        .collect();
    for new in &heads {
        for old in heads.iter().filter(|old| old.size <= new.size) {
            let proof = ConsistencyProof::prove(&tree, old.size, new.size).unwrap();
            proof.verify(old, new).unwrap();
            if old.size == 0 {
                assert!(proof.0.is_empty());
                continue;
            }
            let defined = reference::subproof(old.size as usize, &leaves[..new.size as usize], true);
            assert_eq!(proof.0, defined, "{} to {}", old.size, new.size);
            for mutant in mutants(&proof.0) {
                assert!(ConsistencyProof(mutant).verify(old, new).is_err());
            }
            let other_old = TreeHead { root: flipped(old.root, 9), ..*old };
            let other_new = TreeHead { root: flipped(new.root, 9), ..*new };
            assert!(proof.verify(&other_old, new).is_err());
            assert!(proof.verify(old, &other_new).is_err());
        }
    }
}

#[test]
fn the_published_proofs_are_reproduced() {
    let tree: MemoryTree = reference::ct_leaves().into_iter().collect();
    let hashes = |hex: &[&str]| hex.iter().map(|hex| reference::hash(hex)).collect::<Vec<_>>();
    let inclusion = |index, size| InclusionProof::prove(&tree, index, size).unwrap().0;
    let consistency = |old, new| ConsistencyProof::prove(&tree, old, new).unwrap().0;
    let (leaf_1, node_2_3, node_4_7) = (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    );
    let (leaf_4, node_4_5, node_6_7) = (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    );
    let node_0_3 = reference::CT_ROOTS[4];
    assert_eq!(inclusion(0, 8), hashes(&[leaf_1, node_2_3, node_4_7]));
    assert_eq!(inclusion(5, 8), hashes(&[leaf_4, node_6_7, node_0_3]));
    assert_eq!(inclusion(2, 3), hashes(&[reference::CT_ROOTS[2]]));
    assert_eq!(consistency(1, 1), []);
    assert_eq!(consistency(1, 8), hashes(&[leaf_1, node_2_3, node_4_7]));
    assert_eq!(consistency(6, 8), hashes(&[node_4_5, node_6_7, node_0_3]));
    assert_eq!(consistency(2, 5), hashes(&[node_2_3, leaf_4]));
}

#[test]
fn each_error_says_what_happened() {
    let leaves = reference::leaves(8);
    let tree: MemoryTree = leaves.iter().copied().collect();
    let head = |size: usize| TreeHead { size: size as u64, root: reference::root(&leaves[..size]) };
    let inclusion = InclusionProof::prove(&tree, 3, 8).unwrap();
    let past_the_end = InclusionError::IndexOutOfRange { index: 8, size: 8 };
    assert_eq!(inclusion.verify(8, &leaves[0], &head(8)), Err(past_the_end));
    let too_long = InclusionError::Length { expected: 2, found: 3 };
    assert_eq!(inclusion.verify(3, &leaves[3], &head(4)), Err(too_long));
    assert_eq!(inclusion.verify(2, &leaves[3], &head(8)), Err(InclusionError::RootMismatch));

    let growth = ConsistencyProof::prove(&tree, 3, 7).unwrap();
    assert_eq!(growth.verify(&head(7), &head(3)), Err(ConsistencyError::Shrunk { old: 7, new: 3 }));
    assert_eq!(growth.verify(&head(2), &head(2)), Err(ConsistencyError::Length { expected: 0, found: 4 }));
    assert_eq!(growth.verify(&head(4), &head(7)), Err(ConsistencyError::Length { expected: 1, found: 4 }));
    let other = TreeHead { root: Hash::EMPTY, ..head(3) };
    assert_eq!(growth.verify(&other, &head(7)), Err(ConsistencyError::OldRootMismatch));
    let other = TreeHead { root: Hash::EMPTY, ..head(7) };
    assert_eq!(growth.verify(&head(3), &other), Err(ConsistencyError::NewRootMismatch));
    assert_eq!(ConsistencyProof(vec![]).verify(&head(7), &other), Err(ConsistencyError::RootsDiffer));
    let not_empty = TreeHead { size: 0, root: leaves[0] };
    assert_eq!(ConsistencyProof(vec![]).verify(&not_empty, &head(7)), Err(ConsistencyError::EmptyRoot));

    let no_leaf = InclusionProof::prove(&tree, 8, 8);
    assert_eq!(no_leaf, Err(ProveError::IndexOutOfRange { index: 8, size: 8 }));
    let shrunk = ConsistencyProof::prove(&tree, 8, 7);
    assert_eq!(shrunk, Err(ProveError::Shrunk { old: 8, new: 7 }));
    assert!(matches!(InclusionProof::prove(&tree, 0, 9), Err(ProveError::Read(_))));
}

#[test]
fn proving_reads_few_nodes_even_of_the_largest_tree() {
    let reads = Cell::new(0);
    let synthetic = |level: u8, index: u64| -> Result<Hash, Infallible> {
        reads.set(reads.get() + 1);
        Ok(Hash::leaf(&[&[level][..], &index.to_be_bytes()].concat()))
    };
    for size in [ledger::MAX_SIZE, 10_000_000, 1 << 62] {
        for index in [0, size / 3, size - 1] {
            reads.set(0);
            InclusionProof::prove(&synthetic, index, size).unwrap();
            ConsistencyProof::prove(&synthetic, index, size).unwrap();
            assert!(reads.get() <= 4 * 63, "{} reads", reads.get());
        }
    }
    assert!(synthetic.read(0, 0).is_ok());
}

/// The same hashes with one bit changed, one left out, one repeated.
fn mutants(hashes: &[Hash]) -> impl Iterator<Item = Vec<Hash>> {
    (0..hashes.len()).flat_map(|at| {
        let mut changed = hashes.to_vec();
        changed[at] = flipped(changed[at], at * 37);
        let mut shorter = hashes.to_vec();
        shorter.remove(at);
        let mut longer = hashes.to_vec();
        longer.insert(at, hashes[at]);
        [changed, shorter, longer]
    })
}

fn flipped(hash: Hash, bit: usize) -> Hash {
    let mut bytes = hash.to_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Hash::from(bytes)
}
