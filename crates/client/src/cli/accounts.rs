// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an administrator of the platform does with accounts.

use clap::{Args, Subcommand};
use protocol::accounts::AccountSuspension;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::prompt::ProofArgs;
use super::tenant::changed;
use crate::account_name::AccountName;
use crate::output::{harmless, moment};

/// Arguments of `accounts`.
#[derive(Args, Debug)]
pub struct AccountsArgs {
    #[command(subcommand)]
    command: AccountsCommand,
}

#[derive(Subcommand, Debug)]
enum AccountsCommand {
    /// Say whether an account is suspended, since when and why
    Show {
        /// The account, by its number or its id (acc_…)
        account: AccountName,
    },
    /// Suspend an account: its sessions and keys do nothing, and nobody signs in to it
    Suspend(SuspendArgs),
    /// End that
    Resume(ResumeArgs),
}

#[derive(Args, Debug)]
struct SuspendArgs {
    /// The account, by its number or its id (acc_…)
    account: AccountName,

    /// Why, in up to 200 characters; the owner reads it in the account's history once the suspension is over
    #[arg(long)]
    reason: String,

    #[command(flatten)]
    proof: ProofArgs,
}

#[derive(Args, Debug)]
struct ResumeArgs {
    /// The account, by its number or its id (acc_…)
    account: AccountName,

    #[command(flatten)]
    proof: ProofArgs,
}

pub(super) async fn accounts(context: &Context, arguments: AccountsArgs) -> Result<(), Failure> {
    match arguments.command {
        AccountsCommand::Show { account } => show(context, account).await,
        AccountsCommand::Suspend(SuspendArgs { account, reason, proof }) => {
            let suspension = AccountSuspension { reason };
            let account = account.id(&context.client()?.0).await?;
            changed(context, &proof, async |client| client.suspend_account(account, &suspension).await)
                .await?;
            context.output.result(&json!({ "account": account, "suspended": true }), || {
                format!("{account} is suspended.")
            });
            Ok(())
        }
        AccountsCommand::Resume(ResumeArgs { account, proof }) => {
            let account = account.id(&context.client()?.0).await?;
            changed(context, &proof, async |client| client.resume_account(account).await).await?;
            context.output.result(&json!({ "account": account, "suspended": false }), || {
                format!("{account} is suspended no more.")
            });
            Ok(())
        }
    }
}

async fn show(context: &Context, account: AccountName) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let account = account.id(&client).await?;
    let standing = client.account_standing(account).await?;
    context.output.result(&json!(standing), || {
        let since = standing.suspended_since.map(|since| format!(" since {}", moment(since)));
        let reason = standing.reason.as_deref().map(|reason| format!(": {}", harmless(reason)));
        let state = harmless(&standing.state);
        format!("{account} is {state}{}{}.", since.unwrap_or_default(), reason.unwrap_or_default())
    });
    Ok(())
}
