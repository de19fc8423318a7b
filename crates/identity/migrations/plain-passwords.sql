-- Plain passwords of a tenant's members, for backends that cannot run the client. Under the tenant's key: the name and the hash.
CREATE TABLE plain_password_allowed (
  one INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (one)
);
CREATE TABLE plain_password (
  account BLOB NOT NULL,
  name_lookup BLOB NOT NULL,
  cost TEXT NOT NULL,
  sealed BLOB NOT NULL,
  set_at INTEGER NOT NULL,
  used_at INTEGER,
  PRIMARY KEY (account),
  UNIQUE (name_lookup)
);
