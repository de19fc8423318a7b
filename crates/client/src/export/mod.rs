// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything of an account in a folder, to be read and verified with no server.
//!
//! ```text
//! export.json                    which account, which log, and the master key sealed to the export's own key
//! account.json, methods.json     what the server says of the account
//! collections.ndjson             collections, their keys sealed under the account key
//! items/<collection>.ndjson      items, sealed as they lay on the server
//! versions/<collection>.ndjson   versions of them that were replaced and kept
//! files/<upload>                 sealed files, byte for byte
//! log/checkpoint, log/tile/…     the history as C2SP tlog-tiles
//! log/records.ndjson             the records, as they were
//! ```
//!
//! The **export key** is 256 random bits, shown once. Whoever has it and the folder can read everything; the folder alone
//! says no more than the server's disk does. A password would not do: without the server nobody can tell what it unlocks,
//! which is what protects it from being guessed.

mod check;
mod lines;
mod read;
mod take;

use std::io;
use std::path::PathBuf;

use data_encoding::BASE32_NOPAD;
use keyring::{MethodSecret, SystemRng};
use protocol::{AccountId, MethodId, TenantId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::RequestError;
use crate::files::{DriveError, GetError, disk};
use crate::verify::VerifyError;

pub use check::{ContentFinding, Contents};
pub use read::{Export, Opened};
pub use take::export;

/// What an export says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The server that it is from.
    pub server: String,
    /// The name of the platform's log.
    pub log_origin: String,
    /// The key of its logs, as a vkey (C2SP signed-note).
    pub log_public_key: String,
    /// The version of the master key.
    pub master_key_version: u32,
    /// How many records the history had when the items began to be listed: what these say was stored must be there.
    #[serde(default)]
    listed_after: u64,
    /// The export's place among the login methods.
    method: MethodId,
    /// The master key, sealed to the export key.
    sealed_master_key: protocol::Bytes<4096>,
}

/// What was taken along.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Exported {
    /// Collections.
    pub collections: u64,
    /// Items.
    pub items: u64,
    /// Versions of them that were replaced.
    pub versions: u64,
    /// Sealed files of items: contents over 256 KiB.
    pub blobs: u64,
    /// Records of the history.
    pub records: u64,
    /// What the server did not give.
    pub unreadable: Vec<Unreadable>,
}

/// Something that could not be taken along, or does not open.
#[derive(Clone, Debug, Serialize)]
pub struct Unreadable {
    /// Which: a file's name where it is known, otherwise an item or a file of the export.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl Unreadable {
    fn new(what: impl ToString, reason: impl ToString) -> Self {
        Unreadable { what: what.to_string(), reason: reason.to_string() }
    }
}

/// What opens an export. Shown once.
#[derive(Clone)]
pub struct ExportKey(Zeroizing<[u8; 32]>);

impl ExportKey {
    fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rand_core::Rng::fill_bytes(&mut SystemRng, key.as_mut_slice());
        ExportKey(key)
    }

    /// Reads a key as typed.
    ///
    /// # Errors
    /// [`ExportError::Key`].
    pub fn parse(typed: &str) -> Result<Self, ExportError> {
        let symbols: Zeroizing<String> = Zeroizing::new(
            typed.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_uppercase(),
        );
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(symbols.as_bytes()).map_err(|_| ExportError::Key)?);
        let key = bytes.as_slice().try_into().map_err(|_| ExportError::Key)?;
        Ok(ExportKey(Zeroizing::new(key)))
    }

    /// The key as shown: groups of four.
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()));
        let groups: Vec<&str> =
            text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        Zeroizing::new(groups.join("-"))
    }

    fn secret(&self) -> Result<MethodSecret, ExportError> {
        MethodSecret::from_bytes(self.0.as_slice()).map_err(|_| ExportError::Key)
    }
}

/// Why an export was not made or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An item is damaged.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// A file is damaged or cannot be written.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The history cannot be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The folder has something in it.
    #[error("{} is not empty: an export goes into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {}", .0.display(), disk::said(.1))]
    Local(PathBuf, io::Error),
    /// What was typed is not an export key.
    #[error("an export key has 52 letters and digits, in groups of four")]
    Key,
    /// A file of the export is not what it should be.
    #[error("{} is not part of an export: {}", .0.display(), .1)]
    NotAnExport(PathBuf, String),
    /// Written by a newer release.
    #[error("the export was written by a newer release (version {0}): update this program")]
    Version(u32),
    /// It does not open with this key.
    #[error("the export does not open with this key: {0}")]
    DoesNotOpen(keyring::OpenError),
}

const VERSION: u32 = 1;
const MANIFEST: &str = "export.json";
const COLLECTIONS: &str = "collections.ndjson";
/// Versions of items that were replaced.
const VERSIONS: &str = "versions";
const RECORDS: &str = "records.ndjson";
