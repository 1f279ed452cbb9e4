"""Puts courses together: a store, its signing key, the clock and the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from msgspec.structs import replace

from mograder import config, course_file
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.allowance import MIB
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import BadName, Unreadable, Usage
from mograder.domain.names import CourseName
from mograder.domain.store import Courses, Store
from mograder.domain.tokens import SECRET_NAME
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.courses import CourseFolders
from mograder.store.folder.layout import find_folders, served_folders, served_root
from mograder.store.folder.store import FolderStore

if TYPE_CHECKING:
    from mograder.domain.grading_record import GradingRecord
    from mograder.store.folder.adopting import Adopted
    from mograder.store.postgres.courses import PostgresCourses
    from mograder.store.postgres.sources import PublishedSources
    from mograder.store.postgres.store import PostgresStore


def open_course(root: Path | str, settings: config.ServeSettings | None = None, **given: object) -> Course:
    """The course served from the folder `root`, ready to use; close it with `course.close()`.

    Without `settings`, they are resolved here: from those `given` (release_dir, submitted_dir, grades_dir,
    enrollment_code, max_upload in MiB), the course's mograder.toml, and the defaults. Raises MograderError.
    """
    root = Path(root).absolute()  # not resolved: see `config.course_folder`
    if settings is None:
        settings = read_settings(root, **given)
    return _course(FolderStore(find_folders(root, settings)), settings.enrollment_code or "", settings.max_upload)


def read_settings(root: Path, **given: object) -> config.ServeSettings:
    """The settings of the course that is served from `root`: those `given`, else those of its mograder.toml.

    Raises Unreadable.
    """
    home = config.course_folder(root)
    return config.resolve(given, course_file.read_course_file(home / course_file.CONFIG_NAME), home)


def _course(store: Store, enrollment_code: str, max_upload: int) -> Course:
    key = store.keys.signing_key(new_private_key)
    try:
        signer = Ed25519Signer(key)
    except ValueError as error:
        raise Unreadable("the course's signing key cannot be read", f"{error}: restore it from a backup") from None

    def read_record(text: str) -> GradingRecord:
        from mograder.wire.records import KIND, record_of

        return record_of(signer.verify(text, KIND))

    return Course(store, signer, config.utc_now, enrollment_code.strip(), max_upload * MIB, read_record)


def rotate_signing_key(folder: Path | str) -> str:
    """Make a new key that signs receipts from the next start on; returns its fingerprint. Raises MograderError.

    This works also if the present key is lost, so that the course itself does not open.
    """
    store = FolderStore(served_folders(_served(Path(folder))))
    try:
        event = Event(config.utc_now(), COURSE_INSTRUCTOR.username, "rotate", "signing key")
        key = store.keys.change_signing_key(new_private_key(), event)
    finally:
        store.close()
    return Ed25519Signer(key).public_keys()[0]["kid"]


def open_existing(place: Path | str, **given: Path | None) -> Course:
    """The existing course that is served from a folder or its release/, or the one at `postgresql://…#name`.

    `given` are the folders that `serve` gets by flags (release_dir, submitted_dir, grades_dir). Raises Usage for a
    course that does not exist, and MograderError.
    """
    if is_database(place):
        url, name = split_place(str(place))
        courses = open_courses(url)
        assert is_postgres(courses)
        try:
            return _course(courses.open_alone(name), "", config.MAX_UPLOAD)
        except BaseException:
            courses.close()
            raise
    return open_course(_served(Path(place)), None, **given)


def adopt_course(folder: Path, say: Callable[[str], None]) -> Adopted:
    """Adopt the submissions of a course that another server served from `folder`. Raises MograderError."""
    from mograder.store.folder.adopting import adopt

    root = folder.absolute()
    if root.name != "release" and (root / "release").is_dir() and not (root / SECRET_NAME).exists():
        root = root / "release"
    course = open_course(root)
    try:
        return adopt(course, find_folders(root, read_settings(root)), config.utc_now(), say)
    finally:
        course.close()


def published_sources(course: Course, folder: Path) -> PublishedSources:
    """The published sources of a course in a database, to be written into `folder` for a worker."""
    from mograder.store.postgres.sources import PublishedSources
    from mograder.store.postgres.store import PostgresStore

    assert isinstance(course.store, PostgresStore), "the course is in a database"
    return PublishedSources(course.store.tables, folder)


def _served(folder: Path) -> Path:
    """`folder` or its release/, whichever was served as a course. Raises Usage."""
    for root in (folder, folder / "release"):
        if (root / SECRET_NAME).exists():
            return root
    raise Usage(f"there is no course in {folder}: name the folder that 'mograder serve' is given, and serve it once")


# many courses


def is_database(place: Path | str) -> bool:
    return str(place).startswith(("postgresql://", "postgres://"))


def split_place(place: str) -> tuple[str, CourseName]:
    """The URL and the course of `postgresql://…#name`. Raises Usage."""
    url, _, name = place.partition("#")
    if not name:
        raise Usage("say which course of the database: postgresql://…#name")
    try:
        return url, CourseName.parse(name)
    except BadName as error:
        raise Usage(error.message) from None


def open_courses(place: Path | str) -> Courses:
    """The courses of a database (a URL), or of a folder of courses. Raises Usage and MograderError."""
    if not is_database(place):
        return CourseFolders(Path(place).resolve())
    with _extra_packages():
        from mograder.store.postgres.courses import PostgresCourses
    return PostgresCourses(str(place))


def courses_have_tests(place: Path | str) -> bool:
    """Whether any of the courses has tests. Raises Usage and MograderError."""
    courses = open_courses(place)
    try:
        return bool(courses.with_tests())
    finally:
        courses.close()


def upgrade_database(url: str) -> tuple[int, int]:
    """Bring a database's schema up to date; returns its version before and after. Raises MograderError."""
    if not is_database(url):
        raise Usage("give the URL of a PostgreSQL database: postgresql://…")
    with _extra_packages():
        from mograder.store.postgres.database import upgrade
    return upgrade(url)


def copy_course(source: Path | str, target: Path | str, say: Callable[[str], None]) -> None:
    """Copy a course from a folder into a database, or back (see store/copy.py). Raises Usage and MograderError."""
    if is_database(source) == is_database(target):
        raise Usage("copy from a folder to postgresql://…#name, or from there to a folder")
    url, name = split_place(str(target if is_database(target) else source))
    courses = open_courses(url)
    assert is_postgres(courses)
    from mograder.store.copy import to_database, to_folder

    try:
        if is_database(target):
            to_database(served_folders(served_root(Path(source))), courses, name, config.utc_now(), say)
        else:
            to_folder(courses.open(name), Path(target).resolve(), config.utc_now(), say)
    finally:
        courses.close()


def mirror_course(place: Path | str, folder: Path, say: Callable[[str], None]) -> int:
    """Write the submissions of a course in a database to a folder; returns how many were new. Raises MograderError."""
    if not is_database(place):
        raise Usage("a course in a folder has its files there already: give postgresql://…#name")
    with database_course(str(place)) as store:
        from mograder.store.copy import mirror

        return mirror(store, folder, say)


@contextlib.contextmanager
def database_course(place: str) -> Iterator[PostgresStore]:
    """The store of the course at `postgresql://…#name`. Raises Usage and MograderError."""
    url, name = split_place(place)
    courses = open_courses(url)
    assert is_postgres(courses)
    try:
        yield courses.open(name)
    finally:
        courses.close()


@contextlib.contextmanager
def database_courses(place: str) -> Iterator[Iterator[PostgresStore]]:
    """As `database_course`, but without #name all courses that are not archived."""
    url, _, name = place.partition("#")
    if name:
        with database_course(place) as store:
            yield iter((store,))
        return
    courses = open_courses(url)
    assert is_postgres(courses)
    try:
        yield (courses.open(each.name) for each in courses.entries() if each.archived is None)
    finally:
        courses.close()


@contextlib.contextmanager
def _extra_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Usage(
            f"courses in PostgreSQL need more packages: pip install '.[postgres]' in a checkout ({error})"
        ) from None


def is_postgres(courses: Courses) -> TypeGuard[PostgresCourses]:
    """Whether these are the courses of a database."""
    return not isinstance(courses, CourseFolders)


class ManyCourses:
    """Courses by name, ready to use. `max_upload` is in MiB."""

    def __init__(self, courses: Courses, max_upload: int = config.MAX_UPLOAD) -> None:
        self.courses = courses
        self._max_upload = max_upload
        self._opened: dict[CourseName, Course] = {}

    def course(self, name: CourseName) -> Course:
        """The course with its present enrollment code. Its services stay the same objects while that does not change.

        Raises NotFound.
        """
        store = self.courses.open(name)
        held = self._opened.get(name)
        if held is None or held.store is not store:
            held = _course(store, "", self._max_upload)
        held = self._opened[name] = replace(held, enrollment_code=store.config.plan().enrollment_code)
        return held
