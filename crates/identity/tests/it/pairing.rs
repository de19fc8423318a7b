// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Carrying a pairing's messages: each once, to whom it is for, while the request lives.

use identity::{
    AuthenticatedSession, DeviceInfo, DeviceSecret, PairedIn, PairingAsk, PairingError, PairingSide,
    PairingState, Place, SessionKind,
};
use keyring::pairing::{PairingForm, PairingGrant, PairingId};
use store::params;

use crate::world::{MINUTE, World, commit, worlds};

const REQUEST: PairingId = PairingId::from_bytes([0x4e; 16]);

fn secret() -> DeviceSecret {
    DeviceSecret::from_bytes([0x5e; 32])
}

fn grant() -> PairingGrant {
    PairingGrant::from_bytes([0x69; 32])
}

async fn ask(world: &World, form: PairingForm) -> Result<i64, PairingError> {
    let ask = PairingAsk {
        request: REQUEST,
        device_secret: secret(),
        form,
        device: DeviceInfo::new("kitchen tablet", "Linux").unwrap(),
        key: vec![7; 1_217],
        place: Place::of([192, 0, 2, 1].into()),
    };
    let mut tx = world.directory().await;
    let asked = world.identity.pairing_ask(&mut tx, &ask).await?;
    commit(tx).await;
    Ok(asked)
}

async fn offer(world: &World, session: &AuthenticatedSession, message: &[u8]) -> Result<(), PairingError> {
    let mut view = world.read(session.home()).await;
    let approver = world.identity.pairing_approver(&mut view, session).await?;
    let mut tx = world.directory().await;
    world.identity.pairing_offer(&mut tx, &REQUEST, &approver, session, message).await?;
    commit(tx).await;
    Ok(())
}

async fn state(world: &World, side: PairingSide<'_>) -> Result<PairingState, PairingError> {
    world.identity.pairing_state(&mut world.read(store::TenantId::PLATFORM).await, &REQUEST, &side).await
}

async fn take(world: &World, side: PairingSide<'_>) -> Result<Vec<u8>, PairingError> {
    let mut tx = world.directory().await;
    let message = world.identity.pairing_take(&mut tx, &REQUEST, &side).await?;
    commit(tx).await;
    Ok(message)
}

async fn answer(world: &World, message: &[u8]) -> Result<(), PairingError> {
    let mut tx = world.directory().await;
    world.identity.pairing_answer(&mut tx, &REQUEST, &secret(), message).await?;
    commit(tx).await;
    Ok(())
}

async fn deliver(world: &World, session: &AuthenticatedSession) -> Result<(), PairingError> {
    let mut tx = world.directory().await;
    world.identity.pairing_deliver(&mut tx, &REQUEST, session, b"delivery", &grant().hash()).await?;
    commit(tx).await;
    Ok(())
}

async fn redeem(world: &World, grant: &PairingGrant) -> Result<PairedIn, PairingError> {
    let mut tx = world.directory().await;
    let redeemed = world.identity.pairing_redeem(&mut tx, &REQUEST, &secret(), grant).await?;
    commit(tx).await;
    let mut tx = world.write(redeemed.home()).await;
    let place = Place::of([192, 0, 2, 1].into());
    let paired = world.identity.pairing_arrive(&mut tx, &redeemed, None, &place).await?;
    commit(tx).await;
    Ok(paired)
}

/// Everything up to the redemption.
async fn approve(world: &World, session: &AuthenticatedSession, form: PairingForm) {
    ask(world, form).await.unwrap();
    offer(world, session, b"offer").await.unwrap();
    let secret = secret();
    assert_eq!(take(world, PairingSide::Device(&secret)).await.unwrap(), b"offer");
    answer(world, b"answer").await.unwrap();
    assert_eq!(take(world, PairingSide::Approver(session)).await.unwrap(), b"answer");
    deliver(world, session).await.unwrap();
    assert_eq!(take(world, PairingSide::Device(&secret)).await.unwrap(), b"delivery");
}

#[tokio::test]
async fn a_device_gets_a_session_that_is_not_fresh_and_its_owner_is_told() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        approve(&world, &session, PairingForm::Device).await;
        let paired = redeem(&world, &grant()).await.unwrap();
        assert_eq!(paired.account, person.account);
        assert_eq!(paired.letter.to(), &person.email);
        assert_eq!(paired.letter.kind(), "device_paired");
        assert!(paired.letter.text().contains("kitchen tablet (Linux)"));
        assert!(paired.session.device_token.is_some());
        let theirs = world.session(&paired.session.token).await;
        assert_eq!(theirs.kind(), SessionKind::Paired);
        assert!(!theirs.is_fresh(world.now()));
        assert_eq!(theirs.method(), session.method());
        let half = world.identity.server_half(&mut world.read(person.home).await, &theirs).await.unwrap();
        assert_eq!(half, paired.session.server_half);
        // Nothing is left of the request.
        assert!(matches!(redeem(&world, &grant()).await, Err(PairingError::Over)));
        assert!(matches!(state(&world, PairingSide::Approver(&session)).await, Err(PairingError::Over)));
    }
}

#[tokio::test]
async fn a_public_computer_is_in_for_a_quarter_of_an_hour_and_is_not_known_again() {
    for world in worlds().await {
        let (_, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        approve(&world, &session, PairingForm::Public).await;
        let paired = redeem(&world, &grant()).await.unwrap();
        assert_eq!(world.session(&paired.session.token).await.kind(), SessionKind::Public);
        assert!(paired.session.device_token.is_none());
        world.wait(15 * MINUTE - 1_000);
        assert!(world.is_live(&paired.session.token).await);
        world.wait(1_000);
        assert!(!world.is_live(&paired.session.token).await);
    }
}

#[tokio::test]
async fn a_request_is_dead_after_two_minutes_and_a_code_after_two_more() {
    for world in worlds().await {
        let (_, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let secret = secret();
        ask(&world, PairingForm::Device).await.unwrap();
        world.wait(2 * MINUTE);
        assert!(matches!(state(&world, PairingSide::Device(&secret)).await, Err(PairingError::Over)));
        assert!(matches!(offer(&world, &session, b"x").await, Err(PairingError::Over)));
        let mut view = world.read(store::TenantId::PLATFORM).await;
        assert!(world.identity.has_dead_pairings(&mut view).await.unwrap());
        drop(view);
        let mut tx = world.directory().await;
        assert_eq!(world.identity.sweep_pairings(&mut tx).await.unwrap(), 1);
        commit(tx).await;

        ask(&world, PairingForm::Device).await.unwrap();
        world.wait(2 * MINUTE - 1);
        offer(&world, &session, b"offer").await.unwrap();
        world.wait(2 * MINUTE - 1);
        take(&world, PairingSide::Device(&secret)).await.unwrap();
        answer(&world, b"answer").await.unwrap();
        take(&world, PairingSide::Approver(&session)).await.unwrap();
        // Another offer does not make it live longer.
        offer(&world, &session, b"again").await.unwrap();
        world.wait(1);
        assert!(matches!(state(&world, PairingSide::Device(&secret)).await, Err(PairingError::Over)));
    }
}

#[tokio::test]
async fn each_message_is_handed_over_once_and_in_turn() {
    for world in worlds().await {
        let (_, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        let secret = secret();
        let (device, approver) = (PairingSide::Device(&secret), PairingSide::Approver(&session));
        ask(&world, PairingForm::Device).await.unwrap();
        assert!(matches!(ask(&world, PairingForm::Device).await, Err(PairingError::OutOfTurn)));
        assert_eq!(state(&world, device).await.unwrap(), PairingState::Waiting);
        assert!(matches!(take(&world, device).await, Err(PairingError::OutOfTurn)));
        assert!(matches!(answer(&world, b"early").await, Err(PairingError::OutOfTurn)));
        assert!(matches!(deliver(&world, &session).await, Err(PairingError::OutOfTurn)));
        assert!(matches!(redeem(&world, &grant()).await, Err(PairingError::OutOfTurn)));
        for number in 1..=3 {
            offer(&world, &session, b"offer").await.unwrap();
            assert!(matches!(
                offer(&world, &session, b"twice").await,
                Err(PairingError::OutOfTurn | PairingError::TriesSpent)
            ));
            assert_eq!(state(&world, device).await.unwrap(), PairingState::Message);
            assert_eq!(state(&world, approver).await.unwrap(), PairingState::Waiting);
            take(&world, device).await.unwrap();
            assert!(matches!(take(&world, device).await, Err(PairingError::OutOfTurn)), "{number}");
            answer(&world, b"answer").await.unwrap();
            assert!(matches!(answer(&world, b"answer").await, Err(PairingError::OutOfTurn)));
            assert!(matches!(take(&world, device).await, Err(PairingError::OutOfTurn)), "not its own answer");
            assert_eq!(take(&world, approver).await.unwrap(), b"answer");
            assert!(matches!(take(&world, approver).await, Err(PairingError::OutOfTurn)));
        }
        assert!(matches!(offer(&world, &session, b"fourth").await, Err(PairingError::TriesSpent)));
        let mut tx = world.directory().await;
        world.identity.pairing_end(&mut tx, &REQUEST, &approver).await.unwrap();
        commit(tx).await;
        assert_eq!(state(&world, device).await.unwrap(), PairingState::TriesSpent);
        assert!(matches!(deliver(&world, &session).await, Err(PairingError::OutOfTurn)));
    }
}

#[tokio::test]
async fn only_the_device_and_the_first_approver_take_part() {
    for world in worlds().await {
        let (_, ada) = world.sign_up("ada").await;
        let (_, eve) = world.sign_up("eve").await;
        let (ada, eve) = (world.session(&ada.token).await, world.session(&eve.token).await);
        ask(&world, PairingForm::Device).await.unwrap();
        let stranger = DeviceSecret::from_bytes([0; 32]);
        assert!(matches!(state(&world, PairingSide::Device(&stranger)).await, Err(PairingError::Over)));
        offer(&world, &ada, b"offer").await.unwrap();
        assert!(matches!(offer(&world, &eve, b"offer").await, Err(PairingError::Taken)));
        assert!(matches!(state(&world, PairingSide::Approver(&eve)).await, Err(PairingError::Taken)));
        let mut tx = world.directory().await;
        let ended = world.identity.pairing_end(&mut tx, &REQUEST, &PairingSide::Approver(&eve)).await;
        assert!(matches!(ended, Err(PairingError::Taken)));
        drop(tx);
        assert!(matches!(deliver(&world, &eve).await, Err(PairingError::Taken)));
    }
}

#[tokio::test]
async fn another_grant_is_none_and_an_ended_approver_lets_nobody_in() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let second = world.sign_in(&person).await.session;
        let session = world.session(&second.token).await;
        approve(&world, &session, PairingForm::Device).await;
        assert!(matches!(redeem(&world, &PairingGrant::from_bytes([0; 32])).await, Err(PairingError::Over)));
        let first = world.session(&first.token).await;
        let mut tx = world.write(person.home).await;
        assert!(world.identity.end_session(&mut tx, &first, second.id).await.unwrap());
        commit(tx).await;
        assert!(matches!(redeem(&world, &grant()).await, Err(PairingError::Over)));
    }
}

#[tokio::test]
async fn an_approver_is_fresh_and_shows_its_own_token() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        ask(&world, PairingForm::Device).await.unwrap();
        let by_id = world.identity.session_by_id(&mut world.read(person.home).await, first.id).await.unwrap();
        assert!(matches!(offer(&world, &by_id, b"offer").await, Err(PairingError::StepUpRequired)));
        world.wait(11 * MINUTE);
        assert!(matches!(offer(&world, &session, b"offer").await, Err(PairingError::StepUpRequired)));
    }
}

#[tokio::test]
async fn a_copy_of_the_database_shows_neither_who_asks_nor_what_is_said() {
    for world in worlds().await {
        let (person, first) = world.sign_up("ada").await;
        let session = world.session(&first.token).await;
        ask(&world, PairingForm::Device).await.unwrap();
        offer(&world, &session, b"a message that is recognised").await.unwrap();
        let mut view = world.read(store::TenantId::PLATFORM).await;
        type Row = (Vec<u8>, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
        let (request, device, said, approver, approval, message): Row = view
            .query_one("SELECT request, device, said, approver, approval, message FROM pairing", params![])
            .await
            .unwrap();
        let stored = [request, device, said, approver.unwrap(), approval.unwrap(), message.unwrap()].concat();
        let session_id = *session.id().as_bytes();
        let hidden: [&[u8]; 7] = [
            REQUEST.expose(),
            &[0x5e; 32],
            b"kitchen tablet",
            b"192.0.2",
            b"a message that is recognised",
            person.account.as_bytes(),
            &session_id,
        ];
        for hidden in hidden {
            assert!(!stored.windows(hidden.len()).any(|window| window == hidden), "{hidden:?}");
        }
    }
}
