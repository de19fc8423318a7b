// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking people over from another system: how fast a file of them is stored, and what memory that takes.

use std::fmt::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use harness::Engine;
use uuid::Uuid;

use crate::machine::{Place, most_resident, size};
use crate::report::{Figure, Goal, Report};
use crate::server::Server;

/// Stores a file of people, each with a bcrypt hash, while no server runs.
pub fn row(report: &mut Report, engine: Engine) {
    let mut server = Server::started(engine, Place::Memory);
    server.world.stop();
    let count: usize = size(100_000, 5_000);
    let file = server.world.folder().join("people.ndjson");
    std::fs::write(&file, people(count)).expect("a file of people");

    let begun = Instant::now();
    let mut command = server.world.command("import-users");
    command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let mut import = command.spawn().expect("the binary starts");
    let mut memory = 0;
    let status = loop {
        memory = memory.max(most_resident(import.id()));
        if let Some(status) = import.try_wait().expect("a child") {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = begun.elapsed().as_secs_f64();
    assert!(status.success(), "the import: {status}");

    let name = format!("import of {count} people, {engine}");
    report.add(Figure::new(&name, count as f64 / took * 60.0, "per minute").goal(Goal::AtLeast(100_000.0)));
    report.add(Figure::new(format!("{name}: memory at the most"), memory as f64 / 1_048_576.0, "MiB"));
}

fn people(count: usize) -> String {
    let mut lines = String::new();
    for number in 0..count {
        let name = Uuid::new_v4().simple();
        let _ = writeln!(
            lines,
            r#"{{"email": "{name}@example.org", "hash": "{HASH}", "external_id": {number}, "created_at": "2020-01-01T00:00:00Z"}}"#
        );
    }
    lines
}

/// Of crypt_blowfish's published vectors; with the costs that are usual where people come from.
const HASH: &str = "$2a$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
