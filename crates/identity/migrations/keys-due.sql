CREATE TABLE keys_due (
  account BLOB NOT NULL,
  home BLOB NOT NULL,
  key_version INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (account)
);
CREATE INDEX keys_due_by_age ON keys_due (since);
