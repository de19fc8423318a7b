// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything of an account in a folder, to be read and verified with no server.
//!
//! ```text
//! export.json                    which account, which log, and the master key sealed to the export's own key
//! account.json, methods.json     what the server says of the account
//! collections.ndjson             collections, their keys sealed under the account key
//! items/<collection>.ndjson      items, sealed as they lay on the server
//! files/<upload>                 sealed files, byte for byte
//! log/checkpoint, log/tile/…     the history as C2SP tlog-tiles
//! log/records.ndjson             the records, as they were
//! ```
//!
//! The **export key** is 256 random bits, shown once. Whoever has it and the folder can read everything; the folder alone
//! says no more than the server's disk does. A password would not do: without the server nobody can tell what it unlocks,
//! which is what protects it from being guessed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use keyring::{CollectionKey, MasterKey, MethodSecret, Sealed, SealedMasterKey, SystemRng};
use ledger::{EntryBundle, Tile};
use protocol::log::LogEntry;
use protocol::objects::{Collection, Item};
use protocol::service::Service;
use protocol::{AccountId, CollectionId, MethodId, TenantId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::log::Log;
use crate::client::signin::Unlocked;
use crate::client::{Client, RequestError};
use crate::files::disk::{self, NewFile};
use crate::files::{DriveError, Entry, GetError, Progress, RemotePath};
use crate::pins::Pins;
use crate::place;
use crate::verify::{Age, Check, LogIdentity, Verified, VerifyError, add_leaves};

/// What an export says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The server that it is from.
    pub server: String,
    /// The name of the platform's log.
    pub log_origin: String,
    /// The key of its logs, as a vkey (C2SP signed-note).
    pub log_public_key: String,
    /// The version of the master key.
    pub master_key_version: u32,
    /// The export's place among the login methods.
    method: MethodId,
    /// The master key, sealed to the export key.
    sealed_master_key: protocol::Bytes<4096>,
}

/// What was taken along.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Exported {
    /// Collections.
    pub collections: u64,
    /// Items.
    pub items: u64,
    /// Sealed files.
    pub files: u64,
    /// Records of the history.
    pub records: u64,
}

/// What opens an export. Shown once.
#[derive(Clone)]
pub struct ExportKey(Zeroizing<[u8; 32]>);

impl ExportKey {
    fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rand_core::Rng::fill_bytes(&mut SystemRng, key.as_mut_slice());
        ExportKey(key)
    }

    /// Reads a key as typed.
    ///
    /// # Errors
    /// [`ExportError::Key`].
    pub fn parse(typed: &str) -> Result<Self, ExportError> {
        let symbols: Zeroizing<String> = Zeroizing::new(
            typed.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_uppercase(),
        );
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(symbols.as_bytes()).map_err(|_| ExportError::Key)?);
        let key = bytes.as_slice().try_into().map_err(|_| ExportError::Key)?;
        Ok(ExportKey(Zeroizing::new(key)))
    }

    /// The key as shown: groups of four.
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()));
        let groups: Vec<&str> =
            text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        Zeroizing::new(groups.join("-"))
    }

    fn secret(&self) -> Result<MethodSecret, ExportError> {
        MethodSecret::from_bytes(self.0.as_slice()).map_err(|_| ExportError::Key)
    }
}

/// Takes everything of an account along to `folder`, which must be new or empty.
///
/// # Errors
/// [`ExportError`].
pub async fn export(
    account: &Unlocked,
    service: &Service,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(Exported, ExportKey), ExportError> {
    let failed = |error| ExportError::Local(folder.to_owned(), error);
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ExportError::NotEmpty(folder.to_owned()));
    }
    disk::private_folder(folder).map_err(failed)?;
    let key = ExportKey::generate();
    let method = MethodId::random();
    let place = place::master_key(account.account, method, account.master_key_version);
    let sealed = account.master.seal_to(&key.secret()?.key_pair().public_key(), &place, &mut SystemRng);

    let client = &account.client;
    write_json(&folder.join("account.json"), &client.account().await?)?;
    write_json(&folder.join("methods.json"), &client.methods().await?)?;
    let mut exported = Exported::default();
    export_collections(client, folder, &mut exported, progress).await?;
    export_log(client, account.home, folder, &mut exported).await?;
    // Last: a folder without it is no export.
    let manifest = Manifest {
        version: VERSION,
        account: account.account,
        number: account.number.clone(),
        home: account.home,
        server: client.server().to_owned(),
        log_origin: service.log_origin.clone(),
        log_public_key: service.log_public_key.clone(),
        master_key_version: account.master_key_version,
        method,
        sealed_master_key: sealed.as_bytes().into(),
    };
    write_json(&folder.join(MANIFEST), &manifest)?;
    Ok((exported, key))
}

async fn export_collections(
    client: &Client,
    folder: &Path,
    exported: &mut Exported,
    progress: Progress<'_>,
) -> Result<(), ExportError> {
    let collections = client.collections().await?;
    let (items_folder, files_folder) = (folder.join("items"), folder.join("files"));
    for folder in [&items_folder, &files_folder] {
        disk::private_folder(folder).map_err(|error| ExportError::Local(folder.clone(), error))?;
    }
    write_lines(&folder.join(COLLECTIONS), &collections)?;
    for collection in &collections {
        exported.collections += 1;
        let path = items_folder.join(format!("{}.ndjson", collection.id));
        let mut lines = Lines::create(&path)?;
        let mut after = 0;
        loop {
            let page = client.changes(collection.id, after, PAGE).await?;
            for item in page.items.iter().filter(|item| !item.deleted) {
                lines.push(item)?;
                exported.items += 1;
                if let Some(file) = &item.file {
                    export_file(
                        client,
                        collection.id,
                        item,
                        &files_folder.join(file.id.to_string()),
                        progress,
                    )
                    .await?;
                    exported.files += 1;
                }
            }
            if !page.more || page.next <= after {
                break;
            }
            after = page.next;
        }
        lines.finish()?;
    }
    Ok(())
}

async fn export_file(
    client: &Client,
    collection: CollectionId,
    item: &Item,
    path: &Path,
    progress: Progress<'_>,
) -> Result<(), ExportError> {
    let failed = |error| ExportError::Local(path.to_owned(), error);
    let size = item.file.as_ref().map_or(0, |file| file.size);
    let mut new = NewFile::create(path).map_err(failed)?;
    let mut start = 0;
    while start < size {
        let end = size.min(start + STEP);
        let bytes = client.file_range(collection, item.id, start, end).await?;
        new.file().write_all(&bytes).map_err(failed)?;
        progress(end - start);
        start = end;
    }
    new.finish(None, None).map_err(failed)
}

async fn export_log(
    client: &Client,
    home: TenantId,
    folder: &Path,
    exported: &mut Exported,
) -> Result<(), ExportError> {
    let log = Log::Tenant(home);
    let Some(note) = client.checkpoint(log).await? else { return Ok(()) };
    let checkpoint = note.split("\n\n").next().map(|text| format!("{text}\n"));
    let checkpoint: ledger::Checkpoint =
        checkpoint.unwrap_or_default().parse().map_err(VerifyError::Checkpoint)?;
    let size = checkpoint.head().size;
    let root = folder.join("log");
    let mut from = 0;
    let mut lines = Lines::create_within(&root, RECORDS)?;
    while from < size {
        let page = client.records(home, from, RECORDS_A_PAGE).await?;
        for entry in page.records.iter().filter(|entry| entry.number < size) {
            lines.push(entry)?;
            exported.records += 1;
        }
        if page.next <= from {
            break;
        }
        from = page.next;
    }
    lines.finish()?;
    for tile in Tile::grown(0, size) {
        write_within(&root, &tile.to_string(), &client.tile(log, tile).await?)?;
    }
    for bundle in (0..size.div_ceil(256)).filter_map(|index| EntryBundle::at(index, size)) {
        write_within(&root, &bundle.to_string(), &client.entries(log, bundle).await?)?;
    }
    write_within(&root, "checkpoint", note.as_bytes())
}

/// An export that is at hand.
#[derive(Debug)]
pub struct Export {
    folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Export {
    /// Opens the export in `folder`.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn at(folder: &Path) -> Result<Self, ExportError> {
        let manifest: Manifest = read_json(&folder.join(MANIFEST))?;
        if manifest.version != VERSION {
            return Err(ExportError::Version(manifest.version));
        }
        Ok(Export { folder: folder.to_owned(), manifest })
    }

    /// The log that it carries, as it says itself: whoever made the export may have made the key.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn log(&self) -> Result<LogIdentity, VerifyError> {
        let manifest = &self.manifest;
        LogIdentity::of_tenant(&manifest.log_origin, &manifest.log_public_key, manifest.home)
    }

    /// Verifies the history that it carries.
    ///
    /// # Errors
    /// [`ExportError`] when it cannot be verified; what is wrong with it is in [`Verified`].
    pub fn verify(&self, log: &LogIdentity, pins: &Pins) -> Result<Verified, ExportError> {
        let root = self.folder.join("log");
        let path = root.join("checkpoint");
        let note = fs::read_to_string(&path).map_err(|error| ExportError::Local(path, error))?;
        let mut check = Check::new(log, note, pins, Age::Any);
        for (index, tile) in check.tiles(0, check.size) {
            let nodes = fs::read(root.join(tile.to_string())).ok().and_then(|bytes| tile.decode(&bytes).ok());
            check.nodes.insert(index, nodes.unwrap_or_default());
        }
        let mut page: Vec<LogEntry> = Vec::new();
        let mut records = read_lines::<LogEntry>(&root.join(RECORDS))?.peekable();
        let mut from = 0;
        while from < check.size {
            let to = check.size.min(from + 256);
            // What is out of its order ends up with the page that it follows, and is found there.
            while let Some(entry) =
                records.next_if(|entry| entry.as_ref().map_or(true, |entry| entry.number < to))
            {
                page.push(entry?);
            }
            let mut leaves = BTreeMap::new();
            for tile in check.leaf_tiles(from, to) {
                add_leaves(&mut leaves, tile, &fs::read(root.join(tile.to_string())).unwrap_or_default());
            }
            check.push(&page, leaves);
            page.clear();
            from = to;
        }
        Ok(check.finish())
    }

    /// Opens everything that is a file, and writes it to below `target`.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn open(&self, key: &ExportKey, target: &Path, progress: Progress<'_>) -> Result<u64, ExportError> {
        let master = self.master_key(key)?;
        fs::create_dir_all(target).map_err(|error| ExportError::Local(target.to_owned(), error))?;
        let mut files = 0;
        for collection in read_lines::<Collection>(&self.folder.join(COLLECTIONS))? {
            let collection = collection?;
            if collection.kind != "files" {
                continue;
            }
            let place = place::collection_key(self.manifest.account, collection.id, collection.key_version);
            let sealed = Sealed::parse(collection.sealed_key.into_vec()).map_err(ExportError::DoesNotOpen)?;
            let key = CollectionKey::open(&master.account_key(), &sealed, &place)
                .map_err(ExportError::DoesNotOpen)?;
            let items = self.folder.join("items").join(format!("{}.ndjson", collection.id));
            for item in read_lines::<Item>(&items)? {
                let item = item?;
                let place = place::content(self.manifest.home, collection.id, item.version);
                let entry = crate::files::open_item(&key, &place, &item)
                    .map_err(|why| DriveError::Damaged(item.id, why))?;
                self.open_file(&key, &entry, target, progress)?;
                files += 1;
            }
        }
        Ok(files)
    }

    fn master_key(&self, key: &ExportKey) -> Result<MasterKey, ExportError> {
        let manifest = &self.manifest;
        let sealed = SealedMasterKey::parse(manifest.sealed_master_key.as_slice())
            .map_err(ExportError::DoesNotOpen)?;
        let place = place::master_key(manifest.account, manifest.method, manifest.master_key_version);
        sealed.open(&key.secret()?.key_pair(), &place).map_err(ExportError::DoesNotOpen)
    }

    fn open_file(
        &self,
        key: &CollectionKey,
        entry: &Entry,
        target: &Path,
        progress: Progress<'_>,
    ) -> Result<(), ExportError> {
        let relative = entry.path.within(&RemotePath::ROOT).unwrap_or_default();
        let target = crate::files::target_within(target, relative)?;
        let failed = |error| ExportError::Local(target.clone(), error);
        if fs::symlink_metadata(&target).is_ok() {
            return Err(GetError::Exists(target).into());
        }
        let mut new = NewFile::create(&target).map_err(failed)?;
        if let Some(data) = &entry.content.data {
            new.file().write_all(data.as_slice()).map_err(failed)?;
        } else if let Some(file) = &entry.content.file {
            let opener = crate::files::opener(&key.item_key(&place::item(entry.item)), entry)?;
            let path = self.folder.join("files").join(file.id.to_string());
            let mut sealed = File::open(&path).map_err(|error| ExportError::Local(path.clone(), error))?;
            for span in crate::files::spans(&opener) {
                let length = usize::try_from(span.sealed.end - span.sealed.start).unwrap_or_default();
                let mut bytes = vec![0; length];
                sealed
                    .seek(SeekFrom::Start(span.sealed.start))
                    .and_then(|_| sealed.read_exact(&mut bytes))
                    .map_err(|error| ExportError::Local(path.clone(), error))?;
                crate::files::open_span(&opener, &span, &bytes, new.file())?;
            }
        }
        progress(entry.content.size);
        new.finish(entry.content.mode.or(Some(0o600)), entry.content.modified_ms).map_err(failed)
    }
}

/// Why an export was not made or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An item is damaged.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// A file is damaged or cannot be written.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The history cannot be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The folder has something in it.
    #[error("{} is not empty: an export goes into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    Local(PathBuf, io::Error),
    /// What was typed is not an export key.
    #[error("an export key has 52 letters and digits, in groups of four")]
    Key,
    /// A file of the export is not what it should be.
    #[error("{} is not part of an export: {}", .0.display(), .1)]
    NotAnExport(PathBuf, String),
    /// Written by a newer release.
    #[error("the export was written by a newer release (version {0}): update this program")]
    Version(u32),
    /// It does not open with this key.
    #[error("the export does not open with this key: {0}")]
    DoesNotOpen(keyring::OpenError),
}

/// A file of JSON lines that is being written.
struct Lines {
    new: NewFile,
    buffer: Vec<u8>,
    path: PathBuf,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, ExportError> {
        let new = NewFile::create(path).map_err(|error| ExportError::Local(path.to_owned(), error))?;
        Ok(Lines { new, buffer: Vec::new(), path: path.to_owned() })
    }

    fn create_within(root: &Path, name: &str) -> Result<Self, ExportError> {
        disk::private_folder(root).map_err(|error| ExportError::Local(root.to_owned(), error))?;
        Self::create(&root.join(name))
    }

    fn push(&mut self, value: &impl Serialize) -> Result<(), ExportError> {
        serde_json::to_writer(&mut self.buffer, value).map_err(|error| self.failed(error.into()))?;
        self.buffer.push(b'\n');
        if self.buffer.len() > FLUSH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let written = self.new.file().write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| self.failed(error))
    }

    fn finish(mut self) -> Result<(), ExportError> {
        self.flush()?;
        let path = self.path;
        self.new.finish(None, None).map_err(|error| ExportError::Local(path, error))
    }

    fn failed(&self, error: io::Error) -> ExportError {
        ExportError::Local(self.path.clone(), error)
    }
}

fn write_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<(), ExportError> {
    let mut lines = Lines::create(path)?;
    for value in values {
        lines.push(value)?;
    }
    lines.finish()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExportError> {
    let failed = |error| ExportError::Local(path.to_owned(), error);
    let json = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    disk::write_private(path, &json).map_err(failed)
}

/// Writes a file whose name has folders in it. Tiles name their own places, in digits and a few letters.
fn write_within(root: &Path, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let path = root.join(name);
    let failed = |error| ExportError::Local(path.clone(), error);
    if let Some(folder) = path.parent() {
        disk::private_folder(folder).map_err(failed)?;
    }
    disk::write_private(&path, bytes).map_err(failed)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ExportError> {
    let bytes = fs::read(path).map_err(|error| ExportError::Local(path.to_owned(), error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ExportError::NotAnExport(path.to_owned(), error.to_string()))
}

fn read_lines<T: DeserializeOwned>(
    path: &Path,
) -> Result<impl Iterator<Item = Result<T, ExportError>> + use<T>, ExportError> {
    let file = File::open(path).map_err(|error| ExportError::Local(path.to_owned(), error))?;
    let path = path.to_owned();
    Ok(BufReader::new(file).lines().map(move |line| {
        let line = line.map_err(|error| ExportError::Local(path.clone(), error))?;
        serde_json::from_str(&line).map_err(|error| ExportError::NotAnExport(path.clone(), error.to_string()))
    }))
}

const VERSION: u32 = 1;
const MANIFEST: &str = "export.json";
const COLLECTIONS: &str = "collections.ndjson";
const RECORDS: &str = "records.ndjson";
const PAGE: u32 = 200;
const RECORDS_A_PAGE: u32 = 512;
const STEP: u64 = 4 << 20;
const FLUSH: usize = 1 << 20;
