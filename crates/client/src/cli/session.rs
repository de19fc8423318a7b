// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up, in and out; sessions and devices.

use clap::{Args, Subcommand};
use keyring::Email;
use protocol::{Code, DeviceId, SessionId};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::imported;
use super::methods::{ask_recovery_key, recovery_key_text};
use super::pair::PairingArgs;
use super::prompt::{self, ProofArgs};
use crate::client::Client;
use crate::client::methods::MadeRecoveryKey;
use crate::client::signin::{NewAccount, SignIn, SignInError, SignUp, SignedIn, Unlocked, this_device};
use crate::output::{Output, harmless, moment, size, table};
use crate::profile::ProfileError;

/// Arguments of `signup`.
#[derive(Args, Debug)]
#[command(
    after_help = "You need an authenticator app: it gives the second factor of every sign-in. The password never leaves this
machine, and nobody can reset it: without it, and without another way in, what you store is lost."
)]
pub struct SignUpArgs {
    /// The email address
    #[arg(long)]
    email: Option<String>,

    /// Sign out of the account that this device is signed in to, without asking
    #[arg(long)]
    force: bool,

    /// Make a recovery key too
    #[arg(long)]
    recovery_key: bool,

    /// Read the password from standard input: one line. Where the server mails a code, the next line is that code: it is
    /// waited for
    #[arg(long)]
    password_stdin: bool,
}

/// Arguments of `login`.
#[derive(Args, Debug)]
#[command(after_help = "Example for a script:
  printf '%s\\n' \"$PASSWORD\" | bailiwick login --email ada@example.org --password-stdin --otp 123456 --json

What this device keeps opens only with the server's half, which ends with the session: see `bailiwick devices`.")]
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

    /// Accept an older master key than was seen here before, because the operator restored a backup
    #[arg(long)]
    accept_older_key: bool,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(flatten)]
    pairing: PairingArgs,
}

/// Arguments of `sessions`.
#[derive(Args, Debug)]
pub struct SessionsArgs {
    #[command(subcommand)]
    command: Option<SessionsCommand>,
}

#[derive(Subcommand, Debug)]
enum SessionsCommand {
    /// List the live sessions
    List,
    /// End a session
    End {
        /// Its id, as listed
        session: SessionId,
    },
    /// End every session but this
    EndOthers,
}

/// Arguments of `devices`.
#[derive(Args, Debug)]
pub struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

#[derive(Subcommand, Debug)]
enum DevicesCommand {
    /// List the devices that signed in
    List,
    /// Sign a device out: all its sessions end, and what it keeps is worthless
    End {
        /// Its id, as listed
        device: DeviceId,
    },
}

pub(super) async fn sign_up(context: &mut Context, arguments: SignUpArgs) -> Result<(), Failure> {
    let output = context.output;
    let client = context.visitor()?;
    let email = email(arguments.email, output)?;
    context.service(&client).await?;
    may_leave(context, None, arguments.force).await?;
    let password =
        prompt::new_password(arguments.password_stdin, "A password for the new account: ", output)?;
    let sign_up = SignUp::start(&client, &email, &password).await?;
    finish_sign_up(context, sign_up, arguments.password_stdin, arguments.recovery_key).await
}

/// Takes the mailed code where there is one, makes the account and shows it.
pub(super) async fn finish_sign_up(
    context: &Context,
    sign_up: SignUp,
    stdin: bool,
    with_recovery_key: bool,
) -> Result<(), Failure> {
    let output = context.output;
    let code = match (sign_up.code_required(), stdin) {
        (false, _) => None,
        (true, true) => Some(prompt::line_of_stdin()?.trim().to_owned()),
        (true, false) => {
            prompt::must_ask(output, "--password-stdin, with the mailed code as the second line")?;
            Some(prompt::ask("A code was mailed to that address. The code: ")?.trim().to_owned())
        }
    };
    output.note("Making the keys of the account …");
    let new = sign_up.finish(code, this_device(context.profile.device_token()?)).await?;
    enter(context, &new.account, &new.session, false).await?;
    // The account is there already: should this fail, what lets its owner in is still shown.
    let recovery_key = match with_recovery_key {
        true => new.account.add_recovery_key("").await.map(Some).unwrap_or_else(|error| {
            output.warn(&format!(
                "no recovery key was made: {error}. `bailiwick recovery-key create` makes one"
            ));
            None
        }),
        false => None,
    };
    show_new_account(context, &new, recovery_key).await
}

async fn show_new_account(
    context: &Context,
    new: &NewAccount,
    recovery_key: Option<MadeRecoveryKey>,
) -> Result<(), Failure> {
    let output = context.output;
    let codes: Vec<&str> = new.backup_codes.iter().map(|code| code.as_str()).collect();
    let mut document = json!({
        "account_id": new.account.number,
        "account": new.account.account,
        "home": new.account.home,
        "session": new.account.session,
        "device": new.account.device,
        "totp_secret": new.totp_secret.expose(),
        "totp_uri": new.totp_uri.expose(),
        "backup_codes": codes,
    });
    if let (Some(made), Some(fields)) = (&recovery_key, document.as_object_mut()) {
        fields.insert("recovery_key".to_owned(), json!(made.key.as_str()));
    }
    output.result(&document, || {
        let mut text = format!("Your account number is {}.\n\n", new.account.number);
        text.push_str(&totp_text(new.totp_uri.expose(), new.totp_secret.expose()));
        text.push_str(&codes_text(&codes));
        if let Some(made) = &recovery_key {
            text.push('\n');
            text.push_str(&recovery_key_text(&made.key));
        }
        text
    });
    if output.is_json() || prompt::must_ask(output, "").is_err() {
        return Ok(());
    }
    check_totp(output, new.totp_uri.expose())?;
    let question = "Without the password nobody can open your data, not even we. A recovery key on paper can. Make one now?";
    if recovery_key.is_none() && prompt::confirm(output, question, "--recovery-key")? {
        let made = new.account.add_recovery_key("").await?;
        output.result(&json!({}), || recovery_key_text(&made.key));
    }
    Ok(())
}

/// Asks for a code of the new authenticator app, so that a slip is noticed while the secret is still on the screen.
fn check_totp(output: Output, uri: &str) -> Result<(), Failure> {
    let Ok(totp) = totp_rs::Totp::from_url(uri) else { return Ok(()) };
    loop {
        let typed = prompt::ask("A code that the app shows now (Enter to go on without): ")?;
        if typed.trim().is_empty() {
            output.warn("the app was not checked: without it, only the backup codes let you in");
            return Ok(());
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if totp.check(prompt::digits(&typed).expose(), now.as_secs()).is_some() {
            output.note("The app is set up.");
            return Ok(());
        }
        output.note("That is not the code of this secret. Is this computer's clock right?");
    }
}

pub(super) async fn log_in(context: &mut Context, arguments: LoginArgs) -> Result<(), Failure> {
    if arguments.pairing.pair {
        let (force, accept_older_key) = (arguments.force, arguments.accept_older_key);
        return super::pair::log_in(context, arguments.pairing, force, accept_older_key).await;
    }
    let output = context.output;
    let client = context.visitor()?;
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
    if let Err(error) = pins.check_account(account.account, account.master_key_version, &account.identity()) {
        let _ = account.client.sign_out().await;
        return Err(error.into());
    }
    leave(context).await?;
    context.profile.keep_pins(server, &pins)?;
    keep(context, account, session)?;
    if before.is_some_and(|before| before < account.master_key_version) {
        context.output.note("The master key was replaced since this device signed in last.");
    }
    Ok(())
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
    Ok(context.profile.keep(account, &half)?)
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

pub(super) async fn who_am_i(context: &mut Context) -> Result<(), Failure> {
    if let Some(key) = context.api_key()? {
        return which_key_am_i(context, &key).await;
    }
    let (client, stored) = context.client()?;
    let account = client.account().await?;
    let unlocked = context.profile.unlock(&client).await?;
    let is_own_identity = account.master_key_version == unlocked.master_key_version
        && account.identity.as_slice() == unlocked.identity().to_bytes();
    if !is_own_identity {
        context.output.warn(
            "the server shows other identity keys than this account's. If the master key was rotated on another device, \
             sign in again; otherwise do not go on, and tell the operator",
        );
    }
    let fingerprint = unlocked.identity().fingerprint(&crate::place::account(stored.account)).to_string();
    let document = json!({
        "account_id": account.number,
        "account": account.id,
        "home": account.home,
        "session": account.session,
        "device": stored.device,
        "server": stored.server,
        "created_at": account.created_at,
        "fresh_until": account.fresh_until,
        "master_key_version": account.master_key_version,
        "fingerprint": fingerprint,
        "identity_verified": is_own_identity,
        "backup_codes_left": account.backup_codes_left,
        "platform_roles": account.platform_roles,
        "usage": account.usage,
    });
    context.output.result(&document, || {
        let usage = &account.usage;
        let mut rows = vec![
            vec!["Account".to_owned(), account.number.clone()],
            vec!["Id".to_owned(), account.id.to_string()],
            vec!["Server".to_owned(), stored.server.clone()],
            vec!["Since".to_owned(), moment(account.created_at)],
            vec!["Fingerprint".to_owned(), fingerprint.clone()],
            vec!["Backup codes left".to_owned(), account.backup_codes_left.to_string()],
            vec![
                "Stored".to_owned(),
                format!(
                    "{} of {}, {} of {} items",
                    size(usage.bytes),
                    size(usage.bytes_limit),
                    usage.items,
                    usage.items_limit
                ),
            ],
        ];
        if !account.platform_roles.is_empty() {
            rows.push(vec!["Roles".to_owned(), account.platform_roles.join(", ")]);
        }
        table(&rows)
    });
    Ok(())
}

/// Whom an API key acts for.
async fn which_key_am_i(context: &Context, key: &keyring::ApiKey) -> Result<(), Failure> {
    let client = context.key_client(key)?;
    let own = client.own_api_key().await?;
    let document = json!({
        "account_id": own.number,
        "account": own.account,
        "home": own.home,
        "api_key": own.id,
        "label": own.label,
        "server": client.server(),
        "scopes": own.scopes,
        "expires_at": own.expires_at,
        "unlocks": key.unlock().is_some() && own.unlocking.is_some(),
    });
    context.output.result(&document, || {
        table(&[
            vec!["Account".to_owned(), harmless(&own.number)],
            vec!["API key".to_owned(), format!("{} {}", own.id, harmless(&own.label))],
            vec!["Server".to_owned(), client.server().to_owned()],
            vec!["Scopes".to_owned(), harmless(&own.scopes.join(" "))],
            vec!["Expires".to_owned(), own.expires_at.map_or_else(|| "never".to_owned(), moment)],
        ])
    });
    Ok(())
}

pub(super) async fn sessions(context: &mut Context, arguments: SessionsArgs) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    match arguments.command {
        None | Some(SessionsCommand::List) => list_sessions(context.output, &client).await,
        Some(SessionsCommand::End { session }) => {
            client.end_session(session).await?;
            if session == stored.session {
                context.profile.forget()?;
            }
            context.output.result(&json!({ "ended": [session] }), || format!("Ended {session}."));
            Ok(())
        }
        Some(SessionsCommand::EndOthers) => {
            client.end_other_sessions().await?;
            context.output.result(&json!({ "ended": "others" }), || "Ended every other session.".to_owned());
            Ok(())
        }
    }
}

async fn list_sessions(output: Output, client: &Client) -> Result<(), Failure> {
    let sessions = client.sessions().await?;
    output.result(&sessions, || {
        let mut rows =
            vec![["SESSION", "DEVICE", "PLATFORM", "FROM", "LAST USED", ""].map(str::to_owned).to_vec()];
        for session in &sessions.sessions {
            rows.push(vec![
                session.id.to_string(),
                harmless(&session.device_name),
                harmless(&session.platform),
                harmless(&session.address),
                moment(session.last_used_at),
                if session.current { "this one".to_owned() } else { String::new() },
            ]);
        }
        table(&rows)
    });
    Ok(())
}

pub(super) async fn devices(context: &mut Context, arguments: DevicesArgs) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    let Some(DevicesCommand::End { device }) = arguments.command else {
        let devices = client.devices().await?;
        context.output.result(&devices, || {
            let mut rows = vec![
                ["DEVICE", "NAME", "PLATFORM", "FROM", "LAST SEEN", "SESSIONS", ""]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            for device in &devices.devices {
                rows.push(vec![
                    device.id.to_string(),
                    harmless(&device.name),
                    harmless(&device.platform),
                    harmless(&device.address),
                    moment(device.last_seen_at),
                    device.sessions.to_string(),
                    if device.id == stored.device { "this one".to_owned() } else { String::new() },
                ]);
            }
            table(&rows)
        });
        return Ok(());
    };
    client.end_device(device).await?;
    if device == stored.device {
        context.profile.forget()?;
    }
    context.output.result(&json!({ "ended": [device] }), || format!("Signed {device} out."));
    Ok(())
}

/// The address that was given or is asked for, whose form is looked at before anything else is asked.
fn email(given: Option<String>, output: Output) -> Result<String, Failure> {
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

/// What a person needs to set an authenticator app up.
pub(super) fn totp_text(uri: &str, secret: &str) -> String {
    let mut text = "Scan this with your authenticator app:\n\n".to_owned();
    if let Ok(code) = QrCode::new(uri.as_bytes()) {
        // Terminals are mostly dark: the light squares are drawn.
        let image = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .quiet_zone(true)
            .build();
        text.push_str(&image);
        text.push('\n');
    }
    text.push_str(&format!("\nor type the secret: {secret}\n\n"));
    text
}

/// Backup codes for a person, who sees them once.
pub(super) fn codes_text(codes: &[&str]) -> String {
    let mut text =
        "Backup codes, each good once in place of the app. They are not shown again:\n\n".to_owned();
    for pair in codes.chunks(2) {
        text.push_str(&format!("    {}\n", pair.join("    ")));
    }
    text
}

/// So often a person is asked for what was wrong.
const TRIES: u32 = 4;
/// With fewer backup codes than these, a person is told.
const FEW_CODES: u32 = 3;
