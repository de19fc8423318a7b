// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Drives the real `bailiwick` binary from outside, the way people, scripts and thieves do.
//!
//! A [`World`] is one server with a data folder and, on PostgreSQL, a database of its own. A [`Machine`] is one
//! configuration folder of the command line; a [`Person`] is what somebody remembers and carries about: an address,
//! a password, an authenticator, backup codes. [`Recorder`] stands on the wire between the two, [`Request`] asks
//! what the command line would not, [`Secrets`] looks for what should be nowhere. [`Authenticator`] and [`Chromium`] make and
//! show passkeys, one in software and one for real.
//!
//! ```text
//! let world = World::started(Engine::Sqlite);
//! let laptop = world.machine();
//! let ada = laptop.sign_up();
//! laptop.run(["put", "letters", "letters", "--json"]).done();
//!
//! let desktop = world.machine();
//! desktop.sign_in(&ada).done();
//! ```
//!
//! The binary comes from `BAILIWICK_BIN`, or from beside the test itself; `make test` builds it. PostgreSQL comes from
//! `BAILIWICK_TEST_PG` (`scripts/with-postgres` sets it), or is started when first asked for.

mod authenticator;
mod bucket;
mod chromium;
mod dialogue;
mod engine;
mod files;
mod homes;
mod machine;
mod outcome;
mod person;
mod postgres;
mod process;
mod recorder;
mod redis;
mod request;
mod secrets;
mod sqlite;
mod terminal;
mod world;

pub use authenticator::{Algorithm, Authenticator, Made, Passkeys, Shown};
pub use bucket::Bucket;
pub use chromium::Chromium;
pub use dialogue::Dialogue;
pub use engine::Engine;
pub use files::{Tree, assert_same_tree, copy_tree, noise, visit};
pub use homes::Home;
pub use machine::Machine;
pub use outcome::{Outcome, Problem};
pub use person::{Factor, Person};
pub use postgres::{Database, Role};
pub use process::{binary, free_port};
pub use recorder::{Exchange, Recorder};
pub use redis::{Redis, certify};
pub use request::{Request, encoded};
pub use secrets::Secrets;
pub use sqlite::Files;
pub use terminal::{Screen, Terminal};
pub use world::{Refusal, World};

/// A word that nothing else on earth contains.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

/// The bytes that base32 (RFC 4648) stands for.
pub fn base32(text: &str) -> Vec<u8> {
    data_encoding::BASE32_NOPAD.decode(text.trim_end_matches('=').as_bytes()).expect("base32")
}

/// Makes two tests of each named scenario, one for each engine. A scenario is a function of a started [`World`].
#[macro_export]
macro_rules! on_both_engines {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[test]
            fn on_sqlite() {
                super::$scenario($crate::World::started($crate::Engine::Sqlite));
            }

            #[test]
            fn on_postgresql() {
                super::$scenario($crate::World::started($crate::Engine::Postgresql));
            }
        }
    )+};
}
