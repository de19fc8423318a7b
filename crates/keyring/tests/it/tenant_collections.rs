// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant: an id says what it is of, and who holds the key is told from who does not.

use keyring::tenant_collection::ItemContentError;
use keyring::{CollectionKey, Founding, ItemContent, Protection, SystemRng, TenantId};

use crate::places::*;

fn founding() -> Founding<'static> {
    Founding {
        tenant: TenantId::from([7; 16]),
        protection: Protection::EndToEnd,
        created_by: "acc_1",
        salt: [1; 16],
        first_key: Some([2; 32]),
    }
}

#[test]
fn an_id_is_that_of_its_founding_and_of_no_other() {
    let id = founding().id();
    assert_eq!(founding().id(), id);
    for other in [
        Founding { tenant: TenantId::from([8; 16]), ..founding() },
        Founding { protection: Protection::ServerSealed, ..founding() },
        Founding { created_by: "acc_2", ..founding() },
        Founding { salt: [2; 16], ..founding() },
        Founding { first_key: Some([3; 32]), ..founding() },
        Founding { first_key: None, ..founding() },
    ] {
        assert_ne!(other.id(), id, "{other:?}");
    }
}

#[test]
fn only_who_holds_the_key_tags_a_grant_of_it() {
    let (key, other) = (CollectionKey::generate(&mut SystemRng), CollectionKey::generate(&mut SystemRng));
    let tag = key.holder_tag(&SHARED, b"grant");
    assert!(key.is_holders(&SHARED, b"grant", &tag));
    assert!(!other.is_holders(&SHARED, b"grant", &tag));
    assert!(!key.is_holders(&SHARED, b"grants", &tag));
    assert!(!key.is_holders(&SHARED, b"grant", &tag[..31]));
    for place in [
        keyring::GrantPlace { sharer: SHARED.recipient, ..SHARED },
        keyring::GrantPlace { recipient: SHARED.sharer, ..SHARED },
        keyring::GrantPlace { key_version: SHARED.key_version + 1, ..SHARED },
        keyring::GrantPlace { collection: keyring::CollectionId::from([9; 16]), ..SHARED },
    ] {
        assert!(!key.is_holders(&place, b"grant", &tag), "{place:?}");
    }
    assert_ne!(key.check(), other.check());
}

#[test]
fn an_items_content_reads_back_and_nothing_else_is_one() {
    for (name, content) in [("a", &b""[..]), ("été/Notes.md", b"bytes \x00\xff"), (&"n".repeat(400), b"x")]
    {
        let item = ItemContent { name: name.to_owned(), content: content.to_vec().into() };
        assert_eq!(ItemContent::from_bytes(&item.to_bytes().unwrap()).unwrap(), item);
    }
    for name in [String::new(), "n".repeat(401), "n".repeat(70_000)] {
        let item = ItemContent { name, content: Vec::new().into() };
        assert_eq!(item.to_bytes(), Err(ItemContentError::Name));
    }
    for (bytes, error) in [
        (&b""[..], ItemContentError::WrongLength),
        (b"\x02\x00\x01a", ItemContentError::UnknownVersion(2)),
        (b"\x01\x00", ItemContentError::WrongLength),
        (b"\x01\x00\x02a", ItemContentError::WrongLength),
        (b"\x01\x00\x00a", ItemContentError::Name),
        (b"\x01\x00\x01\xff", ItemContentError::Name),
    ] {
        assert_eq!(ItemContent::from_bytes(bytes), Err(error), "{bytes:?}");
    }
}
