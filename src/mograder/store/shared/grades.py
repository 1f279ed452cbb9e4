"""The version of stored grades, with which a store detects a conflicting change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName


def version_of(entries: Sequence[GradeEntry]) -> str:
    """A digest of the entries. An edit of 1 to 1.0 or "1" changes it, too."""
    document = json.dumps([dict(each.fields) for each in entries], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()


def check_version(assignment: AssignmentName, held: Sequence[GradeEntry], version: str | None) -> None:
    """Raises ChangedMeanwhile unless the stored grades have this `version`; None matches any."""
    if version is not None and version_of(held) != version:
        raise ChangedMeanwhile(f"the grades of {assignment!r} have changed since you looked: upload the table again")
