// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in: `login --pair` on the device, `pair approve` where one is signed in.
//!
//! For programs each step is a line of JSON with an `event`; the code is read from standard input.

use clap::{Args, Subcommand};
use keyring::pairing::{PairingForm, PairingLink};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use tokio::sync::Mutex;

use super::context::Context;
use super::failure::Failure;
use super::login::{enter, may_leave};
use super::prompt::{self, ProofArgs};
use super::public;
use crate::client::account::AccountError;
use crate::client::pairing::{Answered, Approval, Outcome, Pairing, PairingError, WayIn};
use crate::client::signin::this_device;
use crate::output::{Output, harmless, moment};

/// Arguments of `pair`.
#[derive(Args, Debug)]
pub struct PairArgs {
    #[command(subcommand)]
    command: PairCommand,
}

#[derive(Subcommand, Debug)]
enum PairCommand {
    /// Let a device in that shows this link
    Approve(ApproveArgs),
}

#[derive(Args, Debug)]
struct ApproveArgs {
    /// The link that the device shows
    link: String,

    /// Do not ask whether that is the device that is meant
    #[arg(long)]
    yes: bool,

    /// The three characters that a public computer shows
    #[arg(long, value_name = "CHARACTERS")]
    shown: Option<String>,

    #[command(flatten)]
    proof: ProofArgs,
}

/// What `login` takes to be let in by another device.
#[derive(Args, Debug, Default)]
pub(crate) struct PairingArgs {
    /// Be let in by a device that is signed in: shows a link for it, and asks for the code that it shows
    #[arg(long, conflicts_with_all = ["email", "password_stdin", "otp", "backup_code"])]
    pub(crate) pair: bool,

    /// This is somebody else's computer: read here for a quarter of an hour, keep nothing, and sign out at the end. The
    /// other device asks for three characters that are shown here, and shows three to be typed here
    #[arg(long, requires = "pair", conflicts_with_all = ["force", "accept_older_key"])]
    pub(crate) public: bool,
}

pub(super) async fn log_in(
    context: &mut Context,
    arguments: &PairingArgs,
    force: bool,
    accept_older_key: bool,
) -> Result<(), Failure> {
    let output = context.output;
    let client = context.visitor()?;
    let (form, token) = if arguments.public {
        // What is known of the server is held against it; nothing is kept.
        context.profile.pins(client.server())?.check(&client.service().await?)?;
        (PairingForm::Public, None)
    } else {
        context.profile.can_keep()?;
        context.service(&client).await?;
        may_leave(context, None, force).await?;
        (PairingForm::Device, context.profile.device_token()?)
    };
    let mut pairing = Pairing::ask(&client, form, &this_device(None)).await?;
    show_link(output, &pairing);

    let mut offer = pairing.offered().await?;
    let (way_in, session) = loop {
        ask_code(output, &mut pairing, &offer, form).await?;
        match pairing.outcome(token.clone()).await? {
            Outcome::Again(again, next) => {
                output.note("That was not the code.");
                (pairing, offer) = (*again, next);
            }
            Outcome::In(way_in, session) => break (*way_in, session),
        }
    };
    match way_in {
        WayIn::Device(account) => {
            enter(context, &account, &session, accept_older_key).await?;
            let document = json!({
                "event": "signed_in",
                "account_id": account.number,
                "account": account.account,
                "home": account.home,
                "session": account.session,
                "device": account.device,
                "expires_at": session.expires_at,
            });
            output.result(&document, || {
                format!("Signed in to account {} on {}.", account.number, client.server())
            });
            Ok(())
        }
        WayIn::Public(account) => public::read(context, &account, &session).await,
    }
}

fn show_link(output: Output, pairing: &Pairing) {
    let link = pairing.link();
    let document = json!({
        "event": "link",
        "link": link,
        "shown": pairing.shown(),
        "expires_at": pairing.expires_at(),
    });
    output.result(&document, || {
        let mut text = qr_code(&link);
        text.push_str(&format!(
            "\nOpen this link where you are signed in, within two minutes, or type there:\n\n  bailiwick pair approve '{link}'\n"
        ));
        if let Some(shown) = pairing.shown() {
            text.push_str(&format!("\nIt will ask what stands here: {shown}\n"));
        }
        text
    });
}

/// Reads the code and sends it. What cannot be a code is asked for again, as long as there is somebody to ask.
async fn ask_code(
    output: Output,
    pairing: &mut Pairing,
    offer: &[u8],
    form: PairingForm,
) -> Result<(), Failure> {
    let what = match form {
        PairingForm::Device => "The six digits that the other device shows: ",
        PairingForm::Public => "The three characters that the other device shows: ",
    };
    loop {
        output.result(&json!({ "event": "code_wanted" }), String::new);
        let typed = if output.is_json() { prompt::line_of_stdin()? } else { prompt::ask(what)? };
        match pairing.answer(offer, &typed).await {
            Err(error) if error.is_typing() => output.note(&format!("{error}.")),
            other => return Ok(other?),
        }
    }
}

fn qr_code(text: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::L) else {
        return String::new();
    };
    // Terminals are mostly dark: the light squares are drawn.
    code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build()
}

pub(super) async fn pair(context: &mut Context, arguments: PairArgs) -> Result<(), Failure> {
    let PairCommand::Approve(arguments) = arguments.command;
    approve(context, arguments).await
}

async fn approve(context: &mut Context, arguments: ApproveArgs) -> Result<(), Failure> {
    let output = context.output;
    let link = PairingLink::parse(&arguments.link).map_err(|error| Failure::usage(error.to_string()))?;
    let account = context.account().await?;
    if link.server() != account.client.server() {
        let (theirs, ours) = (harmless(link.server()), account.client.server());
        return Err(Failure::usage(format!(
            "this link is of {theirs}, and this device is signed in to {ours}"
        )));
    }
    let approval = Approval::open(&account.client, &link).await?;
    let is_public = approval.request().form() == PairingForm::Public;
    show_request(output, &approval);
    if !arguments.yes && !prompt::confirm(output, "Let it in?", "--yes")? {
        let _ = approval.refuse().await;
        return Err(Failure::failed("not_confirmed", "the device was not let in"));
    }
    let shown = match (is_public, arguments.shown) {
        (false, _) => None,
        (true, Some(shown)) => Some(shown),
        (true, None) => {
            prompt::must_ask(output, "--shown, with the three characters of its screen")?;
            Some(prompt::ask("The three characters that its screen shows: ")?.to_string())
        }
    };
    let approval = Mutex::new(approval);
    let authorized = context
        .with_proof(&account, &arguments.proof, None, async || {
            match approval.lock().await.authorize(shown.as_deref()).await {
                Err(PairingError::Request(error)) => Err(AccountError::Request(error)),
                other => Ok(other),
            }
        })
        .await?;
    let code = authorized?;
    let mut approval = approval.into_inner();
    output.result(&json!({ "event": "code", "code": *code }), || {
        let code = match code.split_at_checked(3) {
            Some((first, last)) if !last.is_empty() => format!("{first} {last}"),
            _ => code.to_string(),
        };
        format!("Type this on the device, and tell it to nobody:  {code}")
    });
    loop {
        match approval.outcome(&account).await? {
            Answered::LetIn => break,
            Answered::Wrong { tries_left } => {
                output.note(&format!("The code was typed wrong; tries left: {tries_left}."));
                if output.is_json() {
                    output.result(&json!({ "event": "wrong_code", "tries_left": tries_left }), String::new);
                }
            }
        }
    }
    let request = approval.request();
    let document = json!({ "event": "let_in", "name": request.name(), "platform": request.platform() });
    output.result(&document, || format!("{} is let in.", harmless(request.name())));
    Ok(())
}

fn show_request(output: Output, approval: &Approval) {
    let request = approval.request();
    let document = json!({
        "event": "asked",
        "form": request.form().as_str(),
        "name": request.name(),
        "platform": request.platform(),
        "address": approval.address(),
        "created_at": approval.created_at(),
    });
    output.result(&document, || {
        let warning = match request.form() {
            PairingForm::Device => {
                "This device wants to be let in to your whole account, for good.\nGo on only if you have it before you and have just started this on it yourself.\nNobody from support will ever ask you to."
            }
            PairingForm::Public => {
                "This public computer wants to read in your account for a quarter of an hour.\nGo on only if you sit before it and have just started this on it yourself."
            }
        };
        format!(
            "{warning}\n\n  Device:   {} ({})\n  Network:  {}\n  Asked:    {}\n",
            harmless(request.name()),
            harmless(request.platform()),
            harmless(approval.address()),
            moment(approval.created_at())
        )
    });
}
