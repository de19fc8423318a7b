// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections, items and files. All content, names included, is sealed by the client.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Bytes, CollectionId, ItemId, UploadId};

/// The most bytes that an item's sealed content may have; more goes into a file.
pub const MAX_ITEM: usize = 256 * 1024;

/// `POST /api/v1/collections`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewCollection {
    /// The collection's id, chosen by the client since its key is sealed to it.
    pub id: CollectionId,
    /// What it holds: `files`, `chat`, `settings` or an application's own word. Visible to the server.
    pub kind: String,
    /// The collection's key, sealed under the account key.
    pub sealed_key: Bytes<1024>,
    /// Its name and whatever else describes it, sealed.
    pub sealed_meta: Bytes<16384>,
    /// How many versions before the current one it keeps of each item, 0 to 100.
    #[serde(default)]
    pub kept_versions: u32,
}

/// `GET /api/v1/collections`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Collections {
    /// The live collections, by their ids.
    pub collections: Vec<Collection>,
    /// What to pass as `after` for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<CollectionId>,
}

/// A collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Collection {
    /// The collection.
    pub id: CollectionId,
    /// What it holds.
    pub kind: String,
    /// Its key, sealed under the account key.
    pub sealed_key: Bytes<1024>,
    /// Counts up each time its key is sealed anew.
    pub key_version: u64,
    /// Which of its keys that is, from 1.
    #[serde(default = "first_generation")]
    pub generation: u32,
    /// The keys before it, the first one first: each opens with the one after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_keys: Vec<FormerKey>,
    /// Its description, sealed under its newest key.
    pub sealed_meta: Bytes<16384>,
    /// The number of its last change.
    pub sequence: u64,
    /// How many versions before the current one it keeps of each item.
    #[serde(default)]
    pub kept_versions: u32,
    /// When it was made.
    pub created_at: i64,
}

/// `PUT /api/v1/collections/{collection}/versions`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeptVersions {
    /// How many versions before the current one it keeps of each item, 0 to 100. With 0 those that it has are deleted.
    pub kept_versions: u32,
}

/// `PUT /api/v1/collections/{collection}/description`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Which of the collection's keys it is sealed under: its newest.
    pub generation: u32,
    /// Its name and whatever else describes it, sealed.
    pub sealed_meta: Bytes<16384>,
}

/// A key that a collection had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FormerKey {
    /// The number of the last change under it.
    pub last_change: u64,
    /// The key, sealed under the one after it.
    pub sealed_key: Bytes<1024>,
}

/// Which key a collection begins with.
pub(crate) fn first_generation() -> u32 {
    1
}

/// An item, or the tombstone of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Item {
    /// The item.
    pub id: ItemId,
    /// Counts up with each change; also its `ETag`.
    pub version: u64,
    /// Its change's number in the collection.
    pub sequence: u64,
    /// The content, sealed; empty for a tombstone.
    pub sealed: Bytes<262_144>,
    /// The file that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileInfo>,
    /// When it was last changed.
    pub changed_at: i64,
    /// Who wrote it, by their own word: in collections that were shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Whether it was removed.
    #[serde(default)]
    pub deleted: bool,
}

/// A writer's word for a version of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Author {
    /// Who wrote it.
    pub account: crate::AccountId,
    /// Which of that account's identity keys signed.
    pub key_version: u32,
    /// The signature over the item's place, its version, and what is sealed.
    pub signature: Bytes<128>,
}

/// A file's stored size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileInfo {
    /// The blob's id, which is the upload's.
    pub id: UploadId,
    /// Size of the sealed file, in bytes.
    pub size: u64,
}

/// `PUT /api/v1/collections/{collection}/items/{item}`, with `If-Match: "version"` or `If-None-Match: *`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutItem {
    /// The content, sealed.
    pub sealed: Bytes<262_144>,
    /// Which of the collection's keys it is sealed under; the first when absent. One that is not the newest is refused with
    /// `key_outdated`.
    #[serde(default = "first_generation")]
    pub generation: u32,
    /// The writer's word for it: needed in other people's collections, and from the second generation on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ItemSignature>,
    /// The finished upload that becomes the item's file; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadId>,
    /// The version that it is sealed for, if the writer says so: when it is not the item's next one, as where a removed item was,
    /// that is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// The signature of whoever writes an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ItemSignature {
    /// Which of the writer's identity keys signed.
    pub key_version: u32,
    /// The signature.
    pub signature: Bytes<128>,
}

/// What a change to an item came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ItemVersion {
    /// The item's version now.
    pub version: u64,
    /// The change's number in the collection.
    pub sequence: u64,
}

/// `GET /api/v1/collections/{collection}/items/{item}/versions`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EarlierVersions {
    /// The current version and those before it that are kept, the newest first.
    pub versions: Vec<EarlierVersion>,
}

/// A version of an item, without what it holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EarlierVersion {
    /// Which, from 1.
    pub version: u64,
    /// The bytes of its sealed content.
    pub sealed_size: u64,
    /// The ciphertext bytes of its file, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// When it was made, in Unix milliseconds.
    pub changed_at: i64,
    /// The account that made it.
    pub changed_by: AccountId,
}

/// `GET /api/v1/collections/{collection}/changes?after=&limit=`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Changes {
    /// Items changed after the given sequence, oldest change first, each in its current version.
    pub items: Vec<Item>,
    /// What to pass as `after` next.
    pub next: u64,
    /// Whether there are more now.
    pub more: bool,
}

/// `POST /api/v1/collections/{collection}/uploads`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Size of the sealed file, in bytes.
    pub size: u64,
}

/// `GET /api/v1/collections/{collection}/uploads/{upload}`, and the answer to [`NewUpload`]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Upload {
    /// The upload.
    pub id: UploadId,
    /// Size of the sealed file, in bytes.
    pub size: u64,
    /// Size of each part but the last, in bytes. Part `n`, from 0, is sent to `PUT …/uploads/{upload}/parts/{n}`.
    pub part_size: u64,
    /// How many parts there are.
    pub parts: u32,
    /// The parts that have arrived, as ranges from..=to.
    pub received: Vec<(u32, u32)>,
    /// When it is given up if it is not finished.
    pub expires_at: i64,
}

/// What is stored, of how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Bytes stored, sealed.
    pub bytes: u64,
    /// Bytes that may be stored.
    pub bytes_limit: u64,
    /// Items stored.
    pub items: u64,
    /// Items that may be stored.
    pub items_limit: u64,
    /// Collections stored.
    pub collections: u64,
    /// Collections that may be stored.
    pub collections_limit: u64,
    /// The largest file, sealed.
    pub largest_file: u64,
}

/// An event of `GET /api/v1/collections/{collection}/events` (`text/event-stream`): the collection changed. The event's id is
/// its sequence, so a client that comes back with `Last-Event-ID` misses nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChangeEvent {
    /// The number of the newest change.
    pub sequence: u64,
}
