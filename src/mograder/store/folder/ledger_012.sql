-- Data of people from a roster: e-mail address, sections (a JSON list), ids of other systems (a JSON list of [kind, id]).
ALTER TABLE accounts ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN sections TEXT NOT NULL DEFAULT '[]';
ALTER TABLE accounts ADD COLUMN ids TEXT NOT NULL DEFAULT '[]';
