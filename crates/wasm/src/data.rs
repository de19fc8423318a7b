// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account's collections of files, sealed and opened here.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use client::files::{self, CollectionName, Entry, FileSource, Index};
use client::{Drive, Opened, RemotePath, Trust};
use js_sys::{Function, Uint8Array};
use protocol::CollectionId;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::{bytes_of, tell, to_js};

/// A collection, for the page.
#[derive(Serialize)]
struct Listed {
    id: String,
    name: String,
    is_default: bool,
    created_at: i64,
    kept_versions: u32,
}

/// A version of a file, for the page.
#[derive(Serialize)]
struct Kept {
    version: u64,
    stored_at: i64,
    sealed_size: u64,
}

/// A file, for the page.
#[derive(Serialize)]
struct File {
    item: String,
    path: String,
    size: u64,
    version: u64,
    modified_ms: Option<i64>,
    stored_at: i64,
    author: Option<String>,
}

impl File {
    fn of(entry: Entry) -> Self {
        File {
            item: entry.item.to_string(),
            path: entry.path.as_str().to_owned(),
            size: entry.content.size,
            version: entry.version,
            modified_ms: entry.content.modified_ms,
            stored_at: entry.stored_at,
            author: entry.author,
        }
    }
}

#[wasm_bindgen]
impl Core {
    /// The account's collections of files. Its own files are one of them once there is a file.
    pub async fn collections(&self) -> Answer {
        let account = Opened::from(&*self.account()?);
        let collections = files::collections(&account).await.map_err(Failure::from)?;
        let listed = collections.into_iter().map(|one| Listed {
            id: one.id.to_string(),
            name: one.name,
            is_default: one.is_default,
            created_at: one.created_at,
            kept_versions: one.kept_versions,
        });
        to_js(&listed.collect::<Vec<_>>())
    }

    /// Makes a collection; its id.
    #[wasm_bindgen(js_name = makeCollection)]
    pub async fn make_collection(&self, name: String) -> Answer {
        let account = Opened::from(&*self.account()?);
        let id = files::create_collection(&account, &name_of(&name)?).await.map_err(Failure::from)?;
        to_js(&id.to_string())
    }

    /// Gives a collection another name.
    #[wasm_bindgen(js_name = renameCollection)]
    pub async fn rename_collection(&self, collection: String, name: String) -> Answer {
        let account = Opened::from(&*self.account()?);
        let id = collection.parse::<CollectionId>().map_err(|error| Failure::failed("collection", error))?;
        files::rename_collection(&account, id, &name_of(&name)?).await.map_err(Failure::from)?;
        self.drives.borrow_mut().remove(&collection);
        self.indexes.borrow_mut().remove(&collection);
        Ok(JsValue::UNDEFINED)
    }

    /// The files of a collection; of the account's own files, if none is named; of one that somebody shares, by `home/collection`.
    /// Items that do not open are named, with why.
    pub async fn files(&self, collection: Option<String>) -> Answer {
        let drive = self.drive(collection.clone()).await?;
        let index = self.index(&collection, &drive).await?;
        let damaged = index.damaged.iter();
        let damaged: Vec<_> = damaged
            .map(|(item, why)| serde_json::json!({ "item": item.to_string(), "why": why.to_string() }))
            .collect();
        let files: Vec<_> = index.files.values().cloned().map(File::of).collect();
        let is_writable = drive.is_writable();
        let answer =
            to_js(&serde_json::json!({ "files": files, "damaged": damaged, "writable": is_writable }))?;
        self.keep_index(collection, index);
        Ok(answer)
    }

    /// Puts a file: `read(from, to)` promises its bytes, `progress(bytes)` is told of what was sent. The item's version.
    #[wasm_bindgen(js_name = putFile)]
    pub async fn put_file(
        &self,
        collection: Option<String>,
        path: String,
        size: f64,
        modified_ms: Option<f64>,
        read: Function,
        progress: Function,
    ) -> Answer {
        let mut drive = self.drive(collection.clone()).await?;
        let path: RemotePath = path.parse::<RemotePath>().map_err(Failure::from)?;
        if drive.collection().is_none() {
            drive = self.make_own_files().await?;
        }
        let index = self.index(&collection, &drive).await?;
        let source =
            PageFile { size: whole(size), modified_ms: modified_ms.map(|ms| whole(ms) as i64), read };
        let told = |bytes: u64| tell(&progress, bytes);
        let version = drive.put_from(&source, &path, &index, &told).await.map_err(Failure::from)?;
        self.keep_index(collection, index);
        to_js(&version)
    }

    /// Gives a file's bytes piece by piece to `write(bytes)`; `progress(bytes)` is told how many.
    #[wasm_bindgen(js_name = getFile)]
    pub async fn get_file(
        &self,
        collection: Option<String>,
        path: String,
        write: Function,
        progress: Function,
    ) -> Answer {
        let drive = self.drive(collection).await?;
        let entry = self.entry(&drive, &path).await?;
        give(&drive, entry, write, &progress).await
    }

    /// Says how many versions before the current one a collection keeps of each file; of the account's own files, if none is
    /// named.
    #[wasm_bindgen(js_name = keepVersions)]
    pub async fn keep_versions(&self, collection: Option<String>, kept: f64) -> Answer {
        let drive = self.drive(collection).await?;
        let kept = u32::try_from(whole(kept)).unwrap_or(u32::MAX);
        drive.keep_versions(kept).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// The versions of a file that can be read, the newest first.
    #[wasm_bindgen(js_name = fileVersions)]
    pub async fn file_versions(&self, collection: Option<String>, path: String) -> Answer {
        let drive = self.drive(collection).await?;
        let entry = self.entry(&drive, &path).await?;
        let found = drive.versions(&entry).await.map_err(Failure::from)?;
        let kept = found.iter().map(|one| Kept {
            version: one.version,
            stored_at: one.stored_at,
            sealed_size: one.sealed_size,
        });
        to_js(&kept.collect::<Vec<_>>())
    }

    /// Gives a file's bytes as they were in a version: see `getFile`.
    #[wasm_bindgen(js_name = getVersion)]
    pub async fn get_version(
        &self,
        collection: Option<String>,
        path: String,
        version: f64,
        write: Function,
        progress: Function,
    ) -> Answer {
        let drive = self.drive(collection).await?;
        let entry = self.entry(&drive, &path).await?;
        let entry = drive.version(&entry, whole(version)).await.map_err(Failure::from)?;
        let gone = || Failure::failed("not_found", "this version is not kept any more");
        give(&drive, entry.ok_or_else(gone)?, write, &progress).await
    }

    /// Removes a file, if it is still this version.
    #[wasm_bindgen(js_name = removeFile)]
    pub async fn remove_file(&self, collection: Option<String>, path: String, version: f64) -> Answer {
        let drive = self.drive(collection).await?;
        let entry = self.entry(&drive, &path).await?;
        if entry.version != whole(version) {
            return Err(
                Failure::failed("conflict", "the file was changed meanwhile: look at it again").into()
            );
        }
        drive.remove(&entry).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }
}

/// Gives a file's bytes to the page, and says what it is.
async fn give(drive: &Drive, entry: Entry, write: Function, progress: &Function) -> Answer {
    let told = |bytes: u64| tell(progress, bytes);
    drive.copy_into(&entry, &mut PageSink(write), &told).await.map_err(Failure::from)?;
    to_js(&File::of(entry))
}

impl Core {
    pub(crate) async fn drive(&self, collection: Option<String>) -> Result<Rc<Drive>, Failure> {
        let account = Opened::from(&*self.account()?);
        let name = collection.unwrap_or_default();
        if let Some(drive) = self.drives.borrow().get(&name) {
            return Ok(Rc::clone(drive));
        }
        let trust = self.trusted();
        let drive = if name.is_empty() {
            Drive::open_files(account, trust).await?
        } else if let Some((home, collection)) = name.split_once('/') {
            self.open_shared(account, trust, home, collection).await?
        } else {
            let id = name.parse::<CollectionId>().map_err(|error| Failure::failed("collection", error))?;
            Drive::open_named(account, trust, id).await?
        };
        let drive = Rc::new(drive);
        self.drives.borrow_mut().insert(name, Rc::clone(&drive));
        Ok(drive)
    }

    /// What is in a drive now: what was read before, with what changed since.
    async fn index(&self, collection: &Option<String>, drive: &Drive) -> Result<Index, Failure> {
        let name = collection.as_deref().unwrap_or_default();
        // It is taken out: a call at the same time reads for itself.
        let known = self.indexes.borrow_mut().remove(name);
        Ok(match known {
            Some(mut index) => {
                drive.refresh(&mut index).await?;
                index
            }
            None => drive.index().await?,
        })
    }

    /// What does not open is looked at anew each time.
    fn keep_index(&self, collection: Option<String>, index: Index) {
        if !index.damaged.is_empty() {
            return;
        }
        self.indexes.borrow_mut().insert(collection.unwrap_or_default(), index);
    }

    /// The account's own files, which are made when the first is put there.
    async fn make_own_files(&self) -> Result<Rc<Drive>, Failure> {
        let account = Opened::from(&*self.account()?);
        let mut drive = Drive::open_files(account, self.trusted()).await?;
        drive.ensure().await?;
        let drive = Rc::new(drive);
        self.drives.borrow_mut().insert(String::new(), Rc::clone(&drive));
        self.indexes.borrow_mut().remove("");
        Ok(drive)
    }

    pub(crate) fn trusted(&self) -> Arc<Trust> {
        let mut trust = self.trust.borrow_mut();
        Arc::clone(
            trust.get_or_insert_with(|| Arc::new(Trust::kept_by(Arc::clone(&self.pins), &self.client))),
        )
    }

    async fn entry(&self, drive: &Drive, path: &str) -> Result<Entry, Failure> {
        let path: RemotePath = path.parse()?;
        let entry = drive.find_file(&path).await?;
        entry.ok_or_else(|| Failure::failed("not_found", "there is no such file any more"))
    }
}

/// A file of the page, read by ranges.
struct PageFile {
    size: u64,
    modified_ms: Option<i64>,
    read: Function,
}

impl FileSource for PageFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn modified_ms(&self) -> Option<i64> {
        self.modified_ms
    }

    #[allow(clippy::cast_precision_loss, reason = "sizes of files are far below 2^53")]
    async fn read(&self, from: u64, to: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        let lost = |_| io::Error::other("the browser cannot read it any more: choose it again");
        let promise = self.read.call2(&JsValue::NULL, &(from as f64).into(), &(to as f64).into());
        bytes_of(promise.map_err(lost)?).await.map_err(lost)
    }
}

/// Where the page takes bytes.
struct PageSink(Function);

impl io::Write for PageSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .call1(&JsValue::NULL, &Uint8Array::from(bytes))
            .map_err(|_| io::Error::other("the browser does not take it"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn name_of(name: &str) -> Result<CollectionName, Failure> {
    name.parse::<CollectionName>().map_err(|why| Failure::typing("name", why))
}

/// A number of JavaScript as the whole number that it is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
fn whole(number: f64) -> u64 {
    number as u64
}
