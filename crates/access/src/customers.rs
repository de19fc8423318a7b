// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may do what in a customer's tenant: every standing, every action, and what each guardrail is worth.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::TenantId;
use uuid::Uuid;

use crate::policies::{BUILT_IN, Policies};
use crate::slice::{Slice, When};
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
        self.ask_at(policies, who, action, place, NOW)
    }

    fn ask_at(
        &self,
        policies: &Policies,
        who: &Who,
        action: Action,
        place: Place,
        now_ms: i64,
    ) -> Result<(), Refusal> {
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
            When::at(now_ms, &who.caller),
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
                    ) || action == Action::PlainPasswordSet
                        && !(role == BuiltInRole::Auditor && reaches);
                    let expected = policies.grantable().contains(action) && (says || membership)
                        || action == Action::TenantLeave;
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
    let slice = Slice::in_customer(
        &who.caller,
        world.tenant,
        &who.standing,
        Action::LogRead,
        &log,
        When::at(NOW, &who.caller),
    );
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
fn no_attack_by_policy_gets_past_the_guardrails() {
    let world = World::new();
    for attack in [
        "permit (principal is Account, action, resource)",
        "permit (principal in PlatformRole::\"administrator\", action, resource)",
        "permit (principal is Supporter, action, resource)",
        "permit (principal is Member, action, resource)",
        "permit (principal is ServiceAccount, action, resource)",
        "permit (principal is Invitee, action, resource)",
        "permit (principal, action, resource) when { !context.in_scope || !context.fresh }",
    ] {
        let policies = built_in().with_tenant(&[], &format!("@id(\"attack\") {attack};")).unwrap();
        for (guardrail, who, action, refusal) in forbidden(&world) {
            let told = world.ask(&policies, &who, action, world.whole());
            // Where nothing allows it, a proof is not asked for in vain.
            let alike = refusal == Refusal::StepUpRequired && told == Err(Refusal::Forbidden);
            assert!(told == Err(refusal) || alike, "{attack}: {guardrail}: {action}: {told:?}");
        }
        for role in PlatformRole::ALL {
            let operator = SignedIn { platform_roles: [role].into_iter().collect(), ..account() };
            let who = Who { caller: Caller::account(operator, "req_1"), ..who(Standing::Stranger) };
            for action in Action::ALL.iter().copied() {
                assert!(
                    world.ask(&policies, &who, action, world.whole()).is_err(),
                    "{attack}: {role}: {action}"
                );
            }
        }
    }
}

#[test]
fn a_tenants_policies_have_no_say_in_who_mends_them() {
    let world = World::new();
    let (owner, member) = (member(&[("owner", world.whole())]), member(&[]));
    let text = |effect: &str| format!("@id(\"a\") {effect} (principal, action, resource);");
    let nothing = built_in().with_tenant(&[], &text("forbid")).unwrap();
    let everything = built_in().with_tenant(&[], &text("permit")).unwrap();
    let built_in = built_in();
    let alone = built_in.vocabulary().by_roles_alone();
    assert!(alone.contains(Action::PolicyWrite) && alone.contains(Action::DecisionExplain));
    for action in Action::ALL.iter().copied().filter(|action| built_in.grantable().contains(*action)) {
        let by_roles = alone.contains(action);
        let ask = |policies, who| world.ask(policies, who, action, world.whole());
        assert_eq!(ask(&nothing, &owner).is_ok(), by_roles, "{action}");
        let every_members = built_in.grantable().contains(action) && ask(&built_in, &member).is_ok();
        assert_eq!(ask(&everything, &member).is_ok(), !by_roles || every_members, "{action}");
    }
}

#[test]
fn what_is_remembered_of_one_hour_is_not_said_at_another() {
    let world = World::new();
    let text = "@id(\"night\") forbid (principal, action, resource) when { context.hour < 5 };";
    let night = built_in().with_tenant(&[], text).unwrap();
    let owner = member(&[("owner", world.whole())]);
    let day = NOW.div_euclid(86_400_000) * 86_400_000;
    for _ in 0..2 {
        for hour in 0..24 {
            let now = day + hour * 3_600_000;
            let told = world.ask_at(&night, &owner, Action::DeviceRead, world.whole(), now);
            assert_eq!(told.is_ok(), hour >= 5, "{hour}");
        }
    }
    assert!(night.looks_at_clock() && !careless().looks_at_clock());
}

#[test]
fn what_a_change_of_policies_is_about_is_told_by_the_heads_of_what_changed() {
    let policies = |text: &str| built_in().with_tenant(&[], text).unwrap();
    let read = "@id(\"a\") permit (principal, action == Action::\"device.read\", resource);";
    let write = "@id(\"b\") forbid (principal, action in [Action::\"device.write\"], resource);";
    let group = "@id(\"c\") permit (principal, action in Action::\"viewer\", resource);";
    let about = |before: &str, after: &str| policies(after).changed_from(&policies(before));
    let both = format!("{read}\n{write}");
    assert_eq!(about(&both, &both), Scopes::NONE);
    assert_eq!(about(&both, &format!("{write} // moved\n{read}")), Scopes::NONE);
    assert_eq!(
        about(&both, &both.replace("@id(\"a\")", "@id(\"a\") @says(\"Said otherwise.\")")),
        Scopes::NONE
    );
    assert_eq!(about(read, &both), Action::DeviceWrite.into());
    assert_eq!(about(&both, write), Action::DeviceRead.into());
    let altered = both.replace("forbid (principal,", "forbid (principal is Member,");
    assert_eq!(about(&both, &altered), Action::DeviceWrite.into());
    let wider =
        read.replace("== Action::\"device.read\"", "in [Action::\"device.read\", Action::\"device.delete\"]");
    assert_eq!(about(read, &wider), [Action::DeviceRead, Action::DeviceDelete].into_iter().collect());
    assert_eq!(about("", group), built_in().role(BuiltInRole::Viewer));
    assert_eq!(about("", "@id(\"d\") forbid (principal, action, resource);"), built_in().grantable());
}

#[test]
fn without_any_one_of_the_guardrails_something_is_allowed_that_must_not_be() {
    let world = World::new();
    for (guardrail, who, action, _) in forbidden(&world) {
        let without = careless().without(guardrail).unwrap();
        assert_eq!(world.ask(&without, &who, action, world.whole()), Ok(()), "{guardrail}: {action}");
    }
}

/// Policies that permit exactly what they are shown to be so.
fn probe(condition: &str) -> Policies {
    let text = format!(
        "@id(\"probe\") @says(\"It is so.\") permit (principal, action, resource) when {{ {condition} }};"
    );
    Policies::from_sources(&[("probe.cedar", &text)]).unwrap()
}

/// The proofs (`crates/proofs`) take attributes for granted. Here they are what the tenant knows.
#[test]
fn the_policies_are_shown_what_the_tenant_knows_and_nothing_else() {
    let (world, any) = (World::new(), [false, true]);
    let own_tenant = probe("principal.tenant == resource.tenant");
    let suspended = probe(
        "(principal is Member && principal.suspended) || (principal is ServiceAccount && principal.suspended) || \
         (principal is Supporter && principal.suspended) || (principal is Invitee && principal.suspended) || \
         (principal is Account && principal.suspended)",
    );
    let tenant_suspended = probe(
        "(principal is Member && principal.tenant_suspended) || \
         (principal is ServiceAccount && principal.tenant_suspended) || \
         (principal is Invitee && principal.tenant_suspended)",
    );
    let in_scope = probe("context.in_scope");
    let fresh = probe("context.fresh");
    let place = Place::Organisation(TOWN);
    let told = |policies: &Policies, who: &Who, action| world.ask(policies, who, action, place).is_ok();

    for (account_suspended, holder_suspended, shut) in any
        .into_iter()
        .flat_map(|a| any.into_iter().flat_map(move |b| any.into_iter().map(move |c| (a, b, c))))
    {
        let person = SignedIn { suspended: account_suspended, ..account() };
        let holder = Arc::new(Holder { suspended: holder_suspended, ..holder(&[("viewer", world.whole())]) });
        let service = |tenant| {
            Caller::service(
                Service {
                    tenant,
                    account: Uuid::from_u128(0x5e7),
                    key: Uuid::from_u128(0x5e8),
                    by_client: false,
                },
                "req_1",
            )
        };
        let person = || Caller::account(person, "req_1");
        let read = Action::OrganisationRead;
        // Who, as what the tenant knows them, for what, and then: of this tenant, suspended, shut out with the tenant.
        for (caller, standing, action, belongs, is_suspended, is_shut) in [
            (
                person(),
                Standing::Member(Arc::clone(&holder)),
                read,
                true,
                account_suspended || holder_suspended,
                shut,
            ),
            (service(world.tenant), Standing::ServiceAccount(holder), read, true, holder_suspended, shut),
            (
                person(),
                Standing::Supporter { grant: ADA, scopes: Scopes::ALL },
                read,
                true,
                account_suspended,
                false,
            ),
            (person(), Standing::Invitee, Action::TenantJoin, true, account_suspended, shut),
            (person(), Standing::Stranger, read, false, account_suspended, false),
            (service(world.other), Standing::Stranger, read, false, false, false),
            // One that is gone from its tenant.
            (service(world.tenant), Standing::Stranger, read, true, true, shut),
        ] {
            let context = format!("{caller:?} {standing:?}");
            let who = Who { caller, standing, tenant_suspended: shut };
            assert_eq!(told(&own_tenant, &who, action), belongs, "{context}");
            assert_eq!(told(&suspended, &who, action), is_suspended, "{context}");
            assert_eq!(told(&tenant_suspended, &who, action), is_shut, "{context}");
            assert!(told(&in_scope, &who, action), "{context}");
            // A service account proves nothing of anybody.
            let proves = who.caller.signed_in().is_some();
            assert_eq!(told(&fresh, &who, action), proves, "{context}");
            let narrow = Who { caller: who.caller.within(Scopes::NONE), ..who };
            assert!(!told(&in_scope, &narrow, action), "{context}");
        }
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
    let broken = problem("@id(\"a\")\npermit (principal, action,\n  things);").unwrap();
    assert_eq!((broken.line, broken.column), (Some(3), Some(3)), "{broken:?}");
    let unknown =
        problem("@id(\"a\")\npermit (principal, action == Action::\"device.raed\", resource);").unwrap();
    assert_eq!((unknown.line, unknown.policy.as_deref()), (Some(2), Some("a")), "{unknown:?}");
    let fits = "@id(\"a\") permit (principal, action, resource);";
    let unnamed =
        problem(&format!("{fits}\n\n// the next\n  permit (principal, action, resource);")).unwrap();
    assert_eq!((unnamed.line, unnamed.column), (Some(4), Some(3)), "{unnamed:?}");
    assert!(unnamed.message.starts_with("policy 2 needs a name"), "{unnamed:?}");
    let again = problem(&format!("{fits}\n{fits}\n")).unwrap();
    assert_eq!((again.line, again.policy.as_deref()), (Some(2), Some("a")), "{again:?}");
    let template =
        problem(&format!("{fits}\n@id(\"b\") permit (principal == ?principal, action, resource);"));
    assert_eq!(template.unwrap().line, Some(2));
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
