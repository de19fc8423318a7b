// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of this room.

use store::{Migration, Scope};

/// Sealed keys: a tenant's own in its own database, the server's in the platform's.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "custody/1",
        scope: Scope::Everywhere,
        sql: "
CREATE TABLE tenant_key (
  version INTEGER NOT NULL,
  root_key_id TEXT NOT NULL,
  sealed BLOB,
  created_at INTEGER NOT NULL,
  destroyed_at INTEGER,
  PRIMARY KEY (version)
);
CREATE TABLE subject_key (
  subject BLOB NOT NULL,
  purpose TEXT NOT NULL,
  sealed BLOB,
  created_at INTEGER NOT NULL,
  destroyed_at INTEGER,
  PRIMARY KEY (subject, purpose)
);
",
    },
    Migration {
        name: "custody/2",
        scope: Scope::Platform,
        sql: "
CREATE TABLE server_secret (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  root_key_id TEXT NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  retired_at INTEGER,
  PRIMARY KEY (name, version)
);
",
    },
];
