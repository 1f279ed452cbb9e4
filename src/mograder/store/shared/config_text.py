"""Changes the text of a mograder.toml key by key; everything else, comments too, stays as the instructor wrote it.

Invariant: the new text means what the old one meant, except for the changes; otherwise an error is raised.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from typing import Any

from mograder.course_file import CONFIG_NAME, parse_course_file
from mograder.domain.errors import BadRequest, ChangedMeanwhile, Unreadable
from mograder.domain.names import AssignmentName
from mograder.domain.rules import RuleChange


def tag_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def edited(text: str, assignment: AssignmentName | None, changes: Sequence[RuleChange], tag: str, place: str) -> str:
    """`text` with changed keys of one assignment, or of the course (None). A missing entry is added.

    `tag` is what `tag_of` must give for `text`, and `place` names the text in errors. Raises ChangedMeanwhile,
    Unreadable, and BadRequest for a change that only a person can make.
    """
    if tag_of(text) != tag:
        raise ChangedMeanwhile(f"{CONFIG_NAME} was changed meanwhile: look at what it says now, and try again")
    try:
        parse_course_file(text).plan()
        changed = _edited(text, assignment, changes)
        parse_course_file(changed).plan()
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the course's {CONFIG_NAME} cannot be changed", f"{place}: {error}") from error
    return changed


def _edited(text: str, assignment: AssignmentName | None, changes: Sequence[RuleChange]) -> str:
    import tomlkit

    document: Any = tomlkit.parse(text)
    expected = tomllib.loads(text)
    if assignment is None:
        entry, said, tail = document, expected, list[Any]()
    else:
        entry = _entry(document, assignment)
        if entry is None:
            entry = _new_entry(document, assignment)
        tail = _without_tail(entry)
        said = _entry(expected, assignment)
        if said is None:
            said = {"name": str(assignment)}
            expected.setdefault("assignments", []).append(said)
    for each in changes:
        if each.key == "files" and any(isinstance(name, dict) for name in said.get("files", [])):
            raise BadRequest(f"{CONFIG_NAME} lists files of {assignment!r} as tables: change them there")
        for table in (entry, said):
            if each.key == "due":
                table.pop("duedate", None)  # another name of this key
            _change(table, each)
    _body(entry).extend(tail)
    changed = tomlkit.dumps(document)
    if tomllib.loads(changed) != expected:
        raise ValueError(
            f"the change for {assignment or 'the course'!r} does not fit in how it is written: change it by hand"
        )
    return changed


def _change(table: Any, change: RuleChange) -> None:
    """Change a key of a table, or of a table inside it ("outer.key"), which exists only while it has keys."""
    outer, _, key = change.key.rpartition(".")
    inner = table.get(outer, {}) if outer else table
    if change.value is None:
        inner.pop(key, None)
        if outer in table and not inner:
            table.pop(outer)
        return
    value = list(change.value) if isinstance(change.value, tuple) else change.value
    if outer and outer not in table:
        table[outer] = _inline({key: value}) if hasattr(table, "as_string") else {key: value}
    else:
        inner[key] = value


def _inline(values: dict[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.inline_table()
    table.update(values)
    return table


def _entry(document: Any, assignment: AssignmentName) -> Any:
    listed = document.get("assignments", [])
    return next((each for each in listed if AssignmentName.parse(each["name"]).key == assignment.key), None)


def _new_entry(document: Any, assignment: AssignmentName) -> Any:
    import tomlkit

    is_first = not document.body
    if "assignments" not in document:
        document["assignments"] = tomlkit.aot()
    listed = document["assignments"]
    tail = _without_tail(listed[-1]) if listed else []
    listed.append({"name": str(assignment)})
    entry = listed[-1]
    if isinstance(listed, tomlkit.items.AoT) and not is_first:
        entry.trivia.indent = "\n"
    _body(entry).extend(tail)
    return entry


def _body(table: Any) -> list[Any]:
    """The lines of a table, to be changed in place; none for an inline table."""
    import tomlkit

    return table.value.body if isinstance(table, tomlkit.items.Table) else []


def _without_tail(table: Any) -> list[Any]:
    """Remove and return empty lines and comments at the end of a table: they belong to what follows it."""
    import tomlkit

    body, tail = _body(table), list[Any]()
    if body and isinstance(body[-1][1], tomlkit.items.Table):
        return _without_tail(body[-1][1])
    while body and body[-1][0] is None:
        tail.insert(0, body.pop())
    return tail
