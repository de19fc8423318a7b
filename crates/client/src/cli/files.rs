// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Putting files and getting them back.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::collections::WhereArgs;
use super::context::Context;
use super::failure::Failure;
use super::{prompt, versions};
use crate::files::disk;
use crate::files::{
    Drive, Entry, GetError, Got, Index, LocalFile, Names, Overwrite, Put, PutError, RemotePath, Resume, Tree,
    check_free, is_folder,
};
use crate::output::{Output, Unit, count, harmless, size};

/// Arguments of `put`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bailiwick put ./photos photos        the folder's files, as photos/…
  bailiwick put report.pdf letters/    the file, as letters/report.pdf
  tar c src | bailiwick put - src.tar  what another program writes
  bailiwick put ./plans / --collection Garden
                                       into a collection of your own
  bailiwick put minutes.txt / --shared 7KQ3MXC
                                       into what somebody lets you write

What is there already, compared by content, is not sent again; an upload that broke off goes on where it was,
unless something wrote to the file since. Links, devices and empty folders are left out, and named.")]
pub struct PutArgs {
    /// A file, a folder, or - for standard input
    local: PathBuf,

    /// Where to keep it: a name, or a folder if it ends with a slash
    remote: String,

    /// Send also what is there already: it mends a stored file that `get` says is damaged
    #[arg(long)]
    anew: bool,

    #[command(flatten)]
    at: WhereArgs,
}

/// Arguments of `get`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bailiwick get photos ./photos           a folder
  bailiwick get letters/report.pdf ./     a file, under its own name
  bailiwick get src.tar - | tar t         into another program
  bailiwick get / ./everything            all files")]
pub struct GetArgs {
    /// The file or folder; with a slash at its end, the folder; / for everything
    remote: String,

    /// Where to put it: a name, a folder if it ends with a slash, or - for standard output
    local: PathBuf,

    /// Replace local files that differ
    #[arg(long)]
    force: bool,

    /// The file as it was in this version: `bailiwick versions` lists them
    #[arg(long, value_name = "NUMBER")]
    at_version: Option<u64>,

    #[command(flatten)]
    at: WhereArgs,
}

pub(super) async fn put(context: &mut Context, arguments: PutArgs) -> Result<(), Failure> {
    let output = context.output;
    let remote = RemotePath::parse(&arguments.remote)?;
    let is_folder = remote.is_root() || arguments.remote.ends_with('/');
    if arguments.local == Path::new("-") {
        if is_folder {
            return Err(Failure::usage("standard input needs a name, not a folder"));
        }
        let mut drive = context.drive_at(&arguments.at).await?;
        drive.ensure().await?;
        let names = Names::current(&drive, &context.names_of(&drive)).await?;
        names.check_free(&remote).map_err(PutError::from)?;
        let spool = context.profile.folder();
        let (_, bytes) = drive.put_stream(io::stdin(), &remote, spool, &|_| {}).await?;
        context.remember_change(&drive.account().client)?;
        let document = json!({ "files": 1, "stored": 1, "unchanged": 0, "bytes": bytes, "skipped": [] });
        output.result(&document, || format!("Stored {}, {}.", harmless(remote.as_str()), size(bytes)));
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
        (Tree::of(file), RemotePath::ROOT)
    };
    put_tree(context, &arguments.at, tree, &remote, metadata.is_dir(), arguments.anew).await
}

async fn put_tree(
    context: &Context,
    at: &WhereArgs,
    tree: Tree,
    remote: &RemotePath,
    is_folder: bool,
    anew: bool,
) -> Result<(), Failure> {
    let output = context.output;
    let mut drive = context.drive_at(at).await?;
    drive.ensure().await?;
    let known = if is_folder { Some(drive.index().await?) } else { None };
    match &known {
        // Once, rather than for every file of the folder.
        Some(index) if index.files.contains_key(remote) => {
            let text = format!("{} is a file: a folder cannot have its name", harmless(remote.as_str()));
            return Err(Failure::failed("name_taken", text));
        }
        Some(index) if !remote.is_root() => {
            check_free(&index.files, &remote.join("a")?).map_err(PutError::from)?;
        }
        Some(_) => {}
        None => {
            let names = Names::current(&drive, &context.names_of(&drive)).await?;
            for file in &tree.files {
                names.check_free(&file.name).map_err(PutError::from)?;
            }
        }
    }
    let resume = Resume::within(context.uploads_of(&drive));
    let total = tree.files.iter().map(|file| file.size).sum();
    let bar = output.bar(total, Unit::Bytes);
    let progress = |bytes: u64| bar.inc(bytes);
    let results: Vec<(PathBuf, Result<Put, PutError>)> = stream::iter(&tree.files)
        .map(|file| {
            let (drive, known, resume, progress) = (&drive, known.as_ref(), &resume, &progress);
            async move {
                let put = match remote.join(file.name.as_str()) {
                    Ok(path) if anew => drive.put_file_anew(file, &path, known, Some(resume), progress).await,
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
    context.remember_change(&drive.account().client)?;

    let (mut stored, mut unchanged, mut failed) = (0_u64, 0_u64, Vec::new());
    for (path, result) in results {
        match result {
            Ok(Put::Stored { .. }) => stored += 1,
            Ok(Put::Unchanged) => unchanged += 1,
            Err(error) => failed.push((path, Failure::from(error))),
        }
    }
    for (path, why) in &tree.unreadable {
        failed.push((path.clone(), Failure::failed("local_file", why.as_str())));
    }
    for (path, why) in &tree.skipped {
        output.note(&format!("left out {}: {why}", harmless(&path.to_string_lossy())));
    }
    let skipped: Vec<Value> = tree
        .skipped
        .iter()
        .map(|(path, why)| json!({ "path": path.to_string_lossy(), "reason": why }))
        .collect();
    let document = json!({
        "files": tree.files.len(), "stored": stored, "unchanged": unchanged, "bytes": total, "skipped": skipped,
    });
    let said = format!("Stored {}, unchanged {unchanged}, {} in all.", count(stored, "file"), size(total));
    finish(output, failed, &said, &document)
}

pub(super) async fn get(context: &mut Context, arguments: GetArgs) -> Result<(), Failure> {
    let remote = RemotePath::parse(&arguments.remote)?;
    let drive = context.drive_at(&arguments.at).await?;
    let overwrite = if arguments.force { Overwrite::Yes } else { Overwrite::No };
    let is_file = !remote.is_root() && !arguments.remote.ends_with('/');
    // What others share is read as a whole: one request tells nobody which file it was for.
    let found = match arguments.at.shared {
        Some(_) => drive.index().await?.files.remove(&remote),
        None if is_file => drive.find_file(&remote).await?,
        None => None,
    };
    if let Some(version) = arguments.at_version {
        let entry = found.ok_or_else(|| no_such(&remote))?;
        let entry = versions::version(&drive, &entry, version).await?;
        return get_one(context, &drive, &entry, &arguments.local, overwrite).await;
    }
    if is_file && let Some(entry) = found {
        return get_one(context, &drive, &entry, &arguments.local, overwrite).await;
    }
    let index = drive.index().await?;
    let entries: Vec<(&str, &Entry)> = index
        .files
        .iter()
        .filter_map(|(path, entry)| path.within(&remote).map(|name| (name, entry)))
        .collect();
    if entries.is_empty() && !remote.is_root() {
        return Err(no_such(&remote));
    }
    if arguments.local == Path::new("-") {
        let name = if remote.is_root() { "/" } else { remote.as_str() };
        let text = format!("{} is a folder: standard output takes one file", harmless(name));
        return Err(Failure::usage(text));
    }
    report_damaged(context.output, &index);
    get_tree(context, &drive, &index, &entries, &arguments.local, overwrite).await
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
    if local.as_os_str().as_encoded_bytes().ends_with(b"/") {
        std::fs::create_dir_all(local).map_err(|error| unreadable(local, &error))?;
    }
    let target = if local.is_dir() { local.join(entry.path.name()) } else { local.to_owned() };
    let got = match drive.get_file(entry, &target, overwrite, &progress).await {
        Err(GetError::Exists(target)) if prompt::must_ask(output, "").is_ok() => {
            bar.finish_and_clear();
            let question =
                format!("{} is there and differs. Replace it?", harmless(&target.to_string_lossy()));
            if !prompt::confirm(output, &question, "--force")? {
                return Err(Failure::failed("not_confirmed", "nothing was changed"));
            }
            drive.get_file(entry, &target, Overwrite::Yes, &progress).await?
        }
        got => got?,
    };
    bar.finish_and_clear();
    let (written, unchanged) = if got == Got::Written { (1, 0) } else { (0, 1) };
    let document = json!({
        "files": 1, "written": written, "unchanged": unchanged, "bytes": entry.content.size,
        "path": target.to_string_lossy(),
    });
    output.result(&context.with_list(document), || match got {
        Got::Written => {
            format!("Got {}, {}.", harmless(&target.to_string_lossy()), size(entry.content.size))
        }
        Got::Unchanged => format!("{} is the same already.", harmless(&target.to_string_lossy())),
    });
    Ok(())
}

async fn get_tree(
    context: &Context,
    drive: &Drive,
    index: &Index,
    entries: &[(&str, &Entry)],
    local: &Path,
    overwrite: Overwrite,
) -> Result<(), Failure> {
    let output = context.output;
    std::fs::create_dir_all(local).map_err(|error| unreadable(local, &error))?;
    let total = entries.iter().map(|(_, entry)| entry.content.size).sum();
    let bar = output.bar(total, Unit::Bytes);
    let progress = |bytes: u64| bar.inc(bytes);
    let results: Vec<(PathBuf, Result<Got, GetError>)> = stream::iter(entries.iter().copied())
        .map(|(name, entry)| {
            let progress = &progress;
            async move {
                // Releases before this one kept a file and a folder of one name. No disk can: the file stands beside.
                let beside = is_folder(&index.files, &entry.path).then(|| format!("{name} (file)"));
                let name = beside.as_deref().unwrap_or(name);
                (local.join(name), drive.get_within(entry, local, name, overwrite, progress).await)
            }
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
    for (_, entry) in entries.iter().filter(|(_, entry)| is_folder(&index.files, &entry.path)) {
        let path = harmless(entry.path.as_str());
        output.note(&format!("{path} is a file and a folder: the file is written as {path} (file)"));
    }
    if !index.damaged.is_empty() {
        let text = format!("{} not open as files", verb(index.damaged.len(), "item does", "items do"));
        failed.push((PathBuf::from(local), Failure::failed("does_not_open", text)));
    }
    let document = json!({
        "files": entries.len(), "written": written, "unchanged": unchanged, "bytes": total,
        "path": local.to_string_lossy(),
    });
    let said = format!("Wrote {}, unchanged {unchanged}, {} in all.", count(written, "file"), size(total));
    finish(output, failed, &said, &context.with_list(document))
}

fn verb(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Says what was done and what failed, file by file, and ends as the first failure does.
pub(super) fn finish(
    output: Output,
    failed: Vec<(PathBuf, Failure)>,
    said: &str,
    document: &Value,
) -> Result<(), Failure> {
    let details = failed.iter().map(|(path, failure)| failure.detail(&path.to_string_lossy())).collect();
    let mut failed = failed.into_iter();
    let Some((path, first)) = failed.next() else {
        output.result(document, || said.to_owned());
        return Ok(());
    };
    output.note(said);
    let first = first.about(&path.to_string_lossy()).among(details);
    for (path, failure) in failed.take(MAX_SAID) {
        output.note(&harmless(failure.about(&path.to_string_lossy()).message()));
    }
    Err(first)
}

pub(super) fn report_damaged(output: Output, index: &Index) {
    for (item, why) in index.damaged.iter().take(MAX_SAID) {
        output.warn(&format!("{item} was changed or damaged: {why}"));
    }
}

pub(super) fn no_such(remote: &RemotePath) -> Failure {
    Failure::failed("not_found", format!("there is no {}", harmless(remote.as_str())))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed("local_file", format!("{}: {}", harmless(&path.to_string_lossy()), disk::said(error)))
}

pub(super) const FILES_IN_FLIGHT: usize = 6;
const MAX_SAID: usize = 20;
