-- The living tokens of a person, and the living automation tokens of a customer, are counted whenever one is made: that must
-- not take longer the more are gone, or the more of the other kind there are.
DROP INDEX tokens_by_user;
CREATE INDEX tokens_by_user ON tokens (user_id, revoked_at, expires_at);
CREATE INDEX tokens_of_machines ON tokens (customer_id, revoked_at, expires_at) WHERE user_id IS NULL;
