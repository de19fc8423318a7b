CREATE TABLE former_account_key (
  key_version INTEGER NOT NULL,
  sealed_key BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (key_version)
);
