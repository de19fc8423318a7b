// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant as one would explain it to somebody: who holds which role where, and what follows. Written from the documents,
//! without a line of the room that it is compared with.

use std::collections::{BTreeMap, BTreeSet};

use access::Action;
use uuid::Uuid;

use Action::{
    DecisionExplain, DeviceDelete, DeviceRead, DeviceWrite, MemberRead, MemberRemove, OrganisationRead,
    OrganisationWrite, PolicyRead, PolicyWrite, RoleGrant, RoleRead, RoleWrite, SupportGrant, TeamRead,
    TeamWrite, TenantDelete, TenantRead, TenantTransfer, TenantUpdate,
};

/// The actions that the model knows of.
pub(crate) const ACTIONS: [Action; 20] = [
    TenantRead,
    TenantUpdate,
    TenantTransfer,
    TenantDelete,
    OrganisationRead,
    OrganisationWrite,
    MemberRead,
    MemberRemove,
    TeamRead,
    TeamWrite,
    RoleRead,
    RoleWrite,
    RoleGrant,
    DeviceRead,
    DeviceWrite,
    DeviceDelete,
    PolicyRead,
    PolicyWrite,
    SupportGrant,
    DecisionExplain,
];

const MANAGER: [Action; 10] = [
    OrganisationRead,
    OrganisationWrite,
    MemberRead,
    TeamRead,
    RoleRead,
    RoleGrant,
    DeviceRead,
    DeviceWrite,
    DeviceDelete,
    DecisionExplain,
];
const OPERATOR: [Action; 3] = [OrganisationRead, DeviceRead, DeviceWrite];
const VIEWER: [Action; 2] = [OrganisationRead, DeviceRead];
const AUDITOR: [Action; 8] =
    [TenantRead, OrganisationRead, MemberRead, TeamRead, RoleRead, DeviceRead, PolicyRead, DecisionExplain];
/// What owners alone do.
const OWNERS: [Action; 3] = [TenantTransfer, TenantDelete, SupportGrant];
/// What every member does, whatever their roles.
const EVERYBODYS: [Action; 3] = [TenantRead, OrganisationRead, TeamRead];
/// What only looks.
const LOOKS: [Action; 8] =
    [TenantRead, OrganisationRead, MemberRead, TeamRead, RoleRead, DeviceRead, PolicyRead, DecisionExplain];
/// What needs a fresh proof.
const PROVED: [Action; 7] =
    [TenantTransfer, TenantDelete, MemberRemove, RoleWrite, RoleGrant, PolicyWrite, SupportGrant];
/// What a tenant's own policies have no say in.
const BY_ROLES: [Action; 4] = [TenantRead, PolicyRead, PolicyWrite, DecisionExplain];
/// What is done to a device.
pub(crate) const TO_DEVICES: [Action; 4] = [DeviceRead, DeviceWrite, DeviceDelete, RoleGrant];

/// What is acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Organisation(Uuid),
    /// Any device of an organisation that nobody named.
    SomeDeviceOf(Uuid),
    Device(Uuid),
}

/// Where a role is held: an organisation's or a device's id.
pub(crate) type Spot = Uuid;

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) root: Uuid,
    /// Each organisation with the one above it.
    pub(crate) above: BTreeMap<Uuid, Uuid>,
    /// Each device with its organisation.
    pub(crate) devices: BTreeMap<Uuid, Uuid>,
    /// Each member, and whether they are suspended.
    pub(crate) members: BTreeMap<Uuid, bool>,
    pub(crate) teams: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// The tenant's own roles, by `rol_…`.
    pub(crate) roles: BTreeMap<String, BTreeSet<Action>>,
    /// Holder, role, place.
    pub(crate) grants: BTreeSet<(Uuid, String, Spot)>,
    pub(crate) policies: Vec<Rule>,
}

/// A policy of the tenant's own.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) permits: bool,
    pub(crate) who: Who,
    /// Any, if none.
    pub(crate) actions: Vec<Action>,
    pub(crate) on: On,
    pub(crate) when: When,
}

#[derive(Clone, Debug)]
pub(crate) enum Who {
    Anybody,
    Member(Uuid),
    InTeam(Uuid),
    HoldsSomewhere(String),
}

#[derive(Clone, Debug)]
pub(crate) enum On {
    Anything,
    Within(Uuid),
    Device(Uuid),
    AnyDevice,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Always,
    Before(u8),
    Unproved,
}

/// Under which circumstances somebody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) proved: bool,
    pub(crate) hour: u8,
}

impl Model {
    /// Whether somebody may.
    pub(crate) fn may(&self, who: Uuid, action: Action, thing: Thing, at: Circumstances) -> bool {
        if self.members.get(&who) != Some(&false) {
            return false;
        }
        if PROVED.contains(&action) && !at.proved {
            return false;
        }
        let places = self.places(thing);
        let held = || self.held(who).filter(|(_, spot)| places.contains(spot)).map(|(role, _)| role);
        if !LOOKS.contains(&action) && held().any(|role| role == "auditor") {
            return false;
        }
        let rules = || {
            let has_a_say = !BY_ROLES.contains(&action);
            self.policies.iter().filter(move |rule| has_a_say && self.applies(rule, who, action, thing, at))
        };
        if rules().any(|rule| !rule.permits) {
            return false;
        }
        let everybodys = EVERYBODYS.contains(&action) && matches!(thing, Thing::Organisation(_));
        everybodys || held().any(|role| self.has(role, action)) || rules().any(|rule| rule.permits)
    }

    /// Whether a role has an action.
    fn has(&self, role: &str, action: Action) -> bool {
        match role {
            "owner" => true,
            "admin" => !OWNERS.contains(&action),
            "manager" => MANAGER.contains(&action),
            "operator" => OPERATOR.contains(&action),
            "viewer" => VIEWER.contains(&action),
            "auditor" => AUDITOR.contains(&action),
            own => self.roles.get(own).is_some_and(|actions| actions.contains(&action)),
        }
    }

    /// What somebody holds, by themselves and by their teams.
    fn held(&self, who: Uuid) -> impl Iterator<Item = (&str, Spot)> {
        let holds = move |holder: &Uuid| {
            *holder == who || self.teams.get(holder).is_some_and(|members| members.contains(&who))
        };
        self.grants
            .iter()
            .filter(move |(holder, ..)| holds(holder))
            .map(|(_, role, spot)| (role.as_str(), *spot))
    }

    /// Whether a member holds a role on this device, by themselves or by a team.
    pub(crate) fn somebody_holds_a_role_on(&self, device: Uuid) -> bool {
        self.members.keys().any(|who| self.held(*who).any(|(_, spot)| spot == device))
    }

    /// Everything that a thing lies in, itself among it.
    fn places(&self, thing: Thing) -> Vec<Uuid> {
        let (mut places, mut at) = match thing {
            Thing::Organisation(id) | Thing::SomeDeviceOf(id) => (Vec::new(), id),
            Thing::Device(id) => (vec![id], self.devices[&id]),
        };
        loop {
            places.push(at);
            match self.above.get(&at) {
                Some(above) => at = *above,
                None => return places,
            }
        }
    }

    fn applies(&self, rule: &Rule, who: Uuid, action: Action, thing: Thing, at: Circumstances) -> bool {
        let is_who = match &rule.who {
            Who::Anybody => true,
            Who::Member(member) => *member == who,
            Who::InTeam(team) => self.teams.get(team).is_some_and(|members| members.contains(&who)),
            Who::HoldsSomewhere(role) => self.held(who).any(|(held, _)| held == role),
        };
        let is_on = match rule.on {
            On::Anything => true,
            On::Within(place) => self.places(thing).contains(&place),
            On::Device(device) => thing == Thing::Device(device),
            On::AnyDevice => !matches!(thing, Thing::Organisation(_)),
        };
        let is_when = match rule.when {
            When::Always => true,
            When::Before(hour) => at.hour < hour,
            When::Unproved => !at.proved,
        };
        is_who && is_on && is_when && (rule.actions.is_empty() || rule.actions.contains(&action))
    }

    /// The policies, in Cedar's language.
    pub(crate) fn text(&self) -> String {
        self.policies.iter().enumerate().map(|(number, rule)| rule.text(number)).collect()
    }
}

impl Rule {
    fn text(&self, number: usize) -> String {
        let effect = if self.permits { "permit" } else { "forbid" };
        let (who, holds) = match &self.who {
            Who::Anybody => ("principal".to_owned(), None),
            Who::Member(id) => (format!("principal == Member::\"acc_{}\"", id.simple()), None),
            Who::InTeam(id) => (format!("principal in Team::\"tea_{}\"", id.simple()), None),
            Who::HoldsSomewhere(role) => {
                ("principal is Member".to_owned(), Some(format!("principal.hasTag(\"{role}\")")))
            }
        };
        let names: Vec<_> = self.actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
        let action =
            if names.is_empty() { "action".to_owned() } else { format!("action in [{}]", names.join(", ")) };
        let on = match self.on {
            On::Anything => "resource".to_owned(),
            On::Within(id) => format!("resource in Place::\"org_{}\"", id.simple()),
            On::Device(id) => format!("resource == Device::\"dvc_{}\"", id.simple()),
            On::AnyDevice => "resource is Device".to_owned(),
        };
        let when = match self.when {
            When::Always => None,
            When::Before(hour) => Some(format!("context.hour < {hour}")),
            When::Unproved => Some("!context.fresh".to_owned()),
        };
        let conditions: Vec<_> = holds.into_iter().chain(when).collect();
        let conditions = match conditions.as_slice() {
            [] => String::new(),
            some => format!(" when {{ {} }}", some.join(" && ")),
        };
        format!("@id(\"p{number}\")\n{effect} ({who}, {action}, {on}){conditions};\n")
    }
}
