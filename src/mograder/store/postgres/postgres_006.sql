-- Data of people from a roster: e-mail address, sections (a JSON list), ids of other systems (a JSON list of [kind, id]).
ALTER TABLE accounts ADD COLUMN email text NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN sections text NOT NULL DEFAULT '[]';
ALTER TABLE accounts ADD COLUMN ids text NOT NULL DEFAULT '[]';
