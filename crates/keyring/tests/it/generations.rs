// SPDX-License-Identifier: Apache-2.0 OR MIT

use keyring::authorship::AuthorshipError;
use keyring::*;

use crate::places::*;

/// Three generations: the first ended with change 4, the second with change 9. With the links between them.
fn three() -> (CollectionKeys, Vec<FormerKey>) {
    let rng = &mut SystemRng;
    let first = CollectionKeys::first(CollectionKey::generate(rng));
    let (second, one) = first.next(&PLACE, 4, rng);
    let (third, two) = second.next(&PLACE, 9, rng);
    (third, vec![one, two])
}

#[test]
fn the_newest_key_opens_all_before_it_and_each_change_has_its_own() {
    let (keys, former) = three();
    let opened = CollectionKeys::open(keys.newest().clone(), 3, &PLACE, &former).unwrap();
    assert_eq!(opened, keys);
    assert_eq!(opened.generation(), 3);
    let [third, second, first]: [_; 3] = opened.newest_first().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(opened.for_names(), first);
    for (change, key) in [(1, first), (4, first), (5, second), (9, second), (10, third), (u64::MAX, third)] {
        assert_eq!(opened.at(change), key, "change {change}");
        assert_eq!(opened.is_signed(change), change > 4, "change {change}");
    }
    let alone = CollectionKeys::first(first.clone());
    assert_eq!((alone.generation(), alone.at(7), alone.is_signed(7)), (1, first, false));
}

#[test]
fn an_older_key_opens_nothing_newer() {
    let (keys, former) = three();
    let [_, second, first]: [_; 3] = keys.newest_first().collect::<Vec<_>>().try_into().unwrap();
    for old in [first, second] {
        // Whatever is left out, or put in another's place, of what the server keeps.
        for links in [&former[..], &former[1..]] {
            for generation in 1..=3 {
                assert!(CollectionKeys::open(old.clone(), generation, &PLACE, links).is_err());
            }
        }
        let sealed = keys.newest().item_key(&ITEM).seal(b"later", &CONTENT, &mut SystemRng);
        assert!(old.item_key(&ITEM).open(&sealed, &CONTENT).is_err());
    }
    // With what belongs to it, an older key is what it always was: the server can show an old state as it was.
    assert_eq!(CollectionKeys::open(second.clone(), 2, &PLACE, &former[..1]).unwrap().generation(), 2);
}

#[test]
fn former_keys_open_in_their_place_and_order_alone() {
    let (keys, former) = three();
    let open = |place: &CollectionPlace, former: &[FormerKey]| {
        CollectionKeys::open(keys.newest().clone(), 3, place, former)
    };
    let swapped: Vec<_> = former.iter().rev().cloned().collect();
    let later: Vec<_> = former.iter().map(|key| FormerKey { last_change: 50, ..key.clone() }).collect();
    for (what, former) in [
        ("swapped", &swapped[..]),
        ("none", &[][..]),
        ("the first alone", &former[..1]),
        ("other ends", &later),
    ] {
        assert_eq!(open(&PLACE, former).unwrap_err(), OpenError::WrongKeyOrContext, "{what}");
    }
    let elsewhere = [
        CollectionPlace { owner: Owner::Account(BOB), ..PLACE },
        CollectionPlace { collection: [0; 16].into(), ..PLACE },
    ];
    for place in elsewhere {
        assert_eq!(open(&place, &former).unwrap_err(), OpenError::WrongKeyOrContext);
    }
    let rng = &mut SystemRng;
    let (second, one) = CollectionKeys::first(CollectionKey::generate(rng)).next(&PLACE, 9, rng);
    let (third, two) = second.next(&PLACE, 4, rng);
    let backwards = CollectionKeys::open(third.newest().clone(), 3, &PLACE, &[one, two]);
    assert_eq!(backwards.unwrap_err(), OpenError::WrongKeyOrContext, "changes are counted up");
}

#[test]
fn an_item_is_its_writers_in_its_place_and_version_alone() {
    let (bob, eve) = (identity(2), identity(3));
    let authorship = Authorship::sign(&bob, b"sealed", &WRITTEN);
    let authorship = Authorship::from_bytes(&authorship.to_bytes()).unwrap();
    assert!(authorship.is_of(&bob.public(), b"sealed", &WRITTEN));
    assert!(!authorship.is_of(&eve.public(), b"sealed", &WRITTEN), "another's keys");
    assert!(!authorship.is_of(&bob.public(), b"other", &WRITTEN), "other bytes");
    let elsewhere = [
        AuthorshipPlace { author: ALICE, ..WRITTEN },
        AuthorshipPlace { item: [0; 16].into(), ..WRITTEN },
        AuthorshipPlace { content: ItemPlace { version: 2, ..CONTENT }, ..WRITTEN },
        AuthorshipPlace { content: ItemPlace { collection: [0; 16].into(), ..CONTENT }, ..WRITTEN },
        AuthorshipPlace { content: ItemPlace { owner: Owner::Account(BOB), ..CONTENT }, ..WRITTEN },
    ];
    for place in elsewhere {
        assert!(!authorship.is_of(&bob.public(), b"sealed", &place), "{place:?}");
    }
    for (place, changed) in mutations(&authorship.to_bytes()) {
        let believed = Authorship::from_bytes(&changed)
            .is_ok_and(|changed| changed.is_of(&bob.public(), b"sealed", &WRITTEN));
        assert!(!believed, "byte {place}");
    }
    assert_eq!(Authorship::from_bytes(&[1; 64]).unwrap_err(), AuthorshipError::WrongLength);
    assert_eq!(Authorship::from_bytes(&[2; 65]).unwrap_err(), AuthorshipError::UnknownVersion(2));
    assert_eq!(Authorship::from_bytes(&[]).unwrap_err(), AuthorshipError::WrongLength);
}

#[test]
fn a_new_account_key_opens_the_one_before_and_not_the_other_way_round() {
    let (old, new) = (account(1), account(2));
    let sealed = new.seal_former(&old, &FORMER_ACCOUNT_KEY, &mut SystemRng);
    assert_eq!(new.open_former(&sealed, &FORMER_ACCOUNT_KEY).unwrap(), old);
    assert!(old.open_former(&sealed, &FORMER_ACCOUNT_KEY).is_err());
    let elsewhere = [
        FormerAccountKeyPlace { account: BOB, ..FORMER_ACCOUNT_KEY },
        FormerAccountKeyPlace { key_version: 2, ..FORMER_ACCOUNT_KEY },
    ];
    for place in elsewhere {
        assert_eq!(new.open_former(&sealed, &place).unwrap_err(), OpenError::WrongKeyOrContext);
    }
}

fn account(byte: u8) -> AccountKey {
    MasterKey::from_bytes([byte; 32]).account_key()
}

fn identity(byte: u8) -> IdentityKeys {
    account(byte).identity_keys(1)
}
