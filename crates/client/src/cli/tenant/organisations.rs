// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Organisations of a tenant.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use protocol::OrganisationId;
use protocol::tenants::organisations::{NewOrganisation, Organisation, OrganisationChange};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant organisations`.
#[derive(Args, Debug)]
pub(super) struct OrganisationsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<OrganisationsCommand>,
}

#[derive(Subcommand, Debug)]
enum OrganisationsCommand {
    /// List the organisations, each below the one that it lies in
    List,
    /// Make an organisation
    Create {
        /// Its name
        name: String,

        /// The organisation that it lies in [default: the tenant as a whole]
        #[arg(long, value_name = "ORGANISATION")]
        r#in: Option<String>,
    },
    /// Give an organisation another name
    Rename {
        /// The organisation
        organisation: String,

        /// The new name
        name: String,
    },
    /// Move an organisation, with all that is below it
    Move {
        /// The organisation
        organisation: String,

        /// The organisation that it is to lie in [default: the tenant as a whole]
        #[arg(long, visible_alias = "in", value_name = "ORGANISATION")]
        to: Option<String>,
    },
    /// Delete an organisation that nothing lies in
    Delete {
        /// The organisation
        organisation: String,
    },
}

pub(super) async fn organisations(context: &Context, arguments: OrganisationsArgs) -> Result<(), Failure> {
    let OrganisationsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    let whole = OrganisationId::from_uuid(tenant.uuid());
    match command.unwrap_or(OrganisationsCommand::List) {
        OrganisationsCommand::List => {
            let all = client.organisations(tenant).await?.organisations;
            context.output.result(&json!({ "organisations": all }), || tree(&all));
        }
        OrganisationsCommand::Create { name, r#in } => {
            let parent = match &r#in {
                Some(parent) => Some(named.organisation(parent).await?),
                None => None,
            };
            let new = NewOrganisation { name, parent };
            let made =
                changed(context, &proof, async |client| client.create_organisation(tenant, &new).await)
                    .await?;
            let text = format!("{} is {}.", harmless(&made.name), made.id);
            context.output.result(&json!(made), || text);
        }
        OrganisationsCommand::Rename { organisation, name } => {
            let id = named.organisation(&organisation).await?;
            let change = OrganisationChange { name: Some(name), parent: None };
            alter(context, &proof, tenant, id, &change).await?;
        }
        OrganisationsCommand::Move { organisation, to } => {
            let id = named.organisation(&organisation).await?;
            let parent = match &to {
                Some(to) => named.organisation(to).await?,
                None => whole,
            };
            let change = OrganisationChange { name: None, parent: Some(parent) };
            alter(context, &proof, tenant, id, &change).await?;
        }
        OrganisationsCommand::Delete { organisation } => {
            let id = named.organisation(&organisation).await?;
            changed(context, &proof, async |client| client.delete_organisation(tenant, id).await).await?;
            context.output.result(&json!({ "deleted": id }), || format!("Deleted {id}."));
        }
    }
    Ok(())
}

async fn alter(
    context: &Context,
    proof: &ProofArgs,
    tenant: protocol::TenantId,
    id: OrganisationId,
    change: &OrganisationChange,
) -> Result<(), Failure> {
    let after =
        changed(context, proof, async |client| client.change_organisation(tenant, id, change).await).await?;
    context.output.result(&json!(after), || format!("{} is changed.", harmless(&after.name)));
    Ok(())
}

/// The organisations, each indented below the one that it lies in.
fn tree(all: &[Organisation]) -> String {
    let mut below: HashMap<Option<OrganisationId>, Vec<&Organisation>> = HashMap::new();
    for one in all {
        below.entry(one.parent).or_default().push(one);
    }
    let mut rows = vec![["NAME", "ID", "SINCE"].map(str::to_owned).to_vec()];
    let mut waiting: Vec<(&Organisation, usize)> =
        below.get(&None).into_iter().flatten().map(|one| (*one, 0)).collect();
    while let Some((one, depth)) = waiting.pop() {
        let name = format!("{}{}", "  ".repeat(depth), harmless(&one.name));
        rows.push(vec![name, one.id.to_string(), moment(one.created_at)]);
        let inside = below.remove(&Some(one.id)).unwrap_or_default();
        waiting.extend(inside.into_iter().rev().map(|inner| (inner, depth + 1)));
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisations_are_shown_below_the_one_that_they_lie_in() {
        let one = |number: u128, parent: Option<u128>, name: &str| Organisation {
            id: OrganisationId::from_uuid(uuid::Uuid::from_u128(number)),
            parent: parent.map(|parent| OrganisationId::from_uuid(uuid::Uuid::from_u128(parent))),
            name: name.to_owned(),
            created_at: 0,
        };
        let all = [
            one(1, None, "all"),
            one(2, Some(1), "north"),
            one(3, Some(1), "south"),
            one(4, Some(2), "town"),
        ];
        let shown = tree(&all);
        let names: Vec<_> =
            shown.lines().skip(1).map(|line| line.split("  org_").next().unwrap().trim_end()).collect();
        assert_eq!(names, ["all", "  north", "    town", "  south"]);
    }
}
