-- Marks and comments by people: every change is a row, and the latest one of a key is in force.
CREATE TABLE marking (
    number     INTEGER PRIMARY KEY,
    assignment TEXT NOT NULL,
    kind       TEXT NOT NULL,
    username   TEXT NOT NULL,               -- '': of the assignment itself
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL,            -- from 1 for each assignment, kind, user name and key
    moment     INTEGER NOT NULL,            -- Unix microseconds
    actor      TEXT NOT NULL,
    content    TEXT NOT NULL,               -- JSON; '': taken away
    why        TEXT NOT NULL,
    latest     INTEGER NOT NULL,            -- 1: it holds
    UNIQUE (assignment, kind, username, key, version)
) STRICT;
CREATE INDEX marking_now ON marking (assignment, username, kind) WHERE latest = 1;
CREATE INDEX marking_of ON marking (assignment, username);
