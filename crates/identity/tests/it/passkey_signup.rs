// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accounts that are made with a passkey, and what a crash leaves of them.

use identity::{
    Arrival, Assertion, ChangeError, MethodLabel, MethodLookup, PasskeySignupFinish, PasskeySignupStart,
    Registration, RelyingParty, Settings, SignedIn, SigninError, Signup, SignupError, Unlocking,
};
use keyring::passkey::PRF_INPUT;
use keyring::{MethodKind, MethodSecret, SystemRng, UserHandle};
use store::TenantId;

use crate::authenticator::Authenticator;
use crate::world::{MINUTE, Person, World, commit, device, here, settings, worlds_with};

const ORIGIN: &str = "https://id.example.org";
const DOMAIN: &str = "example.org";

fn with_passkeys() -> Settings {
    let relying_party = RelyingParty::new(DOMAIN, [ORIGIN.to_owned()]).unwrap();
    Settings { relying_party: Some(relying_party), ..settings() }
}

/// A sign-up whose passkey was made, and not sent yet.
struct Asked {
    state: String,
    finish: PasskeySignupFinish,
}

fn request(person: &Person) -> PasskeySignupStart {
    PasskeySignupStart {
        email_hash: person.email.hash(),
        email_key: person.email_key.clone(),
        sealed_email: person.email_key.seal(&person.email, &identity::NO_ACCOUNT, &mut SystemRng),
    }
}

async fn asked(world: &World, person: &mut Person, phone: &Authenticator) -> Asked {
    let mut view = world.read(TenantId::PLATFORM).await;
    let started = world.identity.passkey_signup_start(&mut view, &request(person)).await.unwrap();
    (person.account, person.home, person.method) = (started.account, started.home, started.method);
    let challenge = started.challenge;
    let made = phone
        .create(DOMAIN, &challenge.challenge, started.user_handle.expose(), &[], Some(PRF_INPUT))
        .unwrap();
    let secret = MethodSecret::of_passkey(&made.prf.unwrap()).unwrap();
    let public_key = secret.key_pair().public_key();
    person.secret = Some(secret);
    let id = keyring::MethodId::from_bytes(*person.method.as_bytes());
    let finish = PasskeySignupFinish {
        code: None,
        registration: Registration {
            client_data_json: made.client_data_json,
            attestation_object: made.attestation_object,
        },
        label: MethodLabel::new("phone").unwrap(),
        unlocking: Unlocking {
            sealed_master_key: person.master.seal_to(
                &public_key,
                &person.place(person.method, 1),
                &mut SystemRng,
            ),
            tag: person.master.authenticate_method(
                &person.account.into(),
                &id,
                MethodKind::Passkey,
                &public_key,
            ),
            public_key,
            master_key_version: 1,
            slow_hash: None,
        },
        identity_public: person.master.account_key().identity_keys(1).public(),
        email_key: person.email_key.clone(),
        device: device("phone"),
    };
    Asked { state: challenge.state, finish }
}

fn verified(world: &World, asked: &Asked) -> Result<Signup, SignupError> {
    let state = world.identity.signup_state(world.now(), &asked.state)?;
    world.identity.passkey_signup_verify(state, asked.finish.clone())
}

async fn sign_in(world: &World, phone: &Authenticator) -> Result<SignedIn, SigninError> {
    let started = world.identity.passkey_signin_start(world.now()).unwrap();
    let shown = phone.get(DOMAIN, &started.challenge, &[], Some(PRF_INPUT)).unwrap();
    let handle = UserHandle::from_bytes(shown.user_handle.as_slice().try_into().unwrap());
    let lookup = MethodLookup::new(MethodKind::Passkey, handle.lookup());
    let state = world.identity.passkey_signin_state(world.now(), &started.state)?;
    let mut view = world.read(TenantId::PLATFORM).await;
    let proof = world.identity.passkey_proof(&mut view, state, &lookup).await?;
    drop(view);
    let assertion = Assertion {
        credential_id: shown.id,
        client_data_json: shown.client_data_json,
        authenticator_data: shown.authenticator_data,
        signature: shown.signature,
    };
    let arrival = Arrival { device: device("phone"), device_token: None, place: here() };
    let mut tx = world.enter(proof.home()).await.map_err(identity::Failure::from)?;
    let signed_in = world.identity.passkey_signin(&mut tx, &proof, &lookup, &assertion, &arrival).await?;
    commit(tx).await;
    Ok(signed_in)
}

#[tokio::test]
async fn an_account_of_a_passkey_has_neither_password_nor_second_factor() {
    for world in worlds_with(with_passkeys()).await {
        let (mut ada, phone) = (Person::new("ada"), Authenticator::on(ORIGIN));
        let asked = asked(&world, &mut ada, &phone).await;
        let signed_up = world.make(verified(&world, &asked).unwrap()).await.unwrap();
        assert!(signed_up.totp.is_none());
        assert!(world.session(&signed_up.session.token).await.is_fresh(world.now()));
        let signed_in = sign_in(&world, &phone).await.unwrap();
        assert!(ada.opens(&signed_in));
        assert_eq!((signed_in.backup_codes_left, &signed_in.address.as_ref().unwrap().0), (0, &ada.email));

        // No password signs in, also not an empty one, and none is set while there is no second factor.
        let refused = world.try_sign_in(&ada, ada.backup_code(0)).await;
        assert!(matches!(refused, Err(SigninError::InvalidCredentials)));
        let session = world.session(&signed_in.session.token).await;
        let old = world.identity.password_named(&mut world.read(TenantId::PLATFORM).await, &session).await;
        let old = old.unwrap();
        assert_ne!(old, ada.method, "a new password takes the place of no passkey");
        let mut view = world.read(ada.home).await;
        let started = world.identity.password_start(&mut view, &session, old, &[0; 32]).await;
        assert!(matches!(started, Err(ChangeError::NoSecondFactor)));
        drop(view);

        // The sweep finds nothing to clear away.
        world.wait(24 * 60 * MINUTE);
        let listed =
            world.identity.listed_methods(&mut world.read(TenantId::PLATFORM).await, ada.account).await;
        let listed = listed.unwrap();
        assert_eq!((listed.password, listed.others.as_slice()), (None, &[ada.method][..]));
        let unmatched = world.identity.unmatched_methods(&mut world.read(ada.home).await, &listed).await;
        let unmatched = unmatched.unwrap();
        assert!(unmatched.lookups.is_empty() && !unmatched.has_unnamed_password);
        sign_in(&world, &phone).await.unwrap();
        // The address is taken, for a password as for another passkey.
        let (mut eve, other) = (Person::new("ada"), Authenticator::on(ORIGIN));
        let theirs = self::asked(&world, &mut eve, &other).await;
        let refused = world.make(verified(&world, &theirs).unwrap()).await;
        assert!(matches!(refused, Err(SignupError::AccountExists)));
        assert!(sign_in(&world, &other).await.is_err());
    }
}

#[tokio::test]
async fn what_is_not_as_it_was_asked_for_makes_no_account() {
    for world in worlds_with(with_passkeys()).await {
        let (mut ada, phone) = (Person::new("ada"), Authenticator::on(ORIGIN));
        let good = asked(&world, &mut ada, &phone).await;
        let other = asked(&world, &mut Person::new("bea"), &Authenticator::on(ORIGIN)).await;
        let with = |change: &dyn Fn(&mut PasskeySignupFinish)| {
            let mut asked = Asked { state: good.state.clone(), finish: good.finish.clone() };
            change(&mut asked.finish);
            verified(&world, &asked).err().expect("it is refused")
        };
        let another_answer = with(&|finish| finish.registration = other.finish.registration.clone());
        assert!(matches!(another_answer, SignupError::Ceremony(_)));
        let another_key = with(&|finish| finish.email_key = Person::new("eve").email_key);
        assert!(matches!(another_key, SignupError::Field("email_key")));
        for change in [2, 0] {
            let version = with(&|finish| finish.unlocking.master_key_version = change);
            assert!(matches!(version, SignupError::Field("unlocking")));
        }
        // A state is good for the method that it was sealed for.
        let (started, registration) = world.signup_start(&Person::new("cid")).await;
        let of_password = Asked { state: started.state.clone(), finish: good.finish.clone() };
        assert!(matches!(verified(&world, &of_password), Err(SignupError::Restart)));
        let finish = Person::new("cid").signup_finish(&started, registration, None);
        let crossed = world.signup_finish(&good.state, finish).await;
        assert!(matches!(crossed, Err(SignupError::Restart)));
        world.wait(15 * MINUTE);
        assert!(matches!(verified(&world, &good), Err(SignupError::Restart)), "too late");
    }
}

#[tokio::test]
async fn where_addresses_must_be_proved_a_passkey_proves_none() {
    for world in worlds_with(Settings { mail_required: true, ..with_passkeys() }).await {
        let (mut ada, phone) = (Person::new("ada"), Authenticator::on(ORIGIN));
        let mut view = world.read(TenantId::PLATFORM).await;
        let started = world.identity.passkey_signup_start(&mut view, &request(&ada)).await.unwrap();
        assert!(started.needs_code);
        let letter = started.letter.unwrap();
        assert_eq!((letter.kind(), letter.to()), ("code", &ada.email));
        drop(view);
        let asked = asked(&world, &mut ada, &phone).await;
        assert!(matches!(verified(&world, &asked), Err(SignupError::WrongCode)));
        let guess = Asked {
            finish: PasskeySignupFinish { code: Some("000000x".to_owned().into()), ..asked.finish },
            ..asked
        };
        assert!(matches!(verified(&world, &guess), Err(SignupError::WrongCode)));
    }
}

/// Stops before the directory says 'live'.
async fn crash(world: &World, asked: &Asked, home_too: bool) {
    let mut tx = world.directory().await;
    let signup = verified(world, asked).unwrap();
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
async fn after_a_crash_before_the_home_the_sweep_frees_the_address_and_the_handle() {
    for world in worlds_with(with_passkeys()).await {
        let (mut ada, phone) = (Person::new("ada"), Authenticator::on(ORIGIN));
        let asked = asked(&world, &mut ada, &phone).await;
        crash(&world, &asked, false).await;
        assert!(sign_in(&world, &phone).await.is_err());
        world.wait(20 * MINUTE);
        let left = world.identity.unfinished_signups(&mut world.read(TenantId::PLATFORM).await, 10).await;
        assert_eq!(left.unwrap()[0].account, ada.account);
        let mut tx = world.directory().await;
        assert!(world.identity.undo_signup(&mut tx, ada.account).await.unwrap());
        commit(tx).await;
        let rows: Vec<(i64,)> = world
            .read(TenantId::PLATFORM)
            .await
            .query("SELECT created_at FROM login_lookup", &[])
            .await
            .unwrap();
        assert!(rows.is_empty());
        world.sign_up("ada").await;
    }
}

#[tokio::test]
async fn after_a_crash_behind_the_home_the_same_request_or_the_sweep_finishes() {
    for by_sweep in [false, true] {
        for world in worlds_with(with_passkeys()).await {
            let (mut ada, phone) = (Person::new("ada"), Authenticator::on(ORIGIN));
            let asked = asked(&world, &mut ada, &phone).await;
            crash(&world, &asked, true).await;
            // Another passkey under the same state is another sign-up.
            let mut other = Asked { state: asked.state.clone(), finish: asked.finish.clone() };
            other.finish.unlocking.sealed_master_key = ada.master.seal_to(
                &other.finish.unlocking.public_key,
                &ada.place(ada.method, 1),
                &mut SystemRng,
            );
            let refused = world.make(verified(&world, &other).unwrap()).await;
            assert!(matches!(refused, Err(SignupError::AccountExists)));
            if by_sweep {
                world.wait(20 * MINUTE);
                let mut tx = world.directory().await;
                assert!(world.identity.finish_signup(&mut tx, ada.account).await.unwrap());
                commit(tx).await;
            } else {
                let signed_up = world.make(verified(&world, &asked).unwrap()).await.unwrap();
                assert!(signed_up.totp.is_none() && world.is_live(&signed_up.session.token).await);
            }
            assert!(ada.opens(&sign_in(&world, &phone).await.unwrap()));
        }
    }
}
