"""The Python environment that a notebook's PEP 723 block asks for: the running one if it fits, else one built by uv.

A built environment is in a cache folder under the hash of the request, with the lock that made it, and is used from
then on without network. A lock file makes two processes that need the same environment wait for each other.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mograder.domain.errors import BadRequest, MograderError
from mograder.grading.sandbox import ending_with_parent

_BLOCK = re.compile(r"(?m)^# /// script\s*$\n(?P<content>(?:^#(?: .*)?$\n)+?)^# ///\s*$")
LOCK = "requirements.txt"
"""The file of a built environment that lists its packages, with hashes."""

_DONE = "environment.json"
"""The file of a built environment that is written last, and so marks it as complete."""

_OURS = ("mograder", "mograder-course")  # mograder's runtime is given by the grader itself


class BadBlock(BadRequest):
    """The PEP 723 block cannot be read."""

    code = "pep723"


class EnvironmentFailed(MograderError):
    """The environment could not be built; the message has uv's last lines."""

    code = "environment"


@dataclass(frozen=True)
class Wanted:
    """What a notebook's block asks for."""

    dependencies: tuple[str, ...]
    requires_python: str = ""

    @property
    def key(self) -> str:
        """A hash of the request, by which a lock that was made for it is recognised."""
        return _digest([self.requires_python, *self.dependencies])


@dataclass(frozen=True)
class Environment:
    """A Python that runs notebooks. `folders` are all its folders on the disk; `digest` identifies what is installed.

    `lock` is what was installed, as uv writes it, and `digest` its SHA-256; "" for the environment that runs mograder.
    """

    python: str
    folders: tuple[str, ...]
    digest: str
    lock: str = ""


def wanted_by(text: str) -> Wanted:
    """The dependencies in a notebook's PEP 723 block; none without one. Raises BadBlock."""
    found = _BLOCK.search(text)
    if found is None:
        return Wanted(())
    lines = (line[2:] if line.startswith("# ") else line[1:] for line in found["content"].splitlines())
    try:
        block = tomllib.loads("\n".join(lines))
        dependencies = block.get("dependencies", [])
        python = block.get("requires-python", "")
        if not isinstance(dependencies, list) or not isinstance(python, str):
            raise BadBlock("in a PEP 723 block `dependencies` must be a list, and `requires-python` a text")
        asked = [each for each in map(str, dependencies) if _name(Requirement(each)) not in _OURS]
        SpecifierSet(python)
    except (tomllib.TOMLDecodeError, InvalidRequirement, InvalidSpecifier) as error:
        raise BadBlock(f"the PEP 723 block cannot be read: {error}") from None
    return Wanted(tuple(sorted(asked)), python)


def environment_for(wanted: Wanted, cache: Path, lock: str = "") -> Environment:
    """The environment that satisfies `wanted`: the running one, or one in `cache`, built there the first time.

    It is built from the `lock` of another machine ("" for none), or from a new lock if that one cannot be installed
    here. Raises EnvironmentFailed when uv cannot build it.
    """
    if (found := existing_environment(wanted, cache, lock)) is not None:
        return found
    if lock:
        with contextlib.suppress(EnvironmentFailed):  # the lock may be of another platform
            return built_environment(wanted, cache, lock)
    return built_environment(wanted, cache)


def existing_environment(wanted: Wanted, cache: Path, lock: str = "") -> Environment | None:
    """As `environment_for`, but None if the environment would have to be built."""
    if satisfied(wanted):
        return current_environment()
    folder = _folder(wanted, cache, lock)
    return _read(folder) if (folder / _DONE).is_file() else None


def satisfied(wanted: Wanted) -> bool:
    """Whether the environment that runs mograder has everything that is wanted."""
    version = ".".join(map(str, sys.version_info[:3]))
    if wanted.requires_python and not SpecifierSet(wanted.requires_python).contains(version, prereleases=True):
        return False
    return all(_installed(Requirement(each)) for each in (*wanted.dependencies, "marimo"))


def _installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    if requirement.url is not None:
        return False
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


@functools.cache
def current_environment() -> Environment:
    """The environment that runs mograder."""
    installed = sorted(
        f"{each.metadata['Name']}=={each.version}" for each in importlib.metadata.distributions() if each.metadata
    )
    folders = _folders([sys.prefix, sys.base_prefix, *sys.path])
    return Environment(sys.executable, folders, _digest([sys.version, *dict.fromkeys(installed)]))


def built_environment(wanted: Wanted, cache: Path, lock: str = "") -> Environment:
    """An environment made by uv, under the hash of `wanted`, and also of `lock` if another lock is installed there."""
    folder = _folder(wanted, cache, lock)
    if not (folder / _DONE).is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with private_lock(folder.with_suffix(".lock")):
            if not (folder / _DONE).is_file():
                _build(folder, _asked(wanted), wanted.requires_python, lock)
    return _read(folder)


def _folder(wanted: Wanted, cache: Path, lock: str) -> Path:
    digest = _digest([sys.platform, wanted.requires_python, *_asked(wanted)])
    if lock and _locked(cache / digest[:32]) != lock:
        digest = _digest([digest, lock])
    return cache / digest[:32]


def _asked(wanted: Wanted) -> list[str]:
    return [*wanted.dependencies, *(["marimo"] if not any(map(_is_marimo, wanted.dependencies)) else [])]


def _locked(folder: Path) -> str:
    """The lock of the environment that is built there, "" if none is."""
    return (folder / LOCK).read_text() if (folder / _DONE).is_file() else ""


def private_lock(path: Path) -> FileLock:
    """A lock that no other user of the machine can take: anybody who can open a file, even read-only, can lock it."""
    with contextlib.suppress(FileNotFoundError):
        path.chmod(0o600)
    return FileLock(path, mode=0o600)


def _build(folder: Path, asked: Sequence[str], requires_python: str, lock: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "asked.in").write_text("".join(f"{each}\n" for each in asked))
    python = requires_python or f">={sys.version_info[0]}.{sys.version_info[1]}"
    _uv("venv", "--no-project", "--python", python, str(folder / "venv"))
    program = str(folder / "venv" / "bin" / "python")
    locked = str(folder / LOCK)
    if lock:
        (folder / LOCK).write_text(lock)
    else:
        # Without a header, which would name a folder of this machine.
        how = ("--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python", program)
        _uv("pip", "compile", *how, str(folder / "asked.in"), "-o", locked)
    _uv("pip", "install", "--quiet", "--require-hashes", "--link-mode", "copy", "--python", program, "-r", locked)
    words = [program, "-I", "-c", "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, *sys.path]))"]
    folders = _folders(json.loads(_ran(words, check=True).stdout))
    digest = _digest([(folder / LOCK).read_text()])
    unfinished = folder / f"{_DONE}.new"
    unfinished.write_text(json.dumps({"python": program, "folders": folders, "digest": digest}))
    unfinished.replace(folder / _DONE)


def _read(folder: Path) -> Environment:
    made = json.loads((folder / _DONE).read_text())
    return Environment(made["python"], tuple(made["folders"]), made["digest"], (folder / LOCK).read_text())


def _ran(words: Sequence[str], check: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a program that runs code of packages while they are built or loaded."""
    return subprocess.run(words, capture_output=True, text=True, check=check, env=without_settings())  # noqa: S603


def without_settings() -> dict[str, str]:
    """The environment variables without our own, some of which are secrets, for programs that run code of others."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MOGRADER_")}


def _uv(*arguments: str) -> None:
    # One that outlived a killed worker would write into what the next one builds.
    done = _ran(ending_with_parent([_uv_program(), *arguments]))
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise EnvironmentFailed(f"uv {arguments[0]} could not make the notebook's environment:\n{last}")


def _uv_program() -> str:
    try:
        import uv
    except ImportError:
        found = shutil.which("uv")
        if found is None:
            raise EnvironmentFailed("uv is not installed: run `pip install '.[grading]'` in a checkout") from None
        return found
    return os.fsdecode(uv.find_uv_bin())


def _folders(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders that exist, each once, without those inside another one.

    The current folder, the home folder and the folder of temporary files are left out: the sandbox has its own.
    """
    found = sorted({os.path.abspath(each) for each in paths if each and Path(each).exists()})  # noqa: PTH100 - links stay
    never = {str(Path.cwd()), str(Path.home()), tempfile.gettempdir(), "/"}
    kept: list[str] = []
    for each in found:
        if each in never or any(Path(each).is_relative_to(other) for other in kept):
            continue
        kept.append(each)
    return tuple(kept)


def _name(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def _is_marimo(dependency: str) -> bool:
    return _name(Requirement(dependency)) == "marimo"


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
