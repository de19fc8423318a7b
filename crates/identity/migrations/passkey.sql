CREATE TABLE passkey (
  method BLOB NOT NULL,
  credential BLOB NOT NULL,
  sign_count INTEGER NOT NULL,
  backed_up INTEGER NOT NULL,
  PRIMARY KEY (method)
);
