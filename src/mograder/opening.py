"""Puts a course together: the folder's store, its key, the clock and the settings."""

from __future__ import annotations

from pathlib import Path

from mograder import config
from mograder.domain.course import Course
from mograder.sealing import Ed25519Seal, new_private_key
from mograder.store.directory import DirectoryStore
from mograder.store.layout import Folders


def open_course(
    root: Path | str,
    *,
    release_dir: Path | None = None,
    submitted_dir: Path | None = None,
    grades_dir: Path | None = None,
    enrollment_code: str = "",
    max_upload_mib: int = 100,
) -> Course:
    """The course served from the folder `root`, ready to use; close it with `course.store.close()`.

    What is not given comes from the course's mograder.toml, else from the folder layout. Raises MograderError.
    """
    folders = Folders.of(Path(root), release=release_dir, submitted=submitted_dir, grades=grades_dir)
    store = DirectoryStore(folders)
    seal = Ed25519Seal(store.signing_key(new_private_key))
    return Course(store, seal, config.utc_now, enrollment_code, max_upload_mib * config.MIB)
