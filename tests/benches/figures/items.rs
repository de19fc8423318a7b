// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Items written and read with decision, scoping and record, against the engine's own plain insert and select.
//!
//! In this process first: the same calls that a route makes, with the sequencer at work beside as in the server. Then through
//! HTTP, where a request also finds its session; the other side has no network, so that comparison has no goal. Where commits
//! wait for a disk both sides wait; in memory what is computed shows.

use std::sync::Mutex;

use harness::{Database, Engine};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::machine::Place;
use crate::people::{Somebody, text};
use crate::postgres::{self, Transaction, With};
use crate::report::{Figure, Goal, Report};
use crate::rooms::{Ajar, Rooms, Sequencing, in_database};
use crate::server::Server;
use crate::sqlite;
use crate::turns::{Compared, Cost, compare, ladder, threads};
use crate::wire::Wire;

/// Bytes of an item.
pub const CONTENT: usize = 1024;

/// Items in each home to begin with: those that are read.
pub const ITEMS: usize = 1_000;

/// How many work at once, and how many homes there are.
pub const SPREAD: usize = 16;

/// How many work at once, in how many homes.
const CROWDS: [(usize, bool, &str); 3] =
    [(1, false, "one at a time"), (SPREAD, false, "16 in one home"), (SPREAD, true, "16 in 16 homes")];

/// Prints the figures of the embedded engine.
pub fn on_sqlite(report: &mut Report) {
    report.theme("Items on SQLite: decision, scoping and record, against the engine alone");
    let runtime = Runtime::new().expect("a runtime");
    for place in [Place::Disk, Place::Memory] {
        in_place(report, &runtime, place);
    }
}

fn in_place(report: &mut Report, runtime: &Runtime, place: Place) {
    let name = place.to_string();
    let plain = sqlite::Plain::new(place);
    let folder = place.folder();
    let embedded = |name: &str| store::Engine::Sqlite { folder: folder.path().join(name), open_files: 256 };
    let rooms = Rooms::new(runtime, embedded("rooms"), Sequencing::Beside);
    for (workers, spread, crowd) in CROWDS {
        let writes = compare(|| rooms.write(runtime, workers, spread), || plain.write(workers, spread));
        show(report, format!("write, {name}, {crowd}"), &writes, Some(3.0));
        let reads = compare(|| rooms.read(runtime, workers, spread), || plain.read(workers, spread));
        show(report, format!("read, {name}, {crowd}"), &reads, Some(3.0));
    }
    if place == Place::Memory {
        let ajar = Ajar::new(runtime, embedded("ajar"));
        let unnumbered = Rooms::new(runtime, embedded("unnumbered"), Sequencing::Never);
        let steps = ladder(&mut [
            Box::new(|| plain.write(1, false)),
            Box::new(|| plain.transaction(false)),
            Box::new(|| plain.transaction(true)),
            Box::new(|| ajar.write(runtime)),
            Box::new(|| unnumbered.write(runtime, 1, false)),
            Box::new(|| rooms.write(runtime, 1, false)),
        ]);
        let parts = [
            "the insert alone",
            "versions, sequence and quota",
            "record",
            "scoping: the tenant's file, its guard, the shared commit",
            "decision",
            "the sequencer at work beside",
        ];
        shares(report, "a write", &parts.into_iter().zip(steps).collect::<Vec<_>>());
        let steps = ladder(&mut [
            Box::new(|| plain.read(1, false)),
            Box::new(|| ajar.read(runtime)),
            Box::new(|| rooms.read(runtime, 1, false)),
        ]);
        read_shares(report, &steps);
    }
    through_http(report, Engine::Sqlite, place, &|workers| plain.write(workers, true), &|workers| {
        plain.read(workers, true)
    });
}

/// Prints the figures of PostgreSQL.
pub fn on_postgresql(report: &mut Report) {
    report.theme("Items on PostgreSQL: decision, scoping and record, against the engine alone");
    let runtime = &Runtime::new().expect("a runtime");
    let place = Place::of_postgres();
    let database = Database::create();
    let rooms = Rooms::new(runtime, in_database(&database), Sequencing::Beside);
    let plain = postgres::Plain::new(runtime, &database);
    for (workers, spread, crowd) in CROWDS {
        let writes = compare(|| rooms.write(runtime, workers, spread), || plain.write(runtime, workers));
        show(report, format!("write, {place}, {crowd}"), &writes, Some(2.0));
        let reads = compare(|| rooms.read(runtime, workers, spread), || plain.read(runtime, workers));
        show(report, format!("read, {place}, {crowd}"), &reads, Some(2.0));
    }
    let ajar = Ajar::new(runtime, in_database(&database));
    let unnumbered = Rooms::new(runtime, in_database(&database), Sequencing::Never);
    let transaction = |with| Transaction::new(runtime, &database, with);
    let (bare, scoped, recorded) =
        (transaction(With::Nothing), transaction(With::Scope), transaction(With::ScopeAndRecord));
    let steps = ladder(&mut [
        Box::new(|| plain.write(runtime, 1)),
        Box::new(|| bare.write(runtime)),
        Box::new(|| scoped.write(runtime)),
        Box::new(|| recorded.write(runtime)),
        Box::new(|| ajar.write(runtime)),
        Box::new(|| unnumbered.write(runtime, 1, false)),
        Box::new(|| rooms.write(runtime, 1, false)),
    ]);
    let parts = [
        "the insert alone",
        "a transaction: versions, sequence and quota",
        "scoping: policies and their setting",
        "record",
        "pool and door",
        "decision",
        "the sequencer at work beside",
    ];
    shares(report, "a write", &parts.into_iter().zip(steps).collect::<Vec<_>>());
    let steps = ladder(&mut [
        Box::new(|| plain.read(runtime, 1)),
        Box::new(|| ajar.read(runtime)),
        Box::new(|| rooms.read(runtime, 1, false)),
    ]);
    read_shares(report, &steps);
    through_http(report, Engine::Postgresql, place, &|workers| plain.write(runtime, workers), &|workers| {
        plain.read(runtime, workers)
    });
}

/// The time on the clock, which the goal is about; and the processors' work, which no busy machine blurs.
fn show(report: &mut Report, name: String, compared: &Compared, most: Option<f64>) {
    let Compared { ours, theirs, ratio } = compared;
    let time =
        Figure::new(&name, ours.time * 1e6, "µs").against("the engine's own", theirs.time * 1e6, ratio.time);
    report.add(match most {
        Some(most) => time.goal(Goal::AtMost(most)),
        None => time,
    });
    if most.is_some() {
        let name = format!("{name}: processor time");
        report.add(Figure::new(name, ours.work * 1e6, "µs").against(
            "the engine's own",
            theirs.work * 1e6,
            ratio.work,
        ));
    }
}

/// What each step adds to the one before, in processor time.
fn shares(report: &mut Report, of: &str, steps: &[(&str, Cost)]) {
    let Some((_, whole)) = steps.last() else { return };
    let mut before = 0.0;
    for (part, cost) in steps {
        let added = cost.work - before;
        before = cost.work;
        let figure = Figure::new(format!("  {part}"), added * 1e6, "µs");
        report.add(figure.against(format!("{of}, processor time"), whole.work * 1e6, added / whole.work));
    }
}

fn read_shares(report: &mut Report, steps: &[Cost]) {
    let parts = ["the select alone", "scoping: a consistent view of one tenant", "decision"];
    shares(report, "a read", &parts.into_iter().zip(steps.iter().copied()).collect::<Vec<_>>());
}

fn through_http(
    report: &mut Report,
    engine: Engine,
    place: Place,
    plain_write: &dyn Fn(usize) -> Cost,
    plain_read: &dyn Fn(usize) -> Cost,
) {
    let server = Server::started(engine, place);
    let crowd = Crowd::gather(&server.world.url());
    for (workers, how) in [(1, "one at a time"), (SPREAD, "16 in 16 homes")] {
        let writes = compare(|| crowd.write(workers), || plain_write(workers));
        show(report, format!("write through HTTP, {place}, {how}"), &writes, None);
        let reads = compare(|| crowd.read(workers), || plain_read(workers));
        show(report, format!("read through HTTP, {place}, {how}"), &reads, None);
    }
}

/// People with a collection each, every one on a connection.
pub struct Crowd(Vec<Mutex<Member>>);

/// One of them.
pub struct Member {
    wire: Wire,
    /// Whose home it is, and through which session.
    pub somebody: Somebody,
    collection: String,
    item: String,
    content: String,
}

impl Crowd {
    /// Signs them all up.
    pub fn gather(url: &str) -> Self {
        Self((0..SPREAD).map(|_| Mutex::new(Member::new(url))).collect())
    }

    /// The cost of a write.
    pub fn write(&self, workers: usize) -> Cost {
        threads(workers, |worker, _| drop(self.0[worker].lock().expect("a member").write()))
    }

    /// The cost of a read.
    pub fn read(&self, workers: usize) -> Cost {
        threads(workers, |worker, _| self.0[worker].lock().expect("a member").read())
    }

    /// Takes one out.
    pub fn pop(&mut self) -> Member {
        self.0.pop().expect("a member").into_inner().expect("a member")
    }

    /// Everybody writes until `enough` says so.
    pub fn write_until(&self, enough: &(dyn Fn() -> bool + Sync)) {
        std::thread::scope(|scope| {
            for member in &self.0 {
                scope.spawn(|| {
                    let mut member = member.lock().expect("a member");
                    while !enough() {
                        member.write();
                    }
                });
            }
        });
    }
}

impl Member {
    fn new(url: &str) -> Self {
        let mut wire = Wire::to(url);
        let somebody = Somebody::signs_up(&mut wire);
        let collection = format!("col_{}", Uuid::new_v4().simple());
        let new = json!({ "id": collection, "kind": "bench", "sealed_key": text(b"key"), "sealed_meta": text(b"") });
        wire.post("/api/v1/collections", Some(&somebody.token), &new).succeeded();
        let content = text(&harness::noise(1, CONTENT));
        let mut member = Self { wire, somebody, collection, item: String::new(), content };
        member.item = member.write().1;
        member
    }

    /// Writes a new item; the ids of the request and of the item.
    pub fn write(&mut self) -> (String, String) {
        let item = format!("itm_{}", Uuid::new_v4().simple());
        let body = json!({ "sealed": self.content });
        let request = self.wire.request(
            "PUT",
            &format!("/api/v1/collections/{}/items/{item}", self.collection),
            Some(&self.somebody.token),
            "if-none-match: *\r\n",
            Some(&body),
        );
        let answer = self.wire.exchange(&request);
        answer.succeeded();
        (answer.request, item)
    }

    fn read(&mut self) {
        let path = format!("/api/v1/collections/{}/items/{}", self.collection, self.item);
        self.wire.get(&path, Some(&self.somebody.token)).succeeded();
    }

    /// Gets a document with the session.
    pub fn get(&mut self, path: &str) -> crate::wire::Answer {
        self.wire.get(path, Some(&self.somebody.token))
    }
}
