// SPDX-License-Identifier: Apache-2.0 OR MIT

use keyring::master::UnknownMethod;
use keyring::method::{KeyError, MethodSecretError};
use keyring::*;

use crate::places::*;
use crate::replay::Replay;

fn method(byte: u8) -> MethodSecret {
    MethodSecret::from_bytes(&[byte; 32]).unwrap()
}

#[test]
fn the_master_key_opens_with_the_method_it_was_sealed_to() {
    let master = MasterKey::generate(&mut SystemRng);
    let method = method(1);
    let public = MethodPublicKey::from_bytes(&method.key_pair().public_key().to_bytes()).unwrap();
    let sealed = master.seal_to(&public, &MASTER_KEY, &mut SystemRng);
    let stored = SealedMasterKey::parse(sealed.as_bytes()).unwrap();
    assert_eq!(stored.open(&method.key_pair(), &MASTER_KEY).unwrap(), master);
}

#[test]
fn a_sealed_master_key_is_bound_to_account_method_and_version() {
    let sealed = MasterKey::generate(&mut SystemRng).seal_to(
        &method(1).key_pair().public_key(),
        &MASTER_KEY,
        &mut SystemRng,
    );
    let elsewhere = [
        MasterKeyPlace { account: BOB, ..MASTER_KEY },
        MasterKeyPlace { method: [0; 16].into(), ..MASTER_KEY },
        MasterKeyPlace { key_version: 2, ..MASTER_KEY },
    ];
    for place in elsewhere {
        assert_eq!(sealed.open(&method(1).key_pair(), &place).unwrap_err(), OpenError::WrongKeyOrContext);
    }
    assert_eq!(sealed.open(&method(2).key_pair(), &MASTER_KEY).unwrap_err(), OpenError::WrongKeyOrContext);
}

#[test]
fn every_change_of_one_byte_of_a_sealed_master_key_is_noticed() {
    let keys = method(1).key_pair();
    let sealed =
        MasterKey::from_bytes([7; 32]).seal_to(&keys.public_key(), &MASTER_KEY, &mut Replay::of("mutations"));
    assert_eq!(sealed.as_bytes().len(), SealedMasterKey::LEN);
    for (place, changed) in mutations(sealed.as_bytes()) {
        let outcome =
            SealedMasterKey::parse(changed.clone()).and_then(|sealed| sealed.open(&keys, &MASTER_KEY));
        let expected = match place {
            0 => OpenError::UnknownVersion(changed[0]),
            1 => OpenError::UnknownSuite(changed[1]),
            _ => OpenError::WrongKeyOrContext,
        };
        assert_eq!(outcome.unwrap_err(), expected, "byte {place}");
    }
    for length in 0..sealed.as_bytes().len() {
        assert_eq!(SealedMasterKey::parse(&sealed.as_bytes()[..length]).unwrap_err(), OpenError::Truncated);
    }
}

#[test]
fn a_server_cannot_slip_in_a_method_of_its_own() {
    let master = MasterKey::generate(&mut SystemRng);
    let (own, foreign) = (method(1).key_pair().public_key(), method(2).key_pair().public_key());
    let tag = master.authenticate_method(&ALICE, &METHOD, MethodKind::Password, &own);
    let tag = MethodTag::from_bytes(*tag.as_bytes());
    assert_eq!(master.verify_method(&ALICE, &METHOD, MethodKind::Password, &own, &tag), Ok(()));

    let other_master = MasterKey::generate(&mut SystemRng);
    let forgeries = [
        master.verify_method(&ALICE, &METHOD, MethodKind::Password, &foreign, &tag),
        master.verify_method(&BOB, &METHOD, MethodKind::Password, &own, &tag),
        master.verify_method(&ALICE, &[0; 16].into(), MethodKind::Password, &own, &tag),
        master.verify_method(&ALICE, &METHOD, MethodKind::Passkey, &own, &tag),
        other_master.verify_method(&ALICE, &METHOD, MethodKind::Password, &own, &tag),
    ];
    assert!(forgeries.iter().all(|forgery| *forgery == Err(UnknownMethod)));
    for (_, changed) in mutations(tag.as_bytes()) {
        let tag = MethodTag::from_bytes(changed.try_into().unwrap());
        assert!(master.verify_method(&ALICE, &METHOD, MethodKind::Password, &own, &tag).is_err());
    }
}

#[test]
fn a_method_secret_is_long_enough_and_not_zero() {
    for length in [0, 16, 31, 65] {
        assert_eq!(MethodSecret::from_bytes(&vec![1; length]).unwrap_err(), MethodSecretError::WrongLength);
    }
    assert_eq!(MethodSecret::from_bytes(&[0; 32]).unwrap_err(), MethodSecretError::AllZero);
    assert!(MethodSecret::from_bytes(&[1; 64]).is_ok());
    assert_ne!(method(1).lookup(), method(2).lookup());
    assert_eq!(format!("{:?} {:?}", method(1), method(1).key_pair()), {
        "MethodSecret(***REDACTED***) MethodKeyPair(***REDACTED***)"
    });
}

#[test]
fn what_is_no_public_key_is_refused() {
    let bytes = method(1).key_pair().public_key().to_bytes();
    assert_eq!(bytes.len(), MethodPublicKey::LEN);
    assert_eq!(MethodPublicKey::from_bytes(&[]).unwrap_err(), KeyError::WrongLength);
    assert_eq!(MethodPublicKey::from_bytes(&bytes[1..]).unwrap_err(), KeyError::UnknownVersion(bytes[1]));
    assert_eq!(MethodPublicKey::from_bytes(&bytes[..1216]).unwrap_err(), KeyError::WrongLength);
    // ML-KEM's coefficients must be below its modulus.
    let beyond = [vec![1], vec![0xff; 1216]].concat();
    assert_eq!(MethodPublicKey::from_bytes(&beyond).unwrap_err(), KeyError::Invalid);
}
