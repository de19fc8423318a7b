// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Deleting an account: nobody gets in, nothing opens, and a crash in between is finished.

use identity::SessionError;
use store::TenantId;

use crate::world::{MINUTE, commit, worlds};

#[tokio::test]
async fn a_deleted_account_lets_nobody_in_and_its_address_is_free() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let deletion =
            world.identity.delete_start(&mut world.read(person.home).await, &session).await.unwrap();
        assert_eq!((deletion.letter.kind(), deletion.letter.to()), ("account_deleted", &person.email));
        let under_way = world.prove(&person, &person.password).await;

        let mut tx = world.directory().await;
        world.identity.delete_begin(&mut tx, &deletion).await.unwrap();
        commit(tx).await;
        assert!(world.try_sign_in(&person, person.backup_code(0)).await.is_err());
        let mut tx = world.write(person.home).await;
        world.identity.delete_home(&mut tx, person.account).await.unwrap();
        commit(tx).await;
        assert!(matches!(world.authenticate(&first.token).await, Err(SessionError::Ended)));
        let finish = person.signin_finish(person.backup_code(1));
        assert!(
            world.finish(&under_way.0, &under_way.1, &finish).await.is_err(),
            "a sign-in that was under way"
        );
        let half = world.identity.server_half(&mut world.read(person.home).await, &session).await;
        assert!(matches!(half, Err(SessionError::Ended)));
        let mut tx = world.directory().await;
        world.identity.delete_finish(&mut tx, person.account).await.unwrap();
        commit(tx).await;

        let world = world.restart().await;
        assert!(!world.is_live(&first.token).await);
        let (again, _) = world.sign_up("ada").await;
        assert_ne!((again.account, again.home), (person.account, person.home));
    }
}

#[tokio::test]
async fn a_deletion_that_crashed_is_listed_and_finished_and_may_be_repeated() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let deletion =
            world.identity.delete_start(&mut world.read(person.home).await, &session).await.unwrap();
        let mut tx = world.directory().await;
        world.identity.delete_begin(&mut tx, &deletion).await.unwrap();
        commit(tx).await;
        let world = world.restart().await;
        world.wait(2 * MINUTE);
        let left =
            world.identity.unfinished_deletions(&mut world.read(TenantId::PLATFORM).await, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        for _ in 0..2 {
            let mut tx = world.write(left[0].home).await;
            world.identity.delete_home(&mut tx, left[0].account).await.unwrap();
            commit(tx).await;
        }
        let mut tx = world.directory().await;
        world.identity.delete_finish(&mut tx, left[0].account).await.unwrap();
        commit(tx).await;
        assert!(!world.is_live(&first.token).await);
        let mut view = world.read(TenantId::PLATFORM).await;
        assert_eq!(world.identity.unfinished_deletions(&mut view, 10).await.unwrap(), []);
        assert_eq!(world.identity.homes(&mut view, None, 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn homes_are_listed_page_by_page() {
    for world in worlds().await {
        let mut accounts = Vec::new();
        for name in ["ada", "bea", "cleo"] {
            accounts.push(world.sign_up(name).await.0.account);
        }
        accounts.sort();
        let mut view = world.read(TenantId::PLATFORM).await;
        let first = world.identity.homes(&mut view, None, 2).await.unwrap();
        let rest = world.identity.homes(&mut view, Some(first[1].account), 2).await.unwrap();
        let listed: Vec<_> = first.iter().chain(&rest).map(|entry| entry.account).collect();
        assert_eq!(listed, accounts);
    }
}
