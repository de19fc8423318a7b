// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answering applications that ask for consent, and taking consent back.

use clap::Args;
use protocol::oauth::{Asked, Authorization, ConsentRequest};
use protocol::{ClientId, Secret};
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::prompt::{self, ProofArgs};
use super::tenant::changed;
use crate::client::Client;
use crate::output::{harmless, moment, table};

/// Arguments of `authorize`.
#[derive(Args, Debug)]
#[command(after_help = "Show what an application asks for, and answer:
  bailiwick authorize 'https://bailiwick.example/#authorize=…'
  bailiwick authorize 'https://bailiwick.example/#device=ABCD-EFGH'
  bailiwick authorize --code ABCD-EFGH")]
pub struct AuthorizeArgs {
    /// The link that the application's browser was sent to, or that a device shows
    #[arg(conflicts_with_all = ["code", "list", "revoke"])]
    link: Option<String>,

    /// The code that a device shows
    #[arg(long, value_name = "CODE", conflicts_with_all = ["list", "revoke"])]
    code: Option<String>,

    /// Allow it without asking
    #[arg(long, conflicts_with = "deny")]
    yes: bool,

    /// Refuse it
    #[arg(long)]
    deny: bool,

    /// List what applications were allowed
    #[arg(long, conflicts_with = "revoke")]
    list: bool,

    /// Take back what an application was allowed: its id (cli_…) or its name. Its tokens end at once
    #[arg(long, value_name = "APPLICATION")]
    revoke: Option<String>,

    #[command(flatten)]
    proof: ProofArgs,
}

pub(super) async fn authorize(context: &Context, arguments: AuthorizeArgs) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    if arguments.list {
        return list(context, &client).await;
    }
    if let Some(application) = &arguments.revoke {
        return revoke(context, &client, application).await;
    }
    let asked = asked(&arguments)?;
    let request = client.consent_request(&asked).await?;
    if arguments.deny {
        let answered = client.deny_consent(&asked).await?;
        let redirect = answered.redirect.as_ref().map(Secret::expose);
        context.output.result(&json!({ "allowed": false, "redirect": redirect }), || {
            let go_on = redirect.map_or_else(String::new, |url| format!(" Go on in the browser:\n\n{url}"));
            format!("Refused.{go_on}")
        });
        return Ok(());
    }
    if !arguments.yes {
        context.output.note(&shown(&request));
        if !prompt::confirm(context.output, "Allow it?", "--yes or --deny")? {
            return Ok(());
        }
    }
    let answered =
        changed(context, &arguments.proof, async |client| client.approve_consent(&asked).await).await?;
    let redirect = answered.redirect.as_ref().map(Secret::expose);
    let document = json!({ "allowed": true, "request": request, "redirect": redirect });
    context.output.result(&document, || match redirect {
        Some(url) => format!("Allowed. Go on in the browser that the application opened, at once:\n\n{url}"),
        None => "Allowed. The device goes on by itself.".to_owned(),
    });
    Ok(())
}

/// What follows a mark in a link.
fn after<'a>(link: &'a str, mark: &str) -> Option<&'a str> {
    link.split_once(mark).map(|(_, rest)| rest)
}

fn asked(arguments: &AuthorizeArgs) -> Result<Asked, Failure> {
    // The link as it stands in the browser, or what stands in it alone.
    let request = arguments.link.as_deref();
    let request =
        request.map(|link| after(link, "#authorize=").or_else(|| after(link, "#silent=")).unwrap_or(link));
    if request.is_none() && arguments.code.is_none() {
        return Err(Failure::usage(
            "give the link that the application opened, or --code, --list or --revoke",
        ));
    }
    let secret = |text: &str| Secret::from(text.trim().to_owned());
    // A device's link has its code in it.
    let of_device = arguments.link.as_deref().and_then(|link| after(link, "#device="));
    match of_device.or(arguments.code.as_deref()) {
        Some(code) => Ok(Asked { request: None, code: Some(secret(code)) }),
        None => Ok(Asked { request: request.map(secret), code: None }),
    }
}

fn shown(request: &ConsentRequest) -> String {
    let mut rows = vec![
        ("application", harmless(&request.client_name)),
        ("of", format!("{} ({})", harmless(&request.tenant_name), request.tenant)),
        ("asks for", harmless(&request.scopes.join(" "))),
        ("tokens are for", harmless(&request.resource)),
    ];
    if request.new_scopes.is_empty() {
        rows.push(("allowed before", "yes".to_owned()));
    }
    if let Some(host) = &request.redirect_host {
        rows.push(("goes back to", harmless(host)));
    }
    if let Some(network) = &request.network {
        rows.push(("asked from", harmless(network)));
    }
    table(&rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}

async fn list(context: &Context, client: &Client) -> Result<(), Failure> {
    let all = client.authorizations().await?.authorizations;
    context.output.result(&json!({ "authorizations": all }), || {
        if all.is_empty() {
            return "No application was allowed anything.".to_owned();
        }
        let mut rows = vec![["ID", "NAME", "TENANT", "SINCE", "SCOPES"].map(str::to_owned).to_vec()];
        rows.extend(all.iter().map(|one| {
            vec![
                one.client.to_string(),
                harmless(&one.client_name),
                one.tenant.to_string(),
                moment(one.given_at),
                harmless(&one.scopes.join(" ")),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

async fn revoke(context: &Context, client: &Client, application: &str) -> Result<(), Failure> {
    let all = client.authorizations().await?.authorizations;
    let id = application.parse::<ClientId>().ok();
    let is_meant = |one: &&Authorization| Some(one.client) == id || one.client_name == application;
    let found: Vec<_> = all.iter().filter(is_meant).collect();
    let one = match found.as_slice() {
        [only] => only,
        [] => {
            let text = format!("no application {application:?} was allowed anything");
            return Err(Failure::failed("not_found", text));
        }
        _ => return Err(Failure::usage(format!("{application:?} are several applications: give the id"))),
    };
    client.revoke_authorization(one.tenant, one.client).await?;
    context.output.result(&json!({ "revoked": one.client }), || {
        format!("{} may nothing any more; its tokens have ended.", harmless(&one.client_name))
    });
    Ok(())
}
