// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing collections of files with other accounts.

use std::sync::Arc;

use clap::Args;
use protocol::CollectionId;
use protocol::sharing::{Member, Permission, Share};
use serde_json::{Value, json};

use super::collections;
use super::context::Context;
use super::failure::Failure;
use crate::account_name::AccountName;
use crate::client::opened::Opened;
use crate::client::signin::Unlocked;
use crate::files::{self, Drive};
use crate::output::{harmless, moment, table};
use crate::sharing::{KnownAccount, SharingError, Standing};
use crate::trust::Trust;

/// Arguments of `share`.
#[derive(Args, Debug)]
#[command(
    after_help = "Shares the files of this account, or with --collection those of a collection. Compare the fingerprint with the
other person before you share what matters: `bailiwick fingerprint` shows it on either side.

Shared once more, with or without --write, it changes what the other account may do."
)]
pub struct ShareArgs {
    /// The account that may read the files, by its number or its id (acc_…)
    #[arg(long, value_name = "ACCOUNT")]
    with: String,

    /// Share this collection instead of the account's own files
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,

    /// Let the other account change the files too. What it writes counts towards your storage, and carries its name
    #[arg(long)]
    write: bool,
}

/// Arguments of `unshare`.
#[derive(Args, Debug)]
#[command(
    after_help = "The files get another key, which the other account does not have: what is written from now on it cannot open,
whatever it kept. What it has read it may have kept."
)]
pub struct UnshareArgs {
    /// The account that may no longer have the files, by its number or its id (acc_…)
    #[arg(long, value_name = "ACCOUNT")]
    with: AccountName,

    /// Take this collection away instead of the account's own files
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
}

/// Arguments of `fingerprint`.
#[derive(Args, Debug)]
pub struct FingerprintArgs {
    /// The account, by its number or its id (acc_…); one's own when absent
    account: Option<String>,
}

pub(super) async fn share(context: &mut Context, arguments: ShareArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let drive = own_drive(context, &account, arguments.collection.as_deref()).await?;
    let with = drive.trust().account(&arguments.with).await?;
    say_if_rotated(context, &with);
    let collection = drive.collection().ok_or(SharingError::NoCollection)?;
    let permission = if arguments.write { Permission::Write } else { Permission::Read };
    account.share(&drive, &with, permission).await?;
    renew(context, &account, &drive).await;
    let fingerprint = fingerprint_of(&with);
    let document = json!({
        "shared": collection, "name": drive.name(), "with": with.number, "permission": permission,
        "fingerprint": fingerprint,
    });
    context.output.result(&document, || {
        let does = if arguments.write { "reads and writes" } else { "reads" };
        let what = what(&drive);
        format!("Account {} {does} {what} from now on. Its fingerprint is {fingerprint}.", with.number)
    });
    Ok(())
}

pub(super) async fn unshare(context: &mut Context, arguments: UnshareArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let drive = own_drive(context, &account, arguments.collection.as_deref()).await?;
    let collection = drive.collection().ok_or(SharingError::NoCollection)?;
    let wanted = arguments.with;
    let members = account.client.members(collection).await?.members;
    let member = members.iter().find(|member| match wanted {
        AccountName::Number(number) => member.account_number.as_deref() == Some(number.as_str()),
        AccountName::Id(id) => member.account == id,
    });
    let member = member.ok_or_else(|| {
        Failure::failed("not_found", format!("account {wanted} does not have {}", what(&drive)))
    })?;
    account.unshare(&drive, member.account).await?;
    let number = member.account_number.clone().unwrap_or_else(|| wanted.to_string());
    let document = json!({ "unshared": collection, "name": drive.name(), "with": number });
    context.output.result(&document, || {
        format!(
            "Account {number} gets nothing from the server any more, and cannot open what is written from now on. What it has \
             read it may have kept."
        )
    });
    Ok(())
}

pub(super) async fn shares(context: &mut Context) -> Result<(), Failure> {
    let account = context.account().await?;
    let trust = context.trust(&account.client);
    let mut documents: Vec<Value> = Vec::new();
    let mut rows = vec![["", "ACCOUNT", "COLLECTION", "MAY", "SINCE"].map(str::to_owned).to_vec()];
    let mut add = |way: &str, number: &Option<String>, name: &Option<String>, share: SharedWith| {
        let SharedWith { collection, permission, created_at } = share;
        documents.push(json!({
            way: number, "collection": collection, "name": name, "permission": permission, "created_at": created_at,
        }));
        let may = if permission == Permission::Write { "write" } else { "read" };
        let number = number.clone().unwrap_or_else(|| "gone".to_owned());
        let name = name.as_deref().map_or_else(|| collection.to_string(), harmless);
        rows.push(vec![way.to_owned(), harmless(&number), name, may.to_owned(), moment(created_at)]);
    };
    for share in account.client.shares().await?.shares {
        // What cannot be opened has no name to show; opening it says why.
        let name = open(&account, &trust, &share).await.ok().and_then(|drive| drive.name());
        let Share { collection, permission, created_at, .. } = share;
        add("from", &share.owner_number, &name, SharedWith { collection, permission, created_at });
    }
    for named in files::collections(&Opened::from(&account)).await? {
        let members = account.client.members(named.id).await?.members;
        if members.is_empty() {
            continue;
        }
        for member in members {
            let Member { permission, created_at, .. } = member;
            let share = SharedWith { collection: named.id, permission, created_at };
            add("with", &member.account_number, &Some(named.name.clone()), share);
        }
        let drive = Drive::open_named(&account, trust.clone(), named.id).await?;
        renew(context, &account, &drive).await;
    }
    context.output.result(&json!({ "shares": documents }), || {
        if documents.is_empty() { "Nothing is shared.".to_owned() } else { table(&rows) }
    });
    Ok(())
}

/// What is the same of either way of a share.
struct SharedWith {
    collection: CollectionId,
    permission: Permission,
    created_at: i64,
}

pub(super) async fn fingerprint(context: &mut Context, arguments: FingerprintArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let number = arguments.account.unwrap_or_else(|| account.number.clone());
    let known = context.trust(&account.client).account(&number).await?;
    say_if_rotated(context, &known);
    if known.account == account.account && known.fingerprint() != Some(account.fingerprint()) {
        return Err(SharingError::NotProven("it shows others other keys than yours").into());
    }
    let fingerprint = fingerprint_of(&known);
    let document = json!({
        "account_id": known.number,
        "fingerprint": fingerprint,
        "key_version": known.key_version(),
        "met_before": known.standing != Standing::New,
    });
    context.output.result(&document, || fingerprint.to_string());
    Ok(())
}

/// The files that another account shares: those of this name, or its own files, or all that it shares.
pub(super) async fn drive(context: &Context, owner: &str, name: Option<&str>) -> Result<Drive, Failure> {
    let account = context.account().await?;
    let trust = context.trust(&account.client);
    let owner = trust.account(owner).await?;
    say_if_rotated(context, &owner);
    let mut shares = account.client.shares().await?.shares;
    shares.retain(|share| share.owner == owner.account);
    let not_found = |text| Failure::failed("not_found", text);
    if shares.is_empty() {
        return Err(not_found(format!("account {} shares nothing with you", owner.number)));
    }
    let wanted = match name {
        Some(name) => {
            let mut found = None;
            let id = name.parse::<CollectionId>().ok();
            for share in shares {
                if Some(share.collection) == id {
                    found = Some(share);
                    break;
                }
                let drive = Drive::open_shared(&account, trust.clone(), share, owner.clone()).await?;
                if drive.name().as_deref() == Some(name) {
                    return Ok(drive);
                }
            }
            found.ok_or_else(|| {
                let name = harmless(name);
                not_found(format!("account {} shares no collection {name} with you", owner.number))
            })?
        }
        None => {
            let is_alone = shares.len() == 1;
            let own_files =
                |share: &Share| is_alone || files::collection::is_default(share.home, share.collection);
            shares.into_iter().find(own_files).ok_or_else(|| {
                let text = format!(
                    "account {} shares several collections with you: name one with --collection (`bailiwick shares` lists them)",
                    owner.number
                );
                Failure::usage(text)
            })?
        }
    };
    Ok(Drive::open_shared(&account, trust, wanted, owner).await?)
}

/// Renews the grants of everything that the account shares, after it made new keys. What does not succeed is renewed another
/// time: what was granted before still opens.
pub(super) async fn renew_all(context: &Context, account: &Unlocked) {
    let trust = context.trust(&account.client);
    let Ok(all) = files::collections(&Opened::from(account)).await else { return };
    for named in all {
        let members = account.client.members(named.id).await.map(|members| members.members);
        if members.is_ok_and(|members| !members.is_empty())
            && let Ok(drive) = Drive::open_named(account, trust.clone(), named.id).await
        {
            renew(context, account, &drive).await;
        }
    }
}

/// Renews the grants of one collection that are of older keys.
async fn renew(context: &Context, account: &Unlocked, drive: &Drive) {
    if let Err(error) = account.renew_grants(drive).await {
        let what = what(drive);
        context.output.warn(&format!("not everybody who has {what} got a new grant: {error}"));
    }
}

async fn own_drive(context: &Context, account: &Unlocked, name: Option<&str>) -> Result<Drive, Failure> {
    let trust = context.trust(&account.client);
    match name.filter(|name| *name != files::DEFAULT_NAME) {
        None => Ok(Drive::open_files(account, trust).await?),
        Some(name) => {
            let found = collections::find(&Opened::from(account), name).await?;
            Ok(Drive::open_named(account, trust, found.id).await?)
        }
    }
}

async fn open(account: &Unlocked, trust: &Arc<Trust>, share: &Share) -> Result<Drive, Failure> {
    let owner = trust.account_of(share.owner).await?;
    Ok(Drive::open_shared(account, trust.clone(), share.clone(), owner).await?)
}

fn what(drive: &Drive) -> String {
    match drive.name().filter(|_| !drive.is_default()) {
        Some(name) => format!("the collection {}", harmless(&name)),
        None => "your files".to_owned(),
    }
}

fn say_if_rotated(context: &Context, known: &KnownAccount) {
    if known.standing == Standing::Rotated {
        context
            .output
            .note(&format!("Account {} has made new keys, and signed them with its old ones.", known.number));
    }
}

fn fingerprint_of(known: &KnownAccount) -> String {
    known.fingerprint().map(|fingerprint| fingerprint.to_string()).unwrap_or_default()
}
