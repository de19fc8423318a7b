// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Properties of the policies for callers that no table lists, and of reading them.

use access::{
    Action, Caller, Decision, PlatformRole, Policies, PolicyError, Refusal, Resource, Scopes, SignedIn, Via,
};
use proptest::prelude::*;
use store::TenantId;
use uuid::Uuid;

use crate::world::{ACCOUNT, NOW, account, home, neighbours_home, resources, signed_in};

fn uuids() -> impl Strategy<Value = Uuid> {
    // A few that meet often, and any other.
    prop_oneof![(1..4u128).prop_map(Uuid::from_u128), any::<u128>().prop_map(Uuid::from_u128)]
}

fn tenants() -> impl Strategy<Value = TenantId> {
    prop_oneof![4 => uuids().prop_map(TenantId::from_uuid), 1 => Just(TenantId::PLATFORM)]
}

fn accounts() -> impl Strategy<Value = (SignedIn, Scopes)> {
    let scopes = prop_oneof![
        3 => Just(Scopes::ALL),
        1 => proptest::sample::subsequence(Action::ALL, 0..Action::ALL.len()).prop_map(Scopes::from_iter),
    ];
    let roles = proptest::sample::subsequence(&PlatformRole::ALL, 0..=PlatformRole::ALL.len());
    let fresh = proptest::option::of(NOW - 10..NOW + 10);
    (uuids(), tenants(), uuids(), fresh, any::<bool>(), roles, scopes).prop_map(
        |(account, home, session, fresh_until, suspended, roles, scopes)| {
            let platform_roles = roles.into_iter().collect();
            (
                SignedIn {
                    account,
                    home,
                    via: Via::Session(session),
                    fresh_until,
                    suspended,
                    platform_roles,
                },
                scopes,
            )
        },
    )
}

fn actions() -> impl Strategy<Value = Action> {
    proptest::sample::select(Action::ALL)
}

fn things() -> impl Strategy<Value = Resource> {
    (uuids(), 0..8usize).prop_map(|(of, index)| resources(of)[index])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nobody_ever_reaches_across_tenants((signed_in, scopes) in accounts(), tenant in tenants(), action in actions(), resource in things()) {
        thread_local!(static BOTH: [Policies; 2] = [
            Policies::built_in().unwrap(),
            Policies::from_sources(&[
                ("guardrails.cedar", include_str!("../../policies/guardrails.cedar")),
                ("careless.cedar", "@id(\"careless\") @says(\"Anything.\") permit (principal, action, resource);"),
            ]).unwrap(),
        ]);
        let caller = Caller::account(signed_in, "req_1").within(scopes);
        BOTH.with(|both| for policies in both {
            if policies.decide(&caller, tenant, action, resource, NOW).is_ok() {
                assert!(tenant == signed_in.home || tenant == TenantId::PLATFORM);
                assert!(!signed_in.suspended && scopes.contains(action));
                match resource {
                    Resource::Platform => assert!(signed_in.platform_roles.iter().next().is_some()),
                    Resource::DirectoryEntry { account } => assert_eq!(account, signed_in.account),
                    _ => {}
                }
            }
        });
    }

    #[test]
    fn scopes_read_what_they_write(actions in proptest::sample::subsequence(Action::ALL, 0..Action::ALL.len())) {
        let scopes = Scopes::from_iter(actions.clone());
        assert_eq!(scopes.to_string().parse::<Scopes>().unwrap(), scopes);
        for action in Action::ALL {
            assert_eq!(scopes.contains(*action), actions.contains(action));
        }
    }
}

#[test]
fn a_ceiling_is_lowered_and_never_raised() {
    let narrow = account(signed_in()).within(Scopes::from_iter([Action::ItemRead])).within(Scopes::ALL);
    assert!(narrow.scopes().contains(Action::ItemRead));
    assert!(!narrow.scopes().contains(Action::ItemWrite));
    assert!("*".parse::<Scopes>().unwrap() == Scopes::ALL);
    assert!("".parse::<Scopes>().unwrap() == Scopes::NONE);
    assert!("item.read everything".parse::<Scopes>().is_err());
}

#[test]
fn a_proof_is_fresh_until_its_time_and_not_after() {
    let policies = Policies::built_in().unwrap();
    let owner = account(signed_in());
    let ask = |now| policies.decide(&owner, home(), Action::PasswordChange, Resource::Home, now);
    assert_eq!(ask(NOW + 59_999), Ok(()));
    assert_eq!(ask(NOW + 60_000), Err(Refusal::StepUpRequired));
    let never = account(SignedIn { fresh_until: None, ..signed_in() });
    let answer = policies.decide(&never, home(), Action::PasswordChange, Resource::Home, NOW);
    assert_eq!(answer, Err(Refusal::StepUpRequired));
}

#[test]
fn an_explanation_names_the_policies_and_what_they_say() {
    let policies = Policies::built_in().unwrap();
    let owner = account(signed_in());
    let yes = policies.explain(&owner, home(), Action::ItemWrite, Resource::Collection(ACCOUNT), NOW);
    assert_eq!(yes.decision, Decision::Allowed);
    assert_eq!(yes.reasons.len(), 1);
    assert_eq!(yes.reasons[0].policy, "owner-has-the-home");
    let no =
        policies.explain(&owner, neighbours_home(), Action::ItemWrite, Resource::Collection(ACCOUNT), NOW);
    assert_eq!(no.decision, Decision::Refused(Refusal::NotFound));
    assert_eq!(
        no.to_string(),
        "refused as if it were not there\n  readers-write-nothing: Who was let in to read a collection changes nothing in it.\n  \
         tenant-wall: An account never reaches into another's tenant, but for that very collection that is shared with it now. \
         What is there, and whether it is there, is not said."
    );
    let nonsense = policies.explain(&owner, home(), Action::ItemWrite, Resource::Log, NOW);
    assert_eq!(nonsense.decision, Decision::Refused(Refusal::Forbidden));
    assert!(nonsense.fault.is_some());
}

#[test]
fn every_policy_has_a_name_of_its_own_and_a_sentence() {
    let policies = Policies::built_in().unwrap();
    let mut count = 0;
    for (id, sentence) in policies.sentences() {
        assert!(sentence.ends_with('.') && sentence.len() > 20, "{id}: {sentence}");
        count += 1;
    }
    assert_eq!(count, 40);
    let twice = "@id(\"a\") @says(\"A.\") permit (principal, action, resource);".repeat(2);
    for text in [
        "permit (principal, action, resource);",
        "@id(\"a\") permit (principal, action, resource);",
        "@says(\"Anything.\") permit (principal, action, resource);",
        &twice,
    ] {
        let read = Policies::from_sources(&[("x.cedar", text)]);
        assert!(matches!(read, Err(PolicyError::Unnamed { .. })), "{text}");
    }
}

#[test]
fn a_policy_that_does_not_fit_the_schema_is_not_accepted() {
    for text in [
        "permit (principal, action == Action::\"item.raed\", resource);",
        "permit (principal in PlatformRole::\"admin\", action, resource);",
        "permit (principal, action, resource) when { principal.suspended };",
        "permit (principal, action, resource) when { resource.owner == principal };",
        "permit (principal, action, resource) when { context.fresh == 1 };",
        // can never be true: a mistake, whatever was meant
        "permit (principal is Home, action, resource);",
    ] {
        let read = Policies::from_sources(&[("x.cedar", &format!("@id(\"x\") @says(\"X.\") {text}"))]);
        assert!(matches!(read, Err(PolicyError::Invalid(_))), "{text}");
    }
    let read = Policies::from_sources(&[("x.cedar", "permit (")]);
    assert!(matches!(read, Err(PolicyError::Syntax { .. })));
    let read = Policies::from_sources(&[(
        "x.cedar",
        "@id(\"x\") @says(\"X.\") @refusal(\"gone\") forbid (principal, action, resource);",
    )]);
    assert!(matches!(read, Err(PolicyError::UnknownRefusal { .. })));
}

#[test]
fn a_guardrail_that_cannot_be_evaluated_refuses() {
    // The sum overflows, so Cedar leaves the forbid out and would allow.
    let policies = Policies::from_sources(&[(
        "x.cedar",
        "@id(\"yes\") @says(\"Yes.\") permit (principal, action, resource);
         @id(\"broken\") @says(\"Broken.\") forbid (principal, action, resource)
         when { 9223372036854775807 + (if context.fresh then 1 else 2) > 0 };",
    )])
    .unwrap();
    let owner = account(signed_in());
    let answer = policies.explain(&owner, home(), Action::CollectionList, Resource::Home, NOW);
    assert_eq!(answer.decision, Decision::Refused(Refusal::Forbidden));
    assert!(answer.fault.is_some());
}

#[test]
fn only_reads_leave_no_record_and_reading_a_file_is_not_one_of_them() {
    let policies = Policies::built_in().unwrap();
    let unrecorded: Vec<_> = Action::ALL
        .iter()
        .filter(|action| policies.leaves_no_record(**action))
        .map(|action| action.name())
        .collect();
    assert_eq!(
        unrecorded,
        [
            "account.create",
            "session.create",
            "session.authenticate",
            "session.step_up",
            "session.unlock",
            "session.list",
            "device.list",
            "pairing.ask",
            "pairing.read",
            "account.read",
            "api_key.read",
            "collection.list",
            "collection.read",
            "item.read",
            "changes.follow",
            "usage.read",
            "tenant.list",
            "tenant.read",
            "organisation.read",
            "member.read",
            "team.read",
            "role.read",
            "device.read",
            "policy.read",
            "service_account.read",
            "client.read",
            "provider.read",
            "support.read",
            "decision.explain",
            "log.read",
            "platform.read",
            "maintenance.run",
        ]
    );
}

#[test]
fn a_caller_prints_who_it_is_and_not_where_from() {
    let caller = account(signed_in()).from_address("203.0.113.0/24");
    let printed = format!("{caller:?}");
    assert!(printed.contains("acc_00000000000000000000000000000acc"), "{printed}");
    assert!(!printed.contains("203.0.113"), "{printed}");
    assert_eq!(caller.via(), "ses_000000000000000000000000000005e5");
    let by_key = account(SignedIn { via: Via::ApiKey(Uuid::from_u128(0x3e7)), ..signed_in() });
    assert_eq!(by_key.via(), "mth_000000000000000000000000000003e7");
    assert_eq!(Caller::system("sweep", "req_1").actor(), "system:sweep");
    assert_eq!(Caller::visitor("req_1").actor(), "visitor");
}
