CREATE TABLE imported_user (
  email_index BLOB NOT NULL,
  account_number TEXT NOT NULL,
  sealed_hash BLOB,
  cost TEXT NOT NULL,
  created_at INTEGER,
  imported_at INTEGER NOT NULL,
  PRIMARY KEY (email_index),
  UNIQUE (account_number)
);
CREATE TABLE imported_cost (
  cost TEXT NOT NULL,
  users INTEGER NOT NULL,
  PRIMARY KEY (cost)
);
