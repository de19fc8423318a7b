// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Service accounts of a tenant, and their keys.

use clap::{Args, Subcommand};
use protocol::service_accounts::NewServiceKey;
use protocol::{ServiceAccountId, ServiceKeyId, TenantId};
use serde_json::{Value, json};

use super::{Which, changed};
use crate::cli::api_keys::{expires_at, scopes};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::client::Client;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant service-accounts`.
#[derive(Args, Debug)]
pub(super) struct ServiceAccountsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<ServiceAccountsCommand>,
}

#[derive(Subcommand, Debug)]
enum ServiceAccountsCommand {
    /// List the service accounts
    List,
    /// Make a service account; roles are given to it as to a member
    Create {
        /// Its name
        name: String,
    },
    /// Suspend a service account: its keys let nobody in
    Suspend {
        /// The service account: its id (sva_…) or its name
        account: String,
    },
    /// End the suspension of a service account
    Resume {
        /// The service account
        account: String,
    },
    /// Delete a service account, with its keys and its roles
    Delete {
        /// The service account
        account: String,
    },
    /// List the keys of a service account, with their last use
    Keys {
        /// The service account
        account: String,
    },
    /// Make a key of a service account. It is shown once
    CreateKey(CreateKeyArgs),
    /// Revoke a key of a service account: it lets nobody in from that moment on
    RevokeKey {
        /// The service account
        account: String,

        /// The key: its id (svk_…)
        key: ServiceKeyId,
    },
}

#[derive(Args, Debug)]
struct CreateKeyArgs {
    /// The service account
    account: String,

    /// The key's name
    #[arg(long, default_value = "key")]
    label: String,

    /// What it may be used for at the most: names of actions with commas between them; by default whatever the account may
    #[arg(long, value_delimiter = ',', default_value = "*", value_name = "SCOPES")]
    scopes: Vec<String>,

    /// When it ends: in days, hours or minutes (90d, 12h, 30m), on a day (2027-01-31), or never
    #[arg(long, default_value = "365d", value_name = "WHEN")]
    expires: String,

    /// From where it may be used: an address or a network; by default from everywhere
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,
}

pub(super) async fn service_accounts(
    context: &Context,
    arguments: ServiceAccountsArgs,
) -> Result<(), Failure> {
    let ServiceAccountsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    let named = super::Named { client: &client, tenant };
    let find = async |account: &str| named.service_account(account).await;
    match command.unwrap_or(ServiceAccountsCommand::List) {
        ServiceAccountsCommand::List => list(context, &client, tenant).await?,
        ServiceAccountsCommand::Create { name } => {
            let made =
                changed(context, &proof, async |client| client.create_service_account(tenant, &name).await)
                    .await?;
            let text = format!("{} is {}. It may do nothing yet.", harmless(&made.name), made.id);
            context.output.result(&json!(made), || text);
        }
        ServiceAccountsCommand::Suspend { account } => {
            let id = find(&account).await?;
            let change =
                async |client: &Client| client.set_service_account_state(tenant, id, "suspended").await;
            changed(context, &proof, change).await?;
            context.output.result(&json!({ "suspended": id }), || format!("Suspended {id}."));
        }
        ServiceAccountsCommand::Resume { account } => {
            let id = find(&account).await?;
            let change = async |client: &Client| client.set_service_account_state(tenant, id, "live").await;
            changed(context, &proof, change).await?;
            context.output.result(&json!({ "resumed": id }), || format!("{id} is live again."));
        }
        ServiceAccountsCommand::Delete { account } => {
            let id = find(&account).await?;
            changed(context, &proof, async |client| client.delete_service_account(tenant, id).await).await?;
            context.output.result(&json!({ "deleted": id }), || format!("Deleted {id}."));
        }
        ServiceAccountsCommand::Keys { account } => {
            keys(context, &client, tenant, find(&account).await?).await?;
        }
        ServiceAccountsCommand::CreateKey(create) => {
            let id = find(&create.account).await?;
            create_key(context, &proof, tenant, id, create).await?;
        }
        ServiceAccountsCommand::RevokeKey { account, key } => {
            let id = find(&account).await?;
            changed(context, &proof, async |client| client.revoke_service_key(tenant, id, key).await).await?;
            context.output.result(&json!({ "revoked": key }), || format!("Revoked {key}."));
        }
    }
    Ok(())
}

async fn list(context: &Context, client: &Client, tenant: TenantId) -> Result<(), Failure> {
    let accounts = client.service_accounts(tenant).await?.service_accounts;
    context.output.result(&json!({ "service_accounts": accounts }), || {
        if accounts.is_empty() {
            return "No service accounts.".to_owned();
        }
        let mut rows = vec![["ID", "NAME", "STATE", "SINCE", "MADE BY"].map(str::to_owned).to_vec()];
        rows.extend(accounts.iter().map(|account| {
            vec![
                account.id.to_string(),
                harmless(&account.name),
                account.state.clone(),
                moment(account.created_at),
                harmless(&account.created_by),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

async fn keys(
    context: &Context,
    client: &Client,
    tenant: TenantId,
    account: ServiceAccountId,
) -> Result<(), Failure> {
    let keys = client.service_keys(tenant, account).await?.keys;
    context.output.result(&json!({ "keys": keys }), || {
        if keys.is_empty() {
            return "No keys.".to_owned();
        }
        let header = ["ID", "NAME", "EXPIRES", "LAST USED", "FROM", "SCOPES"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(keys.iter().map(|key| {
            let from = if key.networks.is_empty() { "everywhere".to_owned() } else { key.networks.join(" ") };
            vec![
                key.id.to_string(),
                harmless(&key.label),
                key.expires_at.map_or_else(|| "never".to_owned(), moment),
                key.last_used_at.map_or_else(|| "never".to_owned(), moment),
                harmless(&from),
                harmless(&key.scopes.join(" ")),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

async fn create_key(
    context: &Context,
    proof: &ProofArgs,
    tenant: TenantId,
    account: ServiceAccountId,
    arguments: CreateKeyArgs,
) -> Result<(), Failure> {
    let new = NewServiceKey {
        label: arguments.label,
        scopes: scopes(&arguments.scopes),
        networks: arguments.allow,
        expires_at: expires_at(&arguments.expires)?,
    };
    let made = changed(context, proof, async |client| client.create_service_key(tenant, account, &new).await)
        .await?;
    let mut document = serde_json::to_value(&made.listed).unwrap_or_else(|_| json!({}));
    if let Value::Object(fields) = &mut document {
        fields.insert("key".to_owned(), json!(made.key.expose()));
    }
    context.output.result(&document, || {
        format!(
            "{}\n\nThis is the key, shown once. Programs send it as `Authorization: Bearer`.",
            made.key.expose()
        )
    });
    Ok(())
}
