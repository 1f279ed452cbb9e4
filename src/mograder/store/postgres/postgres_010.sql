-- A person's extensions in all assignments, without those of others.
CREATE INDEX extensions_by_person ON extensions (course, username);
-- Finds the newest entries of the marking of an assignment.
CREATE INDEX marking_since ON marking (course, assignment, number) WHERE latest = 1;
