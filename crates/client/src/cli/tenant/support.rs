// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Support grants: an operator of the platform, let in for a time.

use clap::{Args, Subcommand};
use protocol::SupportGrantId;
use protocol::support::NewSupportGrant;
use serde_json::json;

use super::{Which, changed};
use crate::account_name::AccountName;
use crate::cli::api_keys::expires_at;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant support`.
#[derive(Args, Debug)]
pub(super) struct SupportArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<SupportCommand>,
}

#[derive(Subcommand, Debug)]
enum SupportCommand {
    /// List the support grants, the newest first
    List,
    /// Let an operator of the platform in
    Grant(GrantArgs),
    /// End a support grant at once
    End {
        /// The grant: its id (sup_…)
        grant: SupportGrantId,
    },
}

#[derive(Args, Debug)]
struct GrantArgs {
    /// The operator's account, by its number or its id (acc_…), as they say it
    operator: AccountName,

    /// Why
    #[arg(long)]
    reason: String,

    /// How long: in days, hours or minutes (7d, 12h, 30m), at most 30 days
    #[arg(long, default_value = "4h", value_name = "WHEN")]
    until: String,

    /// What it opens at the most: names of actions with commas between them; by default all that support may see
    #[arg(long, value_delimiter = ',', value_name = "ACTIONS")]
    actions: Vec<String>,
}

pub(super) async fn support(context: &Context, arguments: SupportArgs) -> Result<(), Failure> {
    let SupportArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    match command.unwrap_or(SupportCommand::List) {
        SupportCommand::List => {
            let grants = client.support_grants(tenant).await?.support_grants;
            context.output.result(&json!({ "support_grants": grants }), || {
                if grants.is_empty() {
                    return "No support grants.".to_owned();
                }
                let header = ["ID", "OPERATOR", "STATUS", "UNTIL", "REASON"];
                let mut rows = vec![header.map(str::to_owned).to_vec()];
                rows.extend(grants.iter().map(|grant| {
                    vec![
                        grant.id.to_string(),
                        grant.operator.to_string(),
                        grant.status.clone(),
                        moment(grant.ended_at.unwrap_or(grant.ends_at)),
                        harmless(&grant.reason),
                    ]
                }));
                table(&rows)
            });
        }
        SupportCommand::Grant(grant) => {
            let ends_at = expires_at(&grant.until)?
                .ok_or_else(|| Failure::usage("a support grant ends: say when with --until"))?;
            let new = NewSupportGrant {
                operator_number: grant.operator.number(&client).await?,
                actions: grant.actions,
                reason: grant.reason,
                ends_at,
            };
            let given =
                changed(context, &proof, async |client| client.create_support_grant(tenant, &new).await)
                    .await?;
            let text = format!("{} lets {} in until {}.", given.id, given.operator, moment(given.ends_at));
            context.output.result(&json!(given), || text);
        }
        SupportCommand::End { grant } => {
            changed(context, &proof, async |client| client.end_support_grant(tenant, grant).await).await?;
            context.output.result(&json!({ "ended": grant }), || format!("{grant} is over."));
        }
    }
    Ok(())
}
