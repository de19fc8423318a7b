// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants: founded, listed, run. Each thing that is in one has a module of its own.

use clap::{Args, Subcommand};
use protocol::TenantId;
use protocol::tenants::{NewTenant, Tenant, TenantChange};
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
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
    List,
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
}

/// Which tenant.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Which {
    /// The tenant: its id (ten_…). Without it, the one that you are in
    #[arg(long, short, env = "BAILIWICK_TENANT", value_name = "TENANT")]
    tenant: Option<TenantId>,
}

pub(super) async fn tenant(context: &mut Context, arguments: TenantArgs) -> Result<(), Failure> {
    match arguments.command.unwrap_or(TenantCommand::List) {
        TenantCommand::List => list(context).await,
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
    /// The tenant that was named, or the only one that there is.
    pub(super) async fn find(self, context: &Context) -> Result<TenantId, Failure> {
        if let Some(tenant) = self.tenant {
            return Ok(tenant);
        }
        let (client, _) = context.client()?;
        match client.tenants().await?.tenants.as_slice() {
            [only] => Ok(only.id),
            [] => Err(Failure::failed("no_tenant", "you are in no tenant: `bailiwick tenant create NAME` founds one")),
            _ => Err(Failure::usage("you are in several tenants: name one with --tenant or BAILIWICK_TENANT")),
        }
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let tenants = client.tenants().await?.tenants;
    context.output.result(&json!({ "tenants": tenants }), || {
        if tenants.is_empty() {
            return "You are in no tenant.".to_owned();
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

fn shown(tenant: &Tenant) -> String {
    let rows = [
        ("id", tenant.id.to_string()),
        ("name", harmless(&tenant.name)),
        ("state", tenant.state.clone()),
        ("region", harmless(&tenant.region)),
        ("since", moment(tenant.created_at)),
    ];
    let deleted = tenant.delete_at.map(|at| ("deleted at", moment(at)));
    table(&rows.into_iter().chain(deleted).map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}
