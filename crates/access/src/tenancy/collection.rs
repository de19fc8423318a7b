// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant: where they lie, what they were made as, and the sealing of what the server may read.
//!
//! What a collection was made as is a row that nobody changes, the server's own login role included, and its id is made of that
//! ([`keyring::Founding`]): a row that was changed all the same does not fit its id, and is refused. What is in collections
//! is kept by another room, sealed.
//!
//! The key of a server-sealed collection is a subject's key of [`custody`], destroyed with the collection.

use custody::SubjectKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyring::{Founding, ItemContent, Protection};
use sha2::Sha256;
use store::{ReadTx, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::tenancy::device::require_organisation;
use crate::tenancy::{Name, OrganisationId, Tenancy, TenancyError};
use crate::visible_collections::VisibleCollections;

/// A collection of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its id.
    pub id: Uuid,
    /// Who can open what is in it.
    pub protection: Protection,
    /// The organisation that it lies in.
    pub organisation: OrganisationId,
    /// Who made it, as in records.
    pub created_by: String,
    /// 16 random bytes.
    pub salt: [u8; 16],
    /// The check of its first key, if it is end-to-end.
    pub first_key: Option<[u8; 32]>,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

/// A collection to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewCollection<'a> {
    /// The organisation that it is to lie in.
    pub organisation: OrganisationId,
    /// What it is made as: its id follows.
    pub founding: Founding<'a>,
}

/// What seals and opens a server-sealed collection's name and items, each in its place: tenant, collection, item and version.
pub struct CollectionSeal(SubjectKey);

impl CollectionSeal {
    /// Seals the collection's name.
    pub fn seal_name(&self, name: &Name) -> Vec<u8> {
        self.0.seal(&[b"name"], name.as_str().as_bytes())
    }

    /// Opens the collection's name.
    ///
    /// # Errors
    /// [`TenancyError::Unreadable`].
    pub fn open_name(&self, sealed: &[u8]) -> Result<Name, TenancyError> {
        let opened = self.0.open(&[b"name"], sealed).map_err(unreadable)?;
        let text = String::from_utf8(opened.to_vec()).map_err(unreadable)?;
        Name::new(text).map_err(unreadable)
    }

    /// Seals a version of an item.
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for its name.
    pub fn seal_item(
        &self,
        item: Uuid,
        version: u64,
        content: &ItemContent,
    ) -> Result<Vec<u8>, TenancyError> {
        let bytes = content.to_bytes().map_err(|error| TenancyError::invalid("name", error))?;
        Ok(self.0.seal(&[b"item", item.as_bytes(), &version.to_be_bytes()], &bytes))
    }

    /// Opens a version of an item.
    ///
    /// # Errors
    /// [`TenancyError::Unreadable`] for bytes of another item, version, collection or tenant.
    pub fn open_item(&self, item: Uuid, version: u64, sealed: &[u8]) -> Result<ItemContent, TenancyError> {
        let opened = self.0.open(&[b"item", item.as_bytes(), &version.to_be_bytes()], sealed);
        ItemContent::from_bytes(&opened.map_err(unreadable)?).map_err(unreadable)
    }
}

type Row = (Uuid, String, Uuid, String, [u8; 16], Option<Vec<u8>>, i64);

impl Tenancy {
    /// Notes a new collection, and where it lies.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for the organisation, [`TenancyError::Exists`].
    pub async fn add_collection(
        &self,
        tx: &mut WriteTx,
        new: &NewCollection<'_>,
    ) -> Result<Collection, TenancyError> {
        require_organisation(tx, new.organisation).await?;
        let Founding { protection, created_by, salt, first_key, .. } = new.founding;
        let (id, now) = (Uuid::from_bytes(new.founding.id().into()), tx.now());
        let taken: Option<(i64,)> =
            tx.query_opt("SELECT 1 FROM tenant_collection WHERE id = $1", params![&id]).await?;
        if taken.is_some() {
            return Err(TenancyError::Exists("a collection with this id exists or existed"));
        }
        tx.execute(
            "INSERT INTO tenant_collection (id, protection, created_by, salt, first_key, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![&id, protection.name(), created_by, &salt, first_key.as_ref(), now],
        )
        .await?;
        tx.execute(
            "INSERT INTO placement (thing, organisation) VALUES ($1, $2)",
            params![&id, &new.organisation],
        )
        .await?;
        Ok(Collection {
            id,
            protection,
            organisation: new.organisation,
            created_by: created_by.to_owned(),
            salt,
            first_key,
            created_at: now,
        })
    }

    /// One collection.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`]; [`TenancyError::Unreadable`] when what is stored does not fit its id.
    pub async fn collection(&self, tx: &mut ReadTx, id: Uuid) -> Result<Collection, TenancyError> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT c.id, c.protection, p.organisation, c.created_by, c.salt, c.first_key, c.created_at \
                 FROM tenant_collection c JOIN placement p ON p.thing = c.id WHERE c.id = $1",
                params![&id],
            )
            .await?;
        Collection::read(tx, row.ok_or(TenancyError::NotFound)?)
    }

    /// The collections after `after` that are visible, by id, at most `limit`, and whether there are more.
    ///
    /// # Errors
    /// [`TenancyError::Unreadable`] when what is stored of one does not fit its id.
    pub async fn collections(
        &self,
        tx: &mut ReadTx,
        visible: &VisibleCollections,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<Collection>, bool), TenancyError> {
        let (mut found, mut from) = (Vec::new(), after.unwrap_or(Uuid::nil()));
        loop {
            let rows: Vec<Row> = tx
                .query(
                    "SELECT c.id, c.protection, p.organisation, c.created_by, c.salt, c.first_key, c.created_at \
                     FROM tenant_collection c JOIN placement p ON p.thing = c.id \
                     WHERE c.id > $1 ORDER BY c.id LIMIT $2",
                    params![&from, ROWS],
                )
                .await?;
            let Some(last) = rows.last() else { return Ok((found, false)) };
            from = last.0;
            for row in rows {
                if !visible.contains(row.0, row.2) {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(Collection::read(tx, row)?);
            }
        }
    }

    /// Takes a collection from its place and destroys the server's key of it. What it was made as stays, so that its id does.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn remove_collection(&self, tx: &mut WriteTx, id: Uuid) -> Result<(), TenancyError> {
        if tx.execute("DELETE FROM placement WHERE thing = $1", params![&id]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        self.custody.shred(tx, id.as_bytes()).await?;
        Ok(())
    }

    /// The key of a new collection that is server-sealed.
    ///
    /// # Errors
    /// [`TenancyError::Key`].
    pub async fn new_collection_seal(
        &self,
        tx: &mut WriteTx,
        id: Uuid,
    ) -> Result<CollectionSeal, TenancyError> {
        Ok(CollectionSeal(self.custody.subject_or_new(tx, id.as_bytes(), SEAL).await?))
    }

    /// The key of a collection that is server-sealed.
    ///
    /// # Errors
    /// [`TenancyError::Key`].
    pub async fn collection_seal(&self, tx: &mut ReadTx, id: Uuid) -> Result<CollectionSeal, TenancyError> {
        Ok(CollectionSeal(self.custody.subject(tx, id.as_bytes(), SEAL).await?))
    }

    /// What clients make the ids of a server-sealed collection's items with, out of their names: nobody who has only the
    /// database guesses names by them.
    ///
    /// # Errors
    /// [`TenancyError::Key`].
    pub async fn collection_names(
        &self,
        tx: &mut ReadTx,
        id: Uuid,
    ) -> Result<Zeroizing<[u8; 32]>, TenancyError> {
        let key = self.keys(tx).await?.derive("access/collection-names");
        let mut names = Zeroizing::new([0; 32]);
        // HMAC takes keys of every length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_slice()) {
            mac.update(id.as_bytes());
            names.copy_from_slice(&mac.finalize().into_bytes());
        }
        Ok(names)
    }
}

impl Collection {
    /// The row, held against its id.
    fn read(tx: &ReadTx, row: Row) -> Result<Self, TenancyError> {
        let (id, protection, organisation, created_by, salt, first_key, created_at) = row;
        let protection = [Protection::EndToEnd, Protection::ServerSealed]
            .into_iter()
            .find(|one| one.name() == protection)
            .ok_or_else(|| unreadable("a collection's protection"))?;
        let check =
            |check| <[u8; 32]>::try_from(check).map_err(|_: Vec<u8>| unreadable("a collection's key"));
        let first_key = first_key.map(check).transpose()?;
        let founding = Founding {
            tenant: keyring::TenantId::from_bytes(*tx.tenant().as_bytes()),
            protection,
            created_by: &created_by,
            salt,
            first_key,
        };
        if founding.id().as_bytes() != id.as_bytes() {
            return Err(unreadable(
                "what the collection was made as does not fit its id: the row was changed",
            ));
        }
        let organisation = OrganisationId::from_uuid(organisation);
        Ok(Collection { id, protection, organisation, created_by, salt, first_key, created_at })
    }
}

fn unreadable(error: impl std::fmt::Display) -> TenancyError {
    TenancyError::Unreadable(error.to_string())
}

/// The purpose of a collection's key.
const SEAL: &str = "collection";
/// How many rows are looked at in one go.
const ROWS: i64 = 200;
