CREATE TABLE api_key (
  secret_hash BLOB NOT NULL,
  method BLOB NOT NULL,
  public_id TEXT NOT NULL,
  account BLOB NOT NULL,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  expires_at INTEGER,
  refused_at INTEGER,
  reported_at INTEGER,
  report_told_at INTEGER,
  PRIMARY KEY (secret_hash),
  UNIQUE (method),
  UNIQUE (public_id)
);
CREATE TABLE api_key_address (
  method BLOB NOT NULL,
  network TEXT NOT NULL,
  state TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  PRIMARY KEY (method, network)
);
