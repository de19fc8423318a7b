// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tree itself: hashes, the frontier that grows it, and reading what was stored of it.
//!
//! The shape is RFC 6962's (section 2.1): a leaf is `SHA-256(0x00 ‖ entry)`, an inner node
//! `SHA-256(0x01 ‖ left ‖ right)`, and the left side of every node is the largest complete subtree that fits.
//! A **node** is a *complete* subtree: node `(level, index)` covers the `2^level` leaves from
//! `index · 2^level` on. Once complete it never changes, which is why nodes can be stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The largest tree: `2^63 - 1` leaves, so that a size fits the signed integers of databases and of JSON peers.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// A SHA-256 value of the tree: a leaf, a node or a root. Displays as hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The root of the tree without leaves: SHA-256 of nothing.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// The leaf hash of a log entry: `SHA-256(0x00 ‖ entry)`.
    pub fn leaf(entry: &[u8]) -> Self {
        Self::leaf_of_parts(&[entry])
    }

    /// The leaf hash of an entry given in parts, without putting them together first.
    pub fn leaf_of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([0x00]);
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut message = [0x01; 65];
        let (_, children) = message.split_at_mut(1);
        let (l, r) = children.split_at_mut(32);
        l.copy_from_slice(&left.0);
        r.copy_from_slice(&right.0);
        Self(Sha256::digest(message).into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 32 bytes, by value.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Standard base64 with padding, as checkpoints write it.
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.0)
    }

    /// Reads standard base64 with padding, strictly: exactly 32 bytes, no other spelling of them.
    pub fn from_base64(text: &str) -> Result<Self, HashError> {
        let bytes = BASE64.decode(text).map_err(|_| HashError::Encoding)?;
        Self::try_from(bytes.as_slice())
    }

    /// Reads 64 hexadecimal digits in lower case, as [`Display`](fmt::Display) writes them.
    pub fn from_hex(text: &str) -> Result<Self, HashError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(HashError::Length(digits.len() / 2));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else { return Err(HashError::Encoding) };
            *byte = hex_digit(high)? << 4 | hex_digit(low)?;
        }
        Ok(Self(bytes))
    }
}

/// The value of one lower-case hexadecimal digit.
fn hex_digit(digit: u8) -> Result<u8, HashError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(HashError::Encoding),
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = HashError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashError> {
        bytes.try_into().map(Self).map_err(|_| HashError::Length(bytes.len()))
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Why bytes or text are not a [`struct@Hash`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HashError {
    /// A hash has 32 bytes; this has another number.
    #[error("a hash has 32 bytes, not {0}")]
    Length(usize),
    /// The text is not in the encoding asked for.
    #[error("a hash is not encoded as it should be")]
    Encoding,
}

/// What a checkpoint commits to: how many leaves, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root hash of the tree with that many leaves.
    pub root: Hash,
}

/// A complete subtree: the `2^level` leaves from `index · 2^level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Height above the leaves, which are level 0.
    pub level: u8,
    /// Position among the nodes of that level.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Node {
    /// Whether tiles hold this node: those of levels 0, 8, 16 and so on. The others follow from them, so a
    /// database stores only these.
    pub const fn is_stored(&self) -> bool {
        self.level.is_multiple_of(8)
    }
}

/// All of a tree that is needed to append to it and to know its root: one hash for each bit of its size.
///
/// ```
/// use ledger::{Frontier, Hash};
///
/// let mut frontier = Frontier::default();
/// let mut stored = Vec::new();
/// for entry in ["a", "b", "c"] {
///     frontier.append_each(Hash::leaf(entry.as_bytes()), |node| stored.extend(node.is_stored().then_some(node)));
/// }
/// assert_eq!(stored.len(), 3); // the leaves: no tile is full yet
/// assert_eq!(Frontier::decode(&frontier.encode())?.root(), frontier.root());
/// # Ok::<(), ledger::FrontierError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees that the size divides into, the largest (leftmost) first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        self.append_each(leaf, |_| {});
    }

    /// Appends a leaf, and names each node that it completes: the leaf itself first, then upward.
    pub fn append_each(&mut self, leaf: Hash, mut completed: impl FnMut(Node)) {
        let mut node = Node { level: 0, index: self.size, hash: leaf };
        completed(node);
        while node.index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            node =
                Node { level: node.level + 1, index: node.index >> 1, hash: Hash::node(&left, &node.hash) };
            completed(node);
        }
        self.peaks.push(node.hash);
        self.size += 1;
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root hash of the tree.
    pub fn root(&self) -> Hash {
        fold(self.peaks.iter().rev())
    }

    /// Size and root together.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }

    /// The roots of the complete subtrees, the largest first: one for each set bit of the size.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Puts a frontier together from a size and its peaks, the largest first.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge(size));
        }
        if peaks.len() != size.count_ones() as usize {
            return Err(FrontierError::Length { size, peaks: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// Reads the frontier of a tree back from its stored nodes, in at most 63 reads.
    pub fn read<R: HashReader>(reader: &R, size: u64) -> Result<Self, R::Error> {
        let peaks = complete_subtrees(0, size).map(|(level, index)| reader.read(level, index));
        Ok(Self { size, peaks: peaks.collect::<Result<_, _>>()? })
    }

    /// The bytes to persist: a version byte, the size, the peaks.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + 32 * self.peaks.len());
        bytes.push(FRONTIER_VERSION);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            bytes.extend_from_slice(&peak.0);
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (&version, rest) = bytes.split_first().ok_or(FrontierError::Truncated)?;
        if version != FRONTIER_VERSION {
            return Err(FrontierError::Version(version));
        }
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(FrontierError::Truncated)?;
        let (peaks, rest) = rest.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(FrontierError::Truncated);
        }
        Self::from_peaks(u64::from_be_bytes(*size), peaks.iter().copied().map(Hash).collect())
    }

    /// Splits off the leaves that do not fill a subtree of `2^level`: (complete subtrees, the rest).
    pub(crate) fn split(&self, level: u8) -> (Self, Self) {
        let size = self.size >> level;
        let (complete, rest) = self.peaks.split_at(size.count_ones() as usize);
        let left = self.size - (size << level);
        (Self { size, peaks: complete.to_vec() }, Self { size: left, peaks: rest.to_vec() })
    }

    /// Undoes [`split`](Self::split).
    pub(crate) fn join(&self, level: u8, rest: &Self) -> Self {
        Self { size: (self.size << level) + rest.size, peaks: [self.peaks(), rest.peaks()].concat() }
    }
}

/// Why bytes are not a [`Frontier`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrontierError {
    /// The bytes end inside a field.
    #[error("a frontier ends early")]
    Truncated,
    /// A format that this version does not know.
    #[error("unknown frontier version {0}")]
    Version(u8),
    /// The size has another number of peaks.
    #[error("a frontier of {size} leaves does not have {peaks} peaks")]
    Length {
        /// Claimed number of leaves.
        size: u64,
        /// Peaks found.
        peaks: usize,
    },
    /// The size is beyond [`MAX_SIZE`].
    #[error("a tree of {0} leaves is too large")]
    TooLarge(u64),
}

/// Reads the stored nodes of a tree.
///
/// A closure `Fn(u8, u64) -> Result<Hash, E>` is one; [`TileHashes`](crate::TileHashes) is one over tiles, and
/// [`MemoryTree`] over leaves in memory.
pub trait HashReader {
    /// What can go wrong.
    type Error;

    /// The hash of the complete subtree of `2^level` leaves that starts at leaf `index · 2^level`.
    fn read(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<F, E> HashReader for F
where
    F: Fn(u8, u64) -> Result<Hash, E>,
{
    type Error = E;

    fn read(&self, level: u8, index: u64) -> Result<Hash, E> {
        self(level, index)
    }
}

/// A tree in memory, every node kept: for small logs and for tests.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.frontier.append_each(leaf, |node| match levels.get_mut(usize::from(node.level)) {
            Some(level) => level.push(node.hash),
            None => levels.push(vec![node.hash]),
        });
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    /// The leaves, in order.
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }
}

impl FromIterator<Hash> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.append(leaf));
        tree
    }
}

impl HashReader for MemoryTree {
    type Error = MissingNode;

    fn read(&self, level: u8, index: u64) -> Result<Hash, MissingNode> {
        let nodes = self.levels.get(usize::from(level));
        let node = nodes.and_then(|nodes| nodes.get(usize::try_from(index).ok()?));
        node.copied().ok_or(MissingNode { level, index })
    }
}

/// A node that the tree does not have (yet).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the tree has no complete node {index} at level {level}")]
pub struct MissingNode {
    /// Height above the leaves.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
}

/// The root over peaks given from the smallest (rightmost) to the largest.
pub(crate) fn fold<'a>(mut smallest_first: impl Iterator<Item = &'a Hash>) -> Hash {
    let Some(last) = smallest_first.next() else { return Hash::EMPTY };
    smallest_first.fold(*last, |right, left| Hash::node(left, &right))
}

/// The complete subtrees `(level, index)` that the leaves `start..end` divide into, the largest first. `start` is
/// a multiple of the largest power of two within the range.
pub(crate) fn complete_subtrees(start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let level = (end - at).checked_ilog2()?;
        let index = at >> level;
        at += 1 << level;
        u8::try_from(level).ok().map(|level| (level, index))
    })
}

const FRONTIER_VERSION: u8 = 1;
