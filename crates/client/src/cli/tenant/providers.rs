// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other identity providers by which a tenant's people come in, and the domains that the tenant has proved.

use clap::{Args, Subcommand};
use protocol::federation::{Domain, GivenRole, NewProvider, Provider, ProviderChange};
use protocol::tenants::grants::PlaceId;
use protocol::{OrganisationId, ProviderId, Secret, TenantId};
use serde_json::json;

use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::{self, ProofArgs};
use crate::client::{Client, RequestError};
use crate::output::{harmless, moment, table};

/// Arguments of `tenant providers`.
#[derive(Args, Debug)]
#[command(
    after_help = "Okta, with people of the proved domain acme.example as members, and its group \"it\" as administrators:
  bailiwick tenant providers create Okta --preset okta --issuer https://acme.okta.com --client-id 0oa… --secret-stdin \\
    --joins --gives viewer --gives it=admin"
)]
pub(super) struct ProvidersArgs {
    #[command(flatten)]
    which: Which,

    /// The platform's own providers instead of a tenant's, as its administrator
    #[arg(long, global = true, conflicts_with = "tenant")]
    platform: bool,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<ProvidersCommand>,
}

#[derive(Subcommand, Debug)]
enum ProvidersCommand {
    /// List the providers
    List,
    /// Set a provider up
    Create(CreateArgs),
    /// Show a provider
    Show {
        /// The provider: its id (pvd_…) or its name
        provider: String,
    },
    /// Change a provider; what is not said stays
    Change(ChangeArgs),
    /// Ask a provider for its metadata and keys, now
    Test {
        /// The provider
        provider: String,
    },
    /// Take a provider away: nobody comes in by it any more
    Delete {
        /// The provider
        provider: String,
    },
    /// Let members in by the tenant's own providers only. Owners always come in by any way
    Require,
    /// Let members in by any way again
    DoNotRequire,
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// What people see
    name: String,

    /// What is known of it: generic, google, entra, okta
    #[arg(long, default_value = "generic")]
    preset: String,

    /// Its issuer, letter by letter as its metadata say it; Google's is known
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,

    /// The name of this server at it
    #[arg(long)]
    client_id: String,

    /// Read the secret of this server at it from standard input, one line
    #[arg(long)]
    secret_stdin: bool,

    #[command(flatten)]
    terms: TermsArgs,
}

#[derive(Args, Debug)]
struct ChangeArgs {
    /// The provider: its id (pvd_…) or its name
    provider: String,

    /// What people see
    #[arg(long)]
    name: Option<String>,

    /// The name of this server at it
    #[arg(long)]
    client_id: Option<String>,

    /// Read another secret of this server at it from standard input, one line
    #[arg(long)]
    secret_stdin: bool,

    /// Let people in by it again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,

    /// Let nobody in by it
    #[arg(long)]
    disable: bool,

    /// Let no more people become members by it
    #[arg(long, conflicts_with = "joins")]
    no_joins: bool,

    #[command(flatten)]
    terms: TermsArgs,
}

#[derive(Args, Debug)]
struct TermsArgs {
    /// What is asked for beside openid, with commas between
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Option<Vec<String>>,

    /// The claim in which it names groups
    #[arg(long, value_name = "CLAIM")]
    groups_claim: Option<String>,

    /// Its addresses are right although it does not say that it verified them: it has only people of yours
    #[arg(long)]
    trusts_addresses: bool,

    /// People of the tenant's proved domains become members by coming in
    #[arg(long)]
    joins: bool,

    /// A role that people get: ROLE for everybody, GROUP=ROLE for who is in a group there; with @ORGANISATION (org_…) for a part of
    /// the tenant. May be repeated
    #[arg(long, value_name = "[GROUP=]ROLE[@ORGANISATION]")]
    gives: Vec<String>,
}

/// Arguments of `tenant domains`.
#[derive(Args, Debug)]
pub(super) struct DomainsArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<DomainsCommand>,
}

#[derive(Subcommand, Debug)]
enum DomainsCommand {
    /// List the domains, with what proves each
    List,
    /// Note a domain, and see which TXT record proves that it is the tenant's
    Add {
        /// The domain, such as example.org
        domain: String,
    },
    /// Have the server look for the record
    Verify {
        /// The domain
        domain: String,
    },
    /// Take a domain away from the tenant
    Remove {
        /// The domain
        domain: String,
    },
    /// Say, as an administrator of the platform, that a domain is the tenant's that asked for it
    Confirm {
        /// The domain
        domain: String,
    },
}

pub(super) async fn providers(context: &Context, arguments: ProvidersArgs) -> Result<(), Failure> {
    let ProvidersArgs { which, platform, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = if platform { None } else { Some(which.find(context).await?) };
    match command.unwrap_or(ProvidersCommand::List) {
        ProvidersCommand::List => list(context, &client, tenant).await?,
        ProvidersCommand::Create(create) => {
            let new = create.into_new(tenant)?;
            let create = async |client: &Client| client.create_provider(tenant, &new).await;
            let made = changed(context, &proof, create).await?;
            context.output.result(&json!(made), || {
                format!(
                    "{}\n\nRegister this redirect URI at {}:\n\n  {}",
                    shown(&made),
                    harmless(&made.name),
                    made.callback
                )
            });
        }
        ProvidersCommand::Show { provider } => {
            let found = find(&client, tenant, &provider).await?;
            context.output.result(&json!(found), || shown(&found));
        }
        ProvidersCommand::Change(arguments) => {
            let id = find(&client, tenant, &arguments.provider).await?.id;
            let change = arguments.into_change(tenant)?;
            let change = async |client: &Client| client.change_provider(tenant, id, &change).await;
            let after = changed(context, &proof, change).await?;
            context.output.result(&json!(after), || shown(&after));
        }
        ProvidersCommand::Test { provider } => {
            let of = in_tenant(tenant)?;
            let found = find(&client, tenant, &provider).await?;
            changed(context, &proof, async |client| client.test_provider(of, found.id).await).await?;
            context.output.result(&json!({ "provider": found.id, "answers": true }), || {
                format!("{} answers, and its keys can be read.", harmless(&found.name))
            });
        }
        ProvidersCommand::Delete { provider } => {
            let id = find(&client, tenant, &provider).await?.id;
            changed(context, &proof, async |client| client.delete_provider(tenant, id).await).await?;
            context
                .output
                .result(&json!({ "deleted": id }), || format!("Deleted {id}; nobody comes in by it."));
        }
        ProvidersCommand::Require => require(context, &proof, in_tenant(tenant)?, true).await?,
        ProvidersCommand::DoNotRequire => require(context, &proof, in_tenant(tenant)?, false).await?,
    }
    Ok(())
}

async fn require(
    context: &Context,
    proof: &ProofArgs,
    tenant: TenantId,
    required: bool,
) -> Result<(), Failure> {
    changed(context, proof, async |client| client.require_provider(tenant, required).await).await?;
    context.output.result(&json!({ "required": required }), || {
        match required {
            true => "Members come in by the tenant's providers only; owners by any way.",
            false => "Members come in by any way.",
        }
        .to_owned()
    });
    Ok(())
}

pub(super) async fn domains(context: &Context, arguments: DomainsArgs) -> Result<(), Failure> {
    let DomainsArgs { which, proof, command } = arguments;
    let (client, _) = context.client()?;
    let tenant = which.find(context).await?;
    match command.unwrap_or(DomainsCommand::List) {
        DomainsCommand::List => {
            let domains = client.domains(tenant).await?.domains;
            context.output.result(&json!({ "domains": domains }), || {
                if domains.is_empty() {
                    return "No domains.".to_owned();
                }
                let mut rows = vec![["DOMAIN", "PROVED", "TXT RECORD", "SAYS"].map(str::to_owned).to_vec()];
                rows.extend(domains.iter().map(row));
                table(&rows)
            });
        }
        DomainsCommand::Add { domain } => {
            let added =
                changed(context, &proof, async |client| client.add_domain(tenant, &domain).await).await?;
            context.output.result(&json!(added), || {
                format!(
                    "Write this TXT record into the domain's zone, then `bailiwick tenant domains verify {}`:\n\n  {}  TXT  \"{}\"",
                    harmless(&added.name),
                    harmless(&added.record),
                    harmless(&added.proof)
                )
            });
        }
        DomainsCommand::Verify { domain } => {
            let verify = async |client: &Client| client.verify_domain(tenant, &domain).await;
            let verified = changed(context, &proof, verify).await?;
            context
                .output
                .result(&json!(verified), || format!("{} is the tenant's.", harmless(&verified.name)));
        }
        DomainsCommand::Remove { domain } => {
            changed(context, &proof, async |client| client.remove_domain(tenant, &domain).await).await?;
            context
                .output
                .result(&json!({ "removed": domain }), || format!("Removed {}.", harmless(&domain)));
        }
        DomainsCommand::Confirm { domain } => {
            changed(context, &proof, async |client| client.confirm_domain(tenant, &domain).await).await?;
            context.output.result(&json!({ "confirmed": domain }), || {
                format!("{} is the tenant's.", harmless(&domain))
            });
        }
    }
    Ok(())
}

impl CreateArgs {
    fn into_new(self, tenant: Option<TenantId>) -> Result<NewProvider, Failure> {
        let TermsArgs { scopes, groups_claim, trusts_addresses, joins, gives } = self.terms;
        Ok(NewProvider {
            name: self.name,
            preset: Some(self.preset),
            issuer: self.issuer,
            client_id: self.client_id,
            client_secret: secret(self.secret_stdin)?,
            scopes,
            groups_claim,
            trusts_addresses,
            joins,
            gives: given(&gives, tenant)?,
        })
    }
}

impl ChangeArgs {
    fn into_change(self, tenant: Option<TenantId>) -> Result<ProviderChange, Failure> {
        let TermsArgs { scopes, groups_claim, trusts_addresses, joins, gives } = self.terms;
        let yes = |said: bool| said.then_some(true);
        Ok(ProviderChange {
            name: self.name,
            client_id: self.client_id,
            client_secret: secret(self.secret_stdin)?,
            scopes,
            groups_claim,
            trusts_addresses: yes(trusts_addresses),
            joins: yes(joins).or(self.no_joins.then_some(false)),
            gives: if gives.is_empty() { None } else { Some(given(&gives, tenant)?) },
            enabled: yes(self.enable).or(self.disable.then_some(false)),
        })
    }
}

fn secret(stdin: bool) -> Result<Option<Secret>, Failure> {
    if !stdin {
        return Ok(None);
    }
    Ok(Some(Secret::from(prompt::line_of_stdin()?.trim().to_owned())))
}

/// The roles that are given, as they are typed: `viewer`, `it=admin`, `it=manager@org_…`.
fn given(texts: &[String], tenant: Option<TenantId>) -> Result<Vec<GivenRole>, Failure> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let whole = OrganisationId::from_uuid(in_tenant(tenant)?.uuid());
    let one = |text: &String| {
        // A group may have any name: what stands after the last sign is the role.
        let (group, role) = match text.rsplit_once('=') {
            Some((group, role)) => (Some(group.to_owned()), role),
            None => (None, text.as_str()),
        };
        let (role, place) = match role.split_once('@') {
            Some((role, place)) => {
                let place = place.parse().map_err(|_| {
                    Failure::usage(format!("{place:?} is no organisation: give its id (org_…)"))
                })?;
                (role, place)
            }
            None => (role, whole),
        };
        Ok(GivenRole { group, role: role.to_owned(), place: PlaceId::Organisation(place), by: None })
    };
    texts.iter().map(one).collect()
}

fn in_tenant(tenant: Option<TenantId>) -> Result<TenantId, Failure> {
    tenant.ok_or_else(|| Failure::usage("this is for a tenant's providers, not for the platform's"))
}

async fn list(context: &Context, client: &Client, tenant: Option<TenantId>) -> Result<(), Failure> {
    let all = client.providers(tenant).await?;
    let document = json!({ "providers": all.providers, "required_since": all.required_since });
    context.output.result(&document, || {
        if all.providers.is_empty() {
            return "No providers.".to_owned();
        }
        let mut rows =
            vec![["ID", "NAME", "ISSUER", "LETS IN", "JOINS", "SINCE"].map(str::to_owned).to_vec()];
        rows.extend(all.providers.iter().map(|provider| {
            vec![
                provider.id.to_string(),
                harmless(&provider.name),
                harmless(&provider.issuer),
                word(provider.enabled).to_owned(),
                word(provider.joins).to_owned(),
                moment(provider.created_at),
            ]
        }));
        let mut text = table(&rows);
        if let Some(since) = all.required_since {
            text.push_str(&format!("\nSince {} members come in by these only.", moment(since)));
        }
        text
    });
    Ok(())
}

fn shown(provider: &Provider) -> String {
    let given = |given: &GivenRole| {
        let group = given.group.as_ref().map_or_else(String::new, |group| format!("{}=", harmless(group)));
        format!("{group}{}@{}", harmless(&given.role), given.place)
    };
    let rows = [
        ("id", provider.id.to_string()),
        ("name", harmless(&provider.name)),
        ("preset", provider.preset.clone()),
        ("issuer", harmless(&provider.issuer)),
        ("client_id", harmless(&provider.client_id)),
        ("has a secret", word(provider.has_secret).to_owned()),
        ("redirect URI", provider.callback.clone()),
        ("scopes", harmless(&provider.scopes.join(" "))),
        ("groups in", provider.groups_claim.as_deref().map(harmless).unwrap_or_default()),
        (
            "addresses",
            if provider.trusts_addresses { "as it gives them" } else { "as it verified them" }.to_owned(),
        ),
        ("joins", word(provider.joins).to_owned()),
        ("gives", provider.gives.iter().map(given).collect::<Vec<_>>().join(" ")),
        ("lets in", word(provider.enabled).to_owned()),
        ("since", moment(provider.created_at)),
        ("made by", harmless(&provider.created_by)),
    ];
    let said = rows.into_iter().filter(|(_, value)| !value.is_empty());
    table(&said.map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}

fn row(domain: &Domain) -> Vec<String> {
    vec![
        harmless(&domain.name),
        domain.verified_at.map_or_else(|| "no".to_owned(), moment),
        harmless(&domain.record),
        harmless(&domain.proof),
    ]
}

fn word(said: bool) -> &'static str {
    if said { "yes" } else { "no" }
}

/// The provider of this id or name.
async fn find(client: &Client, tenant: Option<TenantId>, text: &str) -> Result<Provider, Failure> {
    let id = text.parse::<ProviderId>().ok();
    let all: Result<_, RequestError> = client.providers(tenant).await;
    let is_meant = |one: &Provider| Some(one.id) == id || one.name == text;
    let mut found: Vec<Provider> = all?.providers.into_iter().filter(is_meant).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Failure::failed("not_found", format!("there is no provider {text:?}"))),
        (Some(_), false) => Err(Failure::usage(format!("{text:?} are several providers: give the id"))),
    }
}
