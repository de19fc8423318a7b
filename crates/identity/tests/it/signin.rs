// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in: what it takes, what it tells, and what cannot be used twice.

use identity::{DeviceToken, SecondFactor, Settings, SigninError};
use keyring::password::Login;
use keyring::{EmailKey, KdfParams, Password, SystemRng};
use store::{Record, TenantId};

use crate::world::{MINUTE, Person, World, public_key, settings, worlds, worlds_with};

fn is_refused<T>(result: Result<T, SigninError>) -> bool {
    matches!(result, Err(SigninError::InvalidCredentials))
}

#[tokio::test]
async fn password_and_code_open_a_session_and_the_master_key() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let signed_in = world.sign_in(&person).await;
        assert!(person.opens(&signed_in));
        assert_eq!((signed_in.account, signed_in.home), (person.account, person.home));
        let tag = person.tag(signed_in.method.id, &public_key(&signed_in.method));
        assert_eq!(tag.as_bytes(), signed_in.method.unlocking.as_ref().unwrap().tag.as_bytes());
        assert!(world.is_live(&signed_in.session.token).await && world.is_live(&first.token).await);
    }
}

#[tokio::test]
async fn a_new_device_is_told_by_mail_and_a_known_one_is_not() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let signed_in = world.sign_in(&person).await;
        let letter = signed_in.letter.unwrap();
        assert!(signed_in.is_new_device);
        assert_eq!((letter.kind(), letter.to()), ("new_device", &person.email));
        for told in
            ["laptop (Linux)", "192.0.2.0/24", &signed_in.session.id.to_string(), "2026-01-01 00:00 UTC"]
        {
            assert!(letter.text().contains(told), "{told} in {}", *letter.text());
        }
        person.device_token = first.device_token;
        let known = world.sign_in(&person).await;
        assert!(!known.is_new_device && known.letter.is_none() && known.session.device_token.is_none());
        assert_eq!(known.session.device, first.device);
    }
}

#[tokio::test]
async fn a_device_is_known_by_its_secret_not_by_its_id() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let (_, others) = world.sign_up("eve").await;
        let real = first.device_token.unwrap().expose();
        let theirs = others.device_token.unwrap().expose();
        // The real device's id, with another secret behind it.
        let forged = format!("{}{}", &real[..25], &theirs[25..]);
        for token in [forged.as_str(), theirs.as_str()] {
            person.device_token = Some(token.parse::<DeviceToken>().unwrap());
            let signed_in = world.sign_in(&person).await;
            assert!(signed_in.is_new_device && signed_in.session.device != first.device);
        }
    }
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_the_same() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        let stranger = Person::new("nobody");
        let (state, proof) = world.prove(&stranger, &stranger.password).await;
        assert!(is_refused(
            world.finish(&state, &proof, &person.signin_finish(world.next_code(&person))).await
        ));
        let (state, proof) = world.prove(&person, "wrong").await;
        assert!(is_refused(
            world.finish(&state, &proof, &person.signin_finish(world.next_code(&person))).await
        ));

        world.wait(30_000);
        let right = person.totp().code_at(world.now());
        let off_by_one = format!("{:06}", (right.parse::<u32>().unwrap() + 1) % 1_000_000);
        for code in ["", "abcdef", &off_by_one] {
            assert!(is_refused(world.try_sign_in(&person, SecondFactor::Totp(code.to_owned().into())).await));
        }
        let unknown_code = SecondFactor::BackupCode(stranger.codes[0].lookup(&person.account.into()));
        assert!(is_refused(world.try_sign_in(&person, unknown_code).await));

        let (state, proof) = world.prove(&person, &person.password).await;
        let mut finish = person.signin_finish(world.next_code(&person));
        finish.email_key = EmailKey::from_bytes([9; 32]);
        assert!(
            is_refused(world.finish(&state, &proof, &finish).await),
            "a thief cannot leave the notice out"
        );
        world.sign_in(&person).await;
    }
}

#[tokio::test]
async fn an_unknown_address_looks_like_a_known_one() {
    let slower = KdfParams::checked(32 * 1024, 2, 1).unwrap();
    for world in worlds_with(Settings { former_kdf: vec![slower], ..settings() }).await {
        let (ada, _) = world.sign_up("ada").await;
        let start = async |person: &Person| {
            let password = Password::new("x").unwrap();
            let (_, request) = Login::start(&password, &mut SystemRng).unwrap();
            let mut view = world.read(TenantId::PLATFORM).await;
            world.identity.signin_start(&mut view, &person.email.hash(), None, &request).await.unwrap()
        };
        let known = start(&ada).await;
        let mut parameters = Vec::new();
        for n in 0..16 {
            let stranger = Person::new(&format!("stranger{n}"));
            let (one, two) = (start(&stranger).await, start(&stranger).await);
            assert_eq!((one.email_salt, one.kdf), (two.email_salt, two.kdf), "the same each time");
            assert_ne!(one.opaque_response, two.opaque_response);
            assert_eq!(one.opaque_response.len(), known.opaque_response.len());
            assert_eq!(one.state.len(), known.state.len());
            parameters.push(one.kdf);
        }
        assert!(parameters.contains(&slower) && parameters.contains(&KdfParams::FLOOR));
    }
}

#[tokio::test]
async fn the_salt_of_an_address_does_not_tell_when_it_gets_an_account() {
    for world in worlds().await {
        let before = salt(&world, &Person::new("ada")).await;
        let (ada, _) = world.sign_up("ada").await;
        assert_eq!(salt(&world, &ada).await, before);
        assert_ne!(salt(&world, &Person::new("bea")).await, before);
    }
}

async fn salt(world: &World, person: &Person) -> keyring::EmailSalt {
    let password = Password::new("x").unwrap();
    let (_, request) = Login::start(&password, &mut SystemRng).unwrap();
    let mut view = world.read(TenantId::PLATFORM).await;
    let email = person.email.hash();
    let started = world.identity.signin_start(&mut view, &email, None, &request).await.unwrap();
    assert_eq!(started.email_salt, world.identity.email_salt(&email), "as it is told before a sign-up");
    started.email_salt
}

#[tokio::test]
async fn a_device_is_known_to_the_account_that_it_signed_in_to_and_to_no_other() {
    for world in worlds().await {
        let (ada, ada_session) = world.sign_up("ada").await;
        let (bea, bea_session) = world.sign_up("bea").await;
        let index = |person: &Person| *world.identity.blind_index(&person.email.hash()).as_bytes();
        let token = ada_session.device_token.clone().unwrap();
        assert_eq!(world.identity.known_device(&index(&ada), &token), Some(token.device()));
        assert_eq!(world.identity.known_device(&index(&bea), &token), None);
        // Its id is in lists, and is no proof; nor are the right bytes under another id.
        let forged = token.expose().replace(&token.expose()[10..20], "AAAAAAAAAA").parse().unwrap();
        assert_eq!(world.identity.known_device(&index(&ada), &forged), None);
        let another = bea_session.device_token.unwrap();
        let mixed = format!("{}{}", &token.expose()[..24], &another.expose()[24..]).parse().unwrap();
        assert_eq!(world.identity.known_device(&index(&ada), &mixed), None);
    }
}

#[tokio::test]
async fn a_step_of_the_authenticator_is_accepted_once_and_none_before_it() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        world.wait(30_000);
        let (before, code) =
            (person.totp().code_at(world.now() - 30_000), person.totp().code_at(world.now()));
        world.try_sign_in(&person, SecondFactor::Totp(code.clone())).await.unwrap();
        for used in [code, before] {
            assert!(is_refused(world.try_sign_in(&person, SecondFactor::Totp(used.clone())).await));
        }
        let world = world.restart().await;
        let code = person.totp().code_at(world.now());
        assert!(
            is_refused(world.try_sign_in(&person, SecondFactor::Totp(code)).await),
            "also after a restart"
        );
        world.sign_in(&person).await;
    }
}

#[tokio::test]
async fn a_backup_code_works_once() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        assert_eq!(world.try_sign_in(&person, person.backup_code(3)).await.unwrap().backup_codes_left, 9);
        assert!(is_refused(world.try_sign_in(&person, person.backup_code(3)).await));
        let world = world.restart().await;
        assert!(is_refused(world.try_sign_in(&person, person.backup_code(3)).await));
        world.try_sign_in(&person, person.backup_code(4)).await.unwrap();
    }
}

/// Two sign-ins that reach the home at the same time with the same second factor.
async fn race(world: &World, person: &Person, factor: impl Fn() -> SecondFactor) -> usize {
    let (one, two) =
        (world.prove(person, &person.password).await, world.prove(person, &person.password).await);
    let (finish_one, finish_two) = (person.signin_finish(factor()), person.signin_finish(factor()));
    let (one, two) =
        tokio::join!(world.finish(&one.0, &one.1, &finish_one), world.finish(&two.0, &two.1, &finish_two));
    usize::from(one.is_ok()) + usize::from(two.is_ok())
}

#[tokio::test]
async fn of_two_at_once_with_the_same_code_one_gets_in() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        assert_eq!(race(&world, &person, || person.backup_code(0)).await, 1, "{}", world.store.name);
        world.wait(30_000);
        let code = person.totp().code_at(world.now());
        assert_eq!(
            race(&world, &person, || SecondFactor::Totp(code.clone())).await,
            1,
            "{}",
            world.store.name
        );
    }
}

#[tokio::test]
async fn a_proof_of_the_password_serves_once_even_with_another_second_factor() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        let (state, proof) = world.prove(&person, &person.password).await;
        world.finish(&state, &proof, &person.signin_finish(person.backup_code(0))).await.unwrap();
        assert!(is_refused(world.finish(&state, &proof, &person.signin_finish(person.backup_code(1))).await));

        let (state, proof) = world.prove(&person, &person.password).await;
        let finish =
            (person.signin_finish(person.backup_code(2)), person.signin_finish(person.backup_code(3)));
        let (one, two) =
            tokio::join!(world.finish(&state, &proof, &finish.0), world.finish(&state, &proof, &finish.1));
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    }
}

#[tokio::test]
async fn a_failed_sign_in_uses_nothing_up() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        let (state, proof) = world.prove(&person, &person.password).await;
        let wrong = person.signin_finish(SecondFactor::Totp("000000".to_owned().into()));
        assert!(is_refused(world.finish(&state, &proof, &wrong).await));
        world.finish(&state, &proof, &person.signin_finish(person.backup_code(0))).await.unwrap();
    }
}

#[tokio::test]
async fn a_state_expires_and_belongs_to_one_account() {
    for world in worlds().await {
        let (ada, _) = world.sign_up("ada").await;
        let (eve, _) = world.sign_up("eve").await;
        let (adas, adas_proof) = world.prove(&ada, &ada.password).await;
        let (eves, eves_proof) = world.prove(&eve, &eve.password).await;
        let factor = || eve.backup_code(0);
        assert!(is_refused(world.finish(&adas, &eves_proof, &eve.signin_finish(factor())).await));
        assert!(is_refused(world.finish(&eves, &adas_proof, &eve.signin_finish(factor())).await));
        assert!(is_refused(world.finish(&eves, &eves_proof, &eve.signin_finish(ada.backup_code(0))).await));
        let mut altered = eves.clone().into_bytes();
        altered[60] ^= 1;
        let altered = String::from_utf8_lossy(&altered).into_owned();
        assert!(is_refused(world.finish(&altered, &eves_proof, &eve.signin_finish(factor())).await));
        world.wait(2 * MINUTE);
        assert!(is_refused(world.finish(&eves, &eves_proof, &eve.signin_finish(factor())).await));
        world.try_sign_in(&eve, factor()).await.unwrap();
    }
}

#[tokio::test]
async fn a_state_for_signing_in_does_not_step_up_nor_the_other_way_round() {
    for world in worlds().await {
        let (person, session) = world.sign_up("ada").await;
        let (signin, signin_proof) = world.prove(&person, &person.password).await;
        let (stepup, stepup_proof) = world.stepup_prove(&person, &session.token).await;
        assert!(is_refused(
            world.finish(&stepup, &stepup_proof, &person.signin_finish(person.backup_code(0))).await
        ));
        let stepped =
            world.stepup_finish(&person, &session.token, &signin, &signin_proof, person.backup_code(0)).await;
        assert!(is_refused(stepped));
    }
}

#[tokio::test]
async fn an_operation_in_the_wrong_tenant_does_nothing() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        let (_, others) = world.sign_up("eve").await;
        let (state, proof) = world.prove(&person, &person.password).await;
        let state = world.identity.signin_state(world.now(), &state).unwrap();
        let proven = world.identity.signin_verify(world.now(), state, &proof).unwrap();
        let mut tx = world.write(others.token.home()).await;
        let finish = person.signin_finish(person.backup_code(0));
        let refused = world.identity.signin_finish(&mut tx, &proven, &finish, &crate::world::here()).await;
        assert!(matches!(refused, Err(SigninError::Failed(_))));
        tx.commit(Record::about("test")).await.unwrap();
        assert!(world.is_live(&others.token).await);
    }
}
