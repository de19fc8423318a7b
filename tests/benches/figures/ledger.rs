// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The history: how fast it is folded, what a proof costs when it is long, and how soon a checkpoint covers a write.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Database, Engine};
use ledger::{Frontier, Hash, InclusionProof, MissingNode, Node, Tile, TileHashes};
use rusqlite::params;
use store::{Door, Record, Sequencer, Store, TenantId};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::items::Crowd;
use crate::machine::{Place, cpu_of_postgres, cpu_of_this, size};
use crate::people::random;
use crate::report::{Figure, Goal, Report};
use crate::rooms::{entry, in_database, log_key, open};
use crate::server::Server;
use crate::statistics::{median, quantile};

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Ledger");
    let runtime = Runtime::new().expect("a runtime");
    folding(report, &runtime);
    proving(report, &runtime);
    for (engine, place) in [
        (Engine::Sqlite, Place::Disk),
        (Engine::Sqlite, Place::Memory),
        (Engine::Postgresql, Place::of_postgres()),
    ] {
        checkpoint_delay(report, engine, place);
    }
}

/// Leaves for each second of processor time: the arithmetic alone, and the sequencer with its database.
fn folding(report: &mut Report, runtime: &Runtime) {
    let pure = pure_leaves(size(1_000_000, 100_000));
    report.add(Figure::new("leaves folded on one core, arithmetic alone, 300 bytes", pure, "/s"));
    let folder = Place::Memory.folder();
    let embedded = store::Engine::Sqlite { folder: folder.path().join("data"), open_files: 256 };
    let database = Database::create();
    for (name, engine) in [("SQLite", embedded), ("PostgreSQL", in_database(&database))] {
        let leaves = sequenced_leaves(runtime, engine, size(40_000, 4_000));
        report.add(
            Figure::new(format!("leaves folded on one core, sequencer on {name}"), leaves, "/s").against(
                "arithmetic alone",
                pure,
                pure / leaves,
            ),
        );
    }
}

fn pure_leaves(count: u64) -> f64 {
    let mut entry = [7; 300];
    let mut frontier = Frontier::default();
    let mut stored = 0_u64;
    let before = cpu_of_this();
    for number in 0..count {
        entry[..8].copy_from_slice(&number.to_be_bytes());
        frontier.append_each(Hash::leaf(&entry), |node| stored += u64::from(node.is_stored()));
    }
    std::hint::black_box((frontier.root(), stored));
    count as f64 / (cpu_of_this() - before).as_secs_f64()
}

/// A backlog of so many records, folded by the sequencer as it stands.
fn sequenced_leaves(runtime: &Runtime, engine: store::Engine, count: u64) -> f64 {
    runtime.block_on(async {
        let (store, door) = open(engine).await;
        let door = std::sync::Arc::new(door);
        let tenant = TenantId::random();
        door.create_tenant(tenant).await.expect("a tenant");
        let mut writers = JoinSet::new();
        for _ in 0..8 {
            let door = std::sync::Arc::clone(&door);
            writers.spawn(async move { record(&door, tenant, count / 8).await });
        }
        while let Some(written) = writers.join_next().await {
            written.expect("a writer");
        }
        let sequencer = Sequencer::new(store, log_key());
        let used = || cpu_of_this() + cpu_of_postgres();
        let before = used();
        let mut numbered = 0;
        loop {
            let progress = sequencer.drain().await;
            if progress.numbered == 0 {
                break;
            }
            numbered += progress.numbered;
        }
        assert_eq!(numbered, count / 8 * 8, "all of it");
        numbered as f64 / (used() - before).as_secs_f64()
    })
}

async fn record(door: &Door, tenant: TenantId, count: u64) {
    for _ in 0..count {
        let tx = door.write(tenant, entry()).await.expect("a transaction");
        tx.commit(Record::about("itm_0123456789abcdef0123456789abcdef")).await.expect("a commit");
    }
}

/// A proof in a long log: from nodes in memory, and from the tiles of a real file.
fn proving(report: &mut Report, runtime: &Runtime) {
    let leaves = size(10_000_000, 1_000_000);
    let pure = median(&(0..1_000).map(|_| pure_proof(leaves)).collect::<Vec<_>>());
    report.add(Figure::new(
        format!("inclusion proof in {leaves} records, arithmetic alone"),
        pure * 1e6,
        "µs",
    ));
    let folder = Place::Memory.folder();
    let (store, door, tenant, root) = long_log(runtime, folder.path(), leaves);
    let samples: Vec<_> = runtime.block_on(async {
        let mut samples = Vec::new();
        for _ in 0..size(300, 100) {
            let index = u64::from_le_bytes(random()) % leaves;
            let begun = Instant::now();
            let proof = stored_proof(&door, tenant, index, leaves).await;
            samples.push(begun.elapsed().as_secs_f64());
            let head = ledger::TreeHead { size: leaves, root };
            proof.verify(index, &leaf(index), &head).expect("a proof that holds");
        }
        store.close().await;
        samples
    });
    let name = format!("inclusion proof in {leaves} records, from SQLite");
    report.add(
        Figure::new(format!("{name}, median"), median(&samples) * 1e6, "µs")
            .times("arithmetic alone", pure * 1e6),
    );
    report.add(Figure::new(format!("{name}, p99"), quantile(&samples, 0.99) * 1e6, "µs"));
}

fn pure_proof(leaves: u64) -> f64 {
    let node = |level: u8, index: u64| -> Result<Hash, Infallible> {
        let mut bytes = [level; 32];
        bytes[..8].copy_from_slice(&index.to_be_bytes());
        Ok(Hash::from(bytes))
    };
    let index = u64::from_le_bytes(random()) % leaves;
    let begun = Instant::now();
    std::hint::black_box(InclusionProof::prove(&node, index, leaves).expect("a proof"));
    begun.elapsed().as_secs_f64()
}

/// What the server does for whoever asks for a proof's tiles, and the proof from them.
async fn stored_proof(door: &Door, tenant: TenantId, index: u64, leaves: u64) -> InclusionProof {
    let mut tx = door.read(tenant).await.expect("a view");
    let mut tiles = HashMap::new();
    for tile in InclusionProof::tiles(index, leaves) {
        let bytes =
            store::history::tile(&mut tx, tile.level(), tile.index(), tile.width()).await.expect("a tile");
        tiles.insert(tile, bytes);
    }
    let missing = |tile: Tile| MissingNode { level: tile.level(), index: tile.index() };
    let reader = TileHashes::new(leaves, |tile| tiles.get(&tile).cloned().ok_or_else(|| missing(tile)));
    InclusionProof::prove(&reader, index, leaves).expect("a proof")
}

fn leaf(number: u64) -> Hash {
    Hash::leaf(&number.to_be_bytes())
}

/// Fills a tenant's file with a log of so many leaves, past the store: a year of records in a minute.
fn long_log(runtime: &Runtime, folder: &std::path::Path, leaves: u64) -> (Store, Door, TenantId, Hash) {
    let engine = || store::Engine::Sqlite { folder: folder.join("data"), open_files: 256 };
    let tenant = TenantId::random();
    let path = runtime.block_on(async {
        let (store, door) = open(engine()).await;
        door.create_tenant(tenant).await.expect("a tenant");
        let path = store.tenant_file(tenant).expect("a file");
        store.close().await;
        path
    });
    let mut connection = rusqlite::Connection::open(path).expect("the file");
    let triggers: Vec<String> = {
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").expect("a statement");
        statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("names")
    };
    for trigger in triggers {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).expect("dropped");
    }
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536").expect("settings");
    let transaction = connection.transaction().expect("a transaction");
    let mut frontier = Frontier::default();
    {
        let mut insert_leaf = transaction
            .prepare("INSERT INTO leaf (number, record, hash) VALUES (?1, ?2, ?3)")
            .expect("a statement");
        let mut insert_node = transaction
            .prepare("INSERT INTO subtree (level, number, hash) VALUES (?1, ?2, ?3)")
            .expect("a statement");
        for number in 0..leaves {
            let hash = leaf(number);
            let record = u128::from(number).to_be_bytes();
            insert_leaf.execute(params![number as i64, record, hash.as_bytes()]).expect("a leaf");
            frontier.append_each(hash, |Node { level, index, hash }| {
                if level > 0 && level % 8 == 0 {
                    insert_node.execute(params![level, index as i64, hash.as_bytes()]).expect("a node");
                }
            });
        }
    }
    transaction.commit().expect("a commit");
    drop(connection);
    let (store, door) = runtime.block_on(open(engine()));
    (store, door, tenant, frontier.root())
}

/// From a write's answer to the moment in which its record stands under a published checkpoint, seen from outside while
/// fifteen others write as fast as they can.
fn checkpoint_delay(report: &mut Report, engine: Engine, place: Place) {
    let server = Server::started(engine, place);
    let mut crowd = Crowd::gather(&server.world.url());
    let mut prober = crowd.pop();
    let done = AtomicBool::new(false);
    let mut delays = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| crowd.write_until(&|| done.load(Ordering::Relaxed)));
        let home = prober.somebody.home.clone();
        let mut from = 0;
        let until = Instant::now() + Duration::from_secs(size(30, 5));
        // The first tells where the log stands.
        while delays.len() < 2 || Instant::now() < until {
            let (request, _) = prober.write();
            let written = Instant::now();
            loop {
                let page = prober.get(&format!("/api/v1/log/{home}/records?from={from}&limit=1000")).json();
                let found = page["records"]
                    .as_array()
                    .expect("records")
                    .iter()
                    .any(|entry| entry["record"]["request"] == request.as_str());
                from = page["next"].as_u64().expect("a number");
                if found {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
            delays.push(written.elapsed().as_secs_f64());
        }
        done.store(true, Ordering::Relaxed);
    });
    let name = format!("checkpoint delay under load, {engine}, {place}");
    report.add(Figure::new(format!("{name}, median of {}", delays.len()), median(&delays) * 1e3, "ms"));
    report.add(
        Figure::new(format!("{name}, p99"), quantile(&delays, 0.99) * 1e3, "ms").goal(Goal::AtMost(1_000.0)),
    );
}
