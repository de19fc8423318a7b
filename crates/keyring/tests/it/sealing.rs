// SPDX-License-Identifier: Apache-2.0 OR MIT

use keyring::sealed::{Context, OpenError, Sealed, SealingKey};
use keyring::{AccountId, SplitKey, SystemRng, TenantId};

use crate::places::*;
use crate::replay::Replay;

fn context() -> Context {
    Context::new("test", ALICE).object(b"one").version(7)
}

#[test]
fn what_was_sealed_opens_in_its_place() {
    let key = SealingKey::generate(&mut SystemRng);
    for length in [0, 1, 15, 16, 17, 64, 100_000] {
        let plaintext = vec![0x5a; length];
        let sealed = key.seal(&plaintext, &context(), &mut SystemRng);
        assert_eq!(sealed.as_bytes().len(), length + Sealed::OVERHEAD);
        let stored = Sealed::parse(sealed.into_bytes()).unwrap();
        assert_eq!(*key.open(&stored, &context()).unwrap(), plaintext);
    }
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let key = SealingKey::generate(&mut SystemRng);
    assert_ne!(key.seal(b"x", &context(), &mut SystemRng), key.seal(b"x", &context(), &mut SystemRng));
}

#[test]
fn every_change_of_one_byte_is_noticed() {
    let key = SealingKey::from_bytes([1; 32]);
    let sealed = key.seal(b"content", &context(), &mut Replay::of("mutations"));
    for (place, changed) in mutations(sealed.as_bytes()) {
        let outcome = Sealed::parse(changed.clone()).and_then(|sealed| key.open(&sealed, &context()));
        let expected = match place {
            0 => OpenError::UnknownVersion(changed[0]),
            1 => OpenError::UnknownSuite(changed[1]),
            _ => OpenError::WrongKeyOrContext,
        };
        assert_eq!(outcome.unwrap_err(), expected, "byte {place}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let key = SealingKey::from_bytes([1; 32]);
    let sealed = key.seal(b"content", &context(), &mut SystemRng).into_bytes();
    for length in 0..sealed.len() {
        let outcome = Sealed::parse(&sealed[..length]).and_then(|sealed| key.open(&sealed, &context()));
        let expected =
            if length < Sealed::OVERHEAD { OpenError::Truncated } else { OpenError::WrongKeyOrContext };
        assert_eq!(outcome.unwrap_err(), expected, "{length} bytes");
    }
    let longer = [sealed, vec![0]].concat();
    assert_eq!(
        key.open(&Sealed::parse(longer).unwrap(), &context()).unwrap_err(),
        OpenError::WrongKeyOrContext
    );
}

#[test]
fn another_key_or_another_place_does_not_open() {
    let key = SealingKey::generate(&mut SystemRng);
    let sealed = key.seal(b"content", &context(), &mut SystemRng);
    let elsewhere = [
        Context::new("other", ALICE).object(b"one").version(7),
        Context::new("test", BOB).object(b"one").version(7),
        Context::new("test", TenantId::from(*ALICE.as_bytes())).object(b"one").version(7),
        Context::new("test", ALICE).object(b"two").version(7),
        Context::new("test", ALICE).object(b"on").object(b"e").version(7),
        Context::new("test", ALICE).object(b"one").object(b"").version(7),
        Context::new("test", ALICE).version(7),
        Context::new("test", ALICE).object(b"one").version(8),
        Context::new("test", ALICE).object(b"one"),
    ];
    for place in elsewhere {
        assert_eq!(key.open(&sealed, &place).unwrap_err(), OpenError::WrongKeyOrContext, "{place:?}");
    }
    let other = SealingKey::generate(&mut SystemRng);
    assert_eq!(other.open(&sealed, &context()).unwrap_err(), OpenError::WrongKeyOrContext);
}

#[test]
fn a_device_secret_needs_both_halves_and_its_device() {
    let (local, server) = SplitKey::generate(&mut SystemRng);
    let split = SplitKey::join(&local, &server, &ALICE, &DEVICE);
    let sealed = split.seal(b"the master key", &mut SystemRng);
    assert_eq!(split.open(&sealed).unwrap().as_slice(), b"the master key");

    let (other_local, other_server) = SplitKey::generate(&mut SystemRng);
    let others = [
        SplitKey::join(&other_local, &server, &ALICE, &DEVICE),
        SplitKey::join(&local, &other_server, &ALICE, &DEVICE),
        SplitKey::join(&local, &server, &BOB, &DEVICE),
        SplitKey::join(&local, &server, &ALICE, &[0; 16].into()),
    ];
    for other in others {
        assert_eq!(other.open(&sealed).unwrap_err(), OpenError::WrongKeyOrContext);
    }
}

#[test]
fn secrets_do_not_print() {
    let key = SealingKey::from_bytes([0xab; 32]);
    assert_eq!(format!("{key:?}"), "SealingKey(***REDACTED***)");
    let (local, server) = SplitKey::generate(&mut Replay::of("print"));
    let split = SplitKey::join(&local, &server, &AccountId::from([0; 16]), &DEVICE);
    let printed = format!("{local:?} {server:?} {split:?}");
    assert_eq!(printed.matches("***REDACTED***").count(), 3, "{printed}");
}
