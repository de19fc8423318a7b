// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of this room.

use store::{Migration, Scope};

/// The server's signing keys, in the platform's database. `number` counts them: two servers that rotate at once make
/// one key.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "tokens/1",
    scope: Scope::Platform,
    sql: "
CREATE TABLE signing_key (
  kid TEXT NOT NULL,
  number INTEGER NOT NULL,
  algorithm TEXT NOT NULL,
  public BLOB NOT NULL,
  sealed BLOB,
  created_at INTEGER NOT NULL,
  active_from INTEGER NOT NULL,
  retired_at INTEGER,
  removed_at INTEGER,
  PRIMARY KEY (kid),
  UNIQUE (number)
);
",
}];
