-- Accounts, receipts, the audit log, and submissions whose files are not yet known to be on the disk.
CREATE TABLE accounts (
    username  TEXT PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,          -- case-folded: names differ by more than case
    role      TEXT NOT NULL,
    name      TEXT NOT NULL,
    generation INTEGER NOT NULL,
    bound     INTEGER NOT NULL,
    code_hash TEXT,
    created   INTEGER NOT NULL               -- Unix microseconds, as every moment here
) STRICT;

CREATE TABLE receipts (
    number     INTEGER PRIMARY KEY,
    previous   TEXT NOT NULL,
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    filename   TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    by         TEXT NOT NULL,
    text       TEXT NOT NULL,
    UNIQUE (assignment, username, attempt),
    UNIQUE (assignment, filename)
) STRICT;

-- A row lives from the commit of its receipt until file and link are synced. `body` is NULL where the bytes are
-- in the hidden file `spool` of the submitted folder, synced before the commit.
CREATE TABLE pending (
    number INTEGER PRIMARY KEY REFERENCES receipts (number),
    body   BLOB,
    spool  TEXT
) STRICT;

CREATE TABLE events (
    number  INTEGER PRIMARY KEY,
    moment  INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
