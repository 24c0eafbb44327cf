-- Whose turn it is to write: locked first by every transaction that changes something, so that positions are the order
-- of commits on databases where several nodes write at once.
CREATE TABLE turn (
  one INTEGER PRIMARY KEY CHECK (one = 1)
) STRICT;
INSERT INTO turn (one) VALUES (1);

-- The last committed heartbeat of every run of a gate: what it has applied, and how long its echo lets it answer, in
-- microseconds from when it sent it. Not sealed: who edits it can make a receipt wait, or be given too early.
CREATE TABLE gates (
  session BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  nonce BLOB NOT NULL,
  applied INTEGER NOT NULL,
  granted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Raised by the operator where what was acknowledged may have been lost: gates that have seen more follow again then.
ALTER TABLE head ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
