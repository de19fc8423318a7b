CREATE TABLE customer (
  id BLOB NOT NULL,
  state TEXT NOT NULL,
  region TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX customer_by_state ON customer (state, changed_at);
CREATE TABLE membership (
  account BLOB NOT NULL,
  customer BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account, customer)
);
CREATE INDEX membership_by_customer ON membership (customer);
