-- One-time login links that were used, kept until they would have expired (Unix microseconds).
CREATE TABLE spent (
    ticket TEXT PRIMARY KEY,
    until  INTEGER NOT NULL
) STRICT;
