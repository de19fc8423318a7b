// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tiles (C2SP tlog-tiles): the tree cut into files that never change.
//!
//! A **tile** holds up to 256 consecutive nodes of level 0, 8, 16 and so on (tile levels 0, 1, 2). An **entry bundle** holds
//! the entries under a tile of level 0. Those at the right edge of a tree are **partial**, with their width in their name.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::tree::{Frontier, Hash, HashReader, Node};

/// Nodes in a full tile, entries in a full bundle.
pub const FULL_WIDTH: u16 = 256;

/// A tile's place: level, position in the level, and how many nodes it holds. Displays as its path,
/// `tile/<L>/<N>[.p/<W>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile at this place of the tree of `size` leaves; `None` if the tree has none there.
    pub fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let nodes = size.checked_shr(8 * u32::from(level))?;
        let left = nodes.checked_sub(index.checked_mul(u64::from(FULL_WIDTH))?)?;
        let width = u16::try_from(left.min(u64::from(FULL_WIDTH))).ok()?;
        (level <= MAX_LEVEL && width > 0).then_some(Self { level, index, width })
    }

    /// The tile of the tree of `size` leaves that holds this node, or the nodes that it follows from.
    pub fn of_node(level: u8, index: u64, size: u64) -> Option<Self> {
        let (tile_level, height) = (level / 8, u32::from(level % 8));
        let tile = Self::at(tile_level, index >> (8 - height), size)?;
        let last = ((index & (0xff >> height)) + 1) << height;
        (last <= u64::from(tile.width)).then_some(tile)
    }

    /// The tiles that the tree of `new` leaves has and the tree of `old` leaves did not: those to publish after
    /// growing, the lower levels first.
    pub fn grown(old: u64, new: u64) -> impl Iterator<Item = Self> {
        (0..=MAX_LEVEL).flat_map(move |level| {
            let first = (old >> (8 * level)) / u64::from(FULL_WIDTH);
            (first..)
                .map_while(move |index| Self::at(level, index, new))
                .filter(move |tile| Self::at(level, tile.index, old) != Some(*tile))
        })
    }

    /// Tile level: the nodes it holds are of level `8 · level`.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Position among the tiles of its level.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many nodes it holds, from 1 to [`FULL_WIDTH`].
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it will never grow any more.
    pub const fn is_full(&self) -> bool {
        self.width == FULL_WIDTH
    }

    /// Level of the nodes that it holds.
    pub const fn node_level(&self) -> u8 {
        self.level * 8
    }

    /// Position of its first node among those of [`node_level`](Self::node_level).
    pub const fn first_node(&self) -> u64 {
        self.index * FULL_WIDTH as u64
    }

    /// Whether a tree of `size` leaves contains all of it, so that it may be served.
    pub fn is_within(&self, size: u64) -> bool {
        Self::at(self.level, self.index, size).is_some_and(|tile| tile.width >= self.width)
    }

    /// Its bytes, made from the stored nodes.
    pub fn read<R: HashReader>(&self, reader: &R) -> Result<Vec<u8>, R::Error> {
        let mut bytes = Vec::with_capacity(usize::from(self.width) * 32);
        for index in (self.first_node()..).take(usize::from(self.width)) {
            bytes.extend_from_slice(reader.read(self.node_level(), index)?.as_bytes());
        }
        Ok(bytes)
    }

    /// The nodes in its bytes, with their places.
    pub fn nodes(&self, bytes: &[u8]) -> Result<impl Iterator<Item = Node> + use<>, TileError> {
        let (level, first) = (self.node_level(), self.first_node());
        Ok((first..).zip(self.decode(bytes)?).map(move |(index, hash)| Node { level, index, hash }))
    }

    /// The hashes in its bytes.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.len() != usize::from(self.width) || !rest.is_empty() {
            return Err(TileError::Length { tile: *self, found: bytes.len() });
        }
        Ok(hashes.iter().copied().map(Hash::from).collect())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_place(f, self.index, self.width)
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let (level, place) =
            path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TilePathError::Shape)?;
        let level = parse_number::<u8>(level).filter(|level| *level <= MAX_LEVEL);
        let level = level.ok_or(TilePathError::Level)?;
        let (index, width) = parse_place(place)?;
        // Above this no tree has leaves, and the arithmetic would have to watch for overflow.
        if index > u64::MAX.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0) {
            return Err(TilePathError::Index);
        }
        Ok(Self { level, index, width })
    }
}

/// The entries under a tile of level 0. Displays as its path, `tile/entries/<N>[.p/<W>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryBundle {
    index: u64,
    width: u16,
}

impl EntryBundle {
    /// The bundle at this place of the log of `size` entries; `None` if the log has none there.
    pub fn at(index: u64, size: u64) -> Option<Self> {
        Tile::at(0, index, size).map(|tile| Self { index, width: tile.width })
    }

    /// Position among the bundles.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many entries it holds, from 1 to [`FULL_WIDTH`].
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Number of its first entry.
    pub const fn first_entry(&self) -> u64 {
        self.index * FULL_WIDTH as u64
    }

    /// The tile with the leaves of its entries.
    pub const fn tile(&self) -> Tile {
        Tile { level: 0, index: self.index, width: self.width }
    }

    /// Whether a log of `size` entries contains all of it, so that it may be served.
    pub fn is_within(&self, size: u64) -> bool {
        self.tile().is_within(size)
    }

    /// Its bytes: each entry after its length as a big-endian `u16`.
    pub fn encode<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, EntryTooLong> {
        let mut bytes = Vec::new();
        for entry in entries.iter().map(AsRef::as_ref) {
            let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong(entry.len()))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        Ok(bytes)
    }

    /// The entries in its bytes: exactly as many as its width.
    pub fn decode<'a>(&self, mut bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, BundleError> {
        let mut entries = Vec::with_capacity(usize::from(self.width));
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, rest) = rest.split_at_checked(length).ok_or(BundleError::Truncated)?;
            if entries.len() == usize::from(self.width) {
                return Err(BundleError::TooMany { expected: self.width });
            }
            entries.push(entry);
            bytes = rest;
        }
        match (bytes.len(), entries.len()) {
            (0, found) if found == usize::from(self.width) => Ok(entries),
            (0, found) => Err(BundleError::TooFew { expected: self.width, found }),
            _ => Err(BundleError::Truncated),
        }
    }
}

impl fmt::Display for EntryBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_place(f, self.index, self.width)
    }
}

impl FromStr for EntryBundle {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let (index, width) = parse_place(path.strip_prefix("tile/entries/").ok_or(TilePathError::Shape)?)?;
        if index > u64::MAX >> 8 { Err(TilePathError::Index) } else { Ok(Self { index, width }) }
    }
}

/// A [`HashReader`] over tiles: `source` gives the bytes of a tile, and every node follows from them.
///
/// What it reads is as trustworthy as the source: a proof made from it is checked against a signed head
/// by whoever receives it. It keeps the few tiles used last, so that a proof asks for each once.
pub struct TileHashes<S> {
    size: u64,
    source: S,
    recent: RefCell<VecDeque<(Tile, Vec<Hash>)>>,
}

impl<S> TileHashes<S> {
    /// Reads the tree of `size` leaves from `source`.
    pub const fn new(size: u64, source: S) -> Self {
        Self { size, source, recent: RefCell::new(VecDeque::new()) }
    }
}

impl<S, B, E> HashReader for TileHashes<S>
where
    S: Fn(Tile) -> Result<B, E>,
    B: AsRef<[u8]>,
{
    type Error = TileReadError<E>;

    fn read(&self, level: u8, index: u64) -> Result<Hash, TileReadError<E>> {
        let missing = TileReadError::MissingNode { level, index };
        let Some(tile) = Tile::of_node(level, index, self.size) else { return Err(missing) };
        let height = level % 8;
        let first = usize::try_from((index << height) & 0xff).unwrap_or(usize::MAX);
        let subtree = |hashes: &[Hash]| {
            let mut frontier = Frontier::default();
            let end = first.checked_add(1 << height)?;
            hashes.get(first..end)?.iter().for_each(|hash| frontier.append(*hash));
            Some(frontier.root())
        };
        if let Some((_, hashes)) = self.recent.borrow().iter().find(|(kept, _)| *kept == tile) {
            return subtree(hashes).ok_or(missing);
        }
        let bytes = (self.source)(tile).map_err(TileReadError::Source)?;
        let hashes = tile.decode(bytes.as_ref())?;
        let found = subtree(&hashes);
        let mut recent = self.recent.borrow_mut();
        recent.push_front((tile, hashes));
        recent.truncate(RECENT_TILES);
        found.ok_or(missing)
    }
}

/// Why a node cannot be read from tiles.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileReadError<E> {
    /// The source failed.
    #[error("a tile cannot be read")]
    Source(#[source] E),
    /// The source gave something that is not the tile.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The tree has no such complete node.
    #[error("the tree has no complete node {index} at level {level}")]
    MissingNode {
        /// Height above the leaves.
        level: u8,
        /// Position within the level.
        index: u64,
    },
}

/// Why bytes are not a tile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileError {
    /// A tile has 32 bytes for each of its nodes.
    #[error("{tile} cannot have {found} bytes")]
    Length {
        /// Which tile.
        tile: Tile,
        /// Number of bytes found.
        found: usize,
    },
}

/// Why bytes are not an entry bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// The bytes end inside an entry or its length.
    #[error("an entry bundle ends early")]
    Truncated,
    /// Fewer entries than its width.
    #[error("an entry bundle has {found} entries instead of {expected}")]
    TooFew {
        /// The bundle's width.
        expected: u16,
        /// Entries found.
        found: usize,
    },
    /// More entries than its width.
    #[error("an entry bundle has more than {expected} entries")]
    TooMany {
        /// The bundle's width.
        expected: u16,
    },
}

/// An entry longer than the 65,535 bytes that a bundle can hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an entry of {0} bytes does not fit a bundle")]
pub struct EntryTooLong(pub usize);

/// Why text is not the path of a tile or bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TilePathError {
    /// Not of the form `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
    #[error("not the path of a tile")]
    Shape,
    /// The level is not a number, or no tree is that high.
    #[error("not the level of a tile")]
    Level,
    /// The index is not written as `x001/x234/067`, or no tree is that wide.
    #[error("not the index of a tile")]
    Index,
    /// The width is not a number from 1 to 255.
    #[error("not the width of a partial tile")]
    Width,
}

/// `<N>[.p/<W>]`, with N in groups of three digits of which all but the last start with `x`.
fn write_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let groups = std::iter::successors(Some(index), |rest| (*rest >= 1000).then_some(rest / 1000));
    let groups: Vec<u64> = groups.map(|rest| rest % 1000).collect();
    for (position, group) in groups.iter().enumerate().rev() {
        if position > 0 { write!(f, "x{group:03}/")? } else { write!(f, "{group:03}")? }
    }
    if width == FULL_WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
}

fn parse_place(place: &str) -> Result<(u64, u16), TilePathError> {
    let (index, width) = match place.split_once(".p/") {
        None => (place, FULL_WIDTH),
        Some((index, width)) => {
            let width = parse_number::<u8>(width).filter(|width| *width > 0).ok_or(TilePathError::Width)?;
            (index, u16::from(width))
        }
    };
    let groups: Vec<&str> = index.split('/').collect();
    let mut value: u64 = 0;
    for (position, group) in groups.iter().enumerate() {
        let is_last = position + 1 == groups.len();
        let digits = if is_last { Some(*group) } else { group.strip_prefix('x') };
        let digits = digits.filter(|digits| digits.len() == 3 && digits.bytes().all(|d| d.is_ascii_digit()));
        let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or(TilePathError::Index)?;
        // One spelling only: a longer index does not start with a group of zeroes.
        if position == 0 && number == 0 && !is_last {
            return Err(TilePathError::Index);
        }
        value = value.checked_mul(1000).and_then(|v| v.checked_add(number)).ok_or(TilePathError::Index)?;
    }
    Ok((value, width))
}

/// A decimal number in its only spelling: no sign, no leading zeroes.
pub(crate) fn parse_number<N: FromStr + ToString>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}

/// Levels 0 to 7 hold every node of a tree of up to 2^63 leaves; the format's own limit of 63 leaves room for nothing more.
const MAX_LEVEL: u8 = 7;
/// Enough for one proof: a tile of each level on two paths.
const RECENT_TILES: usize = 2 * (MAX_LEVEL as usize + 1);
