// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether the time of an answer tells a wrong password from an address that nobody has.
//!
//! A thousand of each, in random order on one connection, with the data in memory so that no disk blurs the picture. Welch's
//! t beyond 4.5 is what the field takes for a leak. It is computed over all samples, and over those below the
//! 90th percentile, where a small difference shows better.

use std::time::Instant;

use harness::Engine;
use keyring::Email;

use crate::machine::{Place, size};
use crate::people::{Somebody, address, finish_request, random, start_request};
use crate::report::{Figure, Goal, Report};
use crate::server::Server;
use crate::statistics::{cropped, median, welch_t};
use crate::wire::Wire;

/// A leak, by convention.
const LEAK: f64 = 4.5;

/// Tries at one account in one life of a server that never meet a limit.
const TRIES: usize = 4;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Unknown account or wrong password: what the time tells");
    let samples = size(1_000, 120);
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        let mut server = Server::started(engine, Place::Memory);
        let mut wire = Wire::to(&server.world.url());
        let known: Vec<_> =
            (0..size(100, 30)).map(|_| Somebody::signs_up(&mut wire).email().clone()).collect();
        let unknown: Vec<_> = known.iter().map(|_| address("nobody")).collect();
        drop(wire);
        let mut starts = Series::default();
        let mut wholes = Series::default();
        while starts.wrong.len() < samples {
            // A new life knows of no tries.
            server.world.restart();
            run(&server, &known, &unknown, &mut starts, &mut wholes);
        }
        show(report, format!("start, {engine}"), &starts, samples);
        show(report, format!("start and finish, {engine}"), &wholes, samples);
    }
}

/// Seconds.
#[derive(Default)]
struct Series {
    wrong: Vec<f64>,
    unknown: Vec<f64>,
}

fn run(server: &Server, known: &[Email], unknown: &[Email], starts: &mut Series, wholes: &mut Series) {
    let mut wire = Wire::to(&server.world.url());
    let mut tries: Vec<(&Email, bool)> = Vec::new();
    for _ in 0..TRIES {
        tries.extend(known.iter().map(|email| (email, true)));
        tries.extend(unknown.iter().map(|email| (email, false)));
    }
    shuffle(&mut tries);
    // Connections, statements and caches are warm before it counts.
    for email in (0..20).map(|_| address("warm")) {
        let request = start_request(&wire, &email);
        let started = wire.exchange(&request);
        let finish = finish_request(&wire, &started).finish;
        wire.exchange(&finish);
    }
    for (email, is_known) in tries {
        let request = start_request(&wire, email);
        let begun = Instant::now();
        let started = wire.exchange(&request);
        let start = begun.elapsed().as_secs_f64();
        let finish = finish_request(&wire, &started).finish;
        let begun = Instant::now();
        let refused = wire.exchange(&finish);
        let finish = begun.elapsed().as_secs_f64();
        assert_eq!(refused.status, 401, "{}", String::from_utf8_lossy(&refused.body));
        let side = |series: &mut Series, seconds: f64| {
            if is_known { series.wrong.push(seconds) } else { series.unknown.push(seconds) }
        };
        side(starts, start);
        side(wholes, start + finish);
    }
}

fn show(report: &mut Report, name: String, series: &Series, samples: usize) {
    let (wrong, unknown) = (&series.wrong[..samples], &series.unknown[..samples]);
    report.add(
        Figure::new(format!("{name}: wrong password, median"), median(wrong) * 1e6, "µs")
            .times("unknown account", median(unknown) * 1e6),
    );
    let all = welch_t(wrong, unknown).abs();
    let (wrong, unknown) = cropped(wrong, unknown, 0.9);
    let below = welch_t(&wrong, &unknown).abs();
    report.add(
        Figure::new(format!("{name}: |t|, all {samples} + {samples}"), all, "").goal(Goal::AtMost(LEAK)),
    );
    report.add(
        Figure::new(format!("{name}: |t|, below the 90th percentile"), below, "").goal(Goal::AtMost(LEAK)),
    );
}

/// Fisher and Yates.
fn shuffle<T>(values: &mut [T]) {
    for last in (1..values.len()).rev() {
        let other = u64::from_le_bytes(random()) % (last as u64 + 1);
        values.swap(last, usize::try_from(other).expect("an index"));
    }
}
