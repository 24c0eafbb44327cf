-- The role that serves owns nothing; keygate migrate says what it may do.
CREATE ROLE keygate LOGIN;
