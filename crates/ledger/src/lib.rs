// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Merkle log arithmetic: leaves, tiles, checkpoints, proofs and their verification.
//!
//! Every change in Bailiwick leaves a record, and the records of a tenant form a log that only grows. This
//! crate is what makes "only grows" checkable by someone who does not trust the database or whoever runs it. It holds no
//! data, reads no clock and does no I/O, so the server, the command line and the browser run the same code.
//!
//! # The words
//!
//! - A **record** is a header (who did what, when, to what) and a sealed payload. Its **entry** in the log is
//!   the header and the payload's hash; its **leaf** is the hash of the entry: [`record`].
//! - The **tree** is RFC 6962's over the leaves. A **node** is a complete subtree of it. A **frontier** is what is
//!   needed to append: [`Frontier`].
//! - A **tile** is 256 nodes in one file (C2SP tlog-tiles): [`Tile`], [`EntryBundle`].
//! - A **head** is a size and a root. A **checkpoint** is a head under a log's name, signed as a note (C2SP
//!   tlog-checkpoint, signed-note): [`Checkpoint`], [`Signer`], [`Verifier`]. A **witness** cosigns it (C2SP
//!   tlog-cosignature): [`Cosigner`].
//! - A **proof** shows that a leaf is under a head, or that one head grew out of another: [`InclusionProof`],
//!   [`ConsistencyProof`].
//! - A **verification** holds records, stored tree and heads against each other, and names what was tampered
//!   with: [`Verification`].
//!
//! # What is guaranteed
//!
//! - Under a head there is exactly one sequence of entries, unless SHA-256 collides. What was checked against a
//!   signed head is what was logged.
//! - Whoever keeps an old head notices any change to what it covers, even by the log's own key.
//! - Every encoding is strict: one value, one spelling. Nothing here panics on what it is given to read.
//!
//! Not guaranteed: that the log shows everyone the same checkpoints (witnesses do that), or that a record told the
//! truth when it was written.
//!
//! # Example
//!
//! ```
//! use ledger::{Checkpoint, InclusionProof, MemoryTree, RecordHeader, SignedCheckpoint, Signer, Verifier, record};
//!
//! // The log: a record becomes a leaf, the tree's head is signed.
//! let header = RecordHeader {
//!     tenant: [1; 16],
//!     id: [2; 16],
//!     at: 1_790_000_000_000,
//!     actor: "acc_7F3KQ2M".into(),
//!     via: String::new(),
//!     action: "item.write".into(),
//!     subject: "itm_9".into(),
//!     corrects: None,
//!     request: "req_1".into(),
//! };
//! let leaf = record::leaf_hash(&header.encode()?, &record::payload_hash(b"sealed bytes"));
//! let mut tree = MemoryTree::default();
//! tree.append(leaf);
//! let signer = Signer::from_seed("example.com/log", &[7; 32])?;
//! let checkpoint = Checkpoint::new("example.com/log", tree.head())?.sign(&signer)?;
//! let proof = InclusionProof::prove(&tree, 0, tree.head().size)?;
//!
//! // Anyone: with the log's public key, the checkpoint and the proof, the record is beyond doubt.
//! let key: Verifier = signer.verifier().to_string().parse()?;
//! let checkpoint = SignedCheckpoint::open(&checkpoint.to_string(), "example.com/log", &[key])?;
//! proof.verify(0, &leaf, &checkpoint.head())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod note;
mod proof;
pub mod record;
mod tile;
mod tree;
mod verify;

pub use checkpoint::{
    Checkpoint, CheckpointError, CosignatureVerifier, Cosigner, OpenError, SignedCheckpoint,
};
pub use note::{
    KeyError, MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, Signature, SignatureError, Signer, Verifier,
};
pub use proof::{ConsistencyError, ConsistencyProof, InclusionError, InclusionProof, ProveError, read_root};
pub use record::RecordHeader;
pub use tile::{
    BundleError, EntryBundle, EntryTooLong, FULL_WIDTH, Tile, TileError, TileHashes, TilePathError,
    TileReadError,
};
pub use tree::{
    Frontier, FrontierError, Hash, HashError, HashReader, MAX_SIZE, MemoryTree, MissingNode, Node, TreeHead,
};
pub use verify::{Finding, Record, Report, Verification};
