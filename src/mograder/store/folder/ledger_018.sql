-- The notebook as it ran in a regrade, for the result that is put in force (see wire/rendered.py).
ALTER TABLE regrade_jobs ADD COLUMN notebook BLOB NOT NULL DEFAULT x'';
