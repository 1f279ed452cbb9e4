-- Submissions that are graded again with new tests, and the results until an instructor applies or drops them.
CREATE TABLE regrade_jobs (
    course     text NOT NULL,
    receipt    bigint NOT NULL,               -- its number
    assignment text NOT NULL,
    username   text NOT NULL,
    regrade    text NOT NULL,                 -- the id of the regrade that it is part of
    started    bigint NOT NULL,               -- Unix microseconds, as all times here
    twice      bigint NOT NULL,               -- 1: run twice, to see what differs
    claim      text NOT NULL DEFAULT '',      -- names the claim of the worker that has it
    lease      bigint NOT NULL DEFAULT 0,     -- until when
    tries      bigint NOT NULL DEFAULT 0,
    not_before bigint NOT NULL DEFAULT 0,
    error      text NOT NULL DEFAULT '',
    tests      text NOT NULL DEFAULT '',      -- SHA-256 of the tests that it was graded with
    graded     bigint NOT NULL DEFAULT 0,
    signed     text NOT NULL DEFAULT '',      -- the grading record
    PRIMARY KEY (course, receipt)
);
CREATE INDEX regrade_jobs_of ON regrade_jobs (course, assignment, username);
-- How often regrades have changed.
ALTER TABLE courses ADD COLUMN regrades bigint NOT NULL DEFAULT 0;
-- Whether an assignment can be graded: its source read, its environment built, its sandbox tried.
CREATE TABLE grading_readiness (
    course     text NOT NULL,
    assignment text NOT NULL,
    state      text NOT NULL,                 -- building, ready or failed
    moment     bigint NOT NULL,               -- since when
    machine    text NOT NULL,                 -- where the worker runs that says so
    error      text NOT NULL,                 -- the last lines of it; '' for none
    wanted     text NOT NULL,                 -- what the environment is locked for (SHA-256); '' where nothing is locked
    lock       text NOT NULL,                 -- the locked environment, as uv writes it
    PRIMARY KEY (course, assignment)
);
