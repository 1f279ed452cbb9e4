-- When a person first downloaded a file of an assignment.
CREATE TABLE fetched (
    assignment TEXT NOT NULL,
    username   TEXT NOT NULL,
    moment     INTEGER NOT NULL,            -- Unix microseconds
    PRIMARY KEY (username, assignment)
) STRICT;
