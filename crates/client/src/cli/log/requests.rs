// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `log --requests`: which requests were made, each held against the log. What the log does not prove is not shown.

use ledger::TreeHead;
use protocol::log::{RequestLine, Requests, VisitorLine};
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::failure::Failure;
use super::settle;
use crate::client::log::Log;
use crate::history::Proof;
use crate::output::{harmless, is_heard, moment, say};
use crate::verify::{LogIdentity, VerifyError};

pub(super) async fn requests(context: &mut Context, of: Log, mut from: u64) -> Result<(), Failure> {
    let (client, _) = context.reader()?;
    let service = context.service(&client).await?;
    let identity = match of {
        Log::Tenant(tenant) => {
            settle(&client, of).await;
            LogIdentity::of_tenant(&service.log_origin, &service.log_public_key, tenant)
        }
        Log::Platform => LogIdentity::of_platform(&service.log_origin, &service.log_public_key),
    }?;
    let note = client.checkpoint(of).await?.ok_or(VerifyError::NoCheckpoint)?;
    let head: TreeHead = identity.head_of(&note).ok_or(VerifyError::WrongCheckpoint)?;
    let mut refuted = Vec::new();
    loop {
        let page = client.proven_requests(of, &head, from).await?;
        for batch in page.batches {
            if batch.proof == Proof::Refuted {
                refuted.push(batch.number);
                continue;
            }
            let is_proven = batch.proof == Proof::Included;
            match (&batch.requests, context.output.is_json()) {
                (None, false) => {
                    context.output.note(&format!("{:>6}  its keys were destroyed", batch.number))
                }
                (None, true) => {}
                (Some(requests), true) => {
                    for line in documents(batch.number, is_proven, requests) {
                        say(&line.to_string());
                    }
                }
                (Some(requests), false) => {
                    for line in lines(requests) {
                        say(&harmless(&line));
                    }
                }
            }
        }
        if !page.more || page.next <= from || !is_heard() {
            break;
        }
        from = page.next;
    }
    match refuted.first() {
        None => Ok(()),
        Some(first) => Err(VerifyError::Requests { first: *first, count: refuted.len() }.into()),
    }
}

/// A caller, by its place.
fn caller(requests: &Requests, place: u32) -> (&str, &str) {
    let caller = requests.callers.get(place as usize);
    caller.map_or(("?", ""), |(actor, via)| (actor, via))
}

fn route(requests: &Requests, place: u32) -> &str {
    requests.routes.get(place as usize).map_or("?", String::as_str)
}

/// For people: when, who, what, how it went.
fn lines(requests: &Requests) -> impl Iterator<Item = String> {
    let one = |line: &RequestLine| {
        let RequestLine(at, request, of, by, status, took, sent, answered, ..) = line;
        let (actor, via) = caller(requests, *by);
        let bytes = answered.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        let ms = *took as f64 / 1_000.0;
        format!(
            "{}  {status}  {:<56}  {actor} by {via}  {sent} B in, {bytes} B out, {ms:.1} ms  {request}",
            moment(requests.since.saturating_add(*at)),
            route(requests, *of),
        )
    };
    let counted = |line: &VisitorLine| {
        let VisitorLine(of, status, times, first, _) = line;
        let (when, of) = (moment(requests.since.saturating_add(*first)), route(requests, *of));
        format!("{when}  {status}  {of:<56}  visitors, {times} times")
    };
    requests.requests.iter().map(one).chain(requests.visitors.iter().map(counted))
}

fn documents(number: u64, is_proven: bool, requests: &Requests) -> impl Iterator<Item = Value> {
    let one = move |line: &RequestLine| {
        let RequestLine(at, request, of, by, status, took, sent, answered, sent_hash, answered_hash) = line;
        let (actor, via) = caller(requests, *by);
        json!({
            "number": number, "proven": is_proven, "at": requests.since.saturating_add(*at), "request": request,
            "route": route(requests, *of), "actor": actor, "via": via, "status": status, "took_us": took,
            "sent": sent, "answered": answered, "sent_hash": sent_hash, "answered_hash": answered_hash,
            "salt": requests.salt, "tenant": requests.tenant,
        })
    };
    let counted = move |line: &VisitorLine| {
        let VisitorLine(of, status, times, first, last) = line;
        json!({
            "number": number, "proven": is_proven, "at": requests.since.saturating_add(*first),
            "last": requests.since.saturating_add(*last), "route": route(requests, *of), "actor": "visitor",
            "status": status, "times": times,
        })
    };
    requests.requests.iter().map(one).chain(requests.visitors.iter().map(counted))
}
