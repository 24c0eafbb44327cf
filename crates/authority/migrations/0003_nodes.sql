-- Whose turn it is to write: locked first by every transaction that changes something, so that positions are the order
-- of commits on databases where several nodes write at once.
CREATE TABLE turn (
  one INTEGER PRIMARY KEY CHECK (one = 1)
) STRICT;
INSERT INTO turn (one) VALUES (1);

-- The last committed sign of life of each node. No decision reads it: that it was committed is what counts.
CREATE TABLE beats (
  node BLOB PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Raised by the operator where what was acknowledged may have been lost: gates that have seen more follow again then.
ALTER TABLE head ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
