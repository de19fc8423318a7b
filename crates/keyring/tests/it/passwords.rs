// SPDX-License-Identifier: Apache-2.0 OR MIT

use keyring::password::server::{RegistrationRecord, ServerError, ServerLoginState, ServerSetup};
use keyring::password::{Login, LoginFinished, PasswordError, Registration};
use keyring::{KdfError, KdfParams, MethodSecret, Password, SystemRng};

const CREDENTIAL: &[u8] = b"alice";

fn register(setup: &ServerSetup, password: &str) -> (RegistrationRecord, MethodSecret) {
    let password = Password::new(password).unwrap();
    let (registration, request) = Registration::start(&password, &mut SystemRng).unwrap();
    let response = setup.registration_response(&request, CREDENTIAL).unwrap();
    let finished = registration.finish(&response, KdfParams::FLOOR, &mut SystemRng).unwrap();
    (RegistrationRecord::from_upload(&finished.upload).unwrap(), finished.secret)
}

fn sign_in(
    setup: &ServerSetup,
    record: Option<&RegistrationRecord>,
    password: &str,
    params: KdfParams,
) -> (ServerLoginState, Result<LoginFinished, PasswordError>) {
    let (login, request) = Login::start(&Password::new(password).unwrap(), &mut SystemRng).unwrap();
    let (state, response) = setup.login_start(record, CREDENTIAL, &request, &mut SystemRng).unwrap();
    assert_eq!(response.len(), 320);
    (state, login.finish(&response, params, &mut SystemRng))
}

#[test]
fn the_right_password_signs_in_and_unlocks_the_same_secret() {
    let setup = ServerSetup::generate(&mut SystemRng);
    let (record, secret) = register(&setup, "correct horse");
    // Everything that the server keeps survives being stored.
    let setup = ServerSetup::from_bytes(&setup.to_bytes()).unwrap();
    let record = RegistrationRecord::from_bytes(&record.to_bytes()).unwrap();

    let (state, finished) = sign_in(&setup, Some(&record), "correct horse", KdfParams::FLOOR);
    let finished = finished.unwrap();
    let state = ServerLoginState::from_bytes(&state.to_bytes()).unwrap();
    assert_eq!(state.finish(&finished.finalization).unwrap(), finished.session_key);
    assert_eq!(finished.secret.lookup(), secret.lookup());
    assert_eq!(finished.secret.key_pair().public_key(), secret.key_pair().public_key());
}

#[test]
fn a_wrong_password_an_unknown_account_and_another_server_look_the_same() {
    let setup = ServerSetup::generate(&mut SystemRng);
    let (record, _) = register(&setup, "correct horse");
    let other_server = ServerSetup::generate(&mut SystemRng);
    let slower = KdfParams::checked(19_456, 3, 1).unwrap();
    let outcomes = [
        sign_in(&setup, Some(&record), "correct horsf", KdfParams::FLOOR).1,
        sign_in(&setup, Some(&record), "correct horse", slower).1,
        sign_in(&setup, None, "correct horse", KdfParams::FLOOR).1,
        sign_in(&other_server, Some(&record), "correct horse", KdfParams::FLOOR).1,
    ];
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err(), PasswordError::WrongPassword);
    }
}

#[test]
fn a_proof_of_another_sign_in_is_refused() {
    let setup = ServerSetup::generate(&mut SystemRng);
    let (record, _) = register(&setup, "correct horse");
    let (_, first) = sign_in(&setup, Some(&record), "correct horse", KdfParams::FLOOR);
    let (second, _) = sign_in(&setup, None, "correct horse", KdfParams::FLOOR);
    let replayed = second.finish(&first.unwrap().finalization);
    assert_eq!(replayed.unwrap_err(), ServerError::WrongPassword);
}

#[test]
fn a_changed_answer_never_signs_in() {
    let setup = ServerSetup::generate(&mut SystemRng);
    let (record, _) = register(&setup, "correct horse");
    let password = Password::new("correct horse").unwrap();
    // One byte of each field: evaluation, masking nonce, masked response, server nonce, key share, proof.
    for place in [0, 32, 64, 192, 224, 256, 319] {
        let (login, request) = Login::start(&password, &mut SystemRng).unwrap();
        let (_, mut response) =
            setup.login_start(Some(&record), CREDENTIAL, &request, &mut SystemRng).unwrap();
        response[place] ^= 1;
        assert!(login.finish(&response, KdfParams::FLOOR, &mut SystemRng).is_err(), "byte {place}");
    }
}

#[test]
fn malformed_messages_are_errors() {
    let setup = ServerSetup::generate(&mut SystemRng);
    for length in [0, 1, 31, 32, 64, 96, 192, 193, 320] {
        let junk = vec![0xff; length];
        assert_eq!(setup.registration_response(&junk, CREDENTIAL).unwrap_err(), ServerError::Malformed);
        assert!(setup.login_start(None, CREDENTIAL, &junk, &mut SystemRng).is_err());
        assert!(RegistrationRecord::from_upload(&junk).is_err());
        let stored = [vec![1], junk.clone()].concat();
        assert_eq!(RegistrationRecord::from_bytes(&stored).unwrap_err(), ServerError::Malformed);
        assert_eq!(ServerSetup::from_bytes(&stored).unwrap_err(), ServerError::Malformed);
        let password = Password::new("x").unwrap();
        let (registration, _) = Registration::start(&password, &mut SystemRng).unwrap();
        let outcome = registration.finish(&junk, KdfParams::FLOOR, &mut SystemRng);
        assert_eq!(outcome.unwrap_err(), PasswordError::Malformed);
    }
    let longer = |mut stored: Vec<u8>| {
        stored.push(0);
        stored
    };
    let setup_bytes = longer(setup.to_bytes().to_vec());
    assert_eq!(ServerSetup::from_bytes(&setup_bytes).unwrap_err(), ServerError::Malformed);
    let (_, request) = Login::start(&Password::new("x").unwrap(), &mut SystemRng).unwrap();
    let (state, _) = setup.login_start(None, CREDENTIAL, &request, &mut SystemRng).unwrap();
    let state = longer(state.to_bytes().to_vec());
    assert_eq!(ServerLoginState::from_bytes(&state).unwrap_err(), ServerError::Malformed);
    assert_eq!(ServerSetup::from_bytes(&[9, 0]).unwrap_err(), ServerError::UnknownVersion(9));
    assert_eq!(RegistrationRecord::from_bytes(&[]).unwrap_err(), ServerError::Malformed);
}

#[test]
fn a_password_has_1_to_1024_bytes() {
    assert_eq!(Password::new("").unwrap_err(), PasswordError::Empty);
    assert!(Password::new(" ").is_ok());
    assert!(Password::new(&"x".repeat(1024)).is_ok());
    assert_eq!(Password::new(&"é".repeat(513)).unwrap_err(), PasswordError::TooLong);
    assert_eq!(format!("{:?}", Password::new("secret").unwrap()), "Password(***REDACTED***)");
}

#[test]
fn a_server_cannot_choose_a_cheap_or_a_ruinous_hash() {
    use KdfError::*;
    let default = KdfParams::default();
    assert_eq!((default.memory_kib(), default.passes(), default.lanes()), (65_536, 3, 1));
    assert_eq!(KdfParams::checked(65_536, 3, 1), Ok(default));
    assert_eq!(KdfParams::checked(19_456, 2, 1), Ok(KdfParams::FLOOR));
    assert_eq!(KdfParams::checked(1_048_576, 10, 4), Ok(KdfParams::CEILING));
    assert_eq!(KdfParams::checked(19_455, 3, 1), Err(TooLittleMemory(19_455)));
    assert_eq!(KdfParams::checked(65_536, 1, 1), Err(TooFewPasses(1)));
    assert_eq!(KdfParams::checked(65_536, 3, 0), Err(NoLanes));
    assert_eq!(KdfParams::checked(1_048_577, 3, 1), Err(TooMuchMemory(1_048_577)));
    assert_eq!(KdfParams::checked(65_536, 11, 1), Err(TooManyPasses(11)));
    assert_eq!(KdfParams::checked(65_536, 3, 5), Err(TooManyLanes(5)));
}
