CREATE TABLE pairing (
  request BLOB NOT NULL,
  device BLOB NOT NULL,
  said BLOB NOT NULL,
  step TEXT NOT NULL,
  offers INTEGER NOT NULL,
  approver BLOB,
  approval BLOB,
  message BLOB,
  grant_hash BLOB,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (request)
);
CREATE INDEX pairing_by_end ON pairing (expires_at);
