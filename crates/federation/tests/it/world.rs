// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A store with this room's tables, and the room.

use custody::{Custody, RootKeys};
use federation::{Federation, Reach};
use store::testing::TestStore;
use store::{Entry, ReadTx, Record, TenantId, WriteTx};

pub(crate) struct World {
    pub(crate) test: TestStore,
    pub(crate) federation: Federation,
    custody: Custody,
}

/// One for each engine that can run here.
pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for test in store::testing::engines(&[custody::MIGRATIONS, federation::MIGRATIONS]).await.unwrap() {
        let mut tx = write(&test, TenantId::PLATFORM).await;
        let custody = Custody::open(RootKeys::generate(), &mut tx).await.unwrap();
        let states = custody.state_sealer(&mut tx).await.unwrap();
        commit(tx).await;
        let federation = Federation::new(custody.clone(), states, Reach::default(), None);
        worlds.push(World { test, federation, custody });
    }
    worlds
}

impl World {
    /// A customer's tenant with its key.
    pub(crate) async fn tenant(&self) -> TenantId {
        let tenant = TenantId::customer();
        self.test.door.create_tenant(tenant).await.unwrap();
        let mut tx = self.write(tenant).await;
        self.custody.tenant_or_new(&mut tx).await.unwrap();
        commit(tx).await;
        tenant
    }

    pub(crate) async fn write(&self, tenant: TenantId) -> WriteTx {
        write(&self.test, tenant).await
    }

    pub(crate) async fn read(&self, tenant: TenantId) -> ReadTx {
        self.test.door.read(tenant).await.unwrap()
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
