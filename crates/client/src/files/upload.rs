// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Putting files into a drive.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use keyring::file::{FileSealer, HEADER_LEN, sealed_len};
use keyring::{ItemKey, SystemRng};
use protocol::UploadId;
use protocol::objects::Upload;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::content::{Content, MAX_INLINE, StoredFile};
use super::cutter::{Cutter, Wanted};
use super::disk::FileState;
use super::path::{NameTaken, RemotePath, check_free};
use super::repeated::RepeatedRng;
use super::tree::LocalFile;
use super::{Drive, DriveError, Entry, Index, MAX_TRIES, OpenCollection, Progress, RevertError, disk};
use crate::client::RequestError;
use crate::client::objects::Expected;
use crate::place;

/// What putting a file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The drive had the same already.
    Unchanged,
    /// It was stored.
    Stored {
        /// The item's version now.
        version: u64,
    },
}

/// A file that was stored, as it was when it was read.
#[cfg_attr(target_family = "wasm", allow(dead_code, reason = "`sync` alone remembers it"))]
pub(super) struct Sent {
    pub(super) version: u64,
    pub(super) sha256: protocol::Bytes<32>,
    pub(super) file: LocalFile,
}

/// Where an upload that breaks off is remembered, to go on later.
#[derive(Clone, Debug)]
pub struct Resume {
    folder: PathBuf,
}

impl Resume {
    /// In this folder, which is made when needed.
    pub fn within(folder: impl Into<PathBuf>) -> Self {
        Resume { folder: folder.into() }
    }

    fn path(&self, item: &keyring::ItemId) -> PathBuf {
        self.folder.join(format!("{}.sealed", place::item_id(*item)))
    }
}

impl Drive {
    /// Puts a file, unless the drive has one of that name with the same bytes and permissions; what else it has is replaced.
    /// `known` is what the drive is known to have: with it, a name that a folder has is refused; without, see
    /// [`Names::check_free`](super::Names::check_free).
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_file(
        &self,
        local: &LocalFile,
        path: &RemotePath,
        known: Option<&Index>,
        resume: Option<&Resume>,
        progress: Progress<'_>,
    ) -> Result<Put, PutError> {
        let sent = self.put_unless_same(local, path, known, resume, progress).await?;
        Ok(sent.map_or(Put::Unchanged, |sent| Put::Stored { version: sent.version }))
    }

    /// Puts a file whatever the drive has of that name: what it has may be damaged, which only getting it would tell.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_file_anew(
        &self,
        local: &LocalFile,
        path: &RemotePath,
        known: Option<&Index>,
        resume: Option<&Resume>,
        progress: Progress<'_>,
    ) -> Result<Put, PutError> {
        let (expected, _) = self.place_for(path, known).await?;
        let sent = self.put_local(local, path, expected, resume, progress).await?;
        Ok(Put::Stored { version: sent.version })
    }

    /// Puts a file, and says how it was read; `None` when the drive has the same already.
    pub(super) async fn put_unless_same(
        &self,
        local: &LocalFile,
        path: &RemotePath,
        known: Option<&Index>,
        resume: Option<&Resume>,
        progress: Progress<'_>,
    ) -> Result<Option<Sent>, PutError> {
        let (expected, entry) = self.place_for(path, known).await?;
        if let Some(entry) = &entry
            && local.has_mode_of(entry)
            && local.has_bytes(entry.content.size, &entry.content.sha256).await?
        {
            progress(local.size);
            return Ok(None);
        }
        self.put_local(local, path, expected, resume, progress).await.map(Some)
    }

    async fn put_local(
        &self,
        local: &LocalFile,
        path: &RemotePath,
        expected: Expected,
        resume: Option<&Resume>,
        progress: Progress<'_>,
    ) -> Result<Sent, PutError> {
        let file = File::open(&local.path).map_err(|error| PutError::Local(local.path.clone(), error))?;
        let opened = Opened::of(local.path.clone(), file)?;
        // It may have changed since it was found.
        let file = opened.found.clone();
        let mut content = Content::new(path, file.size, [0; 32]);
        (content.modified_ms, content.mode) = (file.modified_ms, file.mode);
        let (version, sha256) = self.put_opened(opened, content, expected, resume, progress).await?;
        Ok(Sent { version, sha256, file })
    }

    /// Puts what `reader` gives until its end, and says how many bytes that was. Until then it is kept in the folder
    /// `spool`, in a file without a name.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_stream(
        &self,
        reader: impl Read + Send + 'static,
        path: &RemotePath,
        spool: &Path,
        progress: Progress<'_>,
    ) -> Result<(Put, u64), PutError> {
        let (expected, _) = self.state_of(path, None).await?;
        disk::private_folder(spool).map_err(|error| PutError::Local(spool.to_owned(), error))?;
        let folder = spool.to_owned();
        let (file, size) = blocking(move || spool_into(reader, &folder))
            .await?
            .map_err(|error| PutError::Local(PathBuf::from("-"), error))?;
        let content = Content::new(path, size, [0; 32]);
        let opened = Opened::of(PathBuf::from("-"), file)?;
        let (version, _) = self.put_opened(opened, content, expected, None, progress).await?;
        Ok((Put::Stored { version }, size))
    }

    /// Puts what a file was in an earlier version, as its next one. Until it is sent it is kept in the folder `spool`, in a file
    /// without a name.
    ///
    /// # Errors
    /// [`RevertError`].
    pub async fn put_again(
        &self,
        earlier: &Entry,
        spool: &Path,
        progress: Progress<'_>,
    ) -> Result<u64, RevertError> {
        let failed = |error| PutError::Local(spool.to_owned(), error);
        let file = disk::private_folder(spool).and_then(|()| disk::anonymous(spool)).map_err(failed)?;
        let file = self.copy_to(earlier, file, progress).await?;
        let opened = Opened::of(PathBuf::from(earlier.path.as_str()), file)?;
        let (expected, _) = self.state_of(&earlier.path, None).await?;
        let mut content = Content::new(&earlier.path, earlier.content.size, [0; 32]);
        (content.modified_ms, content.mode) = (earlier.content.modified_ms, earlier.content.mode);
        let (version, _) = self.put_opened(opened.again()?, content, expected, None, &|_| {}).await?;
        Ok(version)
    }

    /// Puts a file; from the beginning, when the collection gets another key meanwhile. Its version, and the hash of what was
    /// read.
    async fn put_opened(
        &self,
        mut opened: Opened,
        content: Content,
        expected: Expected,
        resume: Option<&Resume>,
        progress: Progress<'_>,
    ) -> Result<(u64, protocol::Bytes<32>), PutError> {
        for _ in 1..MAX_TRIES {
            let once = opened.again()?;
            match self.put_once(once, content.clone(), expected, resume, progress).await {
                Err(PutError::Drive(DriveError::KeyOutdated)) => opened = opened.again()?,
                put => return put,
            }
        }
        self.put_once(opened, content, expected, resume, progress).await
    }

    async fn put_once(
        &self,
        opened: Opened,
        mut content: Content,
        expected: Expected,
        resume: Option<&Resume>,
        progress: Progress<'_>,
    ) -> Result<(u64, protocol::Bytes<32>), PutError> {
        if content.size <= MAX_INLINE as u64 {
            let size = content.size;
            let data = blocking(move || opened.read_whole(size)).await??;
            content.sha256 = <[u8; 32]>::from(Sha256::digest(&data)).into();
            content.data = Some(data.as_slice().into());
            let version = self.store(&content, expected, None, true).await?;
            progress(content.size);
            return Ok((version, content.sha256));
        }
        let open = self.opened()?;
        let item = open.keys.for_names().item_id_for_name(&content.path);
        let kept = resume.map(|resume| resume.path(&item));
        let key = open.keys.newest().item_key(&item);
        let (upload, plan) = self.begin(&open, &key, content.size, &opened.found, kept.as_deref()).await?;
        let id = plan.upload;
        let header = plan.header.clone();
        content.sha256 = self.send(&open, opened, &upload, plan, key, content.size, progress).await?.into();
        content.file = Some(StoredFile { id, header });
        let version = self.store(&content, expected, Some(id), true).await?;
        if let Some(kept) = kept {
            let _ = fs::remove_file(kept);
        }
        Ok((version, content.sha256))
    }

    /// What is expected of the item of this name, which no folder has, and what there is.
    async fn place_for(
        &self,
        path: &RemotePath,
        known: Option<&Index>,
    ) -> Result<(Expected, Option<Entry>), PutError> {
        if let Some(index) = known {
            check_free(&index.files, path)?;
        }
        self.state_of(path, known).await
    }

    /// What is expected of the item of this name, and what there is.
    async fn state_of(
        &self,
        path: &RemotePath,
        known: Option<&Index>,
    ) -> Result<(Expected, Option<Entry>), PutError> {
        if path.is_root() {
            return Err(PutError::NoName);
        }
        let entry = match known {
            Some(index) => index.files.get(path).cloned(),
            None => self.find_file(path).await?,
        };
        let expected = match (&entry, known) {
            (Some(entry), _) => Expected::Version(entry.version),
            (None, Some(index)) => {
                let id = self.item_of(path)?;
                index.removed.get(&id).map_or(Expected::Absent, |version| Expected::Version(*version))
            }
            (None, None) => Expected::Absent,
        };
        Ok((expected, entry))
    }

    /// Begins an upload, or goes on with one that broke off, if the file cannot have changed since.
    async fn begin(
        &self,
        open: &OpenCollection,
        key: &ItemKey,
        size: u64,
        found: &LocalFile,
        kept: Option<&Path>,
    ) -> Result<(Upload, Plan), PutError> {
        let generation = open.keys.generation();
        let sealed = sealed_len(size).map_err(PutError::Seal)?;
        if let Some(plan) = kept.and_then(|kept| Plan::load(self, kept))
            && plan.generation == generation
            && plan.is_of(found)
            && let Some(upload) =
                self.account.client.upload(open.id, plan.upload).await.map_err(DriveError::from)?
            && upload.size == sealed
        {
            return Ok((upload, plan));
        }
        let upload = self.account.client.begin_upload(open.id, sealed).await.map_err(DriveError::from)?;
        let sealer =
            FileSealer::new(key, &place::file(upload.id), size, &mut SystemRng).map_err(PutError::Seal)?;
        let mut seed = [0; 32];
        rand_core::Rng::fill_bytes(&mut SystemRng, &mut seed);
        let plan = Plan {
            upload: upload.id,
            header: (*sealer.header()).into(),
            seed: seed.into(),
            size,
            modified_ms: found.modified_ms,
            state: found.state,
            generation,
        };
        if let Some(kept) = kept {
            plan.store(self, kept)?;
        }
        Ok((upload, plan))
    }

    /// Seals and sends the parts that have not arrived yet. The hash of the whole file.
    #[allow(clippy::too_many_arguments, reason = "what an upload is made of")]
    async fn send(
        &self,
        open: &OpenCollection,
        opened: Opened,
        upload: &Upload,
        plan: Plan,
        key: ItemKey,
        size: u64,
        progress: Progress<'_>,
    ) -> Result<[u8; 32], PutError> {
        let sealer = FileSealer::resume(&key, &place::file(upload.id), plan.header.as_slice(), size)
            .map_err(PutError::Seal)?;
        let (sender, receiver) = mpsc::channel::<(u32, Bytes)>(1);
        let cutter = Cutter::new(upload, plan.seed.to_array().unwrap_or_default());
        let sealing = tokio::task::spawn_blocking(move || opened.seal(&sealer, cutter, &sender));

        let already: u64 = upload.received.iter().map(|(from, to)| u64::from(to - from) + 1).sum();
        progress(already.saturating_mul(upload.part_size).min(size));
        let parts = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|part| (part, receiver))
        });
        let sent: Result<(), RequestError> = parts
            .map(|(number, bytes)| async move {
                let length = bytes.len() as u64;
                self.account.client.put_part(open.id, upload.id, number, bytes).await?;
                progress(length);
                Ok(())
            })
            .buffer_unordered(PARTS_IN_FLIGHT)
            .try_collect()
            .await;
        // A part that was refused ends the sealing too, since nobody takes its parts any more.
        let sealed = sealing.await.map_err(|_| PutError::Interrupted)?;
        sent.map_err(DriveError::from)?;
        sealed
    }
}

impl LocalFile {
    /// Whether it has these bytes. They are read: nothing else proves it.
    pub(super) async fn has_bytes(&self, size: u64, sha256: &protocol::Bytes<32>) -> Result<bool, PutError> {
        if self.size != size {
            return Ok(false);
        }
        let path = self.path.clone();
        let hash = blocking(move || hash_of(&path)).await??;
        Ok(hash.as_slice() == sha256.as_slice())
    }

    /// Whether an entry says the same of its permissions, where the system has such.
    pub(super) fn has_mode_of(&self, entry: &Entry) -> bool {
        self.mode.is_none() || self.mode == entry.content.mode
    }
}

/// What is remembered of an upload, sealed as all is that a device keeps of a drive: the seed helps to guess chunks.
#[derive(Serialize, Deserialize)]
struct Plan {
    upload: UploadId,
    header: protocol::Bytes<HEADER_LEN>,
    seed: protocol::Bytes<32>,
    /// The file that it is of.
    size: u64,
    modified_ms: Option<i64>,
    #[serde(default)]
    state: Option<FileState>,
    /// Which of the collection's keys it is sealed under.
    generation: u32,
}

impl Plan {
    fn load(drive: &Drive, path: &Path) -> Option<Self> {
        serde_json::from_slice(&drive.open_local(fs::read(path).ok()?)?).ok()
    }

    fn store(&self, drive: &Drive, path: &Path) -> Result<(), PutError> {
        let failed = |error| PutError::Local(path.to_owned(), error);
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let sealed = drive.seal_local(&json)?;
        if let Some(folder) = path.parent() {
            disk::private_folder(folder).map_err(failed)?;
        }
        disk::write_private(path, &sealed).map_err(failed)
    }

    /// Whether it is of this file, and that cannot have been written to since: else chunks of what it was would stand beside
    /// those of what it is.
    fn is_of(&self, found: &LocalFile) -> bool {
        self.state.is_some()
            && self.state == found.state
            && self.size == found.size
            && self.modified_ms == found.modified_ms
    }
}

/// A local file to be read once, from its beginning.
struct Opened {
    file: File,
    /// As it was when it was opened.
    found: LocalFile,
}

impl Opened {
    fn of(path: PathBuf, file: File) -> Result<Self, PutError> {
        match file.metadata() {
            Ok(metadata) => Ok(Opened { file, found: LocalFile::of(path, RemotePath::ROOT, &metadata) }),
            Err(error) => Err(PutError::Local(path, error)),
        }
    }

    /// The same file once more, from its beginning. Only one of the two may be read at a time.
    fn again(&self) -> Result<Self, PutError> {
        let mut file = self.file.try_clone().map_err(|error| self.failed(error))?;
        file.rewind().map_err(|error| self.failed(error))?;
        Ok(Opened { file, found: self.found.clone() })
    }

    /// Refuses what was read when the file is not what it was any more.
    fn check_unchanged(&self) -> Result<(), PutError> {
        let metadata = self.file.metadata().map_err(|error| self.failed(error))?;
        let LocalFile { path, name, .. } = self.found.clone();
        if LocalFile::of(path, name, &metadata) == self.found {
            Ok(())
        } else {
            Err(PutError::Changed(self.found.path.clone()))
        }
    }

    fn read_whole(mut self, size: u64) -> Result<Zeroizing<Vec<u8>>, PutError> {
        let mut data = Zeroizing::new(Vec::new());
        let limit = size.saturating_add(1);
        (&mut self.file).take(limit).read_to_end(&mut data).map_err(|error| self.failed(error))?;
        self.check_unchanged()?;
        if data.len() as u64 == size { Ok(data) } else { Err(PutError::Changed(self.found.path)) }
    }

    /// Seals the file chunk by chunk and gives out its parts as they become whole. Beside that another thread reads and
    /// hashes what comes next.
    fn seal(
        mut self,
        sealer: &FileSealer,
        mut cutter: Cutter,
        parts: &mpsc::Sender<(u32, Bytes)>,
    ) -> Result<[u8; 32], PutError> {
        let (filled, chunks) = std::sync::mpsc::sync_channel(CHUNKS_AHEAD);
        let (emptied, buffers) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let hash = self.read_chunks(sealer, filled, buffers)?;
                self.check_unchanged().map(|()| hash)
            });
            let sealed = seal_chunks(sealer, &mut cutter, chunks, &emptied, parts);
            // Where both failed, the reader has heard of it only because nobody took its chunks.
            let read = reading.join().map_err(|_| PutError::Interrupted)?;
            sealed.and(read)
        })
    }

    /// Reads and hashes the whole file, chunk by chunk, into buffers that come back.
    fn read_chunks(
        &mut self,
        sealer: &FileSealer,
        filled: SyncSender<Chunk>,
        buffers: Receiver<Chunk>,
    ) -> Result<[u8; 32], PutError> {
        let mut hash = Sha256::new();
        for index in 0..sealer.chunks() {
            let range = sealer.plaintext_range(index).map_err(PutError::Seal)?;
            let mut chunk = buffers.try_recv().unwrap_or_default();
            chunk.resize(usize::try_from(range.end - range.start).unwrap_or_default(), 0);
            self.file.read_exact(&mut chunk).map_err(|error| self.failed(error))?;
            hash.update(&chunk);
            filled.send(chunk).map_err(|_| PutError::Interrupted)?;
        }
        Ok(hash.finalize().into())
    }

    fn failed(&self, error: io::Error) -> PutError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            PutError::Changed(self.found.path.clone())
        } else {
            PutError::Local(self.found.path.clone(), error)
        }
    }
}

/// The content of a chunk; erased when it is dropped.
type Chunk = Zeroizing<Vec<u8>>;

/// Seals the chunks in their order, as far as they come.
fn seal_chunks(
    sealer: &FileSealer,
    cutter: &mut Cutter,
    chunks: Receiver<Chunk>,
    emptied: &std::sync::mpsc::Sender<Chunk>,
    parts: &mpsc::Sender<(u32, Bytes)>,
) -> Result<(), PutError> {
    cutter.push(sealer.header(), parts)?;
    for (index, chunk) in (0..).zip(chunks) {
        let sealed_length = chunk.len() as u64 + keyring::file::CHUNK_OVERHEAD;
        match cutter.wanted(sealed_length) {
            Wanted::No => cutter.skip(sealed_length),
            Wanted::Whole => {
                let seal = |part: &mut _| sealer.seal_chunk_onto(index, &chunk, &mut SystemRng, part);
                cutter.fill(sealed_length, seal, parts)?;
            }
            Wanted::Cut => {
                let mut rng = RepeatedRng::new(&cutter.seed, index, &chunk);
                let sealed = sealer.seal_chunk(index, &chunk, &mut rng).map_err(PutError::Seal)?;
                cutter.push(&sealed, parts)?;
            }
        }
        // The reader may have read all by now.
        let _ = emptied.send(chunk);
    }
    Ok(())
}

/// Why a file was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The server or the drive.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The local file cannot be read.
    #[error("{}: {}", .0.display(), disk::said(.1))]
    Local(PathBuf, io::Error),
    /// The local file changed while it was read.
    #[error("{} changed while it was read: put it again", .0.display())]
    Changed(PathBuf),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(keyring::file::FileError),
    /// The remote path is the drive itself.
    #[error("the remote path names no file")]
    NoName,
    /// A file and a folder would have one name.
    #[error(transparent)]
    Taken(#[from] NameTaken),
    /// The work was stopped.
    #[error("the upload was interrupted")]
    Interrupted,
}

/// SHA-256 of a local file.
pub(crate) fn hash_of(path: &Path) -> Result<[u8; 32], PutError> {
    let failed = |error| PutError::Local(path.to_owned(), error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = Zeroizing::new(vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// What a reader gives, in a file without a name.
fn spool_into(mut reader: impl Read, folder: &Path) -> io::Result<(File, u64)> {
    let mut file = disk::anonymous(folder)?;
    let size = io::copy(&mut reader, &mut file)?;
    file.rewind()?;
    Ok((file, size))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PutError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| PutError::Interrupted)
}

/// Parts that are sent at the same time: enough to fill a connection, few enough to hold in memory.
const PARTS_IN_FLIGHT: usize = 4;

/// Chunks that are read before they are sealed.
const CHUNKS_AHEAD: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_goes_on_with_the_file_that_it_began_with_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&path, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let found = LocalFile::at(&path).unwrap();
        let plan = Plan {
            upload: UploadId::random(),
            header: [0_u8; HEADER_LEN].into(),
            seed: [0_u8; 32].into(),
            size: found.size,
            modified_ms: found.modified_ms,
            state: found.state,
            generation: 1,
        };
        assert!(plan.is_of(&found));
        let other = LocalFile { modified_ms: found.modified_ms, ..LocalFile::at(&other).unwrap() };
        assert!(!plan.is_of(&other), "size and time of change prove nothing");

        let is_unknown = Plan { state: None, ..plan };
        assert!(!is_unknown.is_of(&LocalFile { state: None, ..found }), "nor does what is not known");
        let mut json = serde_json::to_value(&is_unknown).unwrap();
        json.as_object_mut().unwrap().remove("state").unwrap();
        assert!(serde_json::from_value::<Plan>(json).unwrap().state.is_none(), "as older releases wrote it");
    }

    #[test]
    fn a_file_that_is_written_to_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let opened = Opened::of(path.clone(), File::open(&path).unwrap()).unwrap();
        opened.check_unchanged().unwrap();
        let is_refused = |_| {
            fs::write(&path, "two").unwrap();
            matches!(opened.check_unchanged(), Err(PutError::Changed(_)))
        };
        assert!((0..1_000_000).any(is_refused), "as soon as the file system's clock ticked");
        assert!(matches!(opened.read_whole(3), Err(PutError::Changed(_))));
    }
}
