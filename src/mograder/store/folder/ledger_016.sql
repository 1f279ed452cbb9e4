-- What was added to an assignment's marking lately.
CREATE INDEX marking_since ON marking (assignment, number) WHERE latest = 1;
