CREATE TABLE tenant_state (
  one INTEGER NOT NULL,
  state TEXT NOT NULL,
  region TEXT NOT NULL,
  sealed_name BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  delete_at INTEGER,
  people INTEGER NOT NULL,
  places INTEGER NOT NULL,
  policies INTEGER NOT NULL,
  PRIMARY KEY (one)
);
CREATE TABLE organisation (
  id BLOB NOT NULL,
  parent BLOB,
  sealed_name BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX organisation_by_parent ON organisation (parent);
CREATE TABLE member (
  account BLOB NOT NULL,
  home BLOB NOT NULL,
  state TEXT NOT NULL,
  sealed_label BLOB NOT NULL,
  joined_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (account)
);
CREATE TABLE invitation (
  id BLOB NOT NULL,
  token_hash BLOB NOT NULL,
  email_index BLOB,
  sealed_email BLOB,
  sealed_label BLOB,
  uses INTEGER NOT NULL,
  inviter BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX invitation_by_token ON invitation (token_hash);
CREATE INDEX invitation_by_end ON invitation (expires_at);
CREATE TABLE invitation_role (
  invitation BLOB NOT NULL,
  role TEXT NOT NULL,
  place BLOB NOT NULL,
  is_device INTEGER NOT NULL,
  PRIMARY KEY (invitation, role, place)
);
CREATE TABLE invitation_use (
  invitation BLOB NOT NULL,
  account BLOB NOT NULL,
  joined_at INTEGER NOT NULL,
  PRIMARY KEY (invitation, account)
);
CREATE TABLE team (
  id BLOB NOT NULL,
  sealed_name BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE team_member (
  team BLOB NOT NULL,
  account BLOB NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (team, account)
);
CREATE INDEX team_member_by_account ON team_member (account);
CREATE TABLE role (
  id BLOB NOT NULL,
  sealed_name BLOB NOT NULL,
  actions TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE role_grant (
  holder BLOB NOT NULL,
  role TEXT NOT NULL,
  place BLOB NOT NULL,
  is_device INTEGER NOT NULL,
  holder_kind TEXT NOT NULL,
  granted_at INTEGER NOT NULL,
  granted_by TEXT NOT NULL,
  PRIMARY KEY (holder, role, place)
);
CREATE INDEX role_grant_by_place ON role_grant (place);
CREATE INDEX role_grant_by_role ON role_grant (role, place);
CREATE TABLE tenant_device (
  id BLOB NOT NULL,
  lookup BLOB NOT NULL,
  organisation BLOB NOT NULL,
  sealed_name BLOB NOT NULL,
  sealed_external BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX tenant_device_by_lookup ON tenant_device (lookup);
CREATE INDEX tenant_device_by_organisation ON tenant_device (organisation, id);
CREATE TABLE placement (
  thing BLOB NOT NULL,
  organisation BLOB NOT NULL,
  PRIMARY KEY (thing)
);
CREATE INDEX placement_by_organisation ON placement (organisation);
CREATE TABLE policy_version (
  number INTEGER NOT NULL,
  text TEXT NOT NULL,
  author TEXT NOT NULL,
  sealed_note BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (number)
) APPEND ONLY;
CREATE TABLE service_account (
  id BLOB NOT NULL,
  state TEXT NOT NULL,
  sealed_name BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE service_key (
  id BLOB NOT NULL,
  account BLOB NOT NULL,
  hash BLOB NOT NULL,
  sealed_label BLOB NOT NULL,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX service_key_by_hash ON service_key (hash);
CREATE INDEX service_key_by_account ON service_key (account, created_at);
CREATE TABLE support_grant (
  id BLOB NOT NULL,
  operator BLOB NOT NULL,
  actions TEXT NOT NULL,
  sealed_reason BLOB NOT NULL,
  granted_at INTEGER NOT NULL,
  granted_by TEXT NOT NULL,
  ends_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (id)
);
CREATE INDEX support_grant_by_operator ON support_grant (operator, ends_at);
