// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every figure that the project states about itself, measured here and now, beside what it is compared with.
//!
//! `cargo bench -p bailiwick-e2e --bench figures [-- THEME…]` with `BAILIWICK_BIN` naming a release build; themes are
//! `signin`, `ways-in`, `items-sqlite`, `items-postgresql`, `ledger`, `files`, `footprint`, `timing`, `decisions`, `gateway`,
//! `console`, or how these begin.
//! `BENCH_QUICK=1` makes it short, `BENCH_JSON=FILE` appends each figure as a line of JSON.
//!
//! Both sides of a comparison are measured in the same run and take turns, so that a machine that is slow or busy slows
//! both. What counts are the ratios.

mod api_keys;
mod console;
mod decisions;
mod files;
mod footprint;
mod gateway;
mod imports;
mod items;
mod ledger;
mod machine;
mod pairing;
mod people;
mod postgres;
mod report;
mod rooms;
mod server;
mod signin;
mod sqlite;
mod statistics;
mod timing;
mod turns;
mod ways_in;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use report::Report;

type Theme = (&'static str, fn(&mut Report));

const THEMES: &[Theme] = &[
    ("signin", signin::figures),
    ("items-sqlite", items::on_sqlite),
    ("items-postgresql", items::on_postgresql),
    ("ledger", ledger::figures),
    ("files", files::figures),
    ("footprint", footprint::figures),
    ("timing", timing::figures),
    ("decisions", decisions::figures),
    ("gateway", gateway::figures),
    ("ways-in", ways_in::figures),
    ("ways-in-api-keys", api_keys::figures),
    ("console", console::figures),
];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut report = Report::default();
    println!("# Figures of {}; {:.1} processes want to run", harness::binary().display(), machine::load());
    for (name, figures) in THEMES {
        if wanted.is_empty() || wanted.iter().any(|word| name.starts_with(word.as_str())) {
            // One that cannot be measured leaves the others.
            if catch_unwind(AssertUnwindSafe(|| figures(&mut report))).is_err() {
                report.failed();
            }
        }
    }
    println!("\n{:.1} processes want to run", machine::load());
    report.close()
}
