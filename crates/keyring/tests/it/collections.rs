// SPDX-License-Identifier: Apache-2.0 OR MIT

use keyring::grant::GrantError;
use keyring::identity::{IdentityRotationError, KeyError};
use keyring::*;

use crate::places::*;
use crate::replay::Replay;

fn account(byte: u8) -> AccountKey {
    MasterKey::from_bytes([byte; 32]).account_key()
}

#[test]
fn a_collection_key_opens_for_its_account_in_its_place() {
    let key = CollectionKey::generate(&mut SystemRng);
    let sealed = key.seal(&account(1), &COLLECTION_KEY, &mut SystemRng);
    assert_eq!(CollectionKey::open(&account(1), &sealed, &COLLECTION_KEY).unwrap(), key);
    assert!(CollectionKey::open(&account(2), &sealed, &COLLECTION_KEY).is_err());
    let elsewhere = [
        CollectionKeyPlace { account: BOB, ..COLLECTION_KEY },
        CollectionKeyPlace { collection: [0; 16].into(), ..COLLECTION_KEY },
        CollectionKeyPlace { key_version: 2, ..COLLECTION_KEY },
        CollectionKeyPlace { generation: 2, ..COLLECTION_KEY },
    ];
    for place in elsewhere {
        let outcome = CollectionKey::open(&account(1), &sealed, &place);
        assert_eq!(outcome.unwrap_err(), OpenError::WrongKeyOrContext);
    }
}

#[test]
fn an_item_opens_in_its_place_and_version() {
    let key = CollectionKey::generate(&mut SystemRng);
    let sealed = key.item_key(&ITEM).seal(b"hello", &CONTENT, &mut SystemRng);
    assert_eq!(key.item_key(&ITEM).open(&sealed, &CONTENT).unwrap().as_slice(), b"hello");
    assert!(key.item_key(&[0; 16].into()).open(&sealed, &CONTENT).is_err());
    assert!(CollectionKey::generate(&mut SystemRng).item_key(&ITEM).open(&sealed, &CONTENT).is_err());
    let elsewhere = [
        ItemPlace { owner: Owner::Account(BOB), ..CONTENT },
        ItemPlace { owner: Owner::Tenant(TenantId::from(*ALICE.as_bytes())), ..CONTENT },
        ItemPlace { collection: [0; 16].into(), ..CONTENT },
        ItemPlace { version: 2, ..CONTENT },
    ];
    for place in elsewhere {
        assert_eq!(key.item_key(&ITEM).open(&sealed, &place).unwrap_err(), OpenError::WrongKeyOrContext);
    }
}

#[test]
fn a_name_is_always_the_same_item_and_only_within_its_collection() {
    let (one, other) = (CollectionKey::from_bytes([1; 32]), CollectionKey::from_bytes([2; 32]));
    let id = one.item_id_for_name("notes/today.md");
    assert_eq!(id, one.item_id_for_name("notes/today.md"));
    assert_ne!(id, one.item_id_for_name("notes/today.md "));
    assert_ne!(id, other.item_id_for_name("notes/today.md"));
    assert_eq!((id.as_bytes()[6] >> 4, id.as_bytes()[8] >> 6), (8, 0b10), "a UUID of version 8");
}

#[test]
fn a_grant_opens_for_its_recipient_alone() {
    let key = CollectionKey::generate(&mut SystemRng);
    let (alice, bob, eve) =
        (account(1).identity_keys(1), account(2).identity_keys(1), account(3).identity_keys(1));
    let grant = Grant::issue(&key, &alice, &bob.public(), &SHARED, &mut SystemRng);
    let grant = Grant::from_bytes(&grant.to_bytes()).unwrap();
    assert_eq!(grant.open(&bob, &alice.public(), &SHARED).unwrap(), key);

    assert_eq!(grant.open(&eve, &alice.public(), &SHARED).unwrap_err(), GrantError::NotSigned);
    assert_eq!(grant.open(&bob, &eve.public(), &SHARED).unwrap_err(), GrantError::NotSigned);
    let elsewhere = [
        GrantPlace { sharer: BOB, ..SHARED },
        GrantPlace { recipient: ALICE, ..SHARED },
        GrantPlace { collection: [0; 16].into(), ..SHARED },
        GrantPlace { key_version: 2, ..SHARED },
    ];
    for place in elsewhere {
        assert_eq!(grant.open(&bob, &alice.public(), &place).unwrap_err(), GrantError::NotSigned);
    }
}

#[test]
fn an_owner_knows_the_grants_that_were_signed_for_a_member_and_generation() {
    let key = CollectionKey::generate(&mut SystemRng);
    let (alice, bob, eve) =
        (account(1).identity_keys(1), account(2).identity_keys(1), account(3).identity_keys(1));
    let grant = Grant::issue(&key, &alice, &bob.public(), &SHARED, &mut SystemRng);
    assert!(grant.is_of(&alice.public(), &bob.public(), &SHARED));
    assert!(!grant.is_of(&alice.public(), &eve.public(), &SHARED), "another's keys");
    assert!(!grant.is_of(&eve.public(), &bob.public(), &SHARED), "another's signature");
    let next = GrantPlace { key_version: 2, ..SHARED };
    assert!(!grant.is_of(&alice.public(), &bob.public(), &next), "an old grant");
}

#[test]
fn every_change_of_one_byte_of_a_grant_is_noticed() {
    let (alice, bob) = (account(1).identity_keys(1), account(2).identity_keys(1));
    let key = CollectionKey::from_bytes([5; 32]);
    let bytes = Grant::issue(&key, &alice, &bob.public(), &SHARED, &mut Replay::of("mutations")).to_bytes();
    assert_eq!(bytes.len(), Grant::LEN);
    for (place, changed) in mutations(&bytes) {
        let outcome =
            Grant::from_bytes(&changed).and_then(|grant| grant.open(&bob, &alice.public(), &SHARED));
        assert!(outcome.is_err(), "byte {place}");
    }
    assert_eq!(Grant::from_bytes(&bytes[1..]).unwrap_err(), GrantError::UnknownVersion(bytes[1]));
    assert_eq!(Grant::from_bytes(&bytes[..100]).unwrap_err(), GrantError::WrongLength);
}

#[test]
fn a_rotation_is_believed_only_if_the_old_keys_signed_it() {
    let (old, new, eve) =
        (account(1).identity_keys(1), account(1).identity_keys(2), account(3).identity_keys(1));
    let rotation = IdentityRotation::sign(&ALICE, 2, &old, &new);
    let rotation = IdentityRotation::from_bytes(&rotation.to_bytes()).unwrap();
    let (version, keys) = rotation.verify(&ALICE, &old.public()).unwrap();
    assert_eq!((version, keys), (2, &new.public()));

    assert_eq!(rotation.verify(&BOB, &old.public()).unwrap_err(), IdentityRotationError::NotSigned);
    assert_eq!(rotation.verify(&ALICE, &eve.public()).unwrap_err(), IdentityRotationError::NotSigned);
    let forged = IdentityRotation::sign(&ALICE, 2, &eve, &new);
    assert_eq!(forged.verify(&ALICE, &old.public()).unwrap_err(), IdentityRotationError::NotSigned);

    let bytes = rotation.to_bytes();
    assert_eq!(bytes.len(), IdentityRotation::LEN);
    for (place, changed) in mutations(&bytes) {
        let believed = IdentityRotation::from_bytes(&changed)
            .is_ok_and(|rotation| rotation.verify(&ALICE, &old.public()).is_ok());
        assert!(!believed, "byte {place}");
    }
}

#[test]
fn identity_keys_come_from_the_account_key_and_their_version() {
    let keys = account(1).identity_keys(1).public();
    assert_eq!(keys, account(1).identity_keys(1).public());
    assert_ne!(keys, account(1).identity_keys(2).public());
    assert_ne!(keys, account(2).identity_keys(1).public());
    assert_eq!(IdentityPublicKeys::from_bytes(&keys.to_bytes()), Ok(keys.clone()));
    assert_ne!(keys.fingerprint(&ALICE), keys.fingerprint(&BOB));

    let mut weak = keys.to_bytes();
    weak[1..33].copy_from_slice(&[[1].as_slice(), &[0; 31]].concat());
    assert_eq!(IdentityPublicKeys::from_bytes(&weak).unwrap_err(), KeyError::Invalid);
    assert_eq!(IdentityPublicKeys::from_bytes(&weak[..40]).unwrap_err(), KeyError::WrongLength);
}

#[test]
fn a_fingerprint_reads_in_eight_groups_of_four() {
    let shown = account(1).identity_keys(1).public().fingerprint(&ALICE).to_string();
    let groups: Vec<_> = shown.split('-').collect();
    assert_eq!(groups.len(), 8, "{shown}");
    assert!(groups.iter().all(|group| group.len() == 4), "{shown}");
}
