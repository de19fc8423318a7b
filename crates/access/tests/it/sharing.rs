// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a share opens, and what it leaves shut.

use access::{Action, Caller, PlatformRole, Policies, Refusal, Resource, Scopes, Share};
use store::TenantId;
use uuid::Uuid;

use crate::world::{
    ACCOUNT, NEIGHBOUR, NOW, account, home, neighbours_home, resources, signed_in, with_role,
};

const COLLECTION: Uuid = Uuid::from_u128(0xc01);
const READING: [Action; 4] =
    [Action::CollectionRead, Action::ItemRead, Action::FileRead, Action::ChangesFollow];
const WRITING: [Action; 4] = [Action::ItemWrite, Action::ItemDelete, Action::FileWrite, Action::FileDelete];

fn share() -> Share {
    Share { home: neighbours_home(), collection: COLLECTION, writes: false }
}

fn member() -> Caller {
    account(signed_in()).sharing(share())
}

fn writer() -> Caller {
    account(signed_in()).sharing(Share { writes: true, ..share() })
}

/// The built-in policies, and with them the most careless one there can be.
fn all() -> [Policies; 2] {
    let read = |file: &str| {
        std::fs::read_to_string(format!("{}/policies/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let careless =
        "@id(\"careless\") @says(\"Anyone may do anything.\") permit (principal, action, resource);";
    let guardrails = read("guardrails.cedar");
    let sources = [("guardrails.cedar", guardrails.as_str()), ("careless.cedar", careless)];
    [Policies::built_in().unwrap(), Policies::from_sources(&sources).unwrap()]
}

#[test]
fn a_member_reads_that_very_collection_and_does_nothing_else_there() {
    for policies in all() {
        for resource in resources(NEIGHBOUR) {
            let is_within =
                matches!(resource, Resource::Collection(_) | Resource::Item { .. } | Resource::File { .. });
            for action in Action::ALL {
                let answer = policies.decide(&member(), neighbours_home(), *action, resource, NOW);
                if answer.is_ok() {
                    assert!(is_within && READING.contains(action), "{action} on {resource:?}");
                }
            }
        }
        for action in [Action::CollectionShare, Action::CollectionWrite, Action::CollectionDelete] {
            let resource = Resource::Collection(COLLECTION);
            for caller in [member(), writer()] {
                let answer = policies.decide(&caller, neighbours_home(), action, resource, NOW);
                assert_eq!(answer, Err(Refusal::NotFound), "{action}");
            }
        }
        // Who sees a thing is told that changing it is another matter.
        for action in WRITING {
            let resource = Resource::Collection(COLLECTION);
            let answer = policies.decide(&member(), neighbours_home(), action, resource, NOW);
            assert_eq!(answer, Err(Refusal::Forbidden), "{action}");
        }
    }
    let [policies, _] = all();
    let item = Resource::Item { collection: COLLECTION, id: ACCOUNT };
    assert_eq!(policies.decide(&member(), neighbours_home(), Action::ItemRead, item, NOW), Ok(()));
}

#[test]
fn a_writer_writes_items_and_files_of_that_very_collection_and_nothing_else() {
    for policies in all() {
        for resource in resources(NEIGHBOUR) {
            let is_within =
                matches!(resource, Resource::Collection(_) | Resource::Item { .. } | Resource::File { .. });
            for action in Action::ALL {
                if policies.decide(&writer(), neighbours_home(), *action, resource, NOW).is_ok() {
                    let is_shared = READING.contains(action) || WRITING.contains(action);
                    assert!(is_within && is_shared, "{action} on {resource:?}");
                }
            }
        }
    }
    let [policies, _] = all();
    let item = Resource::Item { collection: COLLECTION, id: ACCOUNT };
    for action in [Action::ItemRead, Action::ItemWrite, Action::ItemDelete] {
        assert_eq!(policies.decide(&writer(), neighbours_home(), action, item, NOW), Ok(()), "{action}");
    }
}

#[test]
fn a_share_is_of_one_collection_in_one_home() {
    for policies in all() {
        for action in READING.into_iter().chain(WRITING) {
            let member = writer;
            let ask = |caller: &Caller, tenant: TenantId, collection: u128| {
                let resource = Resource::Collection(Uuid::from_u128(collection));
                policies.decide(caller, tenant, action, resource, NOW)
            };
            assert_eq!(ask(&member(), neighbours_home(), 0xc01), Ok(()));
            assert_eq!(
                ask(&member(), neighbours_home(), 0xc02),
                Err(Refusal::NotFound),
                "another collection"
            );
            let elsewhere = TenantId::from_uuid(Uuid::from_u128(0xd));
            assert_eq!(ask(&member(), elsewhere, 0xc01), Err(Refusal::NotFound), "another home");
            let stranger = account(signed_in());
            assert_eq!(ask(&stranger, neighbours_home(), 0xc01), Err(Refusal::NotFound), "no share");
            assert!(ask(&member(), home(), 0xc02).is_ok(), "one's own stays one's own");
        }
    }
}

#[test]
fn a_share_lifts_no_other_guardrail() {
    for policies in all() {
        let ask = |caller: Caller| {
            let resource = Resource::Collection(COLLECTION);
            let share = Share { writes: true, ..share() };
            let answer = policies.decide(
                &caller.clone().sharing(share),
                neighbours_home(),
                Action::ItemRead,
                resource,
                NOW,
            );
            let writing =
                policies.decide(&caller.sharing(share), neighbours_home(), Action::ItemWrite, resource, NOW);
            assert_eq!(answer, writing, "nor does one for writing");
            answer
        };
        let suspended = access::SignedIn { suspended: true, ..signed_in() };
        assert_eq!(ask(account(suspended)), Err(Refusal::Suspended));
        assert!(ask(account(signed_in()).within(Scopes::NONE)).is_err());
        // Who runs the platform reads no tenant, also as somebody's friend.
        assert_eq!(ask(account(with_role(PlatformRole::Operator))), Err(Refusal::NotFound));
        assert!(ask(Caller::visitor("req_1")).is_err());
        assert!(ask(Caller::system("sweep", "req_1")).is_err());
    }
}
