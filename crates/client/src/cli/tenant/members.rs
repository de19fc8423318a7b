// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members of a tenant.

use clap::{Args, Subcommand};
use protocol::tenants::members::{MemberChange, TenantMember};
use serde_json::json;

use super::named::members as all_members;
use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant members`.
#[derive(Args, Debug)]
pub(super) struct MembersArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<MembersCommand>,
}

#[derive(Subcommand, Debug)]
enum MembersCommand {
    /// List the members
    List,
    /// Show a member
    Show {
        /// The member: the account's id (acc_…) or their label
        member: String,
    },
    /// Change how the tenant's people see a member
    Label {
        /// The member
        member: String,

        /// The new label
        label: String,
    },
    /// Suspend a member at once
    Suspend {
        /// The member
        member: String,

        /// Why, for the history
        #[arg(long)]
        reason: Option<String>,
    },
    /// End a member's suspension
    Resume {
        /// The member
        member: String,
    },
    /// Take a member out at once, with all their roles
    Remove {
        /// The member
        member: String,
    },
}

pub(super) async fn members(context: &Context, arguments: MembersArgs) -> Result<(), Failure> {
    let MembersArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    let (member, change) = match command.unwrap_or(MembersCommand::List) {
        MembersCommand::List => {
            let members =
                all_members(&client, tenant).await.map_err(|error| Failure::from(error).in_whole_tenant())?;
            context.output.result(&json!({ "members": members }), || shown(&members));
            return Ok(());
        }
        MembersCommand::Show { member } => {
            let found = client.tenant_member(tenant, named.member(&member).await?).await?;
            context.output.result(&json!(found), || shown(std::slice::from_ref(&found)));
            return Ok(());
        }
        MembersCommand::Remove { member } => {
            let account = named.member(&member).await?;
            changed(context, &proof, async |client| client.remove_tenant_member(tenant, account).await)
                .await?;
            context.output.result(&json!({ "removed": account }), || format!("{account} is out."));
            return Ok(());
        }
        MembersCommand::Label { member, label } => {
            (member, MemberChange { label: Some(label), ..MemberChange::default() })
        }
        MembersCommand::Suspend { member, reason } => {
            (member, MemberChange { state: Some("suspended".to_owned()), reason, label: None })
        }
        MembersCommand::Resume { member } => {
            (member, MemberChange { state: Some("live".to_owned()), ..MemberChange::default() })
        }
    };
    let account = named.member(&member).await?;
    let after =
        changed(context, &proof, async |client| client.change_tenant_member(tenant, account, &change).await)
            .await?;
    context.output.result(&json!(after), || shown(std::slice::from_ref(&after)));
    Ok(())
}

fn shown(members: &[TenantMember]) -> String {
    let mut rows = vec![["ACCOUNT", "LABEL", "STATE", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(members.iter().map(|member| {
        vec![
            member.account.to_string(),
            harmless(&member.label),
            harmless(&member.state),
            moment(member.joined_at),
        ]
    }));
    table(&rows)
}
