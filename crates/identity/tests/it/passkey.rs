// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys: what adds one, what one opens, and what does neither.

use identity::{
    Arrival, Assertion, CeremonyError, ChangeError, CopiedPasskey, Identity, MethodId, MethodLabel,
    MethodLookup, NewMethod, NewSession, PasskeyError, Registration, RelyingParty, SessionToken, Settings,
    SignedIn, SigninError, SteppedUp, Unlocking,
};
use keyring::passkey::PRF_INPUT;
use keyring::{MethodKind, MethodSecret, SystemRng, UserHandle};
use store::{Record, TenantId};

use crate::authenticator::{Algorithm, Authenticator, Made, Shown};
use crate::world::{DAY, MINUTE, Person, World, commit, device, here, settings, worlds_with};

const ORIGIN: &str = "https://id.example.org";
const DOMAIN: &str = "example.org";

async fn worlds() -> Vec<World> {
    let relying_party = RelyingParty::new(DOMAIN, [ORIGIN.to_owned()]).unwrap();
    worlds_with(Settings { relying_party: Some(relying_party), ..settings() }).await
}

/// A passkey that was asked for and made, and not sent yet.
struct Asked {
    state: String,
    method: MethodId,
    made: Made,
}

async fn asked(world: &World, token: &SessionToken, authenticator: &Authenticator) -> Asked {
    let session = world.session(token).await;
    let mut view = world.read(session.home()).await;
    let started = world.identity.passkey_add_start(&mut view, &session).await.unwrap();
    let challenge = started.challenge;
    let made = authenticator
        .create(
            challenge.relying_party.id(),
            &challenge.challenge,
            started.user_handle.expose(),
            &challenge.credentials,
            Some(PRF_INPUT),
        )
        .expect("an authenticator that has none of the account's passkeys");
    Asked { state: challenge.state, method: started.method, made }
}

fn registration(made: &Made) -> Registration {
    Registration {
        client_data_json: made.client_data_json.clone(),
        attestation_object: made.attestation_object.clone(),
    }
}

/// The finish, as the server calls it.
async fn finish_adding(
    world: &World,
    person: &Person,
    token: &SessionToken,
    asked: &Asked,
) -> Result<(), PasskeyError> {
    let session = world.session(token).await;
    let passkey =
        world.identity.passkey_add_verify(world.now(), &session, &asked.state, &registration(&asked.made))?;
    let unlocking = asked.made.prf.as_ref().map(|prf| unlocking(person, asked.method, prf));
    let new = NewMethod { id: passkey.method(), label: MethodLabel::new("phone").unwrap(), unlocking };
    let mut tx = world.directory().await;
    let reserved = world.identity.reserve_lookup(&mut tx, &session, new.id, passkey.lookup()).await?;
    commit(tx).await;
    let mut tx = world.write(session.home()).await;
    let letter = world.identity.add_passkey(&mut tx, &session, &passkey, &new, &reserved).await?;
    assert_eq!(letter.kind(), "method_added");
    commit(tx).await;
    Ok(())
}

fn unlocking(person: &Person, method: MethodId, prf: &[u8]) -> Unlocking {
    let public_key = MethodSecret::of_passkey(prf).unwrap().key_pair().public_key();
    let id = keyring::MethodId::from_bytes(*method.as_bytes());
    Unlocking {
        sealed_master_key: person.master.seal_to(&public_key, &person.place(method, 1), &mut SystemRng),
        tag: person.master.authenticate_method(&person.account.into(), &id, MethodKind::Passkey, &public_key),
        public_key,
        master_key_version: 1,
        slow_hash: None,
    }
}

async fn add(
    world: &World,
    person: &Person,
    token: &SessionToken,
    authenticator: &Authenticator,
) -> MethodId {
    let asked = asked(world, token, authenticator).await;
    finish_adding(world, person, token, &asked).await.unwrap();
    asked.method
}

/// Somebody who has just signed up and added a passkey.
async fn with_passkey(world: &World) -> (Person, NewSession, Authenticator) {
    let (ada, session) = world.sign_up("ada").await;
    let authenticator = Authenticator::on(ORIGIN);
    add(world, &ada, &session.token, &authenticator).await;
    (ada, session, authenticator)
}

fn start(identity: &Identity, now: i64) -> (String, [u8; 32]) {
    let started = identity.passkey_signin_start(now).unwrap();
    (started.state, started.challenge)
}

fn shown(authenticator: &Authenticator, challenge: &[u8]) -> Shown {
    authenticator.get(DOMAIN, challenge, &[], Some(PRF_INPUT)).expect("a passkey")
}

fn assertion(shown: &Shown) -> Assertion {
    Assertion {
        credential_id: shown.id.clone(),
        client_data_json: shown.client_data_json.clone(),
        authenticator_data: shown.authenticator_data.clone(),
        signature: shown.signature.clone(),
    }
}

async fn finish(world: &World, state: &str, shown: &Shown) -> Result<SignedIn, SigninError> {
    let handle = shown.user_handle.as_slice().try_into().unwrap();
    let lookup = MethodLookup::new(MethodKind::Passkey, UserHandle::from_bytes(handle).lookup());
    let state = world.identity.passkey_signin_state(world.now(), state)?;
    let proof =
        world.identity.passkey_proof(&mut world.read(TenantId::PLATFORM).await, state, &lookup).await?;
    let mut tx = world.write(proof.home()).await;
    let arrival = Arrival { device: device("phone"), device_token: None, place: here() };
    let signed_in =
        world.identity.passkey_signin(&mut tx, &proof, &lookup, &assertion(shown), &arrival).await?;
    tx.commit(Record::about("test")).await?;
    Ok(signed_in)
}

async fn sign_in(world: &World, authenticator: &Authenticator) -> Result<SignedIn, SigninError> {
    let (state, challenge) = start(&world.identity, world.now());
    finish(world, &state, &shown(authenticator, &challenge)).await
}

#[track_caller]
fn is_refused(result: Result<SignedIn, SigninError>) {
    assert!(matches!(result, Err(SigninError::InvalidCredentials)), "{result:?}");
}

async fn step_up(
    world: &World,
    token: &SessionToken,
    authenticator: &Authenticator,
) -> Result<SteppedUp, SigninError> {
    let session = world.session(token).await;
    let mut view = world.read(session.home()).await;
    let started = world.identity.passkey_stepup_start(&mut view, &session).await.unwrap();
    drop(view);
    let shown = authenticator
        .get(DOMAIN, &started.challenge, &started.credentials, None)
        .ok_or(SigninError::InvalidCredentials)?;
    finish_stepup(world, token, &started.state, &shown).await
}

async fn finish_stepup(
    world: &World,
    token: &SessionToken,
    state: &str,
    shown: &Shown,
) -> Result<SteppedUp, SigninError> {
    let session = world.session(token).await;
    let state = world.identity.passkey_stepup_state(world.now(), &session, state)?;
    let mut tx = world.write(session.home()).await;
    let stepped = world.identity.passkey_stepup(&mut tx, &session, &state, &assertion(shown)).await?;
    tx.commit(Record::about("test")).await?;
    Ok(stepped)
}

#[tokio::test]
async fn a_passkey_signs_in_without_an_address_and_its_prf_opens_the_master_key() {
    for world in worlds().await {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let (ada, session) = world.sign_up(&format!("ada-{algorithm:?}")).await;
            let authenticator = Authenticator { algorithm, ..Authenticator::on(ORIGIN) };
            let method = add(&world, &ada, &session.token, &authenticator).await;

            let (state, challenge) = start(&world.identity, world.now());
            let shown = shown(&authenticator, &challenge);
            let signed_in = finish(&world, &state, &shown).await.unwrap();
            assert_eq!((signed_in.account, signed_in.method.id), (ada.account, method));
            assert_eq!(signed_in.letter.unwrap().kind(), "new_device");
            let (email, _) = signed_in.address.unwrap();
            assert_eq!(email, ada.email);

            let secret = MethodSecret::of_passkey(&shown.prf.unwrap()).unwrap();
            let unlocking = signed_in.method.unlocking.unwrap();
            let opened = unlocking.sealed_master_key.open(&secret.key_pair(), &ada.place(method, 1));
            assert_eq!(opened.unwrap(), ada.master);
            assert!(world.is_live(&signed_in.session.token).await);
        }
    }
}

#[tokio::test]
async fn a_passkey_without_prf_authenticates_and_does_not_unlock() {
    for world in worlds().await {
        let (ada, session) = world.sign_up("ada").await;
        let authenticator = Authenticator { has_prf: false, ..Authenticator::on(ORIGIN) };
        add(&world, &ada, &session.token, &authenticator).await;
        let signed_in = sign_in(&world, &authenticator).await.unwrap();
        assert!(signed_in.method.unlocking.is_none());
        assert!(world.is_live(&signed_in.session.token).await);
    }
}

#[tokio::test]
async fn an_account_has_several_passkeys_and_an_authenticator_one_of_them() {
    for world in worlds().await {
        let (ada, session, phone) = with_passkey(&world).await;
        let key = Authenticator { count: 0.into(), ..Authenticator::on(ORIGIN) };
        add(&world, &ada, &session.token, &key).await;
        for authenticator in [&phone, &key, &key, &phone] {
            assert_eq!(sign_in(&world, authenticator).await.unwrap().account, ada.account);
        }
        // What the server asks to be left out is what is there.
        let live = world.session(&session.token).await;
        let mut view = world.read(ada.home).await;
        let started = world.identity.passkey_add_start(&mut view, &live).await.unwrap();
        let mut left_out = started.challenge.credentials;
        let mut there = [phone.ids(), key.ids()].concat();
        left_out.sort();
        there.sort();
        assert_eq!(left_out, there);
    }
}

#[tokio::test]
async fn an_assertion_works_once() {
    for world in worlds().await {
        let (_ada, _session, _) = with_passkey(&world).await;
        // One that does not count, so that the counter is not what stops it.
        let (bea, session) = world.sign_up("bea").await;
        let key = Authenticator { count: 0.into(), ..Authenticator::on(ORIGIN) };
        add(&world, &bea, &session.token, &key).await;
        let (state, challenge) = start(&world.identity, world.now());
        let shown = shown(&key, &challenge);
        finish(&world, &state, &shown).await.unwrap();
        is_refused(finish(&world, &state, &shown).await);
        let world = world.restart().await;
        is_refused(finish(&world, &state, &shown).await);
    }
}

#[tokio::test]
async fn an_assertion_answers_its_own_challenge_and_in_time() {
    for world in worlds().await {
        let (_, _, phone) = with_passkey(&world).await;
        let (state, challenge) = start(&world.identity, world.now());
        let (other, _) = start(&world.identity, world.now());
        let answer = shown(&phone, &challenge);
        is_refused(finish(&world, &other, &answer).await);
        let last = if state.ends_with('A') { 'E' } else { 'A' };
        is_refused(finish(&world, &format!("{}{last}", &state[..state.len() - 1]), &answer).await);
        world.wait(2 * MINUTE);
        is_refused(finish(&world, &state, &answer).await);
    }
}

#[tokio::test]
async fn other_pages_other_domains_and_nobody_verified_are_refused() {
    for world in worlds().await {
        let (_, _, phone) = with_passkey(&world).await;
        for liar in [
            Authenticator { origin: "https://id.example.org.evil.net".into(), ..phone.copied() },
            Authenticator { origin: "http://id.example.org".into(), ..phone.copied() },
            Authenticator { rp_id: Some("evil.net".into()), ..phone.copied() },
            Authenticator { verifies_user: false, ..phone.copied() },
        ] {
            is_refused(sign_in(&world, &liar).await);
        }
        sign_in(&world, &phone).await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_whose_counter_is_behind_is_refused() {
    for world in worlds().await {
        let (_, _, phone) = with_passkey(&world).await;
        let copy = phone.copied();
        sign_in(&world, &phone).await.unwrap();
        is_a_copy(sign_in(&world, &copy).await);
        // Once refused it is not forgotten: the copy counts on, and has to pass the original.
        sign_in(&world, &phone).await.unwrap();
        is_a_copy(sign_in(&world, &copy).await);
        let stopped = Authenticator { count: 0.into(), ..phone.copied() };
        is_a_copy(sign_in(&world, &stopped).await);
    }
}

#[track_caller]
fn is_a_copy(result: Result<SignedIn, SigninError>) -> Box<CopiedPasskey> {
    let copied = match result {
        Err(SigninError::Copied(copied)) => Some(copied),
        _ => None,
    };
    copied.expect("a count that went back")
}

#[tokio::test]
async fn the_owner_is_told_of_a_copy_once_a_day_and_nobody_else_can_bring_that_about() {
    for world in worlds().await {
        let (ada, session, phone) = with_passkey(&world).await;
        let copy = phone.copied();
        let told = async |copied: &CopiedPasskey| {
            let mut tx = world.write(ada.home).await;
            let letter = world.identity.note_copied_passkey(&mut tx, copied, &here()).await.unwrap();
            commit(tx).await;
            letter
        };
        sign_in(&world, &phone).await.unwrap();
        let copied = is_a_copy(sign_in(&world, &copy).await);
        assert_eq!(copied.home(), ada.home);
        let letter = told(&copied).await.expect("the first time");
        assert_eq!((letter.kind(), letter.to()), ("passkey_copied", &ada.email));
        assert!(letter.text().contains("phone") && letter.text().contains("192.0.2"));
        assert!(told(&copied).await.is_none());
        world.wait(DAY - 1);
        assert!(told(&copied).await.is_none());
        world.wait(1);
        assert!(told(&copied).await.is_some());

        // A step-up with it is the same; who has only the name of the passkey and not its key is nothing.
        let behind = Authenticator { count: 0.into(), ..phone.copied() };
        let Err(SigninError::Copied(copied)) = step_up(&world, &session.token, &behind).await else {
            panic!("its count is behind");
        };
        assert_eq!(copied.home(), ada.home);
        let (state, challenge) = start(&world.identity, world.now());
        let mut forged = shown(&copy, &challenge);
        *forged.signature.last_mut().unwrap() ^= 1;
        is_refused(finish(&world, &state, &forged).await);
    }
}

#[tokio::test]
async fn unknown_handles_other_keys_and_changed_answers_are_one_answer() {
    for world in worlds().await {
        let (_, _, phone) = with_passkey(&world).await;
        let (bea, session) = world.sign_up("bea").await;
        let hers = Authenticator::on(ORIGIN);
        add(&world, &bea, &session.token, &hers).await;

        let (state, challenge) = start(&world.identity, world.now());
        let (ada, other) = (shown(&phone, &challenge), shown(&hers, &challenge));
        let unknown = Shown { user_handle: vec![9; 16], ..ada.clone() };
        // Bea's key with Ada's name, and Bea's signature over Ada's id.
        let named = Shown { user_handle: ada.user_handle.clone(), ..other.clone() };
        let claimed = Shown { id: ada.id.clone(), ..named.clone() };
        let mut cut = ada.clone();
        cut.signature.pop();
        let mut counted = ada.clone();
        *counted.authenticator_data.last_mut().unwrap() ^= 1;
        for shown in [unknown, named, claimed, cut, counted] {
            is_refused(finish(&world, &state, &shown).await);
        }
        finish(&world, &state, &ada).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_made_is_no_proof_and_what_was_shown_is_no_passkey() {
    for world in worlds().await {
        let (ada, session, phone) = with_passkey(&world).await;
        // The answer to `create`, shown as an answer to `get`.
        let (state, challenge) = start(&world.identity, world.now());
        let real = shown(&phone, &challenge);
        let key = Authenticator::on(ORIGIN);
        let made = key.create(DOMAIN, &challenge, &real.user_handle, &[], None).unwrap();
        let data = made.attestation_object[made.attestation_object.len() - 164..].to_vec();
        is_refused(
            finish(
                &world,
                &state,
                &Shown { client_data_json: made.client_data_json, authenticator_data: data, ..real.clone() },
            )
            .await,
        );
        // A sign-in's challenge adds nothing, an addition's signs nobody in.
        let asked = asked(&world, &session.token, &key).await;
        let swapped = Asked { state: state.clone(), ..asked };
        let refused = finish_adding(&world, &ada, &session.token, &swapped).await;
        assert!(matches!(refused, Err(PasskeyError::Change(ChangeError::Restart))), "{refused:?}");
        let as_registration = Registration {
            client_data_json: real.client_data_json.clone(),
            attestation_object: swapped.made.attestation_object,
        };
        let live = world.session(&session.token).await;
        let mut view = world.read(ada.home).await;
        let started = world.identity.passkey_add_start(&mut view, &live).await.unwrap();
        let state = started.challenge.state;
        let refused = world.identity.passkey_add_verify(world.now(), &live, &state, &as_registration);
        assert!(matches!(refused, Err(PasskeyError::Ceremony(CeremonyError::WrongType))));
        is_refused(finish(&world, &state, &shown(&phone, &started.challenge.challenge)).await);
    }
}

#[tokio::test]
async fn only_a_fresh_session_adds_a_passkey_and_only_what_it_asked_for_itself() {
    for world in worlds().await {
        let (ada, session, _) = with_passkey(&world).await;
        let second = world.sign_in(&ada).await.session;
        let key = Authenticator::on(ORIGIN);
        let made = asked(&world, &session.token, &key).await;
        let refused = finish_adding(&world, &ada, &second.token, &made).await;
        assert!(matches!(refused, Err(PasskeyError::Change(ChangeError::Restart))), "{refused:?}");
        finish_adding(&world, &ada, &session.token, &made).await.unwrap();
        let again = finish_adding(&world, &ada, &session.token, &made).await;
        assert!(matches!(again, Err(PasskeyError::Change(ChangeError::Taken | ChangeError::Restart))));

        let late = asked(&world, &session.token, &Authenticator::on(ORIGIN)).await;
        world.wait(2 * MINUTE);
        let refused = finish_adding(&world, &ada, &session.token, &late).await;
        assert!(matches!(refused, Err(PasskeyError::Change(ChangeError::Restart))), "{refused:?}");

        world.wait(10 * MINUTE);
        let stale = world.session(&session.token).await;
        let mut view = world.read(ada.home).await;
        let refused = world.identity.passkey_add_start(&mut view, &stale).await;
        assert!(matches!(refused, Err(PasskeyError::Change(ChangeError::StepUpRequired))));
    }
}

#[tokio::test]
async fn what_an_authenticator_made_elsewhere_or_unverified_is_not_added() {
    for world in worlds().await {
        let (ada, session) = world.sign_up("ada").await;
        for (liar, expected) in [
            (
                Authenticator { origin: "https://evil.net".into(), ..Authenticator::on(ORIGIN) },
                CeremonyError::WrongOrigin,
            ),
            (
                Authenticator { rp_id: Some("evil.net".into()), ..Authenticator::on(ORIGIN) },
                CeremonyError::WrongRelyingParty,
            ),
            (
                Authenticator { verifies_user: false, ..Authenticator::on(ORIGIN) },
                CeremonyError::UserNotVerified,
            ),
        ] {
            let asked = asked(&world, &session.token, &liar).await;
            let refused = finish_adding(&world, &ada, &session.token, &asked).await;
            assert!(
                matches!(refused, Err(PasskeyError::Ceremony(error)) if error == expected),
                "{refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_passkey_makes_a_session_fresh_again_but_not_anothers() {
    for world in worlds().await {
        let (ada, session, phone) = with_passkey(&world).await;
        let second = world.sign_in(&ada).await.session;
        world.wait(11 * MINUTE);
        let live = world.session(&session.token).await;
        assert!(!live.is_fresh(world.now()));
        let mut view = world.read(ada.home).await;
        let started = world.identity.passkey_stepup_start(&mut view, &live).await.unwrap();
        drop(view);
        let answer = phone.get(DOMAIN, &started.challenge, &started.credentials, None).unwrap();
        // Not for the other session, and not as a sign-in.
        let elsewhere = finish_stepup(&world, &second.token, &started.state, &answer).await;
        assert!(matches!(elsewhere, Err(SigninError::InvalidCredentials)));
        is_refused(finish(&world, &started.state, &answer).await);
        // Nor may a sign-in's answer be brought as a step-up.
        let (state, challenge) = start(&world.identity, world.now());
        let signed = shown(&phone, &challenge);
        let crossed = finish_stepup(&world, &session.token, &state, &signed).await;
        assert!(matches!(crossed, Err(SigninError::InvalidCredentials)));

        let stepped = step_up(&world, &session.token, &phone).await.unwrap();
        assert!(!world.is_live(&session.token).await);
        // Whoever opens the account by it did not type the address.
        let (email, _) = stepped.address.as_ref().unwrap();
        assert_eq!(*email, ada.email);
        let renewed = world.session(&stepped.token).await;
        assert!(renewed.is_fresh(world.now()));
        // What it changes now is told to its owner.
        let mut tx = world.write(ada.home).await;
        let label = MethodLabel::new("pocket").unwrap();
        let letter =
            world.identity.rename_method(&mut tx, &renewed, stepped.method.id, &label).await.unwrap();
        assert_eq!(letter.kind(), "method_renamed");
    }
}

#[tokio::test]
async fn somebody_elses_passkey_makes_no_session_fresh() {
    for world in worlds().await {
        let (_, session, _) = with_passkey(&world).await;
        let (eve, hers) = world.sign_up("eve").await;
        let evil = Authenticator::on(ORIGIN);
        add(&world, &eve, &hers.token, &evil).await;
        let live = world.session(&session.token).await;
        let mut view = world.read(live.home()).await;
        let started = world.identity.passkey_stepup_start(&mut view, &live).await.unwrap();
        drop(view);
        assert!(evil.get(DOMAIN, &started.challenge, &started.credentials, None).is_none());
        let own = evil.get(DOMAIN, &started.challenge, &[], None).unwrap();
        let claimed = Shown { id: started.credentials[0].clone(), ..own.clone() };
        for shown in [own, claimed] {
            let refused = finish_stepup(&world, &session.token, &started.state, &shown).await;
            assert!(matches!(refused, Err(SigninError::InvalidCredentials)));
        }
    }
}

#[tokio::test]
async fn a_revoked_passkey_and_one_of_a_deleted_account_open_nothing() {
    for world in worlds().await {
        let (ada, session, phone) = with_passkey(&world).await;
        let signed_in = sign_in(&world, &phone).await.unwrap();
        let live = world.session(&session.token).await;
        let mut tx = world.write(ada.home).await;
        let revoked = world
            .identity
            .revoke_method(&mut tx, &live, signed_in.method.id, Some(ada.method))
            .await
            .unwrap();
        commit(tx).await;
        // Between the two steps as after them.
        is_refused(sign_in(&world, &phone).await);
        assert!(!world.is_live(&signed_in.session.token).await);
        let mut tx = world.directory().await;
        world.identity.forget_method(&mut tx, &revoked).await.unwrap();
        commit(tx).await;
        is_refused(sign_in(&world, &phone).await);

        let key = Authenticator::on(ORIGIN);
        add(&world, &ada, &session.token, &key).await;
        sign_in(&world, &key).await.unwrap();
        let live = world.session(&session.token).await;
        let mut view = world.read(ada.home).await;
        let deletion = world.identity.delete_start(&mut view, &live).await.unwrap();
        drop(view);
        let mut tx = world.directory().await;
        world.identity.delete_begin(&mut tx, &deletion).await.unwrap();
        commit(tx).await;
        is_refused(sign_in(&world, &key).await);
        let mut tx = world.write(ada.home).await;
        world.identity.delete_home(&mut tx, ada.account).await.unwrap();
        commit(tx).await;
        is_refused(sign_in(&world, &key).await);
        let left: Vec<(i64,)> =
            world.read(ada.home).await.query("SELECT sign_count FROM passkey", &[]).await.unwrap();
        assert!(left.is_empty());
    }
}

/// Whoever writes the database, but has no root key, moves no passkey of their own into somebody's home.
#[tokio::test]
async fn a_passkey_that_was_moved_in_the_database_opens_nothing() {
    for world in worlds().await {
        let (ada, _, phone) = with_passkey(&world).await;
        let (eve, session) = world.sign_up("eve").await;
        let evil = Authenticator::on(ORIGIN);
        add(&world, &eve, &session.token, &evil).await;
        let hers: Vec<(Vec<u8>,)> =
            world.read(eve.home).await.query("SELECT credential FROM passkey", &[]).await.unwrap();
        let mut tx = world.write(ada.home).await;
        tx.execute("UPDATE passkey SET credential = $1", &[(&hers[0].0).into()]).await.unwrap();
        commit(tx).await;
        for authenticator in [&phone, &evil] {
            let (state, challenge) = start(&world.identity, world.now());
            let mut answer = shown(authenticator, &challenge);
            answer.user_handle = shown(&phone, &challenge).user_handle;
            assert!(finish(&world, &state, &answer).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_server_without_a_name_takes_no_passkeys() {
    for world in worlds_with(settings()).await {
        let (_, session) = world.sign_up("ada").await;
        assert!(matches!(world.identity.passkey_signin_start(world.now()), Err(PasskeyError::Off)));
        let live = world.session(&session.token).await;
        let mut view = world.read(live.home()).await;
        let refused = world.identity.passkey_add_start(&mut view, &live).await;
        assert!(matches!(refused, Err(PasskeyError::Off)));
    }
}
