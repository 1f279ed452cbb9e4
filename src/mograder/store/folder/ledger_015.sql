-- Submissions that are graded again with new tests, and the results until an instructor applies or drops them.
CREATE TABLE regrade_jobs (
    receipt    INTEGER PRIMARY KEY,           -- its number
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    regrade    TEXT NOT NULL,                 -- the id of the regrade that it is part of
    started    INTEGER NOT NULL,              -- Unix microseconds, as all times here
    twice      INTEGER NOT NULL,              -- 1: run twice, to see what differs
    claim      TEXT NOT NULL DEFAULT '',      -- names the claim of the worker that has it
    lease      INTEGER NOT NULL DEFAULT 0,    -- until when
    tries      INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT '',
    tests      TEXT NOT NULL DEFAULT '',      -- SHA-256 of the tests that it was graded with
    graded     INTEGER NOT NULL DEFAULT 0,
    signed     TEXT NOT NULL DEFAULT ''       -- the grading record
) STRICT;
CREATE INDEX regrade_jobs_of ON regrade_jobs (assignment, username);
-- How often regrades have changed.
INSERT INTO versions VALUES ('regrades', 0);
CREATE TRIGGER regrade_jobs_come AFTER INSERT ON regrade_jobs
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'regrades'; END;
CREATE TRIGGER regrade_jobs_change AFTER UPDATE ON regrade_jobs
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'regrades'; END;
CREATE TRIGGER regrade_jobs_go AFTER DELETE ON regrade_jobs
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'regrades'; END;
-- Whether an assignment can be graded: its source read, its environment built, its sandbox tried.
CREATE TABLE grading_readiness (
    assignment TEXT PRIMARY KEY,
    state      TEXT NOT NULL,                 -- building, ready or failed
    moment     INTEGER NOT NULL,              -- since when
    machine    TEXT NOT NULL,                 -- where the worker runs that says so
    error      TEXT NOT NULL,                 -- the last lines of it; '' for none
    wanted     TEXT NOT NULL,                 -- what the environment is locked for (SHA-256); '' where nothing is locked
    lock       TEXT NOT NULL                  -- the locked environment, as uv writes it
) STRICT;
