// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A store with this room's tables, and the root key that its platform was opened with.

use custody::{Custody, RootKeys};
use store::testing::TestStore;
use store::{Entry, ReadTx, Record, TenantId, WriteTx};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) test: TestStore,
    pub(crate) custody: Custody,
    pub(crate) keys: TempDir,
}

/// One for each engine that can run here, with a root key file at its first start.
pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for test in store::testing::engines(&[custody::MIGRATIONS]).await.unwrap() {
        let keys = tempfile::tempdir().unwrap();
        let mut tx = write(&test, TenantId::PLATFORM).await;
        let root = RootKeys::file(keys.path().join("root.key"), &mut tx).await.unwrap();
        let custody = Custody::open(root, &mut tx).await.unwrap();
        tx.commit(Record::about("root")).await.unwrap();
        worlds.push(World { test, custody, keys });
    }
    worlds
}

impl World {
    pub(crate) fn root_path(&self) -> std::path::PathBuf {
        self.keys.path().join("root.key")
    }

    pub(crate) async fn write(&self, tenant: TenantId) -> WriteTx {
        write(&self.test, tenant).await
    }

    pub(crate) async fn read(&self, tenant: TenantId) -> ReadTx {
        self.test.door.read(tenant).await.unwrap()
    }

    /// A new tenant with its key.
    pub(crate) async fn tenant(&self) -> TenantId {
        let tenant = TenantId::random();
        self.test.door.create_tenant(tenant).await.unwrap();
        let mut tx = self.write(tenant).await;
        self.custody.tenant_or_new(&mut tx).await.unwrap();
        commit(tx).await;
        // From here on, its row is older than any transaction, and may be remembered.
        self.test.clock.advance(1);
        tenant
    }

    /// Another server on the same database, with what is in the root key file now.
    pub(crate) async fn another_server(&self) -> Custody {
        let root = RootKeys::load(&self.root_path()).unwrap().unwrap();
        let mut tx = self.write(TenantId::PLATFORM).await;
        Custody::open(root, &mut tx).await.unwrap()
    }
}

pub(crate) async fn commit(tx: WriteTx) {
    tx.commit(Record::about("test")).await.unwrap();
}

async fn write(test: &TestStore, tenant: TenantId) -> WriteTx {
    let entry = Entry {
        actor: "system:test".to_owned(),
        via: String::new(),
        action: "test".to_owned(),
        request: "req_test".to_owned(),
    };
    test.door.write(tenant, entry).await.unwrap()
}
