// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Earlier versions of files, as many as their collection keeps.

use protocol::objects::EarlierVersion;

use super::{Drive, DriveError, Entry, GetError, PutError};

/// A version of a file, as far as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// Which, from 1.
    pub version: u64,
    /// When it was stored, in Unix milliseconds.
    pub stored_at: i64,
    /// Its sealed bytes.
    pub sealed_size: u64,
}

/// Why a file was not put back to an earlier version.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// The earlier version cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// It cannot be stored again.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl Drive {
    /// Says how many versions before the current one are kept of each file: see
    /// [`Client::keep_versions`](crate::Client::keep_versions).
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn keep_versions(&self, kept: u32) -> Result<(), DriveError> {
        let open = self.opened()?;
        Ok(self.account.client.keep_versions(open.id, kept).await?)
    }

    /// The versions of a file that can be read, the newest first. Only of the account's own collections.
    ///
    /// # Errors
    /// [`DriveError`].
    pub async fn versions(&self, entry: &Entry) -> Result<Vec<FileVersion>, DriveError> {
        let open = self.opened()?;
        let found = self.account.client.item_versions(open.id, entry.item).await?.versions;
        let read = |one: EarlierVersion| FileVersion {
            version: one.version,
            stored_at: one.changed_at,
            sealed_size: one.sealed_size.saturating_add(one.file_size.unwrap_or(0)),
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// A file as it was in a version; `None` when that is not kept.
    ///
    /// # Errors
    /// [`DriveError`]; a version that does not open is one too.
    pub async fn version(&self, entry: &Entry, version: u64) -> Result<Option<Entry>, DriveError> {
        let open = self.opened()?;
        let Some(item) = self.account.client.item_version(open.id, entry.item, version).await? else {
            return Ok(None);
        };
        let open = self.open_for(open, std::slice::from_ref(&item)).await?;
        match self.open_item(&open, &item).await? {
            Ok(found) => Ok(Some(Entry { is_earlier: version != entry.version, ..found })),
            Err(why) => Err(DriveError::Damaged(item.id, why)),
        }
    }
}

impl Entry {
    /// Which version its file is read from, if not the current one.
    pub(crate) fn earlier(&self) -> Option<u64> {
        self.is_earlier.then_some(self.version)
    }
}
