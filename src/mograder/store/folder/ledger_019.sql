-- Whose turn it is counts what was graded; a submission writes no row into this index.
DROP INDEX grading_jobs_of;
CREATE INDEX grading_jobs_finished ON grading_jobs (assignment, username, finished) WHERE finished > 0;
