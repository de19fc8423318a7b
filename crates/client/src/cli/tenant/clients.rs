// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Applications of a tenant that get tokens: OAuth clients.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use protocol::oauth::{Client as Application, ClientChange, NewClient};
use protocol::{ClientId, ServiceAccountId, TenantId};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::ProofArgs;
use crate::client::Client;
use crate::files::disk;
use crate::output::{harmless, moment, table};

/// Arguments of `tenant clients`.
#[derive(Args, Debug)]
pub(super) struct ClientsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<ClientsCommand>,
}

#[derive(Subcommand, Debug)]
enum ClientsCommand {
    /// List the clients
    List,
    /// Make a client. Its secret is shown once
    Create(CreateArgs),
    /// Change what a client may ask for; what is not named stays
    Change(ChangeArgs),
    /// Show a client
    Show {
        /// The client: its id (cli_…) or its name
        client: String,
    },
    /// Give a client another secret; the one before is worth nothing from then on
    RotateSecret {
        /// The client
        client: String,
    },
    /// Give a client another key for its access tokens (HS256)
    RotateTokenKey {
        /// The client
        client: String,
    },
    /// Delete a client; its tokens end at once
    Delete {
        /// The client
        client: String,
    },
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// What people see when they are asked for their consent
    name: String,

    /// It cannot keep a secret: a page in a browser, a program on somebody's computer
    #[arg(long, conflicts_with = "jwks")]
    public: bool,

    /// It proves itself by signatures; the file with its public keys (a JWK set)
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,

    /// By which ways it gets tokens: authorization_code, refresh_token, client_credentials, device_code, token_exchange,
    /// password (for old clients, where the tenant allows plain passwords)
    #[arg(long, value_delimiter = ',', value_name = "GRANTS")]
    grants: Vec<String>,

    /// Where browsers are sent back to, letter by letter. May be repeated
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,

    /// Where browsers are sent after signing out. May be repeated
    #[arg(long, value_name = "URI")]
    post_logout_redirect_uri: Vec<String>,

    /// Where it is told that somebody is signed out of it (OpenID Connect Back-Channel Logout)
    #[arg(long, value_name = "URI")]
    backchannel_logout_uri: Option<String>,

    /// The scopes that it may ask for, with commas between them
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Vec<String>,

    /// A resource that it may ask tokens for, the first by default. May be repeated
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,

    /// A resource that it is itself: it may introspect tokens for that. May be repeated
    #[arg(long, value_name = "URI")]
    serves: Vec<String>,

    /// The service account that it speaks for by itself, by its id (sva_…) or its name, for client_credentials
    #[arg(long, value_name = "ACCOUNT")]
    service_account: Option<String>,

    /// It gets only tokens that are bound to a key of its own (DPoP)
    #[arg(long)]
    dpop: bool,

    /// By what its tokens are signed: EdDSA; ES256 for libraries that do not know that; HS256, with a key of its own, for its
    /// resources alone
    #[arg(long, value_name = "ALG", default_value = "EdDSA")]
    signing_alg: String,
}

#[derive(Args, Debug)]
struct ChangeArgs {
    /// The client: its id (cli_…) or its name
    client: String,

    /// Another name
    #[arg(long)]
    name: Option<String>,

    /// Where browsers are sent back to, in place of all before. May be repeated
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<Vec<String>>,

    /// Where browsers are sent after signing out, in place of all before. May be repeated
    #[arg(long, value_name = "URI")]
    post_logout_redirect_uri: Option<Vec<String>>,

    /// Where it is told that somebody is signed out of it; nowhere, when empty
    #[arg(long, value_name = "URI")]
    backchannel_logout_uri: Option<String>,

    /// The scopes that it may ask for; tokens with others are worth nothing from then on
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Option<Vec<String>>,

    /// The resources that it may ask tokens for. May be repeated
    #[arg(long, value_name = "URI")]
    resource: Option<Vec<String>>,

    /// The resources that it is itself. May be repeated
    #[arg(long, value_name = "URI")]
    serves: Option<Vec<String>>,

    /// Whether it gets only tokens that are bound to a key of its own (DPoP)
    #[arg(long, value_name = "BOOL")]
    dpop: Option<bool>,

    /// By what its access tokens are signed: EdDSA, ES256 or HS256
    #[arg(long, value_name = "ALG")]
    signing_alg: Option<String>,

    /// The file with its public keys (a JWK set)
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

pub(super) async fn clients(context: &Context, arguments: ClientsArgs) -> Result<(), Failure> {
    let ClientsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    match command.unwrap_or(ClientsCommand::List) {
        ClientsCommand::List => list(context, &client, tenant).await?,
        ClientsCommand::Create(create) => {
            let named = super::Named { client: &client, tenant };
            let service_account = match &create.service_account {
                Some(account) => Some(named.service_account(account).await?),
                None => None,
            };
            let new = create.into_new(service_account)?;
            let made =
                changed(context, &proof, async |client| client.create_client(tenant, &new).await).await?;
            warn_of_unknown(context, &client, tenant, &new.scopes).await;
            let mut document = json!(made.client);
            let secrets = [("client_secret", &made.client_secret), ("token_key", &made.token_key)];
            let mut rows = vec![vec!["client_id".to_owned(), made.client.client_id.clone()]];
            for (name, secret) in secrets {
                if let (Some(fields), Some(secret)) = (document.as_object_mut(), secret) {
                    fields.insert(name.to_owned(), json!(secret.expose()));
                    rows.push(vec![name.to_owned(), secret.expose().to_owned()]);
                }
            }
            context.output.result(&document, || match rows.len() {
                1 => table(&rows),
                _ => format!("{}\nWhat is secret of this is shown this once.", table(&rows)),
            });
        }
        ClientsCommand::Change(arguments) => {
            let id = find(&client, tenant, &arguments.client).await?;
            let has_scopes = arguments.scopes.is_some();
            let change = arguments.into_change()?;
            let change = async |client: &Client| client.change_client(tenant, id, &change).await;
            let after = changed(context, &proof, change).await?;
            if has_scopes {
                warn_of_unknown(context, &client, tenant, &after.scopes).await;
            }
            context.output.result(&json!(after), || shown(&after));
        }
        ClientsCommand::Show { client: named } => {
            let found = client.client_of(tenant, find(&client, tenant, &named).await?).await?;
            context.output.result(&json!(found), || shown(&found));
        }
        ClientsCommand::RotateSecret { client: named } => {
            let id = find(&client, tenant, &named).await?;
            let rotate = async |client: &Client| client.rotate_client_secret(tenant, id).await;
            let secret = changed(context, &proof, rotate).await?.client_secret;
            context.output.result(&json!({ "client": id, "client_secret": secret.expose() }), || {
                format!("{}\n\nThis is the new secret, shown this once.", secret.expose())
            });
        }
        ClientsCommand::RotateTokenKey { client: named } => {
            let id = find(&client, tenant, &named).await?;
            let rotate = async |client: &Client| client.rotate_client_token_key(tenant, id).await;
            let key = changed(context, &proof, rotate).await?.token_key;
            context.output.result(&json!({ "client": id, "token_key": key.expose() }), || {
                format!("{}\n\nThis is the new key, shown this once.", key.expose())
            });
        }
        ClientsCommand::Delete { client: named } => {
            let id = find(&client, tenant, &named).await?;
            changed(context, &proof, async |client| client.delete_client(tenant, id).await).await?;
            context
                .output
                .result(&json!({ "deleted": id }), || format!("Deleted {id}; its tokens have ended."));
        }
    }
    Ok(())
}

impl CreateArgs {
    fn into_new(self, service_account: Option<ServiceAccountId>) -> Result<NewClient, Failure> {
        let jwks = self.jwks.as_deref().map(key_set).transpose()?;
        let authentication = match (self.public, &jwks) {
            (true, _) => "public",
            (false, Some(_)) => "private_key_jwt",
            (false, None) => "secret",
        };
        Ok(NewClient {
            name: self.name,
            authentication: authentication.to_owned(),
            grants: self.grants,
            redirect_uris: self.redirect_uri,
            post_logout_redirect_uris: self.post_logout_redirect_uri,
            backchannel_logout_uri: self.backchannel_logout_uri,
            scopes: self.scopes,
            resources: self.resource,
            serves: self.serves,
            service_account,
            dpop_bound_access_tokens: self.dpop,
            token_signing_alg: Some(self.signing_alg),
            jwks,
        })
    }
}

async fn list(context: &Context, client: &Client, tenant: TenantId) -> Result<(), Failure> {
    let clients = client.clients(tenant).await?.clients;
    context.output.result(&json!({ "clients": clients }), || {
        if clients.is_empty() {
            return "No clients.".to_owned();
        }
        let mut rows = vec![["ID", "NAME", "PROVES ITSELF", "SINCE", "GRANTS"].map(str::to_owned).to_vec()];
        rows.extend(clients.iter().map(|client| {
            vec![
                client.id.to_string(),
                harmless(&client.name),
                client.authentication.clone(),
                moment(client.created_at),
                client.grants.iter().map(|grant| short(grant)).collect::<Vec<_>>().join(" "),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

fn shown(client: &Application) -> String {
    let lines = |texts: &[String]| harmless(&texts.join(" "));
    let service_account = client.service_account.map_or_else(String::new, |account| account.to_string());
    let rows = [
        ("id", client.id.to_string()),
        ("client_id", client.client_id.clone()),
        ("name", harmless(&client.name)),
        ("proves itself", client.authentication.clone()),
        ("grants", client.grants.iter().map(|grant| short(grant)).collect::<Vec<_>>().join(" ")),
        ("redirect URIs", lines(&client.redirect_uris)),
        ("after signing out", lines(&client.post_logout_redirect_uris)),
        ("told of sign-outs at", harmless(client.backchannel_logout_uri.as_deref().unwrap_or_default())),
        ("scopes", lines(&client.scopes)),
        ("resources", lines(&client.resources)),
        ("serves", lines(&client.serves)),
        ("service account", service_account),
        ("bound tokens only", if client.dpop_bound_access_tokens { "yes".to_owned() } else { String::new() }),
        ("signed by", harmless(&client.token_signing_alg)),
        ("since", moment(client.created_at)),
        ("made by", harmless(&client.created_by)),
    ];
    let said = rows.into_iter().filter(|(_, value)| !value.is_empty());
    table(&said.map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}

impl ChangeArgs {
    fn into_change(self) -> Result<ClientChange, Failure> {
        Ok(ClientChange {
            name: self.name,
            redirect_uris: self.redirect_uri,
            post_logout_redirect_uris: self.post_logout_redirect_uri,
            backchannel_logout_uri: self.backchannel_logout_uri,
            scopes: self.scopes,
            resources: self.resource,
            serves: self.serves,
            dpop_bound_access_tokens: self.dpop,
            token_signing_alg: self.signing_alg,
            jwks: self.jwks.as_deref().map(key_set).transpose()?,
        })
    }
}

/// Warns of scopes that this server does not know: they may be those of the tenant's own services, or mistyped.
async fn warn_of_unknown(context: &Context, client: &Client, tenant: TenantId, scopes: &[String]) {
    if context.output.is_json() {
        return;
    }
    // Whoever may not see the roles is not warned.
    let Ok(roles) = client.roles(tenant).await else { return };
    let actions: HashSet<&str> =
        roles.roles.iter().flat_map(|role| role.actions.iter().map(String::as_str)).collect();
    let is_known = |scope: &str| STANDARD_SCOPES.contains(&scope) || actions.contains(scope);
    let unknown: Vec<String> =
        scopes.iter().filter(|scope| !is_known(scope.as_str())).map(|scope| harmless(scope)).collect();
    if !unknown.is_empty() {
        context.output.warn(&format!(
            "at this server these scopes open nothing, and what they mean your own services say: {}",
            unknown.join(", ")
        ));
    }
}

/// The key set in a file.
fn key_set(path: &Path) -> Result<serde_json::Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::failed("file", format!("{} cannot be read: {}", path.display(), disk::said(&error)))
    })?;
    let set = serde_json::from_str(&text);
    set.map_err(|error| Failure::usage(format!("{} is no JSON: {error}", path.display())))
}

/// A grant's name without what is before the last colon.
fn short(grant: &str) -> &str {
    grant.rsplit(':').next().unwrap_or(grant)
}

/// The client of this id or name.
async fn find(client: &Client, tenant: TenantId, text: &str) -> Result<ClientId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.clients(tenant).await?.clients;
    let named: Vec<_> = all.into_iter().filter(|one| one.name == text).map(|one| one.id).collect();
    match named.as_slice() {
        [only] => Ok(*only),
        [] => Err(Failure::failed("not_found", format!("there is no client {text:?}"))),
        _ => Err(Failure::usage(format!("{text:?} are several clients: give the id"))),
    }
}

/// Scopes of OpenID Connect, which are no actions.
const STANDARD_SCOPES: [&str; 3] = ["openid", "profile", "offline_access"];
