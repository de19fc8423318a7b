// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: they end, they are bound to networks and to their home, and their owners hear of what happens.

use identity::{
    ApiKeyError, AuthenticatedKey, ChangeError, Letter, MethodId, MethodLabel, Network, NewApiKey, NewMethod,
    RefusedKey, Reported, SessionToken,
};
use keyring::{ApiKey, ApiKeyAuth, SystemRng};

use crate::world::{DAY, MINUTE, Person, World, commit, worlds};

const HERE: &str = "192.0.2.17";
const ELSEWHERE: &str = "203.0.113.7";

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn drawn(person: &Person) -> ApiKeyAuth {
    let home = keyring::TenantId::from_bytes(*person.home.as_bytes());
    ApiKey::generate(home, false, &mut SystemRng).auth().clone()
}

fn new(auth: &ApiKeyAuth) -> NewApiKey {
    NewApiKey {
        method: NewMethod {
            id: MethodId::random(),
            label: MethodLabel::new("nightly").unwrap(),
            unlocking: None,
        },
        auth: auth.clone(),
        scopes: "item.read".parse().unwrap(),
        networks: vec![network(HERE)],
        expires_at: None,
    }
}

async fn create(world: &World, by: &SessionToken, new: &NewApiKey) -> Result<Letter, ChangeError> {
    let session = world.session(by).await;
    let mut tx = world.write(session.home()).await;
    let letter = world.identity.create_api_key(&mut tx, &session, new).await?;
    commit(tx).await;
    Ok(letter)
}

async fn made(world: &World, person: &Person, by: &SessionToken) -> (MethodId, ApiKeyAuth) {
    let auth = drawn(person);
    let new = new(&auth);
    create(world, by, &new).await.unwrap();
    (new.method.id, auth)
}

async fn show(world: &World, auth: &ApiKeyAuth, from: &str) -> Result<AuthenticatedKey, ApiKeyError> {
    let mut view = world.read(identity::home_of(auth)).await;
    world.identity.authenticate_key(&mut view, auth, from.parse().unwrap()).await
}

/// A refusal for the address, and the letter about it, if it was to be noted and told.
async fn refused(world: &World, auth: &ApiKeyAuth, from: &str) -> (RefusedKey, Option<Letter>) {
    let shown = show(world, auth, from).await;
    assert!(matches!(shown, Err(ApiKeyError::Address(_))), "{shown:?}");
    let Err(ApiKeyError::Address(refused)) = shown else { unreachable!() };
    let refused = *refused;
    if !refused.needs_note() {
        return (refused, None);
    }
    let mut tx = world.write(refused.home()).await;
    let letter = world.identity.note_refused_key(&mut tx, &refused).await.unwrap();
    commit(tx).await;
    (refused, letter)
}

#[tokio::test]
async fn a_key_is_found_by_its_secret_alone_and_in_its_home_alone() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let (eve, _) = world.sign_up("eve").await;
        let (id, auth) = made(&world, &ada, &by.token).await;
        let key = show(&world, &auth, HERE).await.unwrap();
        assert_eq!((key.method(), key.account(), key.home()), (id, ada.account, ada.home));
        assert_eq!(key.scopes(), "item.read");
        assert!(matches!(show(&world, &drawn(&ada), HERE).await, Err(ApiKeyError::Unknown)));
        // Nobody makes a key that says it is of another home, nor the same key twice.
        let foreign = new(&drawn(&eve));
        assert!(matches!(create(&world, &by.token, &foreign).await, Err(ChangeError::Field("auth"))));
        assert!(matches!(create(&world, &by.token, &new(&auth)).await, Err(ChangeError::Taken)));
        // A view of another home shows nothing of it.
        let mut view = world.read(eve.home).await;
        let elsewhere = world.identity.authenticate_key(&mut view, &auth, HERE.parse().unwrap()).await;
        assert!(matches!(elsewhere, Err(ApiKeyError::Failed(_))));
    }
}

#[tokio::test]
async fn a_key_ends_when_it_is_said_to_and_with_its_method_and_its_account() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let auth = drawn(&ada);
        let end = world.now() + 5 * MINUTE;
        create(&world, &by.token, &NewApiKey { expires_at: Some(end), ..new(&auth) }).await.unwrap();
        let over = NewApiKey { expires_at: Some(world.now()), ..new(&drawn(&ada)) };
        assert!(matches!(create(&world, &by.token, &over).await, Err(ChangeError::Field("expires_at"))));
        let (id, revoked) = made(&world, &ada, &by.token).await;

        let before = show(&world, &revoked, HERE).await.unwrap();
        let session = world.session(&by.token).await;
        let mut tx = world.write(ada.home).await;
        world.identity.revoke_method(&mut tx, &session, id, None).await.unwrap();
        commit(tx).await;
        assert!(matches!(show(&world, &revoked, HERE).await, Err(ApiKeyError::Unknown)));
        // What was let in before that writes nothing any more.
        let again = world.identity.key_again(&mut world.read(ada.home).await, &before).await;
        assert!(matches!(again, Err(ApiKeyError::Unknown)));

        world.wait(5 * MINUTE - 1);
        assert!(show(&world, &auth, HERE).await.is_ok());
        world.wait(1);
        assert!(matches!(show(&world, &auth, HERE).await, Err(ApiKeyError::Expired)));
        // The one who knows that it is over knows the key.
        let world = world.restart().await;
        assert!(matches!(show(&world, &auth, HERE).await, Err(ApiKeyError::Expired)));
        assert!(matches!(show(&world, &revoked, HERE).await, Err(ApiKeyError::Unknown)));

        let mut tx = world.write(ada.home).await;
        world.identity.delete_home(&mut tx, ada.account).await.unwrap();
        commit(tx).await;
        assert!(matches!(show(&world, &auth, HERE).await, Err(ApiKeyError::Unknown)));
    }
}

#[tokio::test]
async fn a_refusal_is_told_once_for_each_network_and_noted_once_a_minute() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let (id, auth) = made(&world, &ada, &by.token).await;
        let (first, letter) = refused(&world, &auth, ELSEWHERE).await;
        assert!(first.needs_note());
        let letter = letter.expect("the owner hears of it, whoever shows the key");
        assert_eq!(letter.to(), &ada.email);
        assert!(letter.text().contains(ELSEWHERE) && letter.text().contains(&id.to_string()));

        assert!(!refused(&world, &auth, ELSEWHERE).await.0.needs_note());
        world.wait(MINUTE);
        let (again, letter) = refused(&world, &auth, ELSEWHERE).await;
        assert!(again.needs_note() && letter.is_none());

        let session = world.session(&by.token).await;
        let keys = world.identity.api_keys(&mut world.read(ada.home).await, &session).await.unwrap();
        let [seen] = keys[0].refused[..] else { panic!("{keys:?}") };
        assert_eq!((seen.network, seen.times), (network(ELSEWHERE), 2));

        let mut tx = world.write(ada.home).await;
        let approved = world.identity.approve_network(&mut tx, &session, id, network("203.0.113.0/24")).await;
        commit(tx).await;
        assert_eq!(approved.unwrap().kind(), "api_key_approved");
        let key = show(&world, &auth, ELSEWHERE).await.unwrap();

        // What is taken back is taken from what was let in before, too.
        let mut tx = world.write(ada.home).await;
        world.identity.deny_network(&mut tx, &session, id, network("203.0.113.0/24")).await.unwrap();
        commit(tx).await;
        let again = world.identity.key_again(&mut world.read(ada.home).await, &key).await;
        assert!(matches!(again, Err(ApiKeyError::Address(_))));
    }
}

#[tokio::test]
async fn where_a_key_was_refused_is_forgotten_after_a_month() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let (_, auth) = made(&world, &ada, &by.token).await;
        refused(&world, &auth, ELSEWHERE).await;
        for (days, forgotten) in [(29, 0), (2, 1)] {
            world.wait(days * DAY);
            let mut tx = world.write(ada.home).await;
            world.identity.sweep_home(&mut tx).await.unwrap();
            let rows: Vec<(String,)> =
                tx.query("SELECT network FROM api_key_address", store::params![]).await.unwrap();
            assert_eq!(rows.len(), 1 - forgotten);
            commit(tx).await;
        }
    }
}

#[tokio::test]
async fn changes_of_keys_need_a_fresh_session() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let (id, _) = made(&world, &ada, &by.token).await;
        world.wait(11 * MINUTE);
        let session = world.session(&by.token).await;
        let stale = create(&world, &by.token, &new(&drawn(&ada))).await;
        assert!(matches!(stale, Err(ChangeError::StepUpRequired)));
        let mut tx = world.write(ada.home).await;
        let everywhere = network("0.0.0.0/0");
        let approved = world.identity.approve_network(&mut tx, &session, id, everywhere).await;
        assert!(matches!(approved, Err(ChangeError::StepUpRequired)));
        let denied = world.identity.deny_network(&mut tx, &session, id, everywhere).await;
        assert!(matches!(denied, Err(ChangeError::StepUpRequired)));
    }
}

#[tokio::test]
async fn a_report_ends_a_key_that_is_shown_and_marks_one_that_is_named() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let (shown, named) = (made(&world, &ada, &by.token).await, made(&world, &ada, &by.token).await);
        let report = async |reported: Reported| {
            let known =
                world.identity.knows_reported(&mut world.read(ada.home).await, &reported).await.unwrap();
            let mut tx = world.write(ada.home).await;
            let done = world.identity.report_key(&mut tx, &reported).await.unwrap();
            commit(tx).await;
            assert_eq!(known, done.is_some());
            done
        };
        let ended = report(Reported::Shown(shown.1.clone())).await.unwrap();
        assert_eq!(ended.method, shown.0);
        assert_eq!(ended.letter.expect("its owner hears of it").to(), &ada.email);
        assert!(matches!(show(&world, &shown.1, HERE).await, Err(ApiKeyError::Unknown)));
        assert!(report(Reported::Shown(shown.1.clone())).await.is_none());

        // Without the key there is nothing that opens the address: its owner is told at its next use, once.
        let name = || Reported::Named(ada.home, named.1.public_id());
        assert!(report(name()).await.unwrap().letter.is_none());
        assert!(report(name()).await.is_none(), "not again within a day");
        let key = show(&world, &named.1, HERE).await.unwrap();
        assert!(key.needs_touch(world.now()));
        for told in [true, false] {
            let mut tx = world.write(ada.home).await;
            let letter = world.identity.touch_key(&mut tx, &key).await.unwrap();
            commit(tx).await;
            assert_eq!(letter.is_some(), told);
        }
        assert!(!show(&world, &named.1, HERE).await.unwrap().needs_touch(world.now()));
    }
}

#[tokio::test]
async fn the_rows_of_a_key_tell_neither_the_key_nor_whose_address_it_opens() {
    for world in worlds().await {
        let (ada, by) = world.sign_up("ada").await;
        let (id, auth) = made(&world, &ada, &by.token).await;
        refused(&world, &auth, ELSEWHERE).await;
        let mut view = world.read(ada.home).await;
        let (sealed,): (Vec<u8>,) = view
            .query_one("SELECT address FROM login_method WHERE id = $1", store::params![id.uuid()])
            .await
            .unwrap();
        let key = ada.email_key.expose();
        assert!(!sealed.windows(key.len()).any(|window| window == key));
        let sealed = keyring::Sealed::parse(sealed).unwrap();
        let (account, method) = (ada.account.into(), keyring::MethodId::from_bytes(*id.as_bytes()));
        let opened = keyring::AddressSeal::of(&auth.lookup()).open(&sealed, &account, &method).unwrap();
        assert_eq!(opened.expose(), key, "it opens while the key is shown");
        let other = keyring::AddressSeal::of(&drawn(&ada).lookup());
        assert!(other.open(&sealed, &account, &method).is_err(), "and with no other");
        let (hash,): (Vec<u8>,) =
            view.query_one("SELECT secret_hash FROM api_key", store::params![]).await.unwrap();
        assert_eq!(hash, auth.auth_hash());
    }
}
