-- A person's extensions in all assignments, without those of others.
CREATE INDEX extensions_by_person ON extensions (course, username);
