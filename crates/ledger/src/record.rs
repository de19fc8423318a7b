// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The record: what is known about a change, in the one encoding that the log commits to.
//!
//! A **header** says who did what to which subject, when and through what. It holds identifiers only. The
//! **payload** is the sealed detail, of which the log sees no more than the SHA-256 of the sealed bytes: erasing the
//! key that opens it leaves every proof intact. **Entry** = header ‖ payload hash, and the leaf is RFC 6962's leaf of the entry.
//!
//! Encoding, version 1: a version byte, then each field in the order of [`RecordHeader`], as a big-endian `u16`
//! length and that many bytes; times are big-endian two's complement. An absent `corrects` has length 0. One header has exactly one encoding.

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::tree::Hash;

/// The longest encoded header: with the payload hash it fills an entry of the 65,535 bytes that a C2SP entry
/// bundle can hold.
pub const MAX_HEADER_BYTES: usize = 65_535 - 32;

/// Who did what, to what, when, through what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The tenant whose log this is.
    pub tenant: [u8; 16],
    /// The record's own id, a UUIDv7.
    pub id: [u8; 16],
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who: an account id, `visitor` or `system`.
    pub actor: String,
    /// Through which session or credential; empty if none.
    pub via: String,
    /// What was done, such as `item.write`.
    pub action: String,
    /// What it was done to: an opaque id.
    pub subject: String,
    /// The earlier record that this one corrects.
    pub corrects: Option<[u8; 16]>,
    /// The id of the request that did it.
    pub request: String,
}

impl RecordHeader {
    /// The canonical bytes. Only a header longer than [`MAX_HEADER_BYTES`] has none.
    pub fn encode(&self) -> Result<Vec<u8>, HeaderTooLong> {
        let at = self.at.to_be_bytes();
        let fields: [&[u8]; 9] = [
            &self.tenant,
            &self.id,
            &at,
            self.actor.as_bytes(),
            self.via.as_bytes(),
            self.action.as_bytes(),
            self.subject.as_bytes(),
            self.corrects.as_ref().map_or(&[], |id| id.as_slice()),
            self.request.as_bytes(),
        ];
        let length = fields.iter().fold(1, |sum: usize, field| sum.saturating_add(2 + field.len()));
        if length > MAX_HEADER_BYTES {
            return Err(HeaderTooLong(length));
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.push(HEADER_VERSION);
        for field in fields {
            let prefix = u16::try_from(field.len()).map_err(|_| HeaderTooLong(length))?;
            bytes.extend_from_slice(&prefix.to_be_bytes());
            bytes.extend_from_slice(field);
        }
        Ok(bytes)
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLong(bytes.len()));
        }
        let (&version, rest) = bytes.split_first().ok_or(HeaderError::Empty)?;
        if version != HEADER_VERSION {
            return Err(HeaderError::Version(version));
        }
        let mut fields = Fields(rest);
        let header = Self {
            tenant: fields.array("tenant")?,
            id: fields.array("id")?,
            at: i64::from_be_bytes(fields.array("at")?),
            actor: fields.text("actor")?,
            via: fields.text("via")?,
            action: fields.text("action")?,
            subject: fields.text("subject")?,
            corrects: fields.optional_array("corrects")?,
            request: fields.text("request")?,
        };
        if fields.0.is_empty() { Ok(header) } else { Err(HeaderError::TrailingBytes(fields.0.len())) }
    }
}

/// SHA-256 of a record's sealed payload.
pub fn payload_hash(sealed: &[u8]) -> [u8; 32] {
    Sha256::digest(sealed).into()
}

/// What a record of many requests says of them in its subject: `SHA-256` of a label and their text. The text has random bytes in
/// it, so who sees the record alone cannot guess at it.
pub fn requests_hash(text: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(b"bailiwick/v1/requests\0").chain_update(text).finalize().into()
}

/// The log entry of a record: its encoded header, then the hash of its sealed payload.
pub fn entry(header: &[u8], payload_hash: &[u8; 32]) -> Vec<u8> {
    [header, payload_hash].concat()
}

/// Takes an entry apart into encoded header and payload hash; `None` if it is too short to be one.
pub fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8; 32])> {
    entry.split_last_chunk()
}

/// The leaf of a record: `SHA-256(0x00 ‖ header ‖ payload hash)`.
pub fn leaf_hash(header: &[u8], payload_hash: &[u8; 32]) -> Hash {
    Hash::leaf_of_parts(&[header, payload_hash])
}

/// A header with more than [`MAX_HEADER_BYTES`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a record header of {0} bytes does not fit a log entry")]
pub struct HeaderTooLong(pub usize);

/// Why bytes are not a record header.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// No bytes at all.
    #[error("a record header is empty")]
    Empty,
    /// A format that this version does not know.
    #[error("unknown record header version {0}")]
    Version(u8),
    /// Longer than [`MAX_HEADER_BYTES`].
    #[error("a record header of {0} bytes is too long")]
    TooLong(usize),
    /// The bytes end inside the field.
    #[error("a record header ends inside `{0}`")]
    Truncated(&'static str),
    /// The field has a fixed length, and this is another.
    #[error("`{field}` of a record header cannot have {length} bytes")]
    Length {
        /// Which field.
        field: &'static str,
        /// The length it claims.
        length: usize,
    },
    /// The field is not UTF-8.
    #[error("`{0}` of a record header is not UTF-8")]
    NotUtf8(&'static str),
    /// Bytes are left after the last field.
    #[error("{0} bytes follow a record header")]
    TrailingBytes(usize),
}

/// What is left to read of a header.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn text(&mut self, field: &'static str) -> Result<String, HeaderError> {
        let bytes = self.bytes(field)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| HeaderError::NotUtf8(field))
    }

    fn optional_array(&mut self, field: &'static str) -> Result<Option<[u8; 16]>, HeaderError> {
        match self.bytes(field)? {
            [] => Ok(None),
            bytes => exactly(field, bytes).map(Some),
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], HeaderError> {
        exactly(field, self.bytes(field)?)
    }

    fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], HeaderError> {
        let (length, rest) = self.0.split_first_chunk().ok_or(HeaderError::Truncated(field))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, rest) = rest.split_at_checked(length).ok_or(HeaderError::Truncated(field))?;
        self.0 = rest;
        Ok(value)
    }
}

fn exactly<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], HeaderError> {
    bytes.try_into().map_err(|_| HeaderError::Length { field, length: bytes.len() })
}

const HEADER_VERSION: u8 = 1;
