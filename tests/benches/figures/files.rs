// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A large file up and down again by the command line, end to end: read, sealed, sent, stored durably, recorded; fetched,
//! opened, written. Against `cp` of the same file on the same file system plus ChaCha20-Poly1305 alone over the same bytes.
//!
//! `cp` leaves the bytes in memory, while a part that the server has acknowledged is on the disk. So there is a second line,
//! against `cp` and waiting for the disk; the goal is held against the first.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use harness::{Engine, noise};

use crate::machine::{Place, size};
use crate::report::{Figure, Goal, Report};
use crate::server::Server;
use crate::statistics::median;

/// What is sealed at once.
const CHUNK: usize = 64 * 1024;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    let mebibytes: usize = size(1024, 64);
    report.theme("Files: MiB per second, end to end by the command line");
    for place in [Place::Disk, Place::Memory] {
        let folder = place.folder();
        let original = folder.path().join("original");
        make(&original, mebibytes);
        let server = Server::started(Engine::Sqlite, place);
        let machine = server.world.machine();
        machine.sign_up();
        let (mut bare, mut durable, mut up, mut down) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..size(3, 2) {
            let at = |name: &str| folder.path().join(name);
            let sealed = seconds(|| seal(mebibytes));
            // Memory that was just freed is cheap to fill; new memory a virtual machine may get from its host first, which takes
            // several times longer. So everybody finds as much that was just freed.
            let refilled = || {
                cp(&original, &at("spare"));
                fs::remove_file(at("spare")).expect("the file goes");
            };
            refilled();
            bare.push(sealed + seconds(|| cp(&original, &at("copy"))));
            refilled();
            durable.push(
                sealed
                    + seconds(|| {
                        cp(&original, &at("durable"));
                        File::open(at("durable")).and_then(|file| file.sync_all()).expect("on the disk");
                    }),
            );
            let remote = format!("file-{round}");
            refilled();
            up.push(seconds(|| drop(machine.put(&original, &remote).done())));
            refilled();
            down.push(seconds(|| drop(machine.get(&remote, &at("fetched")).done())));
            let same = Command::new("cmp").arg(&original).arg(at("fetched")).status().expect("cmp");
            assert!(same.success(), "the same bytes");
            for name in ["copy", "durable", "fetched"] {
                fs::remove_file(at(name)).expect("the file goes");
            }
        }
        let rate = |seconds: &[f64]| mebibytes as f64 / median(seconds);
        for (name, taken) in [("upload", &up), ("download", &down)] {
            report.add(
                Figure::new(format!("{name} of {mebibytes} MiB, {place}"), rate(taken), "MiB/s")
                    .times("cp + ChaCha20-Poly1305", rate(&bare))
                    .goal(Goal::AtLeast(0.6)),
            );
            report.add(
                Figure::new(format!("{name} of {mebibytes} MiB, {place}"), rate(taken), "MiB/s")
                    .times("the same, on the disk (fsync)", rate(&durable)),
            );
        }
    }
}

fn make(path: &Path, mebibytes: usize) {
    let mut file = File::create(path).expect("a file");
    for number in 0..mebibytes {
        file.write_all(&noise(number as u64 + 1, 1 << 20)).expect("room for it");
    }
    file.sync_all().expect("on the disk");
}

fn cp(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("--reflink=never").arg(from).arg(to).status().expect("cp");
    assert!(done.success(), "cp");
}

/// Seals as many bytes, chunk by chunk, in one place in memory.
fn seal(mebibytes: usize) {
    let cipher = ChaCha20Poly1305::new(&Key::from([7; 32]));
    let mut chunk = noise(1, CHUNK);
    for number in 0..(mebibytes << 20) / CHUNK {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), b"", chunk.as_mut_slice().into());
        std::hint::black_box(tag.expect("sealed"));
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}
