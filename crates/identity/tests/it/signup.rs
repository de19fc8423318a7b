// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up: what an account gets, what a crash leaves, what a stranger learns.

use identity::{Settings, SignupError, SignupFinish};
use keyring::AccountNumber;
use store::TenantId;

use crate::world::{MINUTE, Person, World, commit, here, settings, worlds, worlds_with};

fn with_mail() -> Settings {
    Settings { mail_required: true, ..settings() }
}

fn code_in(letter: &identity::Letter) -> String {
    letter
        .text()
        .split_whitespace()
        .find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn whoever_signs_up_is_signed_in_with_everything_an_account_needs() {
    for world in worlds().await {
        let mut person = Person::new("ada");
        let (started, registration) = world.signup_start(&person).await;
        assert!(!started.needs_code && started.letter.is_none());
        let finish = person.signup_finish(&started, registration, None);
        let signed_up = world.signup_finish(&started.state, finish).await.unwrap();
        assert!(AccountNumber::is_canonical(signed_up.number.as_str()));
        let totp = signed_up.totp.as_ref().unwrap();
        assert!(totp.uri.starts_with("otpauth://totp/Bailiwick:"));
        assert!(totp.uri.contains(&*totp.secret.base32()));

        let session = world.session(&signed_up.session.token).await;
        assert_eq!(
            (session.account(), session.home(), session.id()),
            (person.account, person.home, signed_up.session.id)
        );
        assert!(session.is_fresh(world.now()));
        let mut view = world.read(person.home).await;
        let half = world.identity.server_half(&mut view, &session).await.unwrap();
        assert_eq!(half, signed_up.session.server_half);
        let account = world.identity.account(&mut view, &session).await.unwrap();
        assert_eq!(
            (account.number, account.master_key_version, account.backup_codes_left),
            (signed_up.number, 1, 10)
        );
    }
}

#[tokio::test]
async fn where_mail_is_required_only_the_code_from_the_mail_finishes() {
    for world in worlds_with(with_mail()).await {
        let mut person = Person::new("ada");
        let (started, registration) = world.signup_start(&person).await;
        let code = code_in(started.letter.as_ref().unwrap());
        assert_eq!(started.letter.as_ref().unwrap().to(), &person.email);
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for bad in [None, Some(""), Some(wrong)] {
            let (_, again) = person.signup_request();
            let finish = person.signup_finish(&started, again, bad);
            assert!(matches!(world.signup_finish(&started.state, finish).await, Err(SignupError::WrongCode)));
        }
        let finish = person.signup_finish(&started, registration, Some(&format!(" {code}\n")));
        world.signup_finish(&started.state, finish).await.unwrap();
    }
}

#[tokio::test]
async fn where_mail_is_required_nobody_learns_that_an_address_is_taken_but_its_owner() {
    for world in worlds_with(with_mail()).await {
        let mut ada = Person::new("ada");
        let (started, registration) = world.signup_start(&ada).await;
        let code = code_in(started.letter.as_ref().unwrap());
        let finish = ada.signup_finish(&started, registration, Some(&code));
        world.signup_finish(&started.state, finish).await.unwrap();

        let mut mallory = Person::new("ada");
        let (taken, registration) = world.signup_start(&mallory).await;
        let (free, _) = world.signup_start(&Person::new("eve")).await;
        assert_eq!(taken.state.len(), free.state.len());
        assert_eq!((taken.opaque_response.len(), taken.needs_code), (free.opaque_response.len(), true));
        let letter = taken.letter.as_ref().unwrap();
        assert_eq!((letter.kind(), letter.to()), ("already_registered", &ada.email));
        assert!(!letter.text().split_whitespace().any(|word| word.len() == 6 && word.parse::<u32>().is_ok()));
        let finish = mallory.signup_finish(&taken, registration, Some(&code));
        assert!(matches!(world.signup_finish(&taken.state, finish).await, Err(SignupError::WrongCode)));
    }
}

#[tokio::test]
async fn an_address_has_one_account() {
    for world in worlds().await {
        let mut late = Person::new("ada");
        let (started, registration) = world.signup_start(&late).await;
        world.sign_up("ada").await;
        let finish = late.signup_finish(&started, registration, None);
        assert!(matches!(world.signup_finish(&started.state, finish).await, Err(SignupError::AccountExists)));
    }
}

#[tokio::test]
async fn a_finished_sign_up_cannot_be_replayed_to_learn_its_secrets() {
    for world in worlds().await {
        let mut person = Person::new("ada");
        let (started, registration) = world.signup_start(&person).await;
        let finish = person.signup_finish(&started, registration, None);
        let replay = finish.clone();
        world.signup_finish(&started.state, finish).await.unwrap();
        assert!(matches!(world.signup_finish(&started.state, replay).await, Err(SignupError::AccountExists)));
    }
}

#[tokio::test]
async fn a_crash_before_the_home_is_undone_and_the_address_is_free_again() {
    for world in worlds().await {
        let mut person = Person::new("ada");
        let (started, registration) = world.signup_start(&person).await;
        let finish = person.signup_finish(&started, registration, None);
        let state = world.identity.signup_state(world.now(), &started.state).unwrap();
        let signup = world.identity.signup_verify(state, finish).unwrap();
        let mut tx = world.directory().await;
        world.identity.signup_reserve(&mut tx, signup).await.unwrap();
        commit(tx).await;

        let unfinished = || async {
            world.identity.unfinished_signups(&mut world.read(TenantId::PLATFORM).await, 10).await.unwrap()
        };
        assert_eq!(unfinished().await, [], "it may still be under way");
        world.wait(20 * MINUTE);
        let left = unfinished().await;
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].account, left[0].home), (person.account, person.home));
        let mut tx = world.directory().await;
        assert!(world.identity.undo_signup(&mut tx, person.account).await.unwrap());
        commit(tx).await;
        assert_eq!(unfinished().await, []);
        world.sign_up("ada").await;
    }
}

/// Stops after the home's commit: the directory still says 'founding'.
async fn crash_after_the_home(world: &World, state: &str, finish: &SignupFinish) {
    let state = world.identity.signup_state(world.now(), state).unwrap();
    let signup = world.identity.signup_verify(state, finish.clone()).unwrap();
    let mut tx = world.directory().await;
    let reserved = world.identity.signup_reserve(&mut tx, signup).await.unwrap();
    commit(tx).await;
    world.store.door.create_tenant(reserved.home()).await.unwrap();
    let mut tx = world.write(reserved.home()).await;
    world.identity.signup_found(&mut tx, &reserved, &here()).await.unwrap();
    commit(tx).await;
}

#[tokio::test]
async fn after_a_crash_behind_the_home_the_same_request_finishes_and_no_other_does() {
    for world in worlds().await {
        let mut person = Person::new("ada");
        let (started, registration) = world.signup_start(&person).await;
        let finish = person.signup_finish(&started, registration, None);
        crash_after_the_home(&world, &started.state, &finish).await;
        assert!(world.try_sign_in(&person, person.backup_code(0)).await.is_err(), "not live yet");

        let mut other = finish.clone();
        let pair = person.secret.as_ref().unwrap().key_pair();
        other.sealed_master_key = person.master.seal_to(
            &pair.public_key(),
            &person.place(person.method, 1),
            &mut keyring::SystemRng,
        );
        assert!(matches!(world.signup_finish(&started.state, other).await, Err(SignupError::AccountExists)));

        let world = world.restart().await;
        let signed_up = world.signup_finish(&started.state, finish).await.unwrap();
        person.totp = signed_up.totp.map(|totp| totp.secret);
        assert!(world.is_live(&signed_up.session.token).await);
        world.sign_in(&person).await;
    }
}

#[tokio::test]
async fn after_a_crash_behind_the_home_the_sweep_finishes() {
    for world in worlds().await {
        let mut person = Person::new("ada");
        let (started, registration) = world.signup_start(&person).await;
        let finish = person.signup_finish(&started, registration, None);
        crash_after_the_home(&world, &started.state, &finish).await;
        world.wait(20 * MINUTE);
        let left =
            world.identity.unfinished_signups(&mut world.read(TenantId::PLATFORM).await, 10).await.unwrap();
        assert!(
            world.identity.is_founded(&mut world.read(left[0].home).await, left[0].account).await.unwrap()
        );
        let mut tx = world.directory().await;
        assert!(world.identity.finish_signup(&mut tx, left[0].account).await.unwrap());
        assert!(!world.identity.undo_signup(&mut tx, left[0].account).await.unwrap(), "a live account stays");
        commit(tx).await;
        let signed_in = world.try_sign_in(&person, person.backup_code(0)).await.unwrap();
        assert!(person.opens(&signed_in));
    }
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    for world in worlds().await {
        let ada = Person::new("ada");
        let (mut request, _) = ada.signup_request();
        request.email_hash = Person::new("eve").email.hash();
        let started = world.identity.signup_start(&mut world.read(TenantId::PLATFORM).await, &request).await;
        assert!(matches!(started, Err(SignupError::Field("sealed_email"))));
        let (mut request, _) = ada.signup_request();
        request.opaque_request.pop();
        let started = world.identity.signup_start(&mut world.read(TenantId::PLATFORM).await, &request).await;
        assert!(matches!(started, Err(SignupError::Field("opaque_request"))));

        let mut ada = Person::new("ada");
        let (started, registration) = world.signup_start(&ada).await;
        let mut finish = ada.signup_finish(&started, registration, None);
        finish.backup_codes[3] = finish.backup_codes[4].clone();
        assert!(matches!(
            world.signup_finish(&started.state, finish).await,
            Err(SignupError::Field("backup_codes"))
        ));
    }
}

#[tokio::test]
async fn a_state_expires_and_serves_its_own_purpose_only() {
    for world in worlds().await {
        let (ada, _) = world.sign_up("ada").await;
        let (signin_state, _) = world.prove(&ada, &ada.password).await;
        assert!(matches!(world.identity.signup_state(world.now(), &signin_state), Err(SignupError::Restart)));
        let (started, _) = world.signup_start(&Person::new("eve")).await;
        assert!(world.identity.signin_state(world.now(), &started.state).is_err());
        assert!(world.identity.signup_state(world.now() + 15 * MINUTE - 1, &started.state).is_ok());
        assert!(matches!(
            world.identity.signup_state(world.now() + 15 * MINUTE, &started.state),
            Err(SignupError::Restart)
        ));
    }
}
