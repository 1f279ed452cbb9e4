"""Puts a course together: the folder's store, its key, the clock and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mograder import config
from mograder.domain.course import Course
from mograder.domain.errors import Usage
from mograder.domain.tokens import SECRET_NAME
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
    max_upload: int | None = None,
) -> Course:
    """The course served from the folder `root`, ready to use; close it with `course.store.close()`.

    What is not given comes from the course's mograder.toml, else from the folder layout. `max_upload` is in MiB.
    Raises MograderError.
    """
    root = Path(root).resolve()
    home = config.course_folder(root)
    given = {
        "release_dir": release_dir, "submitted_dir": submitted_dir, "grades_dir": grades_dir, "max_upload": max_upload,
    }  # fmt: skip
    settings = config.resolve(given, config.read_course_file(home / config.CONFIG_NAME), home)
    store = DirectoryStore(find_folders(root, settings, release_dir))
    seal = Ed25519Seal(store.signing_key(new_private_key))
    return Course(store, seal, config.utc_now, enrollment_code.strip(), settings["max_upload"] * config.MIB)


def find_folders(root: Path, settings: Mapping[str, Any], release_dir: Path | None = None) -> Folders:
    """Where the course served from `root` stands, by its `settings`; `release_dir` is the one that was given by flag.

    Raises Usage.
    """
    flat: Path | None = settings["release_dir"]
    if release_dir is None and flat is not None and flat.resolve() == root:
        flat = None  # [dirs] release names the served folder itself, in the usual layout
    if flat is not None and not flat.is_dir():
        raise Usage(f"{flat} is not a folder: give an existing one as release folder")
    return Folders.of(root, release=flat, submitted=settings["submitted_dir"], grades=settings["grades_dir"])


def open_existing(folder: Path) -> Course:
    """The course that is served from `folder`, or from its release/. One that is not there is not made.

    Raises Usage and MograderError.
    """
    for root in (folder, folder / "release"):
        if (root / SECRET_NAME).exists():
            return open_course(root)
    raise Usage(f"there is no course in {folder}: name the folder that 'mograder serve' is given, and serve it once")
