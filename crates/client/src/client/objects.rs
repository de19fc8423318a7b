// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections, items and uploads, as they lie on the server: sealed.

use std::ops::Range;

use bytes::Bytes;
use protocol::objects::{
    Changes, Collection, Collections, Description, EarlierVersions, Item, ItemVersion, KeptVersions,
    NewCollection, NewUpload, PutItem, Upload,
};
use protocol::{Code, CollectionId, ItemId, UploadId};
use reqwest::header::{IF_MATCH, IF_NONE_MATCH, RANGE};
use reqwest::{Method, StatusCode};

use super::{Call, Client, RequestError, is_status, read_body_into, read_json};

/// What a change to an item expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No such item, or a removed one.
    Absent,
    /// This version.
    Version(u64),
}

impl Client {
    /// All live collections.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn collections(&self) -> Result<Vec<Collection>, RequestError> {
        let mut all: Vec<Collection> = Vec::new();
        let mut path = "/api/v1/collections".to_owned();
        loop {
            let page: Collections = self.get(&path).await?;
            let more = !page.collections.is_empty();
            all.extend(page.collections);
            match page.next {
                Some(next) if more => path = format!("/api/v1/collections?after={next}"),
                _ => return Ok(all),
            }
        }
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_collection(&self, new: &NewCollection) -> Result<Collection, RequestError> {
        let response = self.send(Call::new(Method::POST, "/api/v1/collections").json(new)?).await?;
        self.acknowledged(&response);
        read_json(response).await
    }

    /// Removes a collection with all that is in it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_collection(&self, collection: CollectionId) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}");
        self.acknowledged(&self.send(Call::new(Method::DELETE, &path)).await?);
        Ok(())
    }

    /// One collection of the account's.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn collection(&self, collection: CollectionId) -> Result<Collection, RequestError> {
        self.get(&format!("/api/v1/collections/{collection}")).await
    }

    /// Replaces the sealed description of a collection.
    ///
    /// # Errors
    /// [`RequestError`]; `key_outdated` when it is not sealed under the collection's newest key.
    pub async fn describe_collection(
        &self,
        collection: CollectionId,
        description: &Description,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}/description");
        self.acknowledged(&self.send(Call::new(Method::PUT, &path).json(description)?).await?);
        Ok(())
    }

    /// Says how many versions before the current one a collection keeps of each item, 0 to 100. With 0 those that it has are
    /// deleted.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn keep_versions(
        &self,
        collection: CollectionId,
        kept_versions: u32,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}/versions");
        let body = KeptVersions { kept_versions };
        self.acknowledged(&self.send(Call::new(Method::PUT, &path).json(&body)?).await?);
        Ok(())
    }

    /// The versions of an item that can be read, the newest first. Of the account's own collections only.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn item_versions(
        &self,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<EarlierVersions, RequestError> {
        self.get(&format!("{}/versions", self.item_path(collection, item))).await
    }

    /// A version of an item, as it was written; `None` when it is not kept.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn item_version(
        &self,
        collection: CollectionId,
        item: ItemId,
        version: u64,
    ) -> Result<Option<Item>, RequestError> {
        match self.get(&format!("{}/versions/{version}", self.item_path(collection, item))).await {
            Ok(item) => Ok(Some(item)),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a collection is, one's own or a shared one.
    pub(super) fn collection_path(&self, collection: CollectionId) -> String {
        match self.shared_by {
            Some(home) => format!("/api/v1/shares/{home}/collections/{collection}"),
            None => format!("/api/v1/collections/{collection}"),
        }
    }

    fn item_path(&self, collection: CollectionId, item: ItemId) -> String {
        format!("{}/items/{item}", self.collection_path(collection))
    }

    /// What changed in a collection after a sequence: one page of it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn changes(
        &self,
        collection: CollectionId,
        after: u64,
        anew: bool,
        limit: u32,
    ) -> Result<Changes, RequestError> {
        let collection = self.collection_path(collection);
        self.get(&format!("{collection}/changes?after={after}&anew={anew}&limit={limit}")).await
    }

    /// An item; `None` when there is none.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn item(&self, collection: CollectionId, item: ItemId) -> Result<Option<Item>, RequestError> {
        match self.get(&self.item_path(collection, item)).await {
            Ok(item) => Ok(Some(item)),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a version of an item. One whose answer was lost is recognised, and not a conflict.
    ///
    /// # Errors
    /// [`RequestError`], with the current item in it when that is not the expected one.
    pub async fn put_item(
        &self,
        collection: CollectionId,
        item: ItemId,
        expected: Expected,
        put: &PutItem,
    ) -> Result<ItemVersion, RequestError> {
        let path = self.item_path(collection, item);
        let call = expecting(Call::new(Method::PUT, &path).json(put)?, expected);
        match self.send(call).await {
            Ok(response) => {
                self.acknowledged(&response);
                let stored: ItemVersion = read_json(response).await?;
                self.changed(collection, stored.sequence);
                Ok(stored)
            }
            Err(RequestError::Refused(problem)) => match &problem.current {
                // Sealing is random: the very same bytes can only be ours.
                Some(current) if !current.deleted && current.sealed == put.sealed => {
                    Ok(ItemVersion { version: current.version, sequence: current.sequence })
                }
                _ => Err(RequestError::Refused(problem)),
            },
            Err(error) => Err(error),
        }
    }

    /// Removes an item; one that is gone already is fine.
    ///
    /// # Errors
    /// [`RequestError`], with the current item in it when that is not the expected version.
    pub async fn delete_item(
        &self,
        collection: CollectionId,
        item: ItemId,
        version: u64,
    ) -> Result<(), RequestError> {
        let path = self.item_path(collection, item);
        let call = expecting(Call::new(Method::DELETE, &path), Expected::Version(version));
        match self.send(call).await {
            Ok(response) => {
                self.acknowledged(&response);
                // It is removed, whatever else the answer says.
                if let Ok(removed) = read_json::<ItemVersion>(response).await {
                    self.changed(collection, removed.sequence);
                }
                Ok(())
            }
            Err(error) if error.is(Code::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins to upload a sealed file.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn begin_upload(&self, collection: CollectionId, size: u64) -> Result<Upload, RequestError> {
        let path = format!("{}/uploads", self.collection_path(collection));
        self.post(&path, &NewUpload { size }).await
    }

    /// How far an upload is; `None` when it was given up.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn upload(
        &self,
        collection: CollectionId,
        upload: UploadId,
    ) -> Result<Option<Upload>, RequestError> {
        match self.get(&format!("{}/uploads/{upload}", self.collection_path(collection))).await {
            Ok(upload) => Ok(Some(upload)),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives an upload up.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn abandon_upload(
        &self,
        collection: CollectionId,
        upload: UploadId,
    ) -> Result<(), RequestError> {
        let path = format!("{}/uploads/{upload}", self.collection_path(collection));
        match self.done(Call::new(Method::DELETE, &path)).await {
            Err(error) if error.is(Code::NotFound) => Ok(()),
            done => done,
        }
    }

    /// Sends a part of an upload.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn put_part(
        &self,
        collection: CollectionId,
        upload: UploadId,
        part: u32,
        bytes: Bytes,
    ) -> Result<(), RequestError> {
        let path = format!("{}/uploads/{upload}/parts/{part}", self.collection_path(collection));
        self.done(Call::new(Method::PUT, &path).bytes(bytes).streaming()).await
    }

    /// Bytes of the sealed file that belongs to an item, or to that version of it: those from `start` up to, without, `end`.
    /// They take the place of what is in `bytes`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn file_range(
        &self,
        collection: CollectionId,
        item: ItemId,
        version: Option<u64>,
        Range { start, end }: Range<u64>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        let of = self.item_path(collection, item);
        let path = match version {
            None => format!("{of}/file"),
            Some(version) => format!("{of}/versions/{version}/file"),
        };
        let range = format!("bytes={start}-{}", end.saturating_sub(1));
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let call = Call::new(Method::GET, &path).header(RANGE, &range).streaming();
            let response = self.send(call).await?;
            match read_body_into(response, length, bytes).await {
                Ok(()) if bytes.len() == length => return Ok(()),
                Err(error @ RequestError::Malformed { .. }) => return Err(error),
                _ if attempt < super::ATTEMPTS => {}
                Ok(()) => {
                    let error = format!("fewer than the {length} bytes that were asked for");
                    return Err(RequestError::Malformed { what: "the server's answer", error });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a refusal means that there is no such thing.
pub(crate) fn is_missing(error: &RequestError) -> bool {
    is_status(error, StatusCode::NOT_FOUND)
}

pub(crate) fn expecting(call: Call<'_>, expected: Expected) -> Call<'_> {
    match expected {
        Expected::Absent => call.header(IF_NONE_MATCH, "*"),
        Expected::Version(version) => call.header(IF_MATCH, &format!("\"{version}\"")),
    }
}
