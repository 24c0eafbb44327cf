-- What people are told of gates: whose each is (none: a process of the operator's, on the database itself), whether it is
-- told of all customers, its version, and when it was heard last, by the clock of the node that heard it.
ALTER TABLE gates ADD COLUMN customer_id BLOB;
ALTER TABLE gates ADD COLUMN everybody INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gates ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE gates ADD COLUMN heard_at INTEGER NOT NULL DEFAULT 0;
