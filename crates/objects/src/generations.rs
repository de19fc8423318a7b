// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A collection's next key: what is written from then on is sealed under it, and the members who stay have it.
//!
//! All of it happens in one transaction, under the lock of the collection's writers: the new key's number, the key before sealed
//! under it, who is removed, and the new grant of each who stays or is let in. A writer is either before it, and then the
//! change is refused since its number is not the last one; or after it, and then the writer is refused until it has fetched
//! the new key.

use std::collections::BTreeSet;

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::collection::{check_key, check_meta};
use crate::sharing::{MAX_MEMBERS, ShareError};
use crate::usage::{counted, signed, unsigned};
use crate::{CollectionError, CollectionId, NewMember, Objects};

/// How many keys a collection has at most, one after the other.
pub const MAX_GENERATIONS: u32 = 1_000;

/// A key that a collection had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerKey {
    /// Which, from 1.
    pub generation: u32,
    /// The number of the last change under it.
    pub last_change: u64,
    /// The key, sealed by the client under the one after it.
    pub sealed_key: Vec<u8>,
}

/// A collection's next key.
#[derive(Clone, Copy, Debug)]
pub struct NextKey<'a> {
    /// The collection.
    pub collection: CollectionId,
    /// The generation that the client opened; the new one is the next.
    pub from_generation: u32,
    /// The version of the sealed key that the client opened; the new one is the next.
    pub from_key_version: u64,
    /// The number of the last change, which is bound into `former_key`.
    pub last_change: u64,
    /// The new key, sealed for the owner.
    pub sealed_key: &'a [u8],
    /// The key until now, sealed under the new one.
    pub former_key: &'a [u8],
    /// The description, sealed under the new key.
    pub sealed_meta: &'a [u8],
    /// Who does not get the new key.
    pub removed: &'a [Uuid],
    /// Who gets it: all members who stay, and no one else but those who are let in now.
    pub members: &'a [Admitted<'a>],
}

/// Somebody who gets the new key.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a> {
    /// Who, with the grant.
    pub member: NewMember<'a>,
    /// Whether they were no member until now.
    pub is_new: bool,
}

/// Why a collection did not get another key. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NextKeyError {
    /// It was written to meanwhile, has another key or other members.
    #[error("the collection was changed meanwhile: read it and its members again, and try once more")]
    Changed,
    /// It had as many keys as there may be.
    #[error("a collection has at most {MAX_GENERATIONS} keys: make another collection")]
    TooManyKeys,
    /// The collection.
    #[error(transparent)]
    Collection(#[from] CollectionError),
    /// A member.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Objects {
    /// Gives a collection its next key. In the collection's home.
    ///
    /// # Errors
    /// [`NextKeyError`].
    pub async fn next_key(&self, tx: &mut WriteTx, next: NextKey<'_>) -> Result<(), NextKeyError> {
        let NextKey { collection, from_generation, last_change, .. } = next;
        check_key(next.sealed_key)?;
        check_key(next.former_key)?;
        check_meta(next.sealed_meta)?;
        if next.members.len() > MAX_MEMBERS as usize {
            return Err(ShareError::TooMany.into());
        }
        if from_generation >= MAX_GENERATIONS {
            return Err(NextKeyError::TooManyKeys);
        }
        self.pace_sharing(tx).await?;
        // The lock of the collection's writers.
        let moved = tx
            .execute(
                "UPDATE collection_head SET generation = generation + 1 \
                 WHERE collection = $1 AND generation = $2 AND sequence = $3",
                params![&collection, i64::from(from_generation), signed(last_change)],
            )
            .await?;
        if moved == 0 {
            self.collection(tx, collection).await?;
            return Err(NextKeyError::Changed);
        }
        let resealed = tx
            .execute(
                "UPDATE collection SET sealed_key = $3, sealed_meta = $4, key_version = key_version + 1 \
                 WHERE id = $1 AND key_version = $2 AND deleted_at IS NULL",
                params![&collection, signed(next.from_key_version), next.sealed_key, next.sealed_meta],
            )
            .await?;
        if resealed == 0 {
            return Err(NextKeyError::Changed);
        }
        let now = tx.now();
        tx.execute(
            "INSERT INTO former_key (collection, generation, last_change, sealed_key, created_at) \
             VALUES ($1, $2, $3, $4, $5)",
            params![&collection, i64::from(from_generation), signed(last_change), next.former_key, now],
        )
        .await?;
        self.replace_members(tx, &next).await
    }

    /// Every member who stays has a new grant, and nobody stays without.
    async fn replace_members(&self, tx: &mut WriteTx, next: &NextKey<'_>) -> Result<(), NextKeyError> {
        let collection = next.collection;
        let there: Vec<(Uuid,)> = tx
            .query("SELECT account FROM collection_member WHERE collection = $1", params![&collection])
            .await?;
        let there: BTreeSet<Uuid> = there.into_iter().map(|(account,)| account).collect();
        let removed: BTreeSet<Uuid> = next.removed.iter().copied().collect();
        let staying: BTreeSet<Uuid> = there.difference(&removed).copied().collect();
        let (mut stay, mut come) = (BTreeSet::new(), BTreeSet::new());
        for Admitted { member, is_new } in next.members {
            if !if *is_new { &mut come } else { &mut stay }.insert(member.account) {
                return Err(NextKeyError::Changed);
            }
        }
        if stay != staying || !removed.is_subset(&there) || !come.is_disjoint(&there) {
            return Err(NextKeyError::Changed);
        }
        for account in &removed {
            tx.execute(
                "DELETE FROM collection_member WHERE collection = $1 AND account = $2",
                params![&collection, account],
            )
            .await?;
        }
        for Admitted { member, .. } in next.members {
            self.write_member(tx, collection, *member).await?;
        }
        Ok(())
    }
}

/// The keys before a collection's newest, the first one first.
pub(crate) async fn former_keys(
    tx: &mut ReadTx,
    collection: CollectionId,
) -> Result<Vec<FormerKey>, StoreError> {
    let rows: Vec<(i64, i64, Vec<u8>)> = tx
        .query(
            "SELECT generation, last_change, sealed_key FROM former_key WHERE collection = $1 ORDER BY generation",
            params![&collection],
        )
        .await?;
    let read = |(generation, last_change, sealed_key)| FormerKey {
        generation: counted(generation),
        last_change: unsigned(last_change),
        sealed_key,
    };
    Ok(rows.into_iter().map(read).collect())
}
