-- How often each noun has changed: what was made of it holds as long as its number stays the same. Triggers count, so
-- that whoever writes counts. Receipts that only come behind the others are told by their numbers.
CREATE TABLE versions (
    noun   TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
INSERT INTO versions VALUES ('people', 0), ('downloads', 0), ('results', 0);
CREATE TRIGGER accounts_come AFTER INSERT ON accounts
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER accounts_change AFTER UPDATE ON accounts
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER accounts_go AFTER DELETE ON accounts
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER extensions_come AFTER INSERT ON extensions
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER extensions_change AFTER UPDATE ON extensions
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER extensions_go AFTER DELETE ON extensions
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER erased_names_come AFTER INSERT ON erased_names
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER erased_names_change AFTER UPDATE ON erased_names
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER erased_names_go AFTER DELETE ON erased_names
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER receipts_between AFTER INSERT ON receipts WHEN new.number < (SELECT max(number) FROM receipts)
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER receipts_change AFTER UPDATE ON receipts
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER receipts_go AFTER DELETE ON receipts
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'people'; END;
CREATE TRIGGER fetched_come AFTER INSERT ON fetched
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'downloads'; END;
CREATE TRIGGER fetched_change AFTER UPDATE ON fetched
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'downloads'; END;
CREATE TRIGGER fetched_go AFTER DELETE ON fetched
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'downloads'; END;
CREATE TRIGGER results_come AFTER INSERT ON grading_results
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'results'; END;
CREATE TRIGGER results_change AFTER UPDATE ON grading_results
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'results'; END;
CREATE TRIGGER results_go AFTER DELETE ON grading_results
BEGIN UPDATE versions SET number = number + 1 WHERE noun = 'results'; END;
-- Finds the submissions of the last hours, to count them.
CREATE INDEX receipts_by_moment ON receipts (received);
