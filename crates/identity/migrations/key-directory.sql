CREATE TABLE account_keys (
  account BLOB NOT NULL,
  key_version INTEGER NOT NULL,
  public_keys BLOB NOT NULL,
  statement BLOB,
  record BLOB NOT NULL,
  PRIMARY KEY (account, key_version)
);
