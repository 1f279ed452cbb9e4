-- Places of the chain whose receipts were erased with a person's data, each with a signed statement that says so.
CREATE TABLE erased (
    number    INTEGER PRIMARY KEY,
    previous  TEXT NOT NULL,
    hash      TEXT NOT NULL,
    statement TEXT NOT NULL
) STRICT;

-- Names of erased people, which nobody can take and whose tokens do not work again.
CREATE TABLE erased_names (
    salt       TEXT NOT NULL,
    digest     TEXT NOT NULL,               -- SHA-256 of the salt and the case-folded name
    generation INTEGER NOT NULL
) STRICT;
