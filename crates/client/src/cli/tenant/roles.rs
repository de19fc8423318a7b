// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Roles: the built-in ones and the tenant's own.

use clap::{Args, Subcommand};
use protocol::tenants::roles::{NewRole, Role, RoleChange};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{harmless, table};

/// Arguments of `tenant roles`.
#[derive(Args, Debug)]
pub(super) struct RolesArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<RolesCommand>,
}

#[derive(Subcommand, Debug)]
enum RolesCommand {
    /// List the roles that there are, and what each may
    List,
    /// Make a role
    Create {
        /// Its name
        name: String,

        /// What it may: names of actions such as device.read, with commas between them
        #[arg(long, value_delimiter = ',', required = true, value_name = "ACTIONS")]
        actions: Vec<String>,
    },
    /// Change a role for all who hold it
    Change {
        /// The role: its id (rol_…) or its name
        role: String,

        /// Its new name
        #[arg(long)]
        name: Option<String>,

        /// What it may from now on
        #[arg(long, value_delimiter = ',', value_name = "ACTIONS")]
        actions: Option<Vec<String>>,
    },
    /// Delete a role, and take it from all who hold it
    Delete {
        /// The role
        role: String,
    },
}

pub(super) async fn roles(context: &Context, arguments: RolesArgs) -> Result<(), Failure> {
    let RolesArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    match command.unwrap_or(RolesCommand::List) {
        RolesCommand::List => {
            let found = client.roles(tenant).await;
            let roles = found.map_err(|error| Failure::from(error).in_whole_tenant())?.roles;
            context.output.result(&json!({ "roles": roles }), || shown(&roles));
        }
        RolesCommand::Create { name, actions } => {
            let new = NewRole { name, actions };
            let made =
                changed(context, &proof, async |client| client.create_role(tenant, &new).await).await?;
            context.output.result(&json!(made), || shown(std::slice::from_ref(&made)));
        }
        RolesCommand::Change { role, name, actions } => {
            let (id, change) = (named.own_role(&role).await?, RoleChange { name, actions });
            let after =
                changed(context, &proof, async |client| client.change_role(tenant, id, &change).await)
                    .await?;
            context.output.result(&json!(after), || shown(std::slice::from_ref(&after)));
        }
        RolesCommand::Delete { role } => {
            let id = named.own_role(&role).await?;
            changed(context, &proof, async |client| client.delete_role(tenant, id).await).await?;
            context.output.result(&json!({ "deleted": id }), || format!("Deleted {id}."));
        }
    }
    Ok(())
}

fn shown(roles: &[Role]) -> String {
    let mut rows = vec![["ROLE", "NAME", "HELD", "ACTIONS"].map(str::to_owned).to_vec()];
    for role in roles {
        let held = if role.is_tenant_wide { "in the tenant" } else { "anywhere" };
        let mut first = vec![harmless(&role.role), harmless(&role.name), held.to_owned()];
        for group in grouped(&role.actions) {
            first.push(harmless(&group));
            rows.push(std::mem::replace(&mut first, vec![String::new(); 3]));
        }
        if role.actions.is_empty() {
            rows.push(first);
        }
    }
    table(&rows)
}

/// Actions with those of the same things in one line: `device.read .write`.
fn grouped(actions: &[String]) -> Vec<String> {
    let thing = |action: &str| action.split_once('.').map_or_else(String::new, |(thing, _)| thing.to_owned());
    actions
        .chunk_by(|one, next| thing(one) == thing(next))
        .map(|group| {
            let (first, rest) = group.split_at(1);
            let rest = rest.iter().map(|action| action.strip_prefix(&thing(action)).unwrap_or(action));
            first.iter().map(String::as_str).chain(rest).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_told_by_what_they_are_done_to() {
        let actions = ["device.read", "device.write", "log.read", "oddity"].map(str::to_owned);
        assert_eq!(grouped(&actions), ["device.read .write", "log.read", "oddity"]);
        assert!(grouped(&[]).is_empty());
    }
}
