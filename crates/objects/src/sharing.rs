// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections that others read: members, in the collection's home, and shares, in the directory.
//!
//! A member's row holds the grant: the collection's key, sealed to the member and signed by the owner, which this room can
//! neither open nor make. The row is what decides; the share in the directory only says where to look. So they are
//! written in this order: to share, the member and then the share; to end it, the member and then the share. What a
//! crash leaves in between is a member who does not know yet, or a share that leads nowhere; doing it again mends both.

use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::usage::unsigned;
use crate::{CollectionId, Objects};

/// The longest grant, in bytes.
pub const MAX_GRANT: usize = 4 << 10;
/// How many members a collection has at most, and how many shares an account sees.
pub const MAX_MEMBERS: u32 = 200;

/// Somebody who reads a collection beside its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Uuid,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of the owner's identity keys signed it.
    pub sharer_key_version: u32,
    /// The collection's key, for the member alone.
    pub grant: Vec<u8>,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

/// Somebody who is to read a collection.
#[derive(Clone, Copy, Debug)]
pub struct NewMember<'a> {
    /// The account.
    pub account: Uuid,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of the owner's identity keys signed it.
    pub sharer_key_version: u32,
    /// 1 to [`MAX_GRANT`] bytes.
    pub grant: &'a [u8],
}

/// A collection of somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The home in which it lies.
    pub home: TenantId,
    /// The collection.
    pub collection: CollectionId,
    /// The account that shares it.
    pub owner: Uuid,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

/// Why something was not shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// There is no such collection, or no such member.
    #[error("there is no such thing here")]
    NotFound,
    /// The collection has as many members as it may have.
    #[error("a collection has at most {MAX_MEMBERS} members")]
    TooMany,
    /// The grant is empty or too long.
    #[error("grant: 1 to {MAX_GRANT} bytes")]
    Grant,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type MemberRow = (Uuid, i64, i64, Vec<u8>, i64);

impl Objects {
    /// Lets an account read a collection, or renews its grant. In the collection's home.
    ///
    /// # Errors
    /// [`ShareError::NotFound`], [`ShareError::TooMany`], [`ShareError::Grant`].
    pub async fn add_member(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        new: NewMember<'_>,
    ) -> Result<(), ShareError> {
        if !(1..=MAX_GRANT).contains(&new.grant.len()) {
            return Err(ShareError::Grant);
        }
        // Waits for whoever deletes the collection.
        let live = tx
            .execute(
                "UPDATE collection SET created_at = created_at WHERE id = $1 AND deleted_at IS NULL",
                params![&collection],
            )
            .await?;
        if live == 0 {
            return Err(ShareError::NotFound);
        }
        let created_at = tx.now();
        tx.execute(
            "DELETE FROM collection_member WHERE collection = $1 AND account = $2",
            params![&collection, &new.account],
        )
        .await?;
        let (count,): (i64,) = tx
            .query_one("SELECT count(*) FROM collection_member WHERE collection = $1", params![&collection])
            .await?;
        if count >= i64::from(MAX_MEMBERS) {
            return Err(ShareError::TooMany);
        }
        tx.execute(
            "INSERT INTO collection_member (collection, account, key_version, sharer_key_version, sealed_grant, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                &collection,
                &new.account,
                i64::from(new.key_version),
                i64::from(new.sharer_key_version),
                new.grant,
                created_at,
            ],
        )
        .await?;
        Ok(())
    }

    /// Takes a collection away from a member, at once. In the collection's home. Whether there was such a member.
    pub async fn remove_member(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        account: Uuid,
    ) -> Result<bool, ShareError> {
        let removed = tx
            .execute(
                "DELETE FROM collection_member WHERE collection = $1 AND account = $2",
                params![&collection, &account],
            )
            .await?;
        Ok(removed == 1)
    }

    /// Who reads a collection. In its home.
    pub async fn members(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
    ) -> Result<Vec<Member>, ShareError> {
        let rows: Vec<MemberRow> = tx
            .query(
                "SELECT account, key_version, sharer_key_version, sealed_grant, created_at FROM collection_member \
                 WHERE collection = $1 ORDER BY account",
                params![&collection],
            )
            .await?;
        Ok(rows.into_iter().map(Member::from_row).collect())
    }

    /// A member of a live collection: what is asked again in every transaction that a share opened.
    ///
    /// # Errors
    /// [`ShareError::NotFound`].
    pub async fn member(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        account: Uuid,
    ) -> Result<Member, ShareError> {
        let row: Option<MemberRow> = tx
            .query_opt(
                "SELECT m.account, m.key_version, m.sharer_key_version, m.sealed_grant, m.created_at \
                 FROM collection_member m JOIN collection c ON c.id = m.collection \
                 WHERE m.collection = $1 AND m.account = $2 AND c.deleted_at IS NULL",
                params![&collection, &account],
            )
            .await?;
        row.map(Member::from_row).ok_or(ShareError::NotFound)
    }

    /// Notes in the directory where to look for what is shared with an account.
    pub async fn put_share(
        &self,
        tx: &mut WriteTx,
        recipient: Uuid,
        home: TenantId,
        collection: CollectionId,
        owner: Uuid,
    ) -> Result<(), ShareError> {
        let now = tx.now();
        tx.execute(
            "INSERT INTO share (recipient, home, collection, owner, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING",
            params![&recipient, home.uuid(), &collection, &owner, now],
        )
        .await?;
        Ok(())
    }

    /// Removes that note.
    pub async fn remove_share(
        &self,
        tx: &mut WriteTx,
        recipient: Uuid,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<(), ShareError> {
        tx.execute(
            "DELETE FROM share WHERE recipient = $1 AND home = $2 AND collection = $3",
            params![&recipient, home.uuid(), &collection],
        )
        .await?;
        Ok(())
    }

    /// What is shared with an account, as the directory has it.
    pub async fn shares(&self, tx: &mut ReadTx, recipient: Uuid) -> Result<Vec<Share>, ShareError> {
        let rows: Vec<(Uuid, Uuid, Uuid, i64)> = tx
            .query(
                "SELECT home, collection, owner, created_at FROM share \
                 WHERE recipient = $1 ORDER BY created_at DESC, home, collection LIMIT $2",
                params![&recipient, i64::from(MAX_MEMBERS)],
            )
            .await?;
        let read = |(home, collection, owner, created_at)| Share {
            home: TenantId::from_uuid(home),
            collection: CollectionId::from_uuid(collection),
            owner,
            created_at,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Whether the directory has this share of an account.
    ///
    /// # Errors
    /// [`ShareError::NotFound`].
    pub async fn share(
        &self,
        tx: &mut ReadTx,
        recipient: Uuid,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<(), ShareError> {
        let row: Option<(i64,)> = tx
            .query_opt(
                "SELECT created_at FROM share WHERE recipient = $1 AND home = $2 AND collection = $3",
                params![&recipient, home.uuid(), &collection],
            )
            .await?;
        row.map(|_| ()).ok_or(ShareError::NotFound)
    }

    /// Forgets in the directory what a home shared, when its account goes.
    pub async fn forget_shares(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        home: TenantId,
    ) -> Result<(), ShareError> {
        tx.execute("DELETE FROM share WHERE home = $1 OR recipient = $2", params![home.uuid(), &account])
            .await?;
        Ok(())
    }
}

impl Member {
    fn from_row((account, key_version, sharer_key_version, grant, created_at): MemberRow) -> Self {
        let version = |version| u32::try_from(unsigned(version)).unwrap_or(u32::MAX);
        Self {
            account,
            key_version: version(key_version),
            sharer_key_version: version(sharer_key_version),
            grant,
            created_at,
        }
    }
}
