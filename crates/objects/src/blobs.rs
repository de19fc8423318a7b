// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The object store behind the blobs: a local folder, or whatever `object_store` reaches.
//!
//! Part `n` of a blob is one object, `<tenant>/<blob>/<n>-<first half of the SHA-256 of its bytes>`. The hash in the name
//! makes each object immutable: a part that is sent again with other bytes is another object, and which one
//! counts is decided by the row alone.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use store::TenantId;

pub use self::bucket::Bucket;
use self::folder::{Folder, Walk};
use crate::read::{ReadPlan, Source};
use crate::{BlobId, PartSlot, ReadError, Segment, UploadError};

mod bucket;
mod folder;

/// A read fetches this many bytes at a time,
const WINDOW: u64 = 1 << 20;
/// and this many such windows ahead: 3 MiB is what a slow reader holds at most.
const AHEAD: usize = 3;
/// How many objects, of 8 MiB at most, are on their way from one place to another.
const COPIED_AT_ONCE: usize = 4;
/// How many objects a page of leftovers has at most.
const PAGE: usize = 500;

/// Where the bytes of files are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Of a local folder, what the object store does not do itself.
    folder: Option<Arc<Folder>>,
}

/// Why the object store could not be opened, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobsError {
    /// The setting is not understood.
    #[error(
        "{0:?} is no place for files: give a folder as /path or file:///path, or a bucket as s3://bucket/prefix"
    )]
    Setting(String),
    /// The folder cannot be made, read or written.
    #[error("the folder of stored files {path} cannot be used: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("the disk for stored files is full: nothing was acknowledged")]
    Full,
    /// The object store failed.
    #[error("the store of files cannot be used: {0}")]
    Store(object_store::Error),
}

impl From<object_store::Error> for BlobsError {
    fn from(error: object_store::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause {
            let full = |io: &io::Error| {
                matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            };
            if inner.downcast_ref::<io::Error>().is_some_and(full) {
                return Self::Full;
            }
            cause = inner.source();
        }
        Self::Store(error)
    }
}

/// A part that is on disk but not acknowledged yet: hand it to [`crate::Objects::record_part`].
#[derive(Clone, Debug)]
pub struct WrittenPart {
    pub(crate) tenant: TenantId,
    pub(crate) blob: BlobId,
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    /// The bytes, when they go into the database.
    pub(crate) inline: Option<Bytes>,
}

/// A stored object; perhaps one that nothing names any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub(crate) tenant: TenantId,
    pub(crate) blob: BlobId,
    pub(crate) name: String,
    /// When it was written, in milliseconds since the Unix epoch, by the store's clock.
    pub(crate) written_at: i64,
}

impl Leftover {
    /// Whether it was written before `time`, in milliseconds since the Unix epoch: what is newer may belong to a write that is
    /// still under way, or to a database that was put back from a backup a moment ago.
    pub fn is_written_before(&self, time: i64) -> bool {
        self.written_at < time
    }
}

impl Blobs {
    /// Opens the folder that the setting names, `file:///path` or a plain path; it is made if it is missing.
    pub fn open(setting: &str) -> Result<Self, BlobsError> {
        Self::folder(folder_of(setting)?)
    }

    /// Whether the setting names a folder. Opens and makes nothing.
    ///
    /// # Errors
    /// [`BlobsError::Setting`].
    pub fn judge(setting: &str) -> Result<(), BlobsError> {
        folder_of(setting).map(drop)
    }

    /// A local folder, made if it is missing. Every write is flushed to disk, with the folders that lead to it.
    pub fn folder(path: &Path) -> Result<Self, BlobsError> {
        let folder = Folder::open(path)?;
        let local = object_store::local::LocalFileSystem::new_with_prefix(folder.root())?.with_fsync(true);
        Ok(Self { store: Arc::new(local), folder: Some(Arc::new(folder)) })
    }

    /// A bucket. It is not asked anything yet: see [`Blobs::is_ready`].
    pub fn bucket(bucket: Bucket<'_>) -> Result<Self, BlobsError> {
        bucket.open().map(Self::over)
    }

    /// Any other object store. It must be durable when a write returns.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, folder: None }
    }

    /// Whether the store answers.
    pub async fn is_ready(&self) -> Result<(), BlobsError> {
        match &self.folder {
            Some(folder) => folder.is_ready().await,
            None => {
                let nothing = object_store::path::Path::from("ready");
                Ok(self.store.list(Some(&nothing)).next().await.transpose().map(|_| ())?)
            }
        }
    }

    /// Writes a part, durably; the first half of storing it. Call it with no transaction open.
    /// Cancelled or repeated, it does no harm.
    pub async fn write_part(
        &self,
        slot: PartSlot,
        bytes: impl Into<PutPayload>,
    ) -> Result<WrittenPart, UploadError> {
        let PartSlot { tenant, blob, number, len, inline } = slot;
        let payload: PutPayload = bytes.into();
        let size = payload.content_length() as u64;
        if size != len {
            return Err(UploadError::PartSize { expected: len, actual: size });
        }
        let sha256 = hash(payload.clone()).await?;
        if inline {
            return Ok(WrittenPart { tenant, blob, number, size, sha256, inline: Some(payload.into()) });
        }
        if let Some(folder) = &self.folder {
            folder.prepare(tenant, blob).await?;
        }
        let location = location(tenant, blob, &object_name(i64::from(number), &sha256));
        self.store.put(&location, payload).await.map_err(BlobsError::from)?;
        Ok(WrittenPart { tenant, blob, number, size, sha256, inline: None })
    }

    /// The same with the part in pieces, as they arrived.
    pub async fn write_pieces(&self, slot: PartSlot, pieces: Vec<Bytes>) -> Result<WrittenPart, UploadError> {
        self.write_part(slot, PutPayload::from_iter(pieces)).await
    }

    /// Removes the object of a part that [`crate::Objects::is_unwanted`] found unwanted.
    pub async fn discard(&self, part: &WrittenPart) -> Result<(), BlobsError> {
        if part.inline.is_some() {
            return Ok(());
        }
        let name = object_name(i64::from(part.number), &part.sha256);
        self.remove(vec![Leftover { tenant: part.tenant, blob: part.blob, name, written_at: 0 }]).await
    }

    /// Reads what was planned, in order, a few MiB ahead of who takes it.
    pub fn read(&self, plan: ReadPlan) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let ReadPlan { tenant, blob, source, .. } = plan;
        let parts = match source {
            Source::Inline(bytes) => return stream::once(async { Ok(bytes) }).boxed(),
            Source::Parts(parts) => parts,
        };
        let windows = parts.into_iter().flat_map(move |(segment, sha256)| {
            let location = location(tenant, blob, &object_name(i64::from(segment.part), &sha256));
            windows(segment).map(move |window| (location.clone(), window))
        });
        let store = Arc::clone(&self.store);
        stream::iter(windows)
            .map(move |(location, window)| {
                let store = Arc::clone(&store);
                async move { fetch(store.as_ref(), &location, window).await }
            })
            .buffered(AHEAD)
            .boxed()
    }

    /// Removes all objects of a blob.
    pub async fn remove_blob(&self, tenant: TenantId, blob: BlobId) -> Result<(), BlobsError> {
        match &self.folder {
            Some(folder) => folder.remove_all(folder.blob(tenant, blob)).await,
            None => {
                self.remove_under(object_store::path::Path::from_iter([tenant.to_string(), blob.to_string()]))
                    .await
            }
        }
    }

    /// Removes all objects of a tenant that is no more.
    pub async fn remove_tenant(&self, tenant: TenantId) -> Result<(), BlobsError> {
        match &self.folder {
            Some(folder) => folder.remove_all(folder.tenant(tenant)).await,
            None => self.remove_under(object_store::path::Path::from(tenant.to_string())).await,
        }
    }

    /// Every object of a tenant, in pages, to find those that a crash left.
    pub fn leftovers(&self, tenant: TenantId) -> Leftovers {
        let inner = match &self.folder {
            Some(folder) => Listing::Folder(Some(Walk::new(Arc::clone(folder), tenant))),
            None => {
                let prefix = object_store::path::Path::from(tenant.to_string());
                // Asked again at its end, for the empty page: not every listing bears that.
                Listing::Store(self.store.list(Some(&prefix)).fuse().boxed())
            }
        };
        Leftovers { tenant, inner }
    }

    /// Removes objects that [`crate::Objects::unreferenced`] found. It is no error when one is gone already.
    pub async fn remove(&self, objects: Vec<Leftover>) -> Result<(), BlobsError> {
        if let Some(folder) = &self.folder {
            return folder.remove(objects).await;
        }
        let locations = objects.into_iter().map(|object| location(object.tenant, object.blob, &object.name));
        self.delete(stream::iter(locations.map(Ok).collect::<Vec<_>>()).boxed()).await
    }

    /// Copies every object to another place, and says how many there are. What is there already is not sent again:
    /// its name says what its bytes are.
    pub async fn copy_to(&self, to: &Blobs) -> Result<u64, BlobsError> {
        let copies = self.store.list(None).map_ok(|object| copy(&*self.store, object, &*to.store));
        let mut copied = copies.try_buffer_unordered(COPIED_AT_ONCE);
        let mut count = 0;
        while let Some(was_there) = copied.try_next().await? {
            count += u64::from(was_there);
        }
        Ok(count)
    }

    async fn remove_under(&self, prefix: object_store::path::Path) -> Result<(), BlobsError> {
        self.delete(self.store.list(Some(&prefix)).map_ok(|object| object.location).boxed()).await
    }

    async fn delete(
        &self,
        locations: BoxStream<'static, object_store::Result<object_store::path::Path>>,
    ) -> Result<(), BlobsError> {
        let mut deleted = self.store.delete_stream(locations);
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// All objects of a tenant, page by page.
pub struct Leftovers {
    tenant: TenantId,
    inner: Listing,
}

enum Listing {
    Folder(Option<Walk>),
    Store(BoxStream<'static, object_store::Result<ObjectMeta>>),
}

impl Leftovers {
    /// The next page, of at most 500 objects; empty at the end.
    pub async fn next_page(&mut self) -> Result<Vec<Leftover>, BlobsError> {
        match &mut self.inner {
            Listing::Folder(walk) => folder::next_page(walk, PAGE).await,
            Listing::Store(objects) => {
                let mut page = Vec::new();
                while page.len() < PAGE
                    && let Some(object) = objects.next().await
                {
                    page.extend(parse(self.tenant, &object?));
                }
                Ok(page)
            }
        }
    }
}

/// The folder that a setting names. What begins like a URL and is none, as `s3//bucket` or `file:/path`, was meant otherwise.
fn folder_of(setting: &str) -> Result<&Path, BlobsError> {
    let path = match setting.split_once("://") {
        Some(("file", path)) => Some(path).filter(|path| path.starts_with('/')),
        Some(_) => None,
        None => {
            let (first, rest) = setting.split_once('/').unwrap_or((setting, ""));
            let is_like_a_url = first.contains(':') || (!first.is_empty() && rest.starts_with('/'));
            Some(setting).filter(|setting| !setting.is_empty() && !is_like_a_url)
        }
    };
    path.map(Path::new).ok_or_else(|| BlobsError::Setting(setting.to_owned()))
}

/// The name of a part's object within its blob.
pub(crate) fn object_name(number: i64, sha256: &[u8; 32]) -> String {
    let half = sha256.iter().take(16).fold(0u128, |half, byte| half << 8 | u128::from(*byte));
    format!("{number}-{half:032x}")
}

fn location(tenant: TenantId, blob: BlobId, name: &str) -> object_store::path::Path {
    object_store::path::Path::from_iter([tenant.to_string().as_str(), blob.to_string().as_str(), name])
}

/// What is not named as we name objects is not ours to remove.
fn parse(tenant: TenantId, object: &ObjectMeta) -> Option<Leftover> {
    let mut names = object.location.as_ref().rsplit('/');
    let (name, blob) = (names.next()?, names.next()?);
    let written_at = object.last_modified.timestamp_millis();
    Some(Leftover { tenant, blob: blob.parse().ok()?, name: name.to_owned(), written_at })
}

async fn hash(payload: PutPayload) -> Result<[u8; 32], BlobsError> {
    blocking(move || {
        let mut hash = Sha256::new();
        payload.iter().for_each(|bytes| hash.update(bytes));
        Ok(hash.finalize().into())
    })
    .await
}

/// Copies one object, and says whether it was there: it may be removed meanwhile.
async fn copy(
    from: &dyn ObjectStore,
    object: ObjectMeta,
    to: &dyn ObjectStore,
) -> object_store::Result<bool> {
    if to.head(&object.location).await.is_ok_and(|there| there.size == object.size) {
        return Ok(true);
    }
    let bytes = match from.get(&object.location).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(false),
        found => found?.bytes().await?,
    };
    to.put(&object.location, bytes.into()).await?;
    Ok(true)
}

fn windows(segment: Segment) -> impl Iterator<Item = Segment> {
    let Segment { part, bytes } = segment;
    let starts = std::iter::successors(Some(bytes.start), |start| start.checked_add(WINDOW));
    starts
        .take_while(move |start| *start < bytes.end)
        .map(move |start| Segment { part, bytes: start..bytes.end.min(start + WINDOW) })
}

async fn fetch(
    store: &dyn ObjectStore,
    location: &object_store::path::Path,
    window: Segment,
) -> Result<Bytes, ReadError> {
    let Segment { part, bytes } = window;
    let expected = bytes.end - bytes.start;
    match store.get_range(location, bytes).await {
        Ok(found) if found.len() as u64 == expected => Ok(found),
        Ok(_) | Err(object_store::Error::NotFound { .. }) => Err(ReadError::Damaged { part }),
        Err(error) => Err(BlobsError::from(error).into()),
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobsError> + Send + 'static,
) -> Result<T, BlobsError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(BlobsError::Store(object_store::Error::JoinError { source: error })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_path_and_nothing_that_was_meant_as_a_url() {
        for good in ["/blobs", "./blobs", "blobs", "../a/blobs", "file:///blobs", "/a//blobs", "/a:b"] {
            assert!(Blobs::judge(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "s3//bucket",
            "s3:bucket",
            "s3:/bucket",
            "file:/blobs",
            "file://blobs",
            "gs://bucket",
            "file//a",
        ] {
            assert!(matches!(Blobs::judge(bad), Err(BlobsError::Setting(_))), "{bad}");
        }
    }
}
