// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may do what in a customer's tenant: every standing, every action, and what each guardrail is worth.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::TenantId;
use uuid::Uuid;

use crate::policies::{BUILT_IN, Policies};
use crate::slice::Slice;
use crate::standing::{Found, Holder, Place, Standing};
use crate::vocabulary::Sample;
use crate::{
    Action, BuiltInRole, Caller, CustomRole, Invited, PlatformRole, PlatformRoles, Refusal, Resource, Scopes,
    Service, SignedIn, Via,
};

const NOW: i64 = 1_767_225_600_000;
const ADA: Uuid = Uuid::from_u128(0xada);
const NORTH: Uuid = Uuid::from_u128(0x107);
const TOWN: Uuid = Uuid::from_u128(0x70);
const SOUTH: Uuid = Uuid::from_u128(0x50);
const METER: Uuid = Uuid::from_u128(0x3e7e5);

/// A tenant: the whole, in it north and south, in north a town, in the town a meter.
struct World {
    tenant: TenantId,
    other: TenantId,
}

impl World {
    fn new() -> World {
        World { tenant: TenantId::customer(), other: TenantId::customer() }
    }

    fn path(&self, place: Place) -> Vec<Place> {
        let whole = Place::Organisation(*self.tenant.uuid());
        match place {
            Place::Device(METER) => vec![place, Place::Organisation(TOWN), Place::Organisation(NORTH), whole],
            Place::Organisation(TOWN) => vec![place, Place::Organisation(NORTH), whole],
            Place::Organisation(id) if id == *self.tenant.uuid() => vec![whole],
            other => vec![other, whole],
        }
    }

    fn whole(&self) -> Place {
        Place::Organisation(*self.tenant.uuid())
    }

    fn ask(&self, policies: &Policies, who: &Who, action: Action, place: Place) -> Result<(), Refusal> {
        let Some(sample) = policies.vocabulary().sample(action) else { return Err(Refusal::Forbidden) };
        let found = Found {
            resource: sample.at(place),
            path: self.path(place),
            tenant_suspended: who.tenant_suspended,
        };
        let slice = Slice::in_customer(
            &who.caller,
            self.tenant,
            &who.standing,
            action,
            &found,
            who.caller.is_fresh(NOW),
        );
        policies.answer(slice)
    }
}

struct Who {
    caller: Caller,
    standing: Standing,
    tenant_suspended: bool,
}

fn account() -> SignedIn {
    SignedIn {
        account: ADA,
        home: TenantId::from_uuid(Uuid::from_u128(0x40)),
        via: Via::Session(Uuid::from_u128(0x5e5)),
        fresh_until: Some(NOW + 60_000),
        suspended: false,
        platform_roles: PlatformRoles::NONE,
    }
}

fn who(standing: Standing) -> Who {
    Who { caller: Caller::account(account(), "req_1"), standing, tenant_suspended: false }
}

fn holder(roles: &[(&str, Place)]) -> Holder {
    let mut held: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (role, place) in roles {
        held.entry((*role).to_owned()).or_default().push(*place);
    }
    Holder { roles: held, ..Holder::default() }
}

fn member(roles: &[(&str, Place)]) -> Who {
    who(Standing::Member(Arc::new(holder(roles))))
}

fn built_in() -> Policies {
    Policies::built_in().unwrap()
}

/// The built-in policies and the most careless policy that a tenant could have.
fn careless() -> Policies {
    built_in().with_tenant(&[], "@id(\"careless\") permit (principal, action, resource);").unwrap()
}

#[test]
fn a_role_does_what_its_group_says_where_it_is_held_and_below_and_nothing_elsewhere() {
    let (world, policies) = (World::new(), built_in());
    let places =
        [world.whole(), Place::Organisation(NORTH), Place::Organisation(TOWN), Place::Organisation(SOUTH)];
    for role in BuiltInRole::ALL {
        for held in places.into_iter().chain([Place::Device(METER)]) {
            let who = member(&[(role.name(), held)]);
            for at in places {
                let reaches = world.path(at).contains(&held);
                for action in Action::ALL.iter().copied() {
                    let says = policies.role(role).contains(action) && reaches;
                    let membership = matches!(
                        action,
                        Action::TenantRead
                            | Action::OrganisationRead
                            | Action::TeamRead
                            | Action::TenantLeave
                            | Action::ClientUse
                    );
                    let expected = policies.grantable().contains(action) && (says || membership)
                        || matches!(action, Action::TenantLeave | Action::ClientUse);
                    let told = world.ask(&policies, &who, action, at);
                    assert_eq!(told.is_ok(), expected, "{role} at {held:?}: {action} at {at:?}: {told:?}");
                }
            }
        }
    }
}

#[test]
fn a_role_on_a_single_device_reaches_that_device_only() {
    let (world, policies) = (World::new(), built_in());
    let who = member(&[("operator", Place::Device(METER))]);
    assert_eq!(world.ask(&policies, &who, Action::DeviceRead, Place::Device(METER)), Ok(()));
    assert_eq!(world.ask(&policies, &who, Action::DeviceWrite, Place::Device(METER)), Ok(()));
    assert!(world.ask(&policies, &who, Action::DeviceDelete, Place::Device(METER)).is_err());
    assert!(world.ask(&policies, &who, Action::DeviceRead, Place::Organisation(TOWN)).is_err());
}

#[test]
fn a_role_of_the_tenants_own_does_what_it_lists() {
    let world = World::new();
    let role = CustomRole {
        id: Uuid::from_u128(0x701e),
        actions: [Action::DeviceRead, Action::LogRead].into_iter().collect(),
    };
    let policies = built_in().with_tenant(std::slice::from_ref(&role), "").unwrap();
    let who = member(&[(&role.tag(), Place::Organisation(NORTH))]);
    assert_eq!(world.ask(&policies, &who, Action::DeviceRead, Place::Organisation(TOWN)), Ok(()));
    assert!(world.ask(&policies, &who, Action::DeviceWrite, Place::Organisation(TOWN)).is_err());
    assert!(world.ask(&policies, &who, Action::DeviceRead, Place::Organisation(SOUTH)).is_err());
    // Held at one organisation, it does not read the whole tenant's history.
    let log = Found { resource: Resource::Log, path: vec![world.whole()], tenant_suspended: false };
    let slice = Slice::in_customer(&who.caller, world.tenant, &who.standing, Action::LogRead, &log, true);
    assert!(policies.answer(slice).is_err());
}

/// What nobody may, whatever a tenant's policies say, with the guardrail that says so.
fn forbidden(world: &World) -> Vec<(&'static str, Who, Action, Refusal)> {
    let whole = world.whole();
    let suspended = SignedIn { suspended: true, ..account() };
    let of_member = |holder: Holder| who(Standing::Member(Arc::new(holder)));
    let elsewhere = Service {
        tenant: world.other,
        account: Uuid::from_u128(0x5e7),
        key: Uuid::from_u128(0x5e8),
        by_client: false,
    };
    let stranger = |caller| Who { caller, standing: Standing::Stranger, tenant_suspended: false };
    vec![
        ("tenant-wall", who(Standing::Stranger), Action::DeviceRead, Refusal::NotFound),
        (
            "customer-wall",
            stranger(Caller::service(elsewhere, "req_1")),
            Action::DeviceRead,
            Refusal::NotFound,
        ),
        (
            "supporters-only-support",
            who(Standing::Supporter { grant: ADA, scopes: Scopes::ALL }),
            Action::DeviceWrite,
            Refusal::Forbidden,
        ),
        (
            "within-scope",
            who(Standing::Supporter { grant: ADA, scopes: [Action::LogRead].into_iter().collect() }),
            Action::DeviceRead,
            Refusal::Forbidden,
        ),
        (
            "auditors-change-nothing",
            member(&[("auditor", whole), ("owner", whole)]),
            Action::DeviceWrite,
            Refusal::Forbidden,
        ),
        (
            "suspended",
            of_member(Holder { suspended: true, ..holder(&[("owner", whole)]) }),
            Action::TenantRead,
            Refusal::Suspended,
        ),
        (
            "suspended",
            Who {
                caller: Caller::account(suspended, "req_1"),
                standing: Standing::Member(Arc::new(holder(&[("owner", whole)]))),
                tenant_suspended: false,
            },
            Action::TenantRead,
            Refusal::Suspended,
        ),
        (
            "tenant-suspended",
            Who { tenant_suspended: true, ..member(&[("owner", whole)]) },
            Action::DeviceRead,
            Refusal::TenantSuspended,
        ),
        (
            "fresh-proof",
            Who {
                caller: Caller::account(SignedIn { fresh_until: None, ..account() }, "req_1"),
                ..member(&[("owner", whole)])
            },
            Action::PolicyWrite,
            Refusal::StepUpRequired,
        ),
    ]
}

#[test]
fn no_policy_of_a_tenant_can_allow_what_the_guardrails_forbid() {
    let (world, careless) = (World::new(), careless());
    for (guardrail, who, action, refusal) in forbidden(&world) {
        let told = world.ask(&careless, &who, action, world.whole());
        assert_eq!(told, Err(refusal), "{guardrail}: {action}");
    }
}

#[test]
fn without_any_one_of_the_guardrails_something_is_allowed_that_must_not_be() {
    let world = World::new();
    for (guardrail, who, action, _) in forbidden(&world) {
        let without = careless().without(guardrail).unwrap();
        assert_eq!(world.ask(&without, &who, action, world.whole()), Ok(()), "{guardrail}: {action}");
    }
}

#[test]
fn a_platform_role_is_worth_nothing_in_a_tenant_without_a_support_grant() {
    let (world, careless) = (World::new(), careless());
    for role in PlatformRole::ALL {
        let operator = SignedIn { platform_roles: [role].into_iter().collect(), ..account() };
        let who = Who { caller: Caller::account(operator, "req_1"), ..who(Standing::Stranger) };
        for action in Action::ALL.iter().copied() {
            let told = world.ask(&careless, &who, action, world.whole());
            assert!(told.is_err(), "{role}: {action}");
        }
    }
}

#[test]
fn an_auditor_changes_nothing_whatever_a_tenant_allows() {
    let (world, careless) = (World::new(), careless());
    let who = member(&[("auditor", world.whole())]);
    let own = [Action::TenantLeave, Action::ClientUse];
    for action in Action::ALL.iter().copied().filter(|action| !own.contains(action)) {
        // An export changes nothing, but takes everything out.
        let reads = careless.leaves_no_record(action) || action == Action::FileRead;
        if world.ask(&careless, &who, action, Place::Organisation(TOWN)).is_ok() {
            assert!(reads || action == Action::ExportCreate, "{action}");
        }
    }
}

#[test]
fn an_invitation_opens_the_tenant_that_it_is_for() {
    let (world, policies) = (World::new(), built_in());
    let invited = Invited { tenant: world.tenant, invitation: Uuid::from_u128(0x14) };
    let who = Who { caller: Caller::account(account(), "req_1").invited(invited), ..who(Standing::Invitee) };
    assert_eq!(world.ask(&policies, &who, Action::TenantJoin, world.whole()), Ok(()));
    assert_eq!(world.ask(&policies, &who, Action::MemberRead, world.whole()), Err(Refusal::Forbidden));
}

#[test]
fn what_is_remembered_for_one_member_is_what_is_said_of_another() {
    let (world, policies) = (World::new(), built_in());
    let manager = member(&[("manager", Place::Organisation(NORTH))]);
    let elsewhere = member(&[("manager", Place::Organisation(SOUTH))]);
    for _ in 0..2 {
        assert_eq!(world.ask(&policies, &manager, Action::DeviceWrite, Place::Organisation(TOWN)), Ok(()));
        assert!(world.ask(&policies, &elsewhere, Action::DeviceWrite, Place::Organisation(TOWN)).is_err());
        assert_eq!(world.ask(&policies, &elsewhere, Action::DeviceWrite, Place::Organisation(SOUTH)), Ok(()));
    }
}

#[test]
fn a_tenants_policies_are_told_where_they_are_wrong() {
    let built_in = built_in();
    let problem = |text: &str| built_in.with_tenant(&[], text).err().map(|mut problems| problems.remove(0));
    assert_eq!(problem(""), None);
    assert_eq!(
        problem("@id(\"night\") forbid (principal is Member, action == Action::\"device.write\", resource);"),
        None
    );
    let broken = problem("@id(\"a\")\npermit (principal, action,\n  resorce);").unwrap();
    assert_eq!((broken.line, broken.column), (Some(3), Some(3)), "{broken:?}");
    let unknown =
        problem("@id(\"a\")\npermit (principal, action == Action::\"device.raed\", resource);").unwrap();
    assert_eq!((unknown.line, unknown.policy.as_deref()), (Some(2), Some("a")), "{unknown:?}");
    for text in [
        "permit (principal, action, resource);",
        "@id(\"a\") permit (principal == ?principal, action, resource);",
        "@id(\"a\") @refusal(\"not_found\") forbid (principal, action, resource);",
        "@id(\"a/b\") permit (principal, action, resource);",
        "@id(\"a\") permit (principal, action, resource) when { resource.owner == principal };",
    ] {
        assert!(problem(text).is_some(), "{text}");
    }
}

#[test]
fn every_action_of_a_tenant_can_be_tried_on_something() {
    let policies = built_in();
    for action in Action::ALL.iter().copied().filter(|action| policies.grantable().contains(*action)) {
        assert!(policies.vocabulary().sample(action).is_some(), "{action}");
    }
    assert_eq!(policies.vocabulary().sample(Action::LogRead), Some(Sample::Log));
    assert_eq!(BUILT_IN.len(), 5);
}
