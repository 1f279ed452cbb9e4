"""A course folder as a store, courses in a database, and a signer of receipts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.store import FolderStore
from mograder.store.postgres.courses import PostgresCourses
from tests.parts import open_store


@pytest.fixture
def signer() -> Ed25519Signer:
    return Ed25519Signer(new_private_key())


@pytest.fixture
def store(course_folder: Path) -> Iterator[FolderStore]:
    with contextlib.closing(open_store(course_folder)) as store:
        yield store


@pytest.fixture
def courses(postgres_url: str) -> Iterator[PostgresCourses]:
    """Courses in the database that all tests share."""
    courses = PostgresCourses(postgres_url)
    yield courses
    courses.close()
