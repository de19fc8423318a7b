// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who holds which role where.

use clap::{Args, Subcommand};
use protocol::tenants::grants::{HolderId, RoleGrant};
use serde_json::json;

use super::{Which, Words, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{moment, table};

/// Arguments of `tenant grants`.
#[derive(Args, Debug)]
pub(super) struct GrantsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<GrantsCommand>,
}

#[derive(Subcommand, Debug)]
enum GrantsCommand {
    /// List who holds which role where
    List {
        /// Those of this member, team or service account: an id, a label or a name
        #[arg(long, value_name = "HOLDER", conflicts_with = "at")]
        of: Option<String>,

        /// Those in this organisation, or on this device, by id or name
        #[arg(long, value_name = "PLACE")]
        at: Option<String>,
    },
    /// Give a role
    Give(Given),
    /// Take a role away
    Take(Given),
}

#[derive(Args, Debug)]
struct Given {
    /// Who: a member, a team or a service account, by an id, a label or a name
    holder: String,

    /// The role: a built-in one, or the id or the name of one of the tenant's own
    role: String,

    /// Where: an organisation by its id or its name, or a device by its id (dvc_…), its own id or its name [default: in the
    /// whole tenant]
    #[arg(long, value_name = "PLACE")]
    at: Option<String>,
}

pub(super) async fn grants(context: &Context, arguments: GrantsArgs) -> Result<(), Failure> {
    let GrantsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    match command.unwrap_or(GrantsCommand::List { of: None, at: None }) {
        GrantsCommand::List { of, at } => {
            let of: Option<HolderId> = match &of {
                Some(holder) => Some(named.holder(holder).await?),
                None => None,
            };
            let at = match &at {
                Some(place) => Some(named.place(Some(place)).await?),
                None => None,
            };
            let (mut all, mut after): (Vec<RoleGrant>, Option<String>) = (Vec::new(), None);
            loop {
                let page = client.grants(tenant, of, at, after.as_deref()).await;
                let page = page.map_err(|error| {
                    let failure = Failure::from(error);
                    if at.is_none() { failure.in_whole_tenant() } else { failure }
                })?;
                all.extend(page.grants);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let words = Words::for_people(context, &client, tenant).await;
            context.output.result(&json!({ "grants": all }), || shown(&all, &words));
        }
        GrantsCommand::Give(Given { holder, role, at }) => {
            let holder = named.holder(&holder).await?;
            let (role, place) = (named.role(&role).await?, named.place(at.as_deref()).await?);
            changed(context, &proof, async |client| client.put_grant(tenant, holder, &role, place).await)
                .await?;
            let document = json!({ "holder": holder, "role": role, "place": place, "held": true });
            let words = Words::for_people(context, &client, tenant).await;
            context.output.result(&document, || {
                format!("{} is {} at {}.", words.holder(holder), words.of(&role), words.place(place))
            });
        }
        GrantsCommand::Take(Given { holder, role, at }) => {
            let holder = named.holder(&holder).await?;
            let (role, place) = (named.role(&role).await?, named.place(at.as_deref()).await?);
            changed(context, &proof, async |client| client.delete_grant(tenant, holder, &role, place).await)
                .await?;
            let document = json!({ "holder": holder, "role": role, "place": place, "held": false });
            let words = Words::for_people(context, &client, tenant).await;
            context.output.result(&document, || {
                format!(
                    "{} is no longer {} at {}.",
                    words.holder(holder),
                    words.of(&role),
                    words.place(place)
                )
            });
        }
    }
    Ok(())
}

fn shown(grants: &[RoleGrant], words: &Words) -> String {
    let mut rows = vec![["HOLDER", "ROLE", "PLACE", "SINCE", "GIVEN BY"].map(str::to_owned).to_vec()];
    rows.extend(grants.iter().map(|grant| {
        vec![
            words.holder(grant.holder),
            words.of(&grant.role),
            words.place(grant.place),
            moment(grant.granted_at),
            words.of(&grant.granted_by),
        ]
    }));
    table(&rows)
}
