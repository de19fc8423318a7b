// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::env;
use std::fs;

use crate::unique;
use crate::world::World;

/// A bucket behind an S3 API, as `scripts/with-s3` makes it.
pub struct Bucket {
    endpoint: String,
    key_id: String,
    /// The access key: a secret to look for.
    pub key: String,
}

impl Bucket {
    /// The one of this run; `None` where there is none.
    pub fn of_this_run() -> Option<Self> {
        let variable = |name: &str| env::var(format!("BAILIWICK_TEST_S3{name}")).ok();
        let endpoint = variable("")?;
        let wanted =
            |name: &str| variable(name).unwrap_or_else(|| panic!("BAILIWICK_TEST_S3{name} is not set"));
        Some(Self { endpoint, key_id: wanted("_ID"), key: wanted("_SECRET") })
    }

    /// Makes a server keep its blobs in a place of their own in the bucket, from the next start on.
    pub fn keep_blobs_of(&self, world: &mut World) {
        let key = world.folder().join("s3-key");
        fs::write(&key, format!("{}\n", self.key)).expect("a file with the key");
        world.set("BAILIWICK_BLOBS", format!("s3://bailiwick/{}/blobs", unique("")));
        world.set("BAILIWICK_S3_ENDPOINT", &self.endpoint);
        world.set("BAILIWICK_S3_REGION", "us-east-1");
        world.set("BAILIWICK_S3_ACCESS_KEY_ID", &self.key_id);
        world.set("BAILIWICK_S3_SECRET_ACCESS_KEY_FILE", key);
    }
}
