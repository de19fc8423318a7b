// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of this room.

use store::{Migration, Scope};

/// This room's tables.
pub const MIGRATIONS: &[Migration] = &[SIGNING_KEYS, CLIENTS, DEVICES, LOGOUTS];

/// The server's signing keys, in the platform's database. `number` counts them: two servers that rotate at once make
/// one key.
const SIGNING_KEYS: Migration = Migration {
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
};

/// Applications of a tenant, what was allowed to them, and what must not be used again.
const CLIENTS: Migration = Migration {
    name: "tokens/2",
    scope: Scope::Customer,
    sql: "
CREATE TABLE oauth_client (
  id BLOB NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE oauth_grant (
  id BLOB NOT NULL,
  client BLOB NOT NULL,
  account BLOB NOT NULL,
  parent BLOB,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  code_hash BLOB,
  code_used_at INTEGER,
  refresh_hash BLOB,
  refresh_key BLOB,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (id)
);
CREATE INDEX oauth_grant_by_account ON oauth_grant (account, client);
CREATE INDEX oauth_grant_by_client ON oauth_grant (client);
CREATE INDEX oauth_grant_by_end ON oauth_grant (expires_at);
CREATE TABLE oauth_consent (
  account BLOB NOT NULL,
  client BLOB NOT NULL,
  scope TEXT NOT NULL,
  given_at INTEGER NOT NULL,
  PRIMARY KEY (account, client)
);
CREATE INDEX oauth_consent_by_client ON oauth_consent (client);
CREATE TABLE oauth_spent (
  hash BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (hash)
);
CREATE INDEX oauth_spent_by_end ON oauth_spent (expires_at);
",
};

/// Programs without a browser that wait to be let in, in the platform's database: a short code does not say where it leads.
const DEVICES: Migration = Migration {
    name: "tokens/3",
    scope: Scope::Platform,
    sql: "
CREATE TABLE oauth_device (
  device_hash BLOB NOT NULL,
  user_hash BLOB NOT NULL,
  state TEXT NOT NULL,
  sealed BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (device_hash),
  UNIQUE (user_hash)
);
CREATE INDEX oauth_device_by_end ON oauth_device (expires_at);
",
};

/// Grants whose clients want to be told when they end, in the platform's database. `due_at` is when to tell, once one has.
const LOGOUTS: Migration = Migration {
    name: "tokens/4",
    scope: Scope::Platform,
    sql: "
CREATE TABLE oauth_logout (
  grant_id BLOB NOT NULL,
  customer BLOB NOT NULL,
  client BLOB NOT NULL,
  account BLOB NOT NULL,
  noted_at INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  due_at INTEGER,
  PRIMARY KEY (grant_id)
);
CREATE INDEX oauth_logout_by_account ON oauth_logout (account);
CREATE INDEX oauth_logout_by_due ON oauth_logout (due_at);
",
};
