// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first sign-in to an account that was carried over from another system.
//!
//! It is the one time that a server is shown a password, so nothing does it by itself: a program says `--imported`, a
//! person is asked. A server that lies could ask for it too; so who has signed in from this device before, and therefore
//! has a password that no server knows, is never asked.

use protocol::Code;
use protocol::service::Service;

use super::context::Context;
use super::failure::Failure;
use super::login::checked;
use super::prompt;
use super::signup::finish_sign_up;
use crate::client::Client;
use crate::client::signin::SignUp;

pub(super) async fn log_in(
    context: &Context,
    client: &Client,
    service: &Service,
    email: &str,
    stdin: bool,
) -> Result<(), Failure> {
    if !service.imported_sign_in {
        return Err(Failure::failed("imports_closed", "this server takes nobody over from another system"));
    }
    if !stdin {
        context.output.warn(WARNING);
    }
    let password = prompt::password(stdin, "The password that you had there: ", context.output)?;
    let sign_up = SignUp::start_imported(client, email, &password).await?;
    context.output.note("From now on no server is shown this password.");
    finish_sign_up(context, sign_up, stdin, false).await
}

/// After a refusal: asks a person who may be waiting to be taken over. Whoever is not, hears of the refusal.
pub(super) async fn offer(
    context: &Context,
    client: &Client,
    service: &Service,
    refused: Failure,
) -> Result<(), Failure> {
    let may_be_new = context.profile.device_token()?.is_none();
    let can_ask = prompt::must_ask(context.output, "").is_ok();
    let is_refusal = refused.code() == Code::InvalidCredentials.as_str();
    if !(service.imported_sign_in && may_be_new && can_ask && is_refusal) {
        return Err(refused);
    }
    context.output.note(refused.message());
    context.output.note(
        "This server took accounts over from another system. If yours is one of them, and you have never signed in \
         here since, its old password can be shown to the server once.",
    );
    context.output.warn(WARNING);
    if prompt::ask("Is it, and do you want that? Type yes to go on: ")?.trim() != "yes" {
        return Err(refused);
    }
    let email = checked(prompt::ask("Email address: ")?.trim())?;
    log_in(context, client, service, &email, false).await
}

const WARNING: &str = "the server will see the password that you type now. Type the one of the system that you come \
                       from, and no other";
