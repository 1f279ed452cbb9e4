"""Finds the sources of a course for grading: in a folder, or published in the course's database."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mograder.config import course_folder
from mograder.coursework.folders import GradingFolders
from mograder.domain.course import Course
from mograder.factory import is_database, published_sources


@dataclass(frozen=True)
class Sources:
    """A folder with source/ and mograder.toml. `refresh` updates it and returns whether there are sources."""

    folder: Path
    refresh: Callable[[], bool]

    @property
    def folders(self) -> GradingFolders:
        """The folders for grading. Raises Unreadable if mograder.toml cannot be read."""
        return GradingFolders.of(self.folder)


@contextlib.contextmanager
def sources_of(course: Course, place: Path | str, named: Path | None) -> Iterator[Sources]:
    """The current sources of the course at `place`: in the folder `named`, else those of the course itself.

    Raises Temporary and Unreadable.
    """
    if named is not None or not is_database(place):
        folder = (named or course_folder(Path(place).resolve())).resolve()
        yield Sources(folder, lambda: True)
        return
    with tempfile.TemporaryDirectory(prefix="mograder-sources-") as text:  # readable by this user alone
        published = published_sources(course, Path(text).resolve())
        published.refresh()
        yield Sources(published.folder, published.refresh)
