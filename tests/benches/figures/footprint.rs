// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the server takes up: its binary, its memory, the time until it is ready.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Engine, binary};

use crate::machine::{Place, bytes_in, resident, size};
use crate::people::Somebody;
use crate::report::{Figure, Goal, Report};
use crate::server::Server;
use crate::statistics::median;
use crate::wire::Wire;

const MIB: f64 = 1_048_576.0;

/// Sign-ups in one life of a server that never meet its limit on all of them together.
const SIGN_UPS: usize = 1_500;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Footprint");
    let size_of_binary = std::fs::metadata(binary()).expect("the binary").len() as f64 / MIB;
    report.add(Figure::new("binary, stripped", size_of_binary, "MiB").goal(Goal::AtMost(40.0)));
    for (engine, place) in [(Engine::Sqlite, Place::Disk), (Engine::Postgresql, Place::of_postgres())] {
        start_and_idle(report, engine, place);
    }
    many_tenants(report, size(5_000, 300));
}

/// Starts again and again on a data folder with accounts in it.
fn start_and_idle(report: &mut Report, engine: Engine, place: Place) {
    let mut server = Server::started(engine, place);
    let mut wire = Wire::to(&server.world.url());
    for _ in 0..5 {
        Somebody::signs_up(&mut wire);
    }
    drop(wire);
    let mut starts = Vec::new();
    for _ in 0..size(9, 3) {
        server.world.stop();
        let begun = Instant::now();
        server.world.start();
        starts.push(begun.elapsed().as_secs_f64());
    }
    report.add(
        Figure::new(format!("cold start to ready, {engine}, {place}"), median(&starts) * 1e3, "ms")
            .goal(Goal::AtMost(200.0)),
    );
    // What starts in the background has come to rest.
    thread::sleep(Duration::from_secs(2));
    report.add(
        Figure::new(
            format!("idle memory (resident), {engine}"),
            resident(server.world.pid()) as f64 / MIB,
            "MiB",
        )
        .goal(Goal::AtMost(40.0)),
    );
    let mut wire = Wire::to(&server.world.url());
    for _ in 0..20 {
        Somebody::signs_up(&mut wire);
    }
    report.add(Figure::new(
        format!("memory after 20 sign-ups, {engine}"),
        resident(server.world.pid()) as f64 / MIB,
        "MiB",
    ));
}

/// As many homes as that, each of which somebody looks into.
fn many_tenants(report: &mut Report, count: usize) {
    // In memory: making a home waits for a disk about a dozen times.
    let mut server = Server::started(Engine::Sqlite, Place::Memory);
    let mut tokens = Vec::new();
    while tokens.len() < count {
        tokens.extend(sign_up_many(&server.world.url(), (count - tokens.len()).min(SIGN_UPS)));
        server.world.restart();
    }
    let before = resident(server.world.pid());
    let begun = Instant::now();
    let url = server.world.url();
    thread::scope(|scope| {
        for some in tokens.chunks(count.div_ceil(4)) {
            let url = &url;
            scope.spawn(move || {
                let mut wire = Wire::to(url);
                for token in some {
                    wire.get("/api/v1/collections", Some(token)).succeeded();
                }
            });
        }
    });
    let took = begun.elapsed().as_secs_f64();
    let name = format!("{count} tenants, SQLite, all touched");
    report.add(
        Figure::new(format!("memory with {name}"), resident(server.world.pid()) as f64 / MIB, "MiB").against(
            "before",
            before as f64 / MIB,
            resident(server.world.pid()) as f64 / before as f64,
        ),
    );
    // Judged by itself.
    report.add(
        Figure::new(format!("memory with {name}"), resident(server.world.pid()) as f64 / MIB, "MiB")
            .goal(Goal::AtMost(200.0)),
    );
    report.add(Figure::new("first look into a home, 4 at a time", took / count as f64 * 1e3, "ms"));
    let data = server.world.data().join("tenants");
    report.add(Figure::new("a new home's file", bytes_in(&data) as f64 / count as f64 / 1024.0, "KiB"));
    let begun = Instant::now();
    server.world.restart();
    report.add(Figure::new(
        format!("stop and start with {count} tenants"),
        begun.elapsed().as_secs_f64() * 1e3,
        "ms",
    ));
}

/// Signs up so many people, four at a time; their sessions' tokens.
fn sign_up_many(url: &str, count: usize) -> Vec<String> {
    let (tokens, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut wire = Wire::to(url);
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let somebody = Somebody::signs_up(&mut wire);
                    tokens.lock().expect("tokens").push(somebody.token);
                }
            });
        }
    });
    tokens.into_inner().expect("tokens")
}
