-- Finds the newest entries of the marking of an assignment.
CREATE INDEX marking_since ON marking (assignment, number) WHERE latest = 1;
