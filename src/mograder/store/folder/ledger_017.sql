-- The notebook as it ran, for instructors (see wire/rendered.py).
ALTER TABLE grading_results ADD COLUMN notebook BLOB NOT NULL DEFAULT x'';
