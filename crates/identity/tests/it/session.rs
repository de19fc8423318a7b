// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions and devices: they end, and stay ended.

use identity::{ChangeError, SessionError, SessionToken, SigninError};

use crate::world::{DAY, MINUTE, World, commit, worlds};

async fn end(world: &World, by: &SessionToken, ended: identity::SessionId) -> bool {
    let session = world.session(by).await;
    let mut tx = world.write(session.home()).await;
    let was_there = world.identity.end_session(&mut tx, &session, ended).await.unwrap();
    commit(tx).await;
    was_there
}

#[tokio::test]
async fn an_ended_session_is_refused_at_once_and_after_a_restart_and_its_half_is_gone() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let second = world.sign_in(&person).await.session;
        let seen_before = world.session(&second.token).await;
        assert!(end(&world, &first.token, second.id).await);
        assert!(!end(&world, &first.token, second.id).await, "there is nothing left to end");
        assert!(matches!(world.authenticate(&second.token).await, Err(SessionError::Ended)));
        let half = world.identity.server_half(&mut world.read(person.home).await, &seen_before).await;
        assert!(matches!(half, Err(SessionError::Ended)));
        let by_id = world.identity.session_by_id(&mut world.read(person.home).await, second.id).await;
        assert!(matches!(by_id, Err(SessionError::Ended)), "access tokens end with their session");

        let world = world.restart().await;
        assert!(matches!(world.authenticate(&second.token).await, Err(SessionError::Ended)));
        assert!(world.is_live(&first.token).await);
        assert!(end(&world, &first.token, first.id).await);
        assert!(!world.is_live(&first.token).await);
    }
}

#[tokio::test]
async fn a_session_ends_when_unused_and_when_old() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let unused = world.sign_in(&person).await.session;
        for _ in 0..4 {
            world.wait(6 * DAY);
            let session = world.session(&first.token).await;
            assert!(session.needs_touch(world.now()));
            let mut tx = world.write(person.home).await;
            world.identity.touch(&mut tx, &session).await.unwrap();
            commit(tx).await;
            assert!(!world.session(&first.token).await.needs_touch(world.now() + MINUTE - 1));
        }
        assert!(matches!(world.authenticate(&unused.token).await, Err(SessionError::Expired)));
        world.wait(6 * DAY);
        assert!(
            matches!(world.authenticate(&first.token).await, Err(SessionError::Expired)),
            "30 days are over"
        );
        let mut tx = world.write(person.home).await;
        assert_eq!(
            world.identity.sweep_home(&mut tx).await.unwrap(),
            3,
            "both sessions, and an exchange that is over"
        );
        commit(tx).await;
        assert!(matches!(world.authenticate(&first.token).await, Err(SessionError::Ended)));
        world.wait(31 * DAY);
        let mut tx = world.write(person.home).await;
        assert_eq!(world.identity.sweep_home(&mut tx).await.unwrap(), 2, "both sessions");
        commit(tx).await;
        assert!(matches!(world.authenticate(&first.token).await, Err(SessionError::Unknown)));
    }
}

#[tokio::test]
async fn all_others_end_and_the_asking_session_stays() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let (one, two) = (world.sign_in(&person).await.session, world.sign_in(&person).await.session);
        let session = world.session(&one.token).await;
        let listed = world.identity.sessions(&mut world.read(person.home).await, &session).await.unwrap();
        assert_eq!(listed.len(), 3);
        assert_eq!(
            listed.iter().filter(|listed| listed.is_current).map(|listed| listed.id).collect::<Vec<_>>(),
            [one.id]
        );
        let mut tx = world.write(person.home).await;
        assert_eq!(world.identity.end_other_sessions(&mut tx, &session).await.unwrap(), 2);
        commit(tx).await;
        assert!(world.is_live(&one.token).await);
        assert!(!world.is_live(&two.token).await && !world.is_live(&first.token).await);
        let listed = world.identity.sessions(&mut world.read(person.home).await, &session).await.unwrap();
        assert_eq!(listed.len(), 1);
    }
}

#[tokio::test]
async fn an_ended_device_is_signed_out_everywhere_and_no_longer_known() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let other = world.sign_in(&person).await.session;
        person.device_token = other.device_token.clone();
        let again = world.sign_in(&person).await;
        assert!(!again.is_new_device);
        let session = world.session(&first.token).await;
        let devices = world.identity.devices(&mut world.read(person.home).await, &session).await.unwrap();
        let summary: Vec<_> =
            devices.iter().map(|device| (device.id, device.sessions, device.is_current)).collect();
        assert_eq!(summary, [(other.device, 2, false), (first.device, 1, true)]);

        let mut tx = world.write(person.home).await;
        assert!(world.identity.end_device(&mut tx, &session, other.device).await.unwrap());
        commit(tx).await;
        assert!(!world.is_live(&other.token).await && !world.is_live(&again.session.token).await);
        let devices = world.identity.devices(&mut world.read(person.home).await, &session).await.unwrap();
        assert_eq!(devices.len(), 1);
        assert!(world.sign_in(&person).await.is_new_device);
    }
}

#[tokio::test]
async fn one_account_cannot_end_what_is_anothers() {
    for world in worlds().await {
        let (ada, adas) = world.sign_up("ada").await;
        let (_, eves) = world.sign_up("eve").await;
        assert!(!end(&world, &eves.token, adas.id).await);
        let session = world.session(&eves.token).await;
        let mut tx = world.write(ada.home).await;
        assert!(world.identity.end_session(&mut tx, &session, adas.id).await.is_err());
        assert!(world.identity.end_device(&mut tx, &session, adas.device).await.is_err());
        drop(tx);
        assert!(world.is_live(&adas.token).await);
    }
}

#[tokio::test]
async fn a_token_is_nothing_in_another_home() {
    for world in worlds().await {
        let (_, adas) = world.sign_up("ada").await;
        let (eve, _) = world.sign_up("eve").await;
        let moved = world.identity.authenticate(&mut world.read(eve.home).await, &adas.token).await;
        assert!(matches!(moved, Err(SessionError::Failed(_))));
    }
}

#[tokio::test]
async fn step_up_makes_the_session_fresh_and_gives_it_another_token() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        world.wait(11 * MINUTE);
        let stale = world.session(&first.token).await;
        assert!(!stale.is_fresh(world.now()));
        let refused = world.identity.delete_start(&mut world.read(person.home).await, &stale).await;
        assert!(matches!(refused, Err(ChangeError::StepUpRequired)));

        let stepped = world.step_up(&person, &first.token).await.unwrap();
        assert_eq!(stepped.method.id, person.method);
        assert!(
            matches!(world.authenticate(&first.token).await, Err(SessionError::Unknown)),
            "the old token is nothing"
        );
        let fresh = world.session(&stepped.token).await;
        assert!(fresh.is_fresh(world.now()) && !fresh.is_fresh(stepped.fresh_until));
        assert_eq!(
            (fresh.id(), fresh.expires_at()),
            (stale.id(), stale.expires_at()),
            "it does not live longer"
        );
        let mut view = world.read(person.home).await;
        let half = world.identity.server_half(&mut view, &fresh).await.unwrap();
        assert_eq!(half, first.server_half, "the device's key stays");
        world.identity.delete_start(&mut view, &fresh).await.unwrap();
    }
}

#[tokio::test]
async fn step_up_takes_both_proofs_of_the_same_session() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let second = world.sign_in(&person).await.session;
        let (state, proof) = world.stepup_prove(&person, &first.token).await;
        let others = world.stepup_finish(&person, &second.token, &state, &proof, person.backup_code(0)).await;
        assert!(matches!(others, Err(SigninError::InvalidCredentials)), "another session's state");
        let used = person.totp().code_at(world.now());
        let replayed = world
            .stepup_finish(&person, &first.token, &state, &proof, identity::SecondFactor::Totp(used))
            .await;
        assert!(matches!(replayed, Err(SigninError::InvalidCredentials)), "a code that signed in");
        let stepped =
            world.stepup_finish(&person, &first.token, &state, &proof, person.backup_code(0)).await.unwrap();
        let again = world.stepup_finish(&person, &stepped.token, &state, &proof, person.backup_code(1)).await;
        assert!(matches!(again, Err(SigninError::InvalidCredentials)), "the state was used");
    }
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_does_not_step_up() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let second = world.sign_in(&person).await.session;
        let (state, proof) = world.stepup_prove(&person, &second.token).await;
        let session = world.session(&second.token).await;
        let state = world.identity.stepup_state(world.now(), &session, &state).unwrap();
        let proven = world.identity.signin_verify(world.now(), state, &proof).unwrap();
        end(&world, &first.token, second.id).await;
        let mut tx = world.write(person.home).await;
        let stepped = world
            .identity
            .stepup_finish(&mut tx, &session, &proven, &person.backup_code(0), &person.email_key)
            .await;
        assert!(matches!(stepped, Err(SigninError::InvalidCredentials)));
    }
}

#[tokio::test]
async fn an_access_tokens_session_may_not_change_the_account() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let mut view = world.read(person.home).await;
        let by_id = world.identity.session_by_id(&mut view, first.id).await.unwrap();
        assert_eq!(by_id.account(), person.account);
        let refused = world.identity.delete_start(&mut view, &by_id).await;
        assert!(matches!(refused, Err(ChangeError::StepUpRequired)));
    }
}
