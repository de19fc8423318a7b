// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Checkpoints (C2SP tlog-checkpoint): the tree head that a log signs, and the cosignatures of witnesses on it
//! (C2SP tlog-cosignature, Ed25519).
//!
//! The **origin** is the log's identity. A **witness** signs a checkpoint, with the time, once it has seen that the tree only
//! grew since the last one; a log that shows two histories needs the witness to be in on it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::note::{KeyError, Note, NoteError, PublicKey, Signature, SignatureError, Signer, Verifier};
use crate::tile::parse_number;
use crate::tree::{Hash, MAX_SIZE, TreeHead};

/// What a log says of itself at one moment. Displays as the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of the log `origin` at this head.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, CheckpointError> {
        Self { origin: origin.to_owned(), head, extensions: Vec::new() }.checked()
    }

    /// Adds an extension line. The format discourages them: nothing audits what they say.
    pub fn with_extension(mut self, line: &str) -> Result<Self, CheckpointError> {
        self.extensions.push(line.to_owned());
        self.checked()
    }

    /// The log's identity.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Size and root of the tree.
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The lines after the first three.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Only what reads back as itself may be signed: a newline in a field would be another line.
    fn checked(self) -> Result<Self, CheckpointError> {
        let read: Self = self.to_string().parse()?;
        if read == self { Ok(self) } else { Err(CheckpointError::Shape) }
    }

    /// Signs it.
    pub fn sign(self, signer: &Signer) -> Result<SignedCheckpoint, NoteError> {
        let text = self.to_string();
        let signature = signer.sign(&text);
        Ok(SignedCheckpoint { note: Note::new(text, signature)?, checkpoint: self })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Shape)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Shape);
        };
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) || text.contains(is_control) {
            return Err(CheckpointError::Shape);
        }
        let size = parse_number(size).filter(|size| *size <= MAX_SIZE).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root).map_err(|_| CheckpointError::Root)?;
        if size == 0 && root != Hash::EMPTY {
            return Err(CheckpointError::Root);
        }
        Ok(Self { origin: origin.to_owned(), head: TreeHead { size, root }, extensions })
    }
}

/// Why text is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Not at least three lines, none empty, each ended by a newline, without control characters.
    #[error("a checkpoint does not have the lines it should")]
    Shape,
    /// The second line is not a tree size.
    #[error("a checkpoint has a malformed size")]
    Size,
    /// The third line is not a root hash, or not the empty tree's where it has to be.
    #[error("a checkpoint has a malformed root")]
    Root,
}

/// A checkpoint with its signatures, at least one of which was made or verified here. Displays as it travels, every
/// signature preserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads the checkpoint of the log `origin`, signed by at least one of these keys. Signatures of other keys are
    /// kept and not judged.
    pub fn open(note: &str, origin: &str, keys: &[Verifier]) -> Result<Self, OpenError> {
        let note: Note = note.parse()?;
        note.verify(keys)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        if checkpoint.origin != origin {
            return Err(OpenError::Origin(checkpoint.origin));
        }
        Ok(Self { checkpoint, note })
    }

    /// What was signed.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Size and root of the tree.
    pub const fn head(&self) -> TreeHead {
        self.checkpoint.head
    }

    /// Text and signatures.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a signature or cosignature, unverified.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        self.note.add(signature)
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

/// Why a signed checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not signed by a trusted key.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The signed text is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint of another log.
    #[error("a checkpoint of another log: {0}")]
    Origin(String),
}

/// Signs checkpoints as a witness: Ed25519 with the time.
#[derive(Debug, Clone)]
pub struct Cosigner(Signer);

impl Cosigner {
    /// The witness of this name and 32-byte Ed25519 seed. The name is not signed, so no two witnesses share a key.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Signer::from_seed(name, seed).map(Self)
    }

    /// The public half.
    pub fn verifier(&self) -> CosignatureVerifier {
        CosignatureVerifier(self.0.public_key(COSIGNATURE_V1))
    }

    /// States that at `time`, in seconds since 1970, this was the largest tree seen of its log, and that it only
    /// grew. Whoever calls has checked that.
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Signature {
        let key = self.0.public_key(COSIGNATURE_V1);
        let signature = self.0.sign_bytes(cosigned(&checkpoint.to_string(), time).as_bytes());
        Signature {
            key_name: key.name,
            key_id: key.id,
            bytes: [&time.to_be_bytes()[..], &signature].concat(),
        }
    }
}

/// The public half of a [`Cosigner`]. Displays as its vkey, and is read from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignatureVerifier(PublicKey);

impl CosignatureVerifier {
    /// The verifier of this name and 32-byte Ed25519 public key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        PublicKey::from_bytes(name, COSIGNATURE_V1, public_key).map(Self)
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Checks that this witness cosigned the checkpoint; when, in seconds since 1970.
    pub fn verify(&self, checkpoint: &SignedCheckpoint) -> Result<u64, SignatureError> {
        let note = &checkpoint.note;
        let signature = note.signature_of(&self.0.name, self.0.id).ok_or(SignatureError::Unsigned)?;
        let invalid = || SignatureError::Invalid(self.0.name.clone());
        let (time, bytes) = signature.bytes.split_first_chunk().ok_or_else(invalid)?;
        let time = u64::from_be_bytes(*time);
        if time > MAX_TIME {
            return Err(invalid());
        }
        self.0.verify(cosigned(note.text(), time).as_bytes(), bytes)?;
        Ok(time)
    }
}

impl fmt::Display for CosignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CosignatureVerifier {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        PublicKey::from_vkey(vkey, COSIGNATURE_V1).map(Self)
    }
}

/// The message that a witness signs.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn is_control(c: char) -> bool {
    c < ' ' && c != '\n'
}

/// Signature type of Ed25519 cosignatures with a time.
const COSIGNATURE_V1: u8 = 0x04;
/// The format's largest time.
const MAX_TIME: u64 = i64::MAX as u64;
