// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is remembered is what Cedar says.

use access::{Action, Caller, PlatformRole, Policies, Refusal, Resource, Scopes, SignedIn};
use store::TenantId;
use uuid::Uuid;

use crate::world::{ACCOUNT, NEIGHBOUR, NOW, account, home, neighbours_home, resources, signed_in};

const DELIVERED: [(&str, &str); 3] = [
    ("guardrails.cedar", include_str!("../../policies/guardrails.cedar")),
    ("homes.cedar", include_str!("../../policies/homes.cedar")),
    ("platform.cedar", include_str!("../../policies/platform.cedar")),
];

/// The delivered policies and one more.
fn with(policy: &str) -> Policies {
    let text = format!("@id(\"one-more\") @says(\"One more.\") {policy};");
    Policies::from_sources(&[DELIVERED[0], DELIVERED[1], DELIVERED[2], ("more.cedar", &text)]).unwrap()
}

/// The delivered policies, asked anew each time: one that names a single account, and that nobody here is, keeps them from
/// remembering.
fn never_remembering() -> Policies {
    with("forbid (principal == Account::\"acc_nobody\", action, resource)")
}

/// Callers of every kind, with every choice of roles, freshness, suspension and scope, as two accounts in three homes.
fn callers() -> Vec<Caller> {
    let mut callers = vec![
        Caller::visitor("req_1"),
        Caller::visitor("req_1").within(Scopes::NONE),
        Caller::system("sweep", "req_1"),
        Caller::system("upkeep", "req_1"),
        Caller::system("sweep", "req_1").within(Scopes::NONE),
    ];
    for bits in 0..32_u8 {
        let roles = PlatformRole::ALL.into_iter().filter(|role| bits & 1 << *role as u8 != 0);
        let (suspended, fresh) = (bits & 8 != 0, bits & 16 != 0);
        let of = SignedIn {
            platform_roles: roles.collect(),
            suspended,
            fresh_until: fresh.then_some(NOW + 1),
            ..signed_in()
        };
        for account_id in [ACCOUNT, NEIGHBOUR] {
            // Whose id is also the home's and the session's id: ids of two types are two ids.
            for home in [home(), TenantId::from_uuid(account_id), TenantId::PLATFORM] {
                for scopes in [Scopes::ALL, Scopes::NONE] {
                    callers.push(account(SignedIn { account: account_id, home, ..of }).within(scopes));
                }
            }
        }
    }
    callers
}

#[test]
fn what_is_remembered_is_what_cedar_says_in_every_case() {
    let (remembering, anew) = (Policies::built_in().unwrap(), never_remembering());
    let tenants = [home(), neighbours_home(), TenantId::from_uuid(ACCOUNT), TenantId::PLATFORM];
    let things: Vec<_> = [ACCOUNT, NEIGHBOUR]
        .into_iter()
        .flat_map(resources)
        // One id for all that an item stands in.
        .chain([Resource::Item { collection: ACCOUNT, id: ACCOUNT }])
        .collect();
    let callers = callers();
    let (mut yes, mut asked) = (0, 0);
    for (number, caller) in callers.iter().enumerate() {
        for (place, tenant) in tenants.iter().enumerate() {
            for (at, resource) in things.iter().enumerate() {
                // Each case of caller, place and thing with some of the actions, and each action with many of those.
                for action in Action::ALL.iter().skip((number + place + at) % 4).step_by(4) {
                    let said = remembering.decide(caller, *tenant, *action, *resource, NOW);
                    assert_eq!(
                        said,
                        anew.decide(caller, *tenant, *action, *resource, NOW),
                        "{caller:?} {tenant} {action} {resource:?}"
                    );
                    yes += usize::from(said.is_ok());
                    asked += 1;
                }
            }
        }
    }
    assert!(yes > 1_000 && asked > 100_000, "{yes} of {asked}");
}

#[test]
fn another_account_is_not_answered_with_what_the_first_was_told() {
    let policies = Policies::built_in().unwrap();
    let own = |id: Uuid, home: TenantId| account(SignedIn { account: id, home, ..signed_in() });
    let (ada, bea) = (own(ACCOUNT, home()), own(NEIGHBOUR, neighbours_home()));
    let (write, note) = (Action::ItemWrite, Resource::Collection(ACCOUNT));
    for _ in 0..2 {
        assert_eq!(policies.decide(&ada, home(), write, note, NOW), Ok(()));
        assert_eq!(policies.decide(&bea, neighbours_home(), write, note, NOW), Ok(()));
        assert_eq!(policies.decide(&bea, home(), write, note, NOW), Err(Refusal::NotFound));
        let entry = Resource::DirectoryEntry { account: ACCOUNT };
        let read = |who| policies.decide(who, TenantId::PLATFORM, Action::AccountRead, entry, NOW);
        assert_eq!((read(&ada), read(&bea)), (Ok(()), Err(Refusal::NotFound)));
    }
}

#[test]
fn a_policy_that_names_one_thing_is_asked_about_each() {
    let named = format!("acc_{}", ACCOUNT.simple());
    let policies = with(&format!("forbid (principal == Account::\"{named}\", action, resource)"));
    let other = account(SignedIn { account: NEIGHBOUR, ..signed_in() });
    let decide =
        |who: &Caller| policies.decide(who, home(), Action::ItemWrite, Resource::Collection(ACCOUNT), NOW);
    for _ in 0..2 {
        assert_eq!(decide(&other), Ok(()));
        assert_eq!(decide(&account(signed_in())), Err(Refusal::Forbidden));
    }
    let of_one = with(&format!(
        "forbid (principal, action, resource) when {{ resource in Collection::\"col_{}\" }}",
        ACCOUNT.simple()
    ));
    let write = |id| {
        let item = Resource::Item { collection: id, id: NEIGHBOUR };
        of_one.decide(&account(signed_in()), home(), Action::ItemWrite, item, NOW)
    };
    assert_eq!((write(NEIGHBOUR), write(ACCOUNT)), (Ok(()), Err(Refusal::Forbidden)));
}

#[test]
fn a_set_that_lost_a_policy_has_forgotten_what_it_said() {
    let policies = Policies::built_in().unwrap();
    let narrow = account(signed_in()).within(Scopes::NONE);
    let ask = |policies: &Policies| {
        policies.decide(&narrow, home(), Action::ItemWrite, Resource::Collection(ACCOUNT), NOW)
    };
    assert_eq!(ask(&policies), Err(Refusal::Forbidden));
    assert_eq!(ask(&policies.without("within-scope").unwrap()), Ok(()));
}
