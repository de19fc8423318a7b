CREATE TABLE provided_identity (
  method BLOB NOT NULL,
  vouching BLOB NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (method)
);
ALTER TABLE session ADD COLUMN came_by BLOB;
