// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a drive's item says of its file, before it is sealed: JSON of version 1.

use keyring::file::HEADER_LEN;
use protocol::{Bytes, UploadId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::DamagedItem;
use super::path::RemotePath;

/// The longest file that is kept within its item.
pub const MAX_INLINE: usize = 64 * 1024;

/// A file, as its item describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The format's version.
    v: u32,
    /// The file's name in the drive.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ms: Option<i64>,
    /// Its permissions, where the system has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// SHA-256 of its bytes.
    pub sha256: Bytes<32>,
    /// Its bytes, when they are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes<MAX_INLINE>>,
    /// Where its bytes are, when they are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<StoredFile>,
}

/// A sealed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// The upload that it came by.
    pub id: UploadId,
    /// Its header: no other upload passes for this one.
    pub header: Bytes<HEADER_LEN>,
}

impl Content {
    /// Describes a file.
    pub fn new(path: &RemotePath, size: u64, sha256: [u8; 32]) -> Self {
        Content {
            v: VERSION,
            path: path.as_str().to_owned(),
            size,
            modified_ms: None,
            mode: None,
            sha256: sha256.into(),
            data: None,
            file: None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, DamagedItem> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| DamagedItem::Format)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedItem> {
        let content: Content = serde_json::from_slice(bytes).map_err(|_| DamagedItem::Format)?;
        let inline = content.data.as_ref().map(|data| data.as_slice().len() as u64);
        let is_whole = inline.is_none_or(|inline| inline == content.size)
            && content.data.is_some() != content.file.is_some()
            && content.sha256.as_slice().len() == 32;
        if content.v != VERSION {
            return Err(DamagedItem::Version(content.v));
        }
        if is_whole { Ok(content) } else { Err(DamagedItem::Format) }
    }
}

const VERSION: u32 = 1;
