// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Leaving a tenant, handing it on, having it deleted; and what the platform's people do with tenants.

use clap::Args;
use protocol::TenantId;
use protocol::tenants::members::Transfer;
use protocol::tenants::platform::{ListedTenant, Suspension};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::{self, ProofArgs};
use crate::output::{harmless, moment, table};

/// Arguments of `tenant leave`.
#[derive(Args, Debug)]
pub(super) struct LeaveArgs {
    #[command(flatten)]
    which: Which,
}

/// Arguments of `tenant transfer`.
#[derive(Args, Debug)]
pub(super) struct TransferArgs {
    #[command(flatten)]
    which: Which,

    /// The member who is to be the owner: the account's id (acc_…) or their label
    to: String,

    #[command(flatten)]
    proof: ProofArgs,
}

/// Arguments of `tenant delete`.
#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// The tenant, by its name or its id [default: --tenant, or the one that you are in]
    #[arg(value_name = "TENANT")]
    named: Option<String>,

    #[command(flatten)]
    which: Which,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    proof: ProofArgs,
}

/// Arguments of `tenant restore`.
#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// The tenant, by its name or its id [default: --tenant, or the one that you are in]
    #[arg(value_name = "TENANT")]
    named: Option<String>,

    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,
}

/// Arguments of `tenant suspend`.
#[derive(Args, Debug)]
pub(super) struct SuspendArgs {
    /// The tenant (ten_…)
    tenant: TenantId,

    /// Why, in up to 200 characters; the tenant's people read it in their history once the suspension is over
    #[arg(long)]
    reason: String,

    #[command(flatten)]
    proof: ProofArgs,
}

/// Arguments of `tenant resume`.
#[derive(Args, Debug)]
pub(super) struct ResumeArgs {
    /// The tenant (ten_…)
    tenant: TenantId,

    #[command(flatten)]
    proof: ProofArgs,
}

pub(super) async fn leave(context: &Context, arguments: LeaveArgs) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let tenant = arguments.which.find(context).await?;
    client.leave_tenant(tenant).await?;
    context.output.result(&json!({ "left": tenant }), || format!("You are no longer in {tenant}."));
    Ok(())
}

pub(super) async fn transfer(context: &Context, arguments: TransferArgs) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let tenant = arguments.which.find(context).await?;
    let to = super::Named { client: &client, tenant }.member(&arguments.to).await?;
    let transfer = Transfer { to };
    changed(context, &arguments.proof, async |client| client.transfer_tenant(tenant, &transfer).await)
        .await?;
    let document = json!({ "tenant": tenant, "owner": to });
    context.output.result(&document, || format!("{to} is the owner of {tenant} in your place."));
    Ok(())
}

pub(super) async fn delete(context: &Context, arguments: DeleteArgs) -> Result<(), Failure> {
    let tenant = arguments.which.or_called(context, arguments.named.as_deref()).await?;
    let question =
        format!("Delete {tenant}? Nothing can be done in it from now on, and in 30 days it is gone.");
    if !arguments.yes && !prompt::confirm(context.output, &question, "--yes")? {
        return Ok(());
    }
    let closing =
        changed(context, &arguments.proof, async |client| client.delete_tenant(tenant).await).await?;
    context.output.result(&json!(closing), || {
        let when = closing.delete_at.map(moment).unwrap_or_default();
        format!("{tenant} is deleted on {when}. Until then: bailiwick tenant restore --tenant {tenant}")
    });
    Ok(())
}

pub(super) async fn restore(context: &Context, arguments: RestoreArgs) -> Result<(), Failure> {
    let tenant = arguments.which.or_called(context, arguments.named.as_deref()).await?;
    let live = changed(context, &arguments.proof, async |client| client.restore_tenant(tenant).await).await?;
    context.output.result(&json!(live), || format!("{tenant} stays."));
    Ok(())
}

pub(super) async fn list_all(context: &Context) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let (mut all, mut after): (Vec<ListedTenant>, _) = (Vec::new(), None);
    loop {
        let page = client.listed_tenants(after).await?;
        all.extend(page.tenants);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    context.output.result(&json!({ "tenants": all }), || {
        let mut rows = vec![["ID", "STATE", "REGION", "SINCE"].map(str::to_owned).to_vec()];
        rows.extend(all.iter().map(|tenant| {
            vec![
                tenant.id.to_string(),
                harmless(&tenant.state),
                harmless(&tenant.region),
                moment(tenant.created_at),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

pub(super) async fn suspend(context: &Context, arguments: SuspendArgs) -> Result<(), Failure> {
    let SuspendArgs { tenant, reason, proof } = arguments;
    let suspension = Suspension { reason };
    changed(context, &proof, async |client| client.suspend_tenant(tenant, &suspension).await).await?;
    context.output.result(&json!({ "suspended": tenant }), || format!("{tenant} is suspended."));
    Ok(())
}

pub(super) async fn resume(context: &Context, arguments: ResumeArgs) -> Result<(), Failure> {
    let ResumeArgs { tenant, proof } = arguments;
    changed(context, &proof, async |client| client.resume_tenant(tenant).await).await?;
    context.output.result(&json!({ "resumed": tenant }), || format!("{tenant} is no longer suspended."));
    Ok(())
}
