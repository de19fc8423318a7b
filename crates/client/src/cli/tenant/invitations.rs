// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Invitations to a tenant, and joining by one.

use clap::{Args, Subcommand};
use protocol::tenants::invitations::{Invitation, InvitedRole, Join, NewInvitation};
use protocol::{InvitationId, Secret};
use serde_json::json;

use super::{Which, changed};
use crate::cli::api_keys::expires_at;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::{self, ProofArgs};
use crate::output::{harmless, moment, table};

/// Arguments of `tenant invitations`.
#[derive(Args, Debug)]
pub(super) struct InvitationsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<InvitationsCommand>,
}

#[derive(Subcommand, Debug)]
enum InvitationsCommand {
    /// List the invitations
    List,
    /// Invite somebody: by mail, or by a link that is shown once
    Create {
        /// The address that it is mailed to. Without it, a link is made
        #[arg(long, value_name = "ADDRESS", conflicts_with = "uses")]
        email: Option<String>,

        /// How the tenant's people are to see who joins [default: they say it themselves]
        #[arg(long)]
        label: Option<String>,

        /// What they will be: a role, and where, as in viewer@North; without a place, in the whole tenant. May be repeated
        #[arg(long, value_name = "ROLE[@PLACE]")]
        role: Vec<String>,

        /// How many accounts the link lets in
        #[arg(long, default_value_t = 1)]
        uses: u32,

        /// When it ends: in days, hours or minutes (7d, 12h, 30m), or on a day; within 30 days
        #[arg(long, default_value = "7d", value_name = "WHEN")]
        expires: String,
    },
    /// Take an invitation back
    Revoke {
        /// The invitation (inv_…)
        invitation: InvitationId,
    },
}

/// Arguments of `tenant join`.
#[derive(Args, Debug)]
pub(super) struct JoinArgs {
    /// The link that one was given; read from standard input when absent
    link: Option<String>,

    /// How the tenant's people are to see you, unless the invitation says it
    #[arg(long)]
    label: Option<String>,
}

pub(super) async fn invitations(context: &Context, arguments: InvitationsArgs) -> Result<(), Failure> {
    let InvitationsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    match command.unwrap_or(InvitationsCommand::List) {
        InvitationsCommand::List => {
            let (mut all, mut after): (Vec<Invitation>, _) = (Vec::new(), None);
            loop {
                let page = client.invitations(tenant, after).await?;
                all.extend(page.invitations);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            context.output.result(&json!({ "invitations": all }), || shown(&all));
        }
        InvitationsCommand::Create { email, label, role, uses, expires } => {
            let named = super::Named { client: &client, tenant };
            let mut roles = Vec::with_capacity(role.len());
            for one in &role {
                let (role, place) =
                    one.split_once('@').map_or((one.as_str(), None), |(role, place)| (role, Some(place)));
                roles.push(InvitedRole { role: named.role(role).await?, place: named.place(place).await? });
            }
            let new =
                NewInvitation { email, label, roles, uses: Some(uses), expires_at: expires_at(&expires)? };
            let made =
                changed(context, &proof, async |client| client.create_invitation(tenant, &new).await).await?;
            context.output.result(&json!(made), || match &made.link {
                Some(link) => format!(
                    "{}\n\nThis is the link, shown once: give it to who is to join. It is good until {}.",
                    link.expose(),
                    moment(made.invitation.expires_at)
                ),
                None => "The invitation is on its way.".to_owned(),
            });
        }
        InvitationsCommand::Revoke { invitation } => {
            changed(context, &proof, async |client| client.revoke_invitation(tenant, invitation).await)
                .await?;
            context.output.result(&json!({ "revoked": invitation }), || format!("Revoked {invitation}."));
        }
    }
    Ok(())
}

pub(super) async fn join(context: &Context, arguments: JoinArgs) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let link = match arguments.link {
        Some(link) => zeroize::Zeroizing::new(link),
        None => {
            context.output.note("The link that you were given:");
            prompt::line_of_stdin()?
        }
    };
    let token = match link.trim().split_once("/#invite=") {
        // What opens the tenant goes to the server that it is of, and to no other.
        Some((server, _)) if server != client.server() => {
            return Err(Failure::usage(format!(
                "this invitation is for {}: sign in there, with another --config-dir",
                harmless(server)
            )));
        }
        Some((_, token)) => token,
        None => link.trim(),
    };
    if !token.starts_with(INVITATION) {
        let text =
            "this is no invitation: it is a link that ends with #invite=bwi_…, as whoever invited you has it";
        return Err(Failure::usage(text));
    }
    let join = Join { token: Secret::from(token.to_owned()), label: arguments.label };
    let joined = client.join_tenant(&join).await?;
    context
        .output
        .result(&json!(joined), || format!("You are in {}: {}.", harmless(&joined.name), joined.id));
    Ok(())
}

fn shown(invitations: &[Invitation]) -> String {
    let header = ["ID", "FOR", "STATE", "USED", "ENDS", "ROLES"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(invitations.iter().map(|one| {
        let roles: Vec<_> = one.roles.iter().map(|role| format!("{}@{}", role.role, role.place)).collect();
        vec![
            one.id.to_string(),
            harmless(one.email.as_deref().unwrap_or("whoever has the link")),
            harmless(&one.state),
            format!("{} of {}", one.used, one.uses),
            moment(one.expires_at),
            harmless(&roles.join(" ")),
        ]
    }));
    table(&rows)
}

/// How the part of an invitation's link begins that lets somebody in.
const INVITATION: &str = "bwi_";
