-- How often each noun has changed: what was made of it holds as long as its number stays the same.
ALTER TABLE courses ADD COLUMN changes bigint NOT NULL DEFAULT 0;
ALTER TABLE courses ADD COLUMN downloads bigint NOT NULL DEFAULT 0;
ALTER TABLE courses ADD COLUMN results bigint NOT NULL DEFAULT 0;
-- Finds the submissions of the last hours, to count them.
CREATE INDEX receipts_by_moment ON receipts (course, received);
