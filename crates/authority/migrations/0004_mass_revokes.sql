-- Mass revokes: committed as one row, before the rows of the tokens say so. What is NULL or empty does not narrow.
CREATE TABLE mass_revokes (
  id BLOB PRIMARY KEY,
  customer_id BLOB REFERENCES customers (id),
  owner_id BLOB,
  service_id TEXT NOT NULL,
  issuer_id BLOB,
  parent_id BLOB,
  created_from INTEGER NOT NULL,
  created_before INTEGER NOT NULL,
  sort TEXT NOT NULL,
  name_prefix TEXT NOT NULL,
  spared_id BLOB,
  actor_token_id BLOB,
  actor_user_id BLOB,
  ip TEXT NOT NULL,
  request_id TEXT NOT NULL,
  revoked_at INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  noted INTEGER NOT NULL,
  done INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mass_revokes_to_note ON mass_revokes (position) WHERE done = 0;

-- How many of them are not noted in every row yet: sealed, so that none can be taken away.
ALTER TABLE head ADD COLUMN unnoted INTEGER NOT NULL DEFAULT 0;
