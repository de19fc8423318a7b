// SPDX-License-Identifier: Apache-2.0 OR MIT
//! People who come over from another system: what an import stores, what the first sign-in takes, what a stranger learns.

use identity::{
    HashError, Import, ImportReject, ImportedUser, Settings, SignedUp, SignupError, SignupFinish,
};
use store::params;

use crate::world::{MINUTE, Person, World, commit, here, settings, worlds, worlds_with};

/// bcrypt of `U*U`, and Argon2id of `password` (both published vectors).
const OF_U_STAR_U: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const OF_PASSWORD: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn user(name: &str, hash: &str) -> ImportedUser {
    ImportedUser::parse(&format!("{name}@example.org"), hash, Some(1_000), 2_000).unwrap()
}

async fn import(world: &World, users: &[ImportedUser]) -> Vec<Import> {
    let mut tx = world.directory().await;
    let outcomes = world.identity.import_users(&mut tx, users).await.unwrap();
    commit(tx).await;
    world.identity.reload_imports(&mut world.read(store::TenantId::PLATFORM).await).await.unwrap();
    outcomes
}

/// The start of a first sign-in: `None` when it is refused.
async fn start(
    world: &World,
    person: &Person,
    password: &str,
) -> Option<(identity::SignupStarted, keyring::password::Registration)> {
    let (request, registration) = person.signup_request();
    let mut view = world.read(store::TenantId::PLATFORM).await;
    let candidate = world.identity.imported_start(&mut view, &request).await.unwrap();
    let proven = candidate.prove(password.as_bytes()).unwrap()?;
    Some((world.identity.imported_started(world.now(), proven), registration))
}

async fn come_in(world: &World, person: &mut Person, password: &str) -> SignedUp {
    let (started, registration) = start(world, person, password).await.unwrap();
    let finish = person.signup_finish(&started, registration, None);
    let signed_up = world.signup_finish(&started.state, finish).await.unwrap();
    person.totp = signed_up.totp.as_ref().map(|totp| totp.secret.clone());
    signed_up
}

async fn hashes_kept(world: &World) -> i64 {
    let sql = "SELECT count(*) FROM imported_user WHERE sealed_hash IS NOT NULL";
    let (count,): (i64,) =
        world.read(store::TenantId::PLATFORM).await.query_one(sql, params![]).await.unwrap();
    count
}

#[tokio::test]
async fn whoever_was_imported_comes_in_once_with_the_old_password_and_then_by_opaque() {
    for world in worlds().await {
        assert!(!world.identity.imports_are_open(), "nobody was imported");
        let outcomes = import(&world, &[user("ada", OF_U_STAR_U), user("bea", OF_PASSWORD)]).await;
        assert!(world.identity.imports_are_open());
        let [Import::Imported(number), Import::Imported(_)] = outcomes[..] else { panic!("{outcomes:?}") };

        let mut ada = Person::new("ada");
        ada.password = "U*U".into();
        assert!(start(&world, &ada, "U*V").await.is_none());
        let signed_up = come_in(&world, &mut ada, "U*U").await;
        assert_eq!(signed_up.number, number, "the number that the import said");
        assert_eq!(hashes_kept(&world).await, 1, "her hash is gone, the other one's is not");
        let letter = signed_up.letter.unwrap();
        assert_eq!((letter.kind(), letter.to().as_str()), ("imported_signed_in", "ada@example.org"));
        let session = world.session(&signed_up.session.token).await;
        let account = world.identity.account(&mut world.read(session.home()).await, &session).await.unwrap();
        assert_eq!(account.created_at, 1_000, "her account is as old as it was");

        assert!(start(&world, &ada, "U*U").await.is_none(), "once");
        assert!(ada.opens(&world.sign_in(&ada).await));

        let mut bea = Person::new("bea");
        come_in(&world, &mut bea, "password").await;
        assert_eq!(hashes_kept(&world).await, 0);
    }
}

#[tokio::test]
async fn an_import_may_be_repeated_and_touches_nobody_who_is_there() {
    for world in worlds().await {
        let (ada, _) = world.sign_up("ada").await;
        let first = import(&world, &[user("ada", OF_PASSWORD), user("bea", OF_U_STAR_U)]).await;
        assert!(matches!(first[..], [Import::HasAccount(_), Import::Imported(_)]), "{first:?}");
        assert!(start(&world, &ada, "password").await.is_none(), "an import opens nobody's account");
        world.sign_in(&ada).await;

        // With another hash, twice in one file, and again after she came in.
        let Import::Imported(number) = first[1] else { unreachable!() };
        let again = import(&world, &[user("bea", OF_PASSWORD), user("bea", OF_U_STAR_U)]).await;
        assert_eq!(again, [Import::Known(number); 2]);
        let mut bea = Person::new("bea");
        assert!(start(&world, &bea, "password").await.is_none());
        come_in(&world, &mut bea, "U*U").await;
        assert_eq!(import(&world, &[user("bea", OF_U_STAR_U)]).await, [Import::HasAccount(number)]);
        assert!(start(&world, &bea, "U*U").await.is_none());
        let twice = import(&world, &[user("cleo", OF_PASSWORD), user("cleo", OF_PASSWORD)]).await;
        assert!(matches!(twice[..], [Import::Imported(a), Import::Known(b)] if a == b), "{twice:?}");
    }
}

#[tokio::test]
async fn an_imported_address_is_not_for_whoever_signs_up_with_it() {
    for world in worlds().await {
        import(&world, &[user("ada", OF_U_STAR_U)]).await;
        let mut thief = Person::new("ada");
        let (started, registration) = world.signup_start(&thief).await;
        let finish = thief.signup_finish(&started, registration, None);
        assert!(matches!(world.signup_finish(&started.state, finish).await, Err(SignupError::AccountExists)));
        come_in(&world, &mut Person::new("ada"), "U*U").await;
    }
}

#[tokio::test]
async fn where_addresses_are_proved_a_code_is_asked_for_too_and_is_enough_for_who_forgot_the_password() {
    for world in worlds_with(Settings { mail_required: true, ..settings() }).await {
        let outcomes = import(&world, &[user("ada", OF_U_STAR_U), user("bea", OF_U_STAR_U)]).await;
        let [Import::Imported(adas), Import::Imported(_)] = outcomes[..] else { panic!("{outcomes:?}") };
        let code = |letter: &identity::Letter| {
            let text = letter.text();
            let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
            text.split_whitespace().find(is_code).unwrap().to_owned()
        };

        // Ada forgot her password: the address is hers, and so is the number.
        let mut ada = Person::new("ada");
        let (started, registration) = world.signup_start(&ada).await;
        let letter = started.letter.as_ref().unwrap();
        assert_eq!(letter.kind(), "code");
        let finish = ada.signup_finish(&started, registration, Some(&code(letter)));
        let signed_up = world.signup_finish(&started.state, finish).await.unwrap();
        assert_eq!(signed_up.number, adas);
        assert!(start(&world, &ada, "U*U").await.is_none(), "the old password is nothing any more");

        // A thief knows Bea's old password and does not read her mail.
        let mut bea = Person::new("bea");
        let (started, registration) = start(&world, &bea, "U*U").await.unwrap();
        assert!(started.needs_code);
        let finish = bea.signup_finish(&started, registration, Some("000000"));
        let mut right = finish.clone();
        assert!(matches!(world.signup_finish(&started.state, finish).await, Err(SignupError::WrongCode)));
        right.code = Some(code(started.letter.as_ref().unwrap()).into());
        world.signup_finish(&started.state, right).await.unwrap();
    }
}

#[tokio::test]
async fn of_two_first_sign_ins_at_once_one_gets_the_account() {
    for world in worlds().await {
        import(&world, &[user("ada", OF_U_STAR_U)]).await;
        let (mut one, mut other) = (Person::new("ada"), Person::new("ada"));
        let (started, registration) = start(&world, &one, "U*U").await.unwrap();
        let (late, late_registration) = start(&world, &other, "U*U").await.unwrap();
        let finish = one.signup_finish(&started, registration, None);
        let late_finish = other.signup_finish(&late, late_registration, None);
        let replay = finish.clone();
        let signed_up = world.signup_finish(&started.state, finish).await.unwrap();
        one.totp = signed_up.totp.map(|totp| totp.secret);
        for (state, finish) in [(&late.state, late_finish), (&started.state, replay)] {
            assert!(matches!(world.signup_finish(state, finish).await, Err(SignupError::AccountExists)));
        }
        assert!(one.opens(&world.sign_in(&one).await));
    }
}

/// Stops before the directory says 'live'.
async fn crash_before_live(world: &World, state: &str, finish: SignupFinish, home_too: bool) {
    let state = world.identity.signup_state(world.now(), state).unwrap();
    let signup = world.identity.signup_verify(state, finish).unwrap();
    let mut tx = world.directory().await;
    let reserved = world.identity.signup_reserve(&mut tx, signup).await.unwrap();
    commit(tx).await;
    if home_too {
        world.store.door.create_tenant(reserved.home()).await.unwrap();
        let mut tx = world.write(reserved.home()).await;
        world.identity.signup_found(&mut tx, &reserved, &here()).await.unwrap();
        commit(tx).await;
    }
}

#[tokio::test]
async fn a_crash_leaves_the_hash_until_the_password_is_live() {
    for home_too in [false, true] {
        for world in worlds().await {
            let outcomes = import(&world, &[user("ada", OF_U_STAR_U)]).await;
            let mut ada = Person::new("ada");
            let (started, registration) = start(&world, &ada, "U*U").await.unwrap();
            let finish = ada.signup_finish(&started, registration, None);
            crash_before_live(&world, &started.state, finish.clone(), home_too).await;
            assert_eq!(hashes_kept(&world).await, 1);

            // The same client goes on, on a server that was started anew.
            let world = world.restart().await;
            let signed_up = world.signup_finish(&started.state, finish).await.unwrap();
            assert_eq!(outcomes, [Import::Imported(signed_up.number)]);
            assert_eq!(hashes_kept(&world).await, 0);
        }
        for world in worlds().await {
            let outcomes = import(&world, &[user("ada", OF_U_STAR_U)]).await;
            let mut ada = Person::new("ada");
            let (started, registration) = start(&world, &ada, "U*U").await.unwrap();
            let finish = ada.signup_finish(&started, registration, None);
            crash_before_live(&world, &started.state, finish, home_too).await;

            // Nobody goes on: the sweep undoes it, and she comes in anew, with the same number.
            world.wait(20 * MINUTE);
            let mut tx = world.directory().await;
            assert!(world.identity.undo_signup(&mut tx, ada.account).await.unwrap());
            world.store.door.drop_tenant(ada.home).await.unwrap();
            commit(tx).await;
            let mut ada = Person::new("ada");
            let signed_up = come_in(&world, &mut ada, "U*U").await;
            assert_eq!(outcomes, [Import::Imported(signed_up.number)]);
        }
    }
}

#[tokio::test]
async fn who_deletes_the_account_does_not_leave_an_old_password_behind() {
    for world in worlds().await {
        import(&world, &[user("ada", OF_U_STAR_U)]).await;
        let mut ada = Person::new("ada");
        let signed_up = come_in(&world, &mut ada, "U*U").await;
        let session = world.session(&signed_up.session.token).await;
        let deletion =
            world.identity.delete_start(&mut world.read(session.home()).await, &session).await.unwrap();
        let mut tx = world.directory().await;
        world.identity.delete_begin(&mut tx, &deletion).await.unwrap();
        commit(tx).await;
        assert!(start(&world, &ada, "U*U").await.is_none());
        // The operator may take her over once more: she is somebody new.
        let again = import(&world, &[user("ada", OF_U_STAR_U)]).await;
        assert!(matches!(again[..], [Import::Imported(number)] if number != signed_up.number));
    }
}

#[tokio::test]
async fn the_hashes_lie_sealed_and_open_at_their_own_address_only() {
    for world in worlds().await {
        import(&world, &[user("ada", OF_U_STAR_U), user("eve", OF_PASSWORD)]).await;
        let (sealed,): (Vec<u8>,) = world
            .read(store::TenantId::PLATFORM)
            .await
            .query_one("SELECT sealed_hash FROM imported_user WHERE cost = 'bcrypt:5'", params![])
            .await
            .unwrap();
        assert!(!sealed.windows(7).any(|bytes| bytes == b"$2a$05$"));
        // Whoever writes to the database puts a hash of a password of their own in Ada's place.
        let mut tx = world.directory().await;
        tx.execute("UPDATE imported_user SET sealed_hash = $1", params![&sealed]).await.unwrap();
        commit(tx).await;
        let (request, _) = Person::new("eve").signup_request();
        let mut view = world.read(store::TenantId::PLATFORM).await;
        assert!(world.identity.imported_start(&mut view, &request).await.is_err());
    }
}

#[tokio::test]
async fn a_setting_turns_the_path_off() {
    for world in worlds_with(Settings { imported_sign_in: false, ..settings() }).await {
        import(&world, &[user("ada", OF_U_STAR_U)]).await;
        assert!(!world.identity.imports_are_open());
    }
}

#[test]
fn what_cannot_be_taken_is_refused_before_it_is_stored() {
    let parse = |email: &str, hash: &str, at: Option<i64>| ImportedUser::parse(email, hash, at, 2_000).err();
    assert_eq!(parse(" Ada@Example.ORG ", OF_PASSWORD, None), None);
    assert!(matches!(parse("ada", OF_PASSWORD, None), Some(ImportReject::Email(_))));
    assert_eq!(parse("ada@example.org", "plain", None), Some(ImportReject::Hash(HashError::Unsupported)));
    for at in [-1, 2_001] {
        assert_eq!(parse("ada@example.org", OF_PASSWORD, Some(at)), Some(ImportReject::CreatedAt));
    }
}
