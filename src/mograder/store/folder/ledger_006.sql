-- With which key a name was claimed, and when: who asks again soon, the answer lost, is answered the same.
ALTER TABLE accounts ADD COLUMN claim_hash TEXT;
ALTER TABLE accounts ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0;
