// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants: founded, listed, run. Each thing that is in one has a module of its own.

mod clients;
mod collections;
mod devices;
mod ending;
mod grants;
mod invitations;
mod members;
mod named;
mod organisations;
mod plain_passwords;
mod policies;
mod providers;
mod roles;
mod service_accounts;
mod support;
mod teams;
mod why;
mod words;

use clap::{Args, Subcommand};
use protocol::tenants::{NewTenant, Tenant, TenantChange, Tenants};
use protocol::{Code, TenantId};
use serde_json::json;

use self::named::{Named, only};
pub(super) use self::why::{WhyArgs, why};
pub(super) use self::words::Words;
use super::context::Context;
use super::failure::Failure;
use super::prompt::ProofArgs;
use crate::client::account::AccountError;
use crate::client::{Client, RequestError};
use crate::output::{harmless, moment, table};

/// Arguments of `tenant`.
#[derive(Args, Debug)]
pub struct TenantArgs {
    #[command(subcommand)]
    command: Option<TenantCommand>,
}

#[derive(Subcommand, Debug)]
enum TenantCommand {
    /// List the tenants that you are in
    List {
        /// All tenants, for the platform's people: that they are there, and how
        #[arg(long)]
        all: bool,
    },
    /// Found a tenant, as its first owner
    Create {
        /// Its name
        name: String,

        /// How its people see you [default: Owner]
        #[arg(long, default_value = "Owner")]
        label: String,

        /// Where its data is to lie
        #[arg(long)]
        region: Option<String>,
    },
    /// Show a tenant
    Show(Which),
    /// Give a tenant another name
    Rename {
        #[command(flatten)]
        which: Which,

        /// The new name
        name: String,
    },
    /// See, make, move and delete organisations
    Organisations(organisations::OrganisationsArgs),
    /// See members, suspend them, take them out
    Members(members::MembersArgs),
    /// See and make teams, and say who is in them
    Teams(teams::TeamsArgs),
    /// See what roles there are, and make roles of the tenant's own
    Roles(roles::RolesArgs),
    /// See who holds which role where, give and take roles
    Grants(grants::GrantsArgs),
    /// Write policies of the tenant's own: check them, try them, put them, go back
    Policies(policies::PoliciesArgs),
    /// Register devices, see them, assign them
    Devices(devices::DevicesArgs),
    /// See, make and use collections that are shared by role
    Collections(collections::CollectionsArgs),
    /// Make service accounts and their keys, for programs
    ServiceAccounts(service_accounts::ServiceAccountsArgs),
    /// Make applications that get tokens (OAuth clients)
    Clients(clients::ClientsArgs),
    /// Have people come in by other identity providers (OpenID Connect), and say what they get by that
    Providers(providers::ProvidersArgs),
    /// Prove which domains are the tenant's: its providers speak for their addresses
    Domains(providers::DomainsArgs),
    /// Let old clients in by plain passwords, or not; set your own
    PlainPasswords(plain_passwords::PlainPasswordsArgs),
    /// Let an operator of the platform in for a time, and end that
    Support(support::SupportArgs),
    /// Invite people
    Invitations(invitations::InvitationsArgs),
    /// Become a member by an invitation
    Join(invitations::JoinArgs),
    /// Leave a tenant
    Leave(ending::LeaveArgs),
    /// Make a member the owner in your place
    Transfer(ending::TransferArgs),
    /// Have a tenant deleted: in 30 days, and until then it can be taken back
    Delete(ending::DeleteArgs),
    /// Take the deletion of a tenant back
    Restore(ending::RestoreArgs),
    /// Suspend a tenant, as an administrator of the platform
    Suspend(ending::SuspendArgs),
    /// End the suspension of a tenant
    Resume(ending::ResumeArgs),
}

/// Which tenant.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Which {
    /// The tenant: its id (ten_…). Without it, the one that you are in
    #[arg(long, short, global = true, env = "BAILIWICK_TENANT", value_name = "TENANT")]
    tenant: Option<TenantId>,
}

pub(super) async fn tenant(context: &mut Context, arguments: TenantArgs) -> Result<(), Failure> {
    let done = run(context, arguments).await;
    done.map_err(|failure| context.hinted(failure))
}

async fn run(context: &mut Context, arguments: TenantArgs) -> Result<(), Failure> {
    match arguments.command.unwrap_or(TenantCommand::List { all: false }) {
        TenantCommand::List { all: false } => list(context).await,
        TenantCommand::List { all: true } => ending::list_all(context).await,
        TenantCommand::Organisations(arguments) => organisations::organisations(context, arguments).await,
        TenantCommand::Members(arguments) => members::members(context, arguments).await,
        TenantCommand::Teams(arguments) => teams::teams(context, arguments).await,
        TenantCommand::Roles(arguments) => roles::roles(context, arguments).await,
        TenantCommand::Grants(arguments) => grants::grants(context, arguments).await,
        TenantCommand::Policies(arguments) => policies::policies(context, arguments).await,
        TenantCommand::Devices(arguments) => devices::devices(context, arguments).await,
        TenantCommand::Collections(arguments) => collections::collections(context, arguments).await,
        TenantCommand::ServiceAccounts(arguments) => {
            service_accounts::service_accounts(context, arguments).await
        }
        TenantCommand::Clients(arguments) => clients::clients(context, arguments).await,
        TenantCommand::Providers(arguments) => providers::providers(context, arguments).await,
        TenantCommand::Domains(arguments) => providers::domains(context, arguments).await,
        TenantCommand::PlainPasswords(arguments) => {
            plain_passwords::plain_passwords(context, arguments).await
        }
        TenantCommand::Support(arguments) => support::support(context, arguments).await,
        TenantCommand::Invitations(arguments) => invitations::invitations(context, arguments).await,
        TenantCommand::Join(arguments) => invitations::join(context, arguments).await,
        TenantCommand::Leave(arguments) => ending::leave(context, arguments).await,
        TenantCommand::Transfer(arguments) => ending::transfer(context, arguments).await,
        TenantCommand::Delete(arguments) => ending::delete(context, arguments).await,
        TenantCommand::Restore(arguments) => ending::restore(context, arguments).await,
        TenantCommand::Suspend(arguments) => ending::suspend(context, arguments).await,
        TenantCommand::Resume(arguments) => ending::resume(context, arguments).await,
        TenantCommand::Create { name, label, region } => {
            let (client, _) = context.client()?;
            let made = client.create_tenant(&NewTenant { name, label, region }).await?;
            let text = format!("{} is {}. You are its owner.", harmless(&made.name), made.id);
            context.output.result(&json!(made), || text);
            Ok(())
        }
        TenantCommand::Show(which) => {
            let (client, _) = context.client()?;
            let found = client.tenant(which.find(context).await?).await?;
            context.output.result(&json!(found), || shown(&found));
            Ok(())
        }
        TenantCommand::Rename { which, name } => {
            let (client, _) = context.client()?;
            let change = TenantChange { name: Some(name) };
            let changed = client.change_tenant(which.find(context).await?, &change).await?;
            context.output.result(&json!(changed), || shown(&changed));
            Ok(())
        }
    }
}

impl Which {
    /// The tenant of this id or this name, among those that you are in; without one, as [`find`](Self::find) has it.
    pub(super) async fn or_called(self, context: &Context, text: Option<&str>) -> Result<TenantId, Failure> {
        let Some(text) = text else { return self.find(context).await };
        let tenant = match text.parse() {
            Ok(id) => id,
            Err(_) => {
                let (client, _) = context.client()?;
                let all = client.tenants().await?.tenants.into_iter();
                only("tenant", text, all.filter(|one| one.name == text).map(|one| one.id).collect())?
            }
        };
        context.work_in(tenant, true);
        Ok(tenant)
    }

    /// The tenant that was named, or the only one that there is.
    pub(super) async fn find(self, context: &Context) -> Result<TenantId, Failure> {
        if let Some(tenant) = self.tenant {
            context.work_in(tenant, true);
            return Ok(tenant);
        }
        let (client, _) = context.client()?;
        let Tenants { tenants, suspended_in } = client.tenants().await?;
        match tenants.as_slice() {
            [only] => {
                context.work_in(only.id, false);
                Ok(only.id)
            }
            [] if !suspended_in.is_empty() => {
                Err(Failure::not_allowed("suspended", suspended(&suspended_in)))
            }
            [] => Err(Failure::failed(
                "no_tenant",
                "you are in no tenant: `bailiwick tenant create NAME` founds one",
            )),
            _ => {
                Err(Failure::usage("you are in several tenants: name one with --tenant or BAILIWICK_TENANT"))
            }
        }
    }
}

/// Changes something of a tenant; if the server asks for a fresh proof, asks for it and does it again.
pub(super) async fn changed<T>(
    context: &Context,
    proof: &ProofArgs,
    change: impl AsyncFn(&Client) -> Result<T, RequestError>,
) -> Result<T, Failure> {
    let (client, _) = context.client()?;
    match change(&client).await {
        Err(error) if error.is(Code::StepUpRequired) => {}
        other => return Ok(other?),
    }
    let account = context.account().await?;
    let again = async || change(&account.client).await.map_err(AccountError::from);
    context.with_proof(&account, proof, None, again).await
}

async fn list(context: &Context) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let found = client.tenants().await?;
    let Tenants { tenants, suspended_in } = &found;
    if !suspended_in.is_empty() {
        context.output.note(&suspended(suspended_in));
    }
    context.output.result(&json!(found), || {
        if tenants.is_empty() {
            return if suspended_in.is_empty() { "You are in no tenant." } else { "" }.to_owned();
        }
        let mut rows = vec![["ID", "NAME", "STATE", "REGION", "SINCE"].map(str::to_owned).to_vec()];
        rows.extend(tenants.iter().map(|tenant| {
            vec![
                tenant.id.to_string(),
                harmless(&tenant.name),
                tenant.state.clone(),
                harmless(&tenant.region),
                moment(tenant.created_at),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

/// That nothing is done in these, and who may end that.
fn suspended(tenants: &[TenantId]) -> String {
    let tenants: Vec<_> = tenants.iter().map(ToString::to_string).collect();
    format!("You are suspended in {}: ask an owner or an administrator there.", tenants.join(", "))
}

fn shown(tenant: &Tenant) -> String {
    let rows = [
        ("id", tenant.id.to_string()),
        ("name", harmless(&tenant.name)),
        ("state", tenant.state.clone()),
        ("region", harmless(&tenant.region)),
        ("since", moment(tenant.created_at)),
    ];
    let deleted = tenant.delete_at.map(|at| ("deleted at", moment(at)));
    table(
        &rows
            .into_iter()
            .chain(deleted)
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect::<Vec<_>>(),
    )
}
