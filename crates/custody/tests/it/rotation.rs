// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A new root key, an interruption, and the rest of the way.

use custody::{Custody, RootKeys, RootStatus};
use store::TenantId;

use crate::world::{World, commit, worlds};

async fn status(world: &World, custody: &Custody, tenant: TenantId) -> RootStatus {
    custody.root_status(&mut world.read(tenant).await).await.unwrap()
}

#[tokio::test]
async fn an_interrupted_rotation_loses_nothing_and_is_finished_later() {
    for world in worlds().await {
        let (a, b) = (world.tenant().await, world.tenant().await);
        let keys = world.custody.tenant(&mut world.read(b).await).await.unwrap();
        let sealed = keys.seal("purpose", &[], b"secret");
        let mut tx = world.write(TenantId::PLATFORM).await;
        let pepper = world.custody.pepper(&mut tx).await.unwrap();
        commit(tx).await;
        let old_file = std::fs::read_to_string(world.root_path()).unwrap();

        RootKeys::renew(&world.root_path()).unwrap();
        let rotated = world.another_server().await;
        assert_ne!(rotated.root_key_id(), world.custody.root_key_id());
        for tenant in [TenantId::PLATFORM, a] {
            let mut tx = world.write(tenant).await;
            assert!(rotated.rotate_root(&mut tx).await.unwrap() > 0);
            commit(tx).await;
        }
        let mut tx = world.write(b).await;
        assert_eq!(rotated.rotate_root(&mut tx).await.unwrap(), 1);
        drop(tx); // the server is gone here

        let resumed = world.another_server().await;
        assert_eq!(status(&world, &resumed, TenantId::PLATFORM).await, RootStatus { current: 2, older: 0 });
        assert_eq!(status(&world, &resumed, a).await, RootStatus { current: 1, older: 0 });
        assert_eq!(status(&world, &resumed, b).await, RootStatus { current: 0, older: 1 });
        let found = resumed.tenant(&mut world.read(b).await).await.unwrap();
        assert_eq!(*found.open("purpose", &[], &sealed).unwrap(), b"secret", "the old root key still opens");

        for tenant in [TenantId::PLATFORM, a, b] {
            let mut tx = world.write(tenant).await;
            resumed.rotate_root(&mut tx).await.unwrap();
            commit(tx).await;
            let mut tx = world.write(tenant).await;
            assert_eq!(resumed.rotate_root(&mut tx).await.unwrap(), 0, "there is nothing left to do");
        }

        let both = std::fs::read_to_string(world.root_path()).unwrap();
        assert!(both.ends_with(&old_file), "the old key stayed, behind the new one");
        let mut tx = world.write(TenantId::PLATFORM).await;
        let new_only = RootKeys::from_secret(both.strip_suffix(&old_file).unwrap()).unwrap();
        let new_only = Custody::open(new_only, &mut tx).await.unwrap();
        assert_eq!(new_only.pepper(&mut tx).await.unwrap(), pepper);
        let found = new_only.tenant(&mut world.read(b).await).await.unwrap();
        assert_eq!(*found.open("purpose", &[], &sealed).unwrap(), b"secret");
    }
}
