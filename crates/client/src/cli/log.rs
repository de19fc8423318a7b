// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Showing the history. For people with names in place of ids, where this device can tell them: the server knows none.

mod change;
mod legend;
mod requests;

use std::time::Duration;

use clap::Args;
use protocol::log::{LogEntry, Record};
use protocol::{Code, TenantId, UploadId};
use serde_json::json;

use self::legend::Legend;
use super::context::Context;
use super::failure::Failure;
use crate::client::Client;
use crate::client::log::Log;
use crate::output::{is_heard, say};

/// Arguments of `log`.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Begin with the record of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    from: u64,

    /// Go on as records are written
    #[arg(long)]
    follow: bool,

    /// The history of this tenant (ten_…) instead of the account's own
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,

    /// Which requests were made, each held against the log, instead of what was changed
    #[arg(long, conflicts_with = "follow")]
    requests: bool,

    /// The platform's own history instead, for its administrators and auditors. With --requests, those made of the platform and
    /// by nobody who is known
    #[arg(long, conflicts_with = "tenant")]
    platform: bool,
}

pub(super) async fn log(context: &mut Context, arguments: LogArgs) -> Result<(), Failure> {
    let by_key = context.api_key()?.is_some();
    let (client, home) = context.reader()?;
    let of = match arguments.platform {
        true => Log::Platform,
        false => Log::Tenant(arguments.tenant.unwrap_or(home)),
    };
    if arguments.requests {
        return requests::requests(context, of, arguments.from).await;
    }
    let is_own = of == Log::Tenant(home);
    let own = context.profile.stored()?.filter(|_| !by_key).map(|stored| stored.account.to_string());
    let mut from = arguments.from;
    if let Some(tenant) = arguments.tenant.filter(|tenant| *tenant != home) {
        context.work_in(tenant, true);
    }
    settle(&client, of).await;
    if let Some(request) = context.profile.last_change()?.filter(|_| !by_key && is_own) {
        // What was just done is worth a moment.
        client.wait_for_record(home, &request, SHORT_WAIT).await?;
    }
    let mut legend = match context.output.is_json() {
        true => None,
        false => {
            let of = (!is_own).then_some(of);
            Some(Legend::new(context, &client, &own.unwrap_or_default(), of).await)
        }
    };
    let mut columns = Columns([0, 20, 24]);
    loop {
        let page = client.records(of, from, PAGE).await.map_err(|error| context.hinted(error.into()))?;
        if let Some(legend) = &mut legend {
            legend.turn_page();
        }
        let mut records = page.records.iter().peekable();
        let mut rows = Vec::new();
        while let Some(entry) = records.next() {
            let Some(legend) = &mut legend else {
                say(&line_of_json(entry));
                continue;
            };
            // A large file is written and read in many requests, each with its record: one line for people.
            let mut times = 1_u32;
            while records.next_if(|next| is_alike(entry, next)).is_some() {
                times += 1;
            }
            let mut cells = legend.cells(entry).await;
            if let Some(last) = cells.last_mut().filter(|_| times > 1) {
                last.push_str(&format!("  ({times} times)"));
            }
            columns.widen(&cells);
            rows.push(cells);
        }
        for row in &rows {
            say(&columns.line(row));
        }
        let went_on = page.next > from;
        from = from.max(page.next);
        if !is_heard() {
            return Ok(());
        }
        if page.more && went_on {
            continue;
        }
        if !arguments.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

/// How wide the columns are, but the last. They only grow from page to page.
struct Columns([usize; 3]);

impl Columns {
    fn widen(&mut self, row: &[String]) {
        let Some((_, cells)) = row.split_last() else { return };
        for (width, cell) in self.0.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    fn line(&self, row: &[String]) -> String {
        let Some((last, cells)) = row.split_last() else { return String::new() };
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(self.0) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        line.push_str(last);
        line
    }
}

/// Whether two records say the same of the same, at another moment.
fn is_alike(one: &LogEntry, other: &LogEntry) -> bool {
    let (Some(one), Some(other)) = (&one.record, &other.record) else { return false };
    let about = |record: &Record| {
        upload_of(&record.subject).map_or_else(|| record.subject.clone(), |upload| upload.to_string())
    };
    // What nobody opens here is the same when its bytes are.
    let says_the_same = one.opened == other.opened && (one.opened.is_some() || one.details == other.details);
    (&one.actor, &one.via, &one.action) == (&other.actor, &other.via, &other.action)
        && one.corrects == other.corrects
        && says_the_same
        && about(one) == about(other)
}

/// The upload that a record is about, or about a part of.
fn upload_of(subject: &str) -> Option<UploadId> {
    subject.split('/').next()?.parse().ok()
}

fn line_of_json(entry: &LogEntry) -> String {
    let number = entry.number;
    match &entry.record {
        Some(record) => json!({
            "number": number, "id": record.id, "at": record.at, "actor": record.actor, "via": record.via,
            "action": record.action, "subject": record.subject, "request": record.request,
            "corrects": record.corrects, "opened": record.opened,
        }),
        None => json!({ "number": number, "missing": true }),
    }
    .to_string()
}

/// Records of what was just done may be a moment away from the log.
pub(super) async fn settle(client: &Client, log: Log) {
    for _ in 0..8 {
        match client.checkpoint(log).await {
            Ok(None) => tokio::time::sleep(Duration::from_millis(250)).await,
            Err(error) if error.is(Code::Unavailable) => {}
            _ => return,
        }
    }
}

const PAGE: u32 = 500;
const FOLLOW_PAUSE: Duration = Duration::from_secs(2);
const SHORT_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_from_page_to_page() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let (short, long) =
            (row(&["1", "item.read", "you", "a"]), row(&["2", "service_account.refuse", "you", "b"]));
        let mut columns = Columns([0, 4, 4]);
        columns.widen(&short);
        assert_eq!(columns.line(&short), "1  item.read  you   a");
        columns.widen(&long);
        assert_eq!(columns.line(&short), "1  item.read               you   a");
        assert_eq!(columns.line(&row(&["a record that is gone"])), "a record that is gone");
    }
}
