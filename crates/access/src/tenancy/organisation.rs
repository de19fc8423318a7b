// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Organisations: a tree below the tenant as a whole.

use std::collections::HashMap;

use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use crate::standing::{MAX_DEPTH, Stamp};
use crate::tenancy::{Name, OrganisationId, Tenancy, TenancyError};

/// How many organisations a tenant has at most.
pub const MAX_ORGANISATIONS: i64 = 10_000;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// The one above it; `None` for the tenant as a whole.
    pub parent: Option<OrganisationId>,
    /// Its name.
    pub name: Name,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

impl Tenancy {
    /// Every organisation, the topmost first.
    pub async fn organisations(&self, tx: &mut ReadTx) -> Result<Vec<Organisation>, TenancyError> {
        let keys = self.keys(tx).await?;
        let rows: Vec<(Uuid, Option<Uuid>, Vec<u8>, i64)> = tx
            .query(
                "SELECT id, parent, sealed_name, created_at FROM organisation \
                 ORDER BY parent IS NOT NULL, created_at, id",
                params![],
            )
            .await?;
        let open = |(id, parent, sealed, created_at): (Uuid, Option<Uuid>, Vec<u8>, i64)| {
            Ok(Organisation {
                id: OrganisationId::from_uuid(id),
                parent: parent.map(OrganisationId::from_uuid),
                name: Name::open(&keys, id, &sealed)?,
                created_at,
            })
        };
        rows.into_iter().map(open).collect()
    }

    /// One organisation.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn organisation(
        &self,
        tx: &mut ReadTx,
        id: OrganisationId,
    ) -> Result<Organisation, TenancyError> {
        let keys = self.keys(tx).await?;
        let row: Option<(Option<OrganisationId>, Vec<u8>, i64)> = tx
            .query_opt("SELECT parent, sealed_name, created_at FROM organisation WHERE id = $1", params![&id])
            .await?;
        let (parent, sealed, created_at) = row.ok_or(TenancyError::NotFound)?;
        Ok(Organisation { id, parent, name: Name::open(&keys, *id.uuid(), &sealed)?, created_at })
    }

    /// Makes an organisation below another.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for what is above it, [`TenancyError::TooMany`], [`TenancyError::Invalid`] for a name that
    /// another one there has.
    pub async fn create_organisation(
        &self,
        tx: &mut WriteTx,
        parent: OrganisationId,
        name: &Name,
    ) -> Result<Organisation, TenancyError> {
        // First: it holds off whoever else changes the tree.
        Stamp::Places.renew(tx).await?;
        let tree = Parents::read(tx).await?;
        if tree.0.len() as i64 >= MAX_ORGANISATIONS {
            return Err(TenancyError::TooMany("a tenant has at most 10,000 organisations"));
        }
        if tree.depth(*parent.uuid())? >= MAX_DEPTH {
            return Err(TenancyError::TooMany("organisations lie at most 16 deep in one another"));
        }
        self.require_free(tx, "name", name, None, parent).await?;
        let (id, now) = (OrganisationId::random(), tx.now());
        let sealed = name.seal(&self.keys(tx).await?, *id.uuid());
        tx.execute(
            "INSERT INTO organisation (id, parent, sealed_name, created_at) VALUES ($1, $2, $3, $4)",
            params![&id, &parent, &sealed, now],
        )
        .await?;
        Ok(Organisation { id, parent: Some(parent), name: name.clone(), created_at: now })
    }

    /// Gives an organisation another name. The topmost is renamed with the tenant.
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for a name that another one in the same place has.
    pub async fn rename_organisation(
        &self,
        tx: &mut WriteTx,
        organisation: OrganisationId,
        name: &Name,
    ) -> Result<(), TenancyError> {
        self.not_topmost(tx, organisation)?;
        Stamp::Places.renew(tx).await?;
        if let Some(parent) = self.organisation(tx, organisation).await?.parent {
            self.require_free(tx, "name", name, Some(organisation), parent).await?;
        }
        let sealed = name.seal(&self.keys(tx).await?, *organisation.uuid());
        let changed = tx
            .execute(
                "UPDATE organisation SET sealed_name = $2 WHERE id = $1",
                params![&organisation, &sealed],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Moves an organisation, with all that is below it, below another. Who held roles above it holds them there no more, and
    /// who holds roles above its new place does.
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] when it would lie in itself or beside another of its name, [`TenancyError::TooMany`] when it
    /// would lie too deep.
    pub async fn move_organisation(
        &self,
        tx: &mut WriteTx,
        organisation: OrganisationId,
        parent: OrganisationId,
    ) -> Result<(), TenancyError> {
        self.not_topmost(tx, organisation)?;
        Stamp::Places.renew(tx).await?;
        let tree = Parents::read(tx).await?;
        tree.depth(*organisation.uuid())?;
        let above = tree.depth(*parent.uuid())?;
        if tree.is_within(*parent.uuid(), *organisation.uuid()) {
            return Err(TenancyError::invalid("parent", "it lies in the organisation that is to be moved"));
        }
        if above + tree.height(*organisation.uuid()) > MAX_DEPTH {
            return Err(TenancyError::TooMany("organisations lie at most 16 deep in one another"));
        }
        let name = self.organisation(tx, organisation).await?.name;
        self.require_free(tx, "parent", &name, Some(organisation), parent).await?;
        tx.execute("UPDATE organisation SET parent = $2 WHERE id = $1", params![&organisation, &parent])
            .await?;
        Ok(())
    }

    /// Deletes an organisation that nothing lies in, with the roles that were held there.
    ///
    /// # Errors
    /// [`TenancyError::InUse`] while organisations, devices or collections lie in it.
    pub async fn delete_organisation(
        &self,
        tx: &mut WriteTx,
        organisation: OrganisationId,
    ) -> Result<(), TenancyError> {
        self.not_topmost(tx, organisation)?;
        Stamp::Places.renew(tx).await?;
        let (inside,): (i64,) = tx
            .query_one(
                "SELECT (SELECT count(*) FROM organisation WHERE parent = $1) \
                      + (SELECT count(*) FROM tenant_device WHERE organisation = $1) \
                      + (SELECT count(*) FROM placement WHERE organisation = $1)",
                params![&organisation],
            )
            .await?;
        if inside > 0 {
            return Err(TenancyError::InUse("organisations, devices or collections still lie in it"));
        }
        if tx.execute("DELETE FROM organisation WHERE id = $1", params![&organisation]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        tx.execute("DELETE FROM role_grant WHERE place = $1 AND is_device = 0", params![&organisation])
            .await?;
        Stamp::People.renew(tx).await?;
        Ok(())
    }

    /// Refuses a name that an organisation in this place has, other than the one that is to have it. Names are sealed, so each
    /// is opened; under the stamp of the tree, so that none comes to be meanwhile.
    async fn require_free(
        &self,
        tx: &mut ReadTx,
        field: &'static str,
        name: &Name,
        of: Option<OrganisationId>,
        parent: OrganisationId,
    ) -> Result<(), TenancyError> {
        let keys = self.keys(tx).await?;
        let beside: Vec<(OrganisationId, Vec<u8>)> =
            tx.query("SELECT id, sealed_name FROM organisation WHERE parent = $1", params![&parent]).await?;
        for (id, sealed) in beside {
            if Some(id) != of && Name::open(&keys, *id.uuid(), &sealed)? == *name {
                return Err(TenancyError::invalid(field, "another organisation there has this name"));
            }
        }
        Ok(())
    }

    fn not_topmost(&self, tx: &ReadTx, organisation: OrganisationId) -> Result<(), TenancyError> {
        if organisation.uuid() == tx.tenant().uuid() {
            return Err(TenancyError::invalid("organisation", "it is the tenant as a whole"));
        }
        Ok(())
    }
}

/// Each organisation with the one above it.
pub(super) struct Parents(HashMap<Uuid, Option<Uuid>>);

impl Parents {
    pub(super) async fn read(tx: &mut ReadTx) -> Result<Self, TenancyError> {
        let rows: Vec<(Uuid, Option<Uuid>)> =
            tx.query("SELECT id, parent FROM organisation", params![]).await?;
        Ok(Parents(rows.into_iter().collect()))
    }

    /// How many lie above this one.
    fn depth(&self, organisation: Uuid) -> Result<usize, TenancyError> {
        let (mut at, mut depth) = (organisation, 0);
        loop {
            match self.0.get(&at) {
                None => return Err(TenancyError::NotFound),
                Some(None) => return Ok(depth),
                Some(Some(parent)) => (at, depth) = (*parent, depth + 1),
            }
        }
    }

    /// This one and those above it.
    pub(super) fn path(&self, organisation: Uuid) -> Result<Vec<Uuid>, TenancyError> {
        let (mut path, mut at) = (Vec::new(), Some(organisation));
        while let Some(id) = at {
            path.push(id);
            at = *self.0.get(&id).ok_or(TenancyError::NotFound)?;
        }
        Ok(path)
    }

    /// Whether this one lies in that one, or is it.
    fn is_within(&self, organisation: Uuid, that: Uuid) -> bool {
        let mut at = Some(organisation);
        while let Some(id) = at {
            if id == that {
                return true;
            }
            at = self.0.get(&id).copied().flatten();
        }
        false
    }

    /// How many levels this one is, with what is below it.
    fn height(&self, organisation: Uuid) -> usize {
        let depth_of = |id: &Uuid| self.depth(*id).unwrap_or(0);
        let own = depth_of(&organisation);
        let below = self.0.keys().filter(|id| self.is_within(**id, organisation)).map(depth_of).max();
        below.unwrap_or(own) - own + 1
    }
}
