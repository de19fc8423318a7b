// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The real server, without limits on how often one address may ask.

use harness::{Engine, World};
use tempfile::TempDir;

use crate::machine::Place;

/// A server with its data in a place. On PostgreSQL the records are where PostgreSQL is.
pub struct Server {
    /// The server.
    pub world: World,
    /// Goes with it.
    _data: TempDir,
}

impl Server {
    /// Starts one that was never there before.
    pub fn started(engine: Engine, place: Place) -> Self {
        let mut server = Self::prepared(engine, place);
        server.world.start();
        server
    }

    /// Everything but the start.
    pub fn prepared(engine: Engine, place: Place) -> Self {
        let data = place.folder();
        let mut world = World::on(engine);
        world.keep_data_in(&data.path().join("data"));
        // All load comes from one address.
        world.set("BAILIWICK_REQUESTS_PER_SECOND", "1000000");
        world.set("BAILIWICK_REQUEST_BURST", "1000000");
        world.set("BAILIWICK_SIGNIN_TRIES_PER_ADDRESS", "1000000");
        Self { world, _data: data }
    }
}
