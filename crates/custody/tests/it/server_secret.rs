// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets of the whole server: made once, by whoever is first.

use custody::{KeyError, OPAQUE_SETUP, PEPPER};
use store::{StoreError, TenantId, params};

use crate::world::{World, commit, worlds};

#[tokio::test]
async fn a_secret_is_made_once_and_found_again_after_a_restart() {
    for world in worlds().await {
        let mut tx = world.write(TenantId::PLATFORM).await;
        let made =
            world.custody.server_secret(&mut tx, OPAQUE_SETUP, || b"setup".to_vec().into()).await.unwrap();
        assert_eq!(*made, b"setup");
        let pepper = world.custody.pepper(&mut tx).await.unwrap();
        commit(tx).await;

        let restarted = world.another_server().await;
        let mut tx = world.write(TenantId::PLATFORM).await;
        let again =
            restarted.server_secret(&mut tx, OPAQUE_SETUP, || panic!("it is there already")).await.unwrap();
        assert_eq!(*again, b"setup");
        assert_eq!(restarted.pepper(&mut tx).await.unwrap(), pepper);
        assert!(restarted.find_server_secret(&mut tx, "never made").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn two_servers_that_start_at_once_agree() {
    async fn start(world: &World) -> [u8; 32] {
        loop {
            let mut tx = world.write(TenantId::PLATFORM).await;
            let pepper = match world.custody.pepper(&mut tx).await {
                Err(KeyError::Store(StoreError::Conflict(_))) => continue,
                pepper => pepper.unwrap(),
            };
            match tx.commit(store::Record::about("pepper")).await {
                Err(StoreError::Conflict(_)) => {}
                committed => {
                    committed.unwrap();
                    return *pepper;
                }
            }
        }
    }
    for world in worlds().await {
        let (a, b) = tokio::join!(start(&world), start(&world));
        assert_eq!(a, b);
    }
}

#[tokio::test]
async fn a_secret_under_another_name_does_not_open() {
    for world in worlds().await {
        let mut tx = world.write(TenantId::PLATFORM).await;
        world.custody.pepper(&mut tx).await.unwrap();
        tx.execute("UPDATE server_secret SET name = $1", params!["log-seed"]).await.unwrap();
        let error = world.custody.server_seed(&mut tx, "log-seed").await.err().unwrap();
        assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_tenants_transaction_gets_no_secret_of_the_server() {
    for world in worlds().await {
        let tenant = world.tenant().await;
        let error = world.custody.pepper(&mut world.write(tenant).await).await.err().unwrap();
        assert!(matches!(error, KeyError::NotPlatform), "{error}");
    }
}

#[tokio::test]
async fn no_secret_is_in_the_database_in_plain() {
    for world in worlds().await {
        let mut tx = world.write(TenantId::PLATFORM).await;
        let pepper = world.custody.pepper(&mut tx).await.unwrap();
        let (sealed,): (Vec<u8>,) =
            tx.query_one("SELECT sealed FROM server_secret WHERE name = $1", params![PEPPER]).await.unwrap();
        assert!(!sealed.windows(8).any(|window| window == &pepper[..8]));
    }
}
