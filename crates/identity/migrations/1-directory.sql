CREATE TABLE account_directory (
  account BLOB NOT NULL,
  home BLOB NOT NULL,
  account_number TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (account),
  UNIQUE (account_number),
  UNIQUE (home)
);
CREATE INDEX account_directory_by_state ON account_directory (state, changed_at);
CREATE TABLE password_login (
  email_index BLOB NOT NULL,
  account BLOB NOT NULL,
  home BLOB NOT NULL,
  method BLOB NOT NULL,
  opaque_record BLOB NOT NULL,
  kdf_memory INTEGER NOT NULL,
  kdf_passes INTEGER NOT NULL,
  kdf_lanes INTEGER NOT NULL,
  email_salt BLOB NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  unsettled_since INTEGER,
  PRIMARY KEY (email_index),
  UNIQUE (account)
);
CREATE INDEX password_login_unsettled ON password_login (unsettled_since);
