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
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id BLOB PRIMARY KEY,
  customer_id BLOB NOT NULL REFERENCES customers (id),
  login TEXT NOT NULL UNIQUE,
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
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_customer ON users (customer_id);

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

CREATE TABLE tokens (
  id BLOB PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  customer_id BLOB NOT NULL REFERENCES customers (id),
  user_id BLOB NOT NULL REFERENCES users (id),
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

-- Idempotency keys of `POST /tokens`: whose, which, for what body, and the token it made.
CREATE TABLE idempotency (
  user_id BLOB NOT NULL,
  key BLOB NOT NULL,
  request BLOB NOT NULL,
  token_id BLOB NOT NULL,
  PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
