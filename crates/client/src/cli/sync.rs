// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bringing a local folder and a remote one together.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::collections::WhereArgs;
use super::context::Context;
use super::failure::Failure;
use crate::files::{Names, RemotePath, Resume, SyncOptions, SyncState};
use crate::output::{Unit, harmless};

/// Arguments of `sync`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bailiwick sync ./photos photos                  bring what changed here there
  bailiwick sync ./photos photos --pull           bring what changed there here
  bailiwick sync ./photos photos --pull --watch   and go on doing so

One direction at a time. Files are compared by content; a local one is not read again when nothing wrote to it since the
last run. Where both sides changed a file, both are kept: one as `name (conflict, version N)`. Nothing is removed without
--delete, and then only what was synchronised before and was removed since. What was seen before is remembered over
sign-outs, for the same account on the same server.")]
pub struct SyncArgs {
    /// The local folder, such as ./photos
    local: PathBuf,

    /// The remote folder, such as photos; / for everything
    remote: RemotePath,

    /// Bring the remote files here, instead of the local ones there
    #[arg(long)]
    pull: bool,

    /// Remove what was synchronised before and is gone on the side that is copied from
    #[arg(long)]
    delete: bool,

    /// Forget what was seen of these two folders before, and compare everything anew. Removes nothing
    #[arg(long, conflicts_with = "delete")]
    start_over: bool,

    /// Go on as changes happen there. Goes with --pull alone: what changes here is seen when the command runs again
    #[arg(long, requires = "pull")]
    watch: bool,

    #[command(flatten)]
    at: WhereArgs,
}

pub(super) async fn sync(context: &mut Context, arguments: SyncArgs) -> Result<(), Failure> {
    let output = context.output;
    let mut drive = context.drive_at(&arguments.at).await?;
    drive.ensure().await?;
    let options = SyncOptions { pull: arguments.pull, delete: arguments.delete };
    let mut state = SyncState::load(&drive, &context.sync_of(&drive), &arguments.local, &arguments.remote)?;
    if arguments.start_over {
        state.start_over();
    }
    loop {
        let bar = output.bar(0, Unit::Bytes);
        let progress = |bytes: u64| {
            bar.inc_length(bytes);
            bar.inc(bytes);
        };
        let resume = Resume::within(context.uploads_of(&drive));
        let report =
            state.run(&drive, &arguments.local, &arguments.remote, options, &resume, &progress).await;
        bar.finish_and_clear();
        context.remember_change(&drive.account().client)?;
        let report = report?;
        let removed: Vec<_> =
            report.removed.iter().filter_map(|name| arguments.remote.join(name).ok()).collect();
        if !removed.is_empty() {
            Names::note_removed(&drive, &context.names_of(&drive), &removed);
        }
        let sequence = report.sequence;
        output.result(&context.with_list(json!(report)), || report.to_text());
        if let Some(first) = report.unreadable.first() {
            let failed = report.unreadable.iter().map(|left_out| {
                Failure::failed("local_file", left_out.reason.as_str()).detail(&left_out.path)
            });
            let text = format!("{}: {}", harmless(&first.path), first.reason);
            return Err(Failure::failed("local_file", text).among(failed.collect()));
        }
        if !arguments.watch {
            return Ok(());
        }
        let Some(collection) = drive.collection() else { return Ok(()) };
        let mut events = drive.account().client.events(collection, sequence);
        while events.next().await?.sequence <= sequence {}
    }
}
