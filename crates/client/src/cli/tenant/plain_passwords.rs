// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plain passwords, for old clients: whether there may be any, whose there are, and one's own.

use clap::{Args, Subcommand};
use protocol::Secret;
use protocol::tenants::plain_passwords::{ImportedPlainPassword, NewPlainPassword, PlainPassword};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::{ProofArgs, line_of_stdin, must_ask, new_password};
use crate::output::{harmless, moment, table};

/// Arguments of `tenant plain-passwords`.
#[derive(Args, Debug)]
pub(super) struct PlainPasswordsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<PlainPasswordsCommand>,
}

#[derive(Subcommand, Debug)]
enum PlainPasswordsCommand {
    /// Say whether the tenant allows them, and list those of its members
    List,
    /// Allow them in the tenant. They are weaker than all else: the server sees them, and there is no second factor
    Allow,
    /// Allow them no more: what came of them ends at once
    Forbid,
    /// Show your own, without the password
    Show,
    /// Set your own. The server sees it
    Set {
        /// Your name at old clients
        name: String,

        /// Read it from standard input: one line, before that of --password-stdin
        #[arg(long)]
        plain_password_stdin: bool,
    },
    /// Import the hash of a member's password at another system: Argon2 or bcrypt
    Import {
        /// The member: the account's id (acc_…) or their label
        member: String,

        /// Their name at old clients
        #[arg(long)]
        name: String,

        /// Read the hash from standard input: one line, before that of --password-stdin
        #[arg(long, required = true)]
        hash_stdin: bool,
    },
    /// Take a member's away, or your own: what came of it ends at once
    Remove {
        /// The member; you, when nobody is named
        member: Option<String>,
    },
}

pub(super) async fn plain_passwords(context: &Context, arguments: PlainPasswordsArgs) -> Result<(), Failure> {
    let PlainPasswordsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    match command.unwrap_or(PlainPasswordsCommand::List) {
        PlainPasswordsCommand::List => {
            let mut page = client.plain_passwords(tenant, None).await?;
            let (since, mut all) = (page.allowed_since, page.plain_passwords);
            while let Some(next) = page.next {
                page = client.plain_passwords(tenant, Some(next)).await?;
                all.append(&mut page.plain_passwords);
            }
            let json = json!({ "allowed_since": since, "plain_passwords": all });
            context.output.result(&json, || match since {
                None => format!("This tenant does not allow plain passwords.\n{}", shown(&all)),
                Some(since) => format!("Allowed since {}.\n{}", moment(since), shown(&all)),
            });
        }
        PlainPasswordsCommand::Allow => {
            changed(context, &proof, async |client| client.allow_plain_passwords(tenant, true).await).await?;
            context.output.result(&json!({ "allowed": true }), || {
                "Allowed. Members set theirs with `bailiwick tenant plain-passwords set`.".to_owned()
            });
        }
        PlainPasswordsCommand::Forbid => {
            changed(context, &proof, async |client| client.allow_plain_passwords(tenant, false).await)
                .await?;
            context.output.result(&json!({ "allowed": false }), || "Not allowed any more.".to_owned());
        }
        PlainPasswordsCommand::Show => {
            let own = client.own_plain_password(tenant).await?;
            context.output.result(&json!(own), || shown(std::slice::from_ref(&own)));
        }
        PlainPasswordsCommand::Set { name, plain_password_stdin } => {
            if !plain_password_stdin {
                must_ask(context.output, "--plain-password-stdin")?;
            }
            let prompt = "New plain password, which the server will see: ";
            let typed = new_password(plain_password_stdin, prompt, context.output)?;
            let new = NewPlainPassword { name, password: Secret::from((*typed).clone()) };
            changed(context, &proof, async |client| client.set_own_plain_password(tenant, &new).await)
                .await?;
            context.output.result(&json!({ "name": new.name }), || {
                format!("Old clients of this tenant let {} in with it.", harmless(&new.name))
            });
        }
        PlainPasswordsCommand::Import { member, name, hash_stdin: _ } => {
            let account = named.member(&member).await?;
            let hash = Secret::from((*line_of_stdin()?).clone());
            let imported = ImportedPlainPassword { name, hash };
            changed(context, &proof, async |client| {
                client.import_plain_password(tenant, account, &imported).await
            })
            .await?;
            context.output.result(&json!({ "account": account, "name": imported.name }), || {
                format!("{account} has it until they set another.")
            });
        }
        PlainPasswordsCommand::Remove { member } => {
            let account = match &member {
                Some(member) => Some(named.member(member).await?),
                None => None,
            };
            changed(context, &proof, async |client| match account {
                Some(account) => client.remove_plain_password(tenant, account).await,
                None => client.remove_own_plain_password(tenant).await,
            })
            .await?;
            context.output.result(&json!({ "removed": true }), || "It is gone.".to_owned());
        }
    }
    Ok(())
}

fn shown(all: &[PlainPassword]) -> String {
    let header = ["ACCOUNT", "NAME", "SINCE", "LAST USED", "SET BY"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|one| {
        let by = if one.set_by == one.account { "themselves".to_owned() } else { one.set_by.to_string() };
        vec![
            one.account.to_string(),
            harmless(&one.name),
            moment(one.set_at),
            one.used_at.map_or_else(|| "never".to_owned(), moment),
            by,
        ]
    }));
    table(&rows)
}
