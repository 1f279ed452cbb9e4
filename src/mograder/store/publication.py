"""Reads what an instructor publishes from a course folder, so that a database can store it in one transaction."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mograder import course_file
from mograder.domain.errors import BadName, Usage
from mograder.domain.files import is_left_behind
from mograder.domain.names import AssignmentName, FileName
from mograder.store.folder.layout import Folders, grading_folders
from mograder.store.folder.release import ReleaseFolder
from mograder.store.postgres.courses import Publication
from mograder.store.postgres.rows import PLAN
from mograder.store.shared import files
from mograder.store.shared.manifest import MANIFEST
from mograder.text import person_text

SECRETS_BEGIN = (b"BEGIN SOLUTION", b"BEGIN HIDDEN TESTS")


def read_publication(folders: Folders) -> Publication:
    """Plan, manifest, released files and sources as they stand in a course folder.

    Raises Unreadable when they are broken, and Usage when students would download a source.
    """
    release = ReleaseFolder(folders)
    plan = folders.course / course_file.CONFIG_NAME
    release.assignments(course_file.read_course_file(plan).plan())
    documents = {PLAN: _text_of(plan), MANIFEST: _text_of(folders.root / MANIFEST)}
    found = Publication(documents, release.everything(), _sources(grading_folders(folders.course)["source"]))
    _refuse_released_sources(found)
    return found


def _refuse_released_sources(publication: Publication) -> None:
    sources = {
        files.sha256_of(path): path for listed in (publication.sources or {}).values() for _, path in listed
        if path.suffix == ".py"
    }  # fmt: skip
    for assignment, listed in publication.files.items():
        for name, path in listed:
            source = sources.get(files.sha256_of(path))
            if source is not None and any(each in source.read_bytes().upper() for each in SECRETS_BEGIN):
                raise Usage(
                    f"{name} of {assignment} is the source with solutions and hidden tests, {source}, and students "
                    "would download it: publish what 'mograder generate' makes"
                )


def _sources(folder: Path) -> dict[AssignmentName, list[tuple[FileName, Path]]] | None:
    """The files of each assignment's source folder, without hidden files and leftovers of tools; None without `folder`.

    Raises BadName for a file that cannot be published.
    """
    if not folder.is_dir():
        return None
    found: dict[AssignmentName, list[tuple[FileName, Path]]] = {}
    for each in sorted(folder.iterdir()):
        with contextlib.suppress(BadName):  # not the folder of an assignment
            found[AssignmentName.parse(each.name)] = []
    for name, listed in found.items():
        for path in sorted((folder / name).rglob("*")):
            parts = path.relative_to(folder / name).parts
            if path.is_file() and not any(part.startswith(".") or is_left_behind(part) for part in parts):
                listed.append((FileName.parse("/".join(parts)), path))
    return {name: listed for name, listed in found.items() if listed}


def _text_of(path: Path) -> str | None:
    try:
        return person_text(path.read_bytes())
    except FileNotFoundError:
        return None
