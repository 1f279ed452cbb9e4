"""Names of erased people. A course keeps only a salted hash of each: the name stays taken, and its tokens stay void."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable

from mograder.domain.access import Account
from mograder.domain.audit import ERASED_NAME
from mograder.domain.names import Username


def erased_account(rows: Iterable[tuple[str, str, int]], username: Username) -> Account | None:
    """The removed account that stands for an erased name, None for any other name.

    `rows` are salt, digest and generation of every erased name, the highest generation first.
    """
    for salt, digest, generation in rows:
        if digest == name_digest(salt, username):
            return Account(username, generation=generation, bound=True, removed=True)
    return None


def new_salt() -> str:
    return secrets.token_hex(16)


def name_digest(salt: str, username: Username) -> str:
    return hashlib.sha256(f"{salt} {username.key}".encode()).hexdigest()


def naming(username: Username) -> re.Pattern[str]:
    """A pattern that finds the name in a text, but not inside a longer name."""
    return re.compile(rf"(?<![\w.@+-]){re.escape(username)}(?![\w@+-])")


def without_name(content: str, username: Username) -> str:
    """A JSON text with the person's name replaced in its strings, but not in its keys."""
    named = naming(username)

    def cleaned(value: object) -> object:
        if isinstance(value, str):
            return named.sub(ERASED_NAME, value)
        if isinstance(value, list):
            return [cleaned(each) for each in value]
        return {key: cleaned(each) for key, each in value.items()} if isinstance(value, dict) else value

    return json.dumps(cleaned(json.loads(content)), ensure_ascii=False)
