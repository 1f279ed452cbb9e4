-- The hash of the key with which a name was claimed, and when: a repeated request soon after gets the same answer.
ALTER TABLE accounts ADD COLUMN claim_hash TEXT;
ALTER TABLE accounts ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0;
