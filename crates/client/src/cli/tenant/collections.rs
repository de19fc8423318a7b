// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use protocol::OrganisationId;
use protocol::tenants::collections::{MAX_CONTENT, Protection};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Which;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt;
use crate::files::disk;
use crate::output::{count, harmless, moment, say_bytes, size, table};
use crate::sharing::KnownAccount;
use crate::tenant_drive::{OpenTenantCollection, OpenTenantItem, TenantDrive};

/// Arguments of `tenant collections`.
#[derive(Args, Debug)]
#[command(
    after_help = "What may be done in a collection is decided by the roles that are held at its organisation. Who can open what is in it
is said by its protection, which is chosen once:

  server-sealed  the server seals it under a key of the tenant, and opens it for whom the roles allow; programs too
  end-to-end     only those open it to whom somebody who has its key granted it (`admit`); the server cannot

In an end-to-end collection, whoever loses their role is refused at once, and the next thing that is written is sealed under a new
key."
)]
pub(super) struct CollectionsArgs {
    #[command(flatten)]
    which: Which,

    #[command(subcommand)]
    command: Option<CollectionsCommand>,
}

#[derive(Subcommand, Debug)]
enum CollectionsCommand {
    /// List the collections that you may read, each with its protection
    List,
    /// Make a collection
    Create {
        /// Its name
        name: String,

        /// Who can open what is in it. It cannot be changed afterwards
        #[arg(long, value_enum)]
        protection: ProtectionArg,

        /// The organisation that it lies in [default: the tenant as a whole]
        #[arg(long, value_name = "ORGANISATION")]
        r#in: Option<String>,
    },
    /// Show a collection
    Show(Collection),
    /// List the items of a collection
    Ls(Collection),
    /// Write an item, over what is there
    Put {
        #[command(flatten)]
        collection: Collection,

        /// The item's name
        item: String,

        /// The file with its content; standard input when absent or `-`
        file: Option<PathBuf>,
    },
    /// Read an item
    Get {
        #[command(flatten)]
        collection: Collection,

        /// The item's name
        item: String,

        /// Where to write it; standard output when absent or `-`
        file: Option<PathBuf>,
    },
    /// Remove an item
    Rm {
        #[command(flatten)]
        collection: Collection,

        /// The item's name
        item: String,
    },
    /// List who has the key of an end-to-end collection, and who waits for it
    Members(Collection),
    /// Grant the key of an end-to-end collection to members who wait for it
    #[command(
        after_help = "Which role somebody has is the server's word; who gets the key is yours. Compare the fingerprint with the other person
before you admit them to what matters: `bailiwick fingerprint` shows it on either side."
    )]
    Admit(AdmitArgs),
    /// Give an end-to-end collection its next key now, without waiting for the next write
    NextKey(Collection),
    /// Delete a collection with all that is in it
    Delete {
        #[command(flatten)]
        collection: Collection,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which collection.
#[derive(Args, Debug)]
struct Collection {
    /// The collection: its name, or its id (col_…)
    collection: String,
}

/// Arguments of `tenant collections admit`.
#[derive(Args, Debug)]
struct AdmitArgs {
    #[command(flatten)]
    collection: Collection,

    /// Whom to admit: account numbers, as `whoami` shows them, or ids (acc_…)
    #[arg(required_unless_present = "all")]
    accounts: Vec<String>,

    /// Admit everybody who waits
    #[arg(long, conflicts_with = "accounts")]
    all: bool,

    /// The fingerprint that you compared, of the one account that you name: if it has another, it is not admitted
    #[arg(long, conflicts_with = "all")]
    fingerprint: Option<String>,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProtectionArg {
    /// Only who was granted its key opens it
    EndToEnd,
    /// The server opens it for whom the roles allow
    ServerSealed,
}

pub(super) async fn collections(context: &Context, arguments: CollectionsArgs) -> Result<(), Failure> {
    let CollectionsArgs { which, command } = arguments;
    let tenant = which.find(context).await?;
    let opened = context.opened().await?;
    let trust = context.trust(&opened.client);
    let drive = TenantDrive::new(opened.clone(), tenant, trust.clone());
    match command.unwrap_or(CollectionsCommand::List) {
        CollectionsCommand::List => {
            let all = drive.list().await?;
            let documents: Vec<Value> = all.iter().map(document).collect();
            context.output.result(&json!({ "collections": documents }), || shown(&all));
        }
        CollectionsCommand::Create { name, protection, r#in } => {
            let named = super::Named { client: &opened.client, tenant };
            let organisation: Option<OrganisationId> = match &r#in {
                Some(organisation) => Some(named.organisation(organisation).await?),
                None => None,
            };
            let made = drive.create(&name, protection.into(), organisation).await?;
            context.output.result(&document(&made), || shown(std::slice::from_ref(&made)));
        }
        CollectionsCommand::Show(Collection { collection }) => {
            let open = drive.open(&collection).await?;
            context.output.result(&document(&open), || shown(std::slice::from_ref(&open)));
        }
        CollectionsCommand::Ls(Collection { collection }) => {
            let open = drive.open(&collection).await?;
            let items = drive.items(&open).await?;
            list_items(context, &open, &items);
        }
        CollectionsCommand::Put { collection: Collection { collection }, item, file } => {
            let content = content_of(file.as_deref())?;
            let mut open = drive.open(&collection).await?;
            let version = drive.put(&mut open, &item, content).await?;
            let written = json!({ "collection": open.shown.id, "item": item, "version": version });
            context.output.result(&written, || format!("{} is at version {version}.", harmless(&item)));
        }
        CollectionsCommand::Get { collection: Collection { collection }, item, file } => {
            let open = drive.open(&collection).await?;
            let found = drive.get(&open, &item).await?;
            let found = found.ok_or_else(|| crate::tenant_drive::TenantDriveError::NoItem(item.clone()))?;
            give(context, &found, file.as_deref())?;
        }
        CollectionsCommand::Rm { collection: Collection { collection }, item } => {
            let open = drive.open(&collection).await?;
            drive.remove(&open, &item).await?;
            let removed = json!({ "collection": open.shown.id, "removed": item });
            context.output.result(&removed, || format!("{} is removed.", harmless(&item)));
        }
        CollectionsCommand::Members(Collection { collection }) => {
            let open = drive.open(&collection).await?;
            members(context, &open, &opened.client, tenant).await?;
        }
        CollectionsCommand::Admit(arguments) => {
            let mut open = drive.open(&arguments.collection.collection).await?;
            let accounts = whom(&arguments, &open, &opened.client, tenant, &trust).await?;
            let is_compared = is_compared(arguments.fingerprint.as_deref(), &accounts)?;
            // A program that names somebody means them.
            let is_meant = context.output.is_json() && !arguments.all;
            admit(context, &drive, &mut open, &accounts, arguments.yes || is_compared || is_meant).await?;
        }
        CollectionsCommand::NextKey(Collection { collection }) => {
            let mut open = drive.open(&collection).await?;
            drive.next_key(&mut open).await?;
            context.output.result(&document(&open), || {
                "What is written from now on is sealed under a new key.".to_owned()
            });
        }
        CollectionsCommand::Delete { collection: Collection { collection }, yes } => {
            let open = drive.open(&collection).await?;
            let question = format!("Delete {collection:?} with all that is in it?");
            if !yes && !prompt::confirm(context.output, &question, "--yes")? {
                return Err(Failure::failed("not_confirmed", "nothing was deleted"));
            }
            drive.delete(&open).await?;
            let deleted = json!({ "deleted": open.shown.id });
            context.output.result(&deleted, || format!("{} is deleted.", open.shown.id));
        }
    }
    Ok(())
}

/// The accounts that are to be admitted, their keys proved.
async fn whom(
    arguments: &AdmitArgs,
    open: &OpenTenantCollection,
    client: &crate::client::Client,
    tenant: protocol::TenantId,
    trust: &crate::trust::Trust,
) -> Result<Vec<std::sync::Arc<KnownAccount>>, Failure> {
    let mut known = Vec::new();
    if arguments.all {
        for waiting in client.collection_grants(tenant, open.shown.id).await?.waiting {
            known.push(trust.account_of(waiting.account).await?);
        }
        return Ok(known);
    }
    for account in &arguments.accounts {
        known.push(trust.account(account).await?);
    }
    Ok(known)
}

/// Whether the fingerprint that was given is the account's. Another one is an error.
fn is_compared(given: Option<&str>, accounts: &[std::sync::Arc<KnownAccount>]) -> Result<bool, Failure> {
    let Some(given) = given else { return Ok(false) };
    let [account] = accounts else {
        return Err(Failure::usage("a fingerprint is that of one account: name one"));
    };
    let found = fingerprint(account);
    if !found.is_empty() && significant(given) == significant(&found) {
        return Ok(true);
    }
    let text = format!(
        "account {} has another fingerprint than the one that you compared, {found}: it was not admitted",
        account.number
    );
    Err(Failure::verification(text).with_code("keys_not_trusted"))
}

fn fingerprint(account: &KnownAccount) -> String {
    account.fingerprint().map(|fingerprint| fingerprint.to_string()).unwrap_or_default()
}

/// The signs of a fingerprint, however somebody wrote them down (Crockford's base32).
fn significant(fingerprint: &str) -> String {
    let sign = |sign: char| match sign.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        sign => sign,
    };
    fingerprint.chars().filter(char::is_ascii_alphanumeric).map(sign).collect()
}

async fn admit(
    context: &Context,
    drive: &TenantDrive,
    open: &mut OpenTenantCollection,
    accounts: &[std::sync::Arc<KnownAccount>],
    is_sure: bool,
) -> Result<(), Failure> {
    let lines: Vec<String> =
        accounts.iter().map(|account| format!("{}  {}", account.number, fingerprint(account))).collect();
    if !is_sure && !accounts.is_empty() {
        context.output.note(&lines.join("\n"));
        context.output.note("Compare this with what `bailiwick fingerprint` shows them.");
        let question = format!("Admit {}?", count(accounts.len() as u64, "account"));
        if !prompt::confirm(context.output, &question, "--yes, or the --fingerprint that you compared")? {
            return Err(Failure::failed("not_confirmed", "nobody was admitted"));
        }
    }
    for account in accounts {
        drive.admit(open, account).await?;
    }
    let admitted: Vec<Value> = accounts
        .iter()
        .map(|account| {
            json!({ "account": account.account, "account_number": account.number, "fingerprint": fingerprint(account) })
        })
        .collect();
    context.output.result(&json!({ "collection": open.shown.id, "admitted": admitted }), || {
        if lines.is_empty() { "Nobody waits.".to_owned() } else { format!("Admitted:\n{}", lines.join("\n")) }
    });
    Ok(())
}

async fn members(
    context: &Context,
    open: &OpenTenantCollection,
    client: &crate::client::Client,
    tenant: protocol::TenantId,
) -> Result<(), Failure> {
    let found = client.collection_grants(tenant, open.shown.id).await?;
    let mut rows = vec![["ACCOUNT", "NUMBER", "KEY", "SINCE"].map(str::to_owned).to_vec()];
    let number = |number: &Option<String>| number.as_deref().map_or_else(|| "gone".to_owned(), harmless);
    let mut documents = Vec::new();
    for holder in &found.holders {
        let state = if holder.is_entitled { "held" } else { "held, until the next key" };
        documents.push(json!({
            "account": holder.account, "account_number": holder.account_number,
            "state": if holder.is_entitled { "held" } else { "no_longer_entitled" },
            "admitted_by": holder.granted.sharer, "created_at": holder.created_at,
        }));
        rows.push(vec![
            holder.account.to_string(),
            number(&holder.account_number),
            state.to_owned(),
            moment(holder.created_at),
        ]);
    }
    for waiting in &found.waiting {
        documents.push(json!({
            "account": waiting.account, "account_number": waiting.account_number, "state": "waiting",
        }));
        rows.push(vec![
            waiting.account.to_string(),
            number(&waiting.account_number),
            "waits".to_owned(),
            String::new(),
        ]);
    }
    let document = json!({
        "collection": open.shown.id, "protection": open.shown.protection, "members": documents,
        "rekey_due": found.rekey_due,
    });
    context.output.result(&document, || match open.shown.protection {
        Protection::ServerSealed => {
            "This collection is server-sealed: its key is the server's, and roles alone decide who reads it."
                .to_owned()
        }
        Protection::EndToEnd => table(&rows),
    });
    Ok(())
}

fn list_items(context: &Context, open: &OpenTenantCollection, items: &[OpenTenantItem]) {
    let documents: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "name": item.content.name, "id": item.id, "version": item.version,
                "size": item.content.content.len(), "changed_at": item.changed_at, "author": item.author,
            })
        })
        .collect();
    let document =
        json!({ "collection": open.shown.id, "protection": open.shown.protection, "items": documents });
    context.output.result(&document, || {
        let mut rows = vec![["NAME", "SIZE", "VERSION", "CHANGED"].map(str::to_owned).to_vec()];
        rows.extend(items.iter().map(|item| {
            vec![
                harmless(&item.content.name),
                size(item.content.content.len() as u64),
                item.version.to_string(),
                moment(item.changed_at),
            ]
        }));
        table(&rows)
    });
}

/// Gives an item's content out: into a file, onto standard output, or as JSON.
fn give(context: &Context, item: &OpenTenantItem, file: Option<&Path>) -> Result<(), Failure> {
    let content = item.content.content.as_slice();
    let file = file.filter(|file| *file != Path::new("-"));
    let mut document = json!({ "name": item.content.name, "version": item.version, "author": item.author });
    match file {
        Some(path) => {
            std::fs::write(path, content).map_err(|error| local(path, &error))?;
            context.output.result(&document, String::new);
        }
        None if context.output.is_json() => {
            let encoded = data_encoding::BASE64URL_NOPAD.encode(content);
            if let Some(fields) = document.as_object_mut() {
                fields.insert("content".to_owned(), json!(encoded));
            }
            context.output.result(&document, String::new);
        }
        None => say_bytes(content),
    }
    Ok(())
}

/// What is to be written, of bounded length.
fn content_of(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let most = MAX_CONTENT as u64 + 1;
    let mut content = Zeroizing::new(Vec::new());
    match file.filter(|file| *file != Path::new("-")) {
        Some(path) => {
            let opened = std::fs::File::open(path).map_err(|error| local(path, &error))?;
            opened.take(most).read_to_end(&mut content).map_err(|error| local(path, &error))?;
        }
        None => {
            let read = io::stdin().lock().take(most).read_to_end(&mut content);
            read.map_err(|error| local(Path::new("standard input"), &error))?;
        }
    }
    if content.len() > MAX_CONTENT {
        return Err(Failure::failed("too_large", "an item of a tenant's collection has at most 255 KiB"));
    }
    Ok(content)
}

fn local(path: &Path, error: &io::Error) -> Failure {
    Failure::failed("local_file", format!("{}: {}", path.display(), disk::said(error)))
}

fn document(open: &OpenTenantCollection) -> Value {
    json!({
        "id": open.shown.id, "name": open.name, "protection": open.shown.protection,
        "organisation": open.shown.organisation, "created_by": open.shown.created_by,
        "created_at": open.shown.created_at, "is_waiting": open.is_waiting(),
        "generation": open.shown.end_to_end.as_ref().map(|shown| shown.generation),
    })
}

fn shown(all: &[OpenTenantCollection]) -> String {
    if all.is_empty() {
        return "There are no collections that you may read.".to_owned();
    }
    let mut rows = vec![["ID", "NAME", "PROTECTION", "ORGANISATION", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|open| {
        let name = match &open.name {
            Some(name) => harmless(name),
            None => "(you wait for its key)".to_owned(),
        };
        let protection = match open.shown.protection {
            Protection::EndToEnd => "end-to-end",
            Protection::ServerSealed => "server-sealed",
        };
        vec![
            open.shown.id.to_string(),
            name,
            protection.to_owned(),
            open.shown.organisation.to_string(),
            moment(open.shown.created_at),
        ]
    }));
    table(&rows)
}

impl From<ProtectionArg> for Protection {
    fn from(argument: ProtectionArg) -> Self {
        match argument {
            ProtectionArg::EndToEnd => Protection::EndToEnd,
            ProtectionArg::ServerSealed => Protection::ServerSealed,
        }
    }
}
