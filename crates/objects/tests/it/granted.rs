// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections that nobody owns: who was granted their key, and who is left out of the next one.

use objects::{
    CollectionError, CollectionId, Expected, ItemError, ItemId, ItemSignature, NewKeyGrant, NextGrantedKey,
    NextKeyError, PutItem, ShareError, Written,
};
use store::{Record, TenantId};
use uuid::Uuid;

use crate::home::{Home, ME, homes, limits};

const BEA: Uuid = Uuid::from_u128(0xbea);
const CID: Uuid = Uuid::from_u128(0xc1d);

fn grant(account: Uuid) -> NewKeyGrant<'static> {
    NewKeyGrant { account, key_version: 1, sharer: ME, sharer_key_version: 1, grant: b"grant", tag: [9; 32] }
}

fn next<'a>(
    collection: CollectionId,
    from_generation: u32,
    last_change: u64,
    grants: &'a [NewKeyGrant<'a>],
) -> NextGrantedKey<'a> {
    NextGrantedKey {
        collection,
        from_generation,
        last_change,
        former_key: b"former",
        sealed_meta: b"meta",
        grants,
    }
}

/// A customer's tenant on each engine, with a collection whose key its maker has.
async fn tenants() -> Vec<(Home, CollectionId)> {
    let mut tenants = Vec::new();
    for home in homes(limits()).await {
        let home = Home { tenant: TenantId::customer(), ..home };
        home.store.door.create_tenant(home.tenant).await.unwrap();
        let collection = CollectionId::random();
        let mut tx = home.write().await;
        home.objects.create_tenant_collection(&mut tx, collection, ME, b"meta", &[grant(ME)]).await.unwrap();
        tx.commit(Record::about(collection)).await.unwrap();
        tenants.push((home, collection));
    }
    tenants
}

async fn holders(home: &Home, collection: CollectionId) -> Vec<Uuid> {
    home.objects.key_holders(&mut home.read().await, collection).await.unwrap()
}

async fn admit(home: &Home, collection: CollectionId, generation: u32, who: Uuid) -> Result<(), ShareError> {
    let mut tx = home.write().await;
    home.objects.grant_key(&mut tx, collection, generation, grant(who)).await?;
    tx.commit(Record::about("test")).await.unwrap();
    Ok(())
}

async fn next_key(home: &Home, next: NextGrantedKey<'_>) -> Result<(), NextKeyError> {
    let mut tx = home.write().await;
    home.objects.next_granted_key(&mut tx, next).await?;
    tx.commit(Record::about("test")).await.unwrap();
    Ok(())
}

async fn put(home: &Home, collection: CollectionId, generation: u32) -> Result<Written, ItemError> {
    let mut tx = home.write().await;
    let signature = ItemSignature { key_version: 1, bytes: vec![7; 65] };
    let put = PutItem {
        collection,
        item: ItemId::random(),
        expected: Expected::Absent,
        sealed: b"x",
        blob: None,
        generation,
        signature: Some(&signature),
        by: ME,
    };
    let written = home.objects.put_item(&mut tx, put).await?;
    tx.commit(Record::about("test")).await.unwrap();
    Ok(written)
}

#[tokio::test]
async fn a_key_is_granted_as_it_is_now_and_renewed_in_place() {
    for (home, collection) in tenants().await {
        admit(&home, collection, 1, BEA).await.unwrap();
        assert!(matches!(admit(&home, collection, 2, CID).await, Err(ShareError::KeyOutdated)));
        assert_eq!(holders(&home, collection).await, [ME, BEA]);
        let since = home.objects.key_grant(&mut home.read().await, collection, BEA).await.unwrap().unwrap();
        home.store.clock.advance(5_000);
        admit(&home, collection, 1, BEA).await.unwrap();
        let again = home.objects.key_grant(&mut home.read().await, collection, BEA).await.unwrap().unwrap();
        assert_eq!(again, since, "since when somebody has it stays");
        let mut tx = home.write().await;
        let empty = NewKeyGrant { grant: b"", ..grant(CID) };
        let refused = home.objects.grant_key(&mut tx, collection, 1, empty).await;
        assert!(matches!(refused, Err(ShareError::Grant)));
        drop(tx);
        let nowhere = admit(&home, CollectionId::random(), 1, CID).await;
        assert!(matches!(nowhere, Err(ShareError::NotFound)));
    }
}

#[tokio::test]
async fn who_is_not_named_has_the_next_key_no_more_and_nobody_comes_by_it() {
    for (home, collection) in tenants().await {
        admit(&home, collection, 1, BEA).await.unwrap();
        let last = put(&home, collection, 1).await.unwrap().sequence;

        // Not over changes that whoever makes it has not seen, not for somebody new, not for somebody twice.
        let [me, bea, cid] = [ME, BEA, CID].map(grant);
        for refused in [
            next(collection, 1, last + 1, &[me]),
            next(collection, 2, last, &[me]),
            next(collection, 1, last, &[me, cid]),
            next(collection, 1, last, &[me, bea, bea]),
        ] {
            assert!(matches!(next_key(&home, refused).await, Err(NextKeyError::Changed)), "{refused:?}");
        }
        assert_eq!(holders(&home, collection).await, [ME, BEA], "nothing was changed");

        next_key(&home, next(collection, 1, last, &[me])).await.unwrap();
        assert_eq!(holders(&home, collection).await, [ME]);
        assert!(matches!(put(&home, collection, 1).await, Err(ItemError::KeyOutdated { current: 2 })));
        put(&home, collection, 2).await.unwrap();
        let read = home.objects.collection(&mut home.read().await, collection).await.unwrap();
        assert_eq!((read.generation, read.former_keys.len(), read.former_keys[0].last_change), (2, 1, last));
    }
}

#[tokio::test]
async fn the_next_version_is_the_one_that_is_written() {
    for (home, collection) in tenants().await {
        let item = ItemId::random();
        for (expected, version) in [(Expected::Absent, 1), (Expected::Version(1), 2), (Expected::Any, 3)] {
            let mut tx = home.write().await;
            assert_eq!(home.objects.next_version(&mut tx, collection, item).await.unwrap(), version);
            let put = PutItem {
                collection,
                item,
                expected,
                sealed: b"x",
                blob: None,
                generation: 1,
                signature: None,
                by: ME,
            };
            assert_eq!(home.objects.put_item(&mut tx, put).await.unwrap().version, version);
            tx.commit(Record::about(item)).await.unwrap();
        }
        // A tombstone counts on.
        let mut tx = home.write().await;
        home.objects.delete_item(&mut tx, collection, item, Expected::Any, ME).await.unwrap();
        tx.commit(Record::about(item)).await.unwrap();
        let mut tx = home.write().await;
        assert_eq!(home.objects.next_version(&mut tx, collection, item).await.unwrap(), 5);
        let nowhere = home.objects.next_version(&mut tx, CollectionId::random(), item).await;
        assert!(matches!(nowhere, Err(ItemError::NotFound)));
    }
}

#[tokio::test]
async fn with_a_collection_go_the_grants_of_its_key() {
    for (home, collection) in tenants().await {
        let other = CollectionId::random();
        let mut tx = home.write().await;
        home.objects.create_tenant_collection(&mut tx, other, ME, b"", &[grant(ME)]).await.unwrap();
        let again = home.objects.create_tenant_collection(&mut tx, other, ME, b"", &[]).await;
        assert!(matches!(again, Err(CollectionError::Exists)));
        home.objects.delete_tenant_collection(&mut tx, collection).await.unwrap();
        tx.commit(Record::about(collection)).await.unwrap();
        assert_eq!(holders(&home, collection).await, [] as [Uuid; 0]);
        assert_eq!(holders(&home, other).await, [ME]);
        let mut tx = home.write().await;
        let gone = home.objects.delete_tenant_collection(&mut tx, collection).await;
        assert!(matches!(gone, Err(CollectionError::NotFound)));
    }
}
