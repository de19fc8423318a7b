// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The history: show it, verify it, take it along.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use protocol::log::LogEntry;
use protocol::{Code, TenantId};
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::prompt;
use crate::client::Client;
use crate::export::{Export, ExportKey, export as export_account};
use crate::output::{Output, Unit, harmless, moment, write_line};
use crate::pins::Pins;
use crate::verify::{CheckpointDocument, Document, Verified, identities};

/// Arguments of `log`.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Begin with the record of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    from: u64,

    /// Go on as records are written
    #[arg(long)]
    follow: bool,
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Verify an export instead, with no server
    #[arg(long, value_name = "DIR", conflicts_with = "trust_new_key")]
    export: Option<PathBuf>,

    /// Accept that the server signs with another key than before, because the operator says so
    #[arg(long)]
    trust_new_key: bool,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ExportArgs {
    /// The new folder to put everything into
    #[arg(required = true)]
    folder: Option<PathBuf>,

    /// Also open all files, into the folder `open` within
    #[arg(long)]
    decrypt: bool,

    #[command(subcommand)]
    command: Option<ExportCommand>,
}

#[derive(Subcommand, Debug)]
enum ExportCommand {
    /// Open the files of an export with its key; needs no server
    Open {
        /// The export
        export: PathBuf,

        /// Where to put the files
        out: PathBuf,

        /// Read the export key from standard input: one line
        #[arg(long)]
        key_stdin: bool,
    },
}

pub(super) async fn log(context: &mut Context, arguments: LogArgs) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    let mut from = arguments.from;
    settle(&client, stored.home).await;
    loop {
        let page = client.records(stored.home, from, PAGE).await?;
        for entry in &page.records {
            show(context.output, entry);
        }
        let went_on = page.next > from;
        from = from.max(page.next);
        if page.more && went_on {
            continue;
        }
        if !arguments.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

fn show(output: Output, entry: &LogEntry) {
    let mut stdout = io::stdout().lock();
    let number = entry.number;
    let line = match (&entry.record, output.is_json()) {
        (Some(record), true) => json!({
            "number": number, "id": record.id, "at": record.at, "actor": record.actor, "via": record.via,
            "action": record.action, "subject": record.subject, "request": record.request,
            "corrects": record.corrects,
        })
        .to_string(),
        (None, true) => json!({ "number": number, "missing": true }).to_string(),
        (Some(record), false) => format!(
            "{number:>6}  {}  {:<22}  {}  {}",
            moment(record.at),
            harmless(&record.action),
            harmless(&record.actor),
            harmless(&record.subject)
        ),
        (None, false) => format!("{number:>6}  this record is gone: run `bailiwick verify`"),
    };
    write_line(&mut stdout, &line);
}

pub(super) async fn verify(context: &mut Context, arguments: VerifyArgs) -> Result<(), Failure> {
    match &arguments.export {
        Some(folder) => {
            let export = Export::at(folder)?;
            let log = export.log()?;
            // The profile's pins, where it has any of this server: the export's own word for its key proves little.
            let mut pins = context.profile.pins(&export.manifest.server)?;
            let is_pinned = pins.log_public_key.is_some();
            pins.check(&service_of(&export))?;
            let verified = export.verify(&log, &pins)?;
            if !is_pinned {
                context.output.note(
                    "This device does not know the log's key: the export was held against the key that it carries itself.",
                );
            }
            say(context.output, &verified, verified.to_document(), None)
        }
        None => verify_server(context, arguments.trust_new_key).await,
    }
}

fn service_of(export: &Export) -> protocol::service::Service {
    protocol::service::Service {
        version: String::new(),
        log_origin: export.manifest.log_origin.clone(),
        log_public_key: export.manifest.log_public_key.clone(),
        kdf: protocol::signin::Kdf { memory_kib: 0, passes: 0, lanes: 0 },
        email_code: false,
        issuer: String::new(),
    }
}

async fn verify_server(context: &Context, trust_new_key: bool) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    if trust_new_key {
        context.profile.keep_pins(client.server(), &Pins::default())?;
    }
    let service = context.service(&client).await?;
    let mut pins = context.profile.pins(client.server())?;
    let (own, platform) = identities(&service, stored.home)?;

    let bar = context.output.bar(0, Unit::Records);
    let progress = |records: u64| {
        bar.inc_length(records);
        bar.inc(records);
    };
    let verified = client.verify(&own, stored.home, &pins, &progress).await?;
    bar.finish_and_clear();
    let mut document = verified.to_document();
    if verified.is_intact() {
        let head = client.verify_platform(&platform, &pins).await?;
        pins.checkpoints.insert(own.origin.clone(), verified.note.clone());
        if let Some((head, note)) = head {
            pins.checkpoints.insert(platform.origin.clone(), note);
            document.platform = Some(CheckpointDocument {
                origin: platform.origin.clone(),
                size: head.size,
                root: head.root.to_base64(),
            });
        }
        context.profile.keep_pins(client.server(), &pins)?;
    }
    say(
        context.output,
        &verified,
        document,
        Some("This is the first time that it is verified here; it is pinned from now on."),
    )
}

/// Says what was checked and what was found; ends with status 3 if anything was.
fn say(
    output: Output,
    verified: &Verified,
    document: Document,
    unpinned: Option<&str>,
) -> Result<(), Failure> {
    let intact = document.verified;
    output.result(&document, || {
        let mut text = String::new();
        if intact {
            let (size, root) =
                document.checkpoint.as_ref().map(|head| (head.size, head.root.as_str())).unwrap_or_default();
            text.push_str(&format!(
                "Verified: all {size} records of {} are exactly as they were logged.\nThey add up to the signed root {root}.\n",
                verified.origin
            ));
            match document.pinned {
                Some(pinned) => {
                    text.push_str(&format!("The history only grew since it was verified here at {pinned} records.\n"));
                }
                None => text.extend(unpinned.map(|text| format!("{text}\n"))),
            }
            if let Some(platform) = &document.platform {
                text.push_str(&format!("The platform's own log is at {} records, and only grew.\n", platform.size));
            }
        } else {
            text.push_str(&format!("NOT VERIFIED: the history of {} was tampered with.\n", verified.origin));
            for finding in &document.findings {
                text.push_str(&format!("  {}\n", finding.text));
            }
            if document.unlisted > 0 {
                text.push_str(&format!("  and {} more\n", document.unlisted));
            }
        }
        text
    });
    if intact {
        return Ok(());
    }
    let first = document.findings.first().map_or("no valid checkpoint", |finding| finding.text.as_str());
    Err(Failure::verification(format!("the history does not verify: {first}")))
}

pub(super) async fn export(context: &mut Context, arguments: ExportArgs) -> Result<(), Failure> {
    let output = context.output;
    match (arguments.command, arguments.folder) {
        (Some(ExportCommand::Open { export, out, key_stdin }), _) => {
            let export = Export::at(&export)?;
            let typed = prompt::password(key_stdin, "Export key: ", output).map_err(|failure| {
                if key_stdin { failure } else { Failure::usage("nobody can be asked here: give --key-stdin") }
            })?;
            let key = ExportKey::parse(&typed)?;
            let files = export.open(&key, &out, &|_| {})?;
            output.result(&json!({ "files": files }), || {
                format!("Opened {files} files into {}.", out.display())
            });
            Ok(())
        }
        (None, Some(folder)) => {
            let account = context.account().await?;
            let service = context.service(&account.client).await?;
            settle(&account.client, account.home).await;
            let bar = output.bar(account.client.usage().await?.bytes, Unit::Bytes);
            let progress = |bytes: u64| bar.inc(bytes);
            let (exported, key) = export_account(&account, &service, &folder, &progress).await?;
            bar.finish_and_clear();
            let opened = if arguments.decrypt {
                Some(Export::at(&folder)?.open(&key, &folder.join("open"), &|_| {})?)
            } else {
                None
            };
            let text = key.to_text();
            let document = json!({
                "exported": exported, "opened": opened, "export_key": *text, "path": folder.to_string_lossy(),
            });
            output.result(&document, || {
                format!(
                    "Exported {} items, {} files and {} records to {folder}.\n\nThe export key opens all of it, with no \
                     server: bailiwick export open {folder} OUT. It is not shown again:\n\n    {}\n",
                    exported.items,
                    exported.files,
                    exported.records,
                    *text,
                    folder = folder.display(),
                )
            });
            Ok(())
        }
        (None, None) => Err(Failure::usage("name the folder to export to")),
    }
}

/// Records of what was just done may be a moment away from the log.
async fn settle(client: &Client, home: TenantId) {
    for _ in 0..8 {
        match client.checkpoint(crate::client::log::Log::Tenant(home)).await {
            Ok(None) => tokio::time::sleep(Duration::from_millis(250)).await,
            Err(error) if error.is(Code::Unavailable) => {}
            _ => return,
        }
    }
}

const PAGE: u32 = 500;
const FOLLOW_PAUSE: Duration = Duration::from_secs(2);
