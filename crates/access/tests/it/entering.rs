// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The door, on both engines.

use access::{Access, Action, Caller, MIGRATIONS, PlatformRole, Refused, Resource, SignedIn};
use store::testing::{TestStore, engines};
use store::{Record, TenantId, params};

use crate::world::{ACCOUNT, NEIGHBOUR, account, home, neighbours_home, signed_in, with_role};

/// Each engine behind its door, with two homes founded.
async fn houses() -> Vec<(House, Access)> {
    let mut houses = Vec::new();
    for TestStore { name, store, door, clock, config: _, folder } in engines(&[MIGRATIONS]).await.unwrap() {
        let access = Access::new(door).unwrap();
        for home in [home(), neighbours_home()] {
            let tx = access.found(&Caller::visitor("req_0"), home).await.unwrap();
            tx.commit(Record::about(home)).await.unwrap();
        }
        houses.push((House { name, clock, held: Box::new((store, folder)) }, access));
    }
    houses
}

struct House {
    name: &'static str,
    clock: std::sync::Arc<store::ManualClock>,
    /// Kept until the test is over: the store and its folder.
    #[allow(dead_code, reason = "held, not used")]
    held: Box<dyn std::any::Any>,
}

#[tokio::test]
async fn what_is_done_is_recorded_under_the_callers_name_and_the_decided_action() {
    for (house, access) in houses().await {
        let owner = account(signed_in());
        let tx = access.enter(&owner, home(), Action::FileRead, Resource::Collection(ACCOUNT)).await.unwrap();
        let record = tx.commit(Record::about("fil_1")).await.unwrap();
        let mut view = access.view(&owner, home(), Action::LogRead, Resource::Log).await.unwrap();
        let row: (String, String, String, String) = view
            .query_one("SELECT actor, via, action, request FROM record WHERE id = $1", params![&record])
            .await
            .unwrap();
        assert_eq!(
            row,
            (owner.actor(), owner.via(), "file.read".to_owned(), "req_1".to_owned()),
            "{}",
            house.name
        );
    }
}

#[tokio::test]
async fn each_refusal_says_which_kind_it_is() {
    for (_, access) in houses().await {
        let visitor = Caller::visitor("req_1");
        let owner = account(SignedIn { fresh_until: None, ..signed_in() });
        let suspended = account(SignedIn { suspended: true, ..signed_in() });
        let enter =
            async |caller, tenant, action| access.enter(caller, tenant, action, Resource::Home).await.err();
        assert!(matches!(
            enter(&visitor, home(), Action::CollectionList).await,
            Some(Refused::Forbidden { action: Action::CollectionList })
        ));
        assert!(matches!(
            enter(&owner, neighbours_home(), Action::CollectionList).await,
            Some(Refused::NotFound)
        ));
        assert!(matches!(
            enter(&owner, home(), Action::PasswordChange).await,
            Some(Refused::StepUpRequired { action: Action::PasswordChange })
        ));
        assert!(matches!(enter(&suspended, home(), Action::CollectionList).await, Some(Refused::Suspended)));
        assert!(enter(&owner, home(), Action::CollectionList).await.is_none());
    }
}

#[tokio::test]
async fn someone_elses_home_and_a_missing_one_are_answered_alike() {
    for (_, access) in houses().await {
        let owner = account(signed_in());
        for tenant in [neighbours_home(), TenantId::random()] {
            let refused =
                access.view(&owner, tenant, Action::CollectionList, Resource::Home).await.err().unwrap();
            assert!(matches!(refused, Refused::NotFound));
            assert_eq!(refused.to_string(), "there is no such thing here");
        }
    }
}

#[tokio::test]
async fn a_missing_home_on_the_embedded_engine_is_not_found_and_not_made() {
    let (_, access) = houses().await.into_iter().find(|(house, _)| house.name == "sqlite").unwrap();
    let (visitor, missing) = (Caller::visitor("req_1"), TenantId::random());
    for _ in 0..2 {
        let refused = access.view(&visitor, missing, Action::SessionAuthenticate, Resource::Home).await.err();
        assert!(matches!(refused, Some(Refused::NotFound)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_fresh_proof_runs_out_with_the_stores_clock() {
    for (house, access) in houses().await {
        let owner = account(signed_in());
        let change =
            async || access.enter(&owner, home(), Action::PasswordChange, Resource::Home).await.err();
        assert!(change().await.is_none(), "{}", house.name);
        house.clock.advance(60_000);
        assert!(matches!(change().await, Some(Refused::StepUpRequired { .. })), "{}", house.name);
    }
}

#[tokio::test]
async fn a_view_is_not_had_for_what_must_be_recorded() {
    for (_, access) in houses().await {
        let owner = account(signed_in());
        let refused =
            access.view(&owner, home(), Action::FileRead, Resource::Collection(ACCOUNT)).await.err();
        assert!(matches!(refused, Some(Refused::LeavesRecord { action: Action::FileRead })));
    }
}

#[tokio::test]
async fn a_home_is_founded_once_and_signing_up_never_leads_into_it_again() {
    for (house, access) in houses().await {
        let (visitor, new) = (Caller::visitor("req_1"), TenantId::random());
        // A founding that was not finished is no founding.
        drop(access.found(&visitor, new).await.unwrap());
        access.found(&visitor, new).await.unwrap().commit(Record::about(new)).await.unwrap();
        for founded in [new, home()] {
            let again = access.found(&visitor, founded).await.err();
            assert!(
                matches!(again, Some(Refused::Forbidden { action: Action::AccountCreate })),
                "{}: {again:?}",
                house.name
            );
            let entered = access.enter(&visitor, founded, Action::AccountCreate, Resource::Home).await.err();
            assert!(matches!(entered, Some(Refused::Forbidden { .. })), "{}", house.name);
        }
        let platform = access.found(&visitor, TenantId::PLATFORM).await.err();
        assert!(matches!(platform, Some(Refused::Forbidden { .. })), "{}", house.name);
        let owner = access.found(&account(signed_in()), TenantId::random()).await.err();
        assert!(matches!(owner, Some(Refused::NotFound)), "{}", house.name);
    }
}

#[tokio::test]
async fn only_the_server_itself_removes_an_unfinished_home() {
    for (house, access) in houses().await {
        let unfinished = TenantId::random();
        drop(access.found(&Caller::visitor("req_1"), unfinished).await.unwrap());
        let administrator = account(with_role(PlatformRole::Administrator));
        for caller in [Caller::visitor("req_1"), account(signed_in()), administrator] {
            let refused = access.drop_tenant(&caller, unfinished).await.err();
            assert!(matches!(refused, Some(Refused::Forbidden { .. })), "{}", house.name);
        }
        let sweep = Caller::system("sweep", "req_2");
        assert!(access.drop_tenant(&sweep, TenantId::PLATFORM).await.is_err(), "{}", house.name);
        access.drop_tenant(&sweep, unfinished).await.unwrap();
    }
}

#[tokio::test]
async fn the_directory_lets_an_account_at_its_own_entry_alone() {
    for (_, access) in houses().await {
        let owner = account(signed_in());
        let enter = async |account| {
            let entry = Resource::DirectoryEntry { account };
            access.enter(&owner, TenantId::PLATFORM, Action::PasswordChange, entry).await.err()
        };
        assert!(enter(ACCOUNT).await.is_none());
        assert!(matches!(enter(NEIGHBOUR).await, Some(Refused::NotFound)));
    }
}

#[tokio::test]
async fn access_explains_what_it_decides() {
    for (_, access) in houses().await {
        let why = access.explain(&account(signed_in()), neighbours_home(), Action::LogRead, Resource::Log);
        assert_eq!(why.reasons.first().unwrap().policy, "tenant-wall");
    }
}
