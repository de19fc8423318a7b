// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which requests were made, as the log proves it.
//!
//! A record of requests has the hash of their text in its subject, and the log has the record. So neither a line nor a batch can be
//! changed or slipped in afterwards without showing. That a server left a request out when it was made, nothing shows.

use ledger::TreeHead;
use ledger::record::requests_hash;
use protocol::log::{LogEntry, REQUESTS_RECORDED, REQUESTS_SUBJECT, RequestBatch, Requests};

use crate::client::log::Log;
use crate::client::{Client, RequestError};
use crate::history::{Proof, Tiles};

/// A batch of requests, and whether it is what was logged.
#[derive(Clone, Debug)]
pub struct ProvenRequests {
    /// The record's number.
    pub number: u64,
    /// What the log says of it.
    pub proof: Proof,
    /// What it says; `None` when it is not what was logged, or its keys were destroyed.
    pub requests: Option<Requests>,
}

/// A page of them.
#[derive(Clone, Debug)]
pub struct ProvenPage {
    /// In the order of their numbers.
    pub batches: Vec<ProvenRequests>,
    /// The number to go on from.
    pub next: u64,
    /// Whether there may be more.
    pub more: bool,
}

impl Client {
    /// Batches of requests from a record's number on, each held against the head of its log.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn proven_requests(
        &self,
        log: Log,
        head: &TreeHead,
        from: u64,
    ) -> Result<ProvenPage, RequestError> {
        let page = self.requests(log, from).await?;
        let tenant = match log {
            Log::Tenant(tenant) => *tenant.as_bytes(),
            Log::Platform => [0; 16],
        };
        let mut tiles = Tiles::new(self, log);
        let mut batches = Vec::with_capacity(page.batches.len());
        for batch in page.batches {
            let number = batch.entry.number;
            let proof = if !is_of_its_record(&batch) {
                Proof::Refuted
            } else if number >= head.size {
                Proof::NotCovered
            } else if tiles.includes(tenant, &batch.entry, head).await? {
                Proof::Included
            } else {
                Proof::Refuted
            };
            let text = batch.text.filter(|_| proof != Proof::Refuted);
            let requests = text.and_then(|text| serde_json::from_str(&text).ok());
            batches.push(ProvenRequests { number, proof, requests });
        }
        Ok(ProvenPage { batches, next: page.next, more: page.more })
    }
}

/// Whether the text is that of the record. One that cannot be opened any more has none.
fn is_of_its_record(batch: &RequestBatch) -> bool {
    let LogEntry { record: Some(record), .. } = &batch.entry else { return false };
    let Some(hash) = record.subject.strip_prefix(REQUESTS_SUBJECT) else { return false };
    let is_its =
        |text: &String| data_encoding::BASE64URL_NOPAD.encode(&requests_hash(text.as_bytes())) == hash;
    record.action == REQUESTS_RECORDED && batch.text.as_ref().is_none_or(is_its)
}

#[cfg(test)]
mod tests {
    use protocol::id::RecordId;
    use protocol::log::Record;

    use super::*;

    #[test]
    fn a_text_is_of_the_record_that_has_its_hash() {
        let text = r#"{"version":1}"#;
        let batch = |action: &str, text: &str, of: &str| RequestBatch {
            entry: LogEntry {
                number: 0,
                leaf: [0; 32].into(),
                record: Some(Record {
                    id: RecordId::random(),
                    at: 0,
                    actor: "system:requests".into(),
                    via: String::new(),
                    action: action.into(),
                    subject: format!(
                        "requests:{}",
                        data_encoding::BASE64URL_NOPAD.encode(&requests_hash(of.as_bytes()))
                    ),
                    request: String::new(),
                    corrects: None,
                    details: Vec::new().into(),
                    opened: None,
                }),
            },
            text: Some(text.into()),
        };
        assert!(is_of_its_record(&batch("request.record", text, text)));
        assert!(!is_of_its_record(&batch("request.record", r#"{"version":2}"#, text)));
        assert!(!is_of_its_record(&batch("item.write", text, text)));
    }
}
