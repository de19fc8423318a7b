// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The rooms in this process, as the server opens them: store, access, objects, and the sequencer at work beside.

use std::sync::Arc;
use std::time::Duration;

use access::{Access, Action, Caller, PlatformRoles, Resource, SignedIn};
use harness::{Database, Role, noise};
use objects::{CollectionId, Expected, ItemId, Limits, NewCollection, Objects, PutItem};
use store::{Door, Engine, Entry, LogKey, Migration, Record, Sequencer, Store, SystemClock, TenantId};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::items::{CONTENT, ITEMS, SPREAD};
use crate::sqlite::place;
use crate::turns::{Cost, tasks, tasks_and};

/// The migrations of every room, as the server applies them.
const ROOMS: &[&[Migration]] =
    &[custody::MIGRATIONS, access::MIGRATIONS, identity::MIGRATIONS, tokens::MIGRATIONS, objects::MIGRATIONS];

/// Opens the store alone.
pub async fn open(engine: Engine) -> (Store, Door) {
    let config = store::Config { engine };
    Store::open(&config, ROOMS, Arc::new(SystemClock)).await.expect("the store opens")
}

/// The engine in a database of its own.
pub fn in_database(database: &Database) -> Engine {
    Engine::Postgres {
        url: database.url(Role::App),
        migration_url: Some(database.url(Role::Owner)),
        connections: SPREAD + 2,
    }
}

/// The key of the logs of this run.
pub fn log_key() -> LogKey {
    LogKey::new("bench.example", [7; 32])
}

/// Several homes with items, entered by decision.
pub struct Rooms {
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    sequencing: Sequencing,
}

/// Whether somebody numbers the records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sequencing {
    /// As in the server.
    Beside,
    /// Not at all, to see what it takes.
    Never,
}

struct Shared {
    access: Access,
    objects: Objects,
    homes: Vec<Home>,
    content: Vec<u8>,
}

/// A home with one collection.
struct Home {
    tenant: TenantId,
    owner: SignedIn,
    collection: CollectionId,
    items: Vec<ItemId>,
}

impl Rooms {
    /// Opens the rooms and founds the homes.
    pub fn new(runtime: &Runtime, engine: Engine, sequencing: Sequencing) -> Self {
        let stop = Arc::new(Notify::new());
        let shared = runtime.block_on(async {
            let (store, door) = open(engine).await;
            if sequencing == Sequencing::Beside {
                tokio::spawn(Sequencer::new(store, log_key()).run(Vec::new(), Arc::clone(&stop), |_| {}));
            }
            let access = Access::new(door).expect("the policies");
            let objects = Objects::new(Limits::default());
            let mut homes = Vec::new();
            for _ in 0..SPREAD {
                homes.push(Home::found(&access, &objects).await);
            }
            Shared { access, objects, homes, content: noise(1, CONTENT) }
        });
        let rooms = Self { shared: Arc::new(shared), stop, sequencing };
        runtime.block_on(rooms.settled());
        rooms
    }

    /// The cost of a new item: decision, transaction, record; into one home or into each worker's own.
    pub fn write(&self, runtime: &Runtime, workers: usize, spread: bool) -> Cost {
        let shared = Arc::clone(&self.shared);
        let write = move |worker, _| {
            let shared = Arc::clone(&shared);
            async move { shared.write(&shared.homes[if spread { worker } else { 0 }]).await }
        };
        tasks_and(runtime, workers, write, self.settled())
    }

    /// The cost of a read: decision and view.
    pub fn read(&self, runtime: &Runtime, workers: usize, spread: bool) -> Cost {
        let shared = Arc::clone(&self.shared);
        tasks(runtime, workers, move |worker, number| {
            let shared = Arc::clone(&shared);
            async move {
                let home = &shared.homes[if spread { worker } else { 0 }];
                shared.read(home, home.items[place(worker, number)]).await;
            }
        })
    }

    /// Waits until the sequencer has caught up, so that it works in nobody else's turn.
    async fn settled(&self) {
        if self.sequencing == Sequencing::Never {
            return;
        }
        for home in &self.shared.homes {
            loop {
                let caller = home.caller();
                let view =
                    self.shared.access.view(&caller, home.tenant, Action::LogRead, Resource::Log).await;
                let waiting = store::history::unnumbered(&mut view.expect("a view")).await.expect("a count");
                if waiting == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl Shared {
    async fn write(&self, home: &Home) {
        let caller = home.caller();
        let item = ItemId::random();
        let resource = Resource::Item { collection: *home.collection.uuid(), id: *item.uuid() };
        let mut tx =
            self.access.enter(&caller, home.tenant, Action::ItemWrite, resource).await.expect("allowed");
        let put = put(home.collection, item, &self.content, home.owner.account);
        self.objects.put_item(&mut tx, put).await.expect("it fits");
        tx.commit(Record::about(item)).await.expect("a commit");
    }

    async fn read(&self, home: &Home, item: ItemId) {
        let caller = home.caller();
        let resource = Resource::Item { collection: *home.collection.uuid(), id: *item.uuid() };
        let view = self.access.view(&caller, home.tenant, Action::ItemRead, resource).await.expect("allowed");
        let found = self.objects.item(&mut view.once(), home.collection, item).await.expect("it is there");
        assert_eq!(found.sealed.len(), CONTENT);
    }
}

impl Home {
    async fn found(access: &Access, objects: &Objects) -> Self {
        let tenant = TenantId::random();
        let owner = SignedIn {
            account: Uuid::new_v4(),
            home: tenant,
            via: access::Via::Session(Uuid::new_v4()),
            fresh_until: None,
            suspended: false,
            platform_roles: PlatformRoles::NONE,
        };
        let collection = CollectionId::random();
        let mut tx = access.found(&Caller::visitor("req_bench"), tenant).await.expect("a home");
        let new = NewCollection {
            id: collection,
            owner: owner.account,
            kind: "bench",
            sealed_key: b"key",
            sealed_meta: b"",
            kept_versions: 0,
        };
        objects.create_collection(&mut tx, new).await.expect("a collection");
        let content = noise(1, CONTENT);
        let items: Vec<_> = (0..ITEMS).map(|_| ItemId::random()).collect();
        for item in &items {
            objects
                .put_item(&mut tx, put(collection, *item, &content, owner.account))
                .await
                .expect("it fits");
        }
        tx.commit(Record::about(collection)).await.expect("a commit");
        Self { tenant, owner, collection, items }
    }

    /// Made for each request, as the server does.
    fn caller(&self) -> Caller {
        Caller::account(self.owner, format!("req_{}", Uuid::new_v4().simple())).from_address("127.0.0.0/24")
    }
}

/// One home, entered without a decision: what the door alone costs.
pub struct Ajar {
    shared: Arc<(Door, Objects, Vec<u8>)>,
    tenant: TenantId,
    collection: CollectionId,
    items: Arc<Vec<ItemId>>,
}

impl Ajar {
    /// Opens a store of its own and makes a home.
    pub fn new(runtime: &Runtime, engine: Engine) -> Self {
        runtime.block_on(async {
            let (_, door) = open(engine).await;
            let (tenant, collection) = (TenantId::random(), CollectionId::random());
            let objects = Objects::new(Limits::default());
            let content = noise(1, CONTENT);
            door.create_tenant(tenant).await.expect("a home");
            let mut tx = door.write(tenant, entry()).await.expect("a transaction");
            let new = NewCollection {
                id: collection,
                owner: Uuid::nil(),
                kind: "bench",
                sealed_key: b"key",
                sealed_meta: b"",
                kept_versions: 0,
            };
            objects.create_collection(&mut tx, new).await.expect("a collection");
            let items: Vec<_> = (0..ITEMS).map(|_| ItemId::random()).collect();
            for item in &items {
                objects
                    .put_item(&mut tx, put(collection, *item, &content, Uuid::nil()))
                    .await
                    .expect("it fits");
            }
            tx.commit(Record::about(collection)).await.expect("a commit");
            Self { shared: Arc::new((door, objects, content)), tenant, collection, items: Arc::new(items) }
        })
    }

    /// The cost of a new item.
    pub fn write(&self, runtime: &Runtime) -> Cost {
        let (shared, tenant, collection) = (Arc::clone(&self.shared), self.tenant, self.collection);
        tasks(runtime, 1, move |_, _| {
            let shared = Arc::clone(&shared);
            async move {
                let (door, objects, content) = &*shared;
                let item = ItemId::random();
                let mut tx = door.write(tenant, entry()).await.expect("a transaction");
                objects
                    .put_item(&mut tx, put(collection, item, content, Uuid::nil()))
                    .await
                    .expect("it fits");
                tx.commit(Record::about(item)).await.expect("a commit");
            }
        })
    }

    /// The cost of a read.
    pub fn read(&self, runtime: &Runtime) -> Cost {
        let (shared, tenant, collection) = (Arc::clone(&self.shared), self.tenant, self.collection);
        let items = Arc::clone(&self.items);
        tasks(runtime, 1, move |worker, number| {
            let (shared, items) = (Arc::clone(&shared), Arc::clone(&items));
            async move {
                let (door, objects, _) = &*shared;
                let mut tx = door.read(tenant).await.expect("a view").once();
                objects.item(&mut tx, collection, items[place(worker, number)]).await.expect("it is there");
            }
        })
    }
}

/// A record of somebody who writes an item.
pub fn entry() -> Entry {
    Entry {
        actor: format!("acc_{}", Uuid::nil().simple()),
        via: format!("ses_{}", Uuid::nil().simple()),
        action: "item.write".into(),
        request: format!("req_{}", Uuid::new_v4().simple()),
    }
}

fn put(collection: CollectionId, item: ItemId, sealed: &[u8], by: Uuid) -> PutItem<'_> {
    PutItem {
        collection,
        item,
        expected: Expected::Absent,
        sealed,
        blob: None,
        generation: 1,
        signature: None,
        by,
    }
}
