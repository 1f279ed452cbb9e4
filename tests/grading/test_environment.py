"""Environments: the requirements of a notebook are met by the running environment, or one is built and kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.grading import sandbox
from mograder.grading.environment import (
    BadBlock,
    EnvironmentFailed,
    Wanted,
    built_environment,
    current_environment,
    environment_for,
    private_lock,
    satisfied,
    wanted_by,
)
from tests.fake_uv import put_fake_uv
from tests.parts import PATIENCE


def test_a_notebook_without_a_pep_723_block_needs_nothing() -> None:
    assert wanted_by("import marimo\napp = marimo.App()\n") == Wanted(())


def test_the_pep_723_block_names_dependencies_and_python_version() -> None:
    text = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#     "numpy>=2",\n#     "marimo",\n#     "mograder",\n# ]\n# ///\n'
    assert wanted_by(text + "import marimo\n") == Wanted(("marimo", "numpy>=2"), ">=3.11")


@pytest.mark.parametrize(
    "block", ['dependencies = "numpy"', 'dependencies = ["a b c"]', "dependencies = [", 'requires-python = "three"']
)
def test_an_invalid_pep_723_block_is_refused(block: str) -> None:
    with pytest.raises(BadBlock, match="PEP 723"):
        wanted_by(f"# /// script\n# {block}\n# ///\n")


@pytest.mark.parametrize(("dependencies", "python", "holds"), [
    ((), "", True), (("numpy>=1", "pandas"), ">=3.11", True), (("no-such-package",), "", False), (("numpy<1",), "", False),
    ((), "<3.0", False), (("no-such-package; sys_platform == 'win32'",), "", True), (("numpy @ https://example.org/numpy.whl",), "", False),
])  # fmt: skip
def test_the_running_environment_is_suitable_if_it_has_all_dependencies(
    dependencies: tuple[str, ...], python: str, holds: bool
) -> None:
    assert satisfied(Wanted(dependencies, python)) is holds


def test_a_suitable_environment_is_used_without_a_build(tmp_path: Path) -> None:
    assert environment_for(Wanted(("numpy",)), tmp_path / "cache") == current_environment()
    assert not (tmp_path / "cache").exists()


def test_the_environment_contains_neither_the_working_folder_nor_the_home_folder() -> None:
    folders = current_environment.__wrapped__().folders  # not the cached result from another working folder
    assert str(Path.cwd()) not in folders
    assert str(Path.home()) not in folders
    assert any(Path(sys.base_prefix).is_relative_to(folder) for folder in folders)


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of calls of a fake uv that downloads nothing."""
    return put_fake_uv(tmp_path, monkeypatch)


def test_an_environment_is_built_once_and_does_not_see_settings_of_mograder(
    uv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOGRADER_STORE", "postgresql://mograder:secret@db/mograder")
    wanted = Wanted(("some-package==1",), ">=3.11")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: built_environment(wanted, tmp_path / "cache"), range(4)))
    assert len(set(made)) == 1
    assert uv.read_text().splitlines() == ["venv --no-project", "pip compile", "pip install"]
    assert os.access(made[0].python, os.X_OK)
    assert built_environment(wanted, tmp_path / "cache") == made[0]
    assert built_environment(Wanted(("other==1",)), tmp_path / "cache").python != made[0].python


def test_another_machine_installs_the_locked_versions_or_makes_its_own_lock(uv: Path, tmp_path: Path) -> None:
    wanted, here, there = Wanted(("some-package==1",)), tmp_path / "cache", tmp_path / "another"
    first = built_environment(wanted, here)
    assert first.lock.startswith("marimo==1")
    assert built_environment(wanted, here, first.lock) == first  # it exists already
    lock = "marimo==0.9 --hash=sha256:00\n"
    uv.write_text("")
    made = environment_for(wanted, there, lock)
    assert (made.lock, made.digest) == (lock, hashlib.sha256(lock.encode()).hexdigest())
    assert uv.read_text().splitlines() == ["venv --no-project", "pip install"]
    assert environment_for(wanted, there, "marimo==1 # not-for-this-platform\n").lock == first.lock
    assert wanted.key != Wanted(wanted.dependencies, ">=3.12").key


def test_a_failed_build_reports_the_reason_and_is_retried(uv: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(EnvironmentFailed, match="no solution found: broken-package"):
            built_environment(Wanted(("broken-package",)), tmp_path / "cache")
    assert uv.read_text().splitlines() == ["venv --no-project", "pip compile"] * 2


def test_an_interrupted_build_is_repeated(uv: Path, tmp_path: Path) -> None:
    wanted = Wanted(("some-package==1",))
    folder = Path(built_environment(wanted, tmp_path / "cache").python).parent.parent.parent
    (folder / "environment.json").unlink()
    made = built_environment(wanted, tmp_path / "cache")
    assert json.loads((folder / "environment.json").read_text())["digest"] == made.digest


@pytest.mark.skipif(sys.platform != "linux", reason="there is no sandbox elsewhere")
def test_a_build_ends_with_the_process_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    put_fake_uv(tmp_path, monkeypatch, pipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of the test runner hold no lock of ours
        builder = os.fork()
    if builder == 0:
        with contextlib.suppress(BaseException):
            built_environment(Wanted(("slow-package",)), tmp_path / "cache")
        os._exit(1)
    with pipe.open("wb") as held:  # uv waits at the pipe
        os.kill(builder, signal.SIGKILL)
        os.waitpid(builder, 0)
        reader = select.poll()
        reader.register(held, select.POLLERR)
        assert reader.poll(PATIENCE * 1000) == [(held.fileno(), select.POLLERR)]


def test_a_build_works_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_programs", lambda: iter(()))
    assert sandbox.ending_with_parent(["uv", "venv"]) == ["uv", "venv"]


@pytest.mark.parametrize("there", [True, False])
def test_other_users_cannot_lock_an_environment(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a.lock"
    if there:
        path.touch(0o644)
    with private_lock(path):
        assert path.stat().st_mode & 0o777 == 0o600
