// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What would change for whom if a tenant put other policies of its own: a dry run, before they take effect.
//!
//! It asks both sets of policies the same questions, and tells where the answers differ: of every member and service account, with
//! the roles of the teams that they are in, for every action of a tenant, in every organisation and to its devices, and at every
//! hour where a policy looks at the clock. Who holds the same roles at the same places is asked about once; and so is every device that
//! neither policy names and nobody holds a role on, with the others of its organisation. Each is asked as one who has just
//! proved who they are, and, where a policy looks at that, as one who has not.
//!
//! What it leaves out when there is too much, or when it has to end before it has asked everything, it says.

use std::collections::{BTreeMap, BTreeSet};

use store::{ReadTx, TenantId};
use uuid::Uuid;

use crate::action::Action;
use crate::caller::Caller;
use crate::enter::Access;
use crate::people::{People, Person, absent};
use crate::policies::Policies;
use crate::scopes::Scopes;
use crate::slice::{Slice, When};
use crate::standing::{Found, Known, Place};
use crate::tenancy::{HolderKind, TenancyError};
use crate::vocabulary::HOURS;
use crate::why::{Somebody, Target, devices, devices_of, organisations};

/// A dry run that is prepared. It needs no database any more, and takes a processor's time: [`Trial::run`].
pub struct Trial {
    tenant: TenantId,
    known: Known,
    after: Policies,
    people: Vec<Person>,
    more_people: bool,
    targets: Vec<Target>,
    more_places: bool,
}

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// What would change for whom, at most [`MAX_EFFECTS`].
    pub effects: Vec<Effect>,
    /// How many there are in all.
    pub total: usize,
    /// How many members and service accounts were asked about.
    pub people: usize,
    /// How many organisations were.
    pub organisations: usize,
    /// Whether that is all of them: if not, there may be more that changes.
    pub is_complete: bool,
}

/// A change that is the same for some people, some actions and some places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// For whom.
    pub who: Vec<Somebody>,
    /// Whether it would be allowed and is not now; otherwise it is now, and would be refused.
    pub would_be_allowed: bool,
    /// What.
    pub actions: Scopes,
    /// Where: each with whether it is about the devices of the place, not the place itself.
    pub places: Vec<(Place, bool)>,
    /// At which hours of the day, in UTC; `None` when the policies do not look at the clock.
    pub hours: Option<Vec<u8>>,
    /// Whether it changes only for one who has not just proved who they are.
    pub only_unproved: bool,
}

impl Access {
    /// Prepares a dry run of `after` in the tenant of this transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn trial(&self, tx: &mut ReadTx, after: Policies) -> Result<Trial, TenancyError> {
        let tenant = tx.tenant();
        let known = self.known(tx).await?;
        let People { people, more: more_people } = People::read(tx, Uuid::nil(), MAX_TRIED_PEOPLE).await?;
        let (mut targets, more_places) = organisations(&known, tenant, MAX_TRIED_ORGANISATIONS);
        let mut single: BTreeSet<Uuid> = known.policies.named_devices();
        single.extend(after.named_devices());
        people.iter().for_each(|person| single.extend(devices_of(&person.holder)));
        let too_many = single.len() > MAX_TRIED_DEVICES;
        let single = single.into_iter().take(MAX_TRIED_DEVICES).collect();
        targets.extend(devices(tx, &known, single).await?);
        Ok(Trial { tenant, known, after, people, more_people, targets, more_places: more_places || too_many })
    }
}

impl Trial {
    /// Asks: everything, unless that is more than a million questions, or `goes_on`, which is asked between them, says no. Takes a
    /// processor until then.
    pub fn run(&self, goes_on: impl Fn() -> bool) -> Tried {
        let clocked = self.known.policies.looks_at_clock() || self.after.looks_at_clock();
        let proof = self.known.policies.own_look_at_proof() || self.after.own_look_at_proof();
        let hours = if clocked { HOURS } else { 1 };
        let mut budget = Budget { left: MAX_QUESTIONS, goes_on };
        let (mut differences, mut people, mut is_whole) = (Differences::default(), 0_usize, true);
        for group in &self.groups() {
            people += group.len();
            is_whole = self.ask_about(group, hours, proof, &mut budget, &mut differences);
            if !is_whole {
                break;
            }
        }
        let mut effects: Vec<Effect> = differences
            .each()
            .map(|(key, actions, who)| Effect {
                who,
                would_be_allowed: key.would_be_allowed,
                actions,
                places: key.places.iter().filter_map(|index| self.targets.get(*index)).map(place).collect(),
                hours: clocked.then(|| (0..HOURS).filter(|hour| key.hours & 1 << *hour != 0).collect()),
                only_unproved: key.only_unproved,
            })
            .collect();
        let total = effects.len();
        effects.truncate(MAX_EFFECTS);
        let organisations =
            |target: &&Target| matches!(target.place, Place::Organisation(_)) && !target.of_devices;
        Tried {
            effects,
            total,
            people,
            organisations: self.targets.iter().filter(organisations).count(),
            is_complete: is_whole && !self.more_people && !self.more_places,
        }
    }

    /// Those together whom neither set of policies can tell apart: who hold the same roles at the same places, but for those
    /// whom a policy names, and whose teams it does.
    fn groups(&self) -> Vec<Vec<&Person>> {
        let mut named = self.known.policies.named();
        named.extend(self.after.named());
        let is_named = |prefix: &str, id: &Uuid| named.contains(&format!("{prefix}{}", id.simple()));
        let mut groups: BTreeMap<_, Vec<&Person>> = BTreeMap::new();
        for person in &self.people {
            let prefix = if person.kind == HolderKind::ServiceAccount { "sva_" } else { "acc_" };
            let alone = is_named(prefix, &person.id).then_some(person.id);
            let teams: Vec<Uuid> =
                person.holder.teams.iter().copied().filter(|team| is_named("tea_", team)).collect();
            let holder = &person.holder;
            let key = (prefix, alone, teams, holder.suspended, &holder.roles);
            groups.entry(key).or_default().push(person);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        // Where time is short, most people first.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }

    /// Asks about those whom neither set of policies can tell apart; false when not everything was asked.
    fn ask_about(
        &self,
        group: &[&Person],
        hours: u8,
        proof: bool,
        budget: &mut Budget<impl Fn() -> bool>,
        differences: &mut Differences,
    ) -> bool {
        let Some(person) = group.first() else { return true };
        let questions = usize::from(hours) * if proof { 2 } else { 1 };
        let mut is_whole = true;
        let caller = absent(person.kind, person.id, self.tenant);
        let grantable = self.after.grantable();
        let who: Vec<Somebody> = group.iter().map(|one| Somebody { kind: one.kind, id: one.id }).collect();
        // What changes alike, of one action: the places by when and how it changes.
        let mut of_group: BTreeMap<Key, Scopes> = BTreeMap::new();
        for action in Action::ALL.iter().copied().filter(|action| grantable.contains(*action)) {
            let mut alike: BTreeMap<(bool, bool, u32), Vec<usize>> = BTreeMap::new();
            for (index, target) in self.targets.iter().enumerate() {
                let Some(resource) = target.resource(&self.known, action) else { continue };
                if !budget.covers(questions) {
                    is_whole = false;
                    break;
                }
                // As if the tenant were not suspended.
                let found = Found { resource, path: target.path.clone(), tenant_suspended: false };
                let proved = self.changes(person, &caller, action, &found, hours, true);
                let unproved = match proof {
                    true => self.changes(person, &caller, action, &found, hours, false),
                    false => proved,
                };
                for would_be_allowed in [false, true] {
                    let of =
                        |changes: Changes| if would_be_allowed { changes.allowed } else { changes.refused };
                    let (with, without) = (of(proved), of(unproved) & !of(proved));
                    for (only_unproved, mask) in [(false, with), (true, without)] {
                        if mask != 0 {
                            alike.entry((would_be_allowed, only_unproved, mask)).or_default().push(index);
                        }
                    }
                }
            }
            for ((would_be_allowed, only_unproved, hours), places) in alike {
                let key = Key { would_be_allowed, only_unproved, hours, places };
                let actions = of_group.entry(key).or_insert(Scopes::NONE);
                *actions = actions.or(action.into());
            }
            if !is_whole {
                break;
            }
        }
        for (key, actions) in of_group {
            differences.add(key, actions, &who);
        }
        is_whole
    }

    /// At which hours the answer changes, and how.
    fn changes(
        &self,
        person: &Person,
        caller: &Caller,
        action: Action,
        found: &Found,
        hours: u8,
        fresh: bool,
    ) -> Changes {
        let mut changes = Changes::default();
        let standing = person.standing();
        // A service account never proves anything anew.
        let fresh = fresh && caller.signed_in().is_some();
        for hour in 0..hours {
            let ask = |policies: &Policies| {
                let when = When { fresh, hour };
                let slice = Slice::in_customer(caller, self.tenant, &standing, action, found, when);
                policies.answer(slice).is_ok()
            };
            match (ask(&self.known.policies), ask(&self.after)) {
                (true, false) => changes.refused |= 1 << hour,
                (false, true) => changes.allowed |= 1 << hour,
                _ => {}
            }
        }
        changes
    }
}

fn place(target: &Target) -> (Place, bool) {
    (target.place, target.of_devices)
}

/// How much may still be asked.
struct Budget<F> {
    left: usize,
    goes_on: F,
}

impl<F: Fn() -> bool> Budget<F> {
    /// Whether so many more questions may be asked. Once they may not, none may.
    fn covers(&mut self, questions: usize) -> bool {
        let left = if (self.goes_on)() { self.left.checked_sub(questions) } else { None };
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

/// Hours, a bit for each.
#[derive(Clone, Copy, Default)]
struct Changes {
    refused: u32,
    allowed: u32,
}

/// What changes alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    would_be_allowed: bool,
    only_unproved: bool,
    hours: u32,
    /// By their place among the targets.
    places: Vec<usize>,
}

/// What was found so far: for whom which actions change in which way.
#[derive(Default)]
struct Differences(BTreeMap<Key, Vec<(Scopes, Vec<Somebody>)>>);

impl Differences {
    /// Adds some people; what changes for others in the very same way is one with it.
    fn add(&mut self, key: Key, actions: Scopes, who: &[Somebody]) {
        let alike = self.0.entry(key).or_default();
        match alike.iter_mut().find(|(same, _)| *same == actions) {
            Some((_, others)) => others.extend_from_slice(who),
            None => alike.push((actions, who.to_vec())),
        }
    }

    fn each(self) -> impl Iterator<Item = (Key, Scopes, Vec<Somebody>)> {
        self.0
            .into_iter()
            .flat_map(|(key, alike)| alike.into_iter().map(move |(actions, who)| (key.clone(), actions, who)))
    }
}

/// How many changes are told at the most.
pub const MAX_EFFECTS: usize = 500;
/// How many members are asked about at the most.
pub const MAX_TRIED_PEOPLE: u32 = 10_000;
/// How many organisations, those nearest to the whole.
pub const MAX_TRIED_ORGANISATIONS: usize = 500;
/// How many devices that are decided by themselves.
pub const MAX_TRIED_DEVICES: usize = 500;
/// How many questions are asked of each set of policies.
const MAX_QUESTIONS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_than_the_bound_whoever_is_asked_about() {
        let mut budget = Budget { left: 100, goes_on: || true };
        assert!(budget.covers(48) && budget.covers(48));
        assert!(!budget.covers(48), "not by the first people either");
        assert!(!budget.covers(1), "once it is over, it is over");
    }

    #[test]
    fn nothing_is_asked_once_it_is_told_to_end() {
        let goes_on = std::cell::Cell::new(true);
        let mut budget = Budget { left: 100, goes_on: || goes_on.get() };
        assert!(budget.covers(1));
        goes_on.set(false);
        assert!(!budget.covers(1));
        goes_on.set(true);
        assert!(!budget.covers(1));
    }
}
