// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing files with other accounts.

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::failure::Failure;
use crate::client::signin::Unlocked;
use crate::files::Drive;
use crate::output::{harmless, moment, table};
use crate::sharing::{KnownAccount, SharingError, Standing};

/// Arguments of `share`.
#[derive(Args, Debug)]
#[command(
    after_help = "Shares all files of this account, to be read. Compare the fingerprint with the other person before you
share what matters: `bailiwick fingerprint` shows it on either side."
)]
pub struct ShareArgs {
    /// The number of the account that may read the files
    #[arg(long, value_name = "ACCOUNT")]
    with: String,
}

/// Arguments of `unshare`.
#[derive(Args, Debug)]
pub struct UnshareArgs {
    /// The number of the account that may no longer read the files
    #[arg(long, value_name = "ACCOUNT")]
    with: String,
}

/// Arguments of `fingerprint`.
#[derive(Args, Debug)]
pub struct FingerprintArgs {
    /// The account's number; one's own account when absent
    account: Option<String>,
}

pub(super) async fn share(context: &mut Context, arguments: ShareArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let with = look_up(context, &account, &arguments.with).await?;
    let drive = Drive::open(&account).await?;
    let collection = drive.collection().ok_or(SharingError::NoCollection)?;
    account.share(&drive, collection, &with).await?;
    let fingerprint = fingerprint_of(&with);
    let document = json!({ "shared": collection, "with": with.number, "fingerprint": fingerprint });
    context.output.result(&document, || {
        format!("Account {} reads your files from now on. Its fingerprint is {fingerprint}.", with.number)
    });
    Ok(())
}

pub(super) async fn unshare(context: &mut Context, arguments: UnshareArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let drive = Drive::open(&account).await?;
    let collection = drive.collection().ok_or(SharingError::NoCollection)?;
    let wanted = keyring::AccountNumber::parse(&arguments.with).map_err(|_| SharingError::NotANumber)?;
    let members = account.client.members(collection).await?.members;
    let member = members.iter().find(|member| member.account_number.as_deref() == Some(wanted.as_str()));
    let member = member
        .ok_or_else(|| Failure::failed("not_found", format!("account {wanted} does not read your files")))?;
    account.client.delete_member(collection, member.account).await?;
    let document = json!({ "unshared": collection, "with": wanted.as_str() });
    context.output.result(&document, || {
        format!("Account {wanted} gets nothing from the server any more. What it has read it may have kept.")
    });
    Ok(())
}

pub(super) async fn shares(context: &mut Context) -> Result<(), Failure> {
    let account = context.account().await?;
    let incoming = account.client.shares().await?.shares;
    let drive = Drive::open(&account).await?;
    let outgoing = match drive.collection() {
        Some(collection) => account.client.members(collection).await?.members,
        None => Vec::new(),
    };
    let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "gone".to_owned());
    let mut documents: Vec<Value> = Vec::new();
    let mut rows = vec![["", "ACCOUNT", "SINCE"].map(str::to_owned).to_vec()];
    for share in &incoming {
        documents.push(json!({
            "from": share.owner_number, "collection": share.collection, "created_at": share.created_at,
        }));
        rows.push(vec!["from".to_owned(), harmless(&number(&share.owner_number)), moment(share.created_at)]);
    }
    for member in &outgoing {
        documents.push(json!({
            "with": member.account_number, "collection": drive.collection(), "created_at": member.created_at,
        }));
        rows.push(vec![
            "with".to_owned(),
            harmless(&number(&member.account_number)),
            moment(member.created_at),
        ]);
    }
    context.output.result(&json!({ "shares": documents }), || {
        if documents.is_empty() { "Nothing is shared.".to_owned() } else { table(&rows) }
    });
    Ok(())
}

pub(super) async fn fingerprint(context: &mut Context, arguments: FingerprintArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let number = arguments.account.unwrap_or_else(|| account.number.clone());
    let known = look_up(context, &account, &number).await?;
    if known.account == account.account {
        let own = account.identity().fingerprint(&crate::place::account(account.account));
        if known.fingerprint() != Some(own) {
            return Err(SharingError::NotProven("it shows others other keys than yours").into());
        }
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

/// The files that another account shares.
pub(super) async fn drive(context: &Context, owner: &str) -> Result<Drive, Failure> {
    let account = context.account().await?;
    let owner = look_up(context, &account, owner).await?;
    let shares = account.client.shares().await?.shares;
    let share = shares.iter().find(|share| share.owner == owner.account).ok_or_else(|| {
        Failure::failed("not_found", format!("account {} shares nothing with you", owner.number))
    })?;
    Ok(account.open_share(share, &owner).await?)
}

async fn look_up(context: &Context, account: &Unlocked, number: &str) -> Result<KnownAccount, Failure> {
    let service = context.service(&account.client).await?;
    let server = account.client.server().to_owned();
    let mut pins = context.profile.pins(&server)?;
    let known = KnownAccount::look_up(&account.client, &service, &mut pins, number).await?;
    context.profile.keep_pins(&server, &pins)?;
    if known.standing == Standing::Rotated {
        context
            .output
            .note(&format!("Account {} has made new keys, and signed them with its old ones.", known.number));
    }
    Ok(known)
}

fn fingerprint_of(known: &KnownAccount) -> String {
    known.fingerprint().map(|fingerprint| fingerprint.to_string()).unwrap_or_default()
}
