// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a customer's tenant: nobody owns them, and the key of one that is end-to-end has whoever was granted it.
//!
//! A grant is a collection's key, sealed to an account and signed by the holder who grants it; this room can neither open nor
//! make one. Who may have one is not decided here. All grants are of the key in use: with the next key all are replaced
//! ([`Objects::next_granted_key`]), under the lock of the collection's writers, so that whoever is left out opens nothing
//! that is written afterwards.

use std::collections::BTreeSet;

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::collection::{check_key, check_meta};
use crate::usage::{Change, counted, signed, unsigned};
use crate::{
    CollectionError, CollectionId, ItemError, ItemId, MAX_GENERATIONS, MAX_GRANT, NextKeyError, Objects,
    ShareError,
};

/// How many hold a collection's key at most.
pub const MAX_HOLDERS: usize = 200;

/// A collection's key, as somebody was granted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// Who has it.
    pub account: Uuid,
    /// For which of the account's identity keys it is.
    pub key_version: u32,
    /// Who granted it.
    pub sharer: Uuid,
    /// Which of that account's identity keys signed it.
    pub sharer_key_version: u32,
    /// The key, for the account alone.
    pub grant: Vec<u8>,
    /// A holder's word for it, under the key itself.
    pub tag: [u8; 32],
    /// Since when the account has had a key of the collection without a break, in Unix milliseconds.
    pub created_at: i64,
}

/// A collection's key for somebody.
#[derive(Clone, Copy, Debug)]
pub struct NewKeyGrant<'a> {
    /// Who gets it.
    pub account: Uuid,
    /// For which of the account's identity keys it is.
    pub key_version: u32,
    /// Who grants it.
    pub sharer: Uuid,
    /// Which of that account's identity keys signed it.
    pub sharer_key_version: u32,
    /// 1 to [`MAX_GRANT`] bytes.
    pub grant: &'a [u8],
    /// A holder's word for it, under the key itself.
    pub tag: [u8; 32],
}

/// The next key of a collection that has no owner.
#[derive(Clone, Copy, Debug)]
pub struct NextGrantedKey<'a> {
    /// The collection.
    pub collection: CollectionId,
    /// The generation that the client opened; the new one is the next.
    pub from_generation: u32,
    /// The number of the last change, which is bound into `former_key`.
    pub last_change: u64,
    /// The key until now, sealed under the new one.
    pub former_key: &'a [u8],
    /// The description, sealed under the new key.
    pub sealed_meta: &'a [u8],
    /// Who gets it, and nobody else: whoever makes it, and holders of the key until now.
    pub grants: &'a [NewKeyGrant<'a>],
}

type Row = (Uuid, i64, Uuid, i64, Vec<u8>, [u8; 32], i64);

impl Objects {
    /// Makes a collection that has no owner. `grants` are for whoever makes it, if it is end-to-end.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub async fn create_tenant_collection(
        &self,
        tx: &mut WriteTx,
        id: CollectionId,
        by: Uuid,
        sealed_meta: &[u8],
        grants: &[NewKeyGrant<'_>],
    ) -> Result<(), CollectionError> {
        check_meta(sealed_meta)?;
        self.charge::<CollectionError>(tx, Change { collections: 1, ..Change::default() }).await?;
        let (now, no_key): (i64, &[u8]) = (tx.now(), &[]);
        let inserted = tx
            .execute(
                "INSERT INTO collection (id, owner, kind, sealed_key, sealed_meta, key_version, created_at, deleted_at) \
                 VALUES ($1, $2, 'tenant', $3, $4, 1, $5, NULL) ON CONFLICT DO NOTHING",
                params![&id, &by, no_key, sealed_meta, now],
            )
            .await?;
        if inserted == 0 {
            return Err(CollectionError::Exists);
        }
        tx.execute("INSERT INTO collection_head (collection, sequence) VALUES ($1, 0)", params![&id]).await?;
        for grant in grants {
            write_grant(tx, id, *grant, now).await?;
        }
        Ok(())
    }

    /// Deletes it, with the grants of its key.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub async fn delete_tenant_collection(
        &self,
        tx: &mut WriteTx,
        id: CollectionId,
    ) -> Result<(), CollectionError> {
        self.delete_collection(tx, id).await?;
        tx.execute("DELETE FROM collection_grant WHERE collection = $1", params![&id]).await?;
        Ok(())
    }

    /// Deletes every grant, when the tenant goes.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn erase_grants(&self, tx: &mut WriteTx) -> Result<(), StoreError> {
        tx.execute("DELETE FROM collection_grant WHERE created_at >= 0", params![]).await?;
        Ok(())
    }

    /// Who has the collection's key.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn key_grants(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
    ) -> Result<Vec<KeyGrant>, StoreError> {
        let rows: Vec<Row> = tx
            .query(
                "SELECT account, key_version, sharer, sharer_key_version, sealed_grant, tag, created_at \
                 FROM collection_grant WHERE collection = $1 ORDER BY account",
                params![&collection],
            )
            .await?;
        Ok(rows.into_iter().map(KeyGrant::from_row).collect())
    }

    /// The accounts that have it.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn key_holders(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
    ) -> Result<Vec<Uuid>, StoreError> {
        let rows: Vec<(Uuid,)> = tx
            .query(
                "SELECT account FROM collection_grant WHERE collection = $1 ORDER BY account",
                params![&collection],
            )
            .await?;
        Ok(rows.into_iter().map(|(account,)| account).collect())
    }

    /// The collection's key, as this account was granted it.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn key_grant(
        &self,
        tx: &mut ReadTx,
        collection: CollectionId,
        account: Uuid,
    ) -> Result<Option<KeyGrant>, StoreError> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT account, key_version, sharer, sharer_key_version, sealed_grant, tag, created_at \
                 FROM collection_grant WHERE collection = $1 AND account = $2",
                params![&collection, &account],
            )
            .await?;
        Ok(row.map(KeyGrant::from_row))
    }

    /// Grants the collection's key, of this generation, to somebody, or renews a grant.
    ///
    /// # Errors
    /// [`ShareError`]; of these [`ShareError::KeyOutdated`] when another key is in use by now.
    pub async fn grant_key(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        generation: u32,
        new: NewKeyGrant<'_>,
    ) -> Result<(), ShareError> {
        check_grant(&new)?;
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
        let before = self.key_grant(tx, collection, new.account).await?;
        if before.is_none() && self.key_holders(tx, collection).await?.len() >= MAX_HOLDERS {
            return Err(ShareError::TooMany);
        }
        tx.execute(
            "DELETE FROM collection_grant WHERE collection = $1 AND account = $2",
            params![&collection, &new.account],
        )
        .await?;
        let since = before.map_or(tx.now(), |before| before.created_at);
        Ok(write_grant(tx, collection, new, since).await?)
    }

    /// Gives the collection its next key: who is not among `grants` has it no more.
    ///
    /// # Errors
    /// [`NextKeyError`]; of these [`NextKeyError::Changed`] when it was written to meanwhile, has another key, or somebody
    /// would get the key who did not have the one before.
    pub async fn next_granted_key(
        &self,
        tx: &mut WriteTx,
        next: NextGrantedKey<'_>,
    ) -> Result<(), NextKeyError> {
        let NextGrantedKey { collection, from_generation, last_change, .. } = next;
        check_key(next.former_key)?;
        check_meta(next.sealed_meta)?;
        if next.grants.len() > MAX_HOLDERS {
            return Err(ShareError::TooMany.into());
        }
        next.grants.iter().try_for_each(check_grant)?;
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
        let now = tx.now();
        tx.execute(
            "UPDATE collection SET sealed_meta = $2, key_version = key_version + 1 WHERE id = $1",
            params![&collection, next.sealed_meta],
        )
        .await?;
        tx.execute(
            "INSERT INTO former_key (collection, generation, last_change, sealed_key, created_at) \
             VALUES ($1, $2, $3, $4, $5)",
            params![&collection, i64::from(from_generation), signed(last_change), next.former_key, now],
        )
        .await?;
        let before = self.key_grants(tx, collection).await?;
        tx.execute("DELETE FROM collection_grant WHERE collection = $1", params![&collection]).await?;
        let mut granted = BTreeSet::new();
        for grant in next.grants {
            let held = before.iter().find(|held| held.account == grant.account);
            let (Some(held), true) = (held, granted.insert(grant.account)) else {
                return Err(NextKeyError::Changed);
            };
            write_grant(tx, collection, *grant, held.created_at).await?;
        }
        Ok(())
    }

    /// The version that the next change of an item makes: nobody else changes the collection until this transaction ends.
    ///
    /// # Errors
    /// [`ItemError::NotFound`] for the collection.
    pub async fn next_version(
        &self,
        tx: &mut WriteTx,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<u64, ItemError> {
        let locked = tx
            .execute(
                "UPDATE collection_head SET sequence = sequence WHERE collection = $1",
                params![&collection],
            )
            .await?;
        if locked == 0 {
            return Err(ItemError::NotFound);
        }
        let version: Option<(i64,)> = tx
            .query_opt(
                "SELECT version FROM item WHERE collection = $1 AND id = $2",
                params![&collection, &item],
            )
            .await?;
        Ok(version.map_or(1, |(version,)| unsigned(version).saturating_add(1)))
    }
}

impl KeyGrant {
    fn from_row(row: Row) -> Self {
        let (account, key_version, sharer, sharer_key_version, grant, tag, created_at) = row;
        Self {
            account,
            key_version: counted(key_version),
            sharer,
            sharer_key_version: counted(sharer_key_version),
            grant,
            tag,
            created_at,
        }
    }
}

fn check_grant(new: &NewKeyGrant<'_>) -> Result<(), ShareError> {
    if (1..=MAX_GRANT).contains(&new.grant.len()) { Ok(()) } else { Err(ShareError::Grant) }
}

async fn write_grant(
    tx: &mut WriteTx,
    collection: CollectionId,
    new: NewKeyGrant<'_>,
    since: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO collection_grant \
           (collection, account, key_version, sharer, sharer_key_version, sealed_grant, tag, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            &collection,
            &new.account,
            i64::from(new.key_version),
            &new.sharer,
            i64::from(new.sharer_key_version),
            new.grant,
            new.tag.as_slice(),
            since,
        ],
    )
    .await?;
    Ok(())
}
