-- Every submission that is to be graded, made with its receipt.
CREATE TABLE grading_jobs (
    course     text NOT NULL,
    receipt    bigint NOT NULL,               -- its number
    assignment text NOT NULL,
    username   text NOT NULL,
    attempt    bigint NOT NULL,
    received   bigint NOT NULL,               -- Unix microseconds, as all times here
    claim      text NOT NULL DEFAULT '',      -- names the claim of the worker that has it
    lease      bigint NOT NULL DEFAULT 0,     -- until when
    tries      bigint NOT NULL DEFAULT 0,
    not_before bigint NOT NULL DEFAULT 0,
    error      text NOT NULL DEFAULT '',
    finished   bigint NOT NULL DEFAULT 0,     -- when its first result was made
    PRIMARY KEY (course, receipt)
);
CREATE INDEX grading_jobs_open ON grading_jobs (course, assignment) WHERE finished = 0;
CREATE INDEX grading_jobs_of ON grading_jobs (course, assignment, username, receipt);
-- Signed grading records: one a submission and version of the tests.
CREATE TABLE grading_results (
    course     text NOT NULL,
    receipt    bigint NOT NULL,
    tests      text NOT NULL,                 -- SHA-256
    assignment text NOT NULL,
    username   text NOT NULL,
    graded     bigint NOT NULL,
    signed     text NOT NULL,
    PRIMARY KEY (course, receipt, tests)
);
CREATE INDEX grading_results_of ON grading_results (course, assignment, username);
-- The assignments that are graded as they come in, with the version of their tests.
CREATE TABLE grading_tests (
    course     text NOT NULL,
    assignment text NOT NULL,
    tests      text NOT NULL,
    hidden     text NOT NULL,                 -- when students see hidden tests
    PRIMARY KEY (course, assignment)
);
