// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making an account.

use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::interrupt;
use super::login::{email, enter, may_leave};
use super::methods::recovery_key_text;
use super::prompt;
use crate::client::methods::MadeRecoveryKey;
use crate::client::signin::{NewAccount, SignUp, this_device};
use crate::output::Output;

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

pub(super) async fn sign_up(context: &mut Context, arguments: SignUpArgs) -> Result<(), Failure> {
    let output = context.output;
    let client = context.visitor()?;
    context.profile.can_keep()?;
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
    // What is made here is shown once.
    let held = interrupt::hold();
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
    show_new_account(context, &new, &recovery_key);
    drop(held);
    if output.is_json() || prompt::must_ask(output, "").is_err() {
        return Ok(());
    }
    check_totp(output, new.totp_uri.expose())?;
    let question = "Without the password nobody can open your data, not even we. A recovery key on paper can. Make one now?";
    if recovery_key.is_none() && prompt::confirm(output, question, "--recovery-key")? {
        let _held = interrupt::hold();
        let made = new.account.add_recovery_key("").await?;
        output.result(&json!({}), || recovery_key_text(&made.key));
    }
    Ok(())
}

fn show_new_account(context: &Context, new: &NewAccount, recovery_key: &Option<MadeRecoveryKey>) {
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
    if let (Some(made), Some(fields)) = (recovery_key, document.as_object_mut()) {
        fields.insert("recovery_key".to_owned(), json!(made.key.as_str()));
    }
    context.output.result(&document, || {
        let mut text = format!("Your account number is {}.\n\n", new.account.number);
        text.push_str(&totp_text(new.totp_uri.expose(), new.totp_secret.expose()));
        text.push_str(&codes_text(&codes));
        if let Some(made) = recovery_key {
            text.push('\n');
            text.push_str(&recovery_key_text(&made.key));
        }
        text
    });
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
