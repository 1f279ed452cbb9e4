"""The settings of `mograder serve`: from flags or the environment, else from mograder.toml, else defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import time_ns
from typing import Any, get_args, get_type_hints

from mograder.course_file import CONFIG_NAME, CourseFile, read_course_file
from mograder.domain.errors import Unreadable

MAX_UPLOAD = 100  # MiB


@dataclass(frozen=True)
class Setting:
    """One setting of `mograder serve`. `toml` is its key in mograder.toml ("table.key"), if it has one.

    `kind` is int, str, bool or Path; a bool is a flag without a value.
    """

    name: str
    kind: type
    help: str
    default: object = None
    short: str | None = None
    env: str | None = None
    toml: str | None = None
    metavar: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def _setting(help_text: str, default: object = None, **places: str) -> Any:
    """A field of ServeSettings, with the attributes of its `Setting`."""
    return field(default=default, metadata={"help": help_text, **places})


@dataclass(frozen=True)
class ServeSettings:
    """The settings of one `mograder serve`, as resolved by `resolve`.

    `given` are the names of the settings that a flag or the environment gave.
    """

    port: int = _setting("Port to listen on.", 8080, short="-p", env="PORT", toml="server.port")
    host: str | None = _setting(
        "Address to listen on. [default: 127.0.0.1, or 0.0.0.0 when $PORT is set]", toml="server.host"
    )
    no_auth: bool = _setting("Check no tokens: for trying things out on your own machine.", False)
    no_auth_on_all_addresses: bool = _setting(
        "Let --no-auth listen on other addresses than this machine's own: anybody who reaches them can do everything.",
        False,
    )
    enrollment_code: str | None = _setting(
        "The code with which students register themselves.",
        env="MOGRADER_ENROLLMENT_CODE",
        toml="server.enrollment_code",
        metavar="CODE",
    )
    enrollment_code_file: Path | None = _setting("A file that holds the enrollment code.", metavar="FILE")
    generate_tokens: Path | None = _setting(
        "Print a token for each user name in FILE (one in each line) and exit.", metavar="FILE"
    )
    release_dir: Path | None = _setting(
        "Serve a flat FOLDER/<assignment>/<file> layout from here.", toml="dirs.release", metavar="FOLDER"
    )
    submitted_dir: Path | None = _setting(
        "Where submissions are kept. [default: 'submitted' in the course]", toml="dirs.submitted", metavar="FOLDER"
    )
    grades_dir: Path | None = _setting(
        "Where grades and feedback are kept. [default: the served folder]", metavar="FOLDER"
    )
    store: str | None = _setting(
        "Serve the courses of a PostgreSQL database, each at /c/<course>/: postgresql://…",
        env="MOGRADER_STORE",
        toml="server.store",
        metavar="URL",
    )
    courses: bool = _setting(
        "FOLDER holds many courses: every subfolder with a release/ is one, at /c/<subfolder>/.", False
    )
    max_upload: int = _setting(
        "Largest submission, in MiB.", MAX_UPLOAD, env="MOGRADER_MAX_UPLOAD", toml="server.max_upload", metavar="MIB"
    )
    tls_cert: Path | None = _setting(
        "Serve HTTPS with this certificate and its chain (PEM). A renewed one is noticed.",
        toml="server.tls_cert",
        metavar="FILE",
    )
    tls_key: Path | None = _setting("The certificate's private key (PEM).", toml="server.tls_key", metavar="FILE")
    tls_self_signed: bool = _setting(
        "Serve HTTPS without a domain, by an authority of the course's own that students pin at their first login.",
        False,
        toml="server.tls_self_signed",
    )
    tls_names: str | None = _setting(
        "With --tls-self-signed: names and addresses, separated by commas, by which students reach this machine, "
        "beside those that it knows itself.",
        toml="server.tls_names",
        metavar="NAMES",
    )
    trusted_proxies: str | None = _setting(
        "Addresses or networks of proxies, separated by commas, whose X-Forwarded-For, -Proto, -Host and -Prefix are "
        "trusted.",
        env="MOGRADER_TRUSTED_PROXIES",
        toml="server.trusted_proxies",
        metavar="ADDRESSES",
    )
    root_path: str | None = _setting(
        "The path of the public address, such as /course, if neither [https] url nor a trusted proxy gives it.",
        env="MOGRADER_ROOT_PATH",
        toml="server.root_path",
        metavar="PATH",
    )
    workers: int = _setting("Number of server processes.", 1, env="MOGRADER_WORKERS", toml="server.workers")
    grading_workers: int | None = _setting(
        "Number of submissions of all courses that are graded at the same time; 0 for none. By default 1 if there are "
        "tests.",
        None, env="MOGRADER_GRADING_WORKERS", toml="server.grading_workers",
    )  # fmt: skip

    given: frozenset[str] = frozenset()


def _declared() -> tuple[Setting, ...]:
    """The table of settings, made from the fields of ServeSettings."""
    kinds = get_type_hints(ServeSettings)
    return tuple(
        Setting(each.name, next(iter(get_args(kinds[each.name])), kinds[each.name]), default=each.default,
                **each.metadata)
        for each in fields(ServeSettings) if each.metadata
    )  # fmt: skip


SERVE_SETTINGS = _declared()


def utc_now() -> int:
    """The wall clock in Unix microseconds. Courses read it only here."""
    return time_ns() // 1000


def course_folder(root: Path) -> Path:
    """The folder of the course that is served from `root`: its parent if it is called release, else itself.

    The path as typed comes before the path with links followed, as course/release may be a link to another disk.
    """
    real = root.resolve()
    for each in (root.absolute(), real):
        if each.name == "release":
            return each.parent.resolve()
    return real


def source_folder(root: Path) -> Path:
    """The folder of notebooks with solutions and tests, for the course that is served from `root`."""
    home = course_folder(root)
    try:
        named = read_course_file(home / CONFIG_NAME).dirs.source
    except Unreadable:
        named = None  # settings with an error count as empty here
    return home / (named or "source")


def has_tests(root: Path) -> bool:
    """Whether the course that is served from `root` has notebooks with tests."""
    return any(source_folder(root).glob("*/*.py"))


def resolve(given: Mapping[str, Any], course: CourseFile, folder: Path) -> ServeSettings:
    """Resolve each setting: from `given` (flags and environment), else from mograder.toml, else its default.

    None in `given` means not given. Paths in mograder.toml are relative to `folder`, the course's.
    """
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    said = frozenset(values)
    for setting in SERVE_SETTINGS:
        value = course.setting(setting.toml) if setting.toml and setting.name not in said else None
        if value is not None:
            values[setting.name] = folder / str(value) if setting.kind is Path else value
    return ServeSettings(**values, given=said)
