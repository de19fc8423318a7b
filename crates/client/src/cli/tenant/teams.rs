// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Teams of a tenant, and who is in them.

use clap::{Args, Subcommand};
use protocol::tenants::teams::{NewTeam, TeamChange};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant teams`.
#[derive(Args, Debug)]
pub(super) struct TeamsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<TeamsCommand>,
}

#[derive(Subcommand, Debug)]
enum TeamsCommand {
    /// List the teams
    List,
    /// Make a team
    Create {
        /// Its name
        name: String,
    },
    /// Give a team another name
    Rename {
        /// The team: its id (tea_…) or its name
        team: String,

        /// The new name
        name: String,
    },
    /// Delete a team, with the roles that it held
    Delete {
        /// The team
        team: String,
    },
    /// List who is in a team
    Members {
        /// The team
        team: String,
    },
    /// Put a member into a team
    Add {
        /// The team
        team: String,

        /// The member: the account's id (acc_…) or their label
        member: String,
    },
    /// Take a member out of a team
    Remove {
        /// The team
        team: String,

        /// The member
        member: String,
    },
}

pub(super) async fn teams(context: &Context, arguments: TeamsArgs) -> Result<(), Failure> {
    let TeamsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    match command.unwrap_or(TeamsCommand::List) {
        TeamsCommand::List => {
            let teams = client.teams(tenant).await?.teams;
            context.output.result(&json!({ "teams": teams }), || {
                let mut rows = vec![["ID", "NAME", "SINCE"].map(str::to_owned).to_vec()];
                rows.extend(
                    teams
                        .iter()
                        .map(|team| vec![team.id.to_string(), harmless(&team.name), moment(team.created_at)]),
                );
                table(&rows)
            });
        }
        TeamsCommand::Create { name } => {
            let new = NewTeam { name };
            let made =
                changed(context, &proof, async |client| client.create_team(tenant, &new).await).await?;
            let text = format!("{} is {}.", harmless(&made.name), made.id);
            context.output.result(&json!(made), || text);
        }
        TeamsCommand::Rename { team, name } => {
            let (id, change) = (named.team(&team).await?, TeamChange { name });
            let after =
                changed(context, &proof, async |client| client.change_team(tenant, id, &change).await)
                    .await?;
            context.output.result(&json!(after), || format!("{id} is {}.", harmless(&after.name)));
        }
        TeamsCommand::Delete { team } => {
            let id = named.team(&team).await?;
            changed(context, &proof, async |client| client.delete_team(tenant, id).await).await?;
            context.output.result(&json!({ "deleted": id }), || format!("Deleted {id}."));
        }
        TeamsCommand::Members { team } => {
            let members = client.team_members(tenant, named.team(&team).await?).await?.members;
            context.output.result(&json!({ "members": members }), || {
                members.iter().map(|member| format!("{member}\n")).collect()
            });
        }
        TeamsCommand::Add { team, member } => {
            let (id, account) = (named.team(&team).await?, named.member(&member).await?);
            changed(context, &proof, async |client| client.put_team_member(tenant, id, account).await)
                .await?;
            let document = json!({ "team": id, "added": account });
            context.output.result(&document, || format!("{account} is in {id}."));
        }
        TeamsCommand::Remove { team, member } => {
            let (id, account) = (named.team(&team).await?, named.member(&member).await?);
            changed(context, &proof, async |client| client.delete_team_member(tenant, id, account).await)
                .await?;
            let document = json!({ "team": id, "removed": account });
            context.output.result(&document, || format!("{account} is no longer in {id}."));
        }
    }
    Ok(())
}
