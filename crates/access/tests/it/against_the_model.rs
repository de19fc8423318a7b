// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random tenants, changed step by step: after each step every decision is what a naive model says, and so is what is told of
//! decisions: who can, why, what would change.

use std::collections::BTreeSet;

use access::tenancy::{
    DeviceId, HolderKind, MemberState, NewDevice, NewGrant, NewPolicies, OrganisationId, RoleName, TeamId,
};
use access::{Action, Caller, Decision, Effect, Place, Resource, Scopes, SignedIn, Somebody, TenancyError};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use store::testing::{engines, sqlite};
use store::{Clock, ReadTx, TenantId, WriteTx};
use uuid::Uuid;

use crate::model::{ACTIONS, Circumstances, Model, On, Rule, TO_DEVICES, Thing, When, Who};
use crate::tenancy::{ADA, House, ROOMS, name, signed_in};

/// A step. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Organisation { above: usize },
    Move { which: usize, to: usize },
    Device { organisation: usize },
    Assign { which: usize, to: usize },
    Member,
    Suspend { who: usize, ends: bool },
    Remove { who: usize },
    Team,
    Join { team: usize, who: usize, leaves: bool },
    Role { actions: Vec<Action> },
    Grant { holder: usize, role: usize, place: usize },
    Revoke { which: usize },
    Policies { rules: Vec<Draft> },
    Hours { pass: u8 },
}

/// A policy before it is known what there is to name.
#[derive(Clone, Debug)]
struct Draft {
    permits: bool,
    who: (u8, usize),
    actions: Vec<Action>,
    on: (u8, usize),
    when: (u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 0..1_000_usize;
    let draft = (
        any::<bool>(),
        (0..4_u8, n()),
        proptest::sample::subsequence(TO_DEVICES.to_vec(), 0..=TO_DEVICES.len()),
        (0..4_u8, n()),
        (0..4_u8, 1..24_u8),
    )
        .prop_map(|(permits, who, actions, on, when)| Draft { permits, who, actions, on, when });
    let step = prop_oneof![
        2 => n().prop_map(|above| Step::Organisation { above }),
        2 => (n(), n()).prop_map(|(which, to)| Step::Move { which, to }),
        1 => n().prop_map(|organisation| Step::Device { organisation }),
        1 => (n(), n()).prop_map(|(which, to)| Step::Assign { which, to }),
        2 => Just(Step::Member),
        2 => (n(), any::<bool>()).prop_map(|(who, ends)| Step::Suspend { who, ends }),
        1 => n().prop_map(|who| Step::Remove { who }),
        1 => Just(Step::Team),
        3 => (n(), n(), any::<bool>()).prop_map(|(team, who, leaves)| Step::Join { team, who, leaves }),
        1 => proptest::sample::subsequence(ACTIONS.to_vec(), 1..6).prop_map(|actions| Step::Role { actions }),
        6 => (n(), n(), n()).prop_map(|(holder, role, place)| Step::Grant { holder, role, place }),
        1 => n().prop_map(|which| Step::Revoke { which }),
        3 => proptest::collection::vec(draft, 0..4).prop_map(|rules| Step::Policies { rules }),
        1 => (1..24_u8).prop_map(|pass| Step::Hours { pass }),
    ];
    proptest::collection::vec(step, 8..20)
}

#[test]
fn whatever_happens_in_a_tenant_decisions_are_what_the_model_says() {
    let mut runner = TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runner
        .run(&steps(), |steps| {
            runtime.block_on(async {
                follow(&House::built(sqlite(ROOMS).await.unwrap()).await, &steps).await;
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn whatever_happens_decisions_are_what_the_model_says_on_every_engine() {
    let mut runner = TestRunner::deterministic();
    let steps = steps().new_tree(&mut runner).unwrap().current();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for test in engines(ROOMS).await.unwrap() {
            follow(&House::built(test).await, &steps).await;
        }
    });
}

#[tokio::test]
async fn a_dry_run_that_is_told_to_end_ends_and_says_that_it_is_not_complete() {
    let house = House::built(sqlite(ROOMS).await.unwrap()).await;
    let mut tx = World::new(&house).read().await;
    let text = "@id(\"a\") forbid (principal, action == Action::\"device.read\", resource);";
    let fits = house.access.policies_with(&mut tx, text).await.unwrap();
    let policies = fits.unwrap_or_else(|problems| panic!("{problems:?}"));
    let trial = house.access.trial(&mut tx, policies).await.unwrap();
    let whole = trial.run(|| true);
    assert!(whole.is_complete && whole.total > 0, "{whole:?}");

    let asked = std::cell::Cell::new(0);
    let cut = trial.run(|| {
        asked.set(asked.get() + 1);
        asked.get() <= 3
    });
    assert_eq!((cut.is_complete, asked.get()), (false, 4), "it does not go on: {cut:?}");
    let none = trial.run(|| false);
    assert!(!none.is_complete && none.effects.is_empty(), "{none:?}");
}

async fn follow(house: &House, steps: &[Step]) {
    let mut world = World::new(house);
    world.prepare().await;
    for step in steps {
        world.take(step).await;
        world.compare(step).await;
    }
}

struct World<'a> {
    house: &'a House,
    model: Model,
    version: u64,
}

impl<'a> World<'a> {
    fn new(house: &'a House) -> Self {
        let root = *house.tenant.uuid();
        let mut model = Model { root, ..Model::default() };
        model.members.insert(ADA, false);
        model.grants.insert((ADA, "owner".to_owned(), root));
        World { house, model, version: 0 }
    }

    /// Somebody and something to begin with.
    async fn prepare(&mut self) {
        for step in [
            Step::Organisation { above: 0 },
            Step::Organisation { above: 1 },
            Step::Device { organisation: 2 },
            Step::Member,
            Step::Member,
            Step::Team,
            Step::Join { team: 0, who: 0, leaves: false },
        ] {
            self.take(&step).await;
        }
    }

    fn worker(&self) -> Caller {
        Caller::system("test", "req_0")
    }

    async fn write(&self) -> WriteTx {
        let (action, whole) = (Action::MaintenanceRun, Resource::Customer);
        self.house.access.enter(&self.worker(), self.house.tenant, action, whole).await.unwrap()
    }

    async fn read(&self) -> ReadTx {
        let (action, whole) = (Action::MaintenanceRun, Resource::Customer);
        self.house.access.view(&self.worker(), self.house.tenant, action, whole).await.unwrap()
    }

    /// Does it in the tenant and, if it was not refused there, in the model.
    async fn take(&mut self, step: &Step) {
        let mut tx = self.write().await;
        let mut model = self.model.clone();
        if self.try_taking(&mut tx, &mut model, step).await.is_ok() {
            self.house.commit(tx).await;
            self.model = model;
        }
    }

    async fn try_taking(
        &mut self,
        tx: &mut WriteTx,
        model: &mut Model,
        step: &Step,
    ) -> Result<(), TenancyError> {
        let house = self.house;
        let tenancy = &house.tenancy;
        let organisations: Vec<Uuid> = [model.root].into_iter().chain(model.above.keys().copied()).collect();
        let devices: Vec<Uuid> = model.devices.keys().copied().collect();
        let others: Vec<Uuid> = model.members.keys().copied().filter(|who| *who != ADA).collect();
        let teams: Vec<Uuid> = model.teams.keys().copied().collect();
        let nobody = || TenancyError::NotFound;
        let organisation = |id: Uuid| OrganisationId::from_uuid(id);
        match step {
            Step::Organisation { above } => {
                let above = pick(&organisations, *above).ok_or_else(nobody)?;
                // No two in one place have the same name.
                let called = name(&format!("organisation {}", Uuid::new_v4()));
                let made = tenancy.create_organisation(tx, organisation(above), &called).await?;
                model.above.insert(*made.id.uuid(), above);
            }
            Step::Move { which, to } => {
                let below: Vec<Uuid> = model.above.keys().copied().collect();
                let which = pick(&below, *which).ok_or_else(nobody)?;
                let to = pick(&organisations, *to).ok_or_else(nobody)?;
                tenancy.move_organisation(tx, organisation(which), organisation(to)).await?;
                model.above.insert(which, to);
            }
            Step::Device { organisation: number } => {
                let place = pick(&organisations, *number).ok_or_else(nobody)?;
                let external_id = Uuid::new_v4().simple().to_string();
                let called = name("a device");
                let new =
                    NewDevice { external_id: &external_id, name: &called, organisation: organisation(place) };
                let made = tenancy.register_device(tx, new).await?;
                model.devices.insert(*made.id.uuid(), place);
            }
            Step::Assign { which, to } => {
                let which = pick(&devices, *which).ok_or_else(nobody)?;
                let to = pick(&organisations, *to).ok_or_else(nobody)?;
                tenancy.assign_device(tx, DeviceId::from_uuid(which), organisation(to)).await?;
                model.devices.insert(which, to);
            }
            Step::Member => {
                let account = Uuid::new_v4();
                tenancy.add_member(tx, account, TenantId::from_uuid(account), &name("somebody")).await?;
                model.members.insert(account, false);
            }
            Step::Suspend { who, ends } => {
                let who = pick(&others, *who).ok_or_else(nobody)?;
                let state = if *ends { MemberState::Live } else { MemberState::Suspended };
                tenancy.set_member_state(tx, who, state).await?;
                model.members.insert(who, !ends);
            }
            Step::Remove { who } => {
                let who = pick(&others, *who).ok_or_else(nobody)?;
                tenancy.remove_member(tx, who).await?;
                model.members.remove(&who);
                model.grants.retain(|(holder, ..)| *holder != who);
                for members in model.teams.values_mut() {
                    members.remove(&who);
                }
            }
            Step::Team => {
                let made = tenancy.create_team(tx, &name("a team")).await?;
                model.teams.insert(*made.id.uuid(), BTreeSet::new());
            }
            Step::Join { team, who, leaves } => {
                let team = pick(&teams, *team).ok_or_else(nobody)?;
                let who = pick(&others, *who).ok_or_else(nobody)?;
                if *leaves {
                    tenancy.take_from_team(tx, TeamId::from_uuid(team), who).await?;
                    model.teams.entry(team).or_default().remove(&who);
                } else {
                    tenancy.add_to_team(tx, TeamId::from_uuid(team), who).await?;
                    model.teams.entry(team).or_default().insert(who);
                }
            }
            Step::Role { actions } => {
                let scopes: Scopes = actions.iter().copied().collect();
                let made = tenancy.create_role(tx, &name("a role"), scopes).await?;
                model.roles.insert(made.id.to_string(), actions.iter().copied().collect());
            }
            Step::Grant { holder, role, place } => {
                let holders: Vec<Uuid> = others.iter().chain(&teams).copied().collect();
                let holder = pick(&holders, *holder).ok_or_else(nobody)?;
                let kind = if teams.contains(&holder) { HolderKind::Team } else { HolderKind::Member };
                let roles: Vec<String> = ["owner", "admin", "auditor", "manager", "operator", "viewer"]
                    .into_iter()
                    .map(str::to_owned)
                    .chain(model.roles.keys().cloned())
                    .collect();
                let role = pick(&roles, *role).ok_or_else(nobody)?;
                let places: Vec<Place> = organisations
                    .iter()
                    .map(|id| Place::Organisation(*id))
                    .chain(devices.iter().map(|id| Place::Device(*id)))
                    .collect();
                let place = pick(&places, *place).ok_or_else(nobody)?;
                let named: RoleName = role.parse().unwrap();
                let grant = NewGrant { holder_kind: kind, holder, role: named, place };
                tenancy.grant(tx, grant, "acc_test").await?;
                model.grants.insert((holder, role, place.uuid()));
            }
            Step::Revoke { which } => {
                let grants: Vec<_> =
                    model.grants.iter().filter(|(holder, ..)| *holder != ADA).cloned().collect();
                let (holder, role, spot) = pick(&grants, *which).ok_or_else(nobody)?;
                let kind = if teams.contains(&holder) { HolderKind::Team } else { HolderKind::Member };
                let place =
                    if devices.contains(&spot) { Place::Device(spot) } else { Place::Organisation(spot) };
                let named: RoleName = role.parse().unwrap();
                tenancy.revoke(tx, NewGrant { holder_kind: kind, holder, role: named, place }).await?;
                model.grants.remove(&(holder, role, spot));
            }
            Step::Policies { rules } => {
                model.policies = rules.iter().map(|draft| draft.named(model)).collect();
                let text = model.text();
                let fits = house.access.policies_with(tx, &text).await?;
                let policies = fits.unwrap_or_else(|problems| panic!("{problems:?} in\n{text}"));
                let trial = house.access.trial(tx, policies).await?;
                self.compare_trial(&trial.run(|| true), model);
                let new = NewPolicies {
                    text: &text,
                    author: "acc_test",
                    note: None,
                    restores: None,
                    after: self.version,
                };
                self.version = tenancy.put_policies(tx, new).await?.number;
            }
            Step::Hours { pass } => {
                house.clock.advance(i64::from(*pass) * 3_600_000);
            }
        }
        Ok(())
    }

    /// Everybody's every decision.
    async fn compare(&self, after: &Step) {
        let mut tx = self.read().await;
        let hour = hour(self.house.clock.now_ms());
        let mut asked = 0;
        for who in self.model.members.keys().copied().chain([Uuid::from_u128(0xe7e)]) {
            for (proved, thing) in
                things(&self.model).into_iter().flat_map(|thing| [(true, thing), (false, thing)])
            {
                for action in ACTIONS.into_iter().filter(|action| is_done_to(*action, thing)) {
                    let Some(resource) = resource(thing) else { continue };
                    let caller = caller(who, proved);
                    let answer = self.house.access.also(&mut tx, &caller, action, resource).await;
                    let expected = self.model.may(who, action, thing, Circumstances { proved, hour });
                    assert_eq!(
                        answer.is_ok(),
                        expected,
                        "{}: {who} {action} {thing:?} (proved: {proved}, hour {hour}), after {after:?}: {answer:?}\n{:#?}",
                        self.house.name,
                        self.model
                    );
                    asked += 1;
                }
            }
        }
        assert!(asked > 0);
        drop(tx);
        self.compare_told().await;
    }

    /// What is told of decisions is what is decided: of some, since it is made of the same answers.
    async fn compare_told(&self) {
        let hour = hour(self.house.clock.now_ms());
        let at = Circumstances { proved: true, hour };
        let (access, tenant) = (&self.house.access, self.house.tenant);
        let organisation = self.model.above.keys().next().copied().unwrap_or(self.model.root);
        let (place, thing) = (Place::Organisation(organisation), Thing::Organisation(organisation));
        for action in [Action::DeviceRead, Action::OrganisationWrite, Action::TeamRead] {
            let can = access.who_can(&caller(ADA, true), tenant, action, place, None).await.unwrap();
            let told: BTreeSet<Uuid> = can.holders.iter().map(|(who, _)| who.id).collect();
            let expected: BTreeSet<Uuid> = self
                .model
                .members
                .keys()
                .copied()
                .filter(|who| self.model.may(*who, action, thing, at))
                .collect();
            assert_eq!(told, expected, "who can {action}");
            for who in self.model.members.keys().copied() {
                let of = Some(Somebody { kind: HolderKind::Member, id: who });
                let why = access.why(&caller(ADA, true), tenant, of, action, place).await.unwrap();
                let is_allowed = why.explanation.decision == Decision::Allowed;
                assert_eq!(is_allowed, expected.contains(&who), "why {who} {action}: {why:?}");
                assert!(is_allowed || why.explanation.fault.is_none());
            }
        }
    }

    /// The dry run tells exactly where the model with the new policies differs from the one with the old: at every hour, for who
    /// has just proved themselves.
    fn compare_trial(&self, tried: &access::Tried, after: &Model) {
        assert!(tried.is_complete && tried.total == tried.effects.len(), "{tried:?}");
        let mut told = BTreeSet::new();
        for effect in tried.effects.iter().filter(|effect| !effect.only_unproved) {
            for one in each(effect) {
                assert!(told.insert(one), "told twice: {one:?}");
            }
        }
        let mut expected = BTreeSet::new();
        let organisations = [after.root].into_iter().chain(after.above.keys().copied());
        let mut things: Vec<Thing> =
            organisations.flat_map(|id| [Thing::Organisation(id), Thing::SomeDeviceOf(id)]).collect();
        // Devices that are decided by themselves: on which somebody holds a role, or which a policy names.
        let is_single = |device: &Uuid| {
            let is_named = |rule: &Rule| matches!(rule.on, On::Device(named) if named == *device);
            after.somebody_holds_a_role_on(*device)
                || after.policies.iter().chain(&self.model.policies).any(is_named)
        };
        things.extend(after.devices.keys().copied().filter(is_single).map(Thing::Device));
        for who in after.members.keys().copied() {
            for thing in things.iter().copied() {
                for action in ACTIONS.into_iter().filter(|action| is_done_to(*action, thing)) {
                    for hour in 0..24 {
                        let at = Circumstances { proved: true, hour };
                        let (was, is) =
                            (self.model.may(who, action, thing, at), after.may(who, action, thing, at));
                        if was != is {
                            expected.insert((who, action, thing, hour, is));
                        }
                    }
                }
            }
        }
        let told: BTreeSet<_> = told.into_iter().filter(|(_, action, ..)| ACTIONS.contains(action)).collect();
        assert_eq!(told, expected, "with\n{}\nbefore\n{}", after.text(), self.model.text());
    }
}

impl Draft {
    fn named(&self, model: &Model) -> Rule {
        let members: Vec<Uuid> = model.members.keys().copied().collect();
        let teams: Vec<Uuid> = model.teams.keys().copied().collect();
        let organisations: Vec<Uuid> = model.above.keys().copied().chain([model.root]).collect();
        let devices: Vec<Uuid> = model.devices.keys().copied().collect();
        let roles: Vec<String> = model.grants.iter().map(|(_, role, _)| role.clone()).collect();
        let who = match self.who {
            (0, _) => None,
            (1, n) => pick(&members, n).map(Who::Member),
            (2, n) => pick(&teams, n).map(Who::InTeam),
            (_, n) => pick(&roles, n).map(Who::HoldsSomewhere),
        };
        let on = match self.on {
            (0, _) => None,
            (1, n) => pick(&organisations, n).map(On::Within),
            (2, n) => pick(&devices, n).map(On::Device),
            _ => Some(On::AnyDevice),
        };
        let when = match self.when {
            (0 | 1, _) => When::Always,
            (2, hour) => When::Before(hour),
            _ => When::Unproved,
        };
        Rule {
            permits: self.permits,
            who: who.unwrap_or(Who::Anybody),
            actions: self.actions.clone(),
            on: on.unwrap_or(On::Anything),
            when,
        }
    }
}

/// Each of what an effect tells.
fn each(effect: &Effect) -> Vec<(Uuid, Action, Thing, u8, bool)> {
    let hours = effect.hours.clone().unwrap_or_else(|| (0..24).collect());
    let mut all = Vec::new();
    for who in &effect.who {
        for action in Action::ALL.iter().copied().filter(|action| effect.actions.contains(*action)) {
            for (place, of_devices) in &effect.places {
                let thing = match (place, of_devices) {
                    (Place::Organisation(id), false) => Thing::Organisation(*id),
                    (Place::Organisation(id), true) => Thing::SomeDeviceOf(*id),
                    (Place::Device(id), _) => Thing::Device(*id),
                };
                all.extend(hours.iter().map(|hour| (who.id, action, thing, *hour, effect.would_be_allowed)));
            }
        }
    }
    all
}

fn things(model: &Model) -> Vec<Thing> {
    let organisations = [model.root].into_iter().chain(model.above.keys().copied()).map(Thing::Organisation);
    organisations.chain(model.devices.keys().copied().map(Thing::Device)).collect()
}

fn is_done_to(action: Action, thing: Thing) -> bool {
    matches!(thing, Thing::Organisation(_)) || TO_DEVICES.contains(&action)
}

fn resource(thing: Thing) -> Option<Resource> {
    match thing {
        Thing::Organisation(id) => Some(Resource::Organisation(id)),
        Thing::Device(id) => Some(Resource::Device(id)),
        Thing::SomeDeviceOf(_) => None,
    }
}

fn caller(who: Uuid, proved: bool) -> Caller {
    let fresh_until = proved.then_some(i64::MAX);
    Caller::account(SignedIn { fresh_until, ..signed_in(who) }, "req_1")
}

fn hour(now_ms: i64) -> u8 {
    u8::try_from(now_ms / 3_600_000 % 24).unwrap()
}

fn pick<T: Clone>(some: &[T], number: usize) -> Option<T> {
    if some.is_empty() { None } else { some.get(number % some.len()).cloned() }
}
