// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console in a real browser: how much comes over the wire, how soon it can be used, whether it ever stands still.
//! `console/bench` measures; here it is held against its goals, and the slow hash against the same one in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use argon2::{Algorithm, Argon2, Params, Version};
use harness::binary;
use serde_json::Value;

use crate::machine::size;
use crate::report::{Figure, Goal, Report};

const KIB: f64 = 1_024.0;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("The console, in a browser");
    let native = argon2id();
    let measured = measured();
    let of = |name: &str| measured.get(name).copied().unwrap_or(f64::NAN);
    let at_most =
        |name: &str, value: f64, unit, most| Figure::new(name, value, unit).goal(Goal::AtMost(most));
    report.add(at_most(
        "first load, compressed, without the core",
        of("first_load_bytes") / KIB,
        "KiB",
        300.0,
    ));
    report.add(at_most("core (WebAssembly), compressed", of("core_bytes") / KIB, "KiB", 600.0));
    report.add(Figure::new("first visit until it can be used", of("interactive_ms"), "ms"));
    report.add(
        Figure::new("password checked, Argon2id 64 MiB, 3 passes", of("hash_ms"), "ms")
            .times("the hash alone, native", native * 1e3)
            .goal(Goal::AtMost(2.0)),
    );
    report.add(at_most("longest standstill, password checked", of("standstill_hash_ms"), "ms", 50.0));
    let (items, records) = (size("10,000 files", "500 files"), size("100,000 records", "2,000 records"));
    report.add(Figure::new("files stored by the page, a few bytes each", of("files_per_second"), "/s"));
    report.add(Figure::new(format!("{items} listed"), of("list_ms"), "ms"));
    report.add(at_most(&format!("longest standstill, {items} listed"), of("standstill_list_ms"), "ms", 50.0));
    report.add(Figure::new("records verified, each 1,000", of("verify_ms_per_1000"), "ms"));
    report.add(at_most(
        &format!("longest standstill, {records} verified"),
        of("standstill_verify_ms"),
        "ms",
        50.0,
    ));
    for (what, name) in [("items", items), ("records", records)] {
        report.add(Figure::new(
            format!("frame while scrolling {name}, median"),
            of(&format!("scroll_{what}_median_ms")),
            "ms",
        ));
        report.add(at_most(
            &format!("frame while scrolling {name}, 95th percentile"),
            of(&format!("scroll_{what}_slow_ms")),
            "ms",
            50.0,
        ));
        report.add(Figure::new(
            format!("longest standstill, scrolling {name}"),
            of(&format!("standstill_scroll_{what}_ms")),
            "ms",
        ));
    }
}

/// What the browser measured: the worst of what was measured several times.
fn measured() -> BTreeMap<String, f64> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("figures");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/bench-console");
    let status = Command::new(script)
        .env("BAILIWICK_BIN", binary())
        .env("BAILIWICK_CONSOLE_FIGURES", &file)
        .status()
        .expect("scripts/bench-console");
    assert!(status.success(), "the browser did not get to the end");
    let mut measured = BTreeMap::new();
    for line in std::fs::read_to_string(&file).expect("figures").lines() {
        let line: Value = serde_json::from_str(line).expect("a figure");
        let name = line["name"].as_str().expect("a name").to_owned();
        let value = line["value"].as_f64().expect("a value");
        measured.entry(name).and_modify(|worst: &mut f64| *worst = worst.max(value)).or_insert(value);
    }
    measured
}

/// Seconds that the hash of a sign-in takes on the clock, as clients run it.
fn argon2id() -> f64 {
    let params = Params::new(64 * 1024, 3, 1, Some(32)).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = |salt: u8| {
        let mut hash = [0; 32];
        argon2.hash_password_into(b"correct horse battery staple", &[salt; 16], &mut hash).expect("a hash");
        std::hint::black_box(hash);
    };
    hash(0);
    let begun = Instant::now();
    (1..=3).for_each(hash);
    begun.elapsed().as_secs_f64() / 3.0
}
