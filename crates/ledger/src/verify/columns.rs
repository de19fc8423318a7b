// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Three accounts of one tree, grown side by side: what the records say, what the stored leaves say, and what the
//! stored nodes of level 8 say. A trusted head tells which of them is true, for the part since the last such head.

use super::Finding;
use crate::tree::{Frontier, Hash, fold};

/// A number at which record and stored leaf differ.
#[derive(Debug)]
pub(super) struct Dispute {
    pub(super) number: u64,
    pub(super) logged_as: Option<u64>,
}

/// A tile whose stored node is not what its stored leaves add up to.
#[derive(Debug, Clone, Copy)]
struct TileDispute {
    index: u64,
    /// Whether the records add up to it.
    fits_records: bool,
}

/// Where an account of the tree comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Records,
    Leaves,
    Nodes,
}

/// A tree as the hashes of its full tiles, and the leaves after them.
#[derive(Debug, Clone, Default)]
struct Column {
    tiles: Frontier,
    tail: Frontier,
}

/// The three accounts. That of the nodes has no leaves of its own.
#[derive(Debug, Default)]
pub(super) struct Columns {
    records: Column,
    leaves: Column,
    nodes: Frontier,
    disputes: Vec<TileDispute>,
    /// The first tile whose dispute was not kept, if there were too many.
    unkept: Option<u64>,
}

impl Columns {
    /// All three agree on what was verified before.
    pub(super) fn starting_from(frontier: &Frontier) -> Self {
        let (tiles, tail) = frontier.split(TILE_HEIGHT);
        let column = Column { tiles: tiles.clone(), tail };
        Self { records: column.clone(), leaves: column, nodes: tiles, ..Self::default() }
    }

    /// How many tiles are complete: the index of the one being filled.
    pub(super) const fn tiles(&self) -> u64 {
        self.nodes.size()
    }

    pub(super) fn append(&mut self, record: Hash, leaf: Hash) {
        self.records.tail.append(record);
        self.leaves.tail.append(leaf);
    }

    pub(super) const fn is_tile_full(&self) -> bool {
        self.leaves.tail.size() == 1 << TILE_HEIGHT
    }

    /// Ends the tile being filled; `node` is what is stored over it. Returns how many disputes had to be dropped.
    pub(super) fn close_tile(&mut self, node: Option<Hash>) -> u64 {
        let index = self.tiles();
        let [records, leaves] = [&mut self.records, &mut self.leaves].map(|column| {
            let hash = std::mem::take(&mut column.tail).root();
            column.tiles.append(hash);
            hash
        });
        let node = node.unwrap_or(leaves);
        self.nodes.append(node);
        if node == leaves {
            return 0;
        }
        if self.disputes.len() == MAX_TILE_DISPUTES {
            self.unkept.get_or_insert(index);
            return 1;
        }
        self.disputes.push(TileDispute { index, fits_records: node == records });
        0
    }

    /// Which accounts have this root. All of them follow the true one from here on.
    pub(super) fn settle(&mut self, root: &Hash) -> Option<Truth> {
        let candidates = [
            (Source::Leaves, Source::Leaves),
            (Source::Nodes, Source::Leaves),
            (Source::Records, Source::Records),
            (Source::Nodes, Source::Records),
            (Source::Leaves, Source::Records),
            (Source::Records, Source::Leaves),
        ];
        let (tiles, tail) = candidates.into_iter().find(|(tiles, tail)| {
            fold(self.tail_of(*tail).peaks().iter().rev().chain(self.tiles_of(*tiles).peaks().iter().rev()))
                == *root
        })?;
        let truth = Truth {
            tiles,
            tail,
            tail_index: self.tiles(),
            disputes: std::mem::take(&mut self.disputes),
            unkept: self.unkept.take(),
        };
        let column = Column { tiles: self.tiles_of(tiles).clone(), tail: self.tail_of(tail).clone() };
        self.nodes = column.tiles.clone();
        self.records = column.clone();
        self.leaves = column;
        Some(truth)
    }

    /// The frontier of the tree, right after a head has settled it.
    pub(super) fn frontier(&self) -> Frontier {
        self.leaves.tiles.join(TILE_HEIGHT, &self.leaves.tail)
    }

    const fn tiles_of(&self, source: Source) -> &Frontier {
        match source {
            Source::Records => &self.records.tiles,
            Source::Leaves => &self.leaves.tiles,
            Source::Nodes => &self.nodes,
        }
    }

    const fn tail_of(&self, source: Source) -> &Frontier {
        match source {
            Source::Records => &self.records.tail,
            Source::Leaves | Source::Nodes => &self.leaves.tail,
        }
    }
}

/// Which account a trusted head confirmed, and what had been in dispute until then.
#[derive(Debug)]
pub(super) struct Truth {
    tiles: Source,
    tail: Source,
    /// The tile that is not full, which the tail is of.
    tail_index: u64,
    disputes: Vec<TileDispute>,
    unkept: Option<u64>,
}

impl Truth {
    /// Which side of a dispute over one number was altered.
    pub(super) fn judge(&self, dispute: &Dispute) -> Finding {
        let &Dispute { number, logged_as } = dispute;
        let tile = number >> TILE_HEIGHT;
        match if tile == self.tail_index { self.tail } else { self.tiles } {
            Source::Leaves => Finding::RecordAltered { number, logged_as },
            Source::Records => Finding::LeafAltered { number },
            Source::Nodes if self.unkept.is_some_and(|first| tile >= first) => Finding::Disputed { number },
            Source::Nodes => match self.fits_records(tile) {
                None => Finding::RecordAltered { number, logged_as },
                Some(true) => Finding::LeafAltered { number },
                Some(false) => Finding::Disputed { number },
            },
        }
    }

    /// Whether the records add up to the node over a tile whose leaves do not; `None` where the leaves do.
    fn fits_records(&self, tile: u64) -> Option<bool> {
        let place = self.disputes.binary_search_by_key(&tile, |dispute| dispute.index).ok()?;
        self.disputes.get(place).map(|dispute| dispute.fits_records)
    }

    /// What is wrong with stored nodes, or with all that lies below a right one; `verified` is the size of the
    /// last head that fitted.
    pub(super) fn judge_nodes(&self, verified: u64) -> impl Iterator<Item = Finding> {
        self.disputes.iter().filter_map(move |&TileDispute { index, fits_records }| match self.tiles {
            Source::Nodes if fits_records => None,
            Source::Nodes => {
                let first = (index << TILE_HEIGHT).max(verified);
                Some(Finding::RootMismatch { first, last: (index << TILE_HEIGHT) + 0xff })
            }
            Source::Records if fits_records => None,
            Source::Records | Source::Leaves => Some(Finding::NodeAltered { level: TILE_HEIGHT, index }),
        })
    }
}

/// A full tile covers 2^8 leaves.
const TILE_HEIGHT: u8 = 8;
/// Tile disputes kept between two heads.
const MAX_TILE_DISPUTES: usize = 65_536;
