// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keys that people and programs keep as text: recovery keys and API keys; and what they open.

use std::collections::HashSet;

use keyring::api_key::ApiKeyError;
use keyring::method::MethodSecretError;
use keyring::recovery::RecoveryKeyError;
use keyring::*;
use proptest::prelude::*;

use crate::places::*;

const HOME: TenantId = TenantId::from_bytes([0x40; 16]);
const SALT: MethodSalt = MethodSalt::from_bytes([0x5a; 16]);

#[test]
fn a_recovery_key_is_read_as_people_type_it() {
    let key = RecoveryKey::from_bytes([0x5c; 32]);
    let text = key.to_text();
    assert_eq!(text.len(), 56 + 13);
    assert!(text.split('-').all(|group| group.len() == 4));
    let typed = [
        text.to_string(),
        text.to_lowercase(),
        text.replace('-', " "),
        text.replace('-', ""),
        text.replace('0', "O").replace('1', "l"),
        format!("  {}\n", text.replace('-', " \u{2014} ")),
    ];
    for typed in typed {
        assert_eq!(RecoveryKey::parse(&typed).unwrap(), key, "{typed}");
    }
    assert_eq!(format!("{key:?}"), "RecoveryKey(***REDACTED***)");
}

#[test]
fn a_typing_error_is_told_from_a_wrong_key() {
    let key = RecoveryKey::from_bytes([0x5c; 32]);
    let text = key.to_text();
    assert_eq!(RecoveryKey::parse("").unwrap_err(), RecoveryKeyError::Length { found: 0 });
    assert_eq!(RecoveryKey::parse(&text[5..]).unwrap_err(), RecoveryKeyError::Length { found: 52 });
    assert_eq!(RecoveryKey::parse(&format!("{}0", *text)).unwrap_err(), {
        RecoveryKeyError::Length { found: 57 }
    });
    let strange = format!("{}U{}", &text[..11], &text[12..]);
    assert_eq!(RecoveryKey::parse(&strange).unwrap_err(), RecoveryKeyError::Symbol { group: 3 });

    // Each single symbol mistyped as each other one, and each pair of neighbours swapped.
    let symbols: Vec<char> = text.chars().collect();
    for place in (0..symbols.len()).filter(|place| symbols[*place] != '-') {
        for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|other| *other != symbols[place]) {
            let mut typed = symbols.clone();
            typed[place] = other;
            let typed: String = typed.into_iter().collect();
            assert_eq!(RecoveryKey::parse(&typed).unwrap_err(), RecoveryKeyError::Checksum, "{typed}");
        }
    }
    // A key that reads well is only ever a wrong key.
    assert!(RecoveryKey::parse(&RecoveryKey::generate(&mut SystemRng).to_text()).unwrap() != key);
}

#[test]
fn a_recovery_key_shows_one_half_and_unlocks_with_the_other() {
    let (key, other) = (RecoveryKey::from_bytes([1; 32]), RecoveryKey::from_bytes([2; 32]));
    assert_ne!(key.lookup(), other.lookup());
    let public = |key: &RecoveryKey, salt| {
        key.method_secret(salt, KdfParams::FLOOR).unwrap().key_pair().public_key().to_bytes()
    };
    let salt = MethodSalt::generate(&mut SystemRng);
    assert_eq!(public(&key, &SALT), public(&key, &SALT));
    assert_ne!(public(&key, &SALT), public(&key, &salt));
    assert_ne!(public(&key, &SALT), public(&other, &SALT));
}

#[test]
fn an_api_key_is_sent_by_its_first_half_alone() {
    let key = ApiKey::generate(HOME, true, &mut SystemRng);
    let text = key.to_text();
    let read: ApiKey = text.parse().unwrap();
    assert_eq!(read, key);
    assert_eq!(text.len(), ApiKeyAuth::LEN + 45);

    let sent = key.auth().to_text();
    assert_eq!(sent.len(), ApiKeyAuth::LEN);
    let auth: ApiKeyAuth = sent.parse().unwrap();
    assert_eq!((auth.home(), auth.auth_hash()), (HOME, key.auth().auth_hash()));
    assert_eq!(text.parse::<ApiKeyAuth>().unwrap_err(), ApiKeyError::Unlocks);
    let unlock = text.split('_').nth(2).unwrap();
    assert!(!sent.contains(unlock));
    assert!(sent.parse::<ApiKey>().unwrap().unlock().is_none());
}

#[test]
fn an_api_key_without_an_unlocking_half_is_what_is_sent() {
    let key = ApiKey::generate(HOME, false, &mut SystemRng);
    assert!(key.unlock().is_none());
    assert_eq!(*key.to_text(), *key.auth().to_text());
}

#[test]
fn an_api_key_that_was_cut_or_changed_says_so() {
    let key = ApiKey::generate(HOME, true, &mut SystemRng);
    let text = key.to_text();
    assert_eq!("".parse::<ApiKey>().unwrap_err(), ApiKeyError::Prefix);
    assert_eq!(text.replace("bwk_", "bws_").parse::<ApiKey>().unwrap_err(), ApiKeyError::Prefix);
    for length in 4..text.len() {
        let error = text[..length].parse::<ApiKey>().unwrap_err();
        assert!(matches!(error, ApiKeyError::Checksum | ApiKeyError::Form), "{length}");
    }
    for more in ["0", "_", "_0", " "] {
        assert_eq!(format!("{}{more}", *text).parse::<ApiKey>().unwrap_err(), ApiKeyError::Form);
    }
    // Halves of two keys do not make one.
    let other = ApiKey::generate(HOME, true, &mut SystemRng).to_text();
    let (ours, theirs): (Vec<_>, Vec<_>) = (text.split('_').collect(), other.split('_').collect());
    let mixed = format!("bwk_{}_{}_{}", ours[1], theirs[2], ours[3]);
    assert_eq!(mixed.parse::<ApiKey>().unwrap_err(), ApiKeyError::Checksum);
    // Nor does leaving the unlocking half out, unless the checksum is that of the sent form.
    assert_eq!(
        format!("bwk_{}_{}", ours[1], ours[3]).parse::<ApiKeyAuth>().unwrap_err(),
        ApiKeyError::Checksum
    );
    for (place, character) in text.char_indices().skip(4).filter(|(_, character)| *character != '_') {
        let other = if character == '0' { '1' } else { '0' };
        let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
        let error = changed.parse::<ApiKey>().unwrap_err();
        assert!(matches!(error, ApiKeyError::Checksum | ApiKeyError::Form), "{place}");
    }
}

#[test]
fn an_api_keys_name_gives_nothing_away() {
    let key = ApiKey::generate(HOME, true, &mut SystemRng);
    let id = key.auth().public_id();
    assert_eq!(id, ApiKeyId::of_hash(&key.auth().auth_hash()));
    assert_eq!(id.as_str().to_lowercase().parse::<ApiKeyId>().unwrap(), id);
    assert!(format!("{}0", id).parse::<ApiKeyId>().is_err());
    assert!(id.as_str()[1..].parse::<ApiKeyId>().is_err());
    assert_eq!(format!("{key:?}"), format!("ApiKey({id}, ***REDACTED***)"));
    assert_eq!(format!("{:?}", key.auth()), format!("ApiKeyAuth({id}, ***REDACTED***)"));
    let ids: HashSet<_> =
        (0..50).map(|_| ApiKey::generate(HOME, false, &mut SystemRng).auth().public_id()).collect();
    assert_eq!(ids.len(), 50);
}

#[test]
fn a_passkeys_secret_is_32_bytes_that_are_not_zero() {
    for length in [0, 16, 31, 33, 64] {
        assert_eq!(MethodSecret::of_passkey(&vec![1; length]).unwrap_err(), {
            MethodSecretError::WrongLength
        });
    }
    assert_eq!(MethodSecret::of_passkey(&[0; 32]).unwrap_err(), MethodSecretError::AllZero);
    assert!(MethodSecret::of_passkey(&[1; 32]).is_ok());
}

#[test]
fn every_method_is_found_by_a_value_of_its_own() {
    let bytes = [7; 32];
    let lookups = [
        RecoveryKey::from_bytes(bytes).lookup(),
        MethodSecret::from_bytes(&bytes).unwrap().lookup(),
        UserHandle::from_bytes([7; 16]).lookup(),
        UserHandle::generate(&mut SystemRng).lookup(),
    ];
    let different: HashSet<_> = lookups.iter().map(Lookup::expose).collect();
    assert_eq!(different.len(), lookups.len());
}

#[test]
fn the_addresss_key_opens_while_its_methods_lookup_is_shown() {
    let (key, lookup) = (EmailKey::from_bytes([0xe3; 32]), RecoveryKey::generate(&mut SystemRng).lookup());
    let sealed = AddressSeal::of(&lookup).seal(&key, &ALICE, &METHOD, &mut SystemRng);
    assert_eq!(AddressSeal::of(&lookup).open(&sealed, &ALICE, &METHOD).unwrap(), key);
    let elsewhere = [
        AddressSeal::of(&lookup).open(&sealed, &BOB, &METHOD),
        AddressSeal::of(&lookup).open(&sealed, &ALICE, &[0; 16].into()),
        AddressSeal::of(&Lookup::from_bytes([1; 32])).open(&sealed, &ALICE, &METHOD),
    ];
    for outcome in elsewhere {
        assert_eq!(outcome.unwrap_err(), OpenError::WrongKeyOrContext);
    }
}

proptest! {
    #[test]
    fn every_key_reads_back(bytes: [u8; 32], home: [u8; 16], unlocks: bool) {
        let key = RecoveryKey::from_bytes(bytes);
        prop_assert_eq!(RecoveryKey::parse(&key.to_text()).unwrap(), key);
        let key = ApiKey::generate(home.into(), unlocks, &mut SystemRng);
        prop_assert_eq!(key.to_text().parse::<ApiKey>().unwrap(), key);
    }

    #[test]
    fn what_is_typed_never_panics(typed: String, likely in "bwk_[0-9A-Za-z_é]{0,140}") {
        let _ = RecoveryKey::parse(&typed);
        let _ = typed.parse::<ApiKey>();
        let _ = likely.parse::<ApiKey>();
        let _ = likely.parse::<ApiKeyAuth>();
        let _ = typed.parse::<ApiKeyId>();
    }
}
