-- Policies of protected APIs. `text` is the file, and empty where it was taken back; `retired` are scopes and roles that
-- it once defined and tokens may have still, one in a line.
CREATE TABLE policies (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL,
  retired TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
