// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of a tenant.

use clap::{Args, Subcommand};
use protocol::tenants::devices::{NewTenantDevice, TenantDevice, TenantDeviceChange};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant devices`.
#[derive(Args, Debug)]
pub(super) struct DevicesArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

#[derive(Subcommand, Debug)]
enum DevicesCommand {
    /// List the devices that you may see
    List,
    /// Register a device
    Register {
        /// Its own id: a DevEUI, a serial number
        id: String,

        /// Its name [default: its own id]
        #[arg(long)]
        name: Option<String>,

        /// The organisation that it is assigned to [default: the tenant as a whole]
        #[arg(long, value_name = "ORGANISATION")]
        r#in: Option<String>,
    },
    /// Show a device
    Show {
        /// The device: its own id, its name, or its id here (dvc_…)
        device: String,
    },
    /// Give a device another name
    Rename {
        /// The device: its own id, its name, or its id here (dvc_…)
        device: String,

        /// The new name
        name: String,
    },
    /// Assign a device to another organisation
    Assign {
        /// The device: its own id, its name, or its id here (dvc_…)
        device: String,

        /// The organisation
        #[arg(long, visible_alias = "in", value_name = "ORGANISATION")]
        to: String,
    },
    /// Remove a device
    Delete {
        /// The device: its own id, its name, or its id here (dvc_…)
        device: String,
    },
}

pub(super) async fn devices(context: &Context, arguments: DevicesArgs) -> Result<(), Failure> {
    let DevicesArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    let (device, change) = match command.unwrap_or(DevicesCommand::List) {
        DevicesCommand::List => {
            let devices = super::named::devices(&client, tenant).await?;
            context.output.result(&json!({ "devices": devices }), || shown(&devices));
            return Ok(());
        }
        DevicesCommand::Register { id, name, r#in } => {
            let organisation = match &r#in {
                Some(organisation) => named.organisation(organisation).await?,
                None => protocol::OrganisationId::from_uuid(tenant.uuid()),
            };
            let new =
                NewTenantDevice { name: name.unwrap_or_else(|| id.clone()), external_id: id, organisation };
            let made =
                changed(context, &proof, async |client| client.register_tenant_device(tenant, &new).await)
                    .await?;
            context.output.result(&json!(made), || shown(std::slice::from_ref(&made)));
            return Ok(());
        }
        DevicesCommand::Show { device } => {
            let found = named.device(&device).await?;
            context.output.result(&json!(found), || shown(std::slice::from_ref(&found)));
            return Ok(());
        }
        DevicesCommand::Delete { device } => {
            let id = named.device(&device).await?.id;
            changed(context, &proof, async |client| client.delete_tenant_device(tenant, id).await).await?;
            context.output.result(&json!({ "deleted": id }), || format!("Deleted {id}."));
            return Ok(());
        }
        DevicesCommand::Rename { device, name } => {
            (device, TenantDeviceChange { name: Some(name), organisation: None })
        }
        DevicesCommand::Assign { device, to } => {
            let organisation = Some(named.organisation(&to).await?);
            (device, TenantDeviceChange { name: None, organisation })
        }
    };
    let id = named.device(&device).await?.id;
    let after =
        changed(context, &proof, async |client| client.change_tenant_device(tenant, id, &change).await)
            .await?;
    context.output.result(&json!(after), || shown(std::slice::from_ref(&after)));
    Ok(())
}

fn shown(devices: &[TenantDevice]) -> String {
    let mut rows = vec![["ID", "OWN ID", "NAME", "ORGANISATION", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(devices.iter().map(|device| {
        vec![
            device.id.to_string(),
            harmless(&device.external_id),
            harmless(&device.name),
            device.organisation.to_string(),
            moment(device.created_at),
        ]
    }));
    table(&rows)
}
