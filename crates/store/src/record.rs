// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Records: what happened, written in the transaction that made it happen.

use ledger::Hash;
use ledger::record::{RecordHeader, leaf_hash, payload_hash};
use uuid::Uuid;

use crate::{StoreError, TenantId};

/// The tables that every tenant's history stands in.
pub(crate) const MIGRATIONS: &[crate::Migration] = &[crate::Migration {
    name: "store/1",
    scope: crate::Scope::Everywhere,
    sql: include_str!("../migrations/1-history.sql"),
}];

/// Who opens a transaction, through what, and to do what. Fixed at the door, so that an operation
/// cannot put its change under another name.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The principal: `acc_…`, `visitor`, `system:<worker>`.
    pub actor: String,
    /// The session or credential that it acts through; empty when there is none.
    pub via: String,
    /// The action that was decided, such as `item.write`.
    pub action: String,
    /// The request's id.
    pub request: String,
}

/// How many bytes the details of a record have at most. Who verifies a history takes no more; and what is written there is there
/// for ever.
pub const MAX_DETAILS: usize = 64 << 10;

/// The id of a record: a UUID version 7.
pub type RecordId = Uuid;

/// What a record says beyond its [`Entry`]: the subject and, sealed, the details.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub(crate) subject: String,
    pub(crate) details: Vec<u8>,
    pub(crate) corrects: Option<RecordId>,
}

impl Record {
    /// A record about `subject`, an opaque id such as `itm_…`; never a name or an address.
    pub fn about(subject: impl ToString) -> Self {
        Record { subject: subject.to_string(), ..Record::default() }
    }

    /// Adds details. They must be sealed: the log keeps them for ever.
    #[must_use]
    pub fn details(mut self, sealed: Vec<u8>) -> Self {
        self.details = sealed;
        self
    }

    /// Names the record that this one corrects.
    #[must_use]
    pub fn correcting(mut self, record: RecordId) -> Self {
        self.corrects = Some(record);
        self
    }
}

/// The canonical header of a record.
pub(crate) fn header_of(
    tenant: TenantId,
    id: RecordId,
    at: i64,
    entry: Entry,
    subject: String,
    corrects: Option<RecordId>,
) -> RecordHeader {
    RecordHeader {
        tenant: *tenant.as_bytes(),
        id: *id.as_bytes(),
        at,
        actor: entry.actor,
        via: entry.via,
        action: entry.action,
        subject,
        corrects: corrects.map(|id| *id.as_bytes()),
        request: entry.request,
    }
}

/// The leaf that the log gets for a record.
pub(crate) fn leaf_of(header: &RecordHeader, details: &[u8]) -> Result<Hash, StoreError> {
    let header = header.encode().map_err(|error| StoreError::Refused(error.to_string()))?;
    Ok(leaf_hash(&header, &payload_hash(details)))
}

/// A record as it stands in the database, with its place in the log when it has one.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// Its leaf's number in the log, from 0; `None` until the sequencer has been there.
    pub number: Option<u64>,
    /// Its id.
    pub id: RecordId,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// See [`Entry::actor`].
    pub actor: String,
    /// See [`Entry::via`].
    pub via: String,
    /// See [`Entry::action`].
    pub action: String,
    /// What it is about.
    pub subject: String,
    /// See [`Entry::request`].
    pub request: String,
    /// The record that it corrects.
    pub corrects: Option<RecordId>,
    /// The sealed details.
    pub details: Vec<u8>,
}
