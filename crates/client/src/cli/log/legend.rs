// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names in place of ids, as far as this device can tell them. What people chose themselves stands in quotation marks: nobody
//! is called "you", or a part of the server.

use std::collections::HashMap;
use std::path::PathBuf;

use protocol::log::{LogEntry, Record};
use protocol::{ItemId, TenantId};

use super::super::context::Context;
use super::super::tenant::Words;
use super::change::done;
use super::upload_of;
use crate::client::Client;
use crate::client::log::Log;
use crate::files::{Drive, Names};
use crate::output::{harmless, moment};

/// What ids are called, as far as this device can tell.
pub(super) struct Legend {
    own: String,
    /// Sessions and devices by their ids.
    devices: HashMap<String, String>,
    /// Whether those are all sessions of one's own that are live.
    knows_sessions: bool,
    /// API keys and applications by their ids.
    keys: HashMap<String, String>,
    /// What is in the tenant; `None` for one's own history.
    words: Option<Words>,
    drive: Option<Drive>,
    names: Option<Names>,
    kept_in: PathBuf,
    /// Whether the names are as new as the records.
    is_current: bool,
}

impl Legend {
    /// For this history, or the account's own. What cannot be told is left as it is: an id.
    pub(super) async fn new(context: &Context, client: &Client, own: &str, of: Option<Log>) -> Self {
        let mut devices = HashMap::new();
        for device in client.devices().await.map(|devices| devices.devices).unwrap_or_default() {
            devices.insert(device.id.to_string(), device.name);
        }
        let sessions = client.sessions().await;
        let knows_sessions = sessions.is_ok();
        for session in sessions.map(|sessions| sessions.sessions).unwrap_or_default() {
            devices.insert(session.id.to_string(), session.device_name);
        }
        let (words, tenant) = match of {
            Some(Log::Tenant(tenant)) => {
                (Some(Words::for_people(context, client, tenant).await), Some(tenant))
            }
            Some(Log::Platform) => (Some(Words::default()), None),
            None => (None, None),
        };
        let drive = match of {
            Some(_) => None,
            None => context.drive().await.ok(),
        };
        let mut legend = Legend {
            own: own.to_owned(),
            devices,
            knows_sessions,
            keys: keys(client, tenant).await,
            words,
            drive,
            names: None,
            kept_in: context.profile.names(),
            is_current: false,
        };
        legend.refresh().await;
        legend
    }

    /// Goes on to records that were written since: some names nobody can tell any more.
    pub(super) fn turn_page(&mut self) {
        self.is_current = false;
    }

    async fn refresh(&mut self) {
        if let Some(drive) = &self.drive {
            self.names = Names::current(drive, &self.kept_in).await.ok();
        }
        self.is_current = true;
    }

    /// A record in cells: when, what was done, by whom, to what.
    pub(super) async fn cells(&mut self, entry: &LogEntry) -> Vec<String> {
        let number = entry.number;
        let Some(record) = &entry.record else {
            return vec![format!("{number:>6}  this record is gone: run `bailiwick verify`")];
        };
        if is_named(&record.subject) && self.name_of(&record.subject).is_none() && !self.is_current {
            self.refresh().await;
        }
        let subject =
            self.name_of(&record.subject).map_or_else(|| self.called(&record.subject), str::to_owned);
        let said = match &record.opened {
            Some(opened) => {
                let done = done(&record.action, opened).map(|done| format!("{done} ")).unwrap_or_default();
                format!("  {done}{opened}")
            }
            None if notes_use(record) => "  its use was noted".to_owned(),
            None => String::new(),
        };
        vec![
            format!("{number:>6}  {}", moment(record.at)),
            harmless(&record.action),
            harmless(&self.actor(record)),
            harmless(&format!("{subject}{said}")),
        ]
    }

    /// The name of the file that a record is about.
    fn name_of(&self, subject: &str) -> Option<&str> {
        let names = self.names.as_ref()?;
        match subject.parse() {
            Ok(item) => names.of(item),
            Err(_) => names.of_upload(upload_of(subject)?),
        }
    }

    /// Who did it, and through what.
    fn actor(&self, record: &Record) -> String {
        let is_own = record.actor == self.own;
        let who = if is_own { "you".to_owned() } else { self.quoted(&record.actor) };
        let via = record.via.as_str();
        if let Some(device) = self.devices.get(via) {
            return format!("{who} on {device}");
        }
        match via.split_once('_').map_or("", |(kind, _)| kind) {
            // Of one's own sessions all that live are known. Of other people's, nobody is told.
            "ses" if is_own && self.knows_sessions => format!("{who}, earlier session"),
            "ses" | "" => who,
            "mth" => format!("{who}, by API key {}", self.quoted(via)),
            "cli" => format!("{who}, by application {}", self.quoted(via)),
            "svk" => format!("{who}, by key {via}"),
            "sup" => format!("{who}, let in by {via}"),
            _ => format!("{who}, by {via}"),
        }
    }

    fn called(&self, subject: &str) -> String {
        if subject == self.own {
            return if self.words.is_some() { "you" } else { "this account" }.to_owned();
        }
        match (self.devices.get(subject), subject.starts_with("ses_")) {
            (Some(device), true) => format!("session on {device}"),
            (Some(device), false) => format!("device {device}"),
            (None, _) => self.quoted(subject),
        }
    }

    /// What somebody called this, or its id.
    fn quoted(&self, id: &str) -> String {
        let word = || self.words.as_ref().and_then(|words| words.name(id));
        match self.keys.get(id).map(String::as_str).or_else(word) {
            Some(name) if !name.is_empty() => format!("{name:?}"),
            _ => id.to_owned(),
        }
    }
}

/// What API keys and applications are called.
async fn keys(client: &Client, tenant: Option<TenantId>) -> HashMap<String, String> {
    let keys = client.api_keys().await.map(|keys| keys.api_keys).unwrap_or_default();
    let mut known: HashMap<_, _> = keys.into_iter().map(|key| (key.id.to_string(), key.label)).collect();
    let allowed = client.authorizations().await.map(|all| all.authorizations).unwrap_or_default();
    known.extend(allowed.into_iter().map(|one| (one.client.to_string(), one.client_name)));
    if let Some(tenant) = tenant {
        let clients = client.clients(tenant).await.map(|all| all.clients).unwrap_or_default();
        known.extend(clients.into_iter().map(|one| (one.id.to_string(), one.name)));
    }
    known
}

/// Whether a record says no more than that the server noted when a session or a key was used last. It does that by itself, aside from
/// the request, so it is upkeep; not with each use.
fn notes_use(record: &Record) -> bool {
    let notes = ["system:sessions", "system:api-keys", "system:service-accounts"];
    record.action == "maintenance.run" && notes.contains(&record.actor.as_str())
}

/// Whether a record is about a file.
fn is_named(subject: &str) -> bool {
    subject.parse::<ItemId>().is_ok() || upload_of(subject).is_some()
}
