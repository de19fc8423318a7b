// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keys of collections, one after the other, and who has them.

use objects::{
    Admitted, CollectionId, Expected, ItemError, ItemId, ItemSignature, NewMember, NextKey, NextKeyError,
    Permission, PutItem, ShareError, Written,
};
use store::Record;
use uuid::Uuid;

use crate::home::{Home, ME, homes, limits};

const BEA: Uuid = Uuid::from_u128(0xbea);
const CID: Uuid = Uuid::from_u128(0xc1d);

fn member(account: Uuid, grant: &[u8]) -> NewMember<'_> {
    NewMember { account, key_version: 1, sharer_key_version: 1, permission: Permission::Read, grant }
}

fn stays(account: Uuid) -> Admitted<'static> {
    Admitted { member: member(account, b"new grant"), is_new: false }
}

/// The second key of a collection whose last change has this number.
fn second(collection: CollectionId, last_change: u64) -> NextKey<'static> {
    NextKey {
        collection,
        from_generation: 1,
        from_key_version: 1,
        last_change,
        sealed_key: b"second key",
        former_key: b"first under second",
        sealed_meta: b"meta",
        removed: &[],
        members: &[],
    }
}

async fn next_key(home: &Home, next: NextKey<'_>) -> Result<(), NextKeyError> {
    let mut tx = home.write().await;
    home.objects.next_key(&mut tx, next).await?;
    tx.commit(Record::about("test")).await.unwrap();
    Ok(())
}

async fn add(
    home: &Home,
    collection: CollectionId,
    generation: u32,
    new: NewMember<'_>,
) -> Result<(), ShareError> {
    let mut tx = home.write().await;
    home.objects.add_member(&mut tx, collection, generation, new).await?;
    tx.commit(Record::about("test")).await.unwrap();
    Ok(())
}

async fn members(home: &Home, collection: CollectionId) -> Vec<(Uuid, Vec<u8>)> {
    let members = home.objects.members(&mut home.read().await, collection).await.unwrap();
    members.into_iter().map(|member| (member.account, member.grant)).collect()
}

async fn put(
    home: &Home,
    collection: CollectionId,
    generation: u32,
    signature: Option<&ItemSignature>,
) -> Result<Written, ItemError> {
    let (item, expected) = (ItemId::random(), Expected::Absent);
    let mut tx = home.write().await;
    let put = PutItem { collection, item, expected, sealed: b"x", blob: None, generation, signature, by: ME };
    let written = home.objects.put_item(&mut tx, put).await?;
    tx.commit(Record::about(item)).await.unwrap();
    Ok(written)
}

fn signature() -> ItemSignature {
    ItemSignature { key_version: 3, bytes: vec![7; 65] }
}

#[tokio::test]
async fn what_is_written_after_the_next_key_is_under_it_and_signed() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let last = put(&home, collection, 1, None).await.unwrap().sequence;
        assert!(matches!(
            put(&home, collection, 2, Some(&signature())).await,
            Err(ItemError::KeyOutdated { current: 1 })
        ));
        next_key(&home, second(collection, last)).await.unwrap();

        let late = put(&home, collection, 1, None).await;
        assert!(matches!(late, Err(ItemError::KeyOutdated { current: 2 })), "{late:?}");
        for unsigned in [None, Some(ItemSignature { key_version: 1, bytes: vec![] })] {
            let unsigned = put(&home, collection, 2, unsigned.as_ref()).await;
            assert!(matches!(unsigned, Err(ItemError::Signature)), "{unsigned:?}");
        }
        let long = ItemSignature { key_version: 1, bytes: vec![1; 1_000] };
        assert!(matches!(put(&home, collection, 2, Some(&long)).await, Err(ItemError::Signature)));
        let written = put(&home, collection, 2, Some(&signature())).await.unwrap();
        assert_eq!(written.sequence, last + 1, "what was refused took no number");

        let found = home.objects.collection(&mut home.read().await, collection).await.unwrap();
        assert_eq!((found.generation, found.key_version, found.sealed_key), (2, 2, b"second key".to_vec()));
        let former: Vec<_> = found
            .former_keys
            .iter()
            .map(|key| (key.generation, key.last_change, &key.sealed_key[..]))
            .collect();
        assert_eq!(former, [(1, last, &b"first under second"[..])]);
        let page = home.objects.changes(&mut home.read().await, collection, 0, true, 10).await.unwrap();
        let signatures: Vec<_> = page.items.into_iter().map(|item| item.signature).collect();
        assert_eq!(signatures, [None, Some(signature())]);
    }
}

#[tokio::test]
async fn a_signature_is_of_the_version_that_it_came_with() {
    for home in homes(limits()).await {
        let (collection, item) = (home.collection().await, ItemId::random());
        let mut version = 0;
        for (signed, expected) in [(true, Expected::Absent), (false, Expected::Version(1))] {
            let signature = signature();
            let mut tx = home.write().await;
            let put = PutItem {
                collection,
                item,
                expected,
                sealed: b"x",
                blob: None,
                generation: 1,
                signature: signed.then_some(&signature),
                by: ME,
            };
            version = home.objects.put_item(&mut tx, put).await.unwrap().version;
            tx.commit(Record::about(item)).await.unwrap();
            let found = home.objects.item(&mut home.read().await, collection, item).await.unwrap();
            assert_eq!(found.signature.is_some(), signed, "version {version}");
        }
        assert_eq!(version, 2);
    }
}

#[tokio::test]
async fn the_next_key_comes_with_everybody_who_stays_or_not_at_all() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        for account in [BEA, CID] {
            add(&home, collection, 1, member(account, b"old grant")).await.unwrap();
        }
        let refused = [
            ("nobody is named", second(collection, 0)),
            ("one is left out", NextKey { members: &[stays(BEA)], ..second(collection, 0) }),
            (
                "one comes twice",
                NextKey { members: &[stays(BEA), stays(CID), stays(CID)], ..second(collection, 0) },
            ),
            (
                "a stranger stays",
                NextKey { members: &[stays(BEA), stays(CID), stays(ME)], ..second(collection, 0) },
            ),
            (
                "a member is let in",
                NextKey {
                    members: &[stays(BEA), Admitted { is_new: true, ..stays(CID) }],
                    ..second(collection, 0)
                },
            ),
            (
                "one is removed and stays",
                NextKey { removed: &[CID], members: &[stays(BEA), stays(CID)], ..second(collection, 0) },
            ),
            (
                "a stranger is removed",
                NextKey { removed: &[ME], members: &[stays(BEA), stays(CID)], ..second(collection, 0) },
            ),
            (
                "another change was the last",
                NextKey { members: &[stays(BEA), stays(CID)], ..second(collection, 1) },
            ),
            (
                "another key is in use",
                NextKey { from_generation: 2, members: &[stays(BEA), stays(CID)], ..second(collection, 0) },
            ),
            (
                "the key was sealed anew",
                NextKey { from_key_version: 2, members: &[stays(BEA), stays(CID)], ..second(collection, 0) },
            ),
        ];
        let before = members(&home, collection).await;
        for (why, next) in refused {
            let outcome = next_key(&home, next).await;
            assert!(matches!(outcome, Err(NextKeyError::Changed)), "{why}: {outcome:?}");
            let found = home.objects.collection(&mut home.read().await, collection).await.unwrap();
            assert_eq!((found.generation, found.key_version), (1, 1), "{why}");
            assert_eq!(members(&home, collection).await, before, "{why}");
        }

        let new = Admitted { member: member(ME, b"new grant"), is_new: true };
        let next = NextKey { removed: &[CID], members: &[stays(BEA), new], ..second(collection, 0) };
        next_key(&home, next).await.unwrap();
        let mut after = vec![(BEA, b"new grant".to_vec()), (ME, b"new grant".to_vec())];
        after.sort();
        let mut now = members(&home, collection).await;
        now.sort();
        assert_eq!(now, after);
        // A grant of the key that is gone lets nobody in.
        let late = add(&home, collection, 1, member(CID, b"old grant")).await;
        assert!(matches!(late, Err(ShareError::KeyOutdated)), "{late:?}");
        assert!(matches!(next_key(&home, next).await, Err(NextKeyError::Changed)), "nor is it done twice");
    }
}

#[tokio::test]
async fn of_two_next_keys_at_once_one_wins_and_a_writer_is_before_it_or_refused() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let (one, two, written) = tokio::join!(
            next_key(&home, second(collection, 0)),
            next_key(&home, second(collection, 0)),
            put(&home, collection, 1, None),
        );
        let found = home.objects.collection(&mut home.read().await, collection).await.unwrap();
        let keys = [one.is_ok(), two.is_ok()].into_iter().filter(|won| *won).count();
        match written {
            // It came first: then the number of the last change is another than either said.
            Ok(_) => assert_eq!((keys, found.generation), (0, 1)),
            Err(error) => {
                assert!(matches!(error, ItemError::KeyOutdated { current: 2 }), "{error:?}");
                assert_eq!((keys, found.generation, found.sequence), (1, 2, 0));
            }
        }
    }
}

#[tokio::test]
async fn letting_people_in_and_out_again_and_again_comes_to_an_end() {
    for home in homes(limits()).await {
        let collection = home.collection().await;
        let mut done = 0;
        let refused = loop {
            match add(&home, collection, 1, member(BEA, b"grant")).await {
                Ok(()) => done += 1,
                Err(error) => break error,
            }
            assert!(done < 1_000, "it never ends");
        };
        assert!(matches!(refused, ShareError::TooOften { retry_after: 1..=60 }), "{refused:?}");
        assert_eq!(done, 200);
        let next = NextKey { members: &[stays(BEA)], ..second(collection, 0) };
        let refused = next_key(&home, next).await;
        assert!(matches!(refused, Err(NextKeyError::Share(ShareError::TooOften { .. }))), "{refused:?}");
    }
}
