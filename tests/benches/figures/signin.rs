// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the server works for a sign-in by password, all of it, in processor time: both requests, the database (PostgreSQL's
//! own processes included), the session, the record, and what the sequencer makes of it afterwards.
//!
//! Against one Argon2id with 19 MiB and two passes, the least that is recommended for servers that hash passwords
//! themselves. It must be said with the figure: here the hash runs on the client.

use std::thread;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use harness::Engine;

use crate::machine::{Place, cpu_of, cpu_of_postgres, cpu_of_this, size};
use crate::people::{self, Somebody};
use crate::report::{Figure, Goal, Report};
use crate::server::Server;
use crate::wire::Wire;

/// What a sign-in is held against.
pub const HASH: &str = "Argon2id 19 MiB, 2 passes";

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Sign-in by password: the server's processor time");
    let (opaque, hash) = (people::opaque(size(2_000, 300)), argon2id());
    report.add(Figure::new("OPAQUE alone, start and finish", opaque * 1e3, "ms").against(
        HASH,
        hash * 1e3,
        hash / opaque,
    ));
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        let server = Server::started(engine, Place::Memory);
        let mut people = people(&server, size(240, 32));
        let half = people.split_off(people.len() / 2);
        let hash_before = argon2id();
        let alone = one_at_a_time(&server, people);
        let together = sixteen_at_a_time(&server, half);
        let hash = (hash_before + argon2id()) / 2.0;
        for (how, cost) in [("one at a time", &alone), ("16 at a time", &together)] {
            let name = format!("sign-in, {engine}, {how}");
            report.add(
                Figure::new(&name, cost.whole() * 1e3, "ms")
                    .against(HASH, hash * 1e3, hash / cost.whole())
                    .goal(Goal::AtLeast(50.0)),
            );
            if engine == Engine::Postgresql {
                report.add(
                    Figure::new(format!("{name}: the server without PostgreSQL"), cost.server * 1e3, "ms")
                        .against(HASH, hash * 1e3, hash / cost.server),
                );
            }
        }
        let together = together.whole();
        report.add(
            Figure::new(format!("sign-ins per second and core, {engine}"), 1.0 / together, "/s").against(
                HASH,
                1.0 / hash,
                hash / together,
            ),
        );
    }
}

fn people(server: &Server, count: usize) -> Vec<Somebody> {
    let mut wire = Wire::to(&server.world.url());
    (0..count).map(|_| Somebody::signs_up(&mut wire)).collect()
}

/// Seconds of processor time that one hash takes.
pub fn argon2id() -> f64 {
    let params = Params::new(19 * 1024, 2, 1, Some(32)).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = |salt: u8| {
        let mut hash = [0; 32];
        argon2.hash_password_into(b"correct horse battery staple", &[salt; 16], &mut hash).expect("a hash");
        std::hint::black_box(hash);
    };
    // The first takes its memory from the system, the others find it there.
    (0..2).for_each(hash);
    let count = size(24, 8);
    let before = cpu_of_this();
    (0..count).for_each(hash);
    (cpu_of_this() - before).as_secs_f64() / f64::from(count)
}

fn one_at_a_time(server: &Server, mut people: Vec<Somebody>) -> Work {
    let url = server.world.url();
    cost(server, || {
        let mut wire = Wire::to(&url);
        people.iter_mut().map(|person| signs_in_often(person, &mut wire)).sum()
    })
}

fn sixteen_at_a_time(server: &Server, mut people: Vec<Somebody>) -> Work {
    let url = &server.world.url();
    let each = people.len().div_ceil(16);
    cost(server, || {
        thread::scope(|scope| {
            let crowds: Vec<_> = people
                .chunks_mut(each)
                .map(|crowd| {
                    scope.spawn(move || {
                        let mut wire = Wire::to(url);
                        crowd.iter_mut().map(|person| signs_in_often(person, &mut wire)).sum::<usize>()
                    })
                })
                .collect();
            crowds.into_iter().map(|crowd| crowd.join().expect("a crowd")).sum()
        })
    })
}

fn signs_in_often(person: &mut Somebody, wire: &mut Wire) -> usize {
    let count = person.sign_ins_left();
    for _ in 0..count {
        person.signs_in(wire);
    }
    count
}

/// Seconds of processor time for a sign-in.
pub struct Work {
    server: f64,
    database: f64,
}

impl Work {
    /// With the database's.
    pub fn whole(&self) -> f64 {
        self.server + self.database
    }
}

/// What each of the sign-ins that `work` counts takes.
pub fn cost(server: &Server, work: impl FnOnce() -> usize) -> Work {
    let (server_before, database_before) = (cpu_of(server.world.pid()), cpu_of_postgres());
    let count = work() as f64;
    // The sequencer numbers the last records a moment later, and that counts too.
    thread::sleep(Duration::from_millis(500));
    Work {
        server: (cpu_of(server.world.pid()) - server_before).as_secs_f64() / count,
        database: (cpu_of_postgres() - database_before).as_secs_f64() / count,
    }
}
