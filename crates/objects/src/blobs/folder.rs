// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A local folder of blobs: what `object_store` leaves to us.
//!
//! - It flushes a file and the folder the file is in. It also flushes folders that it makes, but a second writer may find
//!   a new folder before the first has flushed it; so a blob's folder is made and flushed here, once, before any part.
//! - A crash leaves its staging files (`name#1`), which its own listings hide; so listing and removing is done here too.

use std::collections::HashMap;
use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use store::TenantId;
use tokio::sync::OnceCell;

use super::{BlobsError, Leftover, blocking};
use crate::BlobId;

/// How many blob folders are remembered as flushed; forgetting one costs a flush.
const REMEMBERED: usize = 1_024;

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    prepared: Mutex<HashMap<BlobId, Arc<OnceCell<()>>>>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, BlobsError> {
        let failed = |source| BlobsError::Folder { path: path.to_owned(), source };
        make_durably(path).map_err(failed)?;
        let root = path.canonicalize().map_err(failed)?;
        Ok(Self { root, prepared: Mutex::default() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn tenant(&self, tenant: TenantId) -> PathBuf {
        self.root.join(tenant.to_string())
    }

    pub(super) fn blob(&self, tenant: TenantId, blob: BlobId) -> PathBuf {
        self.tenant(tenant).join(blob.to_string())
    }

    /// Makes sure that the blob's folder will be there after a power failure.
    pub(super) async fn prepare(&self, tenant: TenantId, blob: BlobId) -> Result<(), BlobsError> {
        let cell = {
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if prepared.len() >= REMEMBERED && !prepared.contains_key(&blob) {
                prepared.clear();
            }
            Arc::clone(prepared.entry(blob).or_default())
        };
        let (root, above, folder) = (self.root.clone(), self.tenant(tenant), self.blob(tenant, blob));
        let prepare = || {
            blocking(move || {
                let made = make(&folder).and_then(|()| flush(&above)).and_then(|()| flush(&root));
                made.map_err(|source| failed(folder, source))
            })
        };
        cell.get_or_try_init(prepare).await.map(|_| ())
    }

    pub(super) async fn is_ready(&self) -> Result<(), BlobsError> {
        let root = self.root.clone();
        blocking(move || fs::read_dir(&root).map(|_| ()).map_err(|source| failed(root, source))).await
    }

    pub(super) async fn remove_all(&self, folder: PathBuf) -> Result<(), BlobsError> {
        blocking(move || gone(fs::remove_dir_all(&folder)).map_err(|source| failed(folder, source))).await
    }

    pub(super) async fn remove(&self, objects: Vec<Leftover>) -> Result<(), BlobsError> {
        let files: Vec<_> =
            objects.iter().map(|object| self.blob(object.tenant, object.blob).join(&object.name)).collect();
        blocking(move || {
            for file in files {
                gone(fs::remove_file(&file)).map_err(|source| failed(file.clone(), source))?;
                // Succeeds only when it is empty.
                let _ = file.parent().map(fs::remove_dir);
            }
            Ok(())
        })
        .await
    }
}

/// A walk through a tenant's folder, page by page.
pub(super) struct Walk {
    folder: Arc<Folder>,
    tenant: TenantId,
    blobs: Option<ReadDir>,
    files: Option<(BlobId, ReadDir)>,
}

impl Walk {
    pub(super) fn new(folder: Arc<Folder>, tenant: TenantId) -> Self {
        Self { folder, tenant, blobs: None, files: None }
    }

    fn page(&mut self, limit: usize) -> io::Result<Vec<Leftover>> {
        let mut page = Vec::new();
        while page.len() < limit {
            if let Some((blob, files)) = &mut self.files {
                match files.next().transpose()? {
                    Some(file) => {
                        let Ok(name) = file.file_name().into_string() else { continue };
                        let written_at = written_at(&file)?;
                        page.extend(written_at.map(|written_at| Leftover {
                            tenant: self.tenant,
                            blob: *blob,
                            name,
                            written_at,
                        }));
                    }
                    None => self.files = None,
                }
                continue;
            }
            let Some(blobs) = &mut self.blobs else {
                match fs::read_dir(self.folder.tenant(self.tenant)) {
                    Ok(blobs) => self.blobs = Some(blobs),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) => return Err(error),
                }
                continue;
            };
            let Some(entry) = blobs.next().transpose()? else { break };
            // What is not named as we name blobs is not ours to remove.
            if let Some(blob) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                match fs::read_dir(entry.path()) {
                    Ok(files) => self.files = Some((blob, files)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(page)
    }
}

/// When a file was written, in milliseconds since the Unix epoch; `None` when it is gone meanwhile.
fn written_at(file: &fs::DirEntry) -> io::Result<Option<i64>> {
    let modified = match file.metadata().and_then(|metadata| metadata.modified()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        modified => modified?,
    };
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Some(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// The next page of a walk, which ends it when it fails.
pub(super) async fn next_page(walk: &mut Option<Walk>, limit: usize) -> Result<Vec<Leftover>, BlobsError> {
    let Some(mut taken) = walk.take() else { return Ok(Vec::new()) };
    let (rest, page) = blocking(move || {
        let page = taken.page(limit).map_err(|source| failed(taken.folder.tenant(taken.tenant), source))?;
        Ok((taken, page))
    })
    .await?;
    *walk = Some(rest).filter(|_| !page.is_empty());
    Ok(page)
}

fn failed(path: PathBuf, source: io::Error) -> BlobsError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobsError::Full,
        _ => BlobsError::Folder { path, source },
    }
}

/// Makes a folder that only its owner may enter.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a folder and whatever is missing above it, so that all of them survive a power failure.
fn make_durably(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    make(&path)?;
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(flush)
}

/// Makes the entries of a folder durable; only Unix has a way to.
fn flush(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// What is gone already need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
