// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tenants' keys: each in its own place, and nowhere else.

use custody::{KeyError, SealError};
use store::params;

use crate::world::{commit, worlds};

#[tokio::test]
async fn what_a_tenant_sealed_opens_for_it_on_every_server_and_for_no_other_tenant() {
    for world in worlds().await {
        let (a, b) = (world.tenant().await, world.tenant().await);
        let keys = world.custody.tenant(&mut world.read(a).await).await.unwrap();
        let sealed = keys.seal("totp-seed", &[b"mth_1"], b"secret");
        assert_eq!(*keys.open("totp-seed", &[b"mth_1"], &sealed).unwrap(), b"secret");

        let elsewhere = world.another_server().await.tenant(&mut world.read(a).await).await.unwrap();
        assert_eq!(*elsewhere.open("totp-seed", &[b"mth_1"], &sealed).unwrap(), b"secret");

        let wrong = Err(SealError::WrongKeyOrContext);
        let others = world.custody.tenant(&mut world.read(b).await).await.unwrap();
        assert_eq!(others.open("totp-seed", &[b"mth_1"], &sealed), wrong);
        assert_eq!(keys.open("totp-seed", &[b"mth_2"], &sealed), wrong);
        assert_eq!(keys.open("email", &[b"mth_1"], &sealed), wrong);
        assert_ne!(*keys.derive("index"), *others.derive("index"));
        assert_eq!(*keys.derive("index"), *elsewhere.derive("index"));
    }
}

#[tokio::test]
async fn a_key_copied_to_another_tenant_does_not_open_there() {
    for world in worlds().await {
        let (a, b) = (world.tenant().await, world.tenant().await);
        let (sealed,): (Vec<u8>,) =
            world.read(a).await.query_one("SELECT sealed FROM tenant_key", params![]).await.unwrap();
        let mut tx = world.write(b).await;
        tx.execute("UPDATE tenant_key SET sealed = $1", params![&sealed]).await.unwrap();
        commit(tx).await;

        let error = world.custody.tenant(&mut world.read(b).await).await.err().unwrap();
        assert!(matches!(error, KeyError::Damaged { what: "tenant's key", .. }), "{error}");
        assert!(world.custody.tenant(&mut world.read(a).await).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_whose_transaction_was_rolled_back_is_forgotten() {
    for world in worlds().await {
        let tenant = store::TenantId::random();
        world.test.door.create_tenant(tenant).await.unwrap();
        let mut tx = world.write(tenant).await;
        let lost = world.custody.tenant_or_new(&mut tx).await.unwrap();
        world.custody.tenant(&mut tx).await.unwrap();
        drop(tx);

        let error = world.custody.tenant(&mut world.read(tenant).await).await.err().unwrap();
        assert!(matches!(error, KeyError::NoKey), "{error}");
        let mut tx = world.write(tenant).await;
        let kept = world.custody.tenant_or_new(&mut tx).await.unwrap();
        commit(tx).await;
        let sealed = kept.seal("purpose", &[], b"secret");
        assert!(lost.open("purpose", &[], &sealed).is_err());
        let found = world.custody.tenant(&mut world.read(tenant).await).await.unwrap();
        assert_eq!(*found.open("purpose", &[], &sealed).unwrap(), b"secret");
    }
}

#[tokio::test]
async fn a_shredded_tenant_is_unreadable_here_at_once_and_everywhere_within_a_minute() {
    for world in worlds().await {
        let tenant = world.tenant().await;
        let elsewhere = world.another_server().await;
        elsewhere.tenant(&mut world.read(tenant).await).await.unwrap();
        world.custody.tenant(&mut world.read(tenant).await).await.unwrap();

        let mut tx = world.write(tenant).await;
        world.custody.shred_tenant(&mut tx).await.unwrap();
        commit(tx).await;
        let error = world.custody.tenant(&mut world.read(tenant).await).await.err().unwrap();
        assert!(matches!(error, KeyError::Destroyed), "{error}");

        world.test.clock.advance(60_000);
        let error = elsewhere.tenant(&mut world.read(tenant).await).await.err().unwrap();
        assert!(matches!(error, KeyError::Destroyed), "{error}");
        let error = elsewhere.tenant_or_new(&mut world.write(tenant).await).await.err().unwrap();
        assert!(matches!(error, KeyError::Destroyed), "it gets no new key: {error}");
    }
}
