// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why somebody may or may not do something in a customer's tenant, who may, and what somebody may.
//!
//! Whoever is in the tenant may ask about themselves, always: also about what they were refused a moment ago, by showing again what
//! they showed then. About others may ask who has `decision.explain` where the thing lies. The answer tells roles, places and
//! policies, never names; and what one may not see is answered like what is not there.

use std::collections::{BTreeMap, BTreeSet};

use store::{ReadTx, TenantId, TenantKind, params};
use uuid::Uuid;

use crate::action::Action;
use crate::caller::{Caller, Principal};
use crate::decision::Explanation;
use crate::enter::{Access, Refused, refused};
use crate::pace::Pace;
use crate::people::{People, absent};
use crate::resource::Resource;
use crate::scopes::Scopes;
use crate::standing::{Found, Holder, Known, Place, Standing};
use crate::tenancy::{Actions, HolderKind, RoleName, TenancyError};
use crate::vocabulary::Sample;

/// Somebody in a tenant: a member or a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Somebody {
    /// Which of the two. A team asks for nothing.
    pub kind: HolderKind,
    /// The account.
    pub id: Uuid,
}

/// Why somebody may or may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Who.
    pub who: Somebody,
    /// The decision, and the policies that made it.
    pub explanation: Explanation,
    /// Where the thing lies: the places that it is in, the nearest first, the whole tenant last.
    pub path: Vec<Place>,
    /// Every role that they hold, and what comes of it here. Those that give the action here come first.
    pub ways: Vec<Way>,
}

/// A role that somebody holds, and what it is worth for one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The role.
    pub role: RoleName,
    /// Who holds it: they themselves, or a team that they are in.
    pub through: Somebody,
    /// Where it is held.
    pub place: Place,
    /// Whether the thing lies there.
    pub reaches: bool,
    /// Whether the role has the action.
    pub allows: bool,
}

/// Some of those who may do something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhoCan {
    /// Each with the roles that give it; with none when it is a policy of the tenant's own that does.
    pub holders: Vec<(Somebody, Vec<Way>)>,
    /// What to pass as `after` to ask about the next members; `None` when all were asked about.
    pub next: Option<Uuid>,
}

/// What somebody may, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatCan {
    /// Who.
    pub who: Somebody,
    /// What they may in the whole tenant, and where it is something else than at the place above.
    pub places: Vec<Can>,
    /// Whether there were more organisations than [`MAX_PLACES`].
    pub more: bool,
}

/// What somebody may at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Can {
    /// The place.
    pub place: Place,
    /// Whether it is about the devices of the place, not the place itself.
    pub of_devices: bool,
    /// What they may.
    pub actions: Scopes,
}

/// A customer's tenant that somebody asks about, as it is in one transaction.
struct Asking<'a> {
    access: &'a Access,
    caller: &'a Caller,
    tx: ReadTx,
    known: Known,
    standing: Standing,
}

impl Access {
    /// Why `who` (the caller, if `None`) may or may not do `action` at a place, or to a device.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for a tenant that the caller is not in, a place that is not there or that the caller may not see,
    /// and somebody who is not in the tenant; [`TenancyError::Refused`] when the caller may not ask about others;
    /// [`TenancyError::Invalid`] when the action is none of a tenant's, or cannot be done there.
    pub async fn why(
        &self,
        caller: &Caller,
        tenant: TenantId,
        who: Option<Somebody>,
        action: Action,
        place: Place,
    ) -> Result<Why, TenancyError> {
        let mut asking = Asking::about(self, caller, tenant).await?;
        let oneself = asking.oneself();
        let other = who.filter(|who| *who != oneself);
        let found = match other {
            Some(_) => asking.find_to_explain(action, place).await?,
            None => asking.find(action, place).await?,
        };
        let standing = asking.standing_of(other).await?;
        let absent = other.map(|who| absent(who.kind, who.id, tenant));
        let speaker = absent.as_ref().unwrap_or(caller);
        let slice = || self.slice(speaker, tenant, &standing, action, &found);
        let explanation = asking.known.policies.explained(slice(), slice());
        let who = other.unwrap_or(oneself);
        let actions = Actions::read(&mut asking.tx, &asking.known.policies).await?;
        let ways = asking.ways(&actions, who, action, &found).await?;
        Ok(Why { who, explanation, path: found.path, ways })
    }

    /// Who may do `action` at a place, or to a device: of the members after `after`, by account, and with the first of them of
    /// the service accounts. Each as one who has just proved who they are.
    ///
    /// # Errors
    /// As [`Access::why`]; this always asks about others.
    pub async fn who_can(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        place: Place,
        after: Option<Uuid>,
    ) -> Result<WhoCan, TenancyError> {
        let mut asking = Asking::about(self, caller, tenant).await?;
        let found = asking.find_to_explain(action, place).await?;
        let People { people, more } =
            People::read(&mut asking.tx, after.unwrap_or(Uuid::nil()), PEOPLE_AT_ONCE).await?;
        let last = people.iter().rfind(|one| one.kind == HolderKind::Member).filter(|_| more);
        let mut can = WhoCan { holders: Vec::new(), next: last.map(|last| last.id) };
        let actions = Actions::read(&mut asking.tx, &asking.known.policies).await?;
        let mut pace = self.pace(tenant);
        for person in &people {
            pace.step().await.map_err(Refused::from)?;
            let who = Somebody { kind: person.kind, id: person.id };
            let other = absent(person.kind, person.id, tenant);
            if self.may(&asking.known, tenant, &other, &person.standing(), action, &found) {
                let mut ways = asking.ways(&actions, who, action, &found).await?;
                ways.retain(Way::gives);
                can.holders.push((who, ways));
            }
        }
        Ok(can)
    }

    /// What `who` (the caller, if `None`) may, at the places where the caller may ask: about themselves everywhere that they may
    /// see. Each as one who has just proved who they are.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for a tenant that the caller is not in, and somebody who is not in the tenant;
    /// [`TenancyError::Refused`] when the caller may ask about others nowhere.
    pub async fn what_can(
        &self,
        caller: &Caller,
        tenant: TenantId,
        who: Option<Somebody>,
    ) -> Result<WhatCan, TenancyError> {
        let mut asking = Asking::about(self, caller, tenant).await?;
        let oneself = asking.oneself();
        let other = who.filter(|who| *who != oneself);
        let mut pace = self.pace(tenant);
        let (targets, more) = organisations(&asking.known, tenant, MAX_PLACES);
        let mut targets = asking.shown(&mut pace, other, targets).await?;
        let root = Place::Organisation(*tenant.uuid());
        if other.is_some() && targets.is_empty() {
            // Why not, where it is asked of the whole.
            asking.may_explain(root, &[root])?;
        }
        let standing = asking.standing_of(other).await?;
        let mut single = asking.known.policies.named_devices();
        if let Standing::Member(holder) | Standing::ServiceAccount(holder) = &standing {
            single.extend(devices_of(holder));
        }
        let devices = devices(&mut asking.tx, &asking.known, single).await?;
        targets.extend(asking.shown(&mut pace, other, devices).await?);

        let who = other.unwrap_or(oneself);
        let scopes = if other.is_none() { caller.scopes() } else { Scopes::ALL };
        let absent = absent(who.kind, who.id, tenant).within(scopes);
        // A supporter is none of the tenant's own, and asks as they are.
        let speaker = if matches!(standing, Standing::Supporter { .. }) { caller } else { &absent };
        let mut said: BTreeMap<(Place, bool), Scopes> = BTreeMap::new();
        let mut places = Vec::new();
        for target in &targets {
            let actions = asking.actions_at(&mut pace, target, speaker, &standing).await?;
            said.insert((target.place, target.of_devices), actions);
            if asking.said_above(&said, target) != actions {
                places.push(Can { place: target.place, of_devices: target.of_devices, actions });
            }
        }
        Ok(WhatCan { who, places, more })
    }
}

impl Way {
    /// Whether it is by this role that they may.
    pub fn gives(&self) -> bool {
        self.reaches && self.allows
    }
}

/// A place, or the devices in one, that is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) of_devices: bool,
    /// The place and those above it, the whole tenant last.
    pub(crate) path: Vec<Place>,
}

impl Target {
    /// What the action is tried on here; `None` when it is not done here.
    pub(crate) fn resource(&self, known: &Known, action: Action) -> Option<Resource> {
        let vocabulary = known.policies.vocabulary();
        let sample = vocabulary.sample(action)?;
        let is_root = self.path.len() == 1;
        match (self.place, self.of_devices) {
            (Place::Device(id), _) => {
                vocabulary.on_devices().contains(action).then_some(Resource::Device(id))
            }
            (Place::Organisation(_), true) => {
                vocabulary.on_devices().contains(action).then_some(Resource::Device(Uuid::nil()))
            }
            (Place::Organisation(_), false) if sample == Sample::Log && !is_root => None,
            (place @ Place::Organisation(_), false) => Some(sample.at(place)),
        }
    }

    /// What it is like unless something is said of it alone: devices like the organisation, an organisation like the one above it.
    fn above(&self) -> Option<(Place, bool)> {
        match (self.place, self.of_devices) {
            (Place::Device(_), _) => self.path.get(1).map(|above| (*above, true)),
            (Place::Organisation(_), true) => Some((self.place, false)),
            (Place::Organisation(_), false) => self.path.get(1).map(|above| (*above, false)),
        }
    }
}

impl<'a> Asking<'a> {
    async fn about(
        access: &'a Access,
        caller: &'a Caller,
        tenant: TenantId,
    ) -> Result<Asking<'a>, TenancyError> {
        if tenant.kind() != TenantKind::Customer {
            return Err(TenancyError::NotFound);
        }
        let mut tx = access.door().read(tenant).await.map_err(Refused::from)?;
        let known = access.known(&mut tx).await.map_err(Refused::from)?;
        let standing = known.standing(&mut tx, caller).await?;
        match (&standing, caller.principal()) {
            (Standing::Stranger | Standing::Invitee, _) | (_, Principal::Visitor | Principal::System(_)) => {
                return Err(TenancyError::NotFound);
            }
            (Standing::OtherWay, _) => return Err(Refused::ProviderRequired.into()),
            _ => {}
        }
        // What is shown must be for looking at tenants at all.
        let scopes = caller.scopes();
        if !scopes.contains(Action::TenantRead) && !scopes.contains(Action::DecisionExplain) {
            return Err(Refused::Forbidden { action: Action::DecisionExplain }.into());
        }
        Ok(Asking { access, caller, tx, known, standing })
    }

    /// The caller.
    fn oneself(&self) -> Somebody {
        match self.caller.principal() {
            Principal::Service(service) => Somebody { kind: HolderKind::ServiceAccount, id: service.account },
            _ => Somebody {
                kind: HolderKind::Member,
                id: self.caller.signed_in().map_or(Uuid::nil(), |account| account.account),
            },
        }
    }

    /// What the action is done to at this place, and where that lies.
    async fn find(&mut self, action: Action, place: Place) -> Result<Found, TenancyError> {
        if !self.known.policies.askable().contains(action) {
            return Err(TenancyError::invalid("action", "this is not done in a tenant"));
        }
        let there = self.known.find(&mut self.tx, place.into()).await?;
        let Found { path, .. } = there.ok_or(TenancyError::NotFound)?;
        if !self.sees(place, &path) {
            return Err(TenancyError::NotFound);
        }
        let target = Target { place, of_devices: false, path };
        let resource = target.resource(&self.known, action);
        let resource =
            resource.ok_or_else(|| TenancyError::invalid("on", "this action is not done there"))?;
        Ok(self.known.found(resource, target.path))
    }

    /// The same for a question about others. Of what is not there it is asked as of the tenant as a whole: who may not ask is not
    /// told what there is.
    async fn find_to_explain(&mut self, action: Action, place: Place) -> Result<Found, TenancyError> {
        match self.find(action, place).await {
            Ok(found) => {
                self.may_explain(place, &found.path)?;
                Ok(found)
            }
            Err(TenancyError::NotFound) => {
                let whole = Place::Organisation(*self.tx.tenant().uuid());
                self.may_explain(whole, &[whole])?;
                Err(TenancyError::NotFound)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the caller may know that this place is there.
    fn sees(&self, place: Place, path: &[Place]) -> bool {
        let action = match place {
            // The tenant as a whole: they are in it.
            Place::Organisation(_) if path.len() == 1 => return true,
            Place::Organisation(_) => Action::OrganisationRead,
            Place::Device(_) => Action::DeviceRead,
        };
        let is_held = |holder: &Holder| holder.roles.values().flatten().any(|held| path.contains(held));
        let holds_above = match &self.standing {
            Standing::Member(holder) | Standing::ServiceAccount(holder) => is_held(holder),
            _ => false,
        };
        (holds_above && matches!(place, Place::Organisation(_))) || self.caller_may(action, place, path)
    }

    fn caller_may(&self, action: Action, place: Place, path: &[Place]) -> bool {
        let found = self.known.found(place.into(), path.to_vec());
        self.access.may(&self.known, self.tx.tenant(), self.caller, &self.standing, action, &found)
    }

    /// Refuses who may not ask about others at this place. A device is asked about where it lies.
    fn may_explain(&self, place: Place, path: &[Place]) -> Result<(), TenancyError> {
        let (place, path) = match (place, path) {
            (Place::Device(_), [_, above @ ..]) => {
                (above.first().copied().ok_or(TenancyError::NotFound)?, above)
            }
            _ => (place, path),
        };
        let (action, tenant) = (Action::DecisionExplain, self.tx.tenant());
        let found = self.known.found(place.into(), path.to_vec());
        let slice = self.access.slice(self.caller, tenant, &self.standing, action, &found);
        let answer = self.known.policies.answer(slice);
        Ok(answer.map_err(|refusal| refused(self.caller, tenant, action, refusal))?)
    }

    async fn standing_of(&mut self, who: Option<Somebody>) -> Result<Standing, TenancyError> {
        let Some(Somebody { kind, id }) = who else { return Ok(self.standing.clone()) };
        match self.known.who(&mut self.tx, kind, id).await? {
            Standing::Stranger => Err(TenancyError::NotFound),
            standing => Ok(standing),
        }
    }

    /// The roles that somebody holds, and what each is worth here.
    async fn ways(
        &mut self,
        actions: &Actions,
        who: Somebody,
        action: Action,
        found: &Found,
    ) -> Result<Vec<Way>, TenancyError> {
        let rows: Vec<(Uuid, String, Uuid, i64)> = self
            .tx
            .query(
                "SELECT holder, role, place, is_device FROM role_grant \
                 WHERE holder = $1 OR holder IN (SELECT team FROM team_member WHERE account = $1) \
                 ORDER BY role, place, holder",
                params![&who.id],
            )
            .await?;
        let on_devices = self.known.policies.vocabulary().on_devices();
        let mut ways = Vec::with_capacity(rows.len());
        for (holder, role, place, is_device) in rows {
            let Ok(role) = role.parse::<RoleName>() else { continue };
            let (place, has) = (Place::stored(place, is_device), actions.of(role).unwrap_or(Scopes::NONE));
            let has = if matches!(place, Place::Device(_)) { has.and(on_devices) } else { has };
            let through =
                if holder == who.id { who } else { Somebody { kind: HolderKind::Team, id: holder } };
            let reaches = found.path.contains(&place);
            ways.push(Way { role, through, place, reaches, allows: has.contains(action) });
        }
        ways.sort_by_key(|way| !way.gives());
        Ok(ways)
    }

    /// Those of these places of which the caller is told.
    async fn shown(
        &mut self,
        pace: &mut Pace<'_>,
        other: Option<Somebody>,
        targets: Vec<Target>,
    ) -> Result<Vec<Target>, TenancyError> {
        let mut shown = Vec::with_capacity(targets.len());
        for target in targets {
            pace.step().await.map_err(Refused::from)?;
            if self.is_shown(other, &target) {
                shown.push(target);
            }
        }
        Ok(shown)
    }

    /// Whether the caller is told of this place what somebody else, or they themselves, may there.
    fn is_shown(&self, other: Option<Somebody>, target: &Target) -> bool {
        match other {
            Some(_) => {
                self.may_explain(target.place, &target.path).is_ok()
                    && (matches!(target.place, Place::Organisation(_))
                        || self.sees(target.place, &target.path))
            }
            None => self.sees(target.place, &target.path),
        }
    }

    /// What would be so at this place if nothing were said of it alone.
    fn said_above(&self, said: &BTreeMap<(Place, bool), Scopes>, target: &Target) -> Scopes {
        let above = target.above().and_then(|above| said.get(&above)).copied().unwrap_or(Scopes::NONE);
        if target.of_devices { above.and(self.known.policies.vocabulary().on_devices()) } else { above }
    }

    async fn actions_at(
        &mut self,
        pace: &mut Pace<'_>,
        target: &Target,
        speaker: &Caller,
        standing: &Standing,
    ) -> Result<Scopes, TenancyError> {
        let askable = self.known.policies.askable();
        let mut actions = Scopes::NONE;
        for action in Action::ALL.iter().copied().filter(|action| askable.contains(*action)) {
            pace.step().await.map_err(Refused::from)?;
            let Some(resource) = target.resource(&self.known, action) else { continue };
            let found = self.known.found(resource, target.path.clone());
            if self.access.may(&self.known, self.tx.tenant(), speaker, standing, action, &found) {
                actions = actions.or(action.into());
            }
        }
        Ok(actions)
    }
}

/// The devices that a holder has roles on.
pub(crate) fn devices_of(holder: &Holder) -> BTreeSet<Uuid> {
    let device = |place: &Place| match place {
        Place::Device(id) => Some(*id),
        Place::Organisation(_) => None,
    };
    holder.roles.values().flatten().filter_map(device).collect()
}

/// The organisations of a tenant, the nearest to the whole first, at most `most`, each followed by its devices. And whether there
/// are more.
pub(crate) fn organisations(known: &Known, tenant: TenantId, most: usize) -> (Vec<Target>, bool) {
    let all = known.tree.iter().map(|(organisation, _)| organisation).chain([*tenant.uuid()]);
    let mut paths: Vec<Vec<Place>> =
        all.filter_map(|organisation| known.tree.path(tenant, organisation)).collect();
    paths.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let more = paths.len() > most;
    paths.truncate(most);
    let target = |of_devices: bool, path: &Vec<Place>| {
        path.first().map(|place| Target { place: *place, of_devices, path: path.clone() })
    };
    let both = |path: Vec<Place>| [target(false, &path), target(true, &path)].into_iter().flatten();
    (paths.into_iter().flat_map(both).collect(), more)
}

/// Those of these devices that are there. A device that neither a policy names nor somebody holds a role on is decided like the
/// devices of its organisation.
pub(crate) async fn devices(
    tx: &mut ReadTx,
    known: &Known,
    ids: BTreeSet<Uuid>,
) -> Result<Vec<Target>, TenancyError> {
    let mut targets = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(found) = known.find(tx, Resource::Device(id)).await? {
            targets.push(Target { place: Place::Device(id), of_devices: false, path: found.path });
        }
    }
    Ok(targets)
}

/// How many organisations are asked about at the most when it is asked what somebody may.
pub const MAX_PLACES: usize = 1_000;
/// How many members are asked about at a time when it is asked who may do something.
const PEOPLE_AT_ONCE: u32 = 1_000;
