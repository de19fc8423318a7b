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

#[tokio::test]
async fn a_running_server_goes_on_while_the_root_key_is_rotated_beside_it() {
    for world in worlds().await {
        let (running, tenant) = (&world.custody, world.tenant().await);
        let keys = running.tenant(&mut world.read(tenant).await).await.unwrap();
        let sealed = keys.seal("purpose", &[], b"secret");

        let added = RootKeys::add(&world.root_path()).unwrap();
        assert!(!running.reload_root().unwrap(), "it opens, and does not seal");
        assert_ne!(running.root_key_id(), added);
        RootKeys::switch(&world.root_path(), added.as_str()).unwrap();
        let operator = world.another_server().await;
        for tenant in [TenantId::PLATFORM, tenant] {
            let mut tx = world.write(tenant).await;
            assert!(operator.rotate_root(&mut tx).await.unwrap() > 0);
            commit(tx).await;
        }
        // Longer than opened keys are remembered.
        world.test.clock.advance(120_000);
        let found = running.tenant(&mut world.read(tenant).await).await.unwrap();
        assert_eq!(*found.open("purpose", &[], &sealed).unwrap(), b"secret");
        // As a server does every minute: what it seals from then on is under the new key too.
        assert!(running.reload_root().unwrap());
        let later = world.tenant().await;
        assert_eq!(status(&world, &operator, later).await, RootStatus { current: 1, older: 0 });
        assert_eq!(running.root_key_id(), added);
    }
}

#[tokio::test]
async fn a_running_server_reads_a_key_that_came_into_the_file_only_later() {
    for world in worlds().await {
        let tenant = world.tenant().await;
        RootKeys::renew(&world.root_path()).unwrap();
        let operator = world.another_server().await;
        let mut tx = world.write(tenant).await;
        operator.rotate_root(&mut tx).await.unwrap();
        commit(tx).await;
        world.test.clock.advance(120_000);
        assert!(world.custody.tenant(&mut world.read(tenant).await).await.is_ok(), "without being told to");
        // A damaged file takes nothing away from who runs.
        std::fs::write(world.root_path(), "nonsense").unwrap();
        assert!(world.custody.reload_root().is_err());
        world.test.clock.advance(120_000);
        assert!(world.custody.tenant(&mut world.read(tenant).await).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_that_is_not_in_the_file_is_not_switched_to() {
    for world in worlds().await {
        let before = std::fs::read_to_string(world.root_path()).unwrap();
        let refused = RootKeys::switch(&world.root_path(), "0011223344556677").unwrap_err();
        assert!(refused.to_string().contains("root-key add"), "{refused}");
        assert_eq!(std::fs::read_to_string(world.root_path()).unwrap(), before);
    }
}
