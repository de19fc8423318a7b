// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in and out, and what a device keeps of it.

use clap::Args;
use keyring::Email;
use protocol::Code;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::imported;
use super::methods::ask_recovery_key;
use super::pair::PairingArgs;
use super::prompt::{self, ProofArgs};
use crate::client::Client;
use crate::client::federation::CameIn;
use crate::client::signin::{SignIn, SignInError, SignedIn, Unlocked, this_device};
use crate::keychain::KeyPlace;
use crate::output::{Output, harmless};
use crate::profile::ProfileError;

/// Arguments of `login`.
#[derive(Args, Debug)]
#[command(after_help = "Example for a script:
  printf '%s\\n' \"$PASSWORD\" | bailiwick login --email ada@example.org --password-stdin --otp 123456 --json

What this device keeps opens only with the server's half, which ends with the session: see `bailiwick devices`. Its own
half is in the computer's keychain where there is one that is open, else in a file that only you may read; `bailiwick
whoami` says which. BAILIWICK_KEYCHAIN=off keeps it in the file, =on refuses to sign in without a keychain.")]
pub struct LoginArgs {
    /// The email address
    #[arg(long)]
    email: Option<String>,

    /// For the first sign-in to an account that was carried over from another system: shows the server the password of
    /// that system, this once
    #[arg(long, conflicts_with_all = ["otp", "backup_code"])]
    imported: bool,

    /// Sign out of another account that this device is signed in to, without asking
    #[arg(long)]
    force: bool,

    /// Sign in with a recovery key instead: no address, no password, no code
    #[arg(long, conflicts_with_all = ["email", "password_stdin", "otp", "backup_code"])]
    recovery_key: bool,

    /// Sign in through another identity provider, in a browser on this computer: your address at work, a tenant (ten_…), or a
    /// provider that the server offers. What is end-to-end encrypted opens if this device was signed in before, or with
    /// --recovery-key-stdin
    #[arg(long, value_name = "WHERE", conflicts_with_all = ["email", "password_stdin", "otp", "backup_code", "recovery_key", "imported", "pair"])]
    provider: Option<String>,

    /// Accept an older master key than was seen here before, because the operator restored a backup
    #[arg(long)]
    accept_older_key: bool,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(flatten)]
    pairing: PairingArgs,
}

pub(super) async fn log_in(context: &mut Context, arguments: LoginArgs) -> Result<(), Failure> {
    if arguments.pairing.pair {
        let (force, accept_older_key) = (arguments.force, arguments.accept_older_key);
        return super::pair::log_in(context, &arguments.pairing, force, accept_older_key).await;
    }
    if let Some(named) = &arguments.provider {
        let (force, accept_older_key) = (arguments.force, arguments.accept_older_key);
        let key_comes = arguments.proof.recovery_key_stdin;
        return super::elsewhere::log_in(context, named, force, accept_older_key, key_comes).await;
    }
    let output = context.output;
    let client = context.visitor()?;
    context.profile.can_keep()?;
    let signed_in = if arguments.recovery_key || arguments.proof.recovery_key_stdin {
        let key = ask_recovery_key(arguments.proof.recovery_key_stdin, output)?;
        context.service(&client).await?;
        may_leave(context, None, arguments.force).await?;
        by_recovery_key(context, &client, &key).await?
    } else {
        let email = email(arguments.email, output)?;
        let service = context.service(&client).await?;
        may_leave(context, Some(&email), arguments.force).await?;
        if arguments.imported {
            let stdin = arguments.proof.password_stdin;
            return imported::log_in(context, &client, &service, &email, stdin).await;
        }
        match prove(context, &client, email, &arguments.proof).await {
            Err(failure) => return imported::offer(context, &client, &service, failure).await,
            Ok(signed_in) => signed_in,
        }
    };
    enter(context, &signed_in.account, &signed_in.session, arguments.accept_older_key).await?;
    let account = &signed_in.account;
    let document = json!({
        "account_id": account.number,
        "account": account.account,
        "home": account.home,
        "session": account.session,
        "device": account.device,
        "new_device": signed_in.new_device,
        "backup_codes_left": signed_in.backup_codes_left,
        "expires_at": signed_in.session.expires_at,
    });
    output.result(&document, || format!("Signed in to account {} on {}.", account.number, client.server()));
    if signed_in.backup_codes_left < FEW_CODES {
        let left = signed_in.backup_codes_left;
        output.warn(&format!("{left} backup codes are left: `bailiwick codes` makes new ones"));
    }
    Ok(())
}

async fn by_recovery_key(
    context: &Context,
    client: &Client,
    key: &keyring::RecoveryKey,
) -> Result<SignedIn, Failure> {
    let device = this_device(context.profile.device_token()?);
    client.sign_in_with_recovery_key(key, device).await.map_err(|error| match error {
        SignInError::Request(error) if error.is(Code::InvalidCredentials) => Failure::from(error)
            .saying("this recovery key lets nobody in: it was replaced or revoked, or is another server's"),
        other => other.into(),
    })
}

/// Proves password and second factor. A person who mistyped is asked again, and only for what may be wrong.
async fn prove(
    context: &Context,
    client: &Client,
    mut email: String,
    arguments: &ProofArgs,
) -> Result<SignedIn, Failure> {
    let output = context.output;
    let can_ask = !arguments.password_stdin && prompt::must_ask(output, "").is_ok();
    let mut tries = TRIES;
    let (password, mut sign_in) = loop {
        tries -= 1;
        let password = prompt::password(arguments.password_stdin, "Password: ", output)?;
        match SignIn::start(client, &email, &password, context.profile.device_token()?).await {
            Err(SignInError::WrongPassword) if can_ask && tries > 0 => {
                output.note("The email address or the password is wrong.");
                let typed = prompt::ask(&format!("Email address [{}]: ", harmless(&email)))?;
                if !typed.trim().is_empty() {
                    email = checked(typed.trim())?;
                }
            }
            started => break (password, started?),
        }
    };
    let mut proof = arguments.proof_or_ask(output)?;
    tries = TRIES;
    loop {
        tries -= 1;
        match sign_in.finish(proof, this_device(context.profile.device_token()?)).await {
            Err(SignInError::Request(error))
                if error.is(Code::InvalidCredentials) && can_ask && tries > 0 =>
            {
                output.note(
                    "That code was not accepted. A code of the app is good for about a minute, and once; a backup code once.",
                );
                proof = prompt::ask_proof()?;
                // What was begun is used up; the password is known to be right.
                sign_in = SignIn::start(client, &email, &password, context.profile.device_token()?).await?;
            }
            Err(SignInError::BackupCode(why)) if can_ask && tries > 0 => {
                output.note(&format!("That is not a code: {why}."));
                proof = prompt::ask_proof()?;
                sign_in = SignIn::start(client, &email, &password, context.profile.device_token()?).await?;
            }
            finished => return Ok(finished?),
        }
    }
}

/// Asks before this device gives up a live session of another account. To sign in to the same account anew, or after the
/// session has ended, needs no asking.
pub(super) async fn may_leave(context: &Context, email: Option<&str>, force: bool) -> Result<(), Failure> {
    let Some(stored) = context.profile.stored()?.filter(|_| !force) else { return Ok(()) };
    if let Ok((client, _)) = context.client() {
        match context.profile.unlock(&client).await {
            Ok(unlocked) => {
                let is_same = |email: &str| Email::parse(email).is_ok_and(|email| email == unlocked.email);
                if email.is_some_and(is_same) {
                    return Ok(());
                }
            }
            Err(ProfileError::Request(error))
                if matches!(error.code(), Some(Code::SessionEnded | Code::NotSignedIn)) =>
            {
                return Ok(());
            }
            Err(_) => {}
        }
    }
    let there = format!(
        "this device is signed in to account {} on {}",
        harmless(&stored.number),
        harmless(&stored.server)
    );
    if prompt::must_ask(context.output, "").is_err() {
        let text = format!("{there}: --force signs it out first, another --config-dir keeps both");
        return Err(Failure::usage(text).with_code("already_signed_in"));
    }
    let question = format!("T{} now. Sign it out and go on?", there.get(1..).unwrap_or_default());
    if prompt::confirm(context.output, &question, "--force")? {
        return Ok(());
    }
    Err(Failure::failed("not_confirmed", "nothing was changed"))
}

/// Makes a new session the one of this device, in place of the one that it had. Keys that are older than those seen before
/// are refused, and the session is ended again.
pub(super) async fn enter(
    context: &Context,
    account: &Unlocked,
    session: &protocol::signin::Session,
    accept_older_key: bool,
) -> Result<(), Failure> {
    let server = account.client.server();
    let mut pins = context.profile.pins(server)?;
    if accept_older_key {
        pins.forget_account(account.account);
    }
    let before = pins.accounts.get(&account.account).map(|known| known.master_key_version);
    if let Err(refused) = account.hold_against(&mut pins).await {
        let _ = account.client.sign_out().await;
        return Err(refused.into());
    }
    leave(context).await?;
    context.profile.keep_pins(server, &pins)?;
    keep(context, account, session)?;
    if before.is_some_and(|before| before < account.master_key_version) {
        context.output.note("The master key was replaced since this device signed in last.");
    }
    Ok(())
}

/// Makes a session that opens nothing the one of this device, in place of the one that it had.
pub(super) async fn enter_locked(context: &Context, came: &CameIn) -> Result<(), Failure> {
    leave(context).await?;
    if let Some(token) = &came.session.device_token {
        context.profile.keep_device_token(token)?;
    }
    Ok(context.profile.keep_locked(&came.locked(), &came.session.token)?)
}

/// Ends the session that this device had, which a new one is about to replace. That it may have ended already, or cannot be
/// reached, is no reason to refuse the new one.
async fn leave(context: &Context) -> Result<(), Failure> {
    if let Ok((client, _)) = context.client() {
        let _ = client.sign_out().await;
    }
    Ok(context.profile.forget()?)
}

fn keep(context: &Context, account: &Unlocked, session: &protocol::signin::Session) -> Result<(), Failure> {
    let half = session.server_half.to_array().map(keyring::ServerHalf::from_bytes);
    let half =
        half.ok_or_else(|| Failure::failed("malformed_answer", "the server's half of the key is not one"))?;
    if let Some(token) = &session.device_token {
        context.profile.keep_device_token(token)?;
    }
    if let Some(why) = context.profile.keep(account, &half)? {
        context.output.note(&format!("The key of this device is kept {}: {why}.", KeyPlace::File));
    }
    Ok(())
}

pub(super) async fn log_out(context: &mut Context) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    let ended = client.sign_out().await;
    // A session that is over already is signed out as well; one that cannot be reached is not, and is kept to try again.
    match ended {
        Err(error) if !matches!(error.code(), Some(Code::SessionEnded | Code::NotSignedIn)) => {
            return Err(error.into());
        }
        _ => {}
    }
    context.profile.forget()?;
    context.output.result(&json!({ "signed_out": true, "session": stored.session }), || {
        "Signed out. What this device kept opens nothing any more.".to_owned()
    });
    Ok(())
}

/// The address that was given or is asked for, whose form is looked at before anything else is asked.
pub(super) fn email(given: Option<String>, output: Output) -> Result<String, Failure> {
    if let Some(email) = given {
        return checked(&email);
    }
    prompt::must_ask(output, "--email")?;
    loop {
        match checked(prompt::ask("Email address: ")?.trim()) {
            Err(failure) => output.note(failure.message()),
            email => return email,
        }
    }
}

pub(super) fn checked(email: &str) -> Result<String, Failure> {
    Email::parse(email).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(email.to_owned())
}

/// So often a person is asked for what was wrong.
const TRIES: u32 = 4;
/// With fewer backup codes than these, a person is told.
const FEW_CODES: u32 = 3;
