-- Wrong codes and tokens of the last minute, by whom (a digest).
CREATE TABLE failures (
    key    TEXT NOT NULL,
    moment INTEGER NOT NULL                 -- Unix microseconds
) STRICT;
CREATE INDEX failures_by_key ON failures (key);
CREATE INDEX failures_by_moment ON failures (moment);
