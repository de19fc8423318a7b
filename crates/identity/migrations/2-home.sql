CREATE TABLE account (
  id BLOB NOT NULL,
  number TEXT NOT NULL,
  email_index BLOB,
  sealed_email BLOB,
  totp BLOB,
  totp_last_step INTEGER NOT NULL,
  master_key_version INTEGER NOT NULL,
  identity_public BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  deleted_at INTEGER,
  PRIMARY KEY (id)
);
CREATE TABLE identity_rotation (
  key_version INTEGER NOT NULL,
  statement BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (key_version)
) APPEND ONLY;
CREATE TABLE login_method (
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  public_key BLOB,
  sealed_master_key BLOB,
  tag BLOB,
  master_key_version INTEGER,
  salt BLOB,
  kdf_memory INTEGER,
  kdf_passes INTEGER,
  kdf_lanes INTEGER,
  address BLOB,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  PRIMARY KEY (id)
);
CREATE TABLE backup_code (
  lookup BLOB NOT NULL,
  used_at INTEGER,
  PRIMARY KEY (lookup)
) CLUSTERED;
CREATE TABLE device (
  id BLOB NOT NULL,
  secret_hash BLOB NOT NULL,
  name TEXT NOT NULL,
  platform TEXT NOT NULL,
  place TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (id)
);
CREATE TABLE session (
  token_hash BLOB NOT NULL,
  id BLOB NOT NULL,
  account BLOB NOT NULL,
  device BLOB NOT NULL,
  method BLOB NOT NULL,
  kind TEXT NOT NULL,
  place TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  fresh_until INTEGER NOT NULL,
  ended_at INTEGER,
  server_half BLOB,
  email_key BLOB,
  PRIMARY KEY (token_hash),
  UNIQUE (id)
) CLUSTERED;
CREATE TABLE spent_state (
  id BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (id)
) CLUSTERED;
