CREATE TABLE login_lookup (
  lookup_index BLOB NOT NULL,
  account BLOB NOT NULL,
  home BLOB NOT NULL,
  method BLOB NOT NULL,
  kind TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (lookup_index)
);
CREATE INDEX login_lookup_by_account ON login_lookup (account);
