// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading logs: checkpoints, tiles (C2SP tlog-tiles) and records.

use ledger::{EntryBundle, Tile};
use protocol::TenantId;
use protocol::log::{Records, RequestBatches};
use reqwest::Method;

use super::objects::is_missing;
use super::{Call, Client, RequestError, read_body};

/// Whose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// A tenant's.
    Tenant(TenantId),
    /// The platform's own, in which the heads of all tenants are.
    Platform,
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Log::Tenant(tenant) => tenant.fmt(f),
            Log::Platform => f.write_str("platform"),
        }
    }
}

impl Client {
    /// The newest signed checkpoint of a log; `None` when there is none yet.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn checkpoint(&self, log: Log) -> Result<Option<String>, RequestError> {
        let path = format!("/api/v1/log/{log}/checkpoint");
        let response = match self.send(Call::new(Method::GET, &path)).await {
            Ok(response) => response,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let note = read_body(response, ledger::MAX_NOTE_BYTES).await?;
        String::from_utf8(note)
            .map(Some)
            .map_err(|error| RequestError::Malformed { what: "the checkpoint", error: error.to_string() })
    }

    /// The bytes of a tile.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tile(&self, log: Log, tile: Tile) -> Result<Vec<u8>, RequestError> {
        self.tile_bytes(&format!("/api/v1/log/{log}/{tile}"), MAX_TILE).await
    }

    /// The bytes of an entry bundle.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn entries(&self, log: Log, bundle: EntryBundle) -> Result<Vec<u8>, RequestError> {
        self.tile_bytes(&format!("/api/v1/log/{log}/{bundle}"), MAX_BUNDLE).await
    }

    /// Records of a log by their numbers: one page.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn records(&self, log: Log, from: u64, limit: u32) -> Result<Records, RequestError> {
        self.get(&format!("/api/v1/log/{log}/records?from={from}&limit={limit}")).await
    }

    /// Records of requests, with what they say: one page.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn requests(&self, log: Log, from: u64) -> Result<RequestBatches, RequestError> {
        self.get(&format!("/api/v1/log/{log}/requests?from={from}")).await
    }

    async fn tile_bytes(&self, path: &str, most: usize) -> Result<Vec<u8>, RequestError> {
        read_body(self.send(Call::new(Method::GET, path)).await?, most).await
    }
}

const MAX_TILE: usize = 256 * 32;
const MAX_BUNDLE: usize = 256 * (2 + 65_535);
