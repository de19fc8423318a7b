// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections that others read or write: members, in the collection's home, and shares, in the directory.
//!
//! A member's row holds the grant: the collection's key, sealed to the member and signed by the owner, which this room can
//! neither open nor make. The row is what decides; the share in the directory only says where to look. So they are
//! written in this order: to share, the member and then the share; to end it, the member and then the share. What a
//! crash leaves in between is a member who does not know yet, or a share that leads nowhere; doing it again mends both.
//!
//! A member is removed together with the collection's key: [`Objects::next_key`]. How often an owner lets people in or
//! out is bounded ([`Objects::pace_sharing`]), since each time is told in two other histories.

use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::usage::{counted, unsigned};
use crate::{CollectionId, Objects};

/// The longest grant, in bytes.
pub const MAX_GRANT: usize = 4 << 10;
/// How many members a collection has at most, and how many shares an account sees.
pub const MAX_MEMBERS: u32 = 200;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read what is there.
    Read,
    /// Change items and files too.
    Write,
}

impl Permission {
    /// As it is stored.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
        }
    }

    /// Whatever is not known allows the least.
    pub(crate) fn of(word: &str) -> Self {
        if word == "write" { Permission::Write } else { Permission::Read }
    }
}

/// Somebody who has a collection beside its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Uuid,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of the owner's identity keys signed it.
    pub sharer_key_version: u32,
    /// What the member may do.
    pub permission: Permission,
    /// The collection's key, for the member alone.
    pub grant: Vec<u8>,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

/// Somebody who is to have a collection.
#[derive(Clone, Copy, Debug)]
pub struct NewMember<'a> {
    /// The account.
    pub account: Uuid,
    /// For which of its identity keys the grant is.
    pub key_version: u32,
    /// Which of the owner's identity keys signed it.
    pub sharer_key_version: u32,
    /// What the member may do.
    pub permission: Permission,
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
    /// What it may be used for.
    pub permission: Permission,
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
    /// The grant is of another key than the collection's newest.
    #[error("the collection has another key now: fetch it, and grant that")]
    KeyOutdated,
    /// Too many were let in or out lately.
    #[error("collections of this account were shared and taken back too often: try again later")]
    TooOften {
        /// How many seconds to wait.
        retry_after: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type MemberRow = (Uuid, i64, i64, String, Vec<u8>, i64);

impl Objects {
    /// Lets an account have a collection, or changes what it may do, or renews its grant. `generation` is the key that is
    /// granted. In the collection's home.
    ///
    /// # Errors
    /// [`ShareError`].
    pub async fn add_member(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        generation: u32,
        new: NewMember<'_>,
    ) -> Result<(), ShareError> {
        self.pace_sharing(tx).await?;
        // Waits for whoever deletes the collection or gives it another key.
        let head: Option<(i64,)> = tx
            .query_opt(
                "UPDATE collection_head SET generation = generation WHERE collection = $1 RETURNING generation",
                params![&collection],
            )
            .await?;
        let (current,) = head.ok_or(ShareError::NotFound)?;
        if counted(current) != generation {
            return Err(ShareError::KeyOutdated);
        }
        let (others,): (i64,) = tx
            .query_one(
                "SELECT count(*) FROM collection_member WHERE collection = $1 AND account <> $2",
                params![&collection, &new.account],
            )
            .await?;
        if others >= i64::from(MAX_MEMBERS) {
            return Err(ShareError::TooMany);
        }
        self.write_member(tx, collection, new).await
    }

    /// Writes a member's row. Since when it is a member stays.
    pub(crate) async fn write_member(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        new: NewMember<'_>,
    ) -> Result<(), ShareError> {
        if !(1..=MAX_GRANT).contains(&new.grant.len()) {
            return Err(ShareError::Grant);
        }
        let now = tx.now();
        let values = params![
            &collection,
            &new.account,
            i64::from(new.key_version),
            i64::from(new.sharer_key_version),
            new.permission.word(),
            new.grant,
        ];
        let changed = tx
            .execute(
                "UPDATE collection_member SET key_version = $3, sharer_key_version = $4, permission = $5, \
                 sealed_grant = $6 WHERE collection = $1 AND account = $2",
                values,
            )
            .await?;
        if changed == 0 {
            tx.execute(
                "INSERT INTO collection_member \
                 (collection, account, key_version, sharer_key_version, permission, sealed_grant, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                params![
                    &collection,
                    &new.account,
                    i64::from(new.key_version),
                    i64::from(new.sharer_key_version),
                    new.permission.word(),
                    new.grant,
                    now,
                ],
            )
            .await?;
        }
        Ok(())
    }

    /// Counts a change of who has something, and refuses one too many: [`SHARINGS_AT_ONCE`], and one more each
    /// [`SHARING_EACH_MS`].
    pub(crate) async fn pace_sharing(&self, tx: &mut WriteTx) -> Result<(), ShareError> {
        tx.execute(
            "INSERT INTO sharing_pace (slot, spent, at) VALUES (0, 0, 0) ON CONFLICT DO NOTHING",
            params![],
        )
        .await?;
        // Locks the row until the end of the transaction.
        let (spent, at): (i64, i64) = tx
            .query_one("UPDATE sharing_pace SET slot = 0 WHERE slot = 0 RETURNING spent, at", params![])
            .await?;
        let now = tx.now();
        let regained = now.saturating_sub(at).max(0) / SHARING_EACH_MS;
        let spent = spent.saturating_sub(regained).max(0);
        if spent >= SHARINGS_AT_ONCE {
            let wait = SHARING_EACH_MS - now.saturating_sub(at).max(0) % SHARING_EACH_MS;
            return Err(ShareError::TooOften { retry_after: unsigned(wait).div_ceil(1_000) });
        }
        // What is left of a step counts on.
        let at = if spent == 0 { now } else { at.saturating_add(regained.saturating_mul(SHARING_EACH_MS)) };
        tx.execute("UPDATE sharing_pace SET spent = $1, at = $2 WHERE slot = 0", params![spent + 1, at])
            .await?;
        Ok(())
    }

    /// Who reads a collection. In its home.
    pub async fn members(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
    ) -> Result<Vec<Member>, ShareError> {
        let rows: Vec<MemberRow> = tx
            .query(
                "SELECT account, key_version, sharer_key_version, permission, sealed_grant, created_at \
                 FROM collection_member WHERE collection = $1 ORDER BY account",
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
                "SELECT m.account, m.key_version, m.sharer_key_version, m.permission, m.sealed_grant, m.created_at \
                 FROM collection_member m JOIN collection c ON c.id = m.collection \
                 WHERE m.collection = $1 AND m.account = $2 AND c.deleted_at IS NULL",
                params![&collection, &account],
            )
            .await?;
        row.map(Member::from_row).ok_or(ShareError::NotFound)
    }

    /// Notes in the directory where to look for what is shared with an account, and what for.
    pub async fn put_share(
        &self,
        tx: &mut WriteTx,
        recipient: Uuid,
        home: TenantId,
        collection: CollectionId,
        owner: Uuid,
        permission: Permission,
    ) -> Result<(), ShareError> {
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE share SET permission = $4 WHERE recipient = $1 AND home = $2 AND collection = $3",
                params![&recipient, home.uuid(), &collection, permission.word()],
            )
            .await?;
        if changed == 0 {
            tx.execute(
                "INSERT INTO share (recipient, home, collection, owner, permission, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                params![&recipient, home.uuid(), &collection, &owner, permission.word(), now],
            )
            .await?;
        }
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
        let rows: Vec<(Uuid, Uuid, Uuid, String, i64)> = tx
            .query(
                "SELECT home, collection, owner, permission, created_at FROM share \
                 WHERE recipient = $1 ORDER BY created_at DESC, home, collection LIMIT $2",
                params![&recipient, i64::from(MAX_MEMBERS)],
            )
            .await?;
        let read = |(home, collection, owner, permission, created_at): (_, _, _, String, _)| Share {
            home: TenantId::from_uuid(home),
            collection: CollectionId::from_uuid(collection),
            owner,
            permission: Permission::of(&permission),
            created_at,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// What an account may do with something that is shared, as the directory has it.
    ///
    /// # Errors
    /// [`ShareError::NotFound`].
    pub async fn share(
        &self,
        tx: &mut ReadTx,
        recipient: Uuid,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<Permission, ShareError> {
        let row: Option<(String,)> = tx
            .query_opt(
                "SELECT permission FROM share WHERE recipient = $1 AND home = $2 AND collection = $3",
                params![&recipient, home.uuid(), &collection],
            )
            .await?;
        row.map(|(permission,)| Permission::of(&permission)).ok_or(ShareError::NotFound)
    }

    /// Forgets in the directory with whom a collection was shared, when it goes.
    pub async fn forget_shares_of(
        &self,
        tx: &mut WriteTx,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<u64, ShareError> {
        let gone = tx
            .execute(
                "DELETE FROM share WHERE home = $1 AND collection = $2",
                params![home.uuid(), &collection],
            )
            .await?;
        Ok(gone)
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
    fn from_row(row: MemberRow) -> Self {
        let (account, key_version, sharer_key_version, permission, grant, created_at) = row;
        Self {
            account,
            key_version: counted(key_version),
            sharer_key_version: counted(sharer_key_version),
            permission: Permission::of(&permission),
            grant,
            created_at,
        }
    }
}

/// How often in a row an owner lets people in or out.
const SHARINGS_AT_ONCE: i64 = 200;
/// After how long it may be once more, in milliseconds.
const SHARING_EACH_MS: i64 = 60_000;
