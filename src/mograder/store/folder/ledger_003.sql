-- What a receipt says of the deadline; `late` is NULL in older receipts.
ALTER TABLE receipts ADD COLUMN late INTEGER;
ALTER TABLE receipts ADD COLUMN due INTEGER;
ALTER TABLE receipts ADD COLUMN arrived INTEGER;

-- More time for one person: granted (`until`), asked for (`wanted`), declined.
CREATE TABLE extensions (
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    until      INTEGER,
    note       TEXT NOT NULL,
    wanted     INTEGER,
    reason     TEXT NOT NULL,
    declined   INTEGER NOT NULL,
    PRIMARY KEY (assignment, username)
) STRICT;

-- Checksums that were announced before their files.
CREATE TABLE commits (
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    moment     INTEGER NOT NULL,
    PRIMARY KEY (assignment, username, sha256)
) STRICT;
