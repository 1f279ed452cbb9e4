-- The name that the sender gave the file; '' without one.
ALTER TABLE receipts ADD COLUMN name TEXT NOT NULL DEFAULT '';
