// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's history, and what it takes to verify it. `GET /api/v1/log/{tenant}/checkpoint` and
//! `…/tile/…` are C2SP tlog-tiles as they stand; what is here is the readable form beside them.

use serde::{Deserialize, Serialize};

use crate::Bytes;
use crate::id::RecordId;

/// `GET /api/v1/log/{tenant}/records?from=&limit=`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Records {
    /// Records by their numbers.
    pub records: Vec<LogEntry>,
    /// What to pass as `from` next.
    pub next: u64,
    /// Whether there are more that have a number.
    pub more: bool,
}

/// A leaf of the log, with the record that it stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogEntry {
    /// The number, from 0.
    pub number: u64,
    /// The leaf's hash, as it was folded into the log.
    pub leaf: Bytes<32>,
    /// The record as it stands; absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

/// A record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Record {
    /// The record.
    pub id: RecordId,
    /// When.
    pub at: i64,
    /// Who: `acc_…`, `visitor`, `system:…`.
    pub actor: String,
    /// Through what: `ses_…`, or empty.
    pub via: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// In which request.
    pub request: String,
    /// The record that it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<RecordId>,
    /// The details, sealed.
    pub details: Bytes<65536>,
    /// What they say, where the server has the keys: what was so `before` and `after`, and the `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub opened: Option<serde_json::Value>,
}

/// The action under which the requests of a while are recorded.
pub const REQUESTS_RECORDED: &str = "request.record";

/// How the subject of such a record begins; the rest is the hash of the text, base64url.
pub const REQUESTS_SUBJECT: &str = "requests:";

/// `GET /api/v1/log/{tenant}/requests?from=&limit=`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RequestBatches {
    /// Records of requests by their numbers.
    pub batches: Vec<RequestBatch>,
    /// What to pass as `from` next.
    pub next: u64,
    /// Whether there may be more that have a number.
    pub more: bool,
}

/// The requests of a while: one record of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RequestBatch {
    /// The record. Its subject is `requests:` and a hash of the text.
    pub entry: LogEntry,
    /// What it says, as JSON ([`Requests`]), byte by byte as it was hashed; absent when its keys were destroyed, or when it is not
    /// what was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What the text of a batch says. Routes and callers are told once, and named by their place in the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requests {
    /// The format: 1.
    pub version: u8,
    /// The tenant, when the batch could not be recorded there, since it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The time from which the requests' times count, in milliseconds since the Unix epoch.
    pub since: i64,
    /// What the hashes of bodies are salted with.
    pub salt: Bytes<32>,
    /// Method and pattern of the path, such as `GET /api/v1/collections/{collection}`; `unmatched` for a path that there is not.
    pub routes: Vec<String>,
    /// Who called (`acc_…`, `sva_…`, `cli_…`), and through what (`ses_…`, `mth_…`, `cli_…`, `svk_…`).
    pub callers: Vec<(String, String)>,
    /// Requests, in the order in which they were answered.
    pub requests: Vec<RequestLine>,
    /// Requests of nobody who is known: counted, not told one by one.
    pub visitors: Vec<VisitorLine>,
}

/// One request: an array in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestLine(
    /// When it arrived: milliseconds after `since`, or before.
    pub i64,
    /// Its id, as in `X-Request-Id`.
    pub String,
    /// The route.
    pub u32,
    /// The caller.
    pub u32,
    /// The status that it was answered with; 499 when whoever asked left before that.
    pub u16,
    /// How long until the answer began, in microseconds.
    pub u64,
    /// Bytes of the body that was sent, as far as it was read.
    pub u64,
    /// Bytes of the answer's body; none when that was not known when it began.
    pub Option<u64>,
    /// `SHA-256(salt ‖ SHA-256(body))` of what was sent; none without a body, for parts of files, which are sealed and recorded by
    /// themselves, and for who is not known, since passwords and addresses come in those.
    pub Option<Bytes<32>>,
    /// The same of the answer; none for files and streams.
    pub Option<Bytes<32>>,
);

/// Requests alike: an array in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VisitorLine(
    /// The route.
    pub u32,
    /// The status.
    pub u16,
    /// How many.
    pub u64,
    /// The first, in milliseconds after `since`.
    pub i64,
    /// The last.
    pub i64,
);
