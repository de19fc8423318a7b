// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that come from a page and go to one, with no disk in between.
//!
//! A browser gives a file's bytes by ranges and takes them in pieces, so that neither is ever in memory whole: a chunk is read,
//! sealed and sent before the next one is read.

use std::io::{self, Write};
use std::path::PathBuf;

use keyring::SystemRng;
use keyring::file::{FileSealer, sealed_len};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::content::{Content, MAX_INLINE, StoredFile};
use super::download::{open_span, opener, spans};
use super::{Drive, DriveError, Entry, GetError, Index, MAX_TRIES, PutError, RemotePath, check_free};
use crate::client::objects::Expected;
use crate::place;

/// A file that a page has.
pub trait Source {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// When it was changed, in Unix milliseconds.
    fn modified_ms(&self) -> Option<i64>;

    /// Its bytes from `from` up to, without, `to`.
    ///
    /// # Errors
    /// When the page cannot read it any more.
    fn read(&self, from: u64, to: u64) -> impl Future<Output = io::Result<Zeroizing<Vec<u8>>>>;
}

impl Drive {
    /// Puts a file. What the drive has of that name is replaced; a name that a folder of `known` has is refused. `progress` is
    /// told of bytes that were sent. The item's version.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_from(
        &self,
        source: &impl Source,
        path: &RemotePath,
        known: &Index,
        progress: &dyn Fn(u64),
    ) -> Result<u64, PutError> {
        if path.is_root() {
            return Err(PutError::NoName);
        }
        check_free(&known.files, path)?;
        for _ in 1..MAX_TRIES {
            match self.put_from_once(source, path, progress).await {
                // The collection has another key since: all of it comes again.
                Err(PutError::Drive(DriveError::KeyOutdated)) => {}
                put => return put,
            }
        }
        self.put_from_once(source, path, progress).await
    }

    async fn put_from_once(
        &self,
        source: &impl Source,
        path: &RemotePath,
        progress: &dyn Fn(u64),
    ) -> Result<u64, PutError> {
        let expected = match self.find_file(path).await? {
            Some(entry) => Expected::Version(entry.version),
            None => Expected::Absent,
        };
        let size = source.size();
        let mut content = Content::new(path, size, [0; 32]);
        content.modified_ms = source.modified_ms();
        if size <= MAX_INLINE as u64 {
            let data = read(source, path, 0, size).await?;
            content.sha256 = <[u8; 32]>::from(Sha256::digest(&data)).into();
            content.data = Some(data.as_slice().into());
            let version = self.store(&content, expected, None, true).await?;
            progress(size);
            return Ok(version);
        }

        let open = self.opened()?;
        let item = open.keys.for_names().item_id_for_name(&content.path);
        let key = open.keys.newest().item_key(&item);
        let client = &self.account.client;
        let sealed = sealed_len(size).map_err(PutError::Seal)?;
        let upload = client.begin_upload(open.id, sealed).await.map_err(DriveError::from)?;
        let sealer =
            FileSealer::new(&key, &place::file(upload.id), size, &mut SystemRng).map_err(PutError::Seal)?;
        let part_size = usize::try_from(upload.part_size.max(1)).unwrap_or(usize::MAX);
        let (mut hash, mut number, mut part) = (Sha256::new(), 0, sealer.header().to_vec());
        let mut sealed_of = 0;
        for index in 0..sealer.chunks() {
            let range = sealer.plaintext_range(index).map_err(PutError::Seal)?;
            let chunk = read(source, path, range.start, range.end).await?;
            hash.update(&chunk);
            sealer.seal_chunk_onto(index, &chunk, &mut SystemRng, &mut part).map_err(PutError::Seal)?;
            sealed_of += range.end - range.start;
            let is_last = index + 1 == sealer.chunks();
            while part.len() >= part_size || (is_last && !part.is_empty()) {
                let rest = part.split_off(part_size.min(part.len()));
                client.put_part(open.id, upload.id, number, part.into()).await.map_err(DriveError::from)?;
                number += 1;
                part = rest;
                progress(std::mem::take(&mut sealed_of));
            }
        }
        content.sha256 = <[u8; 32]>::from(hash.finalize()).into();
        content.file = Some(StoredFile { id: upload.id, header: (*sealer.header()).into() });
        Ok(self.store(&content, expected, Some(upload.id), true).await?)
    }

    /// Gives a file's bytes, in order, to `sink`.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn copy_into(
        &self,
        entry: &Entry,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<(), GetError> {
        if let Some(data) = &entry.content.data {
            sink.write_all(data.as_slice()).map_err(GetError::Write)?;
            progress(entry.content.size);
            return Ok(());
        }
        let open = self.opened()?;
        let key = open.keys.at(entry.sequence).item_key(&place::item(entry.item));
        let opener = opener(&key, entry)?;
        let mut bytes = Zeroizing::new(Vec::new());
        for span in spans(&opener) {
            self.account
                .client
                .file_range(open.id, entry.item, entry.earlier(), span.sealed.clone(), &mut bytes)
                .await
                .map_err(DriveError::from)?;
            open_span(&opener, &span, &mut bytes, sink)?;
            progress(span.take);
        }
        Ok(())
    }
}

/// Reads all of a range, or says that the file changed.
async fn read(
    source: &impl Source,
    path: &RemotePath,
    from: u64,
    to: u64,
) -> Result<Zeroizing<Vec<u8>>, PutError> {
    let local = || PathBuf::from(path.as_str());
    let bytes = source.read(from, to).await.map_err(|error| PutError::Local(local(), error))?;
    if bytes.len() as u64 == to - from { Ok(bytes) } else { Err(PutError::Changed(local())) }
}
