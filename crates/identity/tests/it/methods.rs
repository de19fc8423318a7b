// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods beside the password: recovery keys let in alone, what is revoked lets nobody in, and one way in stays.

use identity::{
    Arrival, AuthenticatedSession, ChangeError, MethodLabel, MethodLookup, NewMethod, NewSession,
    ReservedLookup, SignedIn, SigninError, SlowHash, SteppedUp, Unlocking,
};
use keyring::{KdfParams, MethodKind, MethodSalt, MethodSecret, RecoveryKey, SystemRng};
use store::{Record, TenantId};

use crate::world::{MINUTE, Person, World, commit, device, here, worlds};

/// A recovery key as its owner's client makes it.
struct Paper {
    key: RecoveryKey,
    new: NewMethod,
}

fn new_paper(person: &Person, label: &str) -> Paper {
    let rng = &mut SystemRng;
    let (key, salt) = (RecoveryKey::generate(rng), MethodSalt::generate(rng));
    // The server never hashes it, so the tests save that.
    let pair = MethodSecret::from_bytes(key.expose()).unwrap().key_pair();
    let id = identity::MethodId::random();
    let method = keyring::MethodId::from_bytes(*id.as_bytes());
    let account = person.account.into();
    let unlocking = Unlocking {
        public_key: pair.public_key(),
        sealed_master_key: person.master.seal_to(&pair.public_key(), &person.place(id, 1), rng),
        tag: person.master.authenticate_method(
            &account,
            &method,
            MethodKind::RecoveryKey,
            &pair.public_key(),
        ),
        master_key_version: 1,
        slow_hash: Some(SlowHash { salt, kdf: KdfParams::default() }),
    };
    Paper { key, new: NewMethod { id, label: MethodLabel::new(label).unwrap(), unlocking: Some(unlocking) } }
}

impl Paper {
    fn lookup(&self) -> MethodLookup {
        MethodLookup::new(MethodKind::RecoveryKey, self.key.lookup())
    }

    fn opens(&self, person: &Person, signed_in: &SignedIn) -> bool {
        let pair = MethodSecret::from_bytes(self.key.expose()).unwrap().key_pair();
        let unlocking = signed_in.method.unlocking.as_ref().unwrap();
        let place = person.place(signed_in.method.id, unlocking.master_key_version);
        unlocking.sealed_master_key.open(&pair, &place).is_ok_and(|key| key == person.master)
    }
}

async fn reserve(
    world: &World,
    session: &AuthenticatedSession,
    paper: &Paper,
) -> Result<ReservedLookup, ChangeError> {
    let mut tx = world.directory().await;
    let reserved = world.identity.reserve_lookup(&mut tx, session, paper.new.id, paper.lookup()).await?;
    commit(tx).await;
    Ok(reserved)
}

async fn add(
    world: &World,
    session: &AuthenticatedSession,
    paper: &Paper,
) -> Result<identity::Letter, ChangeError> {
    let reserved = reserve(world, session, paper).await?;
    let mut tx = world.write(session.home()).await;
    let letter = world.identity.add_method(&mut tx, session, &paper.new, &reserved).await?;
    commit(tx).await;
    Ok(letter)
}

async fn sign_in(world: &World, paper: &Paper) -> Result<SignedIn, SigninError> {
    let lookup = paper.key.lookup();
    let proof = world.identity.recovery_proof(&mut world.read(TenantId::PLATFORM).await, &lookup).await?;
    let arrival = Arrival { device: device("borrowed laptop"), device_token: None, place: here() };
    let mut tx = world.write(proof.home()).await;
    let signed_in = world.identity.recovery_signin(&mut tx, &proof, &lookup, &arrival).await?;
    tx.commit(Record::about("test")).await?;
    Ok(signed_in)
}

async fn step_up(
    world: &World,
    session: &AuthenticatedSession,
    paper: &Paper,
) -> Result<SteppedUp, SigninError> {
    let lookup = paper.key.lookup();
    let proof = world.identity.recovery_proof(&mut world.read(TenantId::PLATFORM).await, &lookup).await?;
    let mut tx = world.write(session.home()).await;
    let stepped_up = world.identity.recovery_stepup(&mut tx, session, &proof, &lookup).await?;
    tx.commit(Record::about("test")).await?;
    Ok(stepped_up)
}

/// The home's half of a revocation.
async fn revoke_at_home(
    world: &World,
    session: &AuthenticatedSession,
    method: identity::MethodId,
) -> Result<identity::RevokedMethod, ChangeError> {
    let mut directory = world.read(TenantId::PLATFORM).await;
    let password = world.identity.live_password(&mut directory, session).await?;
    drop(directory);
    let mut tx = world.write(session.home()).await;
    let revoked = world.identity.revoke_method(&mut tx, session, method, password).await?;
    commit(tx).await;
    Ok(revoked)
}

async fn revoke(
    world: &World,
    session: &AuthenticatedSession,
    method: identity::MethodId,
) -> Result<identity::Letter, ChangeError> {
    let revoked = revoke_at_home(world, session, method).await?;
    let mut tx = world.directory().await;
    world.identity.forget_method(&mut tx, &revoked).await?;
    commit(tx).await;
    Ok(revoked.letter)
}

/// Somebody with a recovery key, and her first session.
async fn with_paper(world: &World) -> (Person, NewSession, Paper) {
    let (person, first) = world.sign_up("ada").await;
    let paper = new_paper(&person, "in the safe");
    let letter = add(world, &world.session(&first.token).await, &paper).await.unwrap();
    assert!(letter.text().contains("A recovery key was added"), "{}", *letter.text());
    assert!(letter.text().contains("in the safe"));
    (person, first, paper)
}

#[tokio::test]
async fn a_recovery_key_lets_in_alone_opens_the_master_key_and_its_owner_is_told_each_time() {
    for world in worlds().await {
        let (person, _, paper) = with_paper(&world).await;
        for _ in 0..2 {
            let signed_in = sign_in(&world, &paper).await.unwrap();
            assert!(paper.opens(&person, &signed_in));
            assert_eq!(signed_in.method.kind, MethodKind::RecoveryKey);
            let (email, salt) = signed_in.address.as_ref().expect("nobody typed the address");
            assert_eq!(email, &person.email);
            assert_eq!(*salt, world.identity.email_salt(&person.email.hash()));
            let letter = signed_in.letter.as_ref().expect("a letter");
            assert_eq!((letter.kind(), letter.to()), ("recovery_key_used", &person.email));
            assert!(world.session(&signed_in.session.token).await.is_fresh(world.now()));
        }
        assert!(world.sign_in(&person).await.address.is_none(), "who typed the address is not told it");
        let unknown = new_paper(&person, "");
        assert!(matches!(sign_in(&world, &unknown).await, Err(SigninError::InvalidCredentials)));
    }
}

#[tokio::test]
async fn what_is_stored_of_a_recovery_key_neither_signs_in_nor_tells_the_address() {
    for world in worlds().await {
        let (person, _, paper) = with_paper(&world).await;
        let mut tx = world.read(person.home).await;
        let (address,): (Vec<u8>,) = tx
            .query_one("SELECT address FROM login_method WHERE kind = 'recovery-key'", store::params![])
            .await
            .unwrap();
        let shows = |secret: &[u8]| address.windows(secret.len()).any(|window| window == secret);
        assert!(!shows(person.email_key.expose()) && !shows(paper.key.lookup().expose()));
        let mut tx = world.read(TenantId::PLATFORM).await;
        let (index,): (Vec<u8>,) =
            tx.query_one("SELECT lookup_index FROM login_lookup", store::params![]).await.unwrap();
        // A thief shows what the database holds.
        let index = keyring::Lookup::from_bytes(index.try_into().unwrap());
        assert_ne!(index, paper.key.lookup());
        let stolen = world.identity.recovery_proof(&mut tx, &index).await;
        assert!(matches!(stolen, Err(SigninError::InvalidCredentials)));
    }
}

#[tokio::test]
async fn adding_and_revoking_need_a_fresh_session_and_the_current_master_key() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        let mut outdated = new_paper(&person, "");
        outdated.new.unlocking.as_mut().unwrap().master_key_version = 2;
        assert!(matches!(add(&world, &session, &outdated).await, Err(ChangeError::Conflict { current: 1 })));
        let late = new_paper(&person, "");
        let reserved = reserve(&world, &session, &late).await.unwrap();
        assert!(matches!(reserve(&world, &session, &late).await, Err(ChangeError::Taken)));
        world.wait(6 * MINUTE);
        let mut tx = world.write(person.home).await;
        let added = world.identity.add_method(&mut tx, &session, &late.new, &reserved).await;
        assert!(matches!(added, Err(ChangeError::Restart)), "the sweep may have passed");
        drop(tx);
        world.wait(5 * MINUTE);
        let stale = new_paper(&person, "");
        assert!(matches!(add(&world, &session, &stale).await, Err(ChangeError::StepUpRequired)));
        assert!(matches!(revoke(&world, &session, paper.new.id).await, Err(ChangeError::StepUpRequired)));
        // An access token's session is as fresh as its own, and still no session shown by its token.
        let fresh = step_up(&world, &session, &paper).await.unwrap();
        let fresh = world.session(&fresh.token).await;
        let by_id =
            world.identity.session_by_id(&mut world.read(person.home).await, fresh.id()).await.unwrap();
        let reserved = reserve(&world, &by_id, &stale).await.unwrap();
        let mut tx = world.write(person.home).await;
        let added = world.identity.add_method(&mut tx, &by_id, &stale.new, &reserved).await;
        assert!(matches!(added, Err(ChangeError::StepUpRequired)));
        drop(tx);
        add(&world, &fresh, &new_paper(&person, "")).await.unwrap();
    }
}

#[tokio::test]
async fn a_step_up_takes_a_recovery_key_of_the_account_itself() {
    for world in worlds().await {
        let (_, first, paper) = with_paper(&world).await;
        let (eve, of_eve) = world.sign_up("eve").await;
        let hers = new_paper(&eve, "");
        let eves = world.session(&of_eve.token).await;
        add(&world, &eves, &hers).await.unwrap();
        let session = world.session(&first.token).await;
        assert!(matches!(step_up(&world, &session, &hers).await, Err(SigninError::InvalidCredentials)));
        assert!(matches!(step_up(&world, &eves, &paper).await, Err(SigninError::InvalidCredentials)));
        world.wait(11 * MINUTE);
        let stepped_up = step_up(&world, &session, &paper).await.unwrap();
        assert!(!world.is_live(&first.token).await, "the old token is nothing");
        assert!(world.session(&stepped_up.token).await.is_fresh(world.now()));
    }
}

#[tokio::test]
async fn a_revoked_method_lets_nobody_in_and_its_sessions_end() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let opened = sign_in(&world, &paper).await.unwrap().session;
        let session = world.session(&first.token).await;
        let letter = revoke(&world, &session, paper.new.id).await.unwrap();
        assert_eq!(letter.kind(), "method_revoked");
        assert!(!world.is_live(&opened.token).await);
        assert!(world.is_live(&first.token).await);
        assert!(matches!(sign_in(&world, &paper).await, Err(SigninError::InvalidCredentials)));
        assert!(matches!(revoke(&world, &session, paper.new.id).await, Err(ChangeError::NoSuchMethod)));
        assert!(matches!(revoke(&world, &session, person.method).await, Err(ChangeError::LastMethod)));
    }
}

#[tokio::test]
async fn the_last_method_that_opens_the_data_stays_whatever_else_there_is() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        // A passkey without PRF and an API key that unlocks are no way back for a person.
        for (kind, unlocks) in [(MethodKind::Passkey, false), (MethodKind::ApiKey, true)] {
            let other = new_paper(&person, "");
            let lookup = MethodLookup::new(kind, other.key.lookup());
            let unlocking = other.new.unlocking.filter(|_| unlocks);
            let new = NewMethod { id: other.new.id, label: MethodLabel::default(), unlocking };
            let mut tx = world.write(person.home).await;
            let reserved = ReservedLookup::not_in_directory(lookup);
            world.identity.add_method(&mut tx, &session, &new, &reserved).await.unwrap();
            commit(tx).await;
        }
        revoke(&world, &session, paper.new.id).await.unwrap();
        assert!(matches!(revoke(&world, &session, person.method).await, Err(ChangeError::LastMethod)));
    }
}

#[tokio::test]
async fn two_revocations_do_not_take_each_others_last_resort() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        let opened = sign_in(&world, &paper).await.unwrap().session;
        let other = world.session(&opened.token).await;
        let (one, two) =
            tokio::join!(revoke(&world, &session, paper.new.id), revoke(&world, &other, person.method));
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn a_crash_between_directory_and_home_lets_nobody_in_and_is_swept() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        // Reserved, never added; revoked at home, not in the directory.
        let never = new_paper(&person, "");
        reserve(&world, &session, &never).await.unwrap();
        revoke_at_home(&world, &session, paper.new.id).await.unwrap();
        let kept = new_paper(&person, "");
        add(&world, &session, &kept).await.unwrap();
        for gone in [&never, &paper] {
            assert!(matches!(sign_in(&world, gone).await, Err(SigninError::InvalidCredentials)));
        }
        assert_eq!(unmatched(&world, &person).await, vec![], "somebody may still be adding them");
        world.wait(20 * MINUTE);
        let mut stale = unmatched(&world, &person).await;
        stale.sort();
        let mut expected = vec![never.new.id, paper.new.id];
        expected.sort();
        assert_eq!(stale, expected);
        for method in stale {
            let mut tx = world.directory().await;
            world.identity.forget_lookup(&mut tx, person.account, method).await.unwrap();
            commit(tx).await;
        }
        assert_eq!(unmatched(&world, &person).await, vec![]);
        assert!(kept.opens(&person, &sign_in(&world, &kept).await.unwrap()));
    }
}

#[tokio::test]
async fn a_crash_after_a_password_was_revoked_at_home_is_finished_by_the_sweep() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        revoke_at_home(&world, &session, person.method).await.unwrap();
        assert!(!world.is_live(&first.token).await, "the password opened it");
        let factor = world.next_code(&person);
        assert!(matches!(world.try_sign_in(&person, factor).await, Err(SigninError::InvalidCredentials)));
        world.wait(20 * MINUTE);
        let listed = world
            .identity
            .listed_methods(&mut world.read(TenantId::PLATFORM).await, person.account)
            .await
            .unwrap();
        let unmatched =
            world.identity.unmatched_methods(&mut world.read(person.home).await, &listed).await.unwrap();
        assert_eq!(unmatched.password, Some(person.method));
        let mut tx = world.directory().await;
        world.identity.forget_password(&mut tx, person.account, person.method).await.unwrap();
        commit(tx).await;
        assert!(paper.opens(&person, &sign_in(&world, &paper).await.unwrap()));
    }
}

#[tokio::test]
async fn a_replaced_recovery_key_is_worth_nothing_and_the_new_one_lets_in() {
    for world in worlds().await {
        let (person, _, old) = with_paper(&world).await;
        let opened = sign_in(&world, &old).await.unwrap().session;
        let session = world.session(&opened.token).await;
        let new = new_paper(&person, "another safe");
        let reserved = reserve(&world, &session, &new).await.unwrap();
        let mut tx = world.write(person.home).await;
        let replaced =
            world.identity.replace_recovery_key(&mut tx, &session, person.method, &new.new, &reserved).await;
        assert!(matches!(replaced, Err(ChangeError::NoSuchMethod)), "a password is no recovery key");
        drop(tx);
        let mut tx = world.write(person.home).await;
        let letter = world
            .identity
            .replace_recovery_key(&mut tx, &session, old.new.id, &new.new, &reserved)
            .await
            .unwrap();
        commit(tx).await;
        assert_eq!(letter.kind(), "recovery_key_replaced");
        assert!(world.is_live(&opened.token).await, "the session lives on by the new key");
        assert!(matches!(sign_in(&world, &old).await, Err(SigninError::InvalidCredentials)));
        assert!(new.opens(&person, &sign_in(&world, &new).await.unwrap()));
    }
}

#[tokio::test]
async fn a_deleted_account_leaves_no_way_to_find_it() {
    for world in worlds().await {
        let (_, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        let deletion =
            world.identity.delete_start(&mut world.read(session.home()).await, &session).await.unwrap();
        let mut tx = world.directory().await;
        world.identity.delete_begin(&mut tx, &deletion).await.unwrap();
        commit(tx).await;
        assert!(matches!(sign_in(&world, &paper).await, Err(SigninError::InvalidCredentials)));
    }
}

#[tokio::test]
async fn a_method_gets_another_name_and_its_owner_hears_of_it() {
    for world in worlds().await {
        let (person, first, paper) = with_paper(&world).await;
        let session = world.session(&first.token).await;
        let label = MethodLabel::new("behind the clock").unwrap();
        let mut tx = world.write(person.home).await;
        let letter = world.identity.rename_method(&mut tx, &session, paper.new.id, &label).await.unwrap();
        commit(tx).await;
        assert!(letter.text().contains("in the safe") && letter.text().contains("behind the clock"));
        let methods =
            world.identity.login_methods(&mut world.read(person.home).await, &session).await.unwrap();
        // Both were added in the same millisecond.
        let mut labels: Vec<_> = methods.iter().map(|method| method.label.as_str()).collect();
        labels.sort_unstable();
        assert_eq!(labels, ["", "behind the clock"]);
        for bad in ["a\r\nBcc: x@y", "a\u{202e}b", &"x".repeat(65)] {
            assert!(MethodLabel::new(bad).is_err(), "{bad:?}");
        }
    }
}

async fn unmatched(world: &World, person: &Person) -> Vec<identity::MethodId> {
    let mut directory = world.read(TenantId::PLATFORM).await;
    let listed = world.identity.listed_methods(&mut directory, person.account).await.unwrap();
    drop(directory);
    let mut home = world.read(person.home).await;
    world.identity.unmatched_methods(&mut home, &listed).await.unwrap().lookups
}
