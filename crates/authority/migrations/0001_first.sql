-- Ids and digests are bytes, times are microseconds since 1970, lists and states are words. `position` is the last
-- event about the row, `mac` seals every column that a decision depends on, with a key that is not in here.

CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  position INTEGER NOT NULL,
  hash BLOB NOT NULL,
  seals BLOB NOT NULL,
  mac BLOB NOT NULL
) STRICT;

CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  customer_id BLOB,
  user_id BLOB,
  service_id BLOB,
  token_id BLOB,
  subject_kind TEXT NOT NULL,
  subject_id BLOB,
  ip TEXT NOT NULL,
  request_id TEXT NOT NULL,
  description TEXT NOT NULL,
  metadata TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_subject ON events (subject_kind, subject_id, position) WHERE subject_id IS NOT NULL;
CREATE INDEX events_by_customer ON events (customer_id, position);

CREATE TABLE customers (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  settings TEXT NOT NULL,
  profile TEXT NOT NULL,
  contacts TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- `password` is empty for somebody who has not set one yet. `reset` is the digest of the code that sets a new one, and
-- empty where there is none. `grants` is what a person who is limited to services may do on each.
CREATE TABLE users (
  id BLOB PRIMARY KEY,
  customer_id BLOB NOT NULL REFERENCES customers (id),
  login TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  state TEXT NOT NULL,
  password TEXT NOT NULL,
  factor TEXT NOT NULL,
  factor_seed BLOB NOT NULL,
  factor_step INTEGER NOT NULL,
  factor_failures INTEGER NOT NULL,
  factor_month INTEGER NOT NULL,
  factor_month_failures INTEGER NOT NULL,
  recovery TEXT NOT NULL,
  reset BLOB NOT NULL,
  reset_until INTEGER NOT NULL,
  must_change INTEGER NOT NULL,
  limited INTEGER NOT NULL,
  grants TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_customer ON users (customer_id, created_at);
CREATE UNIQUE INDEX users_by_login ON users (login) WHERE state <> 'deleted';
CREATE INDEX users_by_reset ON users (reset) WHERE length(reset) > 0;

-- Whose row a service authorisation stands in: an index over `users.grants`, which is what is sealed.
CREATE TABLE authorizations (
  id BLOB PRIMARY KEY,
  user_id BLOB NOT NULL REFERENCES users (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
  id BLOB PRIMARY KEY,
  customer_id BLOB NOT NULL REFERENCES customers (id),
  email TEXT NOT NULL,
  role TEXT NOT NULL,
  limited INTEGER NOT NULL,
  grants TEXT NOT NULL,
  code BLOB NOT NULL UNIQUE,
  state TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_by_customer ON invitations (customer_id, created_at);

CREATE TABLE services (
  id BLOB PRIMARY KEY,
  customer_id BLOB NOT NULL REFERENCES customers (id),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  comment TEXT NOT NULL,
  domains TEXT NOT NULL,
  nodes TEXT NOT NULL,
  versions TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX services_by_customer ON services (customer_id, created_at);
CREATE UNIQUE INDEX services_by_name ON services (customer_id, name) WHERE deleted_at IS NULL;

-- Which service a domain belongs to: an index over `services.domains`, which is what is sealed.
CREATE TABLE domains (
  name TEXT PRIMARY KEY,
  service_id BLOB NOT NULL REFERENCES services (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX domains_by_service ON domains (service_id);

-- A token is bound to a user, or to the customer with a role of its own; the other of the two is NULL.
CREATE TABLE tokens (
  id BLOB PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  customer_id BLOB NOT NULL REFERENCES customers (id),
  user_id BLOB REFERENCES users (id),
  role TEXT,
  creator_id BLOB REFERENCES users (id),
  parent_id BLOB REFERENCES tokens (id),
  foreign_secret INTEGER NOT NULL,
  tls_access INTEGER NOT NULL,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  services TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  second_factor INTEGER NOT NULL,
  sudo_until INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_user ON tokens (user_id);
CREATE INDEX tokens_by_customer ON tokens (customer_id);

-- Marks of use: no decision reads them, they may lag and be lost (DESIGN §6).
CREATE TABLE marks (
  token_id BLOB PRIMARY KEY,
  used_at INTEGER NOT NULL,
  ip TEXT NOT NULL,
  user_agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Idempotency keys of what makes tokens: whose (a user's or a token's id), which, for what body, and the token it made.
CREATE TABLE idempotency (
  owner_id BLOB NOT NULL,
  key BLOB NOT NULL,
  request BLOB NOT NULL,
  token_id BLOB NOT NULL,
  PRIMARY KEY (owner_id, key)
) STRICT, WITHOUT ROWID;
