"""Fixtures for all tests; their building blocks are in parts.py."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mograder.domain.course import Course
from mograder.store.postgres.database import upgrade
from tests.courses import make_sound_course
from tests.hostile import HostileServer, hostile
from tests.parts import STRICT, Clock, Running, make_course_folder, open_course, running
from tests.postgres import CourseServer, Server, fresh_database, running_server, two_course_servers

# A slow example on a busy machine is no failure.
settings.register_profile("mograder", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mograder")


def pytest_configure() -> None:
    """Write bytecode whatever the environment says, or each process would compile all of mograder again.

    The local time zone is UTC on every machine, because commands show local times.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    os.environ["TZ"] = "UTC"
    if sys.platform != "win32":
        time.tzset()


LONG = {
    "test_demo.py", "test_published.py", "test_published_notebooks.py", "test_run.py", "test_runtime_in_browser.py",
    "test_worker_failures.py",
}  # fmt: skip
"""Modules with a test that takes 10 seconds or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first, so that no worker process is left with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture
def course_folder(tmp_path: Path) -> Path:
    """The served root of a course with one assignment, hw1."""
    return make_course_folder(tmp_path)


@pytest.fixture
def submitted(course_folder: Path) -> Path:
    """Where submissions for hw1 are kept."""
    return course_folder.parent / "submitted" / "hw1"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course without problems that is not served; tests copy it and do not change it."""
    return make_sound_course(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def course(course_folder: Path, clock: Clock) -> Iterator[Course]:
    course = open_course(course_folder, clock)
    yield course
    course.close()


@pytest.fixture
def server(course_folder: Path) -> Iterator[Running]:
    """A real server in its own process, which must exit with 0 when it is told to stop."""
    with running(course_folder) as server:
        yield server
        assert server.process.poll() is not None or server.stop() == 0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL server shared by all tests; each test has its own courses or its own database."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Server) -> str:
    """A database with the schema, shared by all tests; each test has its own courses."""
    upgrade(postgres_server.url())
    return postgres_server.url()


@pytest.fixture(params=["folder", "postgres"])
def two_servers(request: pytest.FixtureRequest, course_folder: Path) -> Iterator[Sequence[Running | CourseServer]]:
    """Two real servers on one course; after too many wrong guesses a client has to wait for minutes."""
    if request.param == "folder":
        with running(course_folder, first=STRICT) as first, running(course_folder, first=STRICT) as second:
            yield first, second
    else:
        with two_course_servers(
            fresh_database(request.getfixturevalue("postgres_server")), course_folder, STRICT
        ) as both:
            yield both


@pytest.fixture
def hostile_server() -> Iterator[HostileServer]:
    """A server whose answers the test chooses."""
    with hostile() as server:
        yield server
