"""A course's folder as a store, and what signs its receipts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.sealing import Ed25519Seal, new_private_key
from mograder.store.directory import DirectoryStore
from tests.parts import open_store


@pytest.fixture
def seal() -> Ed25519Seal:
    return Ed25519Seal(new_private_key())


@pytest.fixture
def store(course_folder: Path) -> Iterator[DirectoryStore]:
    with contextlib.closing(open_store(course_folder)) as store:
        yield store
