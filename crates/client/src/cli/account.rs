// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changing the account: password, master key, backup codes, authenticator app; and access tokens.

use clap::{Args, Subcommand};
use data_encoding::BASE64URL_NOPAD;
use protocol::Code;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::context::Context;
use super::failure::Failure;
use super::interrupt;
use super::methods::ask_recovery_key;
use super::prompt::{self, ProofArgs};
use super::sharing;
use super::signup::{codes_text, totp_text};
use crate::keychain::KeyPlace;
use crate::pins::Newer;

/// Arguments of `password`.
#[derive(Args, Debug)]
pub struct PasswordArgs {
    #[command(subcommand)]
    command: Option<PasswordCommand>,

    /// Set a new password without the old one: after `login --recovery-key`, or with a passkey. With --password-stdin, the
    /// new one on a line
    #[arg(long)]
    forgotten: bool,

    #[command(flatten)]
    proof: ProofArgs,
}

#[derive(Subcommand, Debug)]
enum PasswordCommand {
    /// Change the password: with --password-stdin, the old one on the first line and the new one on the second
    Change {
        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Make a new master key, and seal with it everything that stood on the old one
    RotateKey {
        #[command(flatten)]
        proof: ProofArgs,
    },
}

/// Arguments of `codes`.
#[derive(Args, Debug)]
pub struct CodesArgs {
    #[command(subcommand)]
    command: Option<CodesCommand>,

    /// Replace the codes without asking once more
    #[arg(long, global = true)]
    yes: bool,

    #[command(flatten)]
    proof: ProofArgs,
}

#[derive(Subcommand, Debug)]
enum CodesCommand {
    /// The same, said in full
    Regenerate {
        #[command(flatten)]
        proof: ProofArgs,
    },
}

/// Arguments of `totp`.
#[derive(Args, Debug)]
pub struct TotpArgs {
    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<TotpCommand>,
}

#[derive(Subcommand, Debug)]
enum TotpCommand {
    /// Begin: prints the new secret and a state for `totp finish`
    Start {
        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Finish: with the state of `totp start` and a code of the new secret
    Finish {
        /// What `totp start` printed as `state`
        #[arg(long)]
        state: String,

        /// A code of the new secret
        #[arg(long, value_name = "DIGITS")]
        code: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
}

/// Arguments of `delete-account`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Delete without asking once more
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    proof: ProofArgs,
}

/// Arguments of `token`.
#[derive(Args, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Option<TokenCommand>,
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    /// Show what is in an access token. Says nothing about whether it is genuine
    Decode {
        /// The token; from standard input when absent
        token: Option<String>,
    },
}

pub(super) async fn password(context: &mut Context, arguments: PasswordArgs) -> Result<(), Failure> {
    match arguments.command {
        Some(PasswordCommand::RotateKey { proof }) => {
            rotate_key(context, &merged(proof, arguments.proof)).await
        }
        Some(PasswordCommand::Change { proof }) => {
            change_password(context, &merged(proof, arguments.proof)).await
        }
        None if arguments.forgotten => set_password(context, &arguments.proof).await,
        None => change_password(context, &arguments.proof).await,
    }
}

/// Options may stand before or behind the word of the subcommand.
fn merged(inner: ProofArgs, outer: ProofArgs) -> ProofArgs {
    ProofArgs {
        password_stdin: inner.password_stdin || outer.password_stdin,
        recovery_key_stdin: inner.recovery_key_stdin || outer.recovery_key_stdin,
        otp: inner.otp.or(outer.otp),
        backup_code: inner.backup_code.or(outer.backup_code),
    }
}

async fn change_password(context: &mut Context, proof: &ProofArgs) -> Result<(), Failure> {
    let output = context.output;
    let old = prompt::password(proof.password_stdin, "The password as it is: ", output)?;
    let new = prompt::new_password(proof.password_stdin, "The new password: ", output)?;
    let account = context.account().await?;
    // Even when the session is fresh: whoever finds the terminal open does not get the account.
    account.prove_password(&old).await?;
    context.with_proof(&account, proof, Some(old), async || account.change_password(&new).await).await?;
    output.result(&json!({ "changed": true }), || {
        "The password is changed. Every other session has ended.".to_owned()
    });
    Ok(())
}

/// A new password for somebody who forgot the old one, and came in by another way.
async fn set_password(context: &mut Context, proof: &ProofArgs) -> Result<(), Failure> {
    let output = context.output;
    let account = context.account().await?;
    // Read first: what stands behind it on standard input is the password.
    let key = if proof.recovery_key_stdin { Some(ask_recovery_key(true, output)?) } else { None };
    let new = prompt::new_password(proof.password_stdin, "The new password: ", output)?;
    if let Some(key) = key {
        context.prove_by_recovery_key(&account, &key).await?;
    } else if account.client.account().await?.fresh_until.is_none() {
        prompt::must_ask(output, "--recovery-key-stdin")?;
        output.note("This needs a fresh proof that it is you.");
        context.prove_by_recovery_key(&account, &ask_recovery_key(false, output)?).await?;
    }
    account.change_password(&new).await?;
    output.result(&json!({ "changed": true }), || {
        "The new password is set. Every other session has ended.".to_owned()
    });
    Ok(())
}

async fn rotate_key(context: &mut Context, proof: &ProofArgs) -> Result<(), Failure> {
    let account = context.account().await?;
    let rotated =
        context.with_proof(&account, proof, None, async || account.rotate_master_key().await).await?;
    let half = account.client.server_half().await?;
    if let Some(why) = context.profile.keep(&rotated, &half)? {
        context.output.note(&format!("The key of this device is kept {}: {why}.", KeyPlace::File));
    }
    let mut pins = context.profile.pins(account.client.server())?;
    let version = rotated.master_key_version;
    pins.check_account(rotated.account, version, &rotated.identity(), Newer::MadeHere)?;
    context.profile.keep_pins(account.client.server(), &pins)?;
    // Who reads what this account shares reads on in any case: this is so that no grant of the old keys is left.
    sharing::renew_all(context, &rotated).await;
    context.output.result(&json!({ "master_key_version": version }), || {
        format!("The master key is new (version {version}). Every other session has ended.")
    });
    Ok(())
}

pub(super) async fn codes(context: &mut Context, arguments: CodesArgs) -> Result<(), Failure> {
    let proof = match arguments.command {
        Some(CodesCommand::Regenerate { proof }) => merged(proof, arguments.proof),
        None => arguments.proof,
    };
    let account = context.account().await?;
    // A program that calls this means it: there is nothing else that it does.
    if !arguments.yes && prompt::must_ask(context.output, "").is_ok() {
        let question = "The backup codes that you have will not be good any more. Make ten new ones?";
        if !prompt::confirm(context.output, question, "--yes")? {
            return Err(Failure::failed(
                "not_confirmed",
                "nothing was changed: the codes that you have stay good",
            ));
        }
    }
    let replace = async || interrupt::held(account.replace_backup_codes()).await;
    let (codes, _held) = context.with_proof(&account, &proof, None, replace).await?;
    let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    context.output.result(&json!({ "backup_codes": codes }), || codes_text(&codes));
    Ok(())
}

pub(super) async fn totp(context: &mut Context, arguments: TotpArgs) -> Result<(), Failure> {
    let output = context.output;
    let account = context.account().await?;
    match arguments.command {
        None => {
            prompt::must_ask(output, "`totp start` and `totp finish`")?;
            let proof = &arguments.proof;
            let started =
                context.with_proof(&account, proof, None, async || account.start_totp().await).await?;
            output.result(&json!({}), || totp_text(started.totp_uri.expose(), started.totp_secret.expose()));
            loop {
                let typed =
                    prompt::ask("A code that the app shows now (Enter to leave everything as it was): ")?;
                if typed.trim().is_empty() {
                    return Err(Failure::failed(
                        "not_confirmed",
                        "nothing was changed: the app as it was stays good",
                    ));
                }
                let code = prompt::digits(&typed);
                let finish = async || account.finish_totp(&started, code.clone()).await;
                match context.with_proof(&account, proof, None, finish).await {
                    Err(failure) if failure.is(Code::InvalidCode) => {
                        output.note("That is not the code of this secret. Is this computer's clock right?");
                    }
                    done => break done?,
                }
            }
        }
        Some(TotpCommand::Start { proof }) => {
            let proof = merged(proof, arguments.proof);
            let started =
                context.with_proof(&account, &proof, None, async || account.start_totp().await).await?;
            let document = json!({
                "state": started.state,
                "totp_secret": started.totp_secret.expose(),
                "totp_uri": started.totp_uri.expose(),
            });
            output.result(&document, || {
                let text = totp_text(started.totp_uri.expose(), started.totp_secret.expose());
                format!("{text}Then: bailiwick totp finish --state {} --code …", started.state)
            });
            return Ok(());
        }
        Some(TotpCommand::Finish { state, code, proof }) => {
            let proof = merged(proof, arguments.proof);
            let empty = || protocol::Secret::from(String::new());
            let started = protocol::account::TotpStarted { state, totp_secret: empty(), totp_uri: empty() };
            let code = prompt::digits(&code);
            context
                .with_proof(&account, &proof, None, async || {
                    account.finish_totp(&started, code.clone()).await
                })
                .await?;
        }
    }
    output.result(&json!({ "changed": true }), || "The authenticator app is set up anew.".to_owned());
    Ok(())
}

pub(super) async fn delete(context: &mut Context, arguments: DeleteArgs) -> Result<(), Failure> {
    let output = context.output;
    let account = context.account().await?;
    if !arguments.yes {
        prompt::must_ask(output, "--yes")?;
        let question = format!(
            "Everything that account {} stored will be gone for good. Type its number to go on: ",
            account.number
        );
        let typed = prompt::ask(&question)?;
        if keyring::AccountNumber::parse(&typed).map(|number| number.as_str().to_owned()).ok().as_deref()
            != Some(account.number.as_str())
        {
            return Err(Failure::failed("not_confirmed", "nothing was deleted"));
        }
    }
    context.with_proof(&account, &arguments.proof, None, async || account.delete_account().await).await?;
    context.profile.forget_account()?;
    output
        .result(&json!({ "deleted": account.number }), || format!("Account {} is deleted.", account.number));
    Ok(())
}

pub(super) async fn token(context: &mut Context, arguments: TokenArgs) -> Result<(), Failure> {
    match arguments.command {
        None => {
            let (client, _) = context.client()?;
            let token = client.access_token().await?;
            context.output.result(&token, || token.access_token.expose().to_owned());
            Ok(())
        }
        Some(TokenCommand::Decode { token }) => {
            let token = match token {
                Some(token) => Zeroizing::new(token),
                None => prompt::line_of_stdin()?,
            };
            let document = decode(&token).ok_or_else(|| {
                Failure::failed("token_malformed", "that is not an access token (RFC 9068)")
            })?;
            context.output.result(&document, || serde_json::to_string_pretty(&document).unwrap_or_default());
            Ok(())
        }
    }
}

/// Header and claims of a token, unverified.
fn decode(token: &str) -> Option<Value> {
    let mut parts = token.trim().split('.');
    let mut part = || -> Option<Value> {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?).ok()
    };
    let (header, claims) = (part()?, part()?);
    Some(json!({ "header": header, "claims": claims }))
}
