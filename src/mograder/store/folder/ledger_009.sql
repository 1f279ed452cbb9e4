-- A person's versions by name, and what a person has sent: the next free name and the usage are looked up, not searched.
CREATE INDEX receipts_by_person ON receipts (username, assignment, filename, by, received, size);
