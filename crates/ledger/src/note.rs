// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signed notes (C2SP signed-note): text, then a line for each signature.
//!
//! A **key name** and a **key id** (four bytes of a hash over name, type and public key) say which key a signature
//! claims to be of. A **vkey** is the line of text in which a public key is handed around.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The longest note that is read.
pub const MAX_NOTE_BYTES: usize = 1_000_000;
/// The most signatures that a note may carry.
pub const MAX_SIGNATURES: usize = 100;

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key.
    pub key_name: String,
    /// Id of the key.
    pub key_id: u32,
    /// What the key's algorithm made of the text.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.key_id.to_be_bytes()[..], &self.bytes].concat();
        write!(f, "— {} {}", self.key_name, BASE64.encode(blob))
    }
}

impl FromStr for Signature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let (name, blob) =
            line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(NoteError::SignatureLine)?;
        if !is_key_name(name) {
            return Err(NoteError::SignatureLine);
        }
        let blob = BASE64.decode(blob).map_err(|_| NoteError::SignatureLine)?;
        match blob.split_first_chunk() {
            Some((key_id, bytes)) if !bytes.is_empty() => Ok(Self {
                key_name: name.to_owned(),
                key_id: u32::from_be_bytes(*key_id),
                bytes: bytes.to_vec(),
            }),
            _ => Err(NoteError::SignatureLine),
        }
    }
}

/// Text with signatures, none of which has been verified by reading it. Displays as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note of this text, which ends in a newline, with one signature.
    pub fn new(text: String, signature: Signature) -> Result<Self, NoteError> {
        if !text.ends_with('\n') || !is_clean(&text) {
            return Err(NoteError::Text);
        }
        let mut note = Self { text, signatures: Vec::new() };
        note.add(signature)?;
        Ok(note)
    }

    /// The signed text, its last newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in their order, those of unknown keys included.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature; each key signs once.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        if !is_key_name(&signature.key_name) || signature.bytes.is_empty() {
            return Err(NoteError::SignatureLine);
        }
        if self.signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        if self.signature_of(&signature.key_name, signature.key_id).is_some() {
            return Err(NoteError::DuplicateSignature(signature.key_name));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Checks that at least one of these keys signed the text, and that none of them has a bad signature on it.
    pub fn verify(&self, keys: &[Verifier]) -> Result<(), SignatureError> {
        let mut known = 0;
        for key in keys {
            let Some(signature) = self.signature_of(key.name(), key.key_id()) else { continue };
            key.verify(self.text.as_bytes(), &signature.bytes)?;
            known += 1;
        }
        if known > 0 { Ok(()) } else { Err(SignatureError::Unsigned) }
    }

    /// The signature that claims to be of this key.
    pub(crate) fn signature_of(&self, name: &str, id: u32) -> Option<&Signature> {
        self.signatures.iter().find(|signature| signature.key_id == id && signature.key_name == name)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong(note.len()));
        }
        if !is_clean(note) {
            return Err(NoteError::Text);
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let mut parsed = Self { text: format!("{text}\n"), signatures: Vec::new() };
        lines.split('\n').try_for_each(|line| parsed.add(line.parse()?))?;
        Ok(parsed)
    }
}

/// Why text is not a signed note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("a note of {0} bytes is too long")]
    TooLong(usize),
    /// The text has control characters other than newlines, or does not end in one.
    #[error("a note has text that may not be signed")]
    Text,
    /// No blank line with signatures after it.
    #[error("a note has no signatures")]
    NoSignatures,
    /// A signature line that is not `— <name> <base64>`.
    #[error("a note has a malformed signature line")]
    SignatureLine,
    /// More than [`MAX_SIGNATURES`].
    #[error("a note has too many signatures")]
    TooManySignatures,
    /// Two signatures of one key.
    #[error("a note has two signatures of {0}")]
    DuplicateSignature(String),
}

/// Why a note is not accepted as signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// None of the keys asked for signed it.
    #[error("no trusted key signed")]
    Unsigned,
    /// A signature that claims to be of a trusted key is not.
    #[error("the signature of {0} is invalid")]
    Invalid(String),
}

/// Signs notes with Ed25519 under a name. Its key is erased from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// The signer of this name and 32-byte Ed25519 seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let name = if is_key_name(name) { name.to_owned() } else { return Err(KeyError::Name) };
        Ok(Self { name, key: SigningKey::from_bytes(seed) })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half.
    pub fn verifier(&self) -> Verifier {
        Verifier(PublicKey::new(&self.name, ED25519, self.key.verifying_key()))
    }

    /// Signs a note's text.
    pub fn sign(&self, text: &str) -> Signature {
        Signature {
            key_name: self.name.clone(),
            key_id: self.verifier().key_id(),
            bytes: self.sign_bytes(text.as_bytes()).to_vec(),
        }
    }

    pub(crate) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    pub(crate) fn public_key(&self, algorithm: u8) -> PublicKey {
        PublicKey::new(&self.name, algorithm, self.key.verifying_key())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier())
    }
}

/// The public half of a [`Signer`]. Displays as its vkey, and is read from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier(PublicKey);

impl Verifier {
    /// The verifier of this name and 32-byte Ed25519 public key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        PublicKey::from_bytes(name, ED25519, public_key).map(Self)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The key's id.
    pub const fn key_id(&self) -> u32 {
        self.0.id
    }

    /// Checks the bytes of a signature over `text`.
    fn verify(&self, text: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.0.verify(text, signature)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Verifier {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        PublicKey::from_vkey(vkey, ED25519).map(Self)
    }
}

/// Why text or bytes are not a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A key name is not empty and has neither spaces nor `+` nor control characters.
    #[error("not the name of a key")]
    Name,
    /// Not of the form `<name>+<id>+<key>`.
    #[error("a verifier key is malformed")]
    Shape,
    /// The id is not the one of this name and key.
    #[error("a verifier key has an id that is not its own")]
    Id,
    /// A key of another type than the one asked for.
    #[error("a verifier key is of type {0}, which does not belong here")]
    Algorithm(u8),
    /// Not a usable Ed25519 public key.
    #[error("not an Ed25519 public key")]
    PublicKey,
}

/// A named Ed25519 public key of one of the signature types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(crate) name: String,
    pub(crate) id: u32,
    algorithm: u8,
    key: VerifyingKey,
}

impl PublicKey {
    fn new(name: &str, algorithm: u8, key: VerifyingKey) -> Self {
        let digest =
            Sha256::new_with_prefix(name).chain_update([b'\n', algorithm]).chain_update(key.as_bytes());
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
        Self { name: name.to_owned(), id: u32::from_be_bytes([a, b, c, d]), algorithm, key }
    }

    pub(crate) fn from_bytes(name: &str, algorithm: u8, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name);
        }
        let key = VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak());
        key.map(|key| Self::new(name, algorithm, key)).ok_or(KeyError::PublicKey)
    }

    pub(crate) fn from_vkey(vkey: &str, algorithm: u8) -> Result<Self, KeyError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Shape);
        };
        let bytes = BASE64.decode(key).map_err(|_| KeyError::Shape)?;
        let (&found, key) = bytes.split_first().ok_or(KeyError::Shape)?;
        if found != algorithm {
            return Err(KeyError::Algorithm(found));
        }
        let parsed = Self::from_bytes(name, algorithm, key.try_into().map_err(|_| KeyError::PublicKey)?)?;
        if format!("{:08x}", parsed.id) == id { Ok(parsed) } else { Err(KeyError::Id) }
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let invalid = || SignatureError::Invalid(self.name.clone());
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| invalid())?;
        self.key.verify_strict(message, &signature).map_err(|_| invalid())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm][..], self.key.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, BASE64.encode(key))
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && is_clean(name) && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// Whether text has no ASCII control characters but newlines.
fn is_clean(text: &str) -> bool {
    !text.bytes().any(|byte| byte < 0x20 && byte != b'\n')
}

/// Signature type of Ed25519 over the text itself.
const ED25519: u8 = 0x01;
