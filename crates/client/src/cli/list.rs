// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Listing and removing files.

use std::path::PathBuf;

use clap::Args;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::collections::WhereArgs;
use super::context::Context;
use super::failure::Failure;
use super::files::{FILES_IN_FLIGHT, finish, no_such, report_damaged};
use super::prompt;
use crate::files::{Entry, Index, Names, RemotePath};
use crate::output::{count, harmless, moment, size, table};

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// The file or folder
    #[arg(default_value = "")]
    remote: RemotePath,

    /// Show sizes and times
    #[arg(short, long)]
    long: bool,

    #[command(flatten)]
    at: WhereArgs,
}

/// Arguments of `rm`.
#[derive(Args, Debug)]
pub struct RmArgs {
    /// The file; with -r, or a folder
    remote: RemotePath,

    /// Remove a folder with all that is in it
    #[arg(short, long)]
    recursive: bool,

    /// Remove everything (`rm -r /`) without asking once more
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    at: WhereArgs,
}

pub(super) async fn list(context: &mut Context, arguments: LsArgs) -> Result<(), Failure> {
    let drive = context.drive_at(&arguments.at).await?;
    let index = drive.index().await?;
    report_damaged(context.output, &index);
    let remote = arguments.remote;
    let entries = entries_at(&index, &remote)?;
    let documents: Vec<Value> = entries.iter().map(|entry| document_of(entry)).collect();
    let damaged: Vec<Value> =
        index.damaged.iter().map(|(item, why)| json!({ "item": item, "reason": why.to_string() })).collect();
    let mut document = json!({ "files": documents });
    if let (false, Some(fields)) = (damaged.is_empty(), document.as_object_mut()) {
        fields.insert("damaged".to_owned(), damaged.into());
    }
    context.output.result(&context.with_list(document), || {
        if !arguments.long {
            return entries.iter().map(|entry| harmless(entry.path.as_str()) + "\n").collect();
        }
        let is_signed = entries.iter().any(|entry| entry.author.is_some());
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| {
                let mut row = vec![
                    size(entry.content.size),
                    moment(entry.content.modified_ms.unwrap_or(entry.stored_at)),
                ];
                // Who wrote what is a question in shared collections alone.
                if is_signed {
                    row.push(entry.author.clone().unwrap_or_default());
                }
                row.push(harmless(entry.path.as_str()));
                row
            })
            .collect();
        table(&rows)
    });
    Ok(())
}

/// The file of this name, or the files of the folder; there may be none at the root alone.
fn entries_at<'a>(index: &'a Index, remote: &RemotePath) -> Result<Vec<&'a Entry>, Failure> {
    let is_there = |entry: &&Entry| entry.path == *remote || entry.path.within(remote).is_some();
    let entries: Vec<_> = index.files.values().filter(is_there).collect();
    if entries.is_empty() && !remote.is_root() { Err(no_such(remote)) } else { Ok(entries) }
}

fn document_of(entry: &Entry) -> Value {
    let mut document = json!({
        "name": entry.path.as_str(),
        "size": entry.content.size,
        "modified_ms": entry.content.modified_ms,
        "stored_ms": entry.stored_at,
        "mode": entry.content.mode,
        "sha256": data_encoding::HEXLOWER.encode(entry.content.sha256.as_slice()),
        "version": entry.version,
        "item": entry.item,
    });
    if let (Some(author), Some(fields)) = (&entry.author, document.as_object_mut()) {
        fields.insert("author".to_owned(), author.as_str().into());
    }
    document
}

pub(super) async fn remove(context: &mut Context, arguments: RmArgs) -> Result<(), Failure> {
    let output = context.output;
    let remote = arguments.remote;
    let drive = context.drive_at(&arguments.at).await?;
    let names = context.names_of(&drive);
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
        Names::note_removed(&drive, &names, [&entry.path]);
        context.remember_change(&drive.account().client)?;
        output.result(&json!({ "removed": 1 }), || format!("Removed {remote}."));
        return Ok(());
    }
    let index = drive.index().await?;
    let entries = entries_at(&index, &remote)?;
    if remote.is_root() && !entries.is_empty() && !arguments.yes {
        let whose = if drive.is_default() { "of this account" } else { "here" };
        let question = format!("All {} files {whose} will be gone. Go on?", entries.len());
        if !prompt::confirm(output, &question, "--yes to remove every file")? {
            return Err(Failure::failed("not_confirmed", "nothing was removed"));
        }
    }
    let results: Vec<_> = stream::iter(&entries)
        .map(|entry| {
            let drive = &drive;
            async move { (PathBuf::from(entry.path.as_str()), drive.remove(entry).await) }
        })
        .buffer_unordered(FILES_IN_FLIGHT)
        .collect()
        .await;
    context.remember_change(&drive.account().client)?;
    let gone: Vec<RemotePath> = results
        .iter()
        .filter(|(_, result)| result.is_ok())
        .filter_map(|(path, _)| RemotePath::parse(path.to_str()?).ok())
        .collect();
    Names::note_removed(&drive, &names, &gone);
    let removed = results.iter().filter(|(_, result)| result.is_ok()).count();
    let failed =
        results.into_iter().filter_map(|(path, result)| Some((path, Failure::from(result.err()?)))).collect();
    let said = format!("Removed {}.", count(removed as u64, "file"));
    finish(output, failed, &said, &json!({ "removed": removed }))
}
