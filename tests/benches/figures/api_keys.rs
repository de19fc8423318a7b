// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: what a check costs, from the key's text to "it is this one, and it may be used from there".
//!
//! It is one lookup by the hash of a secret of 256 bits, and one comparison for each network of the key; no slow hash. The view
//! of the home that it happens in is opened for any request, so it is counted apart.

use std::net::IpAddr;
use std::sync::Arc;

use custody::{Custody, RootKeys};
use harness::{Database, Engine};
use identity::{Identity, Settings};
use keyring::{ApiKey, ApiKeyId, SystemRng};
use store::{Door, Record, TenantId, params};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::machine::Place;
use crate::report::{Figure, Goal, Report};
use crate::rooms::{entry, in_database, open};
use crate::turns::{Cost, ladder, tasks};

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("API keys: a check with its address, of a key with eight networks");
    let runtime = Runtime::new().expect("a runtime");
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        let folder = Place::Memory.folder();
        let database = (engine == Engine::Postgresql).then(Database::create);
        let store = match &database {
            Some(database) => in_database(database),
            None => store::Engine::Sqlite { folder: folder.path().join("keys"), open_files: 256 },
        };
        let home = Arc::new(runtime.block_on(Home::with_a_key(store)));
        let steps =
            ladder(&mut [Box::new(|| home.looked_into(&runtime)), Box::new(|| home.checked(&runtime))]);
        let [look, check] = steps[..] else { unreachable!("two steps") };
        let alone = (check.work - look.work).max(0.0);
        // Of PostgreSQL's work most is its own.
        let goal =
            |figure: Figure| if engine == Engine::Sqlite { figure.goal(Goal::AtMost(20.0)) } else { figure };
        report.add(goal(Figure::new(format!("API-key check, {engine}"), alone * 1e6, "µs")));
        report.add(Figure::new(format!("the view that it is in, {engine}"), look.work * 1e6, "µs"));
        report.add(Figure::new(
            format!("checks and views a second on one core, {engine}"),
            1.0 / check.work,
            "",
        ));
    }
}

/// A home with one key.
struct Home {
    door: Door,
    identity: Identity,
    tenant: TenantId,
    key: String,
}

impl Home {
    async fn with_a_key(engine: store::Engine) -> Self {
        let (_, door) = open(engine).await;
        let mut tx = door.write(TenantId::PLATFORM, entry()).await.expect("a transaction");
        let root = RootKeys::from_secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a root key");
        let custody = Custody::open(root, &mut tx).await.expect("the server's keys");
        let identity = Identity::open(custody, &mut tx, Settings::default()).await.expect("the room");
        tx.commit(Record::about("server")).await.expect("a commit");

        let tenant = TenantId::random();
        let key = ApiKey::generate(keyring::TenantId::from_bytes(*tenant.as_bytes()), false, &mut SystemRng);
        door.create_tenant(tenant).await.expect("a home");
        let mut tx = door.write(tenant, entry()).await.expect("a transaction");
        let (method, account, hash) = (Uuid::new_v4(), Uuid::new_v4(), key.auth().auth_hash());
        tx.execute(
            "INSERT INTO login_method (id, kind, label, created_at) VALUES ($1, 'api-key', 'bench', 1)",
            params![&method],
        )
        .await
        .expect("a method");
        tx.execute(
            "INSERT INTO api_key (secret_hash, method, public_id, account, scopes, networks)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![&hash, &method, ApiKeyId::of_hash(&hash).as_str(), &account, SCOPES, NETWORKS],
        )
        .await
        .expect("a key");
        tx.commit(Record::about("key")).await.expect("a commit");
        Self { door, identity, tenant, key: key.to_text().to_string() }
    }

    /// The cost of a view that nothing is looked up in.
    fn looked_into(self: &Arc<Self>, runtime: &Runtime) -> Cost {
        let home = Arc::clone(self);
        tasks(runtime, 1, move |_, _| {
            let home = Arc::clone(&home);
            async move { drop(home.door.read(home.tenant).await.expect("a view")) }
        })
    }

    /// The cost of a check in a view of its own.
    fn checked(self: &Arc<Self>, runtime: &Runtime) -> Cost {
        let home = Arc::clone(self);
        let from: IpAddr = CALLER.parse().expect("an address");
        tasks(runtime, 1, move |_, _| {
            let home = Arc::clone(&home);
            async move {
                let auth = home.key.parse().expect("a key");
                let mut view = home.door.read(home.tenant).await.expect("a view");
                home.identity.authenticate_key(&mut view, &auth, from).await.expect("a live key");
            }
        })
    }
}

const SCOPES: &str = "collection.list collection.read item.read file.read changes.follow usage.read";
const NETWORKS: &str = "10.1.0.0/16 10.2.0.0/16 192.0.2.7 198.51.100.0/24 2001:db8:1::/48 2001:db8:2:3::/64 \
                        2001:db8:4::5 203.0.113.0/24";
const CALLER: &str = "203.0.113.7";
