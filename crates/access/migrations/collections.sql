CREATE TABLE tenant_collection (
  id BLOB NOT NULL,
  protection TEXT NOT NULL,
  created_by TEXT NOT NULL,
  salt BLOB NOT NULL,
  first_key BLOB,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (id)
) APPEND ONLY;
