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
    /// What they say, in a customer's tenant, whose keys the server has: what was so `before` and `after`, and the `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub opened: Option<serde_json::Value>,
}
