// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of this room.

use store::{Migration, Scope};

/// This room's tables.
pub const MIGRATIONS: &[Migration] = &[CUSTOMER, PLATFORM];

/// A tenant's own providers, and the domains that it has proved.
const CUSTOMER: Migration = Migration {
    name: "federation/1",
    scope: Scope::Customer,
    sql: "
CREATE TABLE provider (
  id BLOB NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE provider_domain (
  lookup BLOB NOT NULL,
  sealed BLOB NOT NULL,
  added_at INTEGER NOT NULL,
  verified_at INTEGER,
  PRIMARY KEY (lookup)
);
",
};

/// The platform's providers; and which domain is whose, by keyed hashes, to find where somebody comes in.
const PLATFORM: Migration = Migration {
    name: "federation/2",
    scope: Scope::Platform,
    sql: "
CREATE TABLE platform_provider (
  id BLOB NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE domain_claim (
  lookup BLOB NOT NULL,
  tenant BLOB NOT NULL,
  verified_at INTEGER NOT NULL,
  PRIMARY KEY (lookup)
);
CREATE INDEX domain_claim_by_tenant ON domain_claim (tenant);
",
};
