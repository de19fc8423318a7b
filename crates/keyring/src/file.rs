// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Encrypted files of any size: sealed and opened chunk by chunk, in any order.
//!
//! ```text
//! file    header ‖ chunk 0 ‖ chunk 1 ‖ … ‖ last chunk
//! header  version(1) ‖ suite(1) ‖ salt(32) ‖ commitment(32)
//! chunk   prefix(19) ‖ ciphertext(≤ 256 KiB) ‖ tag(16)
//! ```
//!
//! The STREAM construction over XChaCha20-Poly1305: a chunk's nonce is its prefix, its number (4 bytes) and whether it
//! is the last (1 byte). So a chunk that is moved, left out, cut off or taken from another file does not open. The
//! file's key comes from the item's key, the file's id and the salt, so two uploads never share one; the commitment
//! lets a wrong key be told before the first chunk.
//!
//! The prefix is random per chunk, where STREAM has one per file: an upload that broke off may seal a chunk again,
//! and if the file changed in between, that must not encrypt two texts under one nonce.
//!
//! Put the header into the item that describes the file as well: then a server cannot answer with an older upload.

use std::ops::Range;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::collection::ItemKey;
use crate::id::FileId;
use crate::sealed::encrypt_onto;
use crate::secret::derive;

/// How many bytes of the file are in one chunk; the last has fewer, none only if the file is empty.
pub const CHUNK: u64 = 256 * 1024;

/// How many bytes sealing adds to each chunk.
pub const CHUNK_OVERHEAD: u64 = (PREFIX + TAG) as u64;

/// How many bytes precede the first chunk.
pub const HEADER_LEN: usize = 2 + SALT + COMMITMENT;

/// The longest file: 2³² chunks, a pebibyte.
pub const MAX_FILE: u64 = CHUNK << 32;

/// How many chunks a file of that length has. At least one.
///
/// # Errors
/// [`FileError::TooLong`].
pub fn chunks(plaintext_len: u64) -> Result<u64, FileError> {
    if plaintext_len > MAX_FILE {
        return Err(FileError::TooLong);
    }
    Ok(plaintext_len.div_ceil(CHUNK).max(1))
}

/// How long a sealed file is, header included.
///
/// # Errors
/// [`FileError::TooLong`].
pub fn sealed_len(plaintext_len: u64) -> Result<u64, FileError> {
    let chunks = chunks(plaintext_len)?;
    Ok(HEADER_LEN as u64 + plaintext_len + chunks * CHUNK_OVERHEAD)
}

/// How long the file within a sealed file is.
///
/// # Errors
/// [`FileError::WrongLength`] for a length that no sealed file has.
pub fn plaintext_len(sealed_len: u64) -> Result<u64, FileError> {
    let body = sealed_len.checked_sub(HEADER_LEN as u64).ok_or(FileError::WrongLength)?;
    let chunks = body.div_ceil(SEALED_CHUNK);
    let plaintext = chunks.checked_mul(CHUNK_OVERHEAD).and_then(|overhead| body.checked_sub(overhead));
    let plaintext = plaintext.ok_or(FileError::WrongLength)?;
    match self::sealed_len(plaintext) {
        Ok(length) if length == sealed_len => Ok(plaintext),
        _ => Err(FileError::WrongLength),
    }
}

/// Seals a file, chunk by chunk.
pub struct FileSealer {
    file: FileKey,
    plaintext_len: u64,
}

impl FileSealer {
    /// Begins a new upload.
    ///
    /// # Errors
    /// [`FileError::TooLong`].
    pub fn new(
        item: &ItemKey,
        file: &FileId,
        plaintext_len: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, FileError> {
        chunks(plaintext_len)?;
        let mut salt = [0; SALT];
        rng.fill_bytes(&mut salt);
        Ok(Self { file: FileKey::derive(item, file, &salt), plaintext_len })
    }

    /// Goes on with an upload that broke off, by the header it began with.
    ///
    /// # Errors
    /// [`FileError::WrongKey`] when the header belongs to another item or file.
    pub fn resume(
        item: &ItemKey,
        file: &FileId,
        header: &[u8],
        plaintext_len: u64,
    ) -> Result<Self, FileError> {
        chunks(plaintext_len)?;
        Ok(Self { file: FileKey::from_header(item, file, header)?, plaintext_len })
    }

    /// The bytes that precede the first chunk.
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        &self.file.header
    }

    /// How many chunks there are to seal.
    pub fn chunks(&self) -> u64 {
        chunk_count(self.plaintext_len)
    }

    /// How long the sealed file will be.
    pub fn sealed_len(&self) -> u64 {
        HEADER_LEN as u64 + self.plaintext_len + self.chunks() * CHUNK_OVERHEAD
    }

    /// Where in the file the plaintext of a chunk is.
    ///
    /// # Errors
    /// [`FileError::NoSuchChunk`].
    pub fn plaintext_range(&self, index: u64) -> Result<Range<u64>, FileError> {
        plaintext_range(index, self.plaintext_len)
    }

    /// Seals one chunk; any order, any chunk again.
    ///
    /// # Errors
    /// [`FileError::WrongLength`] when the plaintext is not as long as that chunk must be.
    pub fn seal_chunk(
        &self,
        index: u64,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, FileError> {
        let mut chunk = Vec::with_capacity(plaintext.len() + PREFIX + TAG);
        self.seal_chunk_onto(index, plaintext, rng, &mut chunk)?;
        Ok(chunk)
    }

    /// The same onto the end of what is there.
    ///
    /// # Errors
    /// As [`seal_chunk`](Self::seal_chunk); nothing was added then.
    pub fn seal_chunk_onto(
        &self,
        index: u64,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
        sealed: &mut Vec<u8>,
    ) -> Result<(), FileError> {
        let range = plaintext_range(index, self.plaintext_len)?;
        if plaintext.len() as u64 != range.end - range.start {
            return Err(FileError::WrongLength);
        }
        let mut prefix = [0; PREFIX];
        rng.fill_bytes(&mut prefix);
        let nonce = nonce(&prefix, index, range.end == self.plaintext_len);
        sealed.extend_from_slice(&prefix);
        self.file.encrypt_onto(&nonce, plaintext, sealed);
        Ok(())
    }
}

/// Opens a sealed file, chunk by chunk.
pub struct FileOpener {
    file: FileKey,
    plaintext_len: u64,
}

impl FileOpener {
    /// Takes the file's header and the length of the whole sealed file, header included.
    ///
    /// # Errors
    /// [`FileError::WrongKey`] when the file belongs to another item, id or key; otherwise what is wrong with the
    /// header or the length.
    pub fn new(item: &ItemKey, file: &FileId, header: &[u8], sealed_len: u64) -> Result<Self, FileError> {
        Ok(Self {
            file: FileKey::from_header(item, file, header)?,
            plaintext_len: plaintext_len(sealed_len)?,
        })
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> u64 {
        chunk_count(self.plaintext_len)
    }

    /// How long the file is.
    pub fn plaintext_len(&self) -> u64 {
        self.plaintext_len
    }

    /// Where in the sealed file a chunk is.
    ///
    /// # Errors
    /// [`FileError::NoSuchChunk`].
    pub fn sealed_range(&self, index: u64) -> Result<Range<u64>, FileError> {
        let plaintext = plaintext_range(index, self.plaintext_len)?;
        let start = HEADER_LEN as u64 + index * SEALED_CHUNK;
        Ok(start..start + (plaintext.end - plaintext.start) + CHUNK_OVERHEAD)
    }

    /// Which chunks to fetch for a range of the file's bytes. Clipped to the file; `None` if nothing remains.
    pub fn chunks_for(&self, range: Range<u64>) -> Option<ChunkSpan> {
        let end = range.end.min(self.plaintext_len);
        if range.start >= end {
            return None;
        }
        let (first, last) = (range.start / CHUNK, (end - 1) / CHUNK);
        let sealed_end =
            HEADER_LEN as u64 + self.plaintext_len.min((last + 1) * CHUNK) + (last + 1) * CHUNK_OVERHEAD;
        Some(ChunkSpan {
            chunks: first..last + 1,
            sealed: HEADER_LEN as u64 + first * SEALED_CHUNK..sealed_end,
            skip: range.start - first * CHUNK,
            take: end - range.start,
        })
    }

    /// Opens one chunk.
    ///
    /// # Errors
    /// [`FileError::WrongLength`] when it is not as long as that chunk must be, [`FileError::Damaged`] when it is not
    /// that chunk of this file, unchanged.
    pub fn open_chunk(&self, index: u64, chunk: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let mut chunk = Zeroizing::new(chunk.to_vec());
        let plaintext = self.open_chunk_in_place(index, &mut chunk)?.len();
        chunk.truncate(PREFIX + plaintext);
        chunk.drain(..PREFIX);
        Ok(chunk)
    }

    /// The same in the memory where the chunk is, which the caller erases.
    ///
    /// # Errors
    /// As [`open_chunk`](Self::open_chunk); what is in that memory is of no use then.
    pub fn open_chunk_in_place<'c>(&self, index: u64, chunk: &'c mut [u8]) -> Result<&'c [u8], FileError> {
        let range = plaintext_range(index, self.plaintext_len)?;
        if chunk.len() as u64 != range.end - range.start + CHUNK_OVERHEAD {
            return Err(FileError::WrongLength);
        }
        let (prefix, rest) = chunk.split_first_chunk_mut::<PREFIX>().ok_or(FileError::WrongLength)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(FileError::WrongLength)?;
        let nonce = nonce(prefix, index, range.end == self.plaintext_len);
        let tag = (&*tag).into();
        self.file
            .cipher
            .decrypt_inout_detached(&nonce.into(), &self.file.header, (&mut *body).into(), tag)
            .map_err(|_| FileError::Damaged)?;
        Ok(body)
    }
}

/// What to fetch for a range of a file, and what of it to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSpan {
    /// The chunks' numbers.
    pub chunks: Range<u64>,
    /// Where they are in the sealed file.
    pub sealed: Range<u64>,
    /// How many bytes of the first opened chunk precede the range.
    pub skip: u64,
    /// How many bytes the range has, clipped to the file.
    pub take: u64,
}

/// Why a file, or a chunk of it, was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Written by a newer Bailiwick, or no sealed file.
    #[error("a sealed file of the unknown version {0}")]
    UnknownVersion(u8),
    /// A suite that this code does not open.
    #[error("a sealed file of the unknown cipher suite {0}")]
    UnknownSuite(u8),
    /// The header is not 66 bytes long.
    #[error("the header of a sealed file has the wrong length")]
    WrongHeader,
    /// The header was made under another key or for another file.
    #[error("a sealed file of another item, or under another key")]
    WrongKey,
    /// Beyond a pebibyte.
    #[error("the file is too long")]
    TooLong,
    /// The file or the chunk cannot have this length: something is missing or too much.
    #[error("the file or chunk has the wrong length")]
    WrongLength,
    /// The file has fewer chunks.
    #[error("the file has no chunk of this number")]
    NoSuchChunk,
    /// The chunk was changed, moved, or belongs to another file.
    #[error("a chunk of the file is damaged or not in its place")]
    Damaged,
}

/// The key of one upload, and the header that leads to it.
struct FileKey {
    cipher: XChaCha20Poly1305,
    header: [u8; HEADER_LEN],
}

impl FileKey {
    /// Compiled here, with this crate's optimisation: what is generic is compiled where it is used, and a caller that is compiled for
    /// size would have a cipher of half the speed.
    #[inline(never)]
    fn encrypt_onto(&self, nonce: &[u8; 24], plaintext: &[u8], sealed: &mut Vec<u8>) {
        encrypt_onto(&self.cipher, &(*nonce).into(), &self.header, plaintext, sealed);
    }

    fn derive(item: &ItemKey, file: &FileId, salt: &[u8; SALT]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let mut commitment = [0; COMMITMENT];
        let parts: &[&[u8]] = &[&[VERSION, SUITE], file.as_bytes()];
        derive(item.expose(), salt, "file/key", parts, key.as_mut_slice());
        derive(item.expose(), salt, "file/commitment", parts, &mut commitment);

        let mut header = [0; HEADER_LEN];
        let fields = [VERSION, SUITE].into_iter().chain(*salt).chain(commitment);
        for (to, from) in header.iter_mut().zip(fields) {
            *to = from;
        }
        Self { cipher: XChaCha20Poly1305::new((&*key).into()), header }
    }

    fn from_header(item: &ItemKey, file: &FileId, header: &[u8]) -> Result<Self, FileError> {
        let (&version, rest) = header.split_first().ok_or(FileError::WrongHeader)?;
        if version != VERSION {
            return Err(FileError::UnknownVersion(version));
        }
        let (&suite, rest) = rest.split_first().ok_or(FileError::WrongHeader)?;
        if suite != SUITE {
            return Err(FileError::UnknownSuite(suite));
        }
        let (salt, commitment) = rest.split_first_chunk::<SALT>().ok_or(FileError::WrongHeader)?;
        if commitment.len() != COMMITMENT {
            return Err(FileError::WrongHeader);
        }
        let derived = Self::derive(item, file, salt);
        if bool::from(derived.header.as_slice().ct_eq(header)) {
            Ok(derived)
        } else {
            Err(FileError::WrongKey)
        }
    }
}

fn chunk_count(plaintext_len: u64) -> u64 {
    plaintext_len.div_ceil(CHUNK).max(1)
}

fn plaintext_range(index: u64, plaintext_len: u64) -> Result<Range<u64>, FileError> {
    if index >= chunk_count(plaintext_len) {
        return Err(FileError::NoSuchChunk);
    }
    let start = index * CHUNK;
    Ok(start..plaintext_len.min(start + CHUNK))
}

fn nonce(prefix: &[u8; PREFIX], index: u64, last: bool) -> [u8; 24] {
    let [_, _, _, _, index @ ..] = index.to_be_bytes();
    let mut nonce = [0; 24];
    for (to, from) in nonce.iter_mut().zip(prefix.iter().copied().chain(index).chain([u8::from(last)])) {
        *to = from;
    }
    nonce
}

const VERSION: u8 = 1;
/// XChaCha20-Poly1305 in chunks.
const SUITE: u8 = 3;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
const PREFIX: usize = 19;
const TAG: usize = 16;
const SEALED_CHUNK: u64 = CHUNK + CHUNK_OVERHEAD;
