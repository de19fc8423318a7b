// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in through another identity provider, and adding one to the account: a browser goes there, and comes back to this program.

use std::time::Duration;

use protocol::{Code, ProviderId, Secret, TenantId};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::context::Context;
use super::failure::Failure;
use super::interrupt;
use super::login::{enter, enter_locked, may_leave};
use super::methods::ask_recovery_key;
use crate::client::Client;
use crate::client::federation::{Came, CameIn, Elsewhere, NewByProvider, Returned, Through};
use crate::client::signin::{Unlocked, this_device};
use crate::output::{Output, harmless};

/// Signs in through the provider that is named.
pub(super) async fn log_in(
    context: &mut Context,
    named: &str,
    force: bool,
    accept_older_key: bool,
    recovery_key_stdin: bool,
) -> Result<(), Failure> {
    let output = context.output;
    let client = context.visitor()?;
    context.profile.can_keep()?;
    context.service(&client).await?;
    may_leave(context, None, force).await?;
    let through = through(&client, named).await?;
    let door = Door::open().await?;
    let elsewhere = Elsewhere::start(&client, &through, Some(door.uri())).await?;
    show(output, &elsewhere);
    let returned = door.answer(&elsewhere).await?;
    let device = this_device(context.profile.device_token()?);
    match elsewhere.finish(returned, device).await.map_err(told)? {
        Came::New(new) => sign_up(context, *new).await,
        Came::In(came) => come_in(context, *came, accept_older_key, recovery_key_stdin).await,
    }
}

/// Adds the provider that is named to the account.
pub(super) async fn link(
    context: &Context,
    account: &Unlocked,
    named: &str,
    start: impl AsyncFn(&Through, String) -> Result<Elsewhere, Failure>,
) -> Result<(), Failure> {
    let through = through(&account.client, named).await?;
    let door = Door::open().await?;
    let elsewhere = start(&through, door.uri()).await?;
    show(context.output, &elsewhere);
    let name = elsewhere.name().to_owned();
    let returned = door.answer(&elsewhere).await?;
    let method = elsewhere.link(returned).await.map_err(told)?;
    context.output.result(&json!({ "event": "linked", "method": method, "name": name }), || {
        format!("{} lets you in from now on.", harmless(&name))
    });
    Ok(())
}

/// The provider that somebody names: a tenant (`ten_…`, or `ten_…/pvd_…`), an address or a domain, or one of the platform by its id
/// or name.
async fn through(client: &Client, named: &str) -> Result<Through, Failure> {
    if let Some((tenant, provider)) = named.split_once('/') {
        let (tenant, provider) = (tenant.parse(), provider.parse());
        if let (Ok(tenant), Ok(provider)) = (tenant, provider) {
            return Ok(Through { tenant: Some(tenant), provider: Some(provider), domain: None });
        }
    }
    if let Ok(tenant) = named.parse::<TenantId>() {
        return Ok(Through { tenant: Some(tenant), ..Through::default() });
    }
    if let Ok(provider) = named.parse::<ProviderId>() {
        return Ok(Through { provider: Some(provider), ..Through::default() });
    }
    if let Some((_, domain)) = named.rsplit_once('@') {
        return Ok(Through { domain: Some(domain.to_owned()), ..Through::default() });
    }
    let known = client.sign_in_providers().await?.providers;
    if let Some(known) = known.iter().find(|known| known.name.eq_ignore_ascii_case(named)) {
        return Ok(Through { provider: Some(known.id), ..Through::default() });
    }
    if named.contains('.') {
        return Ok(Through { domain: Some(named.to_owned()), ..Through::default() });
    }
    let text = format!(
        "no provider {named:?}: give a tenant (ten_…), your address at work, or one of the server's providers"
    );
    Err(Failure::usage(text))
}

/// Makes an account, whose data this device opens, and a recovery key besides.
async fn sign_up(context: &mut Context, new: NewByProvider) -> Result<(), Failure> {
    let output = context.output;
    // What is made here is shown once.
    let held = interrupt::hold();
    output.note("Making the keys of a new account …");
    let device = this_device(context.profile.device_token()?);
    let (account, session) = new.sign_up(device).await.map_err(Failure::from).map_err(|failure| {
        if failure.is(Code::AccountExists) {
            return failure.saying(
                "there is an account with that address: sign in to it as usual, then `bailiwick methods add-provider`",
            );
        }
        failure
    })?;
    enter(context, &account, &session, false).await?;
    let made = account.add_recovery_key("").await;
    let key = made.as_ref().ok().map(|made| made.key.as_str().to_owned());
    let document = json!({
        "event": "signed_up",
        "account_id": account.number,
        "account": account.account,
        "home": account.home,
        "session": account.session,
        "device": account.device,
        "recovery_key": key,
        "expires_at": session.expires_at,
    });
    output.result(&document, || {
        let mut text = format!("Your account number is {}.\n", account.number);
        if let Ok(made) = &made {
            text.push_str(
                "Your provider lets you in; your data only this device opens, and what follows.\n\n",
            );
            text.push_str(&super::methods::recovery_key_text(&made.key));
        }
        text
    });
    if let Err(error) = made {
        output.warn(&format!("no recovery key was made: {error}. `bailiwick recovery-key create` makes one"));
    }
    drop(held);
    Ok(())
}

/// Opens the account's data by what this device kept, or by a recovery key; else keeps the session as it is.
async fn come_in(
    context: &mut Context,
    came: CameIn,
    accept_older_key: bool,
    recovery_key_stdin: bool,
) -> Result<(), Failure> {
    let output = context.output;
    if let Some(account) =
        context.profile.reopen(&came.client, &came.locked(), &came.session.server_half).await
        && came.is_of(&account)
    {
        let session = came.session.clone();
        enter(context, &account, &session, accept_older_key).await?;
        said(output, &came, "device");
        return Ok(());
    }
    if recovery_key_stdin {
        let key = ask_recovery_key(true, output)?;
        let number = came.number.clone();
        let signed_in = came.unlock_with_recovery_key(&key).await?;
        enter(context, &signed_in.account, &signed_in.session, accept_older_key).await?;
        let document = json!({
            "event": "signed_in", "account_id": number, "account": signed_in.account.account,
            "session": signed_in.account.session, "unlocked_by": "recovery-key", "confined": false,
        });
        output.result(&document, || format!("Signed in to account {number}."));
        return Ok(());
    }
    enter_locked(context, &came).await?;
    said(output, &came, "");
    Ok(())
}

fn said(output: Output, came: &CameIn, unlocked_by: &str) {
    let unlocked_by = Some(unlocked_by).filter(|by| !by.is_empty());
    let document = json!({
        "event": "signed_in",
        "account_id": came.number,
        "account": came.session.account,
        "home": came.session.home,
        "session": came.session.id,
        "device": came.session.device,
        "tenant": came.tenant,
        "confined": came.confined,
        "unlocked_by": unlocked_by,
        "expires_at": came.session.expires_at,
    });
    output.result(&document, || {
        let mut text = format!("Signed in to account {} on {}.", came.number, came.client.server());
        if came.confined {
            text.push_str("\nThis device is new to the account, so this is good in your organisation's tenant only.");
        }
        if unlocked_by.is_none() {
            text.push_str(
                "\nYour own files stay closed here: `bailiwick login --recovery-key`, or `login --pair`, opens them.",
            );
        }
        text
    });
}

fn show(output: Output, elsewhere: &Elsewhere) {
    let document = json!({ "event": "open", "url": elsewhere.url(), "name": elsewhere.name() });
    output.result(&document, || {
        format!(
            "Open this in a browser on this computer, and sign in at {}:\n\n  {}\n",
            harmless(elsewhere.name()),
            elsewhere.url()
        )
    });
}

fn told(error: crate::client::RequestError) -> Failure {
    let is_unlinked = error.is(Code::NotLinked);
    let failure = Failure::from(error);
    if !is_unlinked {
        return failure;
    }
    failure.saying(
        "no account is linked to that sign-in: sign in as you do otherwise, then `bailiwick methods add-provider`",
    )
}

/// Where the browser comes back to: a port of this machine, for one answer (RFC 8252, section 7.3).
struct Door {
    listener: TcpListener,
    port: u16,
}

impl Door {
    async fn open() -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::failed("no_port", format!("nothing can be waited for: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Door { listener, port })
    }

    fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the browser. What else knocks is turned away.
    async fn answer(self, elsewhere: &Elsewhere) -> Result<Returned, Failure> {
        let waiting = async {
            loop {
                let Ok((mut stream, _)) = self.listener.accept().await else { continue };
                let asked = timeout(PATIENCE, target(&mut stream)).await.ok().flatten();
                let Some(query) =
                    asked.as_deref().and_then(|asked| asked.strip_prefix(PATH)?.strip_prefix('?'))
                else {
                    reply(&mut stream, "404 Not Found", "There is nothing here.").await;
                    continue;
                };
                let one = |name: &str| parameter(query, name);
                if !one("state").is_some_and(|state| elsewhere.is_answered_by(&state)) {
                    reply(&mut stream, "400 Bad Request", "This is not what was begun here.").await;
                    continue;
                }
                match (one("state"), one("code")) {
                    (Some(state), Some(code)) => {
                        reply(&mut stream, "200 OK", "You are signed in there. Close this page and go back.")
                            .await;
                        let (state, code) = (Secret::from(state), Secret::from(code));
                        return Ok(Returned { state, code, issuer: one("iss") });
                    }
                    _ => {
                        reply(
                            &mut stream,
                            "200 OK",
                            "The provider did not let you in. Close this page and go back.",
                        )
                        .await;
                        let why = one("error").unwrap_or_default();
                        let text =
                            format!("{} did not let you in ({})", harmless(elsewhere.name()), harmless(&why));
                        return Err(Failure::failed(Code::ProviderRefused.as_str(), text));
                    }
                }
            }
        };
        let late =
            || Failure::failed(Code::SignInOver.as_str(), "nobody came back from the provider in time");
        timeout(LONGEST_WAIT, waiting).await.unwrap_or_else(|_| Err(late()))
    }
}

/// What a request asks for: the target of its first line, of a GET.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4_096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(buffer.get(..read)?);
        if head.len() > LONGEST_HEAD {
            return None;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let line = text.lines().next()?;
    let (target, version) = line.strip_prefix("GET ")?.split_once(' ')?;
    version.starts_with("HTTP/1.").then(|| target.to_owned())
}

async fn reply(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>Bailiwick</title><p>{text}</p>");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{page}",
        page.len()
    );
    // Somebody who does not listen any more has their answer already.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A parameter of a query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name)?.1;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

const PATH: &str = "/signed-in";
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
const LONGEST_HEAD: usize = 64 * 1024;
