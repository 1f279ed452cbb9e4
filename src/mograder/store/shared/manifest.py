"""JSON that people write, and the manifest of assignments (assignments.json)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, TypeVar

from mograder.course_file import manifest_rules
from mograder.domain.assignments import Assignment, Plan, ReleaseFile, Rules
from mograder.domain.errors import BadRequest, Unreadable
from mograder.domain.names import AssignmentName, FileName
from mograder.store.shared.stat_cache import LastGood
from mograder.text import person_text

T = TypeVar("T")

MANIFEST = "assignments.json"

NOTHING_SAID = Rules()


def by_manifest() -> BadRequest:
    return BadRequest(f"{MANIFEST} lists the assignments of this course and their files: change it by hand")


class Fields(dict[str, Any]):
    """A JSON object. Two are equal only if they are written alike, so that an edit of 1 to true or 1.0 shows."""

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    def __ne__(self, other: object) -> bool:
        return repr(self) != repr(other)

    __hash__ = None


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text, its objects as `Fields`. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=Fields)
    except RecursionError:  # its message differs between versions of Python
        raise ValueError("nested too deeply") from None


def load_json(path: Path) -> Any:
    """The value of a JSON file. Raises Unreadable and OSError."""
    try:
        document = parse_json(person_text(path.read_bytes()))
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair could never be sent on
        return document
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: {error}: mend it by hand") from error


def with_rules(listed: Iterable[Assignment], plan: Plan) -> tuple[Assignment, ...]:
    """The assignments with the plan's rules, which override their own."""
    return tuple(
        each if (said := plan.rules_of(each.name)) == NOTHING_SAID else replace(each, rules=said.over(each.rules))
        for each in listed
    )


def shown(found: Sequence[T], name: Callable[[T], str]) -> Sequence[T]:
    """The files of an assignment that students are shown: if there are zips, only those. `name` gives a file's name."""
    return [each for each in found if name(each).lower().endswith(".zip")] or found


Manifest = LastGood[tuple[Assignment, ...] | None]


def parse_manifest(document: Any, zone: tzinfo) -> tuple[Assignment, ...]:
    """Raises BadRequest naming the entry at fault."""
    if not isinstance(document, list):
        raise BadRequest("expected a JSON list")
    found = []
    for index, entry in enumerate(document, 1):
        try:
            if not isinstance(entry, dict):
                raise BadRequest("expected an object")
            found.append(_manifest_entry(entry, zone))
        except (BadRequest, ValueError) as error:
            raise BadRequest(f"entry {index}: {error}") from error
    return tuple(found)


def _manifest_entry(entry: dict[str, Any], zone: tzinfo) -> Assignment:
    if entry.get("name") is None and not isinstance(entry.get("id"), str):
        raise BadRequest("an assignment needs a 'name'")
    name = AssignmentName.parse(str(entry.get("name") or entry.get("id") or ""))
    release_files = []
    listed = entry.get("files") or []
    if not isinstance(listed, list):
        raise BadRequest("'files' must be a list")
    for file in listed:
        if not isinstance(file, dict) or not isinstance(file.get("filename"), str):
            raise BadRequest("a file needs a 'filename'")
        url = file.get("url")
        release_files.append(ReleaseFile(FileName.parse(file["filename"]), url=url if isinstance(url, str) else None))
    return Assignment(name, str(entry.get("id", name)), tuple(release_files), manifest_rules(entry, zone), entry)
