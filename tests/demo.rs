// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The demo: a newcomer's first minute, which must keep its word.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use harness::{Outcome, binary};
use serde_json::Value;

/// Runs `bailiwick demo` as somebody would who has set nothing.
fn demo(arguments: &[&str], temporary: &Path) -> Outcome {
    let mut command = Command::new(binary());
    command.arg("demo").args(arguments).env("TMPDIR", temporary);
    // Of another server, which the demo must not touch.
    command.env("BAILIWICK_SERVER", "http://127.0.0.1:9").env("BAILIWICK_TENANT", "ten_0");
    Outcome::new("bailiwick demo".to_owned(), command.output().expect("the binary starts"))
}

#[test]
fn the_demo_shows_isolation_a_refusal_explained_and_tampering_found() {
    let temporary = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let told = demo(&["--json"], temporary.path()).json();
    assert!(start.elapsed().as_secs() < 60, "it takes less than a minute: {:?}", start.elapsed());
    let steps = told["steps"].as_array().unwrap();
    let statuses = |title: &str| -> Vec<i64> {
        let step = steps.iter().find(|step| step["step"].as_str().unwrap().contains(title));
        let commands = step.unwrap_or_else(|| panic!("{title} in {told}"))["commands"].as_array().unwrap();
        commands.iter().map(|command| command["status"].as_i64().unwrap()).collect()
    };
    assert_eq!(statuses("two customers"), [0, 0, 0]);
    assert_eq!(statuses("sealed"), [0]);
    assert_eq!(statuses("not there for another"), [1, 1], "not found, both");
    assert_eq!(statuses("explained"), [5, 0, 0, 0], "refused, why, who may, done by who may");
    assert_eq!(statuses("policies"), [0, 0, 5, 0, 0, 0], "tried, put, refused, why, back, allowed");
    assert_eq!(statuses("rewrites"), [0, 3, 0], "whole, tampered with, put back");
    assert_eq!(told["folder"], Value::Null);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn what_the_demo_leaves_can_be_gone_on_with() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("there");
    let told = demo(&["--data", folder.to_str().unwrap()], temporary.path()).done();
    for word in ["ada$ bailiwick", "To go on:", "bailiwick serve --data"] {
        assert!(told.stdout.contains(word), "{word}: {told}");
    }
    // The line that starts the server, as it was told.
    let line = told.stdout.lines().find(|line| line.trim_start().starts_with("bailiwick serve")).unwrap();
    let _server = Served::by(&line.split_whitespace().skip(1).collect::<Vec<_>>());
    let mut command = Command::new(binary());
    command.args(["tenant", "members", "list", "--json"]).env("BAILIWICK_KEYCHAIN", "off");
    command.env("BAILIWICK_CONFIG_DIR", folder.join("people/ada"));
    let members = Outcome::new("tenant members".to_owned(), command.output().expect("the binary starts"));
    assert_eq!(members.entries().len(), 3);

    // A folder in which something is already is not for it.
    let refused = demo(&["--json", "--data", folder.to_str().unwrap()], temporary.path()).refused(1);
    assert_eq!(refused.code, "demo_failed");
}

/// A server that ends with the test.
struct Served(Child);

impl Served {
    fn by(words: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready "), "{line:?}");
        Served(child)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
