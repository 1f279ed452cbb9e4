-- Every submission that is to be graded, made with its receipt.
CREATE TABLE grading_jobs (
    receipt    INTEGER PRIMARY KEY,         -- its number
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    received   INTEGER NOT NULL,            -- Unix microseconds, as all times here
    claim      TEXT NOT NULL DEFAULT '',    -- names the claim of the worker that has it
    lease      INTEGER NOT NULL DEFAULT 0,  -- until when
    tries      INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT '',
    finished   INTEGER NOT NULL DEFAULT 0   -- when its first result was made
) STRICT;
CREATE INDEX grading_jobs_open ON grading_jobs (assignment) WHERE finished = 0;
CREATE INDEX grading_jobs_of ON grading_jobs (assignment, username, receipt);
-- Signed grading records: one a submission and version of the tests.
CREATE TABLE grading_results (
    receipt    INTEGER NOT NULL,
    tests      TEXT NOT NULL,               -- SHA-256
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    graded     INTEGER NOT NULL,
    signed     TEXT NOT NULL,
    PRIMARY KEY (receipt, tests)
) STRICT;
CREATE INDEX grading_results_of ON grading_results (assignment, username);
-- The assignments that are graded as they come in, with the version of their tests.
CREATE TABLE grading_tests (
    assignment TEXT PRIMARY KEY,
    tests      TEXT NOT NULL,
    hidden     TEXT NOT NULL                -- when students see hidden tests
) STRICT;
