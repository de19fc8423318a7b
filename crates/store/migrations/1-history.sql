CREATE TABLE record (
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  via TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  request TEXT NOT NULL,
  corrects BLOB,
  details BLOB NOT NULL,
  PRIMARY KEY (id)
) APPEND ONLY;
CREATE TABLE unnumbered (
  record BLOB NOT NULL,
  PRIMARY KEY (record)
);
CREATE TABLE leaf (
  number INTEGER NOT NULL,
  record BLOB NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (number),
  UNIQUE (record)
) APPEND ONLY NUMBERED BY number;
CREATE TABLE subtree (
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (level, number)
) APPEND ONLY;
CREATE TABLE checkpoint (
  size INTEGER NOT NULL,
  at INTEGER NOT NULL,
  note TEXT NOT NULL,
  frontier BLOB NOT NULL,
  PRIMARY KEY (size)
) APPEND ONLY;
