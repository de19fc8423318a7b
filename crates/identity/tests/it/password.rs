// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changing the password: nothing of the old one is left, and a crash at any step does no harm.

use identity::{
    AuthenticatedSession, ChangeError, PasswordFinish, PasswordStarted, SWITCH_WITHIN_MS, SessionError,
};
use keyring::password::Registration;
use keyring::{Password, SystemRng};
use store::TenantId;

use crate::world::{MINUTE, Person, World, commit, worlds};

struct Change {
    started: PasswordStarted,
    finish: PasswordFinish,
    /// The person with the new password.
    after: Person,
}

async fn start(world: &World, person: &Person, session: &AuthenticatedSession, new: &str) -> Change {
    let (registration, request) = Registration::start(&Password::new(new).unwrap(), &mut SystemRng).unwrap();
    let mut directory = world.read(TenantId::PLATFORM).await;
    let old = world.identity.password_named(&mut directory, session).await.unwrap();
    drop(directory);
    let mut view = world.read(person.home).await;
    let started = world.identity.password_start(&mut view, session, old, &request).await.unwrap();
    let finished = registration.finish(&started.opaque_response, started.kdf, &mut SystemRng).unwrap();
    let public_key = finished.secret.key_pair().public_key();
    let finish = PasswordFinish {
        opaque_record: finished.upload,
        sealed_master_key: person.master.seal_to(
            &public_key,
            &person.place(started.method, 1),
            &mut SystemRng,
        ),
        tag: person.tag(started.method, &public_key),
        public_key,
        master_key_version: 1,
    };
    let after = Person {
        email: person.email.clone(),
        password: new.into(),
        email_key: person.email_key.clone(),
        master: person.master.clone(),
        codes: person.codes.clone(),
        method: started.method,
        totp: person.totp.clone(),
        device_token: None,
        secret: Some(finished.secret),
        ..*person
    };
    Change { started, finish, after }
}

async fn change(
    world: &World,
    session: &AuthenticatedSession,
    change: &Change,
) -> Result<identity::Letter, ChangeError> {
    let mut tx = world.write(session.home()).await;
    let prepared =
        world.identity.password_prepare(&mut tx, session, &change.started.state, &change.finish).await?;
    tx.commit(store::Record::about("test")).await?;
    let mut tx = world.directory().await;
    world.identity.password_switch(&mut tx, &prepared).await?;
    tx.commit(store::Record::about("test")).await?;
    let mut tx = world.write(session.home()).await;
    let letter = world.identity.password_settle(&mut tx, session, prepared).await?;
    tx.commit(store::Record::about("test")).await?;
    Ok(letter)
}

/// What the worker does.
async fn sweep(world: &World) -> usize {
    let mut view = world.read(TenantId::PLATFORM).await;
    let unsettled = world.identity.unsettled_passwords(&mut view, 10).await.unwrap();
    drop(view);
    for one in &unsettled {
        let mut tx = world.write(one.home).await;
        world.identity.settle_password(&mut tx, one.method).await.unwrap();
        commit(tx).await;
        let mut tx = world.directory().await;
        world.identity.password_settled(&mut tx, one).await.unwrap();
        commit(tx).await;
    }
    unsettled.len()
}

async fn methods(world: &World, session: &AuthenticatedSession) -> Vec<identity::MethodId> {
    let mut view = world.read(session.home()).await;
    let methods = world.identity.login_methods(&mut view, session).await.unwrap();
    methods.into_iter().map(|method| method.id).collect()
}

#[tokio::test]
async fn the_new_password_signs_in_and_nothing_of_the_old_is_left() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let other = world.sign_in(&person).await.session;
        let session = world.session(&first.token).await;
        // An exchange with the old password that is under way.
        let (state, proof) = world.prove(&person, &person.password).await;

        let changed = start(&world, &person, &session, "battery staple").await;
        let letter = change(&world, &session, &changed).await.unwrap();
        assert_eq!((letter.kind(), letter.to()), ("password_changed", &person.email));
        assert!(world.is_live(&first.token).await, "the asking session lives on");
        assert!(matches!(world.authenticate(&other.token).await, Err(SessionError::Ended)));
        assert!(world.finish(&state, &proof, &person.signin_finish(person.backup_code(0))).await.is_err());
        assert!(world.try_sign_in(&person, person.backup_code(1)).await.is_err());
        let signed_in = world.sign_in(&changed.after).await;
        assert!(changed.after.opens(&signed_in));
        assert_eq!(methods(&world, &session).await, [changed.after.method]);

        let world = world.restart().await;
        assert!(!world.is_live(&other.token).await, "also after a restart");
        assert!(world.try_sign_in(&person, person.backup_code(1)).await.is_err());
        assert!(world.is_live(&first.token).await);
        world.step_up(&changed.after, &first.token).await.unwrap();
    }
}

#[tokio::test]
async fn a_crash_before_the_switch_leaves_the_old_password_and_a_method_that_is_swept_later() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let changed = start(&world, &person, &session, "battery staple").await;
        let mut tx = world.write(person.home).await;
        world
            .identity
            .password_prepare(&mut tx, &session, &changed.started.state, &changed.finish)
            .await
            .unwrap();
        commit(tx).await;

        let world = world.restart().await;
        assert!(person.opens(&world.sign_in(&person).await));
        assert!(world.try_sign_in(&changed.after, person.backup_code(0)).await.is_err());
        let again = start(&world, &person, &session, "third password").await;
        change(&world, &session, &again).await.unwrap();
        assert_eq!(methods(&world, &session).await.len(), 2);
        assert_eq!(sweep(&world).await, 0, "too early");
        world.wait(20 * MINUTE);
        assert_eq!(sweep(&world).await, 1);
        assert_eq!(methods(&world, &session).await, [again.after.method]);
        assert_eq!(sweep(&world).await, 0);
        assert!(world.is_live(&first.token).await);
    }
}

#[tokio::test]
async fn a_crash_after_the_switch_leaves_the_new_password_and_the_sweep_takes_the_rest_away() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let changed = start(&world, &person, &session, "battery staple").await;
        let mut tx = world.write(person.home).await;
        let prepared = world
            .identity
            .password_prepare(&mut tx, &session, &changed.started.state, &changed.finish)
            .await
            .unwrap();
        commit(tx).await;
        let mut tx = world.directory().await;
        world.identity.password_switch(&mut tx, &prepared).await.unwrap();
        commit(tx).await;

        let world = world.restart().await;
        assert!(world.try_sign_in(&person, person.backup_code(0)).await.is_err());
        let signed_in = world.sign_in(&changed.after).await;
        assert!(changed.after.opens(&signed_in));
        world.wait(20 * MINUTE);
        assert_eq!(sweep(&world).await, 1);
        assert!(!world.is_live(&first.token).await, "a session of the old password");
        assert!(world.is_live(&signed_in.session.token).await);
        let session = world.session(&signed_in.session.token).await;
        assert_eq!(methods(&world, &session).await, [changed.after.method]);
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins_and_the_account_stays_whole() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let one = start(&world, &person, &session, "battery staple").await;
        let two = start(&world, &person, &session, "another one").await;
        let (a, b) = tokio::join!(change(&world, &session, &one), change(&world, &session, &two));
        assert!(a.is_ok() != b.is_ok(), "{}: {a:?} {b:?}", world.store.name);
        let winner = if a.is_ok() { &one.after } else { &two.after };
        assert!(winner.opens(&world.sign_in(winner).await));
    }
}

#[tokio::test]
async fn a_switch_that_comes_late_does_not_happen() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let changed = start(&world, &person, &session, "battery staple").await;
        let mut tx = world.write(person.home).await;
        let prepared = world
            .identity
            .password_prepare(&mut tx, &session, &changed.started.state, &changed.finish)
            .await
            .unwrap();
        commit(tx).await;
        let mut tx = world.write(person.home).await;
        assert_eq!(
            world.identity.settle_password(&mut tx, person.method).await.unwrap(),
            0,
            "it is still waiting"
        );
        commit(tx).await;
        world.wait(SWITCH_WITHIN_MS);
        let mut tx = world.directory().await;
        let late = world.identity.password_switch(&mut tx, &prepared).await;
        assert!(matches!(late, Err(ChangeError::Restart)));
        drop(tx);
        world.wait(15 * MINUTE);
        let mut tx = world.write(person.home).await;
        assert_eq!(world.identity.settle_password(&mut tx, person.method).await.unwrap(), 1);
        commit(tx).await;
        assert!(person.opens(&world.sign_in(&person).await));
    }
}

#[tokio::test]
async fn a_change_needs_a_fresh_session_its_own_state_and_the_current_master_key() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let second = world.sign_in(&person).await.session;
        let (one, two) = (world.session(&first.token).await, world.session(&second.token).await);
        let mut changed = start(&world, &person, &one, "battery staple").await;
        assert!(
            matches!(change(&world, &two, &changed).await, Err(ChangeError::Restart)),
            "another session's state"
        );
        changed.finish.master_key_version = 2;
        assert!(matches!(change(&world, &one, &changed).await, Err(ChangeError::Conflict { current: 1 })));
        changed.finish.master_key_version = 1;
        world.wait(11 * MINUTE);
        assert!(matches!(change(&world, &one, &changed).await, Err(ChangeError::StepUpRequired)));
        let (_, request) = Registration::start(&Password::new("x").unwrap(), &mut SystemRng).unwrap();
        let stale = world
            .identity
            .password_start(&mut world.read(person.home).await, &one, person.method, &request)
            .await;
        assert!(matches!(stale, Err(ChangeError::StepUpRequired)));
        assert!(person.opens(&world.sign_in(&person).await));
    }
}

#[tokio::test]
async fn a_state_changes_the_password_once() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let changed = start(&world, &person, &session, "battery staple").await;
        change(&world, &session, &changed).await.unwrap();
        let session = world.session(&first.token).await;
        assert!(matches!(change(&world, &session, &changed).await, Err(ChangeError::Restart)));
        world.sign_in(&changed.after).await;
    }
}
