-- People who were removed from the course; their names stay taken.
ALTER TABLE accounts ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
