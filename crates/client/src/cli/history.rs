// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Verifying the history, and taking everything along.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use protocol::TenantId;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::log::settle;
use super::prompt;
use crate::client::log::Log;
use crate::export::{Contents, Export, ExportKey, Unreadable, export as export_account};
use crate::output::{Output, Unit, count, harmless};
use crate::pins::Pins;
use crate::verify::{CheckpointDocument, Document, Verified, identities};

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status 3 means that something was tampered with. The server's log key and the newest checkpoint are pinned on
this device: what is rewritten later, even by the operator, does not fit."
)]
pub struct VerifyArgs {
    /// Verify an export instead, with no server
    #[arg(long, value_name = "DIR", conflicts_with = "trust_new_key")]
    export: Option<PathBuf>,

    /// Also open every item and file of the export; its key is asked for
    #[arg(long, requires = "export")]
    open: bool,

    /// Read the export key from standard input: one line. Goes with --open
    #[arg(long, requires = "open")]
    key_stdin: bool,

    /// Verify the history of this tenant (ten_…) instead of the account's own
    #[arg(long, value_name = "TENANT", conflicts_with = "export")]
    tenant: Option<TenantId>,

    /// Verify the platform's own history, for its administrators and auditors
    #[arg(long, conflicts_with_all = ["export", "tenant"])]
    platform: bool,

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
            let key = arguments.open.then(|| export_key(arguments.key_stdin, context.output)).transpose()?;
            let contents = export.check_contents(key.as_ref())?;
            let mut document = verified.to_document();
            document.verified &= contents.is_whole();
            document.contents = Some(contents);
            say(context.output, &verified, document, None)
        }
        None => verify_server(context, &arguments).await,
    }
}

fn service_of(export: &Export) -> protocol::service::Service {
    protocol::service::Service {
        version: String::new(),
        log_origin: export.manifest.log_origin.clone(),
        log_public_key: export.manifest.log_public_key.clone(),
        kdf: protocol::signin::Kdf { memory_kib: 0, passes: 0, lanes: 0 },
        email_code: false,
        imported_sign_in: false,
        issuer: String::new(),
        development: false,
    }
}

async fn verify_server(context: &Context, arguments: &VerifyArgs) -> Result<(), Failure> {
    let (client, home) = context.reader()?;
    if arguments.trust_new_key {
        context.profile.keep_pins(client.server(), &Pins::default())?;
    }
    let service = context.service(&client).await?;
    let mut pins = context.profile.pins(client.server())?;
    let (own, platform) = identities(&service, arguments.tenant.unwrap_or(home))?;
    let log = if arguments.platform { &platform } else { &own };
    let is_home = log.whose() == Log::Tenant(home);

    let bar = context.output.bar(0, Unit::Records);
    let progress = |records: u64| {
        bar.inc_length(records);
        bar.inc(records);
    };
    // What this device changed in its account is awaited; of an API key's changes and of a tenant's it knows nothing.
    let awaited = match context.api_key()? {
        None if is_home => context.profile.last_change()?,
        _ => None,
    };
    if let Some(request) = &awaited {
        client.wait_for_record(home, request, LONGEST_WAIT).await?;
    }
    let verified = client.verify(log, &pins, awaited.as_deref(), &progress).await?;
    bar.finish_and_clear();
    if verified.is_intact() && !verified.is_awaiting && awaited.is_some() {
        context.profile.keep_last_change(None)?;
    }
    let mut document = verified.to_document();
    if verified.is_intact() {
        // Whoever verified the platform's own log knows more of it.
        let head = match arguments.platform {
            true => None,
            false => client.verify_platform(&platform, &pins).await?,
        };
        pins.checkpoints.insert(log.origin.clone(), verified.note.clone());
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
    let intact = verified.is_intact();
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
            if document.uncovered > 0 {
                text.push_str(&format!(
                    "NOT COVERED yet: {} that is known of here. Verify again in a moment; if it stays away, ask the \
                     operator where it is.\n",
                    count(document.uncovered, "record")
                ));
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
        text.extend(document.contents.as_ref().map(contents_text));
        text
    });
    if let (true, Some(contents)) = (intact, &document.contents)
        && let Some(first) = contents.findings.first()
    {
        let text = format!("the contents of the export do not verify: {}", harmless(&first.to_string()));
        return Err(Failure::verification(text));
    }
    if intact {
        return Ok(());
    }
    let first = document.findings.first().map_or("no valid checkpoint", |finding| finding.text.as_str());
    Err(Failure::verification(format!("the history does not verify: {first}")))
}

fn contents_text(contents: &Contents) -> String {
    let mut text = String::new();
    for finding in &contents.findings {
        text.push_str(&format!("NOT WHOLE: {}\n", harmless(&finding.to_string())));
    }
    let (items, blobs) = (count(contents.items, "item"), count(contents.blobs, "large file"));
    text.push_str(&match (contents.is_whole(), contents.opened) {
        (true, true) => format!("All of the {items} and {blobs} open, and are what was put.\n"),
        (true, false) => format!(
            "The {items} and {blobs} are there, as long as they should be. Whether they open was not checked: --open does, \
             with the export key.\n"
        ),
        (false, _) => format!("{items} and {blobs} were checked.\n"),
    });
    text.push_str(&match contents.history {
        Some(records) => {
            format!("Nothing is left out that the first {} tell of.\n", count(records, "record"))
        }
        None => {
            "Whether anything is left out was not checked: the history does not tell what was in a deleted \
                 collection.\n"
                .to_owned()
        }
    });
    text
}

pub(super) async fn export(context: &mut Context, arguments: ExportArgs) -> Result<(), Failure> {
    let output = context.output;
    match (arguments.command, arguments.folder) {
        (Some(ExportCommand::Open { export, out, key_stdin }), _) => {
            let export = Export::at(&export)?;
            let key = export_key(key_stdin, output)?;
            let opened = export.open(&key, &out, &|_| {})?;
            output.result(&opened, || {
                format!("Opened {} into {}.", count(opened.files, "file"), out.display())
            });
            unreadable(output, &opened.unreadable)
        }
        (None, Some(folder)) => {
            let account = context.account().await?;
            let service = context.service(&account.client).await?;
            settle(&account.client, Log::Tenant(account.home)).await;
            if let Some(request) = context.profile.last_change()? {
                // What is taken along has to fit its history.
                account.client.wait_for_record(account.home, &request, LONGEST_WAIT).await?;
            }
            let bar = output.bar(account.client.usage().await?.bytes, Unit::Bytes);
            let progress = |bytes: u64| bar.inc(bytes);
            let (exported, key) = export_account(&account, &service, &folder, &progress).await?;
            bar.finish_and_clear();
            // Whatever comes now: without the key the export is worth nothing.
            let text = key.to_text();
            if !output.is_json() {
                output.result(&json!({}), || {
                    format!(
                        "Exported {}, {} and {} to {folder}.\n\nThe export key opens all of it, with no server: bailiwick \
                         export open {folder} OUT. It is not shown again:\n\n    {}\n",
                        count(exported.items, "item"),
                        count(exported.blobs, "large file"),
                        count(exported.records, "record"),
                        *text,
                        folder = harmless(&folder.to_string_lossy()),
                    )
                });
            }
            let opened = if arguments.decrypt {
                Some(Export::at(&folder)?.open(&key, &folder.join("open"), &|_| {}))
            } else {
                None
            };
            let (opened, failed) = match opened {
                Some(Ok(opened)) => (Some(opened), None),
                Some(Err(error)) => (None, Some(error)),
                None => (None, None),
            };
            if output.is_json() {
                output.result(
                    &json!({
                        "exported": exported, "opened": opened.as_ref().map(|opened| opened.files),
                        "export_key": *text, "path": folder.to_string_lossy(),
                    }),
                    String::new,
                );
            } else if let Some(opened) = &opened {
                output.note(&format!(
                    "Opened {} into {}.",
                    count(opened.files, "file"),
                    folder.join("open").display()
                ));
            }
            if let Some(error) = failed {
                return Err(error.into());
            }
            let mut all = exported.unreadable;
            all.extend(opened.into_iter().flat_map(|opened| opened.unreadable));
            unreadable(output, &all)
        }
        (None, None) => Err(Failure::usage("name the folder to export to")),
    }
}

fn export_key(stdin: bool, output: Output) -> Result<ExportKey, Failure> {
    let typed = prompt::password(stdin, "Export key: ", output).map_err(|failure| {
        if stdin { failure } else { Failure::usage("nobody can be asked here: give --key-stdin") }
    })?;
    Ok(ExportKey::parse(&typed)?)
}

/// Says what could not be read, which is a failure, after everything else was done.
fn unreadable(output: Output, unreadable: &[Unreadable]) -> Result<(), Failure> {
    let Some(first) = unreadable.first() else { return Ok(()) };
    let failure = |one: &Unreadable| {
        let text = format!("{}: {}", harmless(&one.what), harmless(&one.reason));
        Failure::failed("does_not_open", text)
    };
    for one in unreadable.iter().skip(1).take(MAX_SAID) {
        output.note(failure(one).message());
    }
    let details = unreadable.iter().map(|one| failure(one).detail(&one.what)).collect();
    Err(failure(first).among(details))
}

const MAX_SAID: usize = 20;
/// So long a verification waits for what was just done.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
