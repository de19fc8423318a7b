// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Encrypted collections, items with versions, files in parts, and their synchronisation.
//!
//! A **collection** (a chat, an app's settings, a folder of files) has a key of its own, which the
//! client seals before it comes here. An **item** in it has an id and a version, and holds sealed
//! bytes: up to [`MAX_SEALED`] in the row, anything larger in a **blob**. A blob is uploaded in
//! **parts** of a fixed size, each an object of the store that [`Blobs`] wraps, and becomes visible
//! when an item version names it. A collection's key has a **generation**; after somebody was removed from it
//! comes the next one ([`Objects::next_key`]). A collection may keep the versions of its items that were replaced
//! ([`Objects::keep_versions`]). Every change of a collection has a **sequence** number, one more
//! than the change before it; what is deleted stays as a **tombstone** for
//! [`TOMBSTONES_KEPT_MS`], so that [`Objects::changes`] tells a device everything that it missed meanwhile.
//!
//! # What is guaranteed
//!
//! - This room never sees plaintext: it stores, counts and returns sealed bytes.
//! - An item is only changed by a writer who knew its current version, unless they said [`Expected::Any`].
//!   Versions of an item do not repeat, not even after it was deleted, as long as its tombstone is kept.
//! - Sequence numbers of a collection become visible in order: who has seen `n` misses nothing below `n`.
//! - [`Usage`] is exact: it changes in the transaction that changes what it counts, and an upload's
//!   bytes are reserved when it begins.
//! - A part that was acknowledged is on disk. Nothing that is stored is ever overwritten: an object's
//!   name holds the hash of its bytes, so a late or repeated write cannot damage a finished file.
//! - What a crash leaves behind are objects that no row names; the sweep ([`Objects::sweep_plan`],
//!   [`Blobs::leftovers`]) removes them.
//! - No transaction is open while the object store is written or read: a part goes through
//!   [`Objects::part_slot`] (read), [`Blobs::write_part`] (no transaction), [`Objects::record_part`] (write).
//!
//! An operation that returns an error may have run some of its statements: drop the transaction.
//! A transaction should change one collection only; two that change the same ones in
//! another order would wait for each other, and PostgreSQL ends one of them with a conflict.
//!
//! # Example
//!
//! ```no_run
//! use objects::{Blobs, CollectionId, Expected, ItemId, Objects, PutItem};
//! # async fn example(door: store::Door, tenant: store::TenantId, entry: store::Entry, me: uuid::Uuid) -> Result<(), Box<dyn std::error::Error>> {
//! let objects = Objects::new(objects::Limits::default());
//! let mut tx = door.write(tenant, entry).await?;
//! let (collection, item): (CollectionId, ItemId) = ("col_…".parse()?, "itm_…".parse()?);
//! let sealed = b"sealed by the client";
//! let expected = Expected::Version(3);
//! let put = PutItem { collection, item, expected, sealed, blob: None, generation: 1, signature: None, by: me };
//! let written = objects.put_item(&mut tx, put).await?;
//! tx.commit(store::Record::about(item.to_string())).await?;
//! # Ok(()) }
//! ```

mod blobs;
mod changes;
mod collection;
mod feed;
mod generations;
mod granted;
mod id;
mod item;
mod layout;
mod read;
mod schema;
mod sharing;
mod sweep;
mod tombstone;
mod upload;
mod usage;
mod versions;

pub use blobs::{Blobs, BlobsError, Bucket, Leftover, Leftovers, WrittenPart};
pub use changes::{Changes, MAX_CHANGES, MAX_CHANGES_BYTES};
pub use collection::{
    Collection, CollectionError, Collections, MAX_KIND, MAX_LIST, MAX_META, MAX_SEALED_KEY, NewCollection,
    Resealed,
};
pub use feed::{Event, Feed, Follower, TooManyFollowers};
pub use generations::{Admitted, FormerKey, MAX_GENERATIONS, NextKey, NextKeyError};
pub use granted::{KeyGrant, MAX_HOLDERS, NewKeyGrant, NextGrantedKey};
pub use id::{BlobId, CollectionId, ItemId};
pub use item::{
    BlobRef, Expected, Item, ItemError, ItemSignature, MAX_SEALED, MAX_SIGNATURE, PutItem, Written,
};
pub use layout::{Layout, PART_SIZE, Segment};
pub use object_store::{ObjectStore, PutPayload};
pub use read::{ReadError, ReadPlan};
pub use schema::MIGRATIONS;
pub use sharing::{MAX_GRANT, MAX_MEMBERS, Member, NewMember, Permission, Share, ShareError};
pub use sweep::{ABANDONED_AFTER_MS, KEPT_AFTER_DELETION_MS, SweepPlan};
pub use tombstone::TOMBSTONES_KEPT_MS;
pub use upload::{INLINE_BLOB, MAX_PARTS, MAX_UPLOADS, PartSlot, Upload, UploadError, UploadStatus};
pub use usage::{Limits, QuotaExceeded, Resource, Usage};
pub use versions::{MAX_KEPT_VERSIONS, Version};

/// The operations on a tenant's collections, items and files.
#[derive(Clone, Debug)]
pub struct Objects {
    limits: Limits,
}

impl Objects {
    /// Operations under these limits, which apply to each tenant.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// The limits that apply to each tenant.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
