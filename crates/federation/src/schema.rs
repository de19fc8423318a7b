// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of this room.

use store::{Migration, Scope};

/// This room's tables.
pub const MIGRATIONS: &[Migration] = &[CUSTOMER, PLATFORM, SCIM, CONFIRMED, SUSPENDED];

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
  owner BLOB NOT NULL,
  verified_at INTEGER NOT NULL,
  PRIMARY KEY (lookup)
);
CREATE INDEX domain_claim_by_owner ON domain_claim (owner);
",
};

/// Of whom another system tells a tenant, and who came in by the tenant's provider under which address. What is looked for is a
/// keyed hash.
const SCIM: Migration = Migration {
    name: "federation/3",
    scope: Scope::Customer,
    sql: "
CREATE TABLE scim_user (
  id BLOB NOT NULL,
  name_lookup BLOB NOT NULL,
  external_lookup BLOB,
  sealed BLOB NOT NULL,
  active INTEGER NOT NULL,
  account BLOB,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name_lookup)
);
CREATE INDEX scim_user_by_external ON scim_user (external_lookup);
CREATE INDEX scim_user_by_account ON scim_user (account);
CREATE TABLE scim_address (
  lookup BLOB NOT NULL,
  user_id BLOB NOT NULL,
  PRIMARY KEY (lookup)
);
CREATE INDEX scim_address_by_user ON scim_address (user_id);
CREATE TABLE scim_group (
  team BLOB NOT NULL,
  name_lookup BLOB NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (team),
  UNIQUE (name_lookup)
);
CREATE TABLE scim_group_member (
  team BLOB NOT NULL,
  user_id BLOB NOT NULL,
  PRIMARY KEY (team, user_id)
);
CREATE INDEX scim_group_member_by_user ON scim_group_member (user_id);
CREATE TABLE provided_member (
  account BLOB NOT NULL,
  lookup BLOB NOT NULL,
  PRIMARY KEY (account)
);
CREATE INDEX provided_member_by_lookup ON provided_member (lookup);
",
};

/// When the platform's administrator said last that a domain is its owner's. Nothing there: a record in its zone said so.
const CONFIRMED: Migration = Migration {
    name: "federation/4",
    scope: Scope::Platform,
    sql: "
ALTER TABLE domain_claim ADD COLUMN confirmed_at INTEGER;
",
};

/// When a member was suspended because of what was told of them. It ends only what it began.
const SUSPENDED: Migration = Migration {
    name: "federation/5",
    scope: Scope::Customer,
    sql: "
ALTER TABLE scim_user ADD COLUMN suspended_at INTEGER;
",
};
