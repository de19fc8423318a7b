// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keeping files: put, get, list, remove, synchronise.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::context::Context;
use super::failure::Failure;
use crate::files::{
    Drive, Entry, GetError, Got, Index, LocalFile, Overwrite, Put, PutError, RemotePath, Resume, SyncOptions,
    SyncState, Tree,
};
use crate::output::{Output, Unit, harmless, moment, table};

/// Arguments of `put`.
#[derive(Args, Debug)]
pub struct PutArgs {
    /// A file, a folder, or - for standard input
    local: PathBuf,

    /// Where to keep it: a name, or a folder if it ends with a slash
    remote: String,
}

/// Arguments of `get`.
#[derive(Args, Debug)]
pub struct GetArgs {
    /// The file or folder; / for everything
    remote: String,

    /// Where to put it; - for standard output
    local: PathBuf,

    /// Replace local files that differ
    #[arg(long)]
    force: bool,
}

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// The file or folder
    #[arg(default_value = "")]
    remote: RemotePath,

    /// Show sizes and times
    #[arg(short)]
    long: bool,
}

/// Arguments of `rm`.
#[derive(Args, Debug)]
pub struct RmArgs {
    /// The file; with -r, or a folder
    remote: RemotePath,

    /// Remove a folder with all that is in it
    #[arg(short)]
    recursive: bool,
}

/// Arguments of `sync`.
#[derive(Args, Debug)]
pub struct SyncArgs {
    /// The local folder
    local: PathBuf,

    /// The remote folder
    remote: RemotePath,

    /// Bring the remote files here, instead of the local ones there
    #[arg(long)]
    pull: bool,

    /// Remove what was synchronised before and is gone on the side that is copied from
    #[arg(long)]
    delete: bool,

    /// Go on as changes happen
    #[arg(long, requires = "pull")]
    watch: bool,
}

pub(super) async fn put(context: &mut Context, arguments: PutArgs) -> Result<(), Failure> {
    let output = context.output;
    let remote = RemotePath::parse(&arguments.remote)?;
    let is_folder = remote.is_root() || arguments.remote.ends_with('/');
    if arguments.local == Path::new("-") {
        if is_folder {
            return Err(Failure::usage("standard input needs a name, not a folder"));
        }
        let mut drive = context.drive().await?;
        drive.ensure().await?;
        let spool = context.profile.folder();
        let (_, bytes) = drive.put_stream(io::stdin(), &remote, spool, &|_| {}).await?;
        let document = json!({ "files": 1, "stored": 1, "unchanged": 0, "bytes": bytes, "skipped": [] });
        output.result(&document, || format!("Stored {remote}, {bytes} bytes."));
        return Ok(());
    }
    let local = arguments.local;
    let metadata = std::fs::metadata(&local).map_err(|error| unreadable(&local, &error))?;
    let (tree, remote) = if metadata.is_dir() {
        let root = local.clone();
        let tree = tokio::task::spawn_blocking(move || Tree::walk(&root)).await;
        let tree = tree.map_err(|_| Failure::failed("interrupted", "interrupted"))?;
        (tree.map_err(|error| unreadable(&local, &error))?, remote)
    } else {
        let mut file = LocalFile::at(&local).map_err(|error| unreadable(&local, &error))?;
        let target = if is_folder {
            if file.name.is_root() {
                return Err(Failure::usage("the file's name cannot be a remote name: give one"));
            }
            remote.join(file.name.as_str())?
        } else {
            remote
        };
        // The whole target is the name: there is no folder to join it to.
        file.name = target;
        (Tree { files: vec![file], skipped: Vec::new() }, RemotePath::ROOT)
    };
    put_tree(context, tree, &remote, metadata.is_dir()).await
}

async fn put_tree(
    context: &Context,
    tree: Tree,
    remote: &RemotePath,
    is_folder: bool,
) -> Result<(), Failure> {
    let output = context.output;
    let mut drive = context.drive().await?;
    drive.ensure().await?;
    let known = if is_folder { Some(drive.index().await?) } else { None };
    let resume = Resume::within(context.profile.uploads());
    let total = tree.files.iter().map(|file| file.size).sum();
    let bar = output.bar(total, Unit::Bytes);
    let progress = |bytes: u64| bar.inc(bytes);
    let results: Vec<(PathBuf, Result<Put, PutError>)> = stream::iter(&tree.files)
        .map(|file| {
            let (drive, known, resume, progress) = (&drive, known.as_ref(), &resume, &progress);
            async move {
                let put = match remote.join(file.name.as_str()) {
                    Ok(path) => drive.put_file(file, &path, known, Some(resume), progress).await,
                    Err(_) => Err(PutError::NoName),
                };
                (file.path.clone(), put)
            }
        })
        .buffer_unordered(FILES_IN_FLIGHT)
        .collect()
        .await;
    bar.finish_and_clear();

    let (mut stored, mut unchanged, mut failed) = (0_u64, 0_u64, Vec::new());
    for (path, result) in results {
        match result {
            Ok(Put::Stored { .. }) => stored += 1,
            Ok(Put::Unchanged) => unchanged += 1,
            Err(error) => failed.push((path, Failure::from(error))),
        }
    }
    for (path, why) in &tree.skipped {
        output.note(&format!("left out {}: {why}", harmless(&path.to_string_lossy())));
    }
    let skipped: Vec<Value> = tree
        .skipped
        .iter()
        .map(|(path, why)| json!({ "path": path.to_string_lossy(), "reason": why }))
        .collect();
    finish(output, failed, || {
        let document = json!({
            "files": tree.files.len(), "stored": stored, "unchanged": unchanged, "bytes": total, "skipped": skipped,
        });
        output.result(&document, || format!("Stored {stored}, unchanged {unchanged}, {total} bytes in all."));
    })
}

pub(super) async fn get(context: &mut Context, arguments: GetArgs) -> Result<(), Failure> {
    let remote = RemotePath::parse(&arguments.remote)?;
    let drive = context.drive().await?;
    let overwrite = if arguments.force { Overwrite::Yes } else { Overwrite::No };
    if !remote.is_root()
        && let Some(entry) = drive.find_file(&remote).await?
    {
        return get_one(context, &drive, &entry, &arguments.local, overwrite).await;
    }
    let index = drive.index().await?;
    report_damaged(context.output, &index);
    let entries: Vec<(&str, &Entry)> = index
        .files
        .iter()
        .filter_map(|(path, entry)| path.within(&remote).map(|name| (name, entry)))
        .collect();
    if entries.is_empty() && !remote.is_root() {
        return Err(no_such(&remote));
    }
    get_tree(context, &drive, &entries, &arguments.local, overwrite, index.damaged.len()).await
}

async fn get_one(
    context: &Context,
    drive: &Drive,
    entry: &Entry,
    local: &Path,
    overwrite: Overwrite,
) -> Result<(), Failure> {
    let output = context.output;
    let bar = output.bar(entry.content.size, Unit::Bytes);
    let progress = |bytes: u64| bar.inc(bytes);
    if local == Path::new("-") {
        if output.is_json() {
            return Err(Failure::usage("with --json, standard output is for the result: name a file"));
        }
        drive.copy_to(entry, io::stdout(), &progress).await?;
        bar.finish_and_clear();
        return Ok(());
    }
    let target = if local.is_dir() { local.join(entry.path.name()) } else { local.to_owned() };
    let got = drive.get_file(entry, &target, overwrite, &progress).await?;
    bar.finish_and_clear();
    let (written, unchanged) = if got == Got::Written { (1, 0) } else { (0, 1) };
    let document = json!({
        "files": 1, "written": written, "unchanged": unchanged, "bytes": entry.content.size,
        "path": target.to_string_lossy(),
    });
    output.result(&document, || match got {
        Got::Written => format!("Got {}, {} bytes.", target.display(), entry.content.size),
        Got::Unchanged => format!("{} is the same already.", target.display()),
    });
    Ok(())
}

async fn get_tree(
    context: &Context,
    drive: &Drive,
    entries: &[(&str, &Entry)],
    local: &Path,
    overwrite: Overwrite,
    damaged: usize,
) -> Result<(), Failure> {
    let output = context.output;
    std::fs::create_dir_all(local).map_err(|error| unreadable(local, &error))?;
    let total = entries.iter().map(|(_, entry)| entry.content.size).sum();
    let bar = output.bar(total, Unit::Bytes);
    let progress = |bytes: u64| bar.inc(bytes);
    let results: Vec<(PathBuf, Result<Got, GetError>)> = stream::iter(entries.iter().copied())
        .map(|(name, entry)| {
            let progress = &progress;
            async move { (local.join(name), drive.get_within(entry, local, name, overwrite, progress).await) }
        })
        .buffer_unordered(FILES_IN_FLIGHT)
        .collect()
        .await;
    bar.finish_and_clear();
    let (mut written, mut unchanged, mut failed) = (0_u64, 0_u64, Vec::new());
    for (path, result) in results {
        match result {
            Ok(Got::Written) => written += 1,
            Ok(Got::Unchanged) => unchanged += 1,
            Err(error) => failed.push((path, Failure::from(error))),
        }
    }
    if damaged > 0 {
        let text = format!("{damaged} items do not open as files");
        failed.push((PathBuf::from(local), Failure::failed("does_not_open", text)));
    }
    finish(output, failed, || {
        let document = json!({
            "files": entries.len(), "written": written, "unchanged": unchanged, "bytes": total,
            "path": local.to_string_lossy(),
        });
        output.result(&document, || format!("Wrote {written}, unchanged {unchanged}, {total} bytes in all."));
    })
}

pub(super) async fn list(context: &mut Context, arguments: LsArgs) -> Result<(), Failure> {
    let drive = context.drive().await?;
    let index = drive.index().await?;
    report_damaged(context.output, &index);
    let remote = arguments.remote;
    let entries: Vec<&Entry> = index
        .files
        .values()
        .filter(|entry| entry.path == remote || entry.path.within(&remote).is_some())
        .collect();
    if entries.is_empty() && !remote.is_root() {
        return Err(no_such(&remote));
    }
    let documents: Vec<Value> = entries.iter().map(|entry| document_of(entry)).collect();
    let damaged: Vec<Value> =
        index.damaged.iter().map(|(item, why)| json!({ "item": item, "reason": why.to_string() })).collect();
    let mut document = json!({ "files": documents });
    if let (false, Some(fields)) = (damaged.is_empty(), document.as_object_mut()) {
        fields.insert("damaged".to_owned(), damaged.into());
    }
    context.output.result(&document, || {
        if !arguments.long {
            return entries.iter().map(|entry| harmless(entry.path.as_str()) + "\n").collect();
        }
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| {
                vec![
                    entry.content.size.to_string(),
                    moment(entry.content.modified_ms.unwrap_or(entry.stored_at)),
                    harmless(entry.path.as_str()),
                ]
            })
            .collect();
        table(&rows)
    });
    Ok(())
}

fn document_of(entry: &Entry) -> Value {
    json!({
        "name": entry.path.as_str(),
        "size": entry.content.size,
        "modified_ms": entry.content.modified_ms,
        "stored_ms": entry.stored_at,
        "mode": entry.content.mode,
        "sha256": data_encoding::HEXLOWER.encode(entry.content.sha256.as_slice()),
        "version": entry.version,
        "item": entry.item,
    })
}

pub(super) async fn remove(context: &mut Context, arguments: RmArgs) -> Result<(), Failure> {
    let output = context.output;
    let remote = arguments.remote;
    let drive = context.drive().await?;
    if !arguments.recursive {
        if remote.is_root() {
            return Err(Failure::usage("to remove everything, give -r"));
        }
        let Some(entry) = drive.find_file(&remote).await? else {
            let is_folder = drive.index().await?.files.keys().any(|path| path.within(&remote).is_some());
            return Err(if is_folder {
                Failure::usage(format!("{remote} is a folder: give -r"))
            } else {
                no_such(&remote)
            });
        };
        drive.remove(&entry).await?;
        output.result(&json!({ "removed": 1 }), || format!("Removed {remote}."));
        return Ok(());
    }
    let index = drive.index().await?;
    let entries: Vec<&Entry> = index
        .files
        .values()
        .filter(|entry| entry.path == remote || entry.path.within(&remote).is_some())
        .collect();
    if entries.is_empty() && !remote.is_root() {
        return Err(no_such(&remote));
    }
    let results: Vec<_> = stream::iter(&entries)
        .map(|entry| {
            let drive = &drive;
            async move { (PathBuf::from(entry.path.as_str()), drive.remove(entry).await) }
        })
        .buffer_unordered(FILES_IN_FLIGHT)
        .collect()
        .await;
    let removed = results.iter().filter(|(_, result)| result.is_ok()).count();
    let failed =
        results.into_iter().filter_map(|(path, result)| Some((path, Failure::from(result.err()?)))).collect();
    finish(output, failed, || {
        output.result(&json!({ "removed": removed }), || format!("Removed {removed} files."));
    })
}

pub(super) async fn sync(context: &mut Context, arguments: SyncArgs) -> Result<(), Failure> {
    let output = context.output;
    let mut drive = context.drive().await?;
    drive.ensure().await?;
    let options = SyncOptions { pull: arguments.pull, delete: arguments.delete };
    let mut state = SyncState::load(&drive, &context.profile.sync(), &arguments.local, &arguments.remote)?;
    loop {
        let bar = output.bar(0, Unit::Bytes);
        let progress = |bytes: u64| {
            bar.inc_length(bytes);
            bar.inc(bytes);
        };
        let resume = Resume::within(context.profile.uploads());
        let report =
            state.run(&drive, &arguments.local, &arguments.remote, options, &resume, &progress).await?;
        bar.finish_and_clear();
        let sequence = report.sequence;
        output.result(&report, || report.to_text());
        if !arguments.watch {
            return Ok(());
        }
        let Some(collection) = drive.collection() else { return Ok(()) };
        let mut events = drive.account().client.events(collection, sequence);
        while events.next().await?.sequence <= sequence {}
    }
}

/// Says what failed, file by file, and ends as the first failure does. Says the result only if nothing failed.
fn finish(output: Output, failed: Vec<(PathBuf, Failure)>, result: impl FnOnce()) -> Result<(), Failure> {
    let count = failed.len();
    let mut failed = failed.into_iter();
    match failed.next() {
        None => {
            result();
            Ok(())
        }
        Some((path, first)) => {
            let first = first.about(&path.to_string_lossy(), count);
            for (path, failure) in failed.take(MAX_SAID) {
                output.note(&format!("{}: {}", harmless(&path.to_string_lossy()), failure.message()));
            }
            Err(first)
        }
    }
}

fn report_damaged(output: Output, index: &Index) {
    for (item, why) in index.damaged.iter().take(MAX_SAID) {
        output.warn(&format!("{item} was changed or damaged: {why}"));
    }
}

fn no_such(remote: &RemotePath) -> Failure {
    Failure::failed("not_found", format!("there is no {}", harmless(remote.as_str())))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed("local_file", format!("{}: {error}", harmless(&path.to_string_lossy())))
}

const FILES_IN_FLIGHT: usize = 6;
const MAX_SAID: usize = 20;
