// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Replacing the second factor and its backup codes.

use identity::{ChangeError, SecondFactor, SessionToken};
use keyring::{BackupCode, SystemRng};

use crate::world::{MINUTE, Person, World, commit, worlds};

async fn replace_codes(world: &World, person: &mut Person, token: &SessionToken) {
    let session = world.session(token).await;
    person.codes = BackupCode::generate_all(&mut SystemRng);
    let lookups: Vec<_> = person.codes.iter().map(|code| code.lookup(&person.account.into())).collect();
    let mut tx = world.write(person.home).await;
    let letter = world.identity.replace_backup_codes(&mut tx, &session, &lookups).await.unwrap();
    commit(tx).await;
    assert_eq!((letter.kind(), letter.to()), ("backup_codes_replaced", &person.email));
}

#[tokio::test]
async fn new_backup_codes_take_the_place_of_the_old() {
    for world in worlds().await {
        let (mut person, session) = world.sign_up("ada").await;
        let old: Vec<_> = person.codes.iter().map(|code| code.lookup(&person.account.into())).collect();
        replace_codes(&world, &mut person, &session.token).await;
        assert!(world.try_sign_in(&person, SecondFactor::BackupCode(old[0].clone())).await.is_err());
        assert_eq!(world.try_sign_in(&person, person.backup_code(0)).await.unwrap().backup_codes_left, 9);
    }
}

#[tokio::test]
async fn too_few_or_equal_backup_codes_are_refused() {
    for world in worlds().await {
        let (person, session) = world.sign_up("ada").await;
        let session = world.session(&session.token).await;
        let one = person.codes[0].lookup(&person.account.into());
        for codes in [vec![one.clone()], vec![one.clone(); 10], vec![]] {
            let mut tx = world.write(person.home).await;
            let refused = world.identity.replace_backup_codes(&mut tx, &session, &codes).await;
            assert!(matches!(refused, Err(ChangeError::Field("backup_codes"))));
        }
        world.try_sign_in(&person, person.backup_code(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_new_authenticator_takes_over_with_its_first_code() {
    for world in worlds().await {
        let (mut person, session) = world.sign_up("ada").await;
        let session = world.session(&session.token).await;
        let started = world.identity.totp_start(&mut world.read(person.home).await, &session).await.unwrap();
        assert!(started.uri.contains(&*started.secret.base32()));
        world.sign_in(&person).await;

        let wrong = person.totp().code_at(world.now());
        let mut tx = world.write(person.home).await;
        let refused = world.identity.totp_confirm(&mut tx, &session, &started.state, &wrong).await;
        assert!(matches!(refused, Err(ChangeError::WrongCode)));
        drop(tx);
        let code = started.secret.code_at(world.now());
        let mut tx = world.write(person.home).await;
        let letter = world.identity.totp_confirm(&mut tx, &session, &started.state, &code).await.unwrap();
        commit(tx).await;
        assert_eq!((letter.kind(), letter.to()), ("second_factor_replaced", &person.email));

        let old = world.next_code(&person);
        assert!(world.try_sign_in(&person, old).await.is_err(), "the old app is worth nothing");
        person.totp = Some(started.secret);
        assert!(
            world.try_sign_in(&person, SecondFactor::Totp(code)).await.is_err(),
            "the confirming code was used"
        );
        world.sign_in(&person).await;
    }
}

#[tokio::test]
async fn a_waiting_authenticator_serves_its_session_once_and_in_time() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let second = world.sign_in(&person).await.session;
        let (one, two) = (world.session(&first.token).await, world.session(&second.token).await);
        let started = world.identity.totp_start(&mut world.read(person.home).await, &one).await.unwrap();
        let code = started.secret.code_at(world.now());
        let mut tx = world.write(person.home).await;
        let others = world.identity.totp_confirm(&mut tx, &two, &started.state, &code).await;
        assert!(matches!(others, Err(ChangeError::Restart)), "another session's");
        world.identity.totp_confirm(&mut tx, &one, &started.state, &code).await.unwrap();
        commit(tx).await;
        let mut tx = world.write(person.home).await;
        let again = world.identity.totp_confirm(&mut tx, &one, &started.state, &code).await;
        assert!(matches!(again, Err(ChangeError::Restart)), "used");
        drop(tx);
        let started = world.identity.totp_start(&mut world.read(person.home).await, &one).await.unwrap();
        world.wait(15 * MINUTE);
        let code = started.secret.code_at(world.now());
        let mut tx = world.write(person.home).await;
        let late = world.identity.totp_confirm(&mut tx, &one, &started.state, &code).await;
        assert!(matches!(late, Err(ChangeError::Restart)), "late");
    }
}
