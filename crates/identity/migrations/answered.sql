CREATE TABLE answered (
  account BLOB NOT NULL,
  idempotency_key BLOB NOT NULL,
  request BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  answer BLOB,
  PRIMARY KEY (account, idempotency_key)
);
CREATE INDEX answered_by_age ON answered (created_at);
