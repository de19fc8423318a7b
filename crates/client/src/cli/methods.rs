// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: listing, naming and revoking them; recovery keys.

use clap::{Args, Subcommand};
use protocol::MethodId;
use protocol::methods::Method;
use serde_json::{Value, json};

use super::context::Context;
use super::failure::Failure;
use super::interrupt;
use super::prompt::{self, ProofArgs};
use crate::client::Client;
use crate::client::account::AccountError;
use crate::client::federation::{Elsewhere, Through};
use crate::client::methods::MadeRecoveryKey;
use crate::client::signin::Unlocked;
use crate::output::{harmless, moment, table};

/// Arguments of `methods`.
#[derive(Args, Debug)]
pub struct MethodsArgs {
    #[command(subcommand)]
    command: Option<MethodsCommand>,
}

#[derive(Subcommand, Debug)]
enum MethodsCommand {
    /// List what lets you in
    List,
    /// Give a login method another name
    Rename {
        /// Its id, as listed
        method: MethodId,

        /// The name; empty for none
        label: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Let another identity provider sign you in too, after you signed in there: your address at work, a tenant (ten_…), or a
    /// provider that the server offers
    AddProvider {
        /// Which
        #[arg(value_name = "WHERE")]
        provider: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Revoke a login method: it lets nobody in any more, and the sessions that it opened end
    Revoke {
        /// Its id, as listed
        method: MethodId,

        #[command(flatten)]
        proof: ProofArgs,
    },
}

/// Arguments of `recovery-key`.
#[derive(Args, Debug)]
pub struct RecoveryKeyArgs {
    #[command(subcommand)]
    command: RecoveryKeyCommand,
}

#[derive(Subcommand, Debug)]
enum RecoveryKeyCommand {
    /// Make a recovery key, which is shown once: write it down. It lets its holder in alone
    Create {
        /// A name, to tell it from others
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Make a recovery key in the place of another, which lets nobody in from then on
    Replace {
        /// The old one's id, as `methods` lists it; not needed when there is only one
        method: Option<MethodId>,

        /// A name for the new one
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Revoke a recovery key
    Revoke {
        /// Its id, as `methods` lists it; not needed when there is only one
        method: Option<MethodId>,

        #[command(flatten)]
        proof: ProofArgs,
    },
}

pub(super) async fn methods(context: &mut Context, arguments: MethodsArgs) -> Result<(), Failure> {
    match arguments.command {
        None | Some(MethodsCommand::List) => list(context).await,
        Some(MethodsCommand::Rename { method, label, proof }) => {
            let account = context.account().await?;
            context
                .with_proof(&account, &proof, None, async || account.rename_method(method, &label).await)
                .await?;
            context.output.result(&json!({ "renamed": method, "label": label }), || {
                format!("Named {method} \"{}\".", harmless(&label))
            });
            Ok(())
        }
        Some(MethodsCommand::AddProvider { provider, proof }) => {
            let account = context.account().await?;
            let begin = async |through: &Through, redirect: String| {
                let begin = async || {
                    Ok(Elsewhere::start_link(&account.client, through, Some(redirect.clone())).await?)
                };
                context.with_proof::<Elsewhere>(&account, &proof, None, begin).await
            };
            super::elsewhere::link(context, &account, &provider, begin).await
        }
        Some(MethodsCommand::Revoke { method, proof }) => {
            let account = context.account().await?;
            revoke(context, &account, method, &proof).await
        }
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let account = context.account().await?;
    let methods = account.client.methods().await?.methods;
    // A server that shows a key of its own is told of before anything is sealed to it.
    let unknown: Vec<&Method> = methods.iter().filter(|method| account.vouched(method).is_err()).collect();
    let listed: Vec<Value> = methods.iter().map(|method| to_json(&account, method)).collect();
    context.output.result(&json!({ "methods": listed }), || {
        let mut rows = vec![
            ["METHOD", "KIND", "NAME", "OPENS YOUR DATA", "SINCE", "LAST USED"].map(str::to_owned).to_vec(),
        ];
        for method in &methods {
            rows.push(vec![
                method.id.to_string(),
                said(&method.kind).to_owned(),
                harmless(&method.label),
                match (&method.unlocking, account.vouched(method)) {
                    (None, _) => "no",
                    (Some(_), Ok(_)) => "yes",
                    (Some(_), Err(_)) => "NOT YOURS",
                }
                .to_owned(),
                moment(method.created_at),
                method.last_used_at.map(moment).unwrap_or_default(),
            ]);
        }
        table(&rows)
    });
    if unknown.is_empty() { Ok(()) } else { Err(AccountError::NotVouchedFor.into()) }
}

fn to_json(account: &Unlocked, method: &Method) -> Value {
    json!({
        "id": method.id,
        "kind": method.kind,
        "label": method.label,
        "created_at": method.created_at,
        "last_used_at": method.last_used_at,
        "unlocks": method.unlocking.is_some(),
        "vouched": account.vouched(method).is_ok(),
    })
}

fn said(kind: &str) -> &str {
    match kind {
        "recovery-key" => "recovery key",
        "api-key" => "API key",
        other => other,
    }
}

async fn revoke(
    context: &Context,
    account: &Unlocked,
    method: MethodId,
    proof: &ProofArgs,
) -> Result<(), Failure> {
    context.with_proof(account, proof, None, async || account.revoke_method(method).await).await?;
    // What was revoked may be what this device signed in with.
    let signed_out = is_over(&account.client).await;
    if signed_out {
        context.profile.forget()?;
    }
    context.output.result(&json!({ "revoked": method, "signed_out": signed_out }), || {
        let more = if signed_out { " This device signed in with it, and is signed out." } else { "" };
        format!("Revoked {method}.{more}")
    });
    Ok(())
}

async fn is_over(client: &Client) -> bool {
    client.account().await.is_err_and(|error| error.is(protocol::Code::SessionEnded))
}

pub(super) async fn recovery_key(context: &mut Context, arguments: RecoveryKeyArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    match arguments.command {
        RecoveryKeyCommand::Create { label, proof } => {
            let add = async || interrupt::held(account.add_recovery_key(&label)).await;
            let (made, _held) = context.with_proof(&account, &proof, None, add).await?;
            show(context, &made, json!({}));
        }
        RecoveryKeyCommand::Replace { method, label, proof } => {
            let old = the_one(&account, method).await?;
            let replace = async || interrupt::held(account.replace_recovery_key(old, &label)).await;
            let (made, _held) = context.with_proof(&account, &proof, None, replace).await?;
            show(context, &made, json!({ "replaced": old }));
        }
        RecoveryKeyCommand::Revoke { method, proof } => {
            let method = the_one(&account, method).await?;
            revoke(context, &account, method, &proof).await?;
        }
    }
    Ok(())
}

/// The recovery key that was named, or the only one.
async fn the_one(account: &Unlocked, named: Option<MethodId>) -> Result<MethodId, Failure> {
    if let Some(method) = named {
        return Ok(method);
    }
    let methods = account.client.methods().await?.methods;
    let mut keys = methods.iter().filter(|method| method.kind == "recovery-key");
    match (keys.next(), keys.next()) {
        (Some(only), None) => Ok(only.id),
        (None, _) => Err(Failure::failed("not_found", "this account has no recovery key")),
        (Some(_), Some(_)) => {
            Err(Failure::usage("this account has several recovery keys: say which, as `methods` lists them"))
        }
    }
}

fn show(context: &Context, made: &MadeRecoveryKey, mut document: Value) {
    if let Value::Object(fields) = &mut document {
        fields.insert("recovery_key".to_owned(), json!(made.key.as_str()));
        fields.insert("method".to_owned(), json!(made.method));
    }
    context.output.result(&document, || recovery_key_text(&made.key));
}

/// A recovery key for a person, who sees it once.
pub(super) fn recovery_key_text(key: &str) -> String {
    let groups: Vec<&str> = key.split('-').collect();
    let mut text = "Your recovery key. It lets its holder in alone, and is not shown again:\n\n".to_owned();
    for line in groups.chunks(5) {
        text.push_str(&format!("    {}\n", line.join("-")));
    }
    text.push_str(
        "\nWrite it down and keep it where you keep your papers. `bailiwick login --recovery-key` takes it,\nin either case, with or without dashes.\n",
    );
    text
}

/// A recovery key as typed, or what is wrong with the typing.
pub(super) fn parsed(typed: &str) -> Result<keyring::RecoveryKey, Failure> {
    keyring::RecoveryKey::parse(typed)
        .map_err(|error| Failure::failed("recovery_key_mistyped", error.to_string()))
}

/// A recovery key: a line of standard input, or asked for. A person who mistyped is asked again.
pub(super) fn ask_recovery_key(
    stdin: bool,
    output: crate::output::Output,
) -> Result<keyring::RecoveryKey, Failure> {
    loop {
        let typed =
            if stdin { prompt::line_of_stdin()? } else { prompt::password(false, "Recovery key: ", output)? };
        match parsed(&typed) {
            Err(failure) if !stdin => output.note(failure.message()),
            other => return other,
        }
    }
}
