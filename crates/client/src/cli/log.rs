// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Showing the history. For people with names in place of ids, where this device can tell them: the server knows none.

mod requests;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use protocol::log::{LogEntry, Record};
use protocol::{Code, ItemId, TenantId, UploadId};
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use crate::client::Client;
use crate::client::log::Log;
use crate::files::{Drive, Names};
use crate::output::{harmless, moment, write_line};

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

    /// Those made of the platform, and by nobody who is known. Goes with --requests
    #[arg(long, requires = "requests", conflicts_with = "tenant")]
    platform: bool,
}

pub(super) async fn log(context: &mut Context, arguments: LogArgs) -> Result<(), Failure> {
    if arguments.requests {
        let of = if arguments.platform { Log::Platform } else { Log::Tenant(of(context, arguments.tenant)?) };
        return requests::requests(context, of, arguments.from).await;
    }
    let by_key = context.api_key()?.is_some();
    let (client, home) = context.reader()?;
    let of = arguments.tenant.unwrap_or(home);
    let own = context.profile.stored()?.filter(|_| !by_key).map(|stored| stored.account.to_string());
    let mut from = arguments.from;
    settle(&client, of).await;
    if let Some(request) = context.profile.last_change()?.filter(|_| !by_key && of == home) {
        // What was just done is worth a moment.
        client.wait_for_record(home, &request, SHORT_WAIT).await?;
    }
    let mut legend = match context.output.is_json() {
        true => None,
        false => Some(Legend::new(context, &client, &own.unwrap_or_default()).await),
    };
    loop {
        let page = client.records(of, from, PAGE).await?;
        if let Some(legend) = &mut legend {
            // Once a page: some names nobody can tell any more.
            legend.is_current = false;
        }
        let mut records = page.records.iter().peekable();
        while let Some(entry) = records.next() {
            let line = match &mut legend {
                Some(legend) => {
                    // A large file is written and read in many requests, each with its record: one line for people.
                    let mut times = 1_u32;
                    while records.next_if(|next| is_alike(entry, next)).is_some() {
                        times += 1;
                    }
                    let line = legend.line(entry).await;
                    if times > 1 { format!("{line}  ({times} times)") } else { line }
                }
                None => line_of_json(entry),
            };
            write_line(&mut io::stdout().lock(), &line);
        }
        let went_on = page.next > from;
        from = from.max(page.next);
        if page.more && went_on {
            continue;
        }
        if !arguments.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

fn of(context: &mut Context, tenant: Option<TenantId>) -> Result<TenantId, Failure> {
    match tenant {
        Some(tenant) => Ok(tenant),
        None => Ok(context.reader()?.1),
    }
}

/// Whether two records say the same of the same, at another moment.
fn is_alike(one: &LogEntry, other: &LogEntry) -> bool {
    let says = |entry: &LogEntry| {
        let record = entry.record.as_ref()?;
        let subject = upload_of(&record.subject).map_or_else(|| record.subject.clone(), |id| id.to_string());
        Some((record.actor.clone(), record.via.clone(), record.action.clone(), subject))
    };
    says(one).is_some_and(|one| Some(one) == says(other))
}

/// Whether a record is about a file.
fn is_named(subject: &str) -> bool {
    subject.parse::<ItemId>().is_ok() || upload_of(subject).is_some()
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

/// What ids are called, as far as this device can tell.
struct Legend {
    own: String,
    /// Sessions and devices by their ids.
    devices: HashMap<String, String>,
    drive: Option<Drive>,
    names: Option<Names>,
    kept_in: PathBuf,
    /// Whether the names are as new as the records.
    is_current: bool,
}

impl Legend {
    /// What cannot be told is left as it is: an id.
    async fn new(context: &Context, client: &Client, own: &str) -> Self {
        let mut devices = HashMap::new();
        for device in client.devices().await.map(|devices| devices.devices).unwrap_or_default() {
            devices.insert(device.id.to_string(), device.name);
        }
        for session in client.sessions().await.map(|sessions| sessions.sessions).unwrap_or_default() {
            devices.insert(session.id.to_string(), session.device_name);
        }
        let drive = context.drive().await.ok();
        let kept_in = context.profile.names();
        let own = own.to_owned();
        let mut legend = Legend { own, devices, drive, names: None, kept_in, is_current: false };
        legend.refresh().await;
        legend
    }

    async fn refresh(&mut self) {
        if let Some(drive) = &self.drive {
            self.names = Names::current(drive, &self.kept_in).await.ok();
        }
        self.is_current = true;
    }

    async fn line(&mut self, entry: &LogEntry) -> String {
        let number = entry.number;
        let Some(record) = &entry.record else {
            return format!("{number:>6}  this record is gone: run `bailiwick verify`");
        };
        if is_named(&record.subject) && self.name_of(&record.subject).is_none() && !self.is_current {
            self.refresh().await;
        }
        let subject =
            self.name_of(&record.subject).map_or_else(|| self.called(&record.subject), str::to_owned);
        let said = record.opened.as_ref().map(|opened| format!("  {opened}")).unwrap_or_default();
        format!(
            "{number:>6}  {}  {:<20}  {:<24}  {}{}",
            moment(record.at),
            harmless(&record.action),
            harmless(&self.actor(record)),
            harmless(&subject),
            harmless(&said)
        )
    }

    /// The name of the file that a record is about.
    fn name_of(&self, subject: &str) -> Option<&str> {
        let names = self.names.as_ref()?;
        match subject.parse() {
            Ok(item) => names.of(item),
            Err(_) => names.of_upload(upload_of(subject)?),
        }
    }

    fn actor(&self, record: &Record) -> String {
        let who = if record.actor == self.own { "you" } else { record.actor.as_str() };
        match self.devices.get(&record.via) {
            Some(device) => format!("{who} on {device}"),
            None if record.via.starts_with("ses_") => format!("{who}, earlier session"),
            None => who.to_owned(),
        }
    }

    fn called(&self, subject: &str) -> String {
        if subject == self.own {
            return "this account".to_owned();
        }
        match (self.devices.get(subject), subject.starts_with("ses_")) {
            (Some(device), true) => format!("session on {device}"),
            (Some(device), false) => format!("device {device}"),
            (None, _) => subject.to_owned(),
        }
    }
}

/// Records of what was just done may be a moment away from the log.
pub(super) async fn settle(client: &Client, home: TenantId) {
    for _ in 0..8 {
        match client.checkpoint(Log::Tenant(home)).await {
            Ok(None) => tokio::time::sleep(Duration::from_millis(250)).await,
            Err(error) if error.is(Code::Unavailable) => {}
            _ => return,
        }
    }
}

const PAGE: u32 = 500;
const FOLLOW_PAUSE: Duration = Duration::from_secs(2);
const SHORT_WAIT: Duration = Duration::from_secs(2);
