// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What holders may by their roles: what one must have oneself to give it to somebody, or to take it from them.
//!
//! To give or take `auditor` is more than its actions: whoever audits changes nothing, so it takes, or gives back, everything
//! that the holder may. And to move an organisation or a device takes it from those who hold roles above its old place, and
//! gives it to those who do above the new one.

use std::collections::{BTreeMap, HashMap};

use store::{ReadTx, params};
use uuid::Uuid;

use crate::action::Action;
use crate::caller::Caller;
use crate::enter::{Access, Refused};
use crate::policies::Policies;
use crate::scopes::Scopes;
use crate::standing::Place;
use crate::tenancy::organisation::Parents;
use crate::tenancy::{HolderKind, NewGrant, OrganisationId, RoleName, TeamId, Tenancy, TenancyError};
use crate::vocabulary::BuiltInRole;

/// Places, each with what may be done there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(BTreeMap<Place, Scopes>);

impl Held {
    /// Adds actions at a place.
    pub fn add(&mut self, place: Place, actions: Scopes) {
        let held = self.0.entry(place).or_insert(Scopes::NONE);
        *held = held.or(actions);
    }

    /// Each place with its actions.
    pub fn iter(&self) -> impl Iterator<Item = (Place, Scopes)> {
        self.0.iter().map(|(place, actions)| (*place, *actions))
    }

    fn extend(&mut self, other: &Held) {
        other.iter().for_each(|(place, actions)| self.add(place, actions));
    }
}

impl Access {
    /// Whether the caller may do oneself all that `held` says, each at its place.
    ///
    /// # Errors
    /// [`TenancyError::BeyondOwn`] with the first action that one may not.
    pub async fn covers_all(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        held: &Held,
    ) -> Result<(), TenancyError> {
        match self.covers_each(tx, caller, held).await {
            Err(Refused::Forbidden { action }) => Err(TenancyError::BeyondOwn { action }),
            other => Ok(other?),
        }
    }
}

impl Tenancy {
    /// What whoever gives or takes this role gives or takes.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for the role.
    pub async fn given(
        &self,
        tx: &mut ReadTx,
        policies: &Policies,
        grant: &NewGrant,
    ) -> Result<Held, TenancyError> {
        let actions = Actions::read(tx, policies).await?;
        let mut held = Held::default();
        held.add(grant.place, actions.of(grant.role).ok_or(TenancyError::NotFound)?);
        if grant.role == AUDITOR {
            held.extend(&match grant.holder_kind {
                HolderKind::Team => actions.held_by_members(tx, grant.holder).await?,
                HolderKind::Member | HolderKind::ServiceAccount => actions.held_by(tx, grant.holder).await?,
            });
        }
        Ok(held)
    }

    /// What a role, held at a place, lets its holder do there.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for the role.
    pub async fn role_at(
        &self,
        tx: &mut ReadTx,
        policies: &Policies,
        roles: impl IntoIterator<Item = (RoleName, Place)>,
    ) -> Result<Held, TenancyError> {
        let actions = Actions::read(tx, policies).await?;
        let mut held = Held::default();
        for (role, place) in roles {
            held.add(place, actions.of(role).ok_or(TenancyError::NotFound)?);
        }
        Ok(held)
    }

    /// What a member, a team or a service account may: by their own roles and, of a member, those of their teams.
    pub async fn held(
        &self,
        tx: &mut ReadTx,
        policies: &Policies,
        holder: Uuid,
    ) -> Result<Held, TenancyError> {
        Actions::read(tx, policies).await?.held_by(tx, holder).await
    }

    /// What whoever puts a member into a team, or takes them out, gives or takes.
    pub async fn held_in_team(
        &self,
        tx: &mut ReadTx,
        policies: &Policies,
        team: TeamId,
        account: Uuid,
    ) -> Result<Held, TenancyError> {
        let actions = Actions::read(tx, policies).await?;
        let mut held = actions.held_by(tx, *team.uuid()).await?;
        if audits(tx, *team.uuid()).await? {
            held.extend(&actions.held_by(tx, account).await?);
        }
        Ok(held)
    }

    /// What whoever deletes a team takes, of all who are in it.
    pub async fn held_by_team(
        &self,
        tx: &mut ReadTx,
        policies: &Policies,
        team: TeamId,
    ) -> Result<Held, TenancyError> {
        let actions = Actions::read(tx, policies).await?;
        let mut held = actions.held_by(tx, *team.uuid()).await?;
        if audits(tx, *team.uuid()).await? {
            held.extend(&actions.held_by_members(tx, *team.uuid()).await?);
        }
        Ok(held)
    }

    /// What others gain or lose on what is moved from one organisation to another: what the roles allow that are held above
    /// the one place and not above the other.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for either organisation.
    pub async fn moved(
        &self,
        tx: &mut ReadTx,
        policies: &Policies,
        from: OrganisationId,
        to: OrganisationId,
    ) -> Result<Scopes, TenancyError> {
        let tree = Parents::read(tx).await?;
        let (before, after) = (tree.path(*from.uuid())?, tree.path(*to.uuid())?);
        let actions = Actions::read(tx, policies).await?;
        let mut moved = Scopes::NONE;
        let changed = before.iter().filter(|place| !after.contains(place));
        for place in changed.chain(after.iter().filter(|place| !before.contains(place))) {
            let roles: Vec<(String,)> = tx
                .query(
                    "SELECT DISTINCT role FROM role_grant WHERE place = $1 AND is_device = 0",
                    params![place],
                )
                .await?;
            let known = roles.iter().filter_map(|(role,)| actions.of(role.parse().ok()?));
            moved = known.fold(moved, Scopes::or);
        }
        Ok(moved)
    }
}

/// What can be done to a device: of what a role may, all that moving one gives or takes.
pub const DEVICE_ACTIONS: [Action; 3] = [Action::DeviceRead, Action::DeviceWrite, Action::DeviceDelete];

const AUDITOR: RoleName = RoleName::BuiltIn(BuiltInRole::Auditor);

/// What each role may.
pub(crate) struct Actions {
    built_in: [Scopes; BuiltInRole::ALL.len()],
    own: HashMap<Uuid, Scopes>,
}

impl Actions {
    pub(crate) async fn read(tx: &mut ReadTx, policies: &Policies) -> Result<Self, TenancyError> {
        let rows: Vec<(Uuid, String)> = tx.query("SELECT id, actions FROM role", params![]).await?;
        // An action that this release does not know allows nothing.
        let known = |names: &str| {
            names.split_ascii_whitespace().filter_map(|name| name.parse::<Action>().ok()).collect()
        };
        Ok(Actions {
            built_in: BuiltInRole::ALL.map(|role| policies.role(role)),
            own: rows.into_iter().map(|(id, actions)| (id, known(&actions))).collect(),
        })
    }

    pub(crate) fn of(&self, role: RoleName) -> Option<Scopes> {
        match role {
            RoleName::BuiltIn(role) => self.built_in.get(role as usize).copied(),
            RoleName::Own(role) => self.own.get(role.uuid()).copied(),
        }
    }

    async fn held_by(&self, tx: &mut ReadTx, holder: Uuid) -> Result<Held, TenancyError> {
        let rows = tx
            .query(
                "SELECT role, place, is_device FROM role_grant \
                 WHERE holder = $1 OR holder IN (SELECT team FROM team_member WHERE account = $1)",
                params![&holder],
            )
            .await?;
        Ok(self.at_places(rows))
    }

    /// What the members of a team may together, by whatever they hold.
    async fn held_by_members(&self, tx: &mut ReadTx, team: Uuid) -> Result<Held, TenancyError> {
        let rows = tx
            .query(
                "SELECT DISTINCT role, place, is_device FROM role_grant \
                 WHERE holder IN (SELECT account FROM team_member WHERE team = $1) \
                    OR holder IN (SELECT other.team FROM team_member own \
                                  JOIN team_member other ON other.account = own.account WHERE own.team = $1)",
                params![&team],
            )
            .await?;
        Ok(self.at_places(rows))
    }

    fn at_places(&self, rows: Vec<(String, Uuid, i64)>) -> Held {
        let mut held = Held::default();
        for (role, place, is_device) in rows {
            let actions = role.parse().ok().and_then(|role| self.of(role)).unwrap_or(Scopes::NONE);
            held.add(Place::stored(place, is_device), actions);
        }
        held
    }
}

async fn audits(tx: &mut ReadTx, holder: Uuid) -> Result<bool, TenancyError> {
    let found: Option<(i64,)> = tx
        .query_opt(
            "SELECT 1 FROM role_grant WHERE holder = $1 AND role = 'auditor' LIMIT 1",
            params![&holder],
        )
        .await?;
    Ok(found.is_some())
}
