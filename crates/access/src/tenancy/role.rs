// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Roles that a tenant makes for itself, and who holds which role where.

use std::fmt;
use std::str::FromStr;

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::scopes::Scopes;
use crate::standing::{Place, Stamp};
use crate::tenancy::member::MAX_PAGE;
use crate::tenancy::{Name, RoleId, Tenancy, TenancyError};
use crate::tenant_policies::MAX_TENANT_POLICIES;
use crate::vocabulary::BuiltInRole;

/// How many roles a holder has at most, each place counted.
pub const MAX_GRANTS: i64 = 256;

/// A role that a tenant made for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// Its name.
    pub name: Name,
    /// What it may.
    pub actions: Scopes,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

/// Which role: a built-in one by its name, or one of the tenant's own by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// A built-in role.
    BuiltIn(BuiltInRole),
    /// A role of the tenant's own.
    Own(RoleId),
}

/// Who can hold a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// A member.
    Member,
    /// Everyone in a team.
    Team,
    /// A service account.
    ServiceAccount,
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of which kind the holder is.
    pub holder_kind: HolderKind,
    /// The holder.
    pub holder: Uuid,
    /// The role.
    pub role: RoleName,
    /// Where.
    pub place: Place,
    /// Since when, in Unix milliseconds.
    pub granted_at: i64,
    /// Who gave it, as records name them.
    pub granted_by: String,
}

/// A role to be given or taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// Of which kind the holder is.
    pub holder_kind: HolderKind,
    /// The holder.
    pub holder: Uuid,
    /// The role.
    pub role: RoleName,
    /// Where.
    pub place: Place,
}

/// Which of the roles that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grants {
    /// All.
    All,
    /// Those of one holder.
    Of(Uuid),
    /// Those at one place.
    At(Place),
}

// `$5` is what is asked for; it stands in each, so that all take the same parameters.
const GRANTS: &str = "\
SELECT holder_kind, holder, role, place, is_device, granted_at, granted_by FROM role_grant \
WHERE (holder > $1 OR (holder = $1 AND (role > $2 OR (role = $2 AND place > $3)))) AND holder <> $5 \
ORDER BY holder, role, place LIMIT $4";
const GRANTS_OF_HOLDER: &str = "\
SELECT holder_kind, holder, role, place, is_device, granted_at, granted_by FROM role_grant \
WHERE (holder > $1 OR (holder = $1 AND (role > $2 OR (role = $2 AND place > $3)))) AND holder = $5 \
ORDER BY holder, role, place LIMIT $4";
const GRANTS_AT_PLACE: &str = "\
SELECT holder_kind, holder, role, place, is_device, granted_at, granted_by FROM role_grant \
WHERE (holder > $1 OR (holder = $1 AND (role > $2 OR (role = $2 AND place > $3)))) AND place = $5 \
ORDER BY holder, role, place LIMIT $4";

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoleName::BuiltIn(role) => role.fmt(f),
            RoleName::Own(role) => role.fmt(f),
        }
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a role is one of owner, admin, auditor, manager, operator, viewer, or the id of one of the tenant's own"
)]
pub struct NoRole;

impl FromStr for RoleName {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        let own = || text.parse().map(RoleName::Own).map_err(|_| NoRole);
        text.parse().map(RoleName::BuiltIn).or_else(|_| own())
    }
}

impl HolderKind {
    const ALL: [HolderKind; 3] = [Self::Member, Self::Team, Self::ServiceAccount];

    /// The kind as it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Team => "team",
            Self::ServiceAccount => "service_account",
        }
    }

    fn stored(name: &str) -> Result<Self, TenancyError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| TenancyError::Unreadable("the kind of a holder".to_owned()))
    }
}

impl Tenancy {
    /// The roles of the tenant's own, the oldest first.
    pub async fn roles(&self, tx: &mut ReadTx) -> Result<Vec<Role>, TenancyError> {
        let keys = self.keys(tx).await?;
        let rows: Vec<(Uuid, Vec<u8>, String, i64)> = tx
            .query("SELECT id, sealed_name, actions, created_at FROM role ORDER BY created_at, id", params![])
            .await?;
        let open = |(id, sealed, actions, created_at): (Uuid, Vec<u8>, String, i64)| {
            Ok(Role {
                id: RoleId::from_uuid(id),
                name: Name::open(&keys, id, &sealed)?,
                actions: actions.split_ascii_whitespace().filter_map(|name| name.parse().ok()).collect(),
                created_at,
            })
        };
        rows.into_iter().map(open).collect()
    }

    /// One role of the tenant's own.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn role(&self, tx: &mut ReadTx, id: RoleId) -> Result<Role, TenancyError> {
        let roles = self.roles(tx).await?;
        roles.into_iter().find(|role| role.id == id).ok_or(TenancyError::NotFound)
    }

    /// Makes a role: a set of actions that can be done in a tenant. Who makes it must have them all in the whole tenant, which
    /// [`Access::covers`](crate::Access::covers) says.
    ///
    /// # Errors
    /// [`TenancyError::TooMany`].
    pub async fn create_role(
        &self,
        tx: &mut WriteTx,
        name: &Name,
        actions: Scopes,
    ) -> Result<Role, TenancyError> {
        Stamp::Policies.renew(tx).await?;
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM role", params![]).await?;
        if count >= MAX_TENANT_POLICIES as i64 {
            return Err(TenancyError::TooMany("a tenant has at most 200 roles of its own"));
        }
        let (id, now) = (RoleId::random(), tx.now());
        let sealed = name.seal(&self.keys(tx).await?, *id.uuid());
        tx.execute(
            "INSERT INTO role (id, sealed_name, actions, created_at, changed_at) VALUES ($1, $2, $3, $4, $4)",
            params![&id, &sealed, &actions.to_string(), now],
        )
        .await?;
        Ok(Role { id, name: name.clone(), actions, created_at: now })
    }

    /// Changes a role for all who hold it.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn change_role(
        &self,
        tx: &mut WriteTx,
        id: RoleId,
        name: &Name,
        actions: Scopes,
    ) -> Result<(), TenancyError> {
        Stamp::Policies.renew(tx).await?;
        let (sealed, now) = (name.seal(&self.keys(tx).await?, *id.uuid()), tx.now());
        let changed = tx
            .execute(
                "UPDATE role SET sealed_name = $2, actions = $3, changed_at = $4 WHERE id = $1",
                params![&id, &sealed, &actions.to_string(), now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Deletes a role, and takes it from all who hold it.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn delete_role(&self, tx: &mut WriteTx, id: RoleId) -> Result<(), TenancyError> {
        Stamp::Policies.renew(tx).await?;
        Stamp::People.renew(tx).await?;
        if tx.execute("DELETE FROM role WHERE id = $1", params![&id]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        tx.execute("DELETE FROM role_grant WHERE role = $1", params![&id.to_string()]).await?;
        Ok(())
    }

    /// Who holds which role where: of one holder, at one place, or all; after the given one in the order of holder, role and
    /// place. At most `limit` (1 to [`MAX_PAGE`]), and whether there are more.
    pub async fn grants(
        &self,
        tx: &mut ReadTx,
        which: Grants,
        after: Option<(Uuid, RoleName, Uuid)>,
        limit: u32,
    ) -> Result<(Vec<Grant>, bool), TenancyError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let after = after.map(|(holder, role, place)| (holder, role.to_string(), place));
        let (holder, role, place) = after.unwrap_or((Uuid::nil(), String::new(), Uuid::nil()));
        let (sql, only) = match which {
            Grants::All => (GRANTS, Uuid::nil()),
            Grants::Of(holder) => (GRANTS_OF_HOLDER, holder),
            Grants::At(place) => (GRANTS_AT_PLACE, place.uuid()),
        };
        let rows: Vec<(String, Uuid, String, Uuid, i64, i64, String)> =
            tx.query(sql, params![&holder, &role, &place, i64::from(limit) + 1, &only]).await?;
        let more = rows.len() > limit as usize;
        let mut grants = Vec::with_capacity(rows.len());
        for (kind, holder, role, place, is_device, granted_at, granted_by) in
            rows.into_iter().take(limit as usize)
        {
            let Ok(role) = role.parse() else { continue };
            grants.push(Grant {
                holder_kind: HolderKind::stored(&kind)?,
                holder,
                role,
                place: Place::stored(place, is_device),
                granted_at,
                granted_by,
            });
        }
        Ok((grants, more))
    }

    /// Gives a role. Who gives it must have all that it may, there: [`Access::covers`](crate::Access::covers). `false` when it was
    /// held already.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for holder, role or place; [`TenancyError::Invalid`] for a role that is held in the whole tenant
    /// only, for an owner who is no member, and for an owner who would audit, and so change nothing; [`TenancyError::TooMany`].
    pub async fn grant(&self, tx: &mut WriteTx, new: NewGrant, by: &str) -> Result<bool, TenancyError> {
        let NewGrant { holder_kind, holder, role, place } = new;
        Stamp::People.renew(tx).await?;
        require_role(tx, role, place).await?;
        if role == RoleName::BuiltIn(BuiltInRole::Owner) && holder_kind != HolderKind::Member {
            return Err(TenancyError::invalid("holder", "only a member can be an owner"));
        }
        require_holder(tx, holder_kind, holder).await?;
        require_place(tx, place).await?;
        let (count,): (i64,) =
            tx.query_one("SELECT count(*) FROM role_grant WHERE holder = $1", params![&holder]).await?;
        if count >= MAX_GRANTS {
            return Err(TenancyError::TooMany("a holder has at most 256 roles"));
        }
        let is_new = insert_grant(tx, holder, holder_kind, &role.to_string(), place, by).await?;
        require_no_audited_owner(tx).await?;
        Ok(is_new)
    }

    /// Takes a role away. `false` when it was not held.
    ///
    /// # Errors
    /// [`TenancyError::LastOwner`].
    pub async fn revoke(&self, tx: &mut WriteTx, grant: NewGrant) -> Result<bool, TenancyError> {
        Stamp::People.renew(tx).await?;
        if grant.role == RoleName::BuiltIn(BuiltInRole::Owner) {
            require_another_owner(tx, grant.holder).await?;
        }
        let deleted = tx
            .execute(
                "DELETE FROM role_grant WHERE holder = $1 AND role = $2 AND place = $3",
                params![&grant.holder, &grant.role.to_string(), &grant.place.uuid()],
            )
            .await?;
        Ok(deleted == 1)
    }

    /// Whether the tenant would have no owner without this account.
    pub async fn is_last_owner(&self, tx: &mut ReadTx, account: Uuid) -> Result<bool, TenancyError> {
        let owners = live_owners(tx).await?;
        Ok(!owners.is_empty() && owners.iter().all(|(owner,)| *owner == account))
    }

    /// Makes a member an owner and takes that from another, in one.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] when `to` is no live member or `from` no owner.
    pub async fn hand_on(
        &self,
        tx: &mut WriteTx,
        from: Uuid,
        to: Uuid,
        by: &str,
    ) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        let root = Place::Organisation(*tx.tenant().uuid());
        let live: Option<(String,)> = tx
            .query_opt("SELECT state FROM member WHERE account = $1 AND state = 'live'", params![&to])
            .await?;
        if live.is_none() || from == to {
            return Err(TenancyError::NotFound);
        }
        let owner = BuiltInRole::Owner.name();
        insert_grant(tx, to, HolderKind::Member, owner, root, by).await?;
        let taken = tx
            .execute("DELETE FROM role_grant WHERE holder = $1 AND role = $2", params![&from, owner])
            .await?;
        require_no_audited_owner(tx).await?;
        if taken == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }
}

impl Place {
    /// The organisation's or the device's UUID.
    pub fn uuid(&self) -> Uuid {
        match self {
            Place::Organisation(id) | Place::Device(id) => *id,
        }
    }

    /// As it is stored: 1 for a device.
    pub(crate) fn is_device(&self) -> i64 {
        i64::from(matches!(self, Place::Device(_)))
    }

    pub(crate) fn stored(id: Uuid, is_device: i64) -> Place {
        if is_device == 0 { Place::Organisation(id) } else { Place::Device(id) }
    }
}

/// Refuses to do without this member when nobody else is a live owner. The people's stamp was renewed before: so nobody else
/// is about to do the same.
pub(super) async fn require_another_owner(tx: &mut WriteTx, account: Uuid) -> Result<(), TenancyError> {
    let is_last = live_owners(tx).await?.iter().all(|(owner,)| *owner == account);
    if is_last { Err(TenancyError::LastOwner) } else { Ok(()) }
}

/// Two live owners at the most: enough to tell whether there is another.
async fn live_owners(tx: &mut ReadTx) -> Result<Vec<(Uuid,)>, StoreError> {
    tx.query(
        "SELECT m.account FROM member m JOIN role_grant g ON g.holder = m.account \
         WHERE g.role = 'owner' AND m.state = 'live' ORDER BY m.account LIMIT 2",
        params![],
    )
    .await
}

/// Refuses an owner who audits, by themselves or in a team: who audits changes nothing, and the tenant would have one owner less
/// than it seems.
pub(super) async fn require_no_audited_owner(tx: &mut WriteTx) -> Result<(), TenancyError> {
    let (audited,): (i64,) = tx
        .query_one(
            "SELECT count(*) FROM role_grant o WHERE o.role = 'owner' AND EXISTS ( \
               SELECT 1 FROM role_grant a WHERE a.role = 'auditor' AND (a.holder = o.holder \
                 OR a.holder IN (SELECT team FROM team_member WHERE account = o.holder)))",
            params![],
        )
        .await?;
    if audited > 0 {
        return Err(TenancyError::invalid("role", "an owner cannot be an auditor, who changes nothing"));
    }
    Ok(())
}

/// Whether there is such a role, and it can be held at such a place.
pub(super) async fn require_role(tx: &mut ReadTx, role: RoleName, place: Place) -> Result<(), TenancyError> {
    match role {
        RoleName::Own(role) => require(tx, "SELECT 1 FROM role WHERE id = $1", *role.uuid()).await,
        RoleName::BuiltIn(role) => {
            let root = Place::Organisation(*tx.tenant().uuid());
            if role.is_tenant_wide() && place != root {
                return Err(TenancyError::invalid("place", "this role is held in the whole tenant only"));
            }
            Ok(())
        }
    }
}

pub(super) async fn require_place(tx: &mut ReadTx, place: Place) -> Result<(), TenancyError> {
    let sql = match place {
        Place::Organisation(_) => "SELECT 1 FROM organisation WHERE id = $1",
        Place::Device(_) => "SELECT 1 FROM tenant_device WHERE id = $1",
    };
    require(tx, sql, place.uuid()).await
}

async fn require_holder(tx: &mut ReadTx, kind: HolderKind, holder: Uuid) -> Result<(), TenancyError> {
    let sql = match kind {
        HolderKind::Member => "SELECT 1 FROM member WHERE account = $1",
        HolderKind::Team => "SELECT 1 FROM team WHERE id = $1",
        HolderKind::ServiceAccount => "SELECT 1 FROM service_account WHERE id = $1",
    };
    require(tx, sql, holder).await
}

async fn require(tx: &mut ReadTx, sql: &'static str, id: Uuid) -> Result<(), TenancyError> {
    tx.query_opt::<(i64,)>(sql, params![&id]).await?.map(drop).ok_or(TenancyError::NotFound)
}

pub(super) async fn insert_grant(
    tx: &mut WriteTx,
    holder: Uuid,
    kind: HolderKind,
    role: &str,
    place: Place,
    by: &str,
) -> Result<bool, TenancyError> {
    let now = tx.now();
    let inserted = tx
        .execute(
            "INSERT INTO role_grant (holder, role, place, is_device, holder_kind, granted_at, granted_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            params![&holder, role, &place.uuid(), place.is_device(), kind.name(), now, by],
        )
        .await?;
    Ok(inserted == 1)
}
