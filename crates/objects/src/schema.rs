// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables.

use store::{Migration, Scope};

/// The steps forward of this room's tables.
pub const MIGRATIONS: &[Migration] = &[OBJECTS, MEMBERS, SHARES, GENERATIONS, WRITERS, GRANTS, VERSIONS];

/// Who else reads a collection, in its home: what decides.
const MEMBERS: Migration = Migration {
    name: "objects/members",
    scope: Scope::Tenant,
    sql: "
CREATE TABLE collection_member (
  collection BLOB NOT NULL,
  account BLOB NOT NULL,
  key_version INTEGER NOT NULL,
  sharer_key_version INTEGER NOT NULL,
  sealed_grant BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (collection, account)
);
",
};

/// What is shared with whom, in the directory: where to look.
const SHARES: Migration = Migration {
    name: "objects/shares",
    scope: Scope::Platform,
    sql: "
CREATE TABLE share (
  recipient BLOB NOT NULL,
  home BLOB NOT NULL,
  collection BLOB NOT NULL,
  owner BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (recipient, home, collection)
);
CREATE INDEX share_by_home ON share (home, collection);
",
};

/// Keys of collections follow each other, and items of shared ones are signed. The generation stands in the row that every writer
/// locks: who writes under a key that is not the newest is refused in the same statement that takes the number.
const GENERATIONS: Migration = Migration {
    name: "objects/generations",
    scope: Scope::Tenant,
    sql: "
ALTER TABLE collection_head ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE item ADD COLUMN authorship BLOB;
ALTER TABLE collection_member ADD COLUMN permission TEXT NOT NULL DEFAULT 'read';
CREATE TABLE former_key (
  collection BLOB NOT NULL,
  generation INTEGER NOT NULL,
  last_change INTEGER NOT NULL,
  sealed_key BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (collection, generation)
);
CREATE TABLE sharing_pace (
  slot INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (slot)
);
",
};

/// Which shares are for writing too, in the directory.
const WRITERS: Migration = Migration {
    name: "objects/writers",
    scope: Scope::Platform,
    sql: "
ALTER TABLE share ADD COLUMN permission TEXT NOT NULL DEFAULT 'read';
",
};

/// Who has the key of a collection of a customer's tenant.
const GRANTS: Migration = Migration {
    name: "objects/grants",
    scope: Scope::Customer,
    sql: "
CREATE TABLE collection_grant (
  collection BLOB NOT NULL,
  account BLOB NOT NULL,
  key_version INTEGER NOT NULL,
  sharer BLOB NOT NULL,
  sharer_key_version INTEGER NOT NULL,
  sealed_grant BLOB NOT NULL,
  tag BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (collection, account)
);
",
};

/// Versions of items that were replaced. How many are kept stands in the row that every writer locks. Of versions that have
/// one file, the newest counts its bytes.
const VERSIONS: Migration = Migration {
    name: "objects/versions",
    scope: Scope::Tenant,
    sql: "
ALTER TABLE collection_head ADD COLUMN kept_versions INTEGER NOT NULL DEFAULT 0;
CREATE TABLE earlier_version (
  collection BLOB NOT NULL,
  item BLOB NOT NULL,
  version INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  size INTEGER NOT NULL,
  blob BLOB,
  changed_at INTEGER NOT NULL,
  changed_by BLOB NOT NULL,
  authorship BLOB,
  PRIMARY KEY (collection, item, version)
);
",
};

const OBJECTS: Migration = Migration {
    name: "objects/1",
    scope: Scope::Tenant,
    // `collection_head` is the lock of a collection's writers: its row is updated first, so numbers
    // are taken and committed in the same order. A deleted collection has none. `forgotten` is the highest
    // sequence of a tombstone that was cleared away.
    //
    // `tombstone` finds deleted items by age; `item` alone would have to be read as a whole.
    //
    // `item` has one row an item, its current version; `item_by_sequence` (the UNIQUE) serves delta sync.
    //
    // `usage` has one row (slot 0). It counts the live items, the uploads under way at their full
    // size, and the live collections.
    sql: "
CREATE TABLE collection (
  id BLOB NOT NULL,
  owner BLOB NOT NULL,
  kind TEXT NOT NULL,
  sealed_key BLOB NOT NULL,
  sealed_meta BLOB NOT NULL,
  key_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER,
  PRIMARY KEY (id)
);
CREATE TABLE collection_head (
  collection BLOB NOT NULL,
  sequence INTEGER NOT NULL,
  forgotten INTEGER,
  PRIMARY KEY (collection)
) CLUSTERED;
CREATE TABLE tombstone (
  collection BLOB NOT NULL,
  item BLOB NOT NULL,
  deleted_at INTEGER NOT NULL,
  PRIMARY KEY (collection, item)
);
CREATE INDEX tombstone_by_age ON tombstone (deleted_at);
CREATE TABLE item (
  collection BLOB NOT NULL,
  id BLOB NOT NULL,
  version INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  size INTEGER NOT NULL,
  blob BLOB,
  changed_at INTEGER NOT NULL,
  changed_by BLOB NOT NULL,
  deleted_at INTEGER,
  PRIMARY KEY (collection, id),
  UNIQUE (collection, sequence)
);
CREATE TABLE blob (
  id BLOB NOT NULL,
  state TEXT NOT NULL,
  size INTEGER NOT NULL,
  part_size INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  account BLOB NOT NULL,
  collection BLOB NOT NULL,
  inline BLOB,
  PRIMARY KEY (id)
);
CREATE INDEX blob_by_state ON blob (state, changed_at);
CREATE INDEX blob_by_collection ON blob (collection, state);
CREATE TABLE blob_part (
  blob BLOB NOT NULL,
  number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  PRIMARY KEY (blob, number)
);
CREATE TABLE usage (
  slot INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  items INTEGER NOT NULL,
  collections INTEGER NOT NULL,
  PRIMARY KEY (slot)
);
",
};
