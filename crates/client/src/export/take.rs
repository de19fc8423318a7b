// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking everything of an account along.

use std::fs;
use std::io::Write;
use std::path::Path;

use keyring::SystemRng;
use ledger::{EntryBundle, Tile};
use protocol::objects::{FileInfo, Item};
use protocol::service::Service;
use protocol::{Code, CollectionId, ItemId, MethodId, TenantId};

use super::lines::{Lines, write_json, write_lines, write_within};
use super::{
    COLLECTIONS, ExportError, ExportKey, Exported, MANIFEST, Manifest, RECORDS, Unreadable, VERSION, VERSIONS,
};
use crate::client::log::Log;
use crate::client::signin::Unlocked;
use crate::client::{Client, RequestError};
use crate::files::Progress;
use crate::files::disk::{self, NewFile};
use crate::place;
use crate::verify::VerifyError;

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
    let listed_after = match client.checkpoint(Log::Tenant(account.home)).await? {
        Some(note) => size_of(&note)?,
        None => 0,
    };
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
        listed_after,
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
        let mut replaced = Vec::new();
        let mut after = 0;
        loop {
            let page = client.changes(collection.id, after, true, PAGE).await?;
            for item in page.items.iter().filter(|item| !item.deleted) {
                lines.push(item)?;
                exported.items += 1;
                if collection.kept_versions > 0 && item.version > 1 {
                    replaced.push(item.id);
                }
                let path = |file: &FileInfo| files_folder.join(file.id.to_string());
                let taken = match &item.file {
                    Some(file) => export_file(client, collection.id, item, None, &path(file), progress).await,
                    None => continue,
                };
                if given(taken, item.id, exported)? {
                    exported.blobs += 1;
                }
            }
            if !page.more || page.next <= after {
                break;
            }
            after = page.next;
        }
        lines.finish()?;
        if !replaced.is_empty() {
            let mut lines =
                Lines::create_within(&folder.join(VERSIONS), &format!("{}.ndjson", collection.id))?;
            for item in replaced {
                let taken =
                    export_versions(client, collection.id, item, &mut lines, &files_folder, progress).await;
                match taken {
                    Ok(versions) => exported.versions += versions,
                    Err(error) => drop(given(Err(error), item, exported)?),
                }
            }
            lines.finish()?;
        }
    }
    Ok(())
}

/// The versions of an item before its current one; how many there are.
async fn export_versions(
    client: &Client,
    collection: CollectionId,
    item: ItemId,
    lines: &mut Lines,
    files_folder: &Path,
    progress: Progress<'_>,
) -> Result<u64, ExportError> {
    let versions = client.item_versions(collection, item).await?.versions;
    let mut count = 0;
    for version in versions.iter().skip(1).map(|one| one.version) {
        // It may have made room for others meanwhile.
        let Some(earlier) = client.item_version(collection, item, version).await? else { continue };
        lines.push(&earlier)?;
        count += 1;
        let Some(file) = &earlier.file else { continue };
        let path = files_folder.join(file.id.to_string());
        // Versions may have one file.
        if !path.exists() {
            export_file(client, collection, &earlier, Some(version), &path, progress).await?;
        }
    }
    Ok(count)
}

/// Whether the server gave it. What it cannot give is noted, and no reason to leave the others there.
fn given(taken: Result<(), ExportError>, item: ItemId, exported: &mut Exported) -> Result<bool, ExportError> {
    match taken {
        Ok(()) => Ok(true),
        Err(ExportError::Request(error @ (RequestError::Refused(_) | RequestError::Malformed { .. })))
            if !is_over(&error) =>
        {
            exported.unreadable.push(Unreadable::new(item, error));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn export_file(
    client: &Client,
    collection: CollectionId,
    item: &Item,
    version: Option<u64>,
    path: &Path,
    progress: Progress<'_>,
) -> Result<(), ExportError> {
    let failed = |error| ExportError::Local(path.to_owned(), error);
    let size = item.file.as_ref().map_or(0, |file| file.size);
    let mut new = NewFile::create(path).map_err(failed)?;
    let (mut start, mut bytes) = (0, Vec::new());
    while start < size {
        let end = size.min(start + STEP);
        client.file_range(collection, item.id, version, start..end, &mut bytes).await?;
        new.write_all(&bytes).map_err(failed)?;
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
    let size = size_of(&note)?;
    let root = folder.join("log");
    let mut from = 0;
    let mut lines = Lines::create_within(&root, RECORDS)?;
    while from < size {
        let page = client.records(Log::Tenant(home), from, RECORDS_A_PAGE).await?;
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

/// How many records a checkpoint covers. Its signature is checked by whoever verifies the export.
fn size_of(note: &str) -> Result<u64, ExportError> {
    let text = note.split("\n\n").next().map(|text| format!("{text}\n")).unwrap_or_default();
    let checkpoint: ledger::Checkpoint = text.parse().map_err(VerifyError::Checkpoint)?;
    Ok(checkpoint.head().size)
}

/// Whether a refusal means that every other request will be refused as well.
fn is_over(error: &RequestError) -> bool {
    matches!(error.code(), Some(Code::SessionEnded | Code::NotSignedIn | Code::Forbidden | Code::Suspended))
}

const PAGE: u32 = 200;
const RECORDS_A_PAGE: u32 = 512;
const STEP: u64 = 4 << 20;
