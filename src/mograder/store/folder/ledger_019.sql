-- The order of the queue counts graded jobs; a submission adds no row to this index.
DROP INDEX grading_jobs_of;
CREATE INDEX grading_jobs_finished ON grading_jobs (assignment, username, finished) WHERE finished > 0;
