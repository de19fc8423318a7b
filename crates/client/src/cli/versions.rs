// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Earlier versions of a file.

use clap::Args;
use serde_json::{Value, json};

use super::collections::WhereArgs;
use super::context::Context;
use super::failure::Failure;
use super::files::no_such;
use crate::files::{Drive, Entry, RemotePath};
use crate::output::{Unit, moment, size, table};

/// Arguments of `versions`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bailiwick versions letters/report.pdf
  bailiwick get letters/report.pdf ./old.pdf --at-version 3
  bailiwick versions letters/report.pdf --revert 3
                                       what it was then is its next version
  bailiwick collections keep Files 20  how many are kept

A file that is removed takes its versions along.")]
pub struct VersionsArgs {
    /// The file
    remote: RemotePath,

    /// Put the file back to what it was in this version
    #[arg(long, value_name = "NUMBER")]
    revert: Option<u64>,

    #[command(flatten)]
    at: WhereArgs,
}

pub(super) async fn versions(context: &mut Context, arguments: VersionsArgs) -> Result<(), Failure> {
    let VersionsArgs { remote, revert, at } = arguments;
    if at.shared.is_some() {
        return Err(Failure::usage("who shares a collection sees its versions: leave --shared out"));
    }
    let drive = context.drive_at(&at).await?;
    let entry = drive.find_file(&remote).await?.ok_or_else(|| no_such(&remote))?;
    match revert {
        Some(version) => put_back(context, &drive, &entry, version).await,
        None => list(context, &drive, &entry).await,
    }
}

async fn list(context: &Context, drive: &Drive, entry: &Entry) -> Result<(), Failure> {
    let found = drive.versions(entry).await?;
    let documents: Vec<Value> = found
        .iter()
        .map(|one| json!({ "version": one.version, "stored_ms": one.stored_at, "sealed_size": one.sealed_size }))
        .collect();
    context.output.result(&json!({ "versions": documents }), || {
        let mut rows = vec![["VERSION", "STORED", "SEALED"].map(str::to_owned).to_vec()];
        rows.extend(found.iter().map(|one| {
            let now = if one.version == entry.version { " (now)" } else { "" };
            vec![format!("{}{now}", one.version), moment(one.stored_at), size(one.sealed_size)]
        }));
        table(&rows)
    });
    Ok(())
}

async fn put_back(context: &Context, drive: &Drive, entry: &Entry, version: u64) -> Result<(), Failure> {
    if version == entry.version {
        return Err(Failure::usage(format!("version {version} is the current one")));
    }
    let earlier = self::version(drive, entry, version).await?;
    let bar = context.output.bar(earlier.content.size, Unit::Bytes);
    let now = drive.put_again(&earlier, context.profile.folder(), &|bytes| bar.inc(bytes)).await?;
    bar.finish_and_clear();
    context.remember_change(&drive.account().client)?;
    let document = json!({ "version": now, "as_of": version, "bytes": earlier.content.size });
    context.output.result(&document, || format!("Version {now} is what version {version} was."));
    Ok(())
}

/// A file as it was in a version.
pub(super) async fn version(drive: &Drive, entry: &Entry, version: u64) -> Result<Entry, Failure> {
    let found = drive.version(entry, version).await?;
    found.ok_or_else(|| Failure::failed("not_found", format!("version {version} of the file is not kept")))
}
