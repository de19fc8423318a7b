// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Getting files out of a drive.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use keyring::file::{CHUNK, ChunkSpan, FileError, FileOpener};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::disk::{self, NewFile};
use super::path::{PathError, local_parts};
use super::upload::hash_of;
use super::{Drive, DriveError, Entry, Progress};
use crate::place;

/// What to do with a local file that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Leave it, and say so.
    No,
    /// Replace it.
    Yes,
}

/// What getting a file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// The local file was the same already.
    Unchanged,
    /// It was written.
    Written,
}

impl Drive {
    /// Gets a file to `target`. It appears there whole or not at all.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get_file(
        &self,
        entry: &Entry,
        target: &Path,
        overwrite: Overwrite,
        progress: Progress<'_>,
    ) -> Result<Got, GetError> {
        let failed = |error| GetError::Local(target.to_owned(), error);
        match std::fs::symlink_metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(found) if found.is_dir() => return Err(GetError::IsFolder(target.to_owned())),
            Ok(found) => {
                if found.is_file() && found.len() == entry.content.size {
                    let path = target.to_owned();
                    let hash = tokio::task::spawn_blocking(move || hash_of(&path)).await;
                    let hash = hash.map_err(|_| GetError::Interrupted)?;
                    if hash.is_ok_and(|hash| hash.as_slice() == entry.content.sha256.as_slice()) {
                        progress(entry.content.size);
                        return Ok(Got::Unchanged);
                    }
                }
                if overwrite == Overwrite::No {
                    return Err(GetError::Exists(target.to_owned()));
                }
            }
        }
        let new = NewFile::create(target).map_err(failed)?;
        let new = self.copy_to(entry, new, progress).await?;
        let (mode, modified_ms) = (entry.content.mode.or(default_mode()), entry.content.modified_ms);
        tokio::task::spawn_blocking(move || new.finish(mode, modified_ms))
            .await
            .map_err(|_| GetError::Interrupted)?
            .map_err(failed)?;
        Ok(Got::Written)
    }

    /// Gets a file that is called `relative` within some folder to below `root`. Links are not followed, and no name
    /// leads out of `root`.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get_within(
        &self,
        entry: &Entry,
        root: &Path,
        relative: &str,
        overwrite: Overwrite,
        progress: Progress<'_>,
    ) -> Result<Got, GetError> {
        let target = target_within(root, relative)?;
        self.get_file(entry, &target, overwrite, progress).await
    }

    /// Gives a file's bytes, in order, to `sink`.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn copy_to<W: Sink>(
        &self,
        entry: &Entry,
        mut sink: W,
        progress: Progress<'_>,
    ) -> Result<W, GetError> {
        if let Some(data) = &entry.content.data {
            sink.writer().write_all(data.as_slice()).map_err(GetError::Write)?;
            progress(entry.content.size);
            return Ok(sink);
        }
        let opener = self.opener(entry)?;
        let collection = self.opened()?.id;
        let spans = spans(&opener);
        let spare = Arc::<Spare>::default();
        let (sender, receiver) = mpsc::channel::<(ChunkSpan, Zeroizing<Vec<u8>>)>(1);
        let opened = Arc::clone(&spare);
        let opening = tokio::task::spawn_blocking(move || open_spans(&opener, receiver, &opened, sink));
        let fetched: Result<(), GetError> = stream::iter(spans)
            .map(|span| {
                let mut bytes = spare.take();
                async move {
                    let ChunkSpan { sealed, .. } = &span;
                    self.account
                        .client
                        .file_range(collection, entry.item, entry.earlier(), sealed.clone(), &mut bytes)
                        .await
                        .map_err(DriveError::from)?;
                    Ok((span, bytes))
                }
            })
            .buffered(SPANS_IN_FLIGHT)
            .try_for_each(|(span, bytes)| {
                let sender = &sender;
                async move {
                    let length = span.take;
                    sender.send((span, bytes)).await.map_err(|_| GetError::Interrupted)?;
                    progress(length);
                    Ok(())
                }
            })
            .await;
        drop(sender);
        let opened = opening.await.map_err(|_| GetError::Interrupted)?;
        match (fetched, opened) {
            // What stopped the fetching is what the opening found.
            (_, Err(error)) => Err(error),
            (Err(error), Ok(_)) => Err(error),
            (Ok(()), Ok(sink)) => Ok(sink),
        }
    }

    fn opener(&self, entry: &Entry) -> Result<FileOpener, GetError> {
        let open = self.opened()?;
        let key = open.keys.at(entry.sequence).item_key(&place::item(entry.item));
        opener(&key, entry)
    }
}

/// What opens the sealed file of an entry.
pub(crate) fn opener(key: &keyring::ItemKey, entry: &Entry) -> Result<FileOpener, GetError> {
    let (Some(file), Some(sealed_size)) = (&entry.content.file, entry.sealed_size) else {
        return Err(GetError::Damaged(FileError::WrongLength));
    };
    let opener = FileOpener::new(key, &place::file(file.id), file.header.as_slice(), sealed_size)
        .map_err(GetError::Damaged)?;
    if opener.plaintext_len() == entry.content.size {
        Ok(opener)
    } else {
        Err(GetError::Damaged(FileError::WrongLength))
    }
}

/// The ranges to fetch, one after the other.
pub(crate) fn spans(opener: &FileOpener) -> Vec<ChunkSpan> {
    let step = CHUNK * CHUNKS_A_SPAN;
    let count = opener.plaintext_len().div_ceil(step);
    (0..count).filter_map(|n| opener.chunks_for(n * step..(n + 1) * step)).collect()
}

/// Opens the chunks of a span, in the memory where they are.
pub(crate) fn open_span(
    opener: &FileOpener,
    span: &ChunkSpan,
    bytes: &mut [u8],
    sink: &mut dyn Write,
) -> Result<(), GetError> {
    for index in span.chunks.clone() {
        let range = opener.sealed_range(index).map_err(GetError::Damaged)?;
        let start = usize::try_from(range.start - span.sealed.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end - span.sealed.start).unwrap_or(usize::MAX);
        let chunk = bytes.get_mut(start..end).ok_or(GetError::Damaged(FileError::WrongLength))?;
        let plaintext = opener.open_chunk_in_place(index, chunk).map_err(GetError::Damaged)?;
        sink.write_all(plaintext).map_err(GetError::Write)?;
    }
    Ok(())
}

fn open_spans<W: Sink>(
    opener: &FileOpener,
    mut spans: mpsc::Receiver<(ChunkSpan, Zeroizing<Vec<u8>>)>,
    spare: &Spare,
    mut sink: W,
) -> Result<W, GetError> {
    while let Some((span, mut bytes)) = spans.blocking_recv() {
        open_span(opener, &span, &mut bytes, sink.writer())?;
        spare.give(bytes);
    }
    Ok(sink)
}

/// Memory of spans that were opened, to be filled again; erased when the file is there.
#[derive(Default)]
struct Spare(Mutex<Vec<Zeroizing<Vec<u8>>>>);

impl Spare {
    fn take(&self) -> Zeroizing<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, bytes: Zeroizing<Vec<u8>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

/// Something that takes a file's bytes, on another thread.
pub trait Sink: Send + 'static {
    /// Where they go.
    fn writer(&mut self) -> &mut dyn Write;
}

impl Sink for NewFile {
    fn writer(&mut self) -> &mut dyn Write {
        self
    }
}

impl Sink for std::fs::File {
    fn writer(&mut self) -> &mut dyn Write {
        self
    }
}

impl Sink for io::Stdout {
    fn writer(&mut self) -> &mut dyn Write {
        self
    }
}

/// The local place of a file that is called `relative` within the folder `root`; its folders are made.
pub(crate) fn target_within(root: &Path, relative: &str) -> Result<PathBuf, GetError> {
    let parts = local_parts(relative)?;
    let Some((name, folders)) = parts.split_last() else { return Err(GetError::Path(PathError::Empty)) };
    let folder =
        disk::folders_within(root, folders).map_err(|error| GetError::Local(root.join(relative), error))?;
    Ok(folder.join(name))
}

/// What files from systems without permissions get.
fn default_mode() -> Option<u32> {
    Some(0o600)
}

/// Why a file was not got.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The server or the drive.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The sealed file is not the one that was stored.
    #[error("the stored file was changed or damaged: {0}")]
    Damaged(FileError),
    /// There is a local file that differs.
    #[error("{} exists and differs: --force replaces it", .0.display())]
    Exists(PathBuf),
    /// There is a local folder of that name.
    #[error("{} is a folder", .0.display())]
    IsFolder(PathBuf),
    /// The name cannot be used here.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The local file cannot be written.
    #[error("{}: {}", .0.display(), disk::said(.1))]
    Local(PathBuf, io::Error),
    /// What was read cannot be written.
    #[error("the file cannot be written: {}", disk::said(.0))]
    Write(io::Error),
    /// The work was stopped.
    #[error("the download was interrupted")]
    Interrupted,
}

/// 4 MiB a request.
const CHUNKS_A_SPAN: u64 = 16;
/// Requests under way at the same time.
const SPANS_IN_FLIGHT: usize = 4;
