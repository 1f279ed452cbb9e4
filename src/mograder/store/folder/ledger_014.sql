-- What the sender of a submission called the file; '' where nobody said.
ALTER TABLE receipts ADD COLUMN name TEXT NOT NULL DEFAULT '';
