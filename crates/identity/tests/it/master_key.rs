// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rotating the master key: all methods or none, one at a time.

use identity::{
    AuthenticatedSession, ChangeError, LoginMethod, MasterKeyRotation, ResealedMethod, SessionError,
};
use keyring::{FormerAccountKeyPlace, IdentityRotation, MasterKey, Sealed, SystemRng};
use store::Record;

use crate::world::{MINUTE, Person, World, public_key, worlds};

async fn methods(world: &World, session: &AuthenticatedSession) -> Vec<LoginMethod> {
    world.identity.login_methods(&mut world.read(session.home()).await, session).await.unwrap()
}

/// As a client makes it, with a new master key that the person then has.
fn rotation(person: &mut Person, methods: &[LoginMethod], from_version: u32) -> MasterKeyRotation {
    let version = from_version + 1;
    let old_key = person.master.account_key();
    let old = old_key.identity_keys(from_version);
    person.master = MasterKey::generate(&mut SystemRng);
    let new_key = person.master.account_key();
    let new = new_key.identity_keys(version);
    let former = FormerAccountKeyPlace { account: person.account.into(), key_version: from_version };
    let reseal = |method: &LoginMethod| ResealedMethod {
        id: method.id,
        sealed_master_key: person.master.seal_to(
            &public_key(method),
            &person.place(method.id, version),
            &mut SystemRng,
        ),
        tag: person.tag(method.id, &public_key(method)),
    };
    MasterKeyRotation {
        from_version,
        methods: methods.iter().map(reseal).collect(),
        identity: IdentityRotation::sign(&person.account.into(), version, &old, &new),
        former_account_key: new_key.seal_former(&old_key, &former, &mut SystemRng),
    }
}

async fn rotate(
    world: &World,
    session: &AuthenticatedSession,
    rotation: &MasterKeyRotation,
) -> Result<identity::Letter, ChangeError> {
    let mut tx = world.write(session.home()).await;
    let letter = world.identity.rotate_master_key(&mut tx, session, rotation).await?;
    tx.commit(Record::about("test")).await?;
    Ok(letter)
}

#[tokio::test]
async fn a_new_master_key_reaches_every_method_and_ends_the_other_sessions() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let other = world.sign_in(&person).await.session;
        let session = world.session(&first.token).await;
        let rotation = rotation(&mut person, &methods(&world, &session).await, 1);
        let letter = rotate(&world, &session, &rotation).await.unwrap();
        assert_eq!((letter.kind(), letter.to()), ("master_key_rotated", &person.email));
        assert!(world.is_live(&first.token).await);
        assert!(matches!(world.authenticate(&other.token).await, Err(SessionError::Ended)));

        let world = world.restart().await;
        assert!(!world.is_live(&other.token).await);
        let signed_in = world.sign_in(&person).await;
        assert_eq!(signed_in.method.unlocking.as_ref().unwrap().master_key_version, 2);
        assert!(person.opens(&signed_in));
        assert_eq!(
            signed_in.identity_public,
            person.master.account_key().identity_keys(2).public().to_bytes()
        );
    }
}

#[tokio::test]
async fn of_two_rotations_at_once_one_wins_and_the_other_changes_nothing() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let methods = methods(&world, &session).await;
        let original = person.master.clone();
        let one = rotation(&mut person, &methods, 1);
        let master_one = std::mem::replace(&mut person.master, original);
        let two = rotation(&mut person, &methods, 1);
        let (a, b) = tokio::join!(rotate(&world, &session, &one), rotate(&world, &session, &two));
        assert!(a.is_ok() != b.is_ok(), "{}", world.store.name);
        if a.is_ok() {
            person.master = master_one;
        }
        let lost = if a.is_ok() { b } else { a };
        assert!(matches!(lost, Err(ChangeError::Conflict { current: 2 })), "{lost:?}");
        assert!(person.opens(&world.sign_in(&person).await));
    }
}

#[tokio::test]
async fn a_rotation_names_exactly_the_accounts_methods() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let (mut eve, _) = world.sign_up("eve").await;
        let session = world.session(&first.token).await;
        let methods = methods(&world, &session).await;
        let kept = person.master.clone();
        let mut none = rotation(&mut person, &methods, 1);
        none.methods.clear();
        person.master = kept.clone();
        let mut twice = rotation(&mut person, &methods, 1);
        twice.methods.extend(rotation(&mut eve, &methods, 1).methods);
        person.master = kept.clone();
        let mut foreign = rotation(&mut person, &methods, 1);
        foreign.methods[0].id = eve.method;
        for bad in [none, twice, foreign] {
            assert!(matches!(rotate(&world, &session, &bad).await, Err(ChangeError::Conflict { .. })));
        }
        person.master = kept;
        assert!(person.opens(&world.sign_in(&person).await), "nothing was changed");
    }
}

#[tokio::test]
async fn new_identity_keys_are_signed_by_the_old_for_this_account_and_version() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let methods = methods(&world, &session).await;
        let kept = person.master.clone();
        let by_stranger = MasterKey::generate(&mut SystemRng).account_key().identity_keys(1);
        let old = kept.account_key().identity_keys(1);
        let new = MasterKey::generate(&mut SystemRng).account_key().identity_keys(2);
        let other = identity::AccountId::random();
        for bad in [
            IdentityRotation::sign(&person.account.into(), 2, &by_stranger, &new),
            IdentityRotation::sign(&person.account.into(), 3, &old, &new),
            IdentityRotation::sign(&other.into(), 2, &old, &new),
        ] {
            person.master = kept.clone();
            let mut rotation = rotation(&mut person, &methods, 1);
            rotation.identity = bad;
            assert!(matches!(rotate(&world, &session, &rotation).await, Err(ChangeError::Field("identity"))));
        }
    }
}

#[tokio::test]
async fn an_old_rotation_cannot_be_sent_again_nor_by_a_stale_session() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let rotation_ = rotation(&mut person, &methods(&world, &session).await, 1);
        rotate(&world, &session, &rotation_).await.unwrap();
        assert!(matches!(
            rotate(&world, &session, &rotation_).await,
            Err(ChangeError::Conflict { current: 2 })
        ));
        let next = rotation(&mut person, &methods(&world, &session).await, 2);
        world.wait(11 * MINUTE);
        assert!(matches!(rotate(&world, &session, &next).await, Err(ChangeError::StepUpRequired)));
    }
}

#[tokio::test]
async fn account_keys_that_were_replaced_open_one_after_the_other() {
    for world in worlds().await {
        let (mut person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let original = person.master.account_key();
        for version in 1..=3 {
            let rotation = rotation(&mut person, &methods(&world, &session).await, version);
            rotate(&world, &session, &rotation).await.unwrap();
        }
        let former = world.identity.former_account_keys(&mut world.read(session.home()).await).await.unwrap();
        assert_eq!(former.iter().map(|key| key.key_version).collect::<Vec<_>>(), [3, 2, 1]);
        let mut key = person.master.account_key();
        for one in former {
            let place =
                FormerAccountKeyPlace { account: person.account.into(), key_version: one.key_version };
            key = key.open_former(&Sealed::parse(one.sealed_key).unwrap(), &place).unwrap();
        }
        assert_eq!(key, original);
    }
}

#[tokio::test]
async fn keys_are_due_until_they_are_published_or_never_came() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let home = world.session(&first.token).await.home();
        let due = async || {
            let mut view = world.read(store::TenantId::PLATFORM).await;
            let due = world.identity.due_keys(&mut view, 10).await.unwrap();
            due.iter().map(|due| (due.account, due.home)).collect::<Vec<_>>()
        };
        let settle = async || {
            let mut tx = world.write(store::TenantId::PLATFORM).await;
            let settled = world.identity.settle_keys(&mut tx, person.account).await.unwrap();
            tx.commit(Record::about("test")).await.unwrap();
            settled
        };
        for version in [2, 2] {
            let mut tx = world.write(store::TenantId::PLATFORM).await;
            world.identity.expect_keys(&mut tx, person.account, home, version).await.unwrap();
            tx.commit(Record::about("test")).await.unwrap();
        }
        assert_eq!(due().await, [(person.account, home)]);
        assert!(!settle().await, "they may still come");
        world.wait(16 * MINUTE);
        assert!(settle().await, "they never came");
        assert_eq!(due().await, []);

        let mut tx = world.write(store::TenantId::PLATFORM).await;
        world.identity.expect_keys(&mut tx, person.account, home, 1).await.unwrap();
        tx.commit(Record::about("test")).await.unwrap();
        assert!(settle().await, "the first are published");
    }
}
