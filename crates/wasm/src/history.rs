// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The history, verified here: against its signed checkpoint, and against what this browser saw of it before.

use client::RecordProof;
use client::verify::{CheckpointDocument, LogIdentity, VerifyError, identities};
use protocol::TenantId;
use wasm_bindgen::prelude::*;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::{tell, to_js};

#[wasm_bindgen]
impl Core {
    /// Verifies a tenant's whole history, the account's own if none is named, and pins what holds. `progress(records)` is told how
    /// many were looked at. What is wrong is in the answer; that it cannot be verified is an error.
    pub async fn verify(&self, tenant: Option<String>, progress: js_sys::Function) -> Answer {
        let (tenant, is_home) = self.tenant(tenant)?;
        let (own, platform) = self.logs(tenant).await?;
        let pins = self.pins.pins();
        let awaited = is_home.then(|| self.client.last_change()).flatten();
        if let Some(request) = &awaited {
            self.client.wait_for_record(tenant, request, LONGEST_WAIT).await.map_err(Failure::from)?;
        }
        // A function of the page stays on this thread, where there is no other.
        let (sender, mut told) = futures::channel::mpsc::unbounded::<u64>();
        wasm_bindgen_futures::spawn_local(async move {
            while let Some(records) = futures::StreamExt::next(&mut told).await {
                tell(&progress, records);
            }
        });
        let looked_at = move |records: u64| drop(sender.unbounded_send(records));
        let verified =
            self.client.verify(&own, &pins, awaited.as_deref(), &looked_at).await.map_err(Failure::from)?;
        let mut document = verified.to_document();
        if verified.is_intact() {
            if let Some(request) = awaited.filter(|_| !verified.is_awaiting) {
                self.client.turned_up(&request);
            }
            let head = self.client.verify_platform(&platform, &pins).await.map_err(Failure::from)?;
            let mut pins = self.pins.pins();
            pins.checkpoints.insert(own.origin.clone(), verified.note.clone());
            if let Some((head, note)) = head {
                pins.checkpoints.insert(platform.origin.clone(), note);
                document.platform = Some(CheckpointDocument {
                    origin: platform.origin,
                    size: head.size,
                    root: head.root.to_base64(),
                });
            }
            self.pins.put(pins);
        }
        to_js(&document)
    }

    /// Records from a number on, each with what the pinned checkpoint says of it: `included`, `not_covered` or `refuted`. Verify
    /// first.
    pub async fn records(&self, tenant: Option<String>, from: f64, limit: u32) -> Answer {
        let (tenant, _) = self.tenant(tenant)?;
        let (own, _) = self.logs(tenant).await?;
        let pinned = self.pins.pins().checkpoints.get(&own.origin).and_then(|note| own.head_of(note));
        let head = pinned.ok_or_else(Failure::out_of_turn)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "casts of floats saturate"
        )]
        let from = from as u64;
        let records = self.client.proven_records(tenant, &head, from, limit).await.map_err(Failure::from)?;
        let shown = records.into_iter().map(|record| {
            let proof = match record.proof {
                RecordProof::Included => "included",
                RecordProof::NotCovered => "not_covered",
                RecordProof::Refuted => "refuted",
            };
            let mut shown = serde_json::json!({ "number": record.entry.number, "proof": proof });
            if let Some(record) = record.entry.record {
                shown["record"] = serde_json::json!({
                    "at": record.at,
                    "actor": record.actor,
                    "via": record.via,
                    "action": record.action,
                    "subject": record.subject,
                    "request": record.request,
                    "opened": record.opened,
                });
            }
            shown
        });
        to_js(&shown.collect::<Vec<_>>())
    }
}

impl Core {
    /// The tenant that is meant, and whether it is the account's home.
    fn tenant(&self, named: Option<String>) -> Result<(TenantId, bool), Failure> {
        let home = self.account()?.home;
        match named {
            None => Ok((home, true)),
            Some(named) => {
                let tenant = named.parse::<TenantId>().map_err(|error| Failure::failed("tenant", error))?;
                Ok((tenant, tenant == home))
            }
        }
    }

    /// The names and keys of the logs, with the key that this browser pinned at its first use.
    async fn logs(&self, tenant: TenantId) -> Result<(LogIdentity, LogIdentity), Failure> {
        let service = self.client.service().await?;
        let mut pins = self.pins.pins();
        pins.check(&service)?;
        self.pins.put(pins);
        identities(&service, tenant).map_err(|error: VerifyError| error.into())
    }
}

/// How long a record may take to be in the history whose change was acknowledged.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(10);
