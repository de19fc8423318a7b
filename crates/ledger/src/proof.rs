// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Proofs (RFC 6962 section 2.1, RFC 9162 section 2.1): that a leaf is in a tree, and that a tree only grew.
//!
//! A proof is a list of hashes and nothing else. What it is about (which leaf, which heads) is for whoever
//! verifies to say, so that a proof cannot choose its own claim.

use thiserror::Error;

use crate::tile::Tile;
use crate::tree::{Hash, HashReader, TreeHead, complete_subtrees, fold};

/// Proof that a leaf is in a tree: the siblings on the way from the leaf to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof(pub Vec<Hash>);

impl InclusionProof {
    /// Proves leaf `index` in the tree of `size` leaves, in O(log size) reads.
    pub fn prove<R: HashReader>(reader: &R, index: u64, size: u64) -> Result<Self, ProveError<R::Error>> {
        if index >= size {
            return Err(ProveError::IndexOutOfRange { index, size });
        }
        read_ranges(reader, inclusion_ranges(index, size)).map(Self)
    }

    /// The tiles that proving needs, for callers who have to fetch them before.
    pub fn tiles(index: u64, size: u64) -> Vec<Tile> {
        if index < size { tiles_of(inclusion_ranges(index, size), size) } else { Vec::new() }
    }

    /// Checks that `leaf` is leaf `index` of the tree with this head.
    pub fn verify(&self, index: u64, leaf: &Hash, head: &TreeHead) -> Result<(), InclusionError> {
        if index >= head.size {
            return Err(InclusionError::IndexOutOfRange { index, size: head.size });
        }
        let (inner, border) = path_shape(index, head.size);
        if self.0.len() != inner + border {
            return Err(InclusionError::Length { expected: inner + border, found: self.0.len() });
        }
        let (inner, border) = self.0.split_at(inner);
        let root = climb_border(climb(*leaf, inner, index), border);
        if root == head.root { Ok(()) } else { Err(InclusionError::RootMismatch) }
    }
}

/// Proof that a tree is the beginning of a larger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof(pub Vec<Hash>);

impl ConsistencyProof {
    /// Proves that the tree of `old` leaves is the beginning of the one of `new` leaves, in O(log new) reads.
    pub fn prove<R: HashReader>(reader: &R, old: u64, new: u64) -> Result<Self, ProveError<R::Error>> {
        if old > new {
            return Err(ProveError::Shrunk { old, new });
        }
        read_ranges(reader, consistency_ranges(old, new)).map(Self)
    }

    /// The tiles that proving needs, for callers who have to fetch them before.
    pub fn tiles(old: u64, new: u64) -> Vec<Tile> {
        if old <= new { tiles_of(consistency_ranges(old, new), new) } else { Vec::new() }
    }

    /// Checks that the tree of head `old` is the beginning of the tree of head `new`.
    pub fn verify(&self, old: &TreeHead, new: &TreeHead) -> Result<(), ConsistencyError> {
        if old.size > new.size {
            return Err(ConsistencyError::Shrunk { old: old.size, new: new.size });
        }
        if [old, new].iter().any(|head| head.size == 0 && head.root != Hash::EMPTY) {
            return Err(ConsistencyError::EmptyRoot);
        }
        if old.size == 0 || old.size == new.size {
            return match self.0.len() {
                0 if old.size == new.size && old.root != new.root => Err(ConsistencyError::RootsDiffer),
                0 => Ok(()),
                found => Err(ConsistencyError::Length { expected: 0, found }),
            };
        }
        self.verify_growth(old, new)
    }

    /// The proof starts at the last complete subtree of the old tree. From there one way leads up to the old root, taking
    /// only the siblings to the left, and one to the new root, taking all.
    fn verify_growth(&self, old: &TreeHead, new: &TreeHead) -> Result<(), ConsistencyError> {
        let shift = old.size.trailing_zeros();
        let (inner, border) = path_shape(old.size - 1, new.size);
        let inner = inner - shift as usize;
        let given = usize::from(!old.size.is_power_of_two());
        let length = ConsistencyError::Length { expected: given + inner + border, found: self.0.len() };
        if self.0.len() != given + inner + border {
            return Err(length);
        }
        let (seed, path) = match self.0.split_first() {
            Some((seed, path)) if given == 1 => (*seed, path),
            _ => (old.root, self.0.as_slice()),
        };
        let (inner, border) = path.split_at(inner);
        let bits = (old.size - 1) >> shift;
        let lefts = inner.iter().enumerate().filter(|(level, _)| bits >> level & 1 == 1);
        let old_side = lefts.fold(seed, |right, (_, left)| Hash::node(left, &right));
        if climb_border(old_side, border) != old.root {
            return Err(ConsistencyError::OldRootMismatch);
        }
        if climb_border(climb(seed, inner, bits), border) != new.root {
            return Err(ConsistencyError::NewRootMismatch);
        }
        Ok(())
    }
}

/// The root of the tree of the first `size` leaves, in O(log size) reads.
pub fn read_root<R: HashReader>(reader: &R, size: u64) -> Result<Hash, R::Error> {
    read_range(reader, (0, size))
}

/// Why a proof cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// The tree has no such leaf.
    #[error("a tree of {size} leaves has no leaf {index}")]
    IndexOutOfRange {
        /// Leaf asked for.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The old tree is larger than the new one.
    #[error("a tree of {new} leaves cannot have grown from {old}")]
    Shrunk {
        /// Size of the old tree.
        old: u64,
        /// Size of the new tree.
        new: u64,
    },
    /// A node could not be read.
    #[error(transparent)]
    Read(#[from] E),
}

/// What is wrong with an inclusion proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InclusionError {
    /// The tree has no such leaf.
    #[error("a tree of {size} leaves has no leaf {index}")]
    IndexOutOfRange {
        /// Leaf claimed.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// A proof of this claim has another number of hashes.
    #[error("the inclusion proof has {found} hashes instead of {expected}")]
    Length {
        /// Hashes that the claim takes.
        expected: usize,
        /// Hashes found.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the inclusion proof leads to another root")]
    RootMismatch,
}

/// What is wrong with a consistency proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConsistencyError {
    /// The new tree is smaller than the old one.
    #[error("the tree shrank from {old} to {new} leaves")]
    Shrunk {
        /// Size of the old tree.
        old: u64,
        /// Size of the new tree.
        new: u64,
    },
    /// A head of size 0 has a root other than [`Hash::EMPTY`].
    #[error("an empty tree has another root than the empty one")]
    EmptyRoot,
    /// Two heads of one size have different roots: two histories were shown.
    #[error("two heads of the same size have different roots")]
    RootsDiffer,
    /// A proof of this claim has another number of hashes.
    #[error("the consistency proof has {found} hashes instead of {expected}")]
    Length {
        /// Hashes that the claim takes.
        expected: usize,
        /// Hashes found.
        found: usize,
    },
    /// The hashes do not lead to the old root.
    #[error("the consistency proof does not lead to the old root")]
    OldRootMismatch,
    /// The hashes do not lead to the new root.
    #[error("the consistency proof does not lead to the new root")]
    NewRootMismatch,
}

/// Leaves from the first up to, without, the second.
type Range = (u64, u64);

/// The ranges whose roots make up an inclusion proof, from the leaf upward.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let (mut start, mut end) = (0, size);
    let mut siblings = Vec::new();
    while end - start > 1 {
        let middle = start + split_point(end - start);
        if index < middle {
            siblings.push((middle, end));
            end = middle;
        } else {
            siblings.push((start, middle));
            start = middle;
        }
    }
    siblings.reverse();
    siblings
}

/// The ranges whose roots make up a consistency proof, in its order.
fn consistency_ranges(old: u64, new: u64) -> Vec<Range> {
    if old == 0 {
        return Vec::new();
    }
    let (mut start, mut end) = (0, new);
    let mut ranges = Vec::new();
    while end != old {
        let middle = start + split_point(end - start);
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    if start != 0 {
        ranges.push((start, end));
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `count`, which is at least 2: where RFC 6962 splits a tree.
fn split_point(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

fn read_ranges<R: HashReader>(reader: &R, ranges: Vec<Range>) -> Result<Vec<Hash>, ProveError<R::Error>> {
    let hashes = ranges.into_iter().map(|range| read_range(reader, range));
    hashes.collect::<Result<_, _>>().map_err(ProveError::Read)
}

fn read_range<R: HashReader>(reader: &R, (start, end): Range) -> Result<Hash, R::Error> {
    let nodes = complete_subtrees(start, end).map(|(level, index)| reader.read(level, index));
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    Ok(fold(nodes.iter().rev()))
}

fn tiles_of(ranges: Vec<Range>, size: u64) -> Vec<Tile> {
    let nodes = ranges.into_iter().flat_map(|(start, end)| complete_subtrees(start, end));
    let mut tiles: Vec<_> = nodes.filter_map(|(level, index)| Tile::of_node(level, index, size)).collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// How the path of a leaf divides: below the level where it meets the right edge of the tree siblings lie on
/// either side, above it only to the left.
fn path_shape(index: u64, size: u64) -> (usize, usize) {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner as usize, border as usize)
}

fn climb(from: Hash, siblings: &[Hash], bits: u64) -> Hash {
    siblings.iter().enumerate().fold(from, |hash, (level, sibling)| {
        if bits >> level & 1 == 1 { Hash::node(sibling, &hash) } else { Hash::node(&hash, sibling) }
    })
}

fn climb_border(from: Hash, lefts: &[Hash]) -> Hash {
    lefts.iter().fold(from, |right, left| Hash::node(left, &right))
}
